"""
The metrics of what comes in.
"""

from __future__ import annotations

from hfp.metrics.series import Series, breakdown, counter, gauge

INTAKE: tuple[Series, ...] = (
    counter(
        "hfp_packets_received_total",
        "Whole packets taken from senders; those that keys or filters reject are not among them.",
        lambda status: status.intake.received.packets,
    ),
    counter(
        "hfp_bytes_received_total",
        "Bytes of the packets taken from senders; those that keys or filters reject are not among them.",
        lambda status: status.intake.received.octets,
    ),
    counter("hfp_reads_total", "Reads of senders' sockets that brought data.", lambda status: status.intake.reads),
    counter(
        "hfp_sender_connects_total",
        "Connections of senders accepted.",
        lambda status: status.intake.connects,
    ),
    gauge("hfp_senders_connected", "Senders connected now.", lambda status: status.intake.connected),
    breakdown(
        "kind",
        "hfp_invalid_total",
        "How often what a sender sent was not HEP, or not whole, by what it was instead.",
        lambda status: status.intake.invalid,
    ),
    counter(
        "hfp_datagrams_received_total",
        "Datagrams from senders, those that were refused or no HEP included.",
        lambda status: status.intake.datagrams,
    ),
    breakdown(
        "version",
        "hfp_packets_converted_total",
        "Packets of HEP version 1 and 2 that were made HEP 3.",
        lambda status: status.intake.converted,
    ),
    breakdown(
        "listener",
        "hfp_udp_kernel_drops_total",
        "Datagrams that the kernel dropped because the listener's receive buffer was full.",
        lambda status: status.intake.kernel_drops,
    ),
    breakdown(
        "reason",
        "hfp_connections_refused_total",
        "Connections of senders that were turned away, by reason.",
        lambda status: status.intake.refused,
    ),
    counter(
        "hfp_datagrams_refused_total",
        "Datagrams from senders that --allow does not name.",
        lambda status: status.intake.refused_datagrams,
    ),
    breakdown(
        "deadline",
        "hfp_deadlines_missed_total",
        "Connections of senders closed because a packet did not come in time, by which.",
        lambda status: status.intake.deadlines,
    ),
    breakdown(
        "kind",
        "hfp_tls_failures_total",
        "Connections of senders on which TLS failed, by what was wrong.",
        lambda status: status.intake.tls_failures,
    ),
    counter(
        "hfp_packets_unauthenticated_total",
        "Packets rejected because they carried none of the keys of --auth-key.",
        lambda status: status.intake.unauthenticated,
    ),
    breakdown(
        "sender",
        "hfp_sender_packets_unauthenticated_total",
        "The same by sender: the first hundred, and other for all further ones.",
        lambda status: status.intake.unauthenticated_by_host,
    ),
    counter(
        "hfp_bytes_skipped_total",
        "Bytes from senders thrown away to find the next packet.",
        lambda status: status.intake.skipped_octets,
    ),
    gauge(
        "hfp_intake_paused",
        "1 while nothing is read from senders because the spool is full and its policy is block, else 0.",
        lambda status: status.intake.paused,
    ),
    gauge(
        "hfp_last_packet_timestamp_seconds",
        "Unix time of the newest packet received, seconds; 0 before the first.",
        lambda status: status.intake.last_packet_at,
    ),
    gauge(
        "hfp_last_connect_timestamp_seconds",
        "Unix time of a sender's newest connection, seconds; 0 before the first.",
        lambda status: status.intake.last_connect_at,
    ),
)
