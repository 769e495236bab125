"""
Telling a dead collector from one that is merely slow.

Keepalive sees nothing while data is unacknowledged, and ``TCP_USER_TIMEOUT`` also ends the connection of a live
collector that has closed its window.  ``TCP_INFO`` tells them apart: a dead peer answers neither retransmissions nor
probes of the window; a stalled one answers its probes.
"""

from __future__ import annotations

from enum import Enum

from hfp.logs import Logger
from hfp.uplink.tcpinfo import TcpInfo

#: Seconds without any answer, while retransmissions or probes go out, after which a peer is dead.
DEAD_S = 10.0

#: Seconds of a closed window after which a collector is said to be stalled.
STALL_S = 5.0


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


class StallWatch:
    """
    Says once that a collector reads nothing, and once that it reads again.

    :param name: the remote's.

    :ivar told: the collector is stalled, and that was said.
    """

    _log = Logger()

    def __init__(self, name: str) -> None:
        self._name = name
        self._since: float | None = None
        self.told = False

    def note(self, stalled: bool, now: float) -> None:
        """
        :param stalled: what a look at the connection said; False when there is none.
        :param now: the time, seconds.
        """
        if not stalled:
            if self.told:
                self.told = False
                self._log.info("remote {name} is not stalled any more", name=self._name)
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= STALL_S and not self.told:
            self.told = True
            self._log.warn(
                "remote {name} is connected but has read nothing for {seconds:g} s; hfp waits and keeps what comes in",
                name=self._name,
                seconds=STALL_S,
            )
