"""
The packets that are sent: 600 octets of HEP3, with a SIP message whose Call-ID carries the generator's stamp.

Built here once, so that the bench depends on none of the code that it measures. They have the time at which they are
built: a packet of long ago is another one to whatever looks at times.
"""

from __future__ import annotations

import struct
import time
from ipaddress import IPv4Address

import attrs

__all__ = ["PACKET_OCTETS", "Load", "build_invite", "build_legacy_ping", "build_ping", "stamp_offset"]

PACKET_OCTETS = 600
"""Octets in one packet, the HEP3 header included."""

_STAMP = b"00000000-0000000000000000"
"""Where ``src/stamp.h`` puts sequence number and time."""

_CHUNK = struct.Struct(">HHH")
"""Vendor, type and length of a chunk, its own six octets included (HEP3 specification, *Generic chunk*)."""

_HEP2 = struct.Struct(">BBBBHH4s4s")
_HEP2_TIME = struct.Struct("<IIHH")
"""Version, header length, family, protocol, ports, addresses; seconds, microseconds, agent id and padding, in the
byte order of the sender's processor. The header length leaves the time out, as Kamailio's does."""

_SOURCE, _DESTINATION = (IPv4Address(address).packed for address in ("192.0.2.10", "192.0.2.20"))
_PORT = 5060
_MICROSECONDS = 250_000
_AGENT_ID = 2001
_IPV4, _UDP, _SIP = 2, 17, 1

_PING = b"\r\n".join(
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

_INVITE = b"\r\n".join(
    [
        b"INVITE sip:+12025550143@192.0.2.20 SIP/2.0",
        b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-bench",
        b'From: "Bench" <sip:+12025550199@192.0.2.10>;tag=1',
        b"To: <sip:+12025550143@192.0.2.20>",
        b"Call-ID: " + _STAMP + b"@192.0.2.10",
        b"CSeq: 1 INVITE",
        b"Contact: <sip:bench@192.0.2.10:5060>",
        b"Max-Forwards: 70",
        b"User-Agent: Benchphone/1.0",
        b"Content-Type: application/sdp",
        b"Content-Length: %d",
        b"",
        b"%b",
    ]
)

_SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=%b\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


@attrs.frozen
class Load:
    """
    One kind of packet.

    :ivar name: for its file.
    :ivar sent: what the generator sends.
    :ivar arriving: what the collector must get.
    """

    name: str
    sent: bytes
    arriving: bytes


def stamp_offset(octets: bytes) -> int:
    """Where the stamp is in a packet."""
    return octets.index(_STAMP)


def build_ping() -> Load:
    """An OPTIONS request: what every case sends that names nothing else."""
    packet = _hep3(_ping(), int(time.time()))
    return Load("ping", packet, packet)


def build_legacy_ping() -> Load:
    """The same as a HEP2 datagram of fewer octets, of which hfp makes the very same HEP3 packet."""
    seconds = int(time.time())
    head = _HEP2.pack(2, _HEP2.size, _IPV4, _UDP, _PORT, _PORT, _SOURCE, _DESTINATION)
    datagram = head + _HEP2_TIME.pack(seconds, _MICROSECONDS, _AGENT_ID, 0) + _ping()
    return Load("legacy-ping", datagram, _hep3(_ping(), seconds))


def build_invite() -> Load:
    """An INVITE request with SDP: for those who look into it."""
    room = _payload_room() - len(_INVITE % (100, b""))
    packet = _hep3(_INVITE % (room, _SDP % (b"x" * (room - len(_SDP % b"")))), int(time.time()))
    return Load("invite", packet, packet)


def _ping() -> bytes:
    return _PING % (b"x" * (_payload_room() - len(_PING % b"")))


def _payload_room() -> int:
    return PACKET_OCTETS - len(_hep3(b"", 0))


def _chunk(kind: int, value: bytes) -> bytes:
    return _CHUNK.pack(0, kind, _CHUNK.size + len(value)) + value


def _hep3(payload: bytes, seconds: int) -> bytes:
    chunks = b"".join(
        [
            _chunk(0x0001, bytes([_IPV4])),
            _chunk(0x0002, bytes([_UDP])),
            _chunk(0x0003, _SOURCE),
            _chunk(0x0004, _DESTINATION),
            _chunk(0x0007, struct.pack(">H", _PORT)),
            _chunk(0x0008, struct.pack(">H", _PORT)),
            _chunk(0x0009, struct.pack(">I", seconds)),
            _chunk(0x000A, struct.pack(">I", _MICROSECONDS)),
            _chunk(0x000B, bytes([_SIP])),
            _chunk(0x000C, struct.pack(">I", _AGENT_ID)),
            _chunk(0x000F, payload),
        ]
    )
    return b"HEP3" + struct.pack(">H", 6 + len(chunks)) + chunks
