"""
One connection to a collector over UDP: each packet goes into a datagram of its own.

Nobody ever confirms a datagram.  What is known is a refusal: an ICMP message that comes back.  It ends the connection,
and what was sent within the resend window goes again on the next one; what has seen no refusal for that long counts
as done.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from hfp.batch import is_datagrams, unpack_datagrams
from hfp.logs import Logger
from hfp.uplink.connection import IUplinkConnection, LinkFault, Look
from hfp.uplink.liveness import Life

#: Seconds that a refusal of what was sent last has to come back when hfp stops.
GRACE_S = 0.5

#: Seconds until the next try when the kernel's queue to the network is full, which it never says the end of.
CONGESTION_S = 0.01

#: Datagrams of a backlog that go at once.  Linux's default receive buffer, 212,992 octets, holds 166 of them that the
#: receiver has not read yet (1,280 octets each, also if small), and a batch may well have more.
BURST = 64

#: Finds the whole packets in a buffer of one or more of them.
Split = Callable[[Any], Iterable[memoryview]]

_CURES = {
    errno.ECONNREFUSED: "nothing listens on that UDP port there; start the collector, or correct the port",
    errno.EHOSTUNREACH: "that host cannot be reached; check the network on the way",
    errno.ENETUNREACH: "there is no route to that network; check the routes here",
    errno.EPERM: "a firewall on this machine forbids it; check its rules for what goes out",
    errno.EACCES: "this machine may not send there; a broadcast address is no collector",
}


@implementer(IUplinkConnection)
class UdpUplinkProtocol(Protocol):
    """
    :param owner: an `IUplinkOwner`.
    :param clock: provides IReactorTime.
    :param split: finds the packets in what is given.
    """

    _log = Logger()

    confirms = False
    takes_datagrams = True
    closed_by_peer = False

    def __init__(self, owner: Any, clock: Any, split: Split) -> None:
        self._owner = owner
        self._clock = clock
        self._split = split
        self._send: Callable[[Any], int]
        self._rest: list[Any] = []
        self._before = 0  # given before the newest batch
        self._is_up = False
        self._hurried = False
        self._pause: Any = None
        self.given = 0
        self.packets = 0
        self.consumed = False
        self.fault: LinkFault | None = None
        self.up: Deferred[Any] = Deferred()

    @property
    def full(self) -> bool:
        """See `IUplinkConnection.full`."""
        return bool(self._rest)

    def give(self, pieces: list[Any], octets: int, packets: int) -> bool:
        """See `IUplinkConnection.give`.  Hot, once per batch; its loop once per packet."""
        self._before = self.given
        self.given += octets
        self.packets += packets
        split = self._split
        datagrams = chain.from_iterable(
            unpack_datagrams(piece) if is_datagrams(piece) else split(piece) for piece in pieces
        )
        if not self._hurried:
            return self._push(list(datagrams))
        send = self._send
        datagram = None
        try:
            for datagram in datagrams:
                send(datagram)
        except OSError as problem:
            return self._push([datagram, *datagrams], problem)
        return True

    def _push(self, rest: list[Any], problem: OSError | None = None) -> bool:
        """
        Send datagrams, in bursts unless there is a hurry; leave out those that can never be sent, keep what must wait.

        :param problem: what came of sending the first; None if that was not tried yet.
        :returns: whether all were sent, or left out.
        """
        most = len(rest) if self._hurried else BURST
        for at, datagram in enumerate(rest):
            if at == most:
                self._keep(rest[at:], self._owner.spread_s)
                return False
            if problem is None:
                try:
                    self._send(datagram)
                    continue
                except OSError as refusal:
                    problem = refusal
            if problem.errno != errno.EMSGSIZE:
                self._keep(rest[at:], CONGESTION_S if problem.errno == errno.ENOBUFS else 0.0)
                if isinstance(problem, (BlockingIOError, InterruptedError)):
                    self.ask()
                elif problem.errno != errno.ENOBUFS:
                    self.transport.fail(problem)  # type: ignore[union-attr]
                return False
            self._owner.dropped(self, "too-big", len(datagram), sum(map(len, rest[at + 1 :])))
            problem = None
        return True

    def _keep(self, rest: list[Any], pause_s: float) -> None:
        self._rest = rest
        if pause_s:
            self._pause = self._clock.callLater(pause_s, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self.writable()

    def hurry(self, on: bool) -> None:
        """Live packets go as they come; a backlog's in bursts that a receiver's buffer can hold."""
        self._hurried = on

    def ask(self) -> None:
        """See `IUplinkConnection.ask`."""
        self.transport.startWriting()  # type: ignore[union-attr]

    def writable(self) -> None:
        """The socket can take more (called by the transport)."""
        if self.consumed or self._pause is not None:
            return
        rest, self._rest = self._rest, []
        if self._push(rest):
            self._owner.ready(self)

    def look(self) -> Look:
        """See `IUplinkConnection.look`: what was sent has arrived, as far as anybody can tell."""
        return Look(self._before if self._rest else self.given, -1, Life.ALIVE)

    def half_close(self) -> None:
        """There is nobody to tell; but what was sent last may still be refused."""
        self._clock.callLater(GRACE_S, self._consume)

    def _consume(self) -> None:
        if self._is_up:
            self.consumed = True
            self.abort()

    def abort(self) -> None:
        """See `IUplinkConnection.abort`."""
        self.transport.abortConnection()  # type: ignore[union-attr]

    # Called by the transport

    def connectionMade(self) -> None:
        transport: Any = self.transport
        peer = transport.getPeer()
        if self._owner.is_own("udp", peer, transport.getHost()):
            self.fault = LinkFault(
                "loop", f"{peer.host} port {peer.port} is one of this hfp's own listeners; correct --remote"
            )
            transport.abortConnection()
            self.up.errback(Failure(self.fault))
            return
        self._send = transport.socket.send
        self._is_up = True
        greeting = self._owner.greeting()
        if greeting:
            try:
                self._send(greeting)
            except OSError:  # it is worth no more than this; what is wrong shows with the first packet
                pass
        self._owner.connected(self)
        self.up.callback(self)
        self.ask()

    def connectionLost(self, reason: Failure | None = None) -> None:
        was_up, self._is_up = self._is_up, False
        self._rest = []
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        problem = reason.value if reason is not None else None
        if isinstance(problem, OSError) and self.fault is None:
            cure = _CURES.get(problem.errno or 0, "it cannot be sent to")
            self.fault = LinkFault("refused", f"{problem.strerror}: {cure}")
        if was_up:
            self._owner.lost(self, reason)
