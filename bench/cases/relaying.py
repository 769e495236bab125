"""CPU time per packet and throughput, as fast as the generator goes: by packets per write and by connections."""

from __future__ import annotations

import functools
import statistics

from bench.figures import DIRECT, Row, Target, samples_of
from bench.layout import APART, BESIDE, FREE, Layout
from bench.quiet import disturbance
from bench.rig import Passage, others_share, rig
from bench.session import Session

__all__ = ["connections", "layouts", "one_per_write", "twenty_per_write"]

_COUNTS = (1, 20, 500)

_SINGLE = Target("<=", 0.30, of_ratio=True)
_TWENTY = Target("<=", 2.0, of_ratio=True)
_GROWTH = Target("<=", 2.0)

_BUSY = 0.9
"""The share of its CPU below which a relay that has it to itself was not what limited the throughput."""


def _per_write(count: int) -> str:
    return f"{count} packet{'s'[: count > 1]} per write"


def _case(connection_count: int, per_write: int, layout: Layout) -> str:
    case = f"{connection_count} connection{'s'[: connection_count > 1]}, {_per_write(per_write)}"
    return case if layout is APART else f"{case}; {layout.words}"


@functools.cache  # some cases share a measurement
def _measure(session: Session, connection_count: int, per_write: int, layout: Layout) -> dict[str, list[Passage]]:
    plan = session.plan
    packets = plan.single_packets if per_write == 1 else plan.twenty_packets

    def run(relay: str) -> Passage:
        with rig(session, relay, connection_count, layout) as row:
            row.send(int(packets * plan.warming_share), per_write)
            return row.send(packets, per_write)

    case = _case(connection_count, per_write, layout)
    return session.alternate(case, (*session.relays, DIRECT), plan.runs, run, others_share)


def _rows(
    session: Session, connection_count: int, per_write: int, target: Target | None = None, layout: Layout = APART
) -> list[Row]:
    runs = _measure(session, connection_count, per_write, layout)
    case = _case(connection_count, per_write, layout)
    relays = {name: passages for name, passages in runs.items() if name != DIRECT}
    shares = {n: statistics.median(p.cpu_ns / p.elapsed_ns for p in ps) for n, ps in relays.items() if ps}
    idle = [f"{name} had {1 - share:.0%}" for name, share in shares.items() if share < _BUSY and layout is APART]
    return [
        Row(
            case,
            "CPU time per packet",
            "ns",
            samples_of({n: [p.cpu_ns_per_packet for p in ps] for n, ps in relays.items()}),
            target=target,
            disturbance=_disturbance(runs),
        ),
        Row(
            case,
            "throughput",
            "1000 packets/s",
            samples_of({n: [p.packets_per_s / 1000 for p in ps] for n, ps in runs.items()}),
            note="limited by the load, not the relay: of its CPU, " + " and ".join(idle) + " to spare" if idle else "",
        ),
        Row(
            case,
            "peak memory (RSS)",
            "MB",
            samples_of({n: [p.peak_rss_bytes / 1e6 for p in ps] for n, ps in relays.items()}),
            digits=1,
        ),
    ]


def one_per_write(session: Session) -> list[Row]:
    """One connection, one packet per write: what a capture agent does."""
    return _rows(session, 1, 1, _SINGLE)


def twenty_per_write(session: Session) -> list[Row]:
    """One connection, 20 packets per write: what a relay before us or a batching sender does."""
    return _rows(session, 1, 20, _TWENTY)


def connections(session: Session) -> list[Row]:
    """20 and 500 connections, and how the cost per packet grows from 1 to 500."""
    rows = []
    for per_write in (1, 20):
        for count in _COUNTS[1:]:
            rows += _rows(session, count, per_write)
        rows.append(_growth(session, per_write))
    return rows


def layouts(session: Session) -> list[Row]:
    """One connection with other divisions of the CPUs: how much the figures that are judged owe to theirs."""
    rows = []
    for layout in (BESIDE, FREE):
        for per_write in (1, 20):
            rows += _rows(session, 1, per_write, layout=layout)[:2]  # memory is no different
    return rows


def _disturbance(runs: dict[str, list[Passage]]) -> str:
    return disturbance([p.others_share for p in passages] for passages in runs.values())


def _median_cost(passages: list[Passage]) -> float:
    return statistics.median(p.cpu_ns_per_packet for p in passages)


def _growth(session: Session, per_write: int) -> Row:
    few, many = (_measure(session, count, per_write, APART) for count in (_COUNTS[0], _COUNTS[-1]))
    disturbed = _disturbance(few) or _disturbance(many)
    growth = {
        relay: [_median_cost(many[relay]) / _median_cost(few[relay])]
        for relay in session.relays
        if few[relay] and many[relay]
    }
    case = f"from {_COUNTS[0]} to {_COUNTS[-1]} connections, {_per_write(per_write)}"
    return Row(
        case, "growth of CPU time per packet", "x", samples_of(growth), digits=2, target=_GROWTH, disturbance=disturbed
    )
