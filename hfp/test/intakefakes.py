"""
Stand-ins for what stands around the intake: a reactor that watches on demand, transports over socket pairs, a sink.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ITransport
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.task import Clock
from twisted.logger import formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hfp.hep import HEADER, Chunk, build
from hfp.interfaces import IBatchSink, IScreen, Sender
from hfp.logs import Logger, Repeats


def packet(text: bytes, size: int = 100) -> bytes:
    """A packet that carries *text*, *size* octets long."""
    return build([(0, Chunk.PAYLOAD, text.ljust(size - 12, b"."))])


def told(clock: Clock) -> tuple[Repeats, list[str]]:
    """Repeats, and the list of lines that it writes."""
    lines: list[str] = []
    log = Logger(observer=lambda event: lines.append(formatEvent(event)))  # type: ignore[arg-type]
    return Repeats(log, clock), lines


class WatchingClock(Clock):
    """A clock that also keeps sets of readers and writers, and calls them when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.writers: list[Any] = []
        self.advance(1_000_000)

    def addReader(self, reader: Any) -> None:
        assert reader not in self.readers
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        if reader in self.readers:
            self.readers.remove(reader)

    def addWriter(self, writer: Any) -> None:
        if writer not in self.writers:
            self.writers.append(writer)

    def removeWriter(self, writer: Any) -> None:
        if writer in self.writers:
            self.writers.remove(writer)

    def wake(self) -> None:
        """What a reactor does when every descriptor is ready."""
        for reader in list(self.readers):
            reader.doRead()
        for writer in list(self.writers):
            ended = writer.doWrite()
            if ended is not None:
                writer.stopWriting()
                writer.connectionLost(Failure(ended))


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    return near, far


@implementer(ITransport)
class PairTransport:
    """
    As much of a Twisted TCP server transport as the intake and Twisted's TLS touch, over one end of a pair of sockets.

    What is written goes out at once; a real transport does that in the reactor's next turn.
    """

    def __init__(self, protocol: Any, host: str = "192.0.2.1", tcp: bool = False) -> None:
        self.socket, self.far = tcp_pair() if tcp else socket.socketpair()
        self.socket.setblocking(False)
        self.protocol = protocol
        self.host = host
        self.reading = True
        self.disconnecting = False
        self.aborted = False
        self.reason: Failure | None = None
        verifyObject(ITransport, self)
        protocol.makeConnection(self)

    def fileno(self) -> int:
        return self.socket.fileno()

    def stopReading(self) -> None:
        self.reading = False

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, 40000)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.254", 9060)

    def write(self, data: bytes) -> None:
        if self.reason is None:
            try:
                self.socket.sendall(data)
            except ConnectionError:
                pass

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self.disconnecting = True

    def abortConnection(self) -> None:
        self.aborted = self.disconnecting = True

    def finish(self) -> None:
        """What a reactor does in the turn after `loseConnection` or `abortConnection`."""
        if self.disconnecting and self.reason is None:
            self.connectionLost(Failure(CONNECTION_DONE))

    def connectionLost(self, reason: Failure) -> None:
        self.reason = reason
        self.disconnecting = True
        self.socket.close()
        self.protocol.connectionLost(reason)

    def close(self) -> None:
        self.socket.close()
        self.far.close()


@implementer(IScreen)
class NotingScreen:
    """Notes what it is shown, and holds back packets that contain *bad*."""

    def __init__(self, bad: bytes = b"bad") -> None:
        self.bad = bad
        self.shown: list[tuple[bytes, int, Sender]] = []
        verifyObject(IScreen, self)

    def screen(
        self, pieces: list[bytes | bytearray | memoryview], packets: int, sender: Sender
    ) -> tuple[list[bytes | bytearray | memoryview], int]:
        octets = b"".join(pieces)
        self.shown.append((octets, packets, sender))
        good: list[bytes | bytearray | memoryview] = []
        while octets:
            one, octets = octets[: HEADER.unpack_from(octets)[1]], octets[HEADER.unpack_from(octets)[1] :]
            if self.bad not in one:
                good.append(one)
        return (pieces, packets) if len(good) == packets else (good, len(good))


@implementer(IBatchSink)
class ListSink:
    """Keeps the batches it takes."""

    def __init__(self) -> None:
        self.batches: list[tuple[bytes, int]] = []
        self.pieces: list[bytes | bytearray | memoryview] = []  # of all batches
        verifyObject(IBatchSink, self)

    def take(self, pieces: list[bytes | bytearray | memoryview], packets: int) -> None:
        self.batches.append((b"".join(pieces), packets))
        self.pieces += pieces

    @property
    def octets(self) -> bytes:
        return b"".join(octets for octets, _ in self.batches)
