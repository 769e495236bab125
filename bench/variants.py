"""The same load through several set-ups, in turn, so that their costs can be compared within one run."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bench.figures import HAPROXY, HFP, Row, Target, samples_of
from bench.load import LoadKit
from bench.quiet import disturbance
from bench.relays import PLAIN, Setup
from bench.rig import Passage, others_share, rig
from bench.session import Session

__all__ = ["BASELINE", "Runs", "Variant", "baseline", "cost_row", "costs", "disturbed", "measure_variants"]

BASELINE = "haproxy, TCP, one packet per write"
"""What the cost of a packet is compared with: the name of :func:`baseline` among the variants."""

Runs = Mapping[str, list[Passage]]
"""The runs of each variant, by its name; none, where its relay is not measured, or failed."""


@attrs.frozen
class Variant:
    """
    One connection through one relay.

    :ivar per_write: packets per write.
    :ivar rate: packets per second; 0: as fast as it goes.
    :ivar kit: what is sent; ``None``: the session's.
    """

    relay: str
    packets: int
    per_write: int = 1
    rate: float = 0
    setup: Setup = PLAIN
    kit: LoadKit | None = None


def baseline(session: Session, kit: LoadKit | None = None) -> Variant:
    """One connection through haproxy in TCP mode, one packet per write, as fast as it goes."""
    return Variant(HAPROXY, session.plan.single_packets, kit=kit)


def measure_variants(session: Session, case: str, variants: Mapping[str, Variant]) -> Runs:
    """Measure each in turn, again and again, with the warming that the plan says. Datagrams may be lost."""

    def run(name: str) -> Passage:
        variant = variants[name]
        warming = int(variant.packets * session.plan.warming_share)
        lossy = variant.setup.transport == "udp"
        with rig(session, variant.relay, 1, setup=variant.setup, kit=variant.kit) as row:
            row.send(warming, variant.per_write, variant.rate, lossy)
            # Other packets than before: a filter may know those.
            return row.send(variant.packets, variant.per_write, variant.rate, lossy, first=warming)

    measured = tuple(name for name, variant in variants.items() if variant.relay in session.relays)
    runs = session.alternate(case, measured, session.plan.runs, run, others_share)
    return {name: runs.get(name, []) for name in variants}


def costs(runs: Runs, name: str) -> list[float]:
    """CPU time of the relay per packet in each run, ns."""
    return [passage.cpu_ns_per_packet for passage in runs[name]]


def disturbed(runs: Runs, *names: str) -> str:
    """What the reader must know about figures that are taken from these variants."""
    return disturbance([passage.others_share for passage in runs[name]] for name in names)


def cost_row(runs: Runs, case: str, what: str, name: str, target: Target | None = None, against: str = BASELINE) -> Row:
    """
    CPU time per packet of one variant of hfp, beside that of one of haproxy.

    :param name: hfp's variant.
    :param against: haproxy's.
    """
    samples = samples_of({HFP: costs(runs, name), HAPROXY: costs(runs, against)})
    return Row(case, what, "ns", samples, target=target, disturbance=disturbed(runs, name, against))
