"""
What HEP says, read a second time: a decoder for the tests that shares no code with hfp's, and captures of SIP.

Plain and slow; it checks more than a receiver has to, because what it reads comes from programs that are known.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from attrs import field, frozen

_FAMILIES = {2: (socket.AF_INET, 4), 10: (socket.AF_INET6, 16)}

#: The chunks that hold addresses, source and destination, by family.
_ADDRESSES = {2: (3, 4), 10: (5, 6)}


@frozen(kw_only=True)
class Observed:
    """
    What one HEP packet says.

    :ivar version: 1, 2 or 3.
    :ivar seconds: Unix time; ``None`` in HEP 1, as is the agent.
    :ivar kind: the protocol type; ``None`` in HEP 1 and 2.
    :ivar chunks: the types of HEP 3's generic chunks, in their order.
    """

    version: int
    family: int
    protocol: int
    source: str
    destination: str
    source_port: int
    destination_port: int
    payload: bytes = field(repr=lambda payload: repr(payload[:40]))
    seconds: int | None = None
    microseconds: int | None = None
    kind: int | None = None
    agent: int | None = None
    chunks: tuple[int, ...] = ()

    @property
    def ends(self) -> tuple[str, int, str, int]:
        """From where to where."""
        return self.source, self.source_port, self.destination, self.destination_port

    @property
    def time(self) -> float:
        """Unix time."""
        assert self.seconds is not None and self.microseconds is not None, "HEP 1 has no time"
        return self.seconds + self.microseconds / 1e6


def observed(packet: bytes) -> Observed:
    """
    Take one packet or datagram apart.

    :raises AssertionError: when it is not what a sender in good order would send.
    """
    return _observed_3(packet) if packet[:4] == b"HEP3" else _observed_1_or_2(packet)


def _observed_3(packet: bytes) -> Observed:
    assert int.from_bytes(packet[4:6], "big") == len(packet), "the packet has not the length that it says"
    chunks: dict[int, bytes] = {}
    order = []
    at = 6
    while at < len(packet):
        vendor, kind, length = struct.unpack_from(">HHH", packet, at)
        assert length >= 6 and at + length <= len(packet), f"chunk {kind} is cut"
        if vendor == 0:
            assert kind not in chunks, f"chunk {kind} is there twice"
            chunks[kind] = packet[at + 6 : at + length]
            order.append(kind)
        at += length
    family = chunks[1][0]
    source, destination = (socket.inet_ntop(_FAMILIES[family][0], chunks[kind]) for kind in _ADDRESSES[family])
    for kind, size in {1: 1, 2: 1, 7: 2, 8: 2, 9: 4, 10: 4, 11: 1, 12: 4}.items():
        assert len(chunks[kind]) == size, f"chunk {kind} has {len(chunks[kind])} octets, not {size}"
    numbers = {kind: int.from_bytes(chunks[kind], "big") for kind in (2, 7, 8, 9, 10, 11, 12)}
    return Observed(
        version=3,
        family=family,
        protocol=numbers[2],
        source=source,
        destination=destination,
        source_port=numbers[7],
        destination_port=numbers[8],
        seconds=numbers[9],
        microseconds=numbers[10],
        kind=numbers[11],
        agent=numbers[12],
        payload=chunks[15],
        chunks=tuple(order),
    )


def _observed_1_or_2(datagram: bytes) -> Observed:
    """As programs on x86 send it: a little-endian time and two octets of padding."""
    version, _, family, protocol, source_port, destination_port = struct.unpack_from(">BBBBHH", datagram)
    assert version in (1, 2), f"not HEP: {datagram[:8]!r}"
    known, size = _FAMILIES[family]
    at = 8 + 2 * size
    seconds = microseconds = agent = None
    if version == 2:
        seconds, microseconds, agent = struct.unpack_from("<IIH", datagram, at)
        at += 12
    return Observed(
        version=version,
        family=family,
        protocol=protocol,
        source=socket.inet_ntop(known, datagram[8 : 8 + size]),
        destination=socket.inet_ntop(known, datagram[8 + size : 8 + 2 * size]),
        source_port=source_port,
        destination_port=destination_port,
        seconds=seconds,
        microseconds=microseconds,
        agent=agent,
        payload=datagram[at:],
    )


def packets_of(octets: bytes) -> list[bytes]:
    """The packets of a HEP 3 stream, which must end with a whole one."""
    packets = []
    at = 0
    while at < len(octets):
        assert octets[at : at + 4] == b"HEP3", f"no packet begins at {at}"
        length = int.from_bytes(octets[at + 4 : at + 6], "big")
        assert length >= 6 and at + length <= len(octets), f"the packet at {at} is cut"
        packets.append(octets[at : at + length])
        at += length
    return packets


def packets_in(path: Path) -> list[bytes]:
    """The packets of a file, which may not be there yet."""
    return packets_of(path.read_bytes()) if path.exists() else []


def datagrams_of(octets: bytes) -> list[bytes]:
    """The datagrams of a record, each behind its length."""
    datagrams = []
    at = 0
    while at < len(octets):
        length = int.from_bytes(octets[at : at + 4], "big")
        datagrams.append(octets[at + 4 : at + 4 + length])
        at += 4 + length
    assert at == len(octets), "the last datagram of the record is cut"
    return datagrams


# Captures.  Source: the pcap format of libpcap, draft-ietf-opsawg-pcap; link type 101 is raw IP.

_PCAP_HEAD = struct.Struct("<IHHiIII")
_PCAP_RECORD = struct.Struct("<IIII")
_PCAP_MAGIC = 0xA1B2C3D4
_RAW_IP = 101
_ETHERNET = 1


@frozen
class Datagram:
    """One UDP datagram over IPv4 in a capture; *time* in microseconds since 1970."""

    time: int
    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes


def write_capture(path: Path, datagrams: list[Datagram]) -> None:
    """Write a capture."""
    octets = [_PCAP_HEAD.pack(_PCAP_MAGIC, 2, 4, 0, 0, 262_144, _RAW_IP)]
    for each in datagrams:
        udp = struct.pack(">HHHH", each.source_port, each.destination_port, 8 + len(each.payload), 0) + each.payload
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0)
        ip += socket.inet_aton(each.source) + socket.inet_aton(each.destination)
        ip = ip[:10] + _checksum(ip) + ip[12:]
        octets.append(_PCAP_RECORD.pack(*divmod(each.time, 1_000_000), len(ip + udp), len(ip + udp)) + ip + udp)
    path.write_bytes(b"".join(octets))


def _checksum(head: bytes) -> bytes:
    total = sum(struct.unpack(f">{len(head) // 2}H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


def read_capture(path: Path) -> list[Datagram]:
    """
    Read the UDP datagrams of a capture, whole ones: one that is being written may end anywhere.

    :raises AssertionError: when there is anything else in it.
    """
    octets = path.read_bytes() if path.exists() else b""
    if len(octets) < _PCAP_HEAD.size:
        return []
    magic, _, _, _, _, _, link = _PCAP_HEAD.unpack_from(octets)
    assert magic == _PCAP_MAGIC and link in (_RAW_IP, _ETHERNET), f"magic {magic:x}, link type {link}"
    found = []
    at = _PCAP_HEAD.size
    while at + _PCAP_RECORD.size <= len(octets):
        seconds, microseconds, length, _ = _PCAP_RECORD.unpack_from(octets, at)
        at += _PCAP_RECORD.size
        frame = octets[at : at + length]
        if len(frame) < length:
            break
        at += length
        ip = frame[14:] if link == _ETHERNET else frame
        assert ip[0] == 0x45 and ip[9] == socket.IPPROTO_UDP, f"neither IPv4 nor UDP: {ip[:20]!r}"
        source_port, destination_port, size = struct.unpack_from(">HHH", ip, 20)
        found.append(
            Datagram(
                seconds * 1_000_000 + microseconds,
                socket.inet_ntoa(ip[12:16]),
                source_port,
                socket.inet_ntoa(ip[16:20]),
                destination_port,
                ip[28 : 20 + size],
            )
        )
    return found
