"""
The catalogue of metrics, and the registry that publishes them.

Nothing is counted here: rooms count with plain integers, and `RelayCollector` turns a `hfp.status.RelayStatus` into
series when Prometheus asks.  A labelled counter per packet would cost more than relaying the packet.  So every series
is there from the start, and none outlives its remote.  Called by `hfp.service`; ``docs/metrics.rst`` is the same
catalogue for the operator, and a test holds the two together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from twisted import __version__ as twisted_version

from hfp import __version__
from hfp.series import Reading, Series, counter, cursors, dropped, gauge, untyped, uplinks, uplinks_by
from hfp.status import RelayStatus


def _invalid(status: RelayStatus) -> Iterable[Reading]:
    return [((kind,), count) for kind, count in status.intake.invalid.items()]


def _segments(status: RelayStatus) -> Iterable[Reading]:
    spool = status.spool
    return [
        (("live",), spool.segments),
        (("spare",), spool.spare_segments),
        (("quarantined",), spool.quarantined_segments),
        (("memory",), spool.memory_segments),
    ]


def _build(_: RelayStatus) -> Iterable[Reading]:
    return [((__version__, twisted_version, ".".join(map(str, sys.version_info[:3]))), 1)]


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

INTAKE: tuple[Series, ...] = (
    counter(
        "hfp_packets_received_total",
        "Whole packets taken from senders.",
        lambda status: status.intake.received.packets,
    ),
    counter(
        "hfp_bytes_received_total",
        "Bytes of the packets taken from senders.",
        lambda status: status.intake.received.octets,
    ),
    counter("hfp_reads_total", "Reads of senders' sockets that brought data.", lambda status: status.intake.reads),
    counter(
        "hfp_sender_connects_total",
        "Connections of senders accepted.",
        lambda status: status.intake.connects,
    ),
    gauge("hfp_senders_connected", "Senders connected now.", lambda status: status.intake.connected),
    Series(
        name="hfp_invalid_total",
        kind="counter",
        help="How often a sender's stream was not HEP, by what it was instead.",
        labels=("kind",),
        read=_invalid,
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
    Series(
        name="hfp_spool_segments",
        kind="gauge",
        help="Segments of the spool by state: live (with packets), spare (for reuse), quarantined (damaged), memory.",
        labels=("state",),
        read=_segments,
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

CATALOGUE: tuple[Series, ...] = GO_HFP + INTAKE + REMOTES + SPOOL + PROCESS


class RelayCollector(Collector):
    """
    Turns a status into series, at each scrape.

    :param status: gives the status of now; called once per scrape, in the thread that scrapes.
    """

    def __init__(self, status: Callable[[], RelayStatus]) -> None:
        self._status = status

    def describe(self) -> list[Metric]:
        """Name what `collect` gives, without asking for a status: the relay may not have started."""
        return [series.family() for series in CATALOGUE]

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        for series in CATALOGUE:
            family = series.family()
            for values, number in series.read(status):
                family.add_sample(series.name, dict(zip(series.labels, values, strict=True)), number)
            yield family


def make_registry(status: Callable[[], RelayStatus]) -> CollectorRegistry:
    """
    Make a registry of hfp's metrics and those of the process; never prometheus_client's global one.

    :param status: gives the status of now; not called before the first scrape.
    """
    registry = CollectorRegistry()
    registry.register(RelayCollector(status))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
