"""
Networks as the operator writes them.  Text in, networks out; called by `hfp.options`.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """
    Read ``192.0.2.0/24``, ``2001:db8::/32`` or a single address.

    :raises ValueError: with what is wrong and the cure.
    """
    plain = text.strip().removeprefix("[").replace("]", "")
    try:
        return ip_network(plain)
    except ValueError:
        pass
    try:
        meant = ip_network(plain, strict=False)
    except ValueError:
        raise ValueError("is no network; write for example 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1") from None
    raise ValueError(f"has bits behind its prefix; write {meant}")
