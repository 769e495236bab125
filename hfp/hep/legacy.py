"""
HEP versions 1 and 2: reading them, and making HEP3 of them.

They exist as UDP datagrams only: without a total length they cannot be framed on a stream, so towards a collector over
TCP they must become HEP3.

======  =====  ==========================================================================================
offset  size   field
======  =====  ==========================================================================================
0       1      version: 1 or 2
1       1      header length.  Not reliable: Kamailio leaves the time part out, FreeSWITCH counts it, sngrep
               writes the datagram's length divided by 256
2       1      IP family: 2 IPv4, 10 IPv6
3       1      IP protocol number
4       2      source port, big-endian
6       2      destination port, big-endian
8       4, 16  source address, by family
        4, 16  destination address
        10     version 2 only, the time part, **in the byte order of the sender's processor**: 4 seconds since
               1970-01-01 UTC, 4 microseconds, 2 capture agent id
        2      version 2 only, of most senders: padding, zeros or whatever was in memory
        rest   payload: SIP
======  =====  ==========================================================================================

Version 1 has no time; `to_hep3` stamps it with the time that it is given, which should be that of receipt.

Does not decide whether a datagram is HEP1 or HEP2 at all: `hfp.hep.datagram` does, for every datagram that is not HEP3.
"""

from __future__ import annotations

import struct

import attrs

from hfp.errors import MalformedPacket
from hfp.hep.wire import HEP3_NUMBER, LARGEST_PACKET

_IPV4 = 2
_IPV6 = 10

#: Version, header length, family, protocol, ports, addresses.  Most only move to another place, so they stay octets.
_HEADS = {
    _IPV4: struct.Struct("BBB1s2s2s4s4s"),
    _IPV6: struct.Struct("BBB1s2s2s16s16s"),
}
_HEAD_SIZES = {family: layout.size for family, layout in _HEADS.items()}
#: Seconds, microseconds, agent id, as most senders write them.
_TIME = struct.Struct("<IIH")
_TIME_AND_PADDING = struct.Struct("<IIHH")
_PADDING = 2

#: What SIP begins with.  Only what no two octets of padding before it can be mistaken for: hence the known methods.
_SIP = tuple(
    method + b" "
    for method in (
        b"SIP/2.0",
        b"INVITE",
        b"ACK",
        b"BYE",
        b"CANCEL",
        b"REGISTER",
        b"OPTIONS",
        b"INFO",
        b"UPDATE",
        b"PRACK",
        b"NOTIFY",
        b"SUBSCRIBE",
        b"PUBLISH",
        b"MESSAGE",
        b"REFER",
    )
)

#: A time this near to now is right.  In the wrong byte order it would be so by accident once in 25,000 times.
_NEAR_S = 86_400
_MILLION = 1_000_000
_BILLION = 1_000_000_000

# A HEP3 packet up to the payload: HEP3's header, then chunk headers, which never change, and what is in the chunks.
# Measured on CPython 3.11: one pack of everything and the payload behind it 300 ns, joining the 19 pieces 490 ns.
_PACKETS = {
    _IPV4: struct.Struct(">IH13s1s6s4s6s4s6s2s6s2s6sI6sI13sI4sH"),
    _IPV6: struct.Struct(">IH13s1s6s16s6s16s6s2s6s2s6sI6sI13sI4sH"),
}
_FAMILY_PROTOCOL = {
    _IPV4: b"\0\0\0\x01\0\x07\x02\0\0\0\x02\0\x07",
    _IPV6: b"\0\0\0\x01\0\x07\x0a\0\0\0\x02\0\x07",
}
_SOURCE = {_IPV4: b"\0\0\0\x03\0\x0a", _IPV6: b"\0\0\0\x05\0\x16"}
_DESTINATION = {_IPV4: b"\0\0\0\x04\0\x0a", _IPV6: b"\0\0\0\x06\0\x16"}
_SOURCE_PORT = b"\0\0\0\x07\0\x08"
_DESTINATION_PORT = b"\0\0\0\x08\0\x08"
_SECONDS = b"\0\0\0\x09\0\x0a"
_MICROSECONDS = b"\0\0\0\x0a\0\x0a"
_SIP_AGENT_ID = b"\0\0\0\x0b\0\x07\x01\0\0\0\x0c\0\x0a"
_PAYLOAD = b"\0\0\0\x0f"

