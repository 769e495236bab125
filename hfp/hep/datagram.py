"""
One UDP datagram as one HEP3 packet, or the kind of fault that it is.

Does no I/O, counts and logs nothing.  `hfp.intake` calls it for every datagram that its own look at id and length does
not already know as a whole HEP3 packet.
"""

from __future__ import annotations

from hfp.errors import MalformedPacket
from hfp.hep.framing import GREETING
from hfp.hep.junk import ENOUGH, classify
from hfp.hep.legacy import to_hep3
from hfp.hep.wire import EEP3, HEADER, HEP3, SMALLEST_PACKET, plausible

#: Every kind of fault that `from_datagram` raises.  Those that streams have as well have the same names there.
DATAGRAM_FAULTS = (
    "tls",
    "http",
    "sip",
    "gzip",
    "length",
    "other",
    "truncated",
    "empty",
    "family",
    "greeting",
    "too-big",
)


def from_datagram(datagram: bytes, now_ns: int) -> bytes:
    """
    The HEP3 packet that a datagram is or stands for.

    :param now_ns: Unix time of receipt in nanoseconds; the time of a HEP1 packet.
    :returns: *datagram* itself if it is HEP3 with the right length (its chunks are not looked at); HEP3 without the
        octets that follow it; HEP1 and HEP2 as HEP3.
    :raises MalformedPacket: with one of `DATAGRAM_FAULTS`:

        * ``empty``: no octets
        * ``truncated``: HEP that ends before its own end
        * ``length``: HEP3 with octets behind its end, and no packet up to there
        * ``family``: HEP1 or HEP2 whose addresses are neither IPv4 nor IPv6
        * ``too-big``: HEP1 or HEP2 that would exceed 65535 octets as HEP3
        * ``greeting``: what the Go HFP writes once; harmless
        * ``tls``, ``http``, ``sip``, ``gzip``, ``other``: as `hfp.hep.junk.classify` says
    """
    if not datagram:
        raise MalformedPacket("empty", "the datagram has no octets")
    if datagram[:4] in (HEP3, EEP3):
        return _sized(datagram)
    if datagram[0] in (1, 2):
        return to_hep3(datagram, now_ns)
    if datagram.startswith(GREETING):
        raise MalformedPacket("greeting", "the greeting of a Go HFP")
    if HEP3.startswith(datagram) or EEP3.startswith(datagram):
        raise MalformedPacket("truncated", f"{len(datagram)} octets are not a whole HEP3 header")
    kind = classify(datagram[:ENOUGH])
    raise MalformedPacket(kind, f"not HEP but {kind}")


def _sized(datagram: bytes) -> bytes:
    if len(datagram) < SMALLEST_PACKET:
        raise MalformedPacket("truncated", f"{len(datagram)} octets are not a whole HEP3 header")
    length = HEADER.unpack_from(datagram)[1]
    if length == len(datagram):
        return datagram
    if length > len(datagram):
        raise MalformedPacket("truncated", f"{len(datagram)} octets of a HEP3 packet of {length}")
    packet = datagram[:length]
    if not plausible(packet, 0):
        raise MalformedPacket("length", f"the length is {length}, the datagram has {len(datagram)} octets")
    return packet
