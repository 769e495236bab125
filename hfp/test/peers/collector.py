"""
A collector of HEP over TCP, as strict as real ones: it closes a connection at the first octets that are no HEP.

It frames by magic and length, and closes its side when the other closes.  What it has taken it writes to a ledger
(``hfp.test.peers.ledger``) after every read.  It says ``listening`` when it does.

Orders on the standard input, each answered with ``ok`` and the order:

``slow OCTETS``
    read so many octets a second, of all connections together.
``stall``
    read nothing, so that the window closes.
``fast``
    read as fast as it goes: the end of ``slow`` and of ``stall``.
``close``, ``reset``
    end all connections: in the usual way, or with an RST.
``flap SECONDS close``, ``flap SECONDS reset``
    do that every so often; ``flap 0 close`` ends it.
``silence``, ``hear``
    have the kernel drop, or take again, all that arrives at its sockets: the link is gone without a word, then back.
``deaf``
    close the listening socket and leave the connections as they are: another collector can take the port.
``quit``
    close all and end.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import struct
import time
import zlib
from array import array

from hfp.test.peers.console import Console, say
from hfp.test.peers.ledger import Event, Ledger
from hfp.test.peers.traffic import COVERED_FROM, HEAD, IDS, STAMP, VENDOR

_READ_OCTETS = 262144

#: How often a slow collector reads, seconds.
_TICK_S = 0.01

# asm-generic/socket.h; Python's socket module does not name them.
_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27


class Connection:
    """One connection of a relay, and the packet of which the rest has not come."""

    def __init__(self, transport: socket.socket, number: int, ledger: Ledger, dump: int | None) -> None:
        self.socket = transport
        self.number = number
        self._ledger = ledger
        self._dump = dump
        self._carry = b""

    def read(self, most: int) -> int | None:
        """
        Take what is there and write it down.

        :param most: octets.
        :returns: how many octets there were; ``None`` when the connection is over.
        """
        try:
            octets = self.socket.recv(most)
        except BlockingIOError:
            return 0
        except OSError:
            self._end(Event.RESET, self.number)
            return None
        if not octets:
            if self._carry:
                self._end(Event.CUT, len(self._carry))
            else:
                self._end(Event.ENDED, self.number)
            return None
        entries: array[int] = array("Q")
        whole = self._carry + octets
        at, fault = _take(whole, entries)
        if self._dump is not None:
            os.write(self._dump, whole[:at])
        self._carry = whole[at:]
        self._ledger.append(entries)
        if fault is not None:
            self._end(fault, self.number)
            return None
        return len(octets)

    def _end(self, event: Event, figure: int) -> None:
        self._ledger.note(event, figure)
        self.socket.close()


def _take(octets: bytes, entries: array[int]) -> tuple[int, Event | None]:
    """
    Note every whole packet of these octets.

    Runs for every packet.

    :returns: where the first incomplete or damaged packet starts, and what is wrong with it, if anything is.
    """
    head, stamp, checksum = HEAD.unpack_from, STAMP.unpack_from, zlib.crc32
    view = memoryview(octets)
    at = 0
    end = len(octets)
    while end - at >= HEAD.size:
        name, length = head(octets, at)
        if name not in IDS or length < HEAD.size:
            return at, Event.DAMAGED
        if at + length > end:
            break
        if length >= STAMP.size:
            _, _, vendor, crc, agent, number = stamp(octets, at)
            if vendor == VENDOR:
                if checksum(view[at + COVERED_FROM : at + length]) != crc:
                    return at, Event.ALTERED
                entries.append(agent << 32 | number)
                at += length
                continue
        entries.append(Event.UNSTAMPED << 32 | length)
        at += length
    return at, None


class Programme:
    """The listening socket, the connections, and how they are treated."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._ledger = Ledger(arguments.ledger)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._dump = os.open(arguments.dump, flags, 0o600) if arguments.dump else None
        self._selector = selectors.DefaultSelector()
        self._console = Console(self._obey)
        self._connections: list[Connection] = []
        self._accepted = 0
        self._rate: float | None = None
        self._allowance = 0.0
        self._flap_s = 0.0
        self._flap_at = 0.0
        self._flap_how = "close"
        self._over = False
        self._listener = self._listen(arguments.listen)
        self._console.attach(self._selector, self._console)

    def _listen(self, address: str) -> socket.socket:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, int(port)), family=family, backlog=128)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, None)
        return listener

    def run(self) -> None:
        """Until told to quit."""
        say("listening")
        then = time.monotonic()
        while not self._over:
            for key, _ in self._selector.select(None if self._rate is None and not self._flap_s else _TICK_S):
                if key.data is self._console:
                    self._console.read()
                    self._over = self._over or self._console.ended
                elif key.data is None:
                    self._accept()
                else:
                    self._read(key.data, _READ_OCTETS)
            now = time.monotonic()
            if self._rate is not None:
                self._allowance = min(self._allowance + (now - then) * self._rate, max(self._rate / 10, 4096))
                self._read_slowly()
            then = now
            if self._flap_s and now >= self._flap_at:
                self._end_all(abruptly=self._flap_how == "reset")
                self._flap_at = now + self._flap_s
        self._end_all(abruptly=False)

    def _accept(self) -> None:
        try:
            transport, _ = self._listener.accept()
        except OSError:
            return
        transport.setblocking(False)
        self._accepted += 1
        connection = Connection(transport, self._accepted, self._ledger, self._dump)
        self._ledger.note(Event.OPENED, self._accepted)
        self._connections.append(connection)
        if self._rate is None:
            self._selector.register(transport, selectors.EVENT_READ, connection)

    def _read(self, connection: Connection, most: int) -> int:
        if connection.socket.fileno() < 0:
            return 0
        taken = connection.read(most)
        if taken is None:
            self._connections.remove(connection)
            # The selector forgets a closed descriptor by itself only in the kernel.
            self._forget(connection)
        return taken or 0

    def _forget(self, connection: Connection) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is connection:
                self._selector.unregister(key.fileobj)

    def _read_slowly(self) -> None:
        for connection in list(self._connections):
            if self._allowance >= 1:
                self._allowance -= self._read(connection, min(int(self._allowance), _READ_OCTETS))

    def _pace(self, rate: float | None) -> None:
        """Read so many octets a second; ``None`` for all there is."""
        for connection in self._connections:
            if self._rate is None and rate is not None:
                self._selector.unregister(connection.socket)
            elif self._rate is not None and rate is None:
                self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._rate = rate
        self._allowance = 0.0

    def _end_all(self, *, abruptly: bool) -> None:
        for connection in self._connections:
            if self._rate is None:
                self._selector.unregister(connection.socket)
            if abruptly:
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.socket.close()
        self._connections.clear()

    def _filter(self, drop: bool) -> None:
        sockets = [connection.socket for connection in self._connections]
        if self._listener.fileno() >= 0:
            sockets.append(self._listener)
        for each in sockets:
            drop_all(each) if drop else take_again(each)

    def _obey(self, order: list[str]) -> str:
        if order == ["stall"]:
            self._pace(0.0)
        elif order == ["fast"]:
            self._pace(None)
        elif order[:1] == ["slow"]:
            self._pace(float(order[1]))
        elif order in (["close"], ["reset"]):
            self._end_all(abruptly=order == ["reset"])
        elif order[:1] == ["flap"]:
            self._flap_s, self._flap_how = float(order[1]), order[2]
            self._flap_at = time.monotonic() + self._flap_s
        elif order in (["silence"], ["hear"]):
            self._filter(order == ["silence"])
        elif order == ["deaf"]:
            self._selector.unregister(self._listener)
            self._listener.close()
        elif order == ["quit"]:
            self._over = True
        else:
            raise ValueError("see hfp/test/peers/collector.py for the orders")
        return ""


def drop_all(each: socket.socket) -> None:
    """Have the kernel drop every packet for this socket (and for what a listening one accepts from now on)."""
    # One instruction of classic BPF, "return 0": take no octet of the packet.
    instruction = array("B", struct.pack("HBBI", 0x06, 0, 0, 0))
    address, _ = instruction.buffer_info()
    each.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HxxxxxxP", 1, address))


def take_again(each: socket.socket) -> None:
    """The end of :func:`drop_all`."""
    each.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="take HEP over TCP and write down what has arrived")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--ledger", required=True, metavar="FILE", help="appended to after every read")
    parser.add_argument("--dump", metavar="FILE", help="append the octets of all packets to this file")
    Programme(parser.parse_args()).run()


if __name__ == "__main__":
    main()
