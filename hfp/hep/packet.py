"""
Building HEP3 packets: what the demonstration, the tests and anyone who sends HEP need.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from hfp.hep.wire import CHUNK_HEADER, HEADER, HEP3_NUMBER, LARGEST_PACKET


class Chunk(IntEnum):
    """
    Types of the generic chunks (vendor 0), with the payload's type.

    Source: HEP3 Network Protocol Specification rev. 37, table "Generic chunks".
    """

    FAMILY = 0x01  # uint8: 2 IPv4, 10 IPv6
    PROTOCOL = 0x02  # uint8: IP protocol number
    SOURCE_IPV4 = 0x03  # 4 octets
    DESTINATION_IPV4 = 0x04  # 4 octets
    SOURCE_IPV6 = 0x05  # 16 octets
    DESTINATION_IPV6 = 0x06  # 16 octets
    SOURCE_PORT = 0x07  # uint16
    DESTINATION_PORT = 0x08  # uint16
    SECONDS = 0x09  # uint32: Unix time
    MICROSECONDS = 0x0A  # uint32
    PROTOCOL_TYPE = 0x0B  # uint8: 1 SIP, 5 RTCP as JSON, 100 log, ...
    AGENT_ID = 0x0C  # uint32
    KEEP_ALIVE = 0x0D  # uint16: seconds
    AUTHENTICATION_KEY = 0x0E  # octets
    PAYLOAD = 0x0F  # octets
    COMPRESSED_PAYLOAD = 0x10  # octets: gzip or zlib
    CORRELATION_ID = 0x11  # octets
    VLAN = 0x12  # uint16
    AGENT_NAME = 0x13  # octets


def build(chunks: Iterable[tuple[int, int, bytes]]) -> bytes:
    """
    One HEP3 packet.

    :param chunks: (vendor id, type id, payload) in the order in which they shall stand.
    :raises ValueError: if the packet would exceed 65535 octets.

    Source: HEP3 Network Protocol Specification rev. 37, sections "Header" and "Chunk".
    """
    parts = [b""]
    length = HEADER.size
    for vendor, kind, payload in chunks:
        size = CHUNK_HEADER.size + len(payload)
        length += size
        if length > LARGEST_PACKET:
            raise ValueError(f"a HEP3 packet has at most {LARGEST_PACKET} octets, this one would have {length} or more")
        parts += (CHUNK_HEADER.pack(vendor, kind, size), payload)
    parts[0] = HEADER.pack(HEP3_NUMBER, length)
    return b"".join(parts)
