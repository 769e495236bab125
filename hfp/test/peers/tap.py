"""
A tap between a sender and hfp: passes on what comes, as it comes, and writes it down first.

So a test knows what a real program has sent without asking that program, and what hfp made of it.  One port, UDP or
TCP, on 127.0.0.1 and ::1 each.  It says ``listening`` when it does, and ends when its standard input does.

The record of UDP is each datagram behind its length (4 octets, big-endian); that of TCP is the octets of all
connections in the order of reading.  What comes back from hfp is written to a file of its own beside it (``.back``)
and passed on as well.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import struct
from functools import partial

from hfp.test.peers.console import Console, say

_LENGTH = struct.Struct(">I")
_READ_OCTETS = 262_144
_BUFFER_OCTETS = 4_194_304
_HOSTS = ("127.0.0.1", "::1")


class Tap:
    """
    :param kind: ``tcp`` or ``udp``.
    :param port: where it listens.
    :param to: the port that it passes on to, on the same address.
    :param record: appended to.
    """

    def __init__(self, kind: str, port: int, to: int, record: str) -> None:
        self._to = to
        self._record = _appended(record)
        self._back = _appended(record + ".back")
        self._selector = selectors.DefaultSelector()
        self._console = Console(_obey)
        self._console.attach(self._selector, self._console.read)
        for host in _HOSTS:
            self._listen(kind, host, port)

    def run(self) -> None:
        """Until the standard input ends."""
        say("listening")
        while not self._console.ended:
            for key, _ in self._selector.select():
                key.data()

    def _listen(self, kind: str, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        if kind == "tcp":
            listener = socket.create_server((host, port), family=family)
            self._watch(listener, partial(self._accept, listener, host))
            return
        inward = socket.socket(family, socket.SOCK_DGRAM)
        inward.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
        inward.bind((host, port))
        outward = socket.socket(family, socket.SOCK_DGRAM)
        outward.connect((host, self._to))
        self._watch(inward, partial(self._datagram, inward, outward))

    def _watch(self, each: socket.socket, read: partial[None]) -> None:
        self._selector.register(each, selectors.EVENT_READ, read)

    def _datagram(self, inward: socket.socket, outward: socket.socket) -> None:
        datagram = inward.recv(_READ_OCTETS)
        os.write(self._record, _LENGTH.pack(len(datagram)) + datagram)
        outward.send(datagram)

    def _accept(self, listener: socket.socket, host: str) -> None:
        inward, _ = listener.accept()
        outward = socket.create_connection((host, self._to))
        self._watch(inward, partial(self._pass_on, inward, outward, self._record))
        self._watch(outward, partial(self._pass_on, outward, inward, self._back))

    def _pass_on(self, source: socket.socket, to: socket.socket, record: int) -> None:
        # Blocking writes are enough: hfp always reads, and writes nothing.
        try:
            octets = source.recv(_READ_OCTETS)
            os.write(record, octets)
            to.sendall(octets)
        except OSError:
            octets = b""
        if not octets:
            for each in (source, to):
                self._selector.unregister(each)
                each.close()


def _appended(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _obey(order: list[str]) -> str:
    raise ValueError("a tap takes no orders")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="pass on what comes, and write it down")
    parser.add_argument("--kind", choices=("tcp", "udp"), required=True)
    parser.add_argument("--listen", type=int, required=True, metavar="PORT")
    parser.add_argument("--to", type=int, required=True, metavar="PORT")
    parser.add_argument("--record", required=True, metavar="FILE")
    arguments = parser.parse_args()
    Tap(arguments.kind, arguments.listen, arguments.to, arguments.record).run()


if __name__ == "__main__":
    main()
