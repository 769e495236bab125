"""Starting with a full spool: after a stop in order, and after SIGKILL."""

from __future__ import annotations

from bench.cases.outage import drain, fill, start_hfp
from bench.children import free_port
from bench.errors import BenchError
from bench.figures import HFP, Row, Target, samples_of
from bench.packet import PACKET_OCTETS
from bench.relays import connect_when_ready
from bench.session import Session

__all__ = ["opening"]

_OPENING = Target("<", 1)
_MORE = 1000
"""Packets taken between two openings, so that what is stopped or killed has a segment in use."""

_ORDERLY, _KILLED = "after a stop in order", "after SIGKILL"


def opening(session: Session) -> list[Row]:
    """Filled once, opened many times, and at the end drained, to see that it was all there."""
    size = session.plan.opening_bytes
    case = f"spool of {size / 1e9:g} GB"
    times: dict[str, list[float]] = {_ORDERLY: [], _KILLED: []}
    try:
        _measure(session, case, size, times)
    except BenchError as error:
        session.fault(f"{case}: {error}")
    return [
        Row(case, f"from exec to accepting, {how}", "s", samples_of({HFP: values}), digits=3, target=_OPENING)
        for how, values in times.items()
    ]


def _measure(session: Session, case: str, size: int, times: dict[str, list[float]]) -> None:
    session.check_disk_space(size)
    port, collector_port = free_port(), free_port()
    with session.scratch() as directory:
        session.say(f"{case}: filling")
        with start_hfp(directory, port, collector_port) as hfp:
            held = fill(session, hfp, port, size // PACKET_OCTETS)
        before = _ORDERLY
        for run in range(session.plan.runs * len(times)):
            session.say(f"{case}: opening {run + 1} of {session.plan.runs * len(times)}, {before}")
            session.quiet.wait()
            with start_hfp(directory, port, collector_port) as hfp:
                connection, accepted_ns = connect_when_ready(hfp, port)
                connection.close()
                times[before].append((accepted_ns - hfp.started_ns) / 1e9)
                held = fill(session, hfp, port, _MORE, held.packets)
                before = _KILLED if before == _ORDERLY else _ORDERLY
                hfp.stop(hard=before == _KILLED)
        session.say(f"{case}: draining, to see that it is all there")
        with start_hfp(directory, port, collector_port) as hfp:
            drain(session, hfp, collector_port, held)
