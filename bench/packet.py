"""
The HEP3 packet that every case sends: 600 octets, with a SIP message whose Call-ID carries the generator's stamp.

Built here once, so that the bench depends on none of the code that it measures.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

__all__ = ["PACKET_OCTETS", "build_packet"]

PACKET_OCTETS = 600
"""Octets in one packet, the HEP3 header included."""

_STAMP = b"00000000-0000000000000000"
"""Where ``src/stamp.h`` puts sequence number and time."""

_CHUNK = struct.Struct(">HHH")
"""Vendor, type and length of a chunk, its own six octets included (HEP3 specification, *Generic chunk*)."""

_SIP = b"\r\n".join(
    [
        b"OPTIONS sip:ping@192.0.2.20 SIP/2.0",
        b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-bench",
        b"From: <sip:bench@192.0.2.10>;tag=1",
        b"To: <sip:ping@192.0.2.20>",
        b"Call-ID: " + _STAMP + b"@192.0.2.10",
        b"CSeq: 1 OPTIONS",
        b"Max-Forwards: 70",
        b"User-Agent: %b",
        b"Content-Length: 0",
        b"",
        b"",
    ]
)


def _chunk(kind: int, value: bytes) -> bytes:
    return _CHUNK.pack(0, kind, _CHUNK.size + len(value)) + value


def build_packet() -> tuple[bytes, int]:
    """
    Build the packet.

    :returns: its :data:`PACKET_OCTETS` octets, and the offset of the stamp in them.
    """
    chunks = b"".join(
        [
            _chunk(0x0001, b"\x02"),  # IPv4
            _chunk(0x0002, b"\x11"),  # UDP
            _chunk(0x0003, IPv4Address("192.0.2.10").packed),
            _chunk(0x0004, IPv4Address("192.0.2.20").packed),
            _chunk(0x0007, struct.pack(">H", 5060)),
            _chunk(0x0008, struct.pack(">H", 5060)),
            _chunk(0x0009, struct.pack(">I", 1_700_000_000)),
            _chunk(0x000A, struct.pack(">I", 250_000)),
            _chunk(0x000B, b"\x01"),  # SIP
            _chunk(0x000C, struct.pack(">I", 2001)),
        ]
    )
    room = PACKET_OCTETS - 6 - len(chunks) - _CHUNK.size
    payload = _SIP % (b"x" * (room - len(_SIP) + len(b"%b")))
    packet = b"HEP3" + struct.pack(">H", PACKET_OCTETS) + chunks + _chunk(0x000F, payload)
    return packet, packet.index(_STAMP)
