"""Memory in the steady state: a load as a busy site has it, a collector that keeps up, after a burst."""

from __future__ import annotations

from bench.figures import Row, Target, samples_of
from bench.meters import rss_bytes
from bench.rig import rig
from bench.session import Session

__all__ = ["memory"]

_RATE = 20_000
_CONNECTIONS = 20
_CASE = f"{_CONNECTIONS} connections, {_RATE} packets/s"
_TARGET = Target("<", 50)


def memory(session: Session) -> list[Row]:
    """One packet per write; the burst before it is there because what a burst took should be given back."""
    plan = session.plan

    def run(relay: str) -> tuple[float, float, float]:
        with rig(session, relay, _CONNECTIONS) as row:
            assert row.relay is not None
            row.send(int(plan.single_packets * plan.warming_share), 1)
            passage = row.send(int(plan.steady_s * _RATE), 1, _RATE)
            return rss_bytes(row.relay.pid) / 1e6, passage.peak_rss_bytes / 1e6, passage.cpu_ns_per_packet

    runs = session.alternate("memory, " + _CASE, session.relays, plan.runs, run)
    steady, peak, cost = (samples_of({n: [r[i] for r in rs] for n, rs in runs.items()}) for i in range(3))
    return [
        Row(_CASE, "memory (RSS), steady", "MB", steady, digits=1, target=_TARGET),
        Row(_CASE, "peak memory (RSS), burst before included", "MB", peak, digits=1),
        Row(_CASE, "CPU time per packet", "ns", cost),
    ]
