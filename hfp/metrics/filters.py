"""
The metrics of the filters; there are none where there is no filter.
"""

from __future__ import annotations

from hfp.metrics.series import Series

FILTERS: tuple[Series, ...] = (
    Series(
        name="hfp_filter_packets_total",
        kind="counter",
        help="Packets that the filter decided about, by verdict; those of error passed or not as --filter-errors says.",
        labels=("filter", "verdict"),
        read=lambda status: [
            ((one.name, verdict), count) for one in status.filters for verdict, count in one.packets.items()
        ],
    ),
    Series(
        name="hfp_filter_seconds_total",
        kind="counter",
        help="Time spent in the filter, seconds.",
        labels=("filter",),
        read=lambda status: [((one.name,), one.seconds) for one in status.filters],
    ),
)
