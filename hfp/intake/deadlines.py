"""
Connections that take too long: to bring a first packet, or to complete one that has begun.

There is no timer per connection and none per read: one sweep each second, or four within a short deadline, looks at
all of them.  What counts is sweeps at which the pool was reading: while the spool makes it pause, senders wait through
no fault of theirs.  A connection on which no packet has begun may be idle for ever.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from hfp.intake.pool import ReadPool
from hfp.logs import Repeats

if TYPE_CHECKING:
    from hfp.intake.tcp import HepReceiver

#: Seconds between two sweeps, at most.
SWEEP_S = 1.0

#: What can be late, and what the operator can do about it.
CURES = {
    "first-packet": "has sent no whole packet since it connected; check what it is, and that both speak TLS or neither",
    "whole-packet": "has begun a packet and not completed it; check the sender and the network on the way",
}


class Deadlines:
    """
    The sweep.

    :param receivers: those that are open; looked at, never changed.
    :param pool: says whether it is paused.
    :param clock: IReactorTime.
    :param limit_s: seconds; 0 for no deadlines.

    :ivar missed: by kind, how many connections were closed.
    """

    def __init__(
        self, receivers: AbstractSet[HepReceiver], pool: ReadPool, clock: Any, limit_s: float, repeats: Repeats
    ) -> None:
        self._receivers = receivers
        self._pool = pool
        self._clock = clock
        self._limit_s = limit_s
        self._sweep_s = min(SWEEP_S, limit_s / 4)
        self._repeats = repeats
        self._call: Any = None
        self.missed = dict.fromkeys(CURES, 0)

    def watch(self) -> None:
        """A connection has been opened."""
        if self._limit_s and self._call is None:
            self._call = self._clock.callLater(self._sweep_s, self._sweep)

    def stop(self) -> None:
        """Look no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._limit_s = 0.0

    def _sweep(self) -> None:
        self._call = None
        if not self._pool.paused:
            for receiver in list(self._receivers):
                if not receiver.was_cut:
                    self._look(receiver)
        if self._receivers:
            self.watch()

    def _look(self, receiver: HepReceiver) -> None:
        if receiver.packets != receiver.seen_packets or (receiver.packets and not receiver.begun):
            receiver.seen_packets = receiver.packets
            receiver.sweeps = 0
            return
        receiver.sweeps += 1
        # The first of these sweeps came at any time after the beginning, so one more than fit into the limit.
        if (receiver.sweeps - 1) * self._sweep_s < self._limit_s:
            return
        kind = "whole-packet" if receiver.packets else "first-packet"
        self.missed[kind] += 1
        host = receiver.sender.host
        self._repeats.warn(
            (host, kind),
            "closed a connection of sender {host}, which {cure} ({kind}, after {limit_s:g} s; --packet-deadline "
            "SECONDS gives it longer)",
            host=host,
            cure=CURES[kind],
            limit_s=self._limit_s,
            kind=kind,
        )
        receiver.cut()
