"""
Stand-ins for what stands around an uplink: an endpoint, and a transport whose socket takes as much as it is told to.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure
from zope.interface import implementer

from hfp.uplink.tcpinfo import TcpInfo

PEER = IPv4Address("TCP", "192.0.2.9", 9060)


class TakingSocket:
    """
    A socket that takes octets while it has room.

    :ivar taken: what it took.
    :ivar room: octets that it will still take.
    :ivar acknowledged: octets that the peer's kernel has acknowledged; None for all that was taken.
    """

    def __init__(self, room: int = 1 << 40) -> None:
        self.taken = bytearray()
        self.room = room
        self.acknowledged: int | None = None
        self.window = 1 << 20
        self.info_changes: dict[str, int] = {}
        self.duplicates = 0
        self.broken = False

    def sendmsg(self, pieces: list[Any]) -> int:
        return self.send(b"".join(pieces))

    def send(self, octets: Any) -> int:
        if self.broken:
            raise ConnectionResetError
        if self.room == 0:
            raise BlockingIOError
        part = bytes(octets[: self.room])
        self.room -= len(part)
        self.taken += part
        return len(part)

    def dup(self) -> TakingSocket:
        self.duplicates += 1
        return self

    def close(self) -> None:
        self.duplicates -= 1

    def setsockopt(self, level: int, option: int, value: int) -> None:
        pass

    def info(self) -> TcpInfo:
        acknowledged = len(self.taken) if self.acknowledged is None else self.acknowledged
        fields = {
            "retransmits": 0,
            "probes": 0,
            "unacked": int(acknowledged < len(self.taken)),
            "last_ack_ms": 1,
            "acked": acknowledged + 1,
            "not_sent": 0,
            "window": self.window,
        }
        return TcpInfo(**{**fields, **self.info_changes})


class TakingTransport:
    """As much of Twisted's TCP client transport as an uplink touches."""

    def __init__(self, room: int = 1 << 40) -> None:
        self.socket = TakingSocket(room)
        self.protocol: Any = None
        self.producer: Any = None
        self.wants_writing = False
        self.nodelay = False
        self.half_closed = False
        self.ended = False

    def connect(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.makeConnection(self)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert not streaming
        self.producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def startWriting(self) -> None:
        self.wants_writing = True

    def writable(self, room: int = 1 << 40) -> None:
        """The peer has made room; tell the producer as long as it asks, like the reactor does."""
        self.socket.room = room
        while self.wants_writing and self.socket.room and self.producer is not None:
            self.wants_writing = False
            self.producer.resumeProducing()

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def loseConnection(self) -> None:
        self.end(CONNECTION_DONE)

    def abortConnection(self) -> None:
        self.end(error.ConnectionAborted())

    def peer_closes(self) -> None:
        """The peer's FIN arrives."""
        self.protocol.readConnectionLost()

    def reset(self) -> None:
        """The peer's RST arrives."""
        self.end(CONNECTION_LOST)

    def end(self, reason: Exception) -> None:
        if not self.ended:
            self.ended = True
            self.protocol.connectionLost(Failure(reason))

    def setTcpKeepAlive(self, on: bool) -> None:
        pass

    def setTcpNoDelay(self, on: bool) -> None:
        self.nodelay = on

    def getPeer(self) -> IPv4Address:
        return PEER


@implementer(IStreamClientEndpoint)
class ListedEndpoint:
    """
    An endpoint whose attempts end as they are listed: an exception, or a transport to connect; then it never answers.

    :ivar attempts: how often it was asked.
    """

    def __init__(self, *results: Exception | TakingTransport) -> None:
        self.results: list[Any] = list(results)
        self.attempts = 0
        self.cancelled = 0

    def connect(self, factory: Any) -> Deferred[Any]:
        self.attempts += 1
        if not self.results:
            return Deferred(self._cancel)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            return fail(result)
        protocol = factory.buildProtocol(PEER)
        result.connect(protocol)
        answer: Deferred[Any] = Deferred()
        answer.callback(protocol)
        return answer

    def _cancel(self, _: object) -> None:
        self.cancelled += 1
