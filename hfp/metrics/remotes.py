"""
The metrics of each remote, and of its place in the spool.
"""

from __future__ import annotations

from hfp.metrics.series import Series, cursors, dropped, uplinks, uplinks_by

REMOTES: tuple[Series, ...] = (
    uplinks("hfp_remote_up", "gauge", "1 while the remote is connected, else 0.", lambda uplink: uplink.up),
    uplinks(
        "hfp_remote_stalled",
        "gauge",
        "1 while the remote is connected but has not read for some time, else 0.",
        lambda uplink: uplink.stalled,
    ),
    uplinks(
        "hfp_remote_state_seconds",
        "gauge",
        "Seconds since the remote's connection was made or lost.",
        lambda uplink: uplink.since_s,
    ),
    uplinks_by(
        "result",
        "hfp_remote_connects_total",
        "Attempts to connect to the remote, by result.",
        lambda uplink: uplink.connects,
    ),
    uplinks_by(
        "cause",
        "hfp_remote_losses_total",
        "Connections to the remote that were lost, by cause.",
        lambda uplink: uplink.losses,
    ),
    uplinks(
        "hfp_packets_sent_total",
        "counter",
        "Packets given to the remote's connection for the first time.",
        lambda uplink: uplink.sent.packets,
    ),
    uplinks(
        "hfp_bytes_sent_total",
        "counter",
        "Bytes of packets given to the remote's connection for the first time.",
        lambda uplink: uplink.sent.octets,
    ),
    uplinks(
        "hfp_packets_resent_total",
        "counter",
        "Packets given to the remote's connection again, after a loss; at most so many arrived twice.",
        lambda uplink: uplink.resent.packets,
    ),
    uplinks(
        "hfp_bytes_resent_total",
        "counter",
        "Bytes of packets given to the remote's connection again, after a loss.",
        lambda uplink: uplink.resent.octets,
    ),
    uplinks(
        "hfp_packets_confirmed_total",
        "counter",
        "Packets confirmed at the remote.",
        lambda uplink: uplink.confirmed.packets,
    ),
    uplinks(
        "hfp_bytes_confirmed_total",
        "counter",
        "Bytes of packets confirmed at the remote.",
        lambda uplink: uplink.confirmed.octets,
    ),
    uplinks(
        "hfp_remote_lagging_packets",
        "gauge",
        "Packets in the spool that were not yet given to the remote's connection.",
        lambda uplink: uplink.lagging.packets,
    ),
    uplinks(
        "hfp_remote_lagging_bytes",
        "gauge",
        "Bytes of packets in the spool that were not yet given to the remote's connection.",
        lambda uplink: uplink.lagging.octets,
    ),
    uplinks(
        "hfp_remote_drains_total",
        "counter",
        "Backlogs sent to the remote to their end.",
        lambda uplink: uplink.drains,
    ),
    uplinks(
        "hfp_remote_failed_drains_total",
        "counter",
        "Connections lost before a backlog was sent to its end.",
        lambda uplink: uplink.failed_drains,
    ),
    cursors(
        "hfp_remote_configured",
        "1 for a remote of the command line, 0 for one whose place in the spool is only kept (see --forget).",
        lambda cursor: cursor.configured,
    ),
    cursors(
        "hfp_remote_unconfirmed_packets",
        "Packets in the spool that the remote has not confirmed.",
        lambda cursor: cursor.unconfirmed.packets,
    ),
    cursors(
        "hfp_remote_unconfirmed_bytes",
        "Bytes of packets in the spool that the remote has not confirmed.",
        lambda cursor: cursor.unconfirmed.octets,
    ),
    cursors(
        "hfp_remote_oldest_age_seconds",
        "Age of the oldest packet that the remote has not confirmed, seconds since its receipt; 0 if there is none.",
        lambda cursor: cursor.oldest_s,
    ),
    dropped(
        "hfp_packets_dropped_total",
        "Packets that the remote will never get, by reason; those that the spool refused have no remote.",
        lambda amount: amount.packets,
    ),
    dropped(
        "hfp_bytes_dropped_total",
        "Bytes of packets that the remote will never get, by reason; those that the spool refused have no remote.",
        lambda amount: amount.octets,
    ),
)
