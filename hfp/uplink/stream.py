"""
What TCP and TLS connections to a collector have in common: octets into the socket, what became of them out of
``TCP_INFO``.

They send what their owner gives them and know nothing of the log.  They write to the socket themselves instead of to
Twisted's transport: that takes one system call per batch, no copy, and no turn of the reactor (the transport's own
buffer stays empty); when the socket is full they keep the rest of that batch and have the reactor wake them as a pull
producer.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from hfp.logs import Logger
from hfp.uplink.connection import IUplinkConnection, LinkFault, Look
from hfp.uplink.liveness import judge
from hfp.uplink.tcpinfo import TcpInfo, tcp_info

#: The two ports that everybody uses, and what speaks there.
USUAL_PORTS = (
    "heplify-server's stock configuration speaks TLS (not plain TCP) on TCP port 9060; HOMER 11 takes plain TCP on 9061"
    " (its README) or 9060 (its examples)"
)


@implementer(IUplinkConnection, IHalfCloseableProtocol, IPullProducer)
class StreamUplink(Protocol):
    """
    :param owner: an `IUplinkOwner`.
    :param clock: provides IReactorTime.
    """

    _log = Logger()

    confirms = True
    takes_datagrams = False

    def __init__(self, owner: Any, clock: Any) -> None:
        self._owner = owner
        self._clock = clock
        self._rest: list[memoryview] = []
        self._socket: Any = None
        self._watch: Any = None
        self._half_closed = False
        self._is_up = False
        self.given = 0
        self.packets = 0
        self.consumed = False
        self.closed_by_peer = False
        self.fault: LinkFault | None = None
        self.up: Deferred[Any] = Deferred(self._give_up)

    # For the transports

    def open(self) -> None:
        """The socket is connected: do what must come before the first packet, then call `begin`."""
        raise NotImplementedError

    def give(self, pieces: list[Any], octets: int, packets: int) -> bool:
        """See `IUplinkConnection.give`."""
        raise NotImplementedError

    def acknowledged(self, octets: int) -> int:
        """
        Of the octets given, how many the peer's kernel has.

        :param octets: what it has of all that went into the socket.
        """
        raise NotImplementedError

    def unopened(self, reason: Failure) -> Failure:
        """Why an attempt ended before `begin`, as an operator understands it; *reason* is what Twisted says."""
        return reason

    # Being up, or not

    def begin(self) -> None:
        """The peer is there: the owner may give."""
        self._is_up = True
        self._owner.connected(self)
        self.up.callback(self)
        self.resumeProducing()

    def fail(self, fault: LinkFault) -> None:
        """The connection is of no use: end it, and say why."""
        if self.fault is not None:
            return
        self.fault = fault
        if not self.up.called:
            self.up.errback(Failure(fault))
        transport: Any = self.transport
        transport.unregisterProducer()
        transport.loseConnection()  # not abort: what was just sent may tell the peer why

    def _give_up(self, up: Deferred[Any]) -> None:
        """The attempt was cancelled, or has lasted too long."""
        up.errback(self.unopened(Failure(CancelledError())))
        self.abort()

    # Sending

    @property
    def full(self) -> bool:
        """See `IUplinkConnection.full`."""
        return bool(self._rest)

    def hurry(self, on: bool) -> None:
        """
        Whether small segments go at once (``TCP_NODELAY``) or wait for the acknowledgement of earlier ones.

        A peer that never answers acknowledges late: waiting for it adds 20 ms to a packet, and 40 at times.
        """
        if not self._owner.nodelay:
            self.transport.setTcpNoDelay(on)  # type: ignore[union-attr]

    def ask(self) -> None:
        """See `IUplinkConnection.ask`."""
        self.transport.startWriting()  # type: ignore[union-attr]

    def send(self, octets: bytes) -> None:
        """Send something that is not of the log; if the socket is full, in its turn."""
        if not octets:
            return
        if self._rest:  # as one buffer: there may be many of these, and sendmsg takes 1024
            self._rest = [memoryview(b"".join([*self._rest, octets]))]
            return
        try:
            taken = self._socket.send(octets)
        except OSError:  # full, or broken; the reactor will find the latter too and end the connection
            taken = 0
        if taken < len(octets):
            self.keep([octets], taken)
            self.ask()

    def keep(self, pieces: list[Any], taken: int) -> None:
        """Keep what the socket did not take."""
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
                taken = self._socket.sendmsg(rest)
            except OSError:
                taken = 0
            self.keep(rest, taken)
            if self._rest:
                self.ask()
                return
        if self._is_up:
            self._owner.ready(self)

    def stopProducing(self) -> None:
        """The transport is closing; what it did not take is still in the log."""

    # Knowing

    def look(self) -> Look | None:
        """See `IUplinkConnection.look`."""
        info = self._info()
        if info is None:
            return None
        return Look(self.acknowledged(info.acked - 1), info.window, judge(info))  # 1: the SYN

    def _info(self) -> TcpInfo | None:
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
        """See `IUplinkConnection.abort`."""
        self.transport.abortConnection()  # type: ignore[union-attr]

    # Called by Twisted

    def connectionMade(self) -> None:
        transport: Any = self.transport
        peer = transport.getPeer()
        if self._owner.is_own("tcp", peer, transport.getHost()):
            self.fail(
                LinkFault("loop", f"{peer.host} port {peer.port} is one of this hfp's own listeners; correct --remote")
            )
            return
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
        transport.registerProducer(self, False)
        self.open()

    def peer_closed(self) -> None:
        """The peer will send no more."""
        if self._half_closed:
            self.consumed = True
            self.transport.loseConnection()  # type: ignore[union-attr]
        else:
            self.closed_by_peer = True
            self.abort()

    def readConnectionLost(self) -> None:
        self.peer_closed()

    def writeConnectionLost(self) -> None:
        """Our half-close has been sent."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._socket = None
        self._rest = []
        try:
            if self._is_up:
                self._owner.lost(self, reason)
            elif reason is not None and not self.up.called:
                self.up.errback(self.unopened(reason))
        finally:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
