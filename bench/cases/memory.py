"""
Memory in the steady state: a load as a busy site has it, a collector that keeps up, after a burst.

What is judged is hfp as it is installed without extras; Twisted alone is 12 MB larger where it finds OpenSSL.
"""

from __future__ import annotations

import importlib.util

from bench.figures import HAPROXY, HFP, Row, Target, samples_of
from bench.meters import rss_bytes
from bench.relays import PLAIN, Setup
from bench.rig import rig
from bench.session import Session

__all__ = ["memory"]

_RATE = 20_000
_CONNECTIONS = 20
_CASE = f"{_CONNECTIONS} connections, {_RATE} packets/s"
_TARGET = Target("<", 50)

_EXTRA = "hfp with its extra for TLS"
_SETUPS = {HFP: Setup(without_tls=True), HAPROXY: PLAIN, _EXTRA: PLAIN}


def memory(session: Session) -> list[Row]:
    """One packet per write; the burst before it is there because what a burst took should be given back."""
    plan = session.plan

    def run(name: str) -> tuple[float, float, float]:
        with rig(session, HFP if name == _EXTRA else name, _CONNECTIONS, setup=_SETUPS[name]) as row:
            assert row.relay is not None
            row.send(int(plan.single_packets * plan.warming_share), 1)
            passage = row.send(int(plan.steady_s * _RATE), 1, _RATE)
            return rss_bytes(row.relay.pid) / 1e6, passage.peak_rss_bytes / 1e6, passage.cpu_ns_per_packet

    is_installed = importlib.util.find_spec("OpenSSL") is not None
    more = (_EXTRA,) if is_installed and HFP in session.relays else ()
    runs = session.alternate("memory, " + _CASE, (*session.relays, *more), plan.runs, run)
    extra = [steady for steady, _peak, _cost in runs.pop(_EXTRA, [])]
    steady, peak, cost = (samples_of({n: [r[i] for r in rs] for n, rs in runs.items()}) for i in range(3))
    rows = [
        Row(_CASE, "memory (RSS), steady", "MB", steady, digits=1, target=_TARGET),
        Row(_CASE, "peak memory (RSS), burst before included", "MB", peak, digits=1),
        Row(_CASE, "CPU time per packet", "ns", cost),
    ]
    if extra:
        what = "memory (RSS), steady, where hfp[tls] is installed"
        rows.insert(1, Row(_CASE, what, "MB", samples_of({HFP: extra}), digits=1))
    return rows
