"""How much later a packet arrives because of the relay, at a rate at which nothing has to wait."""

from __future__ import annotations

from bench.figures import DIRECT, Row, Target, samples_of
from bench.quiet import disturbance
from bench.rig import Passage, others_share, rig
from bench.session import Session

__all__ = ["latency"]

_RATE = 1000
_WARMING = 500
_CASE = f"1 connection, {_RATE} packets/s"
_TARGETS = {"p50": Target("<", 0.5), "p99": Target("<", 3.0)}


def latency(session: Session) -> list[Row]:
    """
    The time from just before the write to just after the collector's read, one packet per write, evenly spaced.

    What is added is the difference to the direct way, percentile by percentile, run by run.
    """

    def run(relay: str) -> Passage:
        with rig(session, relay, 1) as row:
            row.send(_WARMING, 1, _RATE)
            return row.send(int(session.plan.latency_s * _RATE), 1, _RATE)

    relays = (*session.relays, DIRECT)
    runs = session.alternate("latency, " + _CASE, relays, session.plan.runs, run, others_share)
    disturbed = disturbance([p.others_share for p in passages] for passages in runs.values())
    rows = []
    for mark, target in _TARGETS.items():
        whole = {name: [p.arrivals.latency_ns[mark] / 1e6 for p in ps] for name, ps in runs.items()}
        added = {
            name: [via - ground for via, ground in zip(values, whole[DIRECT], strict=False)]
            for name, values in whole.items()
            if name != DIRECT
        }
        rows.append(Row(_CASE, f"latency, {mark}", "ms", samples_of(whole), digits=3))
        rows.append(
            Row(
                _CASE, f"added latency, {mark}", "ms", samples_of(added), digits=3, target=target, disturbance=disturbed
            )
        )
    cost = {name: [p.cpu_ns_per_packet for p in ps] for name, ps in runs.items() if name != DIRECT}
    rows.append(Row(_CASE, "CPU time per packet", "ns", samples_of(cost)))
    return rows
