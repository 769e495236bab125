"""
What the operator chose about every uplink.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen


@frozen(kw_only=True)
class UplinkSettings:
    """
    :param resend_window_s: what was acknowledged less than this ago is sent again after a loss, seconds.
    :param replay_rate_octets: octets per second of a backlog; 0 for no limit.
    :param reconnect_s: longest pause between attempts to connect, seconds.
    :param keepalive_s: silence before an idle connection is probed, seconds; 0 for never.
    :param nodelay: send small segments at once, those of a backlog too.
    :param hello: makes the packet that each new connection sends first, which does not count as one; None for none.
    """

    resend_window_s: float = 2.0
    replay_rate_octets: int = 0
    reconnect_s: float = 5.0
    keepalive_s: float = 5.0
    nodelay: bool = False
    hello: Callable[[], bytes] | None = None
