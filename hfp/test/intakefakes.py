"""
Stand-ins for what stands around the intake: a reactor that watches on demand, transports over socket pairs, a sink.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hfp.interfaces import IBatchSink


class WatchingClock(Clock):
    """A clock that also keeps a set of readers, and calls them when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []
        self.advance(1_000_000)

    def addReader(self, reader: Any) -> None:
        assert reader not in self.readers
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.remove(reader)

    def wake(self) -> None:
        """What a reactor does when a descriptor is readable."""
        for reader in list(self.readers):
            reader.doRead()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    return near, far


class PairTransport:
    """As much of a Twisted TCP server transport as the intake touches, over one end of a pair of sockets."""

    def __init__(self, protocol: Any, host: str = "192.0.2.1", tcp: bool = False) -> None:
        self.socket, self.far = tcp_pair() if tcp else socket.socketpair()
        self.socket.setblocking(False)
        self.protocol = protocol
        self.host = host
        self.reading = True
        self.disconnecting = False
        self.reason: Failure | None = None
        protocol.makeConnection(self)

    def fileno(self) -> int:
        return self.socket.fileno()

    def stopReading(self) -> None:
        self.reading = False

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, 40000)

    def loseConnection(self) -> None:
        self.disconnecting = True

    abortConnection = loseConnection

    def connectionLost(self, reason: Failure) -> None:
        self.reason = reason
        self.close()
        self.protocol.connectionLost(reason)

    def close(self) -> None:
        self.socket.close()
        self.far.close()


@implementer(IBatchSink)
class ListSink:
    """Keeps the batches it takes."""

    def __init__(self) -> None:
        self.batches: list[tuple[bytes, int]] = []
        verifyObject(IBatchSink, self)

    def take(self, pieces: list[bytes | bytearray | memoryview], packets: int) -> None:
        self.batches.append((b"".join(pieces), packets))

    @property
    def octets(self) -> bytes:
        return b"".join(octets for octets, _ in self.batches)