_Head = tuple[int, int, int, bytes, bytes, bytes, bytes, bytes]


@attrs.frozen
class LegacyPacket:
    """
    What a HEP1 or HEP2 datagram says.

    :ivar version: 1 or 2.
    :ivar family: 2 IPv4, 10 IPv6.
    :ivar protocol: IP protocol number; Kamailio writes 22 for SIP over TLS.
    :ivar source: packed address, 4 or 16 octets.
    :ivar destination: likewise.
    :ivar seconds: Unix time; None in HEP1, which has none.
    :ivar microseconds: as on the wire, so it may be a million or more; None in HEP1.
    :ivar agent_id: 16 bits; None in HEP1.
    :ivar header_length: the octet on the wire, which means little.
    :ivar big_endian: the sender wrote its time big-endian; False in HEP1.
    :ivar padding: what stood between the time part and the payload: 2 octets, or none.
    """

    version: int
    family: int
    protocol: int
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    seconds: int | None
    microseconds: int | None
    agent_id: int | None
    payload: bytes
    header_length: int
    big_endian: bool
    padding: bytes


def parse_legacy(datagram: bytes, now_ns: int) -> LegacyPacket:
    """
    Take a HEP1 or HEP2 datagram apart.

    :param now_ns: Unix time in nanoseconds, which tells the byte order of the time in the datagram.
    :raises MalformedPacket: ``truncated`` if it ends within the header, ``family`` if the addresses are neither IPv4
        nor IPv6, ``other`` if the version is neither 1 nor 2.
    """
    head, seconds, microseconds, agent_id, at = _read(datagram, now_ns)
    version, octet, family, protocol, source_port, destination_port, source, destination = head
    time_at = _HEAD_SIZES[family]
    old = version == 1
    return LegacyPacket(
        version=version,
        family=family,
        protocol=protocol[0],
        source=source,
        destination=destination,
        source_port=int.from_bytes(source_port, "big"),
        destination_port=int.from_bytes(destination_port, "big"),
        seconds=None if old else seconds,
        microseconds=None if old else microseconds,
        agent_id=None if old else agent_id,
        payload=datagram[at:],
        header_length=octet,
        big_endian=not old and _TIME.unpack_from(datagram, time_at) != (seconds, microseconds, agent_id),
        padding=b"" if old else datagram[time_at + _TIME.size : at],
    )


def to_hep3(datagram: bytes, now_ns: int) -> bytes:
    """
    The same as a HEP3 packet.

    Hot: called for every HEP1 or HEP2 datagram.

    :param now_ns: Unix time of receipt in nanoseconds: the time of a HEP1 packet, and what tells the byte order of the
        time of a HEP2 packet.
    :returns: a packet with the chunks 0x01, 0x02, addresses, ports, 0x09, 0x0a, 0x0b (1, SIP), 0x0c and 0x0f.
        Microseconds of a million or more become 999,999, because only the second can then be believed.  The agent id of
        HEP1, which has none, is 0, because Kamailio's sipcapture wants that chunk.
    :raises MalformedPacket: as `parse_legacy`, and ``too-big`` if the packet would exceed 65535 octets.
    """
    head, seconds, microseconds, agent_id, at = _read(datagram, now_ns)
    _, _, family, protocol, source_port, destination_port, source, destination = head
    if microseconds >= _MILLION:
        microseconds = _MILLION - 1
    payload = datagram[at:]
    layout = _PACKETS[family]
    octets = len(payload)
    length = layout.size + octets
    if length > LARGEST_PACKET:
        raise MalformedPacket("too-big", f"as HEP3 it would have {length} octets, and {LARGEST_PACKET} is the most")
    return (
        layout.pack(
            HEP3_NUMBER,
            length,
            _FAMILY_PROTOCOL[family],
            protocol,
            _SOURCE[family],
            source,
            _DESTINATION[family],
            destination,
            _SOURCE_PORT,
            source_port,
            _DESTINATION_PORT,
            destination_port,
            _SECONDS,
            seconds,
            _MICROSECONDS,
            microseconds,
            _SIP_AGENT_ID,
            agent_id,
            _PAYLOAD,
            octets + 6,
        )
        + payload
    )


