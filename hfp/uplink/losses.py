"""
What became of a connection: the cause that a loss is counted by, and the words for it; and whether it led back here.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from twisted.python.failure import Failure

from hfp.uplink.connection import IUplinkConnection

#: Every cause that a loss is counted by.
LOSS_CAUSES = ("closed", "reset", "dead", "tls", "refused", "other")

#: Those that mean that nothing was taken: then there is no telling when it will be, and nothing to be careful about.
REFUSALS = ("refused", "tls")


def cause_of(connection: IUplinkConnection, reason: Failure, dead: bool) -> tuple[str, str]:
    """
    Why a connection was lost: one of `LOSS_CAUSES`, and the words for it.

    :param reason: what Twisted says.
    :param dead: whether it was given up because the peer did not answer.
    """
    words = reason.getErrorMessage()
    if dead:
        return "dead", words
    if connection.fault is not None:
        return connection.fault.kind, str(connection.fault)
    if connection.closed_by_peer:
        return "closed", "it closed the connection"
    return "reset" if "reset" in words.lower() or "lost" in words.lower() else "other", words


def own_address(peer: Any, host: Any) -> str | None:
    """
    Where a connection ends up, if it stays on this machine.

    Whoever connects to an address of the machine's own does so from that same address, and to a loopback one from one
    of these.

    :param peer: the other end.
    :param host: our end.
    :returns: the other end's IP address; None if that is another machine.
    """
    there, here = _plain(peer.host), _plain(host.host)
    return str(there) if there == here or there.is_loopback else None


def _plain(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
