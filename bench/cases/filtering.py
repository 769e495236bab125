"""What filters cost: INVITE requests, one per write, all of which every filter passes."""

from __future__ import annotations

from bench.figures import HFP, Row, Target
from bench.load import LoadKit
from bench.packet import build_invite
from bench.relays import Setup
from bench.session import Session
from bench.variants import BASELINE, Variant, baseline, cost_row, measure_variants

__all__ = ["filters"]

_IP = "ip:either=192.0.2.0/24:pass"
_TYPE = "type:sip"
_INVITE = "sip:(all request (method INVITE))"
_TWO = r'sip:(all (from "sip:\+1202555[0-9]+@") (header "User-Agent" "^Benchphone/[0-9.]+$"))'

_TEN = (
    _IP,
    "port:5060,5080-5090",
    _TYPE,
    "node:2001,2010-2019",
    _INVITE,
    _TWO,
    "sample:100",
    "dedup",
    "rate:10000000",
    "time",
)

_FILTERS: dict[str, tuple[tuple[str, ...], Target | None]] = {
    "no filter": ((), None),
    "ip": ((_IP,), Target("<=", 0.6, of_ratio=True)),
    "type": ((_TYPE,), Target("<=", 0.6, of_ratio=True)),
    _INVITE: ((_INVITE,), Target("<=", 1.2, of_ratio=True)),
    "sip, two regular expressions on headers": ((_TWO,), Target("<=", 2.0, of_ratio=True)),
    "ten filters": (_TEN, Target("<=", 4.0, of_ratio=True)),
}
"""By what the table calls them: the filters in their order, and at most how many times haproxy's cost."""

_CASE = f"1 connection, 1 packet per write, through filters; beside {BASELINE}"


def filters(session: Session) -> list[Row]:
    """One connection, as fast as it goes. A packet that a filter rejected would be reported as missing."""
    kit = LoadKit.prepare(session.kit.programs, session.directory, build_invite())
    variants = {
        name: Variant(HFP, session.plan.single_packets, setup=Setup(options=_options(chain)), kit=kit)
        for name, (chain, _target) in _FILTERS.items()
    }
    runs = measure_variants(session, "filters", {BASELINE: baseline(session, kit), **variants})
    return [
        cost_row(runs, _CASE, f"CPU time per packet, {name}", name, target)
        for name, (_chain, target) in _FILTERS.items()
    ]


def _options(chain: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for text in chain for part in ("--filter", text))
