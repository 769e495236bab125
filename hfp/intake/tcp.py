"""
HEP3 over TCP: one `HepReceiver` per sender frames what the pool reads; nothing is ever written back to a sender.

TLS is not known here, save that `HepReceiverFactory.over_tls` leads to `hfp.intake.tls`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from hfp.hep import Framer
from hfp.intake.access import Access, plain_host
from hfp.intake.deadlines import Deadlines
from hfp.intake.faults import Faults
from hfp.intake.members import StreamMember
from hfp.intake.pool import ReadPool
from hfp.intake.screening import screened
from hfp.interfaces import IScreen, Sender
from hfp.logs import Logger, Repeats


class _Stream(Framer):
    """A framer that tells whether a packet has begun."""

    __slots__ = ()

    @property
    def begun(self) -> bool:
        """Octets wait for the rest of a packet."""
        return bool(self._tail)


class HepReceiver(Protocol):
    """
    Frames one sender's stream into the pool's batch.

    :ivar sender: who it is, from the moment of connecting.
    :ivar packets: whole packets received.
    :ivar was_cut: `cut` was called.
    """

    _log = Logger()
    factory: HepReceiverFactory
    kind = "tcp"

    def __init__(self, pool: ReadPool, screens: Sequence[IScreen] = ()) -> None:
        self._pool = pool
        self._screens = screens
        self._framer = _Stream(self._fault)
        self._raw: Any = None  # the TCP transport
        self._fd = -1
        self.was_cut = False
        self.packets = 0
        self.seen_packets = 0  # `Deadlines` keeps these two here
        self.sweeps = 0

    @property
    def begun(self) -> bool:
        """A packet has begun and is not complete."""
        return self._framer.begun

    def connectionMade(self) -> None:
        self._begin(self.transport)

    def dataReceived(self, data: bytes) -> None:
        # Hot: once per read.
        framer = self._framer
        if self._screens:
            packets = self._screened(data)
        else:
            pool = self._pool
            packets = framer.feed(data, pool.pieces)
            pool.packets += packets
        self.packets += packets
        if framer.lost:
            self._give_up()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._pool.remove(self._fd)
        self._framer.close()
        self.factory.closed(self, self._framer.skipped)

    def cut(self) -> None:
        """Close the connection at once: it took too long."""
        self.was_cut = True
        self._pool.remove(self._fd)
        self._raw.abortConnection()

    def close(self) -> None:
        """Close the connection."""
        self._pool.remove(self._fd)
        self._raw.loseConnection()

    def _begin(self, raw: Any) -> None:
        self._raw = raw
        self._fd = raw.fileno()
        peer = raw.getPeer()
        # A socket without an address (AF_UNIX) has no host.
        self.sender = Sender(self.kind, plain_host(getattr(peer, "host", "")), getattr(peer, "port", 0))
        self.factory.opened(self)
        raw.stopReading()
        self._pool.add(self._member(raw))

    def _member(self, raw: Any) -> StreamMember:
        return StreamMember(raw, self.dataReceived)

    def _screened(self, data: bytes) -> int:
        """As without screens, but only what all of them let pass joins the batch."""
        pieces: list[bytes | bytearray | memoryview] = []
        packets = self._framer.feed(data, pieces)
        if packets:
            passed, count = screened(self._screens, pieces, packets, self.sender)
            self._pool.pieces += passed
            self._pool.packets += count
        return packets

    def _give_up(self) -> None:
        if not self._raw.disconnecting:
            self.close()

    def _fault(self, kind: str, sample: bytes) -> None:
        if not self.was_cut:  # else it is counted as a deadline that was missed
            self.factory.faults.stream(kind, self.sender.host, sample)


class HepReceiverFactory(Factory):
    """
    Receivers for one or more listening ports, and what they count together.

    :param repeats: keeps the log lines few.
    :param access: who may connect; everybody if it is left out.
    :param faults: counts what is not HEP.
    :param screens: look at each packet.
    :param deadline_s: for a connection's first packet, and to complete one that has begun, seconds; 0 for none.

    :ivar connects: connections accepted, since the start.
    :ivar invalid: by kind, how often a stream was not HEP.
    :ivar skipped: octets thrown away, since the start.
    :ivar last_connect_at: Unix time of the newest connection, seconds; 0 before the first.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        pool: ReadPool,
        clock: Any,
        repeats: Repeats,
        access: Access | None = None,
        faults: Faults | None = None,
        screens: Sequence[IScreen] = (),
        deadline_s: float = 0.0,
    ) -> None:
        self.pool = pool
        self.clock = clock
        self.access = access or Access((), 0, 0, repeats)
        self.faults = faults or Faults(repeats)
        self.screens = tuple(screens)
        self._open: set[HepReceiver] = set()
        self.deadlines = Deadlines(self._open, pool, clock, deadline_s, repeats)
        self.connects = 0
        self.invalid = self.faults.invalid
        self.skipped = 0
        self.last_connect_at = 0.0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self.receiver(addr, HepReceiver)

    def receiver(self, addr: Any, kind: type[HepReceiver]) -> HepReceiver | None:
        """A receiver for a new connection; None if it may not be, and then Twisted closes it."""
        if not self.access.admits(plain_host(getattr(addr, "host", ""))):
            return None
        receiver = kind(self.pool, self.screens)
        receiver.factory = self
        return receiver

    def over_tls(self, creator: Any) -> IProtocolFactory:
        """
        The same for a port where senders speak TLS.

        :param creator: IOpenSSLServerConnectionCreator, or what else Twisted takes as a context factory.
        """
        from hfp.intake.tls import TlsReceiverFactory  # needs pyOpenSSL, which only hfp[tls] brings

        return TlsReceiverFactory(self, creator)

    @property
    def connected(self) -> int:
        """Senders connected now."""
        return len(self._open)

    def opened(self, receiver: HepReceiver) -> None:
        """A sender has connected."""
        self._open.add(receiver)
        self.access.opened(receiver.sender.host)
        self.connects += 1
        self.last_connect_at = self.clock.seconds()
        self.deadlines.watch()
        self._log.debug("sender {sender} connected", sender=receiver.sender)

    def closed(self, receiver: HepReceiver, skipped: int) -> None:
        """A sender's connection has ended."""
        if receiver in self._open:
            self._open.discard(receiver)
            self.access.closed(receiver.sender.host)
        self.skipped += skipped

    def close_all(self) -> None:
        """Close every sender's connection."""
        self.deadlines.stop()
        for receiver in list(self._open):
            receiver.close()
