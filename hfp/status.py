"""
What each room says of itself: frozen records that feed metrics, logs and pages alike.  Made when somebody asks
(a scrape, a log line), never per packet.  Counters only ever grow; everything else is as of the moment of asking.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen


@frozen(kw_only=True)
class Amount:
    """Packets, and the octets in them."""

    packets: int = 0
    octets: int = 0


@frozen(kw_only=True)
class IntakeStatus:
    """
    What came in.

    :param received: whole packets taken, since the start.
    :param connects: connections of senders accepted, since the start.
    :param connected: senders connected now.
    :param reads: reads of sockets that brought data.
    :param invalid: by kind (every kind is present, 0 included), how often a stream or a datagram was not HEP.
    :param skipped_octets: octets thrown away to find the next packet.
    :param last_packet_at: Unix time of the newest packet, seconds; 0 before the first.
    :param last_connect_at: Unix time of the newest connection, seconds; 0 before the first.
    :param paused: nothing is read now, because the spool is full and its policy is ``block``.
    :param refused: by reason (every reason is present), connections that the access rules refused.
    :param refused_datagrams: datagrams from hosts that may not send.
    :param deadlines: by kind (every kind is present), connections closed because a packet took too long.
    :param tls_failures: by kind (every kind is present), connections that TLS ended.
    :param datagrams: datagrams read, whatever was in them.
    :param converted: by version (``1``, ``2``), packets of which HEP3 was made.
    :param kernel_drops: by UDP listener, datagrams that the kernel dropped because the receive buffer was full.
    :param unauthenticated: packets rejected because they had no valid authentication key.
    :param unauthenticated_by_host: the same by sending host, ``other`` for all beyond the first hundred.
    """

    received: Amount = Amount()
    connects: int = 0
    connected: int = 0
    reads: int = 0
    invalid: Mapping[str, int] = field(factory=dict)
    skipped_octets: int = 0
    last_packet_at: float = 0.0
    last_connect_at: float = 0.0
    paused: bool = False
    refused: Mapping[str, int] = field(factory=dict)
    refused_datagrams: int = 0
    deadlines: Mapping[str, int] = field(factory=dict)
    tls_failures: Mapping[str, int] = field(factory=dict)
    datagrams: int = 0
    converted: Mapping[str, int] = field(factory=dict)
    kernel_drops: Mapping[str, int] = field(factory=dict)
    unauthenticated: int = 0
    unauthenticated_by_host: Mapping[str, int] = field(factory=dict)


@frozen(kw_only=True)
class CursorStatus:
    """
    One remote's place in the log.

    :param name: the remote, as the operator wrote it, in canonical form (``tcp:HOST:PORT``).
    :param configured: false for the kept cursor of a remote that is no longer asked for.
    :param unconfirmed: between the confirmed position and the end of the log.
    :param dropped: by reason (every reason is present), what this remote will never get.
    :param oldest_s: age of the oldest unconfirmed packet by its time of receipt, seconds; 0 if there is none.
    """

    name: str
    configured: bool
    unconfirmed: Amount = Amount()
    dropped: Mapping[str, Amount] = field(factory=dict)
    oldest_s: float = 0.0


@frozen(kw_only=True)
class SpoolStatus:
    """
    The durable log.

    :param disk_octets: what the spool's files take, spare and quarantined segments included.
    :param backlog: between the lowest cursor of a configured remote and the end of the log.
    :param limit_octets: ``--spool-limit``; 0 for none.
    :param segments: segments that hold records.
    :param spare_segments: recycled ones, kept for reuse.
    :param quarantined_segments: damaged ones, put aside.
    :param memory_segments: segments that live in memory because the disk refused.
    :param refused: batches that were refused by ``drop-newest`` or because the disk and the memory were full.
    :param corrupt_records: places in the log that were skipped because they did not validate.
    :param corrupt: what was lost in them, as far as the log can tell.
    :param torn: how often a torn tail was cut at the start.
    :param syncs: fdatasync calls that succeeded.
    :param sync_errors: ones that failed.
    :param sync_s: total time spent in them, seconds.
    :param last_sync_s: the newest one's duration, seconds.
    :param write_errors: appends to disk that failed (ENOSPC, EIO, ...).
    :param flushes: how often a segment full of delivered packets was freed.
    :param full: the limit is reached and something is being dropped, refused or held up.
    :param degraded: the disk does not take data now; packets are in memory only.
    :param cursors: every cursor, configured or kept.
    """

    disk_octets: int = 0
    backlog: Amount = Amount()
    limit_octets: int = 0
    segments: int = 0
    spare_segments: int = 0
    quarantined_segments: int = 0
    memory_segments: int = 0
    refused: Amount = Amount()
    corrupt_records: int = 0
    corrupt: Amount = Amount()
    torn: int = 0
    syncs: int = 0
    sync_errors: int = 0
    sync_s: float = 0.0
    last_sync_s: float = 0.0
    write_errors: int = 0
    flushes: int = 0
    full: bool = False
    degraded: bool = False
    cursors: tuple[CursorStatus, ...] = ()


@frozen(kw_only=True)
class UplinkStatus:
    """
    One connection to one collector.

    :param name: the remote in canonical form.
    :param up: connected now.
    :param stalled: connected, but the collector has not read for some time (its window is closed).
    :param connects: attempts made, by result (``ok``, ``refused``, ``timeout``, ``unreachable``, ``dns``, ``tls``,
        ``loop``, ``other``; every one is present).
    :param losses: connections lost that had been up, by cause (``closed``, ``reset``, ``dead``, ``tls``, ``refused``,
        ``other``; every one is present).
    :param sent: given to the socket for the first time.
    :param resent: given to the socket again, after a loss.
    :param confirmed: confirmed at the collector; stays 0 over UDP, where nothing ever is.
    :param dropped: left out because this remote cannot take it, by reason (``not-hep3``, ``too-big``; every one is
        present).
    :param lagging: between what was given to the socket and the end of the log.
    :param drains: how often a backlog was sent to its end.
    :param failed_drains: how often the connection was lost before a backlog was sent to its end.
    :param since_s: seconds in the present state (up or down).
    """

    name: str
    up: bool = False
    stalled: bool = False
    connects: Mapping[str, int] = field(factory=dict)
    losses: Mapping[str, int] = field(factory=dict)
    sent: Amount = Amount()
    resent: Amount = Amount()
    confirmed: Amount = Amount()
    dropped: Mapping[str, Amount] = field(factory=dict)
    lagging: Amount = Amount()
    drains: int = 0
    failed_drains: int = 0
    since_s: float = 0.0


@frozen(kw_only=True)
class FilterStatus:
    """
    One filter of the chain.

    :param name: its name, with ``#2`` and so on when it is used more than once.
    :param packets: by verdict (``pass``, ``reject``, ``rewrite``, ``error``; every one is present).
    :param seconds: time spent in it.
    """

    name: str
    packets: Mapping[str, int] = field(factory=dict)
    seconds: float = 0.0


@frozen(kw_only=True)
class RelayStatus:
    """
    The whole relay at one moment.

    :param now: Unix time, seconds.
    :param started_at: Unix time of the start, seconds.
    """

    now: float
    started_at: float
    intake: IntakeStatus
    spool: SpoolStatus
    uplinks: tuple[UplinkStatus, ...]
    filters: tuple[FilterStatus, ...] = ()
