"""
The protocol, sans I/O: what a HEP packet is, how to find packets in a stream or a datagram, look into one, build one.

Knows no reactor and no other room.  ``docs/codec.rst`` is the manual.  Source of the facts: HEP3 Network Protocol
Specification, revision 37; each module names the section.
"""

from hfp.hep.catalogue import ProtocolType, protocol_type_name, protocol_type_number
from hfp.hep.chunks import Chunk, Vendor
from hfp.hep.datagram import DATAGRAM_FAULTS, from_datagram
from hfp.hep.describe import describe
from hfp.hep.encoding import encode
from hfp.hep.fields import FIELDS
from hfp.hep.framing import FAULT_KINDS, Framer
from hfp.hep.inflate import LARGEST_PAYLOAD, inflate
from hfp.hep.junk import classify
from hfp.hep.legacy import LegacyPacket, parse_legacy, to_hep3
from hfp.hep.masking import mask
from hfp.hep.packet import Packet, RawChunk, build
from hfp.hep.ping import ping
from hfp.hep.splitting import split
from hfp.hep.wire import EEP3, HEADER, HEP3, LARGEST_PACKET, SMALLEST_PACKET, plausible

__all__ = [
    "DATAGRAM_FAULTS",
    "EEP3",
    "FAULT_KINDS",
    "FIELDS",
    "HEADER",
    "HEP3",
    "LARGEST_PACKET",
    "LARGEST_PAYLOAD",
    "SMALLEST_PACKET",
    "Chunk",
    "Framer",
    "LegacyPacket",
    "Packet",
    "ProtocolType",
    "RawChunk",
    "Vendor",
    "build",
    "classify",
    "describe",
    "encode",
    "from_datagram",
    "inflate",
    "mask",
    "parse_legacy",
    "ping",
    "plausible",
    "protocol_type_name",
    "protocol_type_number",
    "split",
    "to_hep3",
]
