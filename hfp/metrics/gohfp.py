"""
The metrics that the Go HFP has, under its names.
"""

from __future__ import annotations

from hfp.metrics.series import Series, gauge, untyped

#: The names that the Go HFP has, with right values, so that its dashboards live on.  Its counters have no ``_total``,
#: and may not get one here.
GO_HFP: tuple[Series, ...] = (
    untyped(
        "hfp_client_connects_in",
        "Connections of senders accepted (the Go HFP's name of hfp_sender_connects_total).",
        lambda status: status.intake.connects,
    ),
    gauge(
        "hfp_connection_status_out",
        "1 while every configured remote is connected, else 0 (see hfp_remote_up for each).",
        lambda status: all(uplink.up for uplink in status.uplinks),
    ),
    gauge(
        "hfp_hep_bytes_in_file",
        "Bytes of packets in the spool that the slowest configured remote has not confirmed.",
        lambda status: status.spool.backlog.octets,
    ),
    untyped(
        "hfp_hep_file_flushes_success",
        "Backlogs sent to their end, all remotes together (see hfp_remote_drains_total).",
        lambda status: sum(uplink.drains for uplink in status.uplinks),
    ),
    untyped(
        "hfp_hep_file_flushes_error",
        "Backlogs whose sending was cut short, all remotes together (see hfp_remote_failed_drains_total).",
        lambda status: sum(uplink.failed_drains for uplink in status.uplinks),
    ),
    gauge(
        "hfp_client_in_last_metric_timestamp",
        "Unix time of the newest packet received, seconds; 0 before the first.",
        lambda status: status.intake.last_packet_at,
    ),
)
