"""Samples, targets, and the rows of the table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping

import attrs

__all__ = ["DIRECT", "HAPROXY", "HFP", "Row", "Sample", "Target", "samples_of"]

HFP = "hfp"
HAPROXY = "haproxy"
DIRECT = "direct"
"""No relay: the generator sends to the collector. The ground that the others stand on."""


@attrs.frozen
class Sample:
    """The same thing, measured in several runs."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the runs: the figure that counts."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The least of the runs."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The greatest of the runs."""
        return max(self.values)


@attrs.frozen
class Target:
    """
    What hfp should reach.

    :ivar sense: ``<``, ``<=`` or ``>=``.
    :ivar limit: in the row's unit, or as a ratio.
    :ivar of_ratio: whether it is the ratio to haproxy that is judged, and not hfp's own figure.
    """

    sense: str
    limit: float
    of_ratio: bool = False

    def met_by(self, value: float) -> bool:
        """Whether a figure reaches it."""
        if self.sense == "<":
            return value < self.limit
        return value <= self.limit if self.sense == "<=" else value >= self.limit


@attrs.frozen
class Row:
    """
    One line of the table.

    :ivar case: under what circumstances.
    :ivar what: what was measured.
    :ivar unit: its unit.
    :ivar samples: by relay: :data:`HFP`, :data:`HAPROXY`, :data:`DIRECT`; those that there are.
    :ivar digits: decimals to print.
    :ivar target: what hfp should reach, if anything was promised.
    :ivar note: what the reader must know about this row.
    :ivar disturbance: how other processes disturbed it; empty if they did not.
    """

    case: str
    what: str
    unit: str
    samples: Mapping[str, Sample]
    digits: int = 0
    target: Target | None = None
    note: str = ""
    disturbance: str = ""

    @property
    def ratio(self) -> float | None:
        """hfp's median to haproxy's; ``None`` when one is missing, or was nothing."""
        hfp, haproxy = self.samples.get(HFP), self.samples.get(HAPROXY)
        return hfp.median / haproxy.median if hfp and haproxy and haproxy.median > 0 else None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; ``None`` when there is none, or nothing to judge it by."""
        if self.target is None:
            return None
        hfp = self.samples.get(HFP)
        own = hfp.median if hfp else None
        value = self.ratio if self.target.of_ratio else own
        return None if value is None else self.target.met_by(value)


def samples_of(runs: Mapping[str, Iterable[float]]) -> dict[str, Sample]:
    """Samples by relay, leaving out the relays that have no run."""
    by_relay = {name: Sample(tuple(values)) for name, values in runs.items()}
    return {name: sample for name, sample in by_relay.items() if sample.values}
