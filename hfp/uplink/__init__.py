"""
One connection to one collector, over TCP, TLS or UDP: kept up, fed from the log, its delivery confirmed as far as the
transport allows, resent after a loss.

Knows Twisted and `hfp.spool`'s cursors and readers; knows nothing of listeners, filters or HEP: what it sends are
opaque records, which hold whole packets.
"""

from hfp.uplink.datagrams import UdpEndpoint
from hfp.uplink.kinds import TCP, Kind, tls_kind, udp_kind
from hfp.uplink.settings import UplinkSettings
from hfp.uplink.uplink import Uplink

__all__ = ["TCP", "Kind", "UdpEndpoint", "Uplink", "UplinkSettings", "tls_kind", "udp_kind"]
