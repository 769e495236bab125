"""
A sender of HEP over TCP: so many packets or for so long, at a rate or flat out, on one connection or several.

It writes only, as capture agents do, and says how many packets it has given to its sockets:

``given N``
    ten times a second: packets given so far, of all connections.
``lost ID N``
    a connection was lost (reset, or closed by the other side) when N packets had been given to it and its
    predecessors.
``done N {"ID": N, ...}``
    the end: in all, and by sender.

A packet has been given when the socket took its last octet.  What a socket took and hfp had not read when it died is
given and not taken: see ``docs/architecture.rst``, and the callers for how they tell the two apart.

Orders on the standard input, with ``--orders``: ``pause`` and ``go``, ``count``, which does nothing, and ``stop``, the
end.  Each is answered with the packets given so far.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import sys
import time

from hfp.test.peers.console import Console, say
from hfp.test.peers.traffic import Traffic, lengths

#: How many octets one connection may write before the others get their turn.
_TURN_OCTETS = 65536

#: How often a sender at a rate looks whether something is due, seconds.
_TICK_S = 0.002

_RETRY_S = 0.1


class Stream:
    """
    The connection of one sender, and the ones that follow it when that one is lost.

    :ivar given: packets whose last octet a socket took.
    """

    def __init__(self, agent: int, arguments: argparse.Namespace) -> None:
        self.agent = agent
        self.given = 0
        self.socket: socket.socket | None = None
        self.retry_at = 0.0
        self._arguments = arguments
        self._traffic = Traffic(agent, arguments.mix)
        self._writing = memoryview(b"")
        self._left = memoryview(b"")

    @property
    def idle(self) -> bool:
        """Nothing half written."""
        return not self._left

    def connect(self) -> None:
        """:raises OSError: when nobody listens."""
        host, _, port = self._arguments.to.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=5)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, packets: int) -> bool:
        """
        Give up to so many packets more, ``--per-write`` in a write, a turn's worth of octets at most.

        :returns: whether the socket may take more at once.
        :raises OSError: when the connection is lost.
        """
        assert self.socket is not None
        octets = 0
        while octets < _TURN_OCTETS and (packets or self._left):
            if not self._left:
                count = min(packets, self._arguments.per_write)
                self._writing = self._left = memoryview(self._traffic.batch(self.given, count))
                packets -= count
            try:
                taken = self.socket.send(self._left)
            except BlockingIOError:
                return False
            octets += taken
            self._left = self._left[taken:]
            if not self._left:
                self.given += len(lengths(self._writing))
        return not self._left

    def lose(self) -> None:
        """
        The connection is gone: what it took of the last write counts, up to the last whole packet.

        Other than a partial packet, nothing is written again: hfp drops the half of one that a lost connection
        leaves behind, so that one is due again, whole.
        """
        self.given += len(lengths(self._writing[: len(self._writing) - len(self._left)])) if self._left else 0
        self._writing = self._left = memoryview(b"")
        self.close()

    def close(self) -> None:
        """Close in the usual way: what the kernel has taken it still delivers."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Programme:
    """All streams, and when each may write how much."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._streams = [Stream(arguments.id + at, arguments) for at in range(arguments.connections)]
        self._selector = selectors.DefaultSelector()
        self._console = Console(self._obey)
        self._paused = False
        self._stopped = False
        self._allowed = 0.0

    def run(self) -> None:
        """Until all is given, or nothing more can be."""
        if self._arguments.orders:
            self._console.attach(self._selector, None)
        for stream in self._streams:
            stream.connect()
            self._watch(stream)
        began = time.monotonic()
        then = said = began
        while not self._finished(time.monotonic() - began):
            self._turn()
            now = time.monotonic()
            if not self._paused:
                self._allowed += (now - then) * self._arguments.rate
            then = now
            if now - said >= 0.1:
                said = now
                say(f"given {self._given()}")
        if self._arguments.hold:
            self._hold()
        for stream in self._streams:
            stream.lose()
        say(f"done {self._given()} {json.dumps({stream.agent: stream.given for stream in self._streams})}")

    def _given(self) -> int:
        return sum(stream.given for stream in self._streams)

    def _finished(self, elapsed_s: float) -> bool:
        if self._stopped:
            return True
        if not self._arguments.reconnect and not any(stream.socket for stream in self._streams):
            return True
        if self._arguments.count:
            return all(
                stream.idle and (stream.given >= self._arguments.count or not self._comes_back(stream))
                for stream in self._streams
            )
        return elapsed_s >= self._arguments.seconds and all(stream.idle for stream in self._streams)

    def _comes_back(self, stream: Stream) -> bool:
        return stream.socket is not None or self._arguments.reconnect

    def _due(self, stream: Stream) -> int:
        """How many packets this stream may write now."""
        most = self._arguments.count - stream.given if self._arguments.count else 1 << 30
        if not self._arguments.rate:
            return most
        return max(0, min(most, int(self._allowed / len(self._streams)) - stream.given))

    def _watch(self, stream: Stream) -> None:
        # Reading too: hfp says nothing, so what becomes readable is the connection's end.
        assert stream.socket is not None
        paced = bool(self._arguments.rate)
        events = selectors.EVENT_READ if paced else selectors.EVENT_READ | selectors.EVENT_WRITE
        self._selector.register(stream.socket, events, stream)

    def _turn(self) -> None:
        """Wait for something to do, and do it."""
        wait_s = _TICK_S if self._arguments.rate else 0.05
        for key, events in self._selector.select(0.02 if self._paused else wait_s):
            stream = key.data
            if stream is None:
                self._console.read()
                if self._console.ended:
                    sys.exit(1)
            elif events & selectors.EVENT_READ:
                self._end(stream)
            elif not self._paused:
                self._write(stream)
            else:
                time.sleep(_TICK_S)
        if self._arguments.rate and not self._paused:
            for stream in self._streams:
                if stream.socket is not None and (self._due(stream) or not stream.idle):
                    self._write(stream)
        self._reconnect()

    def _write(self, stream: Stream) -> None:
        try:
            stream.write(self._due(stream))
        except OSError:
            self._lose(stream)
            return
        if not self._arguments.rate and stream.idle and not self._due(stream):
            assert stream.socket is not None
            self._selector.modify(stream.socket, selectors.EVENT_READ, stream)

    def _end(self, stream: Stream) -> None:
        assert stream.socket is not None
        try:
            octets = stream.socket.recv(4096)
        except OSError:
            octets = b""
        if octets:
            # Nothing may ever come back into a sender's connection.
            raise SystemExit(f"the other side wrote {octets[:64]!r}")
        self._lose(stream)

    def _lose(self, stream: Stream) -> None:
        if stream.socket is not None:
            self._selector.unregister(stream.socket)
        stream.lose()
        stream.retry_at = time.monotonic() + _RETRY_S
        say(f"lost {stream.agent} {stream.given}")

    def _reconnect(self) -> None:
        if not self._arguments.reconnect:
            return
        for stream in self._streams:
            if stream.socket is None and time.monotonic() >= stream.retry_at:
                try:
                    stream.connect()
                except OSError:
                    stream.retry_at = time.monotonic() + _RETRY_S
                else:
                    self._watch(stream)

    def _hold(self) -> None:
        """All is given: keep the connections until the order to stop."""
        for stream in self._streams:
            if stream.socket is not None:
                self._selector.modify(stream.socket, selectors.EVENT_READ, stream)
        say(f"given {self._given()}")
        while not self._stopped:
            self._turn()

    def _obey(self, order: list[str]) -> str:
        if order == ["pause"]:
            self._paused = True
        elif order == ["go"]:
            self._paused = False
        elif order == ["stop"]:
            self._stopped = True
        elif order != ["count"]:
            raise ValueError("pause, go, count or stop")
        return str(self._given())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="send SIP call traffic as HEP over TCP")
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--id", type=int, default=1, help="the first connection's capture agent id (default: 1)")
    parser.add_argument("--connections", type=int, default=1, help="each is a sender of its own (default: 1)")
    parser.add_argument("--count", type=int, default=0, help="packets on each connection")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long, without --count (default: 10)")
    parser.add_argument("--rate", type=float, default=0.0, help="packets a second, of all (default: flat out)")
    parser.add_argument("--per-write", type=int, default=1, help="packets in one write (default: 1)")
    parser.add_argument("--mix", default="calls", help="calls, every-size, or a size in octets (default: calls)")
    parser.add_argument("--reconnect", action="store_true", help="connect again when a connection is lost")
    parser.add_argument("--hold", action="store_true", help="keep the connections open at the end, until told to stop")
    parser.add_argument("--orders", action="store_true", help="take orders on the standard input")
    Programme(parser.parse_args()).run()


if __name__ == "__main__":
    main()
