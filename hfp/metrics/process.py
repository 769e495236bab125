"""
The metrics of the process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from twisted import __version__ as twisted_version

from hfp import __version__
from hfp.metrics.series import Reading, Series, gauge
from hfp.status import RelayStatus


def _build(_: RelayStatus) -> Iterable[Reading]:
    return [((__version__, twisted_version, ".".join(map(str, sys.version_info[:3]))), 1)]


PROCESS: tuple[Series, ...] = (
    Series(
        name="hfp_build_info",
        kind="gauge",
        help="Always 1; the labels are the versions of hfp, Twisted and Python.",
        labels=("version", "twisted", "python"),
        read=_build,
    ),
    gauge(
        "hfp_start_time_seconds",
        "Unix time of the relay's start, seconds.",
        lambda status: status.started_at,
    ),
)
