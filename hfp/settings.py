"""
What the operator chose, as one frozen record.  Made by `hfp.options`; read by `hfp.preflight` and `hfp.service`.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from itertools import combinations

from attrs import frozen

from hfp.addresses import ListenSpec, RemoteSpec
from hfp.errors import UsageProblem
from hfp.filters.loading import FilterSpec
from hfp.secrets import Secret
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
    :param convert: make HEP3 of HEP1 and HEP2; else they go on as they are, to udp remotes only.
    :param allow: networks that may send; none for everybody.
    :param auth_keys: where the keys come from of which each packet must carry one; none for no such rule.
    :param max_connections: senders connected at a time.
    :param max_connections_per_host: of one address.
    :param packet_deadline_s: for a connection's first packet, and to complete one that has begun, seconds.
    :param hello_key: where the key comes from for the packet that is sent first on each connection to a collector.
    :param hepdecode: whether packets are logged, decoded.
    :param filters: what decides which packets go on, in order.
    :param filter_errors: ``pass`` or ``reject``: what becomes of a packet about which a filter fails.
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
    convert: bool
    allow: tuple[IPv4Network | IPv6Network, ...]
    auth_keys: tuple[Secret, ...]
    max_connections: int
    max_connections_per_host: int
    packet_deadline_s: float
    hello_key: Secret | None
    hepdecode: bool
    filters: tuple[FilterSpec, ...]
    filter_errors: str
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
    if not settings.convert and all(remote.kind != "udp" for remote in settings.remotes):
        raise UsageProblem(
            "--convert off: HEP 1 and 2 can go on as they are to udp remotes only, and there is none; add one, or "
            "leave it on"
        )
    if not settings.convert:
        for option, given in (("--auth-key", settings.auth_keys), ("--filter", settings.filters)):
            if given:
                raise UsageProblem(
                    f"--convert off: {option} looks into HEP 3 only, so HEP 1 and 2 would get past it; leave one of "
                    "the two out"
                )
    names = [remote.name for remote in settings.remotes]
    for name in names:
        if names.count(name) > 1:
            raise UsageProblem(f"--remote {name}: is given twice; once is enough to get everything")
        if name in settings.forget:
            raise UsageProblem(f"--forget {name}: is also a --remote; leave one of the two out")
