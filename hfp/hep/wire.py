"""
The HEP3 packet on the wire: constants, and whether octets look like a packet.

======  =====  ====================================================================================
offset  size   field (all integers big-endian)
======  =====  ====================================================================================
0       4      id: ``HEP3``, or ``EEP3``, the same protocol's other name in the specification
4       2      total length of the packet in octets, these six included: 6..65535
6       rest   chunks until the total length, each:

               * 2 vendor id
               * 2 type id
               * 2 length of the chunk in octets, these six included: 6..
               * payload
======  =====  ====================================================================================

Source: HEP3 Network Protocol Specification rev. 37, sections "Header" and "Chunk".
"""

from __future__ import annotations

import struct

HEP3 = b"HEP3"
EEP3 = b"EEP3"

#: The fixed header: id as a number, total length in octets.
HEADER = struct.Struct(
    ">"
    "I"  # id
    "H"  # total length
)
CHUNK_HEADER = struct.Struct(
    ">"
    "H"  # vendor id
    "H"  # type id
    "H"  # length
)

SMALLEST_PACKET = HEADER.size
LARGEST_PACKET = 0xFFFF

HEP3_NUMBER = int.from_bytes(HEP3, "big")
EEP3_NUMBER = int.from_bytes(EEP3, "big")


def plausible(octets: bytes | bytearray, at: int) -> bool | None:
    """
    Whether a whole, well-formed packet stands in *octets*: id, length, and chunks that fill the length exactly.

    :param at: where the packet would start.
    :returns: None while what is there is well-formed, but not all of it has arrived.
    """
    if len(octets) - at < HEADER.size:
        return None
    number, length = HEADER.unpack_from(octets, at)
    if (number != HEP3_NUMBER and number != EEP3_NUMBER) or length < SMALLEST_PACKET:
        return False
    end = at + length
    place = at + HEADER.size
    while place < end:
        if end - place < CHUNK_HEADER.size:
            return False
        if len(octets) - place < CHUNK_HEADER.size:
            return None
        chunk_length = CHUNK_HEADER.unpack_from(octets, place)[2]
        if chunk_length < CHUNK_HEADER.size:
            return False
        place += chunk_length
    if place != end:
        return False
    return True if len(octets) >= end else None
