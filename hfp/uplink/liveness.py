"""
Telling a dead collector from one that is merely slow.

Keepalive sees nothing while data is unacknowledged, and ``TCP_USER_TIMEOUT`` also ends the connection of a live
collector that has closed its window.  ``TCP_INFO`` tells them apart: a dead peer answers neither retransmissions nor
probes of the window; a stalled one answers its probes.
"""

from __future__ import annotations

from enum import Enum

from hfp.uplink.tcpinfo import TcpInfo

#: Seconds without any answer, while retransmissions or probes go out, after which a peer is dead.
DEAD_S = 10.0


class Life(Enum):
    """What a look at the connection says."""

    ALIVE = "alive"
    STALLED = "stalled"
    DEAD = "dead"


def judge(info: TcpInfo) -> Life:
    """Whether the peer is alive, takes nothing (but answers), or is gone."""
    if not info.unacked and not info.not_sent:
        return Life.ALIVE
    if info.last_ack_ms >= DEAD_S * 1000 and (info.retransmits > 0 or info.probes > 1):
        return Life.DEAD
    if info.not_sent and info.window == 0:
        return Life.STALLED
    return Life.ALIVE
