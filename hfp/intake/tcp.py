"""
HEP3 over TCP: one `HepReceiver` per sender frames what the pool reads; nothing is ever written back to a sender.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from hfp.hep import FAULT_KINDS, Framer
from hfp.intake.pool import ReadPool
from hfp.logs import Logger, Repeats

#: What the operator can do about each kind of fault.
CURES = {
    "tls": "the sender speaks TLS to a plain TCP port; switch TLS off there",
    "http": "something sends HTTP to the HEP port; check which program or health check that is",
    "sip": "the sender sends plain SIP, not HEP; check its capture settings (Kamailio: trace_mode)",
    "hep2": "HEP version 1 or 2 cannot be framed over TCP; set the sender to HEP version 3",
    "gzip": "the sender compresses whole packets (heplify: payload_zip); switch that off",
    "length": "the sender states an impossible packet length",
    "other": "what the sender sends is not HEP",
    "truncated": "the connection ended in the middle of a packet; the sender closed it, or hfp was stopped",
}


class HepReceiver(Protocol):
    """Frames one sender's stream into the pool's batch."""

    _log = Logger()
    factory: HepReceiverFactory

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool
        self._framer = Framer(self._fault)
        self._fd = -1

    def connectionMade(self) -> None:
        self._fd = self.transport.fileno()  # type: ignore[union-attr]
        self.factory.opened(self)
        self._pool.add(self.transport)

    def dataReceived(self, data: bytes) -> None:
        # Hot: once per read.
        pool = self._pool
        framer = self._framer
        pool.packets += framer.feed(data, pool.pieces)
        if framer.lost:
            self._give_up()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._pool.remove(self._fd)
        self._framer.close()
        self.factory.closed(self, self._framer.skipped)

    def _give_up(self) -> None:
        transport: Any = self.transport
        if not transport.disconnecting:
            self._pool.remove(self._fd)
            transport.loseConnection()

    def _fault(self, kind: str, sample: bytes) -> None:
        self.factory.fault(kind, sample, self.transport)


class HepReceiverFactory(Factory):
    """
    Receivers for one or more listening ports, and what they count together.

    :ivar connects: connections accepted, since the start.
    :ivar invalid: by kind, how often a stream was not HEP.
    :ivar skipped: octets thrown away, since the start.
    :ivar last_connect_at: Unix time of the newest connection, seconds; 0 before the first.
    """

    noisy = False
    _log = Logger()

    def __init__(self, pool: ReadPool, clock: Any, repeats: Repeats) -> None:
        self._pool = pool
        self._clock = clock
        self._repeats = repeats
        self._open: set[HepReceiver] = set()
        self.connects = 0
        self.invalid = dict.fromkeys(FAULT_KINDS, 0)
        self.skipped = 0
        self.last_connect_at = 0.0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        receiver = HepReceiver(self._pool)
        receiver.factory = self
        return receiver

    @property
    def connected(self) -> int:
        """Senders connected now."""
        return len(self._open)

    def opened(self, receiver: HepReceiver) -> None:
        """A sender has connected."""
        self._open.add(receiver)
        self.connects += 1
        self.last_connect_at = self._clock.seconds()
        self._log.debug("sender {peer} connected", peer=receiver.transport.getPeer())  # type: ignore[union-attr]

    def closed(self, receiver: HepReceiver, skipped: int) -> None:
        """A sender's connection has ended."""
        self._open.discard(receiver)
        self.skipped += skipped

    def fault(self, kind: str, sample: bytes, transport: Any) -> None:
        """A sender's stream was not HEP at some place: counted, logged once for each host and kind, then summarised."""
        self.invalid[kind] += 1
        host = transport.getPeer().host
        self._repeats.warn(
            (host, kind),
            "sender {host} sent what is not HEP ({kind}): {cure}; it began with {sample!r}",
            host=host,
            kind=kind,
            cure=CURES[kind],
            sample=sample[:16],
        )

    def close_all(self) -> None:
        """Close every sender's connection."""
        for receiver in list(self._open):
            receiver.transport.loseConnection()  # type: ignore[union-attr]
