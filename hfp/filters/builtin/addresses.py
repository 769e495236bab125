"""
``ip``: by the addresses that the captured message went between.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from operator import attrgetter

from hfp.filters.arguments import Arguments
from hfp.filters.builtin.choice import Choice, Memo
from hfp.filters.builtin.ends import Known, choose
from hfp.interfaces import FilterContext
from hfp.networks import read_network, within

Network = IPv4Network | IPv6Network


def build(arguments: str, context: FilterContext) -> Choice:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/ip.rst`` has the grammar."""
    ends = (attrgetter("source"), attrgetter("destination"))
    return choose(Arguments(arguments), read_network, _among, ends, "ip:10.0.0.0/8, or src=, dst= and either=")


def _among(networks: list[Network]) -> Known:
    is_within = within(networks)
    return Memo(lambda address: address is not None and is_within(address))
