"""
The sending side of one connection to a collector: octets into the socket, what became of them out of ``TCP_INFO``.

It sends what its owner gives it and knows nothing of the log.  It writes to the socket itself instead of to Twisted's
transport: that takes one system call per batch, no copy, and no turn of the reactor (the transport's own buffer stays
empty); when the socket is full it keeps the rest of that batch and has the reactor wake it as a pull producer.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface, implementer

from hfp.logs import Logger
from hfp.uplink.tcpinfo import TcpInfo, tcp_info


class IUplinkOwner(Interface):
    """What a connection belongs to; called in the reactor thread."""

    keepalive_s = Attribute("Seconds of silence before the kernel probes an idle connection; 0 for never.")
    nodelay = Attribute("Whether small segments always go at once, those of a backlog included.")

    def connected(protocol: UplinkProtocol) -> None:
        """The connection is up; nothing has been given to it yet."""

    def ready(protocol: UplinkProtocol) -> None:
        """The socket took all it was given and can take more."""

    def lost(protocol: UplinkProtocol, reason: Failure) -> None:
        """The connection has ended; `UplinkProtocol.look` works until this returns."""

    def unreachable(result: str, reason: Failure) -> None:
        """An attempt to connect has failed."""


@implementer(IHalfCloseableProtocol, IPullProducer)
class UplinkProtocol(Protocol):
    """
    :ivar given: octets taken over for this connection so far, those that still wait for the socket included.
    :ivar packets: packets in them.
    :ivar consumed: the peer closed its side after we had closed ours: its program has read everything.
    :ivar closed_by_peer: the peer closed its side first.
    """

    _log = Logger()

    def __init__(self, owner: Any, clock: Any) -> None:
        self._owner = owner
        self._clock = clock
        self._rest: list[memoryview] = []
        self._socket: socket.socket | None = None
        self._watch: socket.socket | None = None
        self._half_closed = False
        self.given = 0
        self.packets = 0
        self.consumed = False
        self.closed_by_peer = False

    # Sending

    @property
    def full(self) -> bool:
        """Whether the socket has not taken all it was given yet."""
        return bool(self._rest)

    def give(self, pieces: list[Any], octets: int, packets: int) -> bool:
        """
        Hot, once per batch: send whole packets.  Not to be called while `full`, nor after `half_close`.

        :param pieces: buffers that do not change before the owner is told that it may give more.
        :returns: whether the socket took it all; if not, the owner's `ready` is called when it has.
        """
        self.given += octets
        self.packets += packets
        try:
            if len(pieces) == 1:
                taken = self._socket.send(pieces[0])  # type: ignore[union-attr]
            else:
                taken = self._socket.sendmsg(pieces)  # type: ignore[union-attr]
        except BlockingIOError:
            taken = 0
        except OSError:  # the reactor will find the same and end the connection
            taken = 0
        if taken == octets:
            return True
        self._keep(pieces, taken)
        self.ask()
        return False

    def hurry(self, on: bool) -> None:
        """
        Whether small segments go at once (``TCP_NODELAY``) or wait for the acknowledgement of earlier ones.

        A peer that never answers acknowledges late: waiting for it adds 20 ms to a packet, and 40 at times.
        """
        if not self._owner.nodelay:
            self.transport.setTcpNoDelay(on)  # type: ignore[union-attr]

    def ask(self) -> None:
        """Have `ready` called when the socket can take more."""
        self.transport.startWriting()  # type: ignore[union-attr]

    def _keep(self, pieces: list[Any], taken: int) -> None:
        for piece in pieces:
            size = len(piece)
            if taken >= size:
                taken -= size
            else:
                self._rest.append(memoryview(piece)[taken:])
                taken = 0

    def resumeProducing(self) -> None:
        """The socket can take more (called by the transport, which has nothing of its own to write)."""
        if self._half_closed:
            return
        if self._rest:
            rest, self._rest = self._rest, []
            try:
                taken = self._socket.sendmsg(rest)  # type: ignore[union-attr]
            except OSError:
                taken = 0
            self._keep(rest, taken)
            if self._rest:
                self.ask()
                return
        self._owner.ready(self)

    def stopProducing(self) -> None:
        """The transport is closing; what it did not take is still in the log."""

    # Knowing

    def look(self) -> TcpInfo | None:
        """The connection's state, also just after it has ended; None if the kernel will not say."""
        if self._watch is None:
            return None
        try:
            return tcp_info(self._watch)
        except OSError:
            return None

    # Ending

    def half_close(self) -> None:
        """Send nothing more and tell the peer; its own closing then means that it has read everything."""
        if not self._half_closed:
            self._half_closed = True
            self.transport.unregisterProducer()  # type: ignore[union-attr]
            self.transport.loseWriteConnection()  # type: ignore[union-attr]

    def abort(self) -> None:
        """End the connection at once."""
        self.transport.abortConnection()  # type: ignore[union-attr]

    # Called by Twisted

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self._socket = transport.socket
        # Twisted closes its socket before it tells us, and with it what TCP_INFO knows; a duplicate outlives that.
        self._watch = transport.socket.dup()
        if self._owner.nodelay:
            transport.setTcpNoDelay(True)
        seconds = int(self._owner.keepalive_s)
        if seconds:
            transport.setTcpKeepAlive(True)
            for option, value in (
                (socket.TCP_KEEPIDLE, seconds),
                (socket.TCP_KEEPINTVL, seconds),
                (socket.TCP_KEEPCNT, 3),
            ):
                transport.socket.setsockopt(socket.IPPROTO_TCP, option, value)
        self._owner.connected(self)
        transport.registerProducer(self, False)

    def dataReceived(self, data: bytes) -> None:
        """A collector never answers; whatever this is, it is read (so that its end is seen) and dropped."""

    def readConnectionLost(self) -> None:
        if self._half_closed:
            self.consumed = True
            self.transport.loseConnection()  # type: ignore[union-attr]
        else:
            self.closed_by_peer = True
            self.abort()

    def writeConnectionLost(self) -> None:
        """Our half-close has been sent."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._socket = None
        self._rest = []
        try:
            self._owner.lost(self, reason)
        finally:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
