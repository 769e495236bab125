"""
The metrics of the spool.
"""

from __future__ import annotations

from hfp.metrics.series import Series, breakdown, counter, gauge

SPOOL: tuple[Series, ...] = (
    gauge(
        "hfp_spool_disk_bytes",
        "Bytes that the spool's files take, recycled and damaged ones included.",
        lambda status: status.spool.disk_octets,
    ),
    gauge(
        "hfp_spool_limit_bytes",
        "The limit set for the spool in bytes; 0 for none.",
        lambda status: status.spool.limit_octets,
    ),
    gauge(
        "hfp_spool_backlog_packets",
        "Packets in the spool that the slowest configured remote has not confirmed.",
        lambda status: status.spool.backlog.packets,
    ),
    gauge(
        "hfp_spool_backlog_bytes",
        "Bytes of packets in the spool that the slowest configured remote has not confirmed.",
        lambda status: status.spool.backlog.octets,
    ),
    breakdown(
        "state",
        "hfp_spool_segments",
        "Segments of the spool by state: live (with packets), spare (for reuse), quarantined (damaged), memory.",
        lambda status: {
            "live": status.spool.segments,
            "spare": status.spool.spare_segments,
            "quarantined": status.spool.quarantined_segments,
            "memory": status.spool.memory_segments,
        },
        kind="gauge",
    ),
    counter(
        "hfp_spool_segments_freed_total",
        "Segments freed because all remotes had confirmed them.",
        lambda status: status.spool.flushes,
    ),
    gauge(
        "hfp_spool_full",
        "1 while the spool is at its limit and drops, refuses or holds up what comes, else 0.",
        lambda status: status.spool.full,
    ),
    gauge(
        "hfp_spool_degraded",
        "1 while the disk takes no data and packets are in memory only, else 0.",
        lambda status: status.spool.degraded,
    ),
    counter("hfp_spool_syncs_total", "Syncs to disk that succeeded.", lambda status: status.spool.syncs),
    counter("hfp_spool_sync_errors_total", "Syncs to disk that failed.", lambda status: status.spool.sync_errors),
    counter(
        "hfp_spool_sync_seconds_total",
        "Time spent in syncs to disk, seconds.",
        lambda status: status.spool.sync_s,
    ),
    gauge(
        "hfp_spool_last_sync_seconds",
        "How long the newest sync to disk took, seconds.",
        lambda status: status.spool.last_sync_s,
    ),
    counter(
        "hfp_spool_write_errors_total",
        "Writes to disk that failed.",
        lambda status: status.spool.write_errors,
    ),
    counter(
        "hfp_spool_corrupt_records_total",
        "Places in the spool that were skipped because they did not validate.",
        lambda status: status.spool.corrupt_records,
    ),
    counter(
        "hfp_spool_corrupt_packets_total",
        "Packets lost in skipped places of the spool.",
        lambda status: status.spool.corrupt.packets,
    ),
    counter(
        "hfp_spool_corrupt_bytes_total",
        "Bytes of packets lost in skipped places of the spool.",
        lambda status: status.spool.corrupt.octets,
    ),
    counter(
        "hfp_spool_torn_tails_total",
        "Unfinished records cut off at the end of the spool when it was opened.",
        lambda status: status.spool.torn,
    ),
)
