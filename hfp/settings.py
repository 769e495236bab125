"""
What the operator chose, as one frozen record.  Made by `hfp.options`; read by `hfp.preflight` and `hfp.service`.
"""

from __future__ import annotations

from itertools import combinations

from attrs import frozen

from hfp.addresses import ListenSpec, RemoteSpec
from hfp.errors import UsageProblem
from hfp.spool import FullPolicy


@frozen(kw_only=True)
class Settings:
    """
    All that the operator chose; the result of parsing.

    :param listen: where senders connect, one or more, none overlapping another.
    :param remotes: the collectors, one or more, none twice; each gets everything.
    :param spool: the spool's directory, absolute.
    :param spool_limit_octets: what the spool may take on disk; 0 for the file system's reserve alone.
    :param spool_full: what to do at that limit.
    :param sync_s: how long unconfirmed data may stay unsynced, seconds; 0 syncs before a batch counts as taken.
    :param resend_window_s: after an unclean loss, what was acknowledged less than this long ago is sent again, seconds.
    :param replay_rate_octets: octets per second of a backlog to one remote; 0 for no bound.
    :param reconnect_s: longest pause between two attempts to connect, seconds.
    :param keepalive_s: idle time before TCP probes the collector, whole seconds; 0 for no probes.
    :param nodelay: whether an uplink sets ``TCP_NODELAY``.
    :param prom: where ``/metrics`` is served; ``None`` for nowhere.
    :param debug: whether debug events are logged.
    :param forget: canonical names of remotes, none configured, whose kept cursors go.
    """

    listen: tuple[ListenSpec, ...]
    remotes: tuple[RemoteSpec, ...]
    spool: str
    spool_limit_octets: int
    spool_full: FullPolicy
    sync_s: float
    resend_window_s: float
    replay_rate_octets: int
    reconnect_s: float
    keepalive_s: int
    nodelay: bool
    prom: ListenSpec | None
    debug: bool
    forget: tuple[str, ...]


def check(settings: Settings) -> None:
    """
    Look for what no option can tell by itself.

    :raises UsageProblem: when two options contradict each other.
    """
    for one, other in combinations(settings.listen, 2):
        if one.overlaps(other):
            raise UsageProblem(f"--listen {other.name}: overlaps --listen {one.name}; leave one of the two out")
    for listener in settings.listen:
        if settings.prom and settings.prom.overlaps(listener):
            raise UsageProblem(f"--prom {settings.prom.name}: overlaps --listen {listener.name}; choose another port")
        for remote in settings.remotes:
            if remote.reaches(listener):
                raise UsageProblem(
                    f"--remote {remote.name}: is this hfp's own --listen {listener.name}, packets would go in circles; "
                    "change one of the two ports"
                )
    names = [remote.name for remote in settings.remotes]
    for name in names:
        if names.count(name) > 1:
            raise UsageProblem(f"--remote {name}: is given twice; once is enough to get everything")
        if name in settings.forget:
            raise UsageProblem(f"--forget {name}: is also a --remote; leave one of the two out")
