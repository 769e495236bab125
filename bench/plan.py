"""How much of what is measured. All counts are packets of 600 octets, all times seconds."""

from __future__ import annotations

import attrs

__all__ = ["FULL", "QUICK", "Plan"]


@attrs.frozen
class Plan:
    """
    The sizes of a run.

    :ivar runs: how often each relay is measured, in turn with the others.
    :ivar single_packets: packets per run with one packet per write.
    :ivar twenty_packets: packets per run with 20 packets per write.
    :ivar warming_share: what part of a run is sent before it, unmeasured, so that files and buffers are warm.
    :ivar latency_s: how long latencies are taken.
    :ivar paced_s: how long datagrams are sent at their rate.
    :ivar steady_s: how long the steady load lasts before memory is read.
    :ivar backlog_bytes: the backlog to drain.
    :ivar backlog_runs: how often that is done.
    :ivar opening_bytes: the spool to open.
    :ivar waiting_s: how long in all to wait for other processes to be quiet.
    :ivar again: how many runs in all may be repeated because others disturbed them.
    """

    runs: int = 5
    single_packets: int = 300_000
    twenty_packets: int = 1_000_000
    warming_share: float = 0.3
    latency_s: float = 4.0
    paced_s: float = 4.0
    steady_s: float = 3.0
    backlog_bytes: int = 1_000_000_000
    backlog_runs: int = 3
    opening_bytes: int = 4_000_000_000
    waiting_s: float = 60.0
    again: int = 20


FULL = Plan()

QUICK = Plan(
    runs=2,
    single_packets=100_000,
    twenty_packets=300_000,
    latency_s=1.0,
    paced_s=1.5,
    steady_s=1.0,
    backlog_bytes=250_000_000,
    backlog_runs=1,
    opening_bytes=500_000_000,
    waiting_s=10.0,
    again=5,
)
"""To see that the bench works, and to see a change of some size: not to publish."""
