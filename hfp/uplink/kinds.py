"""
The kinds of remotes, each with what an uplink of that kind needs to know.  `hfp.service` chooses one per remote.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from hfp.uplink.pace import Drip, Pace
from hfp.uplink.protocol import UplinkProtocol
from hfp.uplink.tls import TlsUplinkProtocol
from hfp.uplink.udp import Split, UdpUplinkProtocol

#: Octets read from the log at a time, unless a record has more.
READ_OCTETS = 512 * 1024
UDP_READ_OCTETS = 16 * 1024

#: Octets per second of a backlog over UDP, where the operator gives no ``--replay-rate``: 6,700 datagrams of 600.
#: Measured with a receiver that has Linux's default buffer and works 20 us on each datagram: unpaced, 2,382 of 20,000
#: arrive; at this rate all.
UDP_RATE_OCTETS = 4_000_000


@frozen(kw_only=True)
class Kind:
    """
    :param name: ``tcp``, ``tls`` or ``udp``.
    :param make: makes a connection (`hfp.uplink.connection.IUplinkConnection`) of an owner and a clock.
    :param read_octets: how much is read from the log at a time.
    :param pace: makes the pace of a backlog of ``--replay-rate``, octets per second, 0 for none.
    """

    name: str
    make: Callable[[Any, Any], Any]
    read_octets: int = READ_OCTETS
    pace: Callable[[int], Pace] = Pace


TCP = Kind(name="tcp", make=UplinkProtocol)


def tls_kind(creator: Any) -> Kind:
    """
    :param creator: from `hfp.tls.client_creator`.
    """
    return Kind(name="tls", make=lambda owner, clock: TlsUplinkProtocol(owner, clock, creator))


def udp_kind(split: Split) -> Kind:
    """
    :param split: finds the whole packets in a buffer of one or more of them.
    """
    return Kind(
        name="udp",
        make=lambda owner, clock: UdpUplinkProtocol(owner, clock, split),
        read_octets=UDP_READ_OCTETS,
        pace=lambda rate: Drip(rate or UDP_RATE_OCTETS),
    )
