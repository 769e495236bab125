"""
One connection to one collector: kept up, fed from the log, its delivery confirmed, resent after a loss.

Knows Twisted and `hfp.spool`'s cursors and readers; knows nothing of listeners, filters or HEP: what it sends are
opaque records, which hold whole packets.
"""

from hfp.uplink.settings import UplinkSettings
from hfp.uplink.uplink import Uplink

__all__ = ["Uplink", "UplinkSettings"]
