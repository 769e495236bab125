"""
Measuring while the machine does nothing else: waiting for that, and measuring again where it did not last.

It matters more than noise usually does: a relay that another process keeps from its CPU finds more packets in each
read, so a disturbed haproxy takes a fifth of the CPU time per packet that it takes undisturbed. Waiting and measuring
again have a budget for the whole run of the bench; when it is spent, figures are taken as they come, with a remark.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import attrs

from bench.meters import machine_cpu_ns

__all__ = ["Quiet", "disturbance"]

T = TypeVar("T")

_DISTURBED = 0.15
"""The share of one CPU that others may take during a run. The kernel's own threads are among them."""

_AGAIN = 3
"""How often the same run may be repeated: whoever disturbs that long, will not stop soon."""

_IDLE = 0.10
_SPAN_S = 0.2


@attrs.define(eq=False)
class Quiet:
    """
    The patience of one run of the bench.

    :ivar waiting_s: how long it may still wait for silence.
    :ivar again: how many runs may still be repeated.
    """

    waiting_s: float
    again: int

    def wait(self) -> None:
        """Wait until all others take no more than a tenth of a CPU."""
        while self.waiting_s > 0:
            before, since_ns = machine_cpu_ns(), time.monotonic_ns()
            time.sleep(_SPAN_S)
            if machine_cpu_ns() - before <= _IDLE * (time.monotonic_ns() - since_ns):
                return
            self.waiting_s -= _SPAN_S

    def measure(self, run: Callable[[], T], others_share: Callable[[T], float]) -> T:
        """
        Measure, and again if others disturbed it.

        :returns: the least disturbed of the tries.
        """
        self.wait()
        best = run()
        for _again in range(_AGAIN):
            if others_share(best) <= _DISTURBED or self.again < 1:
                break
            self.again -= 1
            self.wait()
            best = min(best, run(), key=others_share)
        return best


def disturbance(others_shares: Iterable[Sequence[float]]) -> str:
    """
    What the reader must know about the figures of some relays.

    :param others_shares: for each relay, what share of a CPU others took in each of its runs.
    :returns: empty if the median run of each was quiet: medians are not impressed by the others.
    """
    most = max((statistics.median(shares) for shares in others_shares if shares), default=0.0)
    return f"disturbed: in the median run, other processes took {most:.0%} of a CPU" if most > _DISTURBED else ""