def _read(datagram: bytes, now_ns: int) -> tuple[_Head, int, int, int, int]:
    """
    The fields up to the addresses, as on the wire, then seconds, microseconds, agent id, and the offset of the payload.

    Hot.
    """
    try:
        head: _Head = _HEADS[datagram[2]].unpack_from(datagram)
        at = _HEAD_SIZES[datagram[2]]
        if head[0] == 1:
            return head, now_ns // _BILLION & 0xFFFFFFFF, now_ns // 1_000 % _MILLION, 0, at
        if head[0] != 2:
            raise _fault(datagram)
        seconds, microseconds, agent_id, padding = _TIME_AND_PADDING.unpack_from(datagram, at)
        at += _TIME_AND_PADDING.size
        # Two zeros are padding, unless the header length says that there is none: no SIP begins with them.
        if padding or head[1] == at - _PADDING:
            at -= _unpadded(datagram, head[1], at)
    except (IndexError, KeyError):
        raise _fault(datagram) from None
    except struct.error:  # too short for a head, or for a time part with padding
        if len(datagram) < _HEAD_SIZES[datagram[2]] + _TIME.size:
            raise _fault(datagram) from None
        head = _HEADS[datagram[2]].unpack_from(datagram)
        at = _HEAD_SIZES[datagram[2]]
        seconds, microseconds, agent_id = _TIME.unpack_from(datagram, at)
        at += _TIME.size
    if not -_NEAR_S < seconds - now_ns // _BILLION < _NEAR_S and _is_swapped(seconds, microseconds, now_ns):
        seconds = _swapped(seconds, 4)
        microseconds = _swapped(microseconds, 4)
        agent_id = _swapped(agent_id, 2)
    return head, seconds, microseconds, agent_id, at


def _fault(datagram: bytes) -> MalformedPacket:
    """Why a datagram cannot be read."""
    if datagram and datagram[0] not in (1, 2):
        return MalformedPacket("other", f"version {datagram[0]} is neither HEP1 nor HEP2")
    if len(datagram) > 2 and datagram[2] not in _HEADS:
        return MalformedPacket("family", f"IP family {datagram[2]} is neither 2 (IPv4) nor 10 (IPv6)")
    return MalformedPacket("truncated", f"{len(datagram)} octets end within the header of HEP1 or HEP2")


def _unpadded(datagram: bytes, octet: int, at: int) -> int:
    """
    By how many octets the payload begins before *at*, the end of the longest header: 2 or 0.

    The payload itself tells, when it begins as SIP does.  If it does not, the header length is believed when it says
    that there is no padding, except where it is only what sngrep always writes.
    """
    if datagram.startswith(_SIP, at - _PADDING):
        return _PADDING
    if datagram.startswith(_SIP, at):
        return 0
    return _PADDING if octet == at - _PADDING and octet != len(datagram) >> 8 else 0


def _is_swapped(seconds: int, microseconds: int, now_ns: int) -> bool:
    """
    Whether a time which, read as little-endian, is not near now was written big-endian.

    It was if that gives a time near now.  If that is far away as well (a capture that is replayed), the microseconds
    tell: of the values below a million, only one in 250 is below a million in the other order too.
    """
    if abs(_swapped(seconds, 4) - now_ns // _BILLION) < _NEAR_S:
        return True
    return microseconds >= _MILLION > _swapped(microseconds, 4)


def _swapped(number: int, octets: int) -> int:
    return int.from_bytes(number.to_bytes(octets, "little"), "big")
