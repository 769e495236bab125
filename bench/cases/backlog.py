"""A collector that was away comes back: how fast the backlog drains, and with how much memory."""

from __future__ import annotations

from bench.cases.outage import drain, fill, start_hfp
from bench.children import free_port
from bench.figures import HFP, Row, Target, samples_of
from bench.meters import peak_rss_bytes
from bench.packet import PACKET_OCTETS
from bench.session import Session

__all__ = ["backlog"]

_DRAIN = Target(">=", 300)
_MEMORY = Target("<", 80)


def backlog(session: Session) -> list[Row]:
    """Filled, and drained, by one hfp that lives through both. The page cache is as the filling left it."""
    size = session.plan.backlog_bytes
    case = f"backlog of {size / 1e9:g} GB"

    def run(_relay: str) -> tuple[float, ...]:
        session.check_disk_space(size)
        port, collector_port = free_port(), free_port()
        with session.scratch() as directory, start_hfp(directory, port, collector_port) as hfp:
            held = fill(session, hfp, port, size // PACKET_OCTETS)
            filled_mb = peak_rss_bytes(hfp.pid) / 1e6
            drained = drain(session, hfp, collector_port, held)
            rate = held.packets * PACKET_OCTETS / drained.drained_s / 1e6
            return rate, peak_rss_bytes(hfp.pid) / 1e6, drained.waited_s, held.intake_mb_per_s, filled_mb

    runs = session.alternate(case, (HFP,), min(session.plan.runs, session.plan.backlog_runs), run)
    rates, memory, waits, intake, filled = (samples_of({HFP: [r[i] for r in runs[HFP]]}) for i in range(5))
    return [
        Row(case, "draining, from connection to the last packet", "MB/s", rates, target=_DRAIN),
        Row(case, "peak memory (RSS), filling and draining", "MB", memory, digits=1, target=_MEMORY),
        Row(case, "peak memory (RSS), filling", "MB", filled, digits=1),
        Row(case, "from the collector's return to connection", "s", waits, digits=2),
        Row(case, "taking it in with the collector away", "MB/s", intake),
    ]
