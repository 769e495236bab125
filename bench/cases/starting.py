"""From exec to accepting, with an empty spool; and to the first packet delivered."""

from __future__ import annotations

import contextlib

from bench.children import free_port
from bench.errors import BenchError
from bench.figures import Row, Target, samples_of
from bench.load import Collector
from bench.relays import connect_when_ready, start_relay
from bench.session import Session

__all__ = ["starting"]

_CASE = "empty spool"
_TARGET = Target("<", 1)
_TIMEOUT_S = 20.0


def starting(session: Session) -> list[Row]:
    """One unmeasured start of each relay comes first: it compiles modules and fetches files from the disk."""

    def run(relay_name: str) -> tuple[float, float]:
        with contextlib.ExitStack() as stack:
            collector_port, port = free_port(), free_port()
            collector = stack.enter_context(Collector(session.kit, collector_port))
            collector.expect(1, 1, 1)
            directory = stack.enter_context(session.scratch())
            relay = stack.enter_context(start_relay(relay_name, directory, port, collector_port))
            connection, accepted_ns = connect_when_ready(relay, port)
            with connection:
                connection.sendall(session.kit.sent.path.read_bytes())
                delivered_ns = collector.wait_complete(_TIMEOUT_S)
            if delivered_ns is None:
                raise BenchError("the first packet was not delivered")
            return (accepted_ns - relay.started_ns) / 1e9, (delivered_ns - relay.started_ns) / 1e9

    session.alternate("starting, unmeasured", session.relays, 1, run)
    runs = session.alternate("starting", session.relays, session.plan.runs, run)
    accepting, delivering = (samples_of({n: [r[i] for r in rs] for n, rs in runs.items()}) for i in range(2))
    return [
        Row(_CASE, "from exec to accepting", "s", accepting, digits=3, target=_TARGET),
        Row(_CASE, "from exec to the first packet delivered", "s", delivering, digits=3),
    ]
