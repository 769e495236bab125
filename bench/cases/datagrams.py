"""Datagrams at a steady rate: that none is lost, what each costs, and what it costs to make HEP3 of HEP2."""

from __future__ import annotations

from bench.figures import HFP, Row, Target, samples_of
from bench.load import LoadKit
from bench.packet import build_legacy_ping
from bench.relays import Setup
from bench.session import Session
from bench.variants import BASELINE, Runs, Variant, baseline, cost_row, costs, disturbed, measure_variants

__all__ = ["hep2", "udp"]

_COSTS = {20_000: Target("<=", 1.05, of_ratio=True), 100_000: Target("<=", 0.9, of_ratio=True)}
"""By datagrams per second: at most so many times haproxy's cost per packet with one packet per write over TCP."""

_NONE = Target("<=", 0)
_CONVERSION = Target("<", 4000)

_OVER_UDP = Setup("udp")


def udp(session: Session) -> list[Row]:
    """One sender, evenly spaced datagrams, each one HEP3 packet; to the collector over TCP."""
    variants = {f"{rate} datagrams/s": _paced(session, rate) for rate in _COSTS}
    runs = measure_variants(session, "UDP", {BASELINE: baseline(session), **variants})
    rows = []
    for (rate, target), name in zip(_COSTS.items(), variants, strict=True):
        case = f"UDP, {rate} datagrams/s; beside {BASELINE}"
        rows += [cost_row(runs, case, "CPU time per packet", name, target), *_losses(runs, case, name)]
    return rows


def hep2(session: Session) -> list[Row]:
    """The same packet as a HEP2 datagram and as a HEP3 one; what leaves is the same in both cases."""
    kit = LoadKit.prepare(session.kit.programs, session.directory, build_legacy_ping())
    variants = {
        f"{version}, {rate}": _paced(session, rate, used)
        for rate in _COSTS
        for version, used in (("HEP3", None), ("HEP2", kit))
    }
    runs = measure_variants(session, "HEP2", variants)
    rows = []
    for rate in _COSTS:
        case = f"HEP2 to HEP3, {rate} datagrams/s"
        names = [f"{version}, {rate}" for version in ("HEP3", "HEP2")]
        ours, old = (costs(runs, name) for name in names)
        more = [with_it - without for without, with_it in zip(ours, old, strict=False)]
        rows += [
            Row(case, "CPU time per packet, HEP3", "ns", samples_of({HFP: ours})),
            Row(case, "CPU time per packet, HEP2", "ns", samples_of({HFP: old})),
            Row(
                case,
                "conversion, the difference",
                "ns",
                samples_of({HFP: more}),
                target=_CONVERSION,
                disturbance=disturbed(runs, *names),
            ),
            *_losses(runs, case, names[1]),
        ]
    return rows


def _paced(session: Session, rate: int, kit: LoadKit | None = None) -> Variant:
    return Variant(HFP, int(session.plan.paced_s * rate), rate=rate, setup=_OVER_UDP, kit=kit)


def _losses(runs: Runs, case: str, name: str) -> list[Row]:
    passages = runs[name]
    sent = [p.packets / (p.sent.ended_ns - p.sent.started_ns) * 1e6 for p in passages]
    return [
        Row(case, "sent", "1000 datagrams/s", samples_of({HFP: sent}), digits=1),
        Row(case, "lost", "datagrams", samples_of({HFP: [p.lost for p in passages]}), target=_NONE),
        Row(
            case,
            "hfp_udp_kernel_drops_total",
            "datagrams",
            samples_of({HFP: [p.kernel_drops for p in passages]}),
            target=_NONE,
        ),
    ]
