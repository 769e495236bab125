"""
Stand-ins for what stands around an uplink: an endpoint, and a transport whose socket takes as much as it is told to.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFDSet, IStreamClientEndpoint
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from hfp.uplink.datagrams import DatagramTransport
from hfp.uplink.tcpinfo import TcpInfo

PEER = IPv4Address("TCP", "192.0.2.9", 9060)
HOST = IPv4Address("TCP", "192.0.2.1", 40_000)


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

    def write(self, octets: bytes) -> None:
        self.socket.send(octets)

    def getPeer(self) -> IPv4Address:
        return PEER

    def getHost(self) -> IPv4Address:
        return HOST


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


class DatagramSocket:
    """
    A connected UDP socket.

    :ivar sent: datagrams that it took.
    :ivar room: datagrams that it will still take.
    :ivar problem: the number of the error that its next use has; 0 for none.
    :ivar largest: octets in a datagram, at most.
    """

    def __init__(self, room: int = 1 << 40, largest: int = 65_507) -> None:
        self.sent: list[bytes] = []
        self.room = room
        self.problem = 0
        self.largest = largest
        self.closed = False
        self.answers: list[bytes] = []
        self.peer: tuple[Any, ...] = ("192.0.2.9", 9060)
        self.host: tuple[Any, ...] = ("192.0.2.1", 40_000)

    def fileno(self) -> int:
        return -1 if self.closed else 7

    def send(self, datagram: Any) -> int:
        self._raise()
        if len(datagram) > self.largest:
            raise OSError(errno.EMSGSIZE, "Message too long")
        if self.room == 0:
            raise BlockingIOError(errno.EAGAIN, "full")
        self.room -= 1
        self.sent.append(bytes(datagram))
        return len(datagram)

    def recv(self, octets: int) -> bytes:
        self._raise()
        if not self.answers:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        return self.answers.pop(0)[:octets]

    def _raise(self) -> None:
        problem, self.problem = self.problem, 0
        if problem:
            raise OSError(problem, os.strerror(problem))

    def getsockopt(self, level: int, option: int) -> int:
        problem, self.problem = self.problem, 0
        return problem

    def getpeername(self) -> tuple[Any, ...]:
        return self.peer

    def getsockname(self) -> tuple[Any, ...]:
        return self.host

    def close(self) -> None:
        self.closed = True


@implementer(IReactorFDSet)
class WritingClock(Clock):
    """A clock that is a reactor for descriptors: who wants to write is told so when time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def addWriter(self, writer: Any) -> None:
        self.writers.add(writer)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def removeWriter(self, writer: Any) -> None:
        self.writers.discard(writer)

    def removeAll(self) -> list[Any]:
        return []

    def getReaders(self) -> list[Any]:
        return list(self.readers)

    def getWriters(self) -> list[Any]:
        return list(self.writers)

    def advance(self, amount: float) -> None:
        super().advance(amount)
        for writer in list(self.writers):
            if writer.socket.room:
                writer.doWrite()


@implementer(IStreamClientEndpoint)
class DatagramEndpoint:
    """An endpoint whose attempts bring sockets, or fail with an exception, as they are listed."""

    def __init__(self, reactor: WritingClock, *results: Exception | DatagramSocket) -> None:
        self._reactor = reactor
        self.results = list(results)
        self.attempts = 0

    def connect(self, factory: Any) -> Deferred[Any]:
        self.attempts += 1
        if not self.results:
            return Deferred()
        result = self.results.pop(0)
        if isinstance(result, Exception):
            return fail(result)
        protocol = factory.buildProtocol(PEER)
        DatagramTransport(self._reactor, result, protocol).start()
        return succeed(protocol)
