"""
The protocol, sans I/O: what a HEP3 packet is, how to find packets in a stream, how to build one.

Knows no reactor and no other room.  Source of the facts: HEP3 Network Protocol Specification, revision 37.
"""

from hfp.hep.framing import FAULT_KINDS, Framer
from hfp.hep.junk import classify
from hfp.hep.packet import Chunk, build
from hfp.hep.wire import EEP3, HEADER, HEP3, LARGEST_PACKET, SMALLEST_PACKET, plausible

__all__ = [
    "EEP3",
    "FAULT_KINDS",
    "HEADER",
    "HEP3",
    "LARGEST_PACKET",
    "SMALLEST_PACKET",
    "Chunk",
    "Framer",
    "build",
    "classify",
    "plausible",
]
