"""The things that are measured, by the names that ``--only`` takes, in the order in which they are."""

from __future__ import annotations

from collections.abc import Callable

from bench.cases.backlog import backlog
from bench.cases.datagrams import hep2, udp
from bench.cases.filtering import filters
from bench.cases.latency import latency
from bench.cases.memory import memory
from bench.cases.opening import opening
from bench.cases.relaying import connections, layouts, one_per_write, twenty_per_write
from bench.cases.secured import tls
from bench.cases.starting import starting
from bench.figures import Row
from bench.session import Session

__all__ = ["CASES", "NEEDS_HFP"]

CASES: dict[str, Callable[[Session], list[Row]]] = {
    "starting": starting,
    "one": one_per_write,
    "twenty": twenty_per_write,
    "connections": connections,
    "layouts": layouts,
    "udp": udp,
    "hep2": hep2,
    "tls": tls,
    "filters": filters,
    "latency": latency,
    "memory": memory,
    "backlog": backlog,
    "opening": opening,
}

NEEDS_HFP = frozenset({"udp", "hep2", "tls", "filters", "backlog", "opening"})
"""Those that say nothing without it, most of them because no other relay can do this."""
