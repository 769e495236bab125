"""
SIP call traffic as HEP3 packets, each stamped with its sender, its number and a CRC of its octets.

Pure functions on bytes: no sockets, no clocks.  The sender makes packets here, the collector reads their stamps.

A stamped packet, all integers big-endian; the chunks of a usual capture follow the stamp:

======  ====  ==========================================================================================
offset  size  meaning
======  ====  ==========================================================================================
0       4     ``HEP3``
4       2     length of the whole packet, octets
6       6     head of a chunk of vendor ``0x7357``, type 1, length 10
12      4     CRC-32 of all that follows, from offset 16 to the packet's end
16      6     head of the generic chunk ``0x0c``, length 10
22      4     capture agent id: which sender
26      6     head of a chunk of vendor ``0x7357``, type 2, length 10
32      4     number of the packet at its sender, counted from 0
======  ====  ==========================================================================================

The stamp is in chunks of its own at a fixed place, not in a SIP header: one ``Struct`` reads it, so that a collector
in Python keeps up with 100,000 packets a second; and hfp has to pass on chunks of a vendor that nobody knows.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence

#: The largest packet that HEP3's 16-bit length allows, octets.
LARGEST = 65535

#: The vendor id of the stamp's own chunks: one that nobody uses.
VENDOR = 0x7357

#: Both ids of the protocol on the wire.
IDS = (b"HEP3", b"EEP3")

HEAD = struct.Struct(
    ">"
    "4s"  # id
    "H"  # length of the packet, octets
)

STAMP = struct.Struct(
    ">"
    "4s"  # id
    "H"  # length of the packet, octets
    "H"  # vendor of the first chunk: VENDOR, or this packet has no stamp
    "4x"  # its type and length
    "I"  # CRC-32 of the packet from COVERED_FROM on
    "6x"
    "I"  # capture agent id
    "6x"
    "I"  # number
)

#: Where the part that the CRC covers starts, octets.
COVERED_FROM = 16

_CHUNK = struct.Struct(
    ">"
    "H"  # vendor
    "H"  # type
    "H"  # length, these 6 octets included
)

_CRC = struct.Struct(">I")
_NUMBER = struct.Struct(">I")
_CRC_AT = 12
_NUMBER_AT = 32


def chunk(vendor: int, kind: int, payload: bytes) -> bytes:
    """One chunk with its head."""
    return _CHUNK.pack(vendor, kind, _CHUNK.size + len(payload)) + payload


def packet(chunks: bytes, name: bytes = b"HEP3") -> bytes:
    """
    One whole packet around its chunks.

    :param name: ``HEP3`` or ``EEP3``.
    :raises struct.error: if it would be longer than :data:`LARGEST`.
    """
    return HEAD.pack(name, HEAD.size + len(chunks)) + chunks


class Traffic:
    """
    The endless packets of one sender, by their numbers.

    The same sender, mix and number always give the same octets, so a packet that is given to a second connection
    after a loss is the one that the first connection had.

    :param agent: the sender's capture agent id, 1 to 0xFFFFFEFF.
    :param mix: a name out of :data:`MIXES`, or a size in octets (every packet is that long).
    """

    def __init__(self, agent: int, mix: str = "calls") -> None:
        self._agent = agent
        self._templates = [bytearray(template) for template in _templates(agent, mix)]

    def batch(self, first: int, count: int) -> bytes:
        """Packets ``first`` to ``first + count - 1``, back to back."""
        templates = self._templates
        cycle = len(templates)
        packets = []
        for number in range(first, first + count):
            template = templates[number % cycle]
            _NUMBER.pack_into(template, _NUMBER_AT, number)
            _CRC.pack_into(template, _CRC_AT, zlib.crc32(memoryview(template)[COVERED_FROM:]))
            packets.append(bytes(template))
        return b"".join(packets)

    def mean_size(self) -> float:
        """Octets per packet, over the whole mix."""
        return sum(map(len, self._templates)) / len(self._templates)


def lengths(octets: bytes | memoryview) -> list[int]:
    """The lengths of the whole packets that these octets start with; a cut one at the end is left out."""
    found = []
    at = 0
    while at + HEAD.size <= len(octets):
        _, length = HEAD.unpack_from(octets, at)
        if at + length > len(octets):
            break
        found.append(length)
        at += length
    return found


def _stamped(agent: int, chunks: bytes, name: bytes = b"HEP3") -> bytes:
    stamp = chunk(VENDOR, 1, bytes(4)) + chunk(0, 0x0C, agent.to_bytes(4, "big")) + chunk(VENDOR, 2, bytes(4))
    return packet(stamp + chunks, name)


def _sized(agent: int, size: int) -> bytes:
    """A stamped packet of exactly this size; between the stamp and stamp plus a chunk's head there is none."""
    bare = _stamped(agent, b"")
    if size == len(bare):
        return bare
    filling = size - len(bare) - _CHUNK.size
    if filling < 0 or size > LARGEST:
        raise ValueError(f"a stamped packet has {len(bare)} or {len(bare) + _CHUNK.size} to {LARGEST} octets")
    return _stamped(agent, chunk(0, 0x0F, random.Random(size).randbytes(filling)))


def _templates(agent: int, mix: str) -> Sequence[bytes]:
    if mix.isdecimal():
        return [_sized(agent, int(mix))]
    return MIXES[mix](agent)


def _calls(agent: int) -> list[bytes]:
    """64 calls that overlap, with registrations and OPTIONS between them, as a busy proxy sees them."""
    chance = random.Random(agent)
    calls = [_call(chance, index) for index in range(64)]
    talk: list[tuple[str, bytes, bool]] = []
    while any(calls):
        call = chance.choice([call for call in calls[:16] if call] or [call for call in calls if call])
        talk.append(call.pop(0))
        calls = [call for call in calls if call]
        if chance.random() < 0.1:
            talk += _register(chance) if chance.random() < 0.5 else _options(chance)
    return [_captured(agent, chance, at, *message) for at, message in enumerate(talk)]


def _every_size(agent: int) -> list[bytes]:
    """Call traffic with the extremes in between: nothing but the stamp, odd sizes, and the largest there is."""
    odd = [36, 42, 43, 1459, 1460, 1461, 4096, 16383, 16384, 20480, 32768, LARGEST - 1, LARGEST]
    mixed = _calls(agent)
    for at, size in enumerate(odd):
        mixed.insert((at + 1) * len(mixed) // (len(odd) + 1), _sized(agent, size))
    mixed[0:0] = [_stamped(agent, chunk(0, 0x0F, b"OPTIONS sip:eep@example.org SIP/2.0\r\n\r\n"), b"EEP3")]
    return mixed


#: What ``Traffic`` and ``--mix`` accept by name.
MIXES: dict[str, Callable[[int], list[bytes]]] = {"calls": _calls, "every-size": _every_size}


def _captured(agent: int, chance: random.Random, at: int, host: str, message: bytes, outward: bool) -> bytes:
    """A SIP message as Kamailio's siptrace reports it: its chunks, in its order, behind the stamp."""
    near, far = bytes([10, 0, 0, 5]), bytes([192, 0, 2, int(host.rpartition(".")[2])])
    source, destination = (near, far) if outward else (far, near)
    correlation = message.partition(b"Call-ID: ")[2].partition(b"\r\n")[0]
    chunks = [
        chunk(0, 0x01, b"\x02"),
        chunk(0, 0x02, b"\x11"),
        chunk(0, 0x03, source),
        chunk(0, 0x04, destination),
        chunk(0, 0x07, (5060).to_bytes(2, "big")),
        chunk(0, 0x08, (5060).to_bytes(2, "big")),
        chunk(0, 0x09, (1_760_000_000 + at // 40).to_bytes(4, "big")),
        chunk(0, 0x0A, (at % 40 * 25_000 + chance.randrange(25_000)).to_bytes(4, "big")),
        chunk(0, 0x0B, b"\x01"),
        chunk(0, 0x11, correlation),
        chunk(0, 0x0F, message),
    ]
    return _stamped(agent, b"".join(chunks))


def _call(chance: random.Random, index: int) -> list[tuple[str, bytes, bool]]:
    """INVITE, 100, 180, 200, ACK, BYE, 200 of one call."""
    dialog = _Dialog(chance, callee=f"+4930{chance.randrange(10**6, 10**8)}")
    offer, answer = _description(chance, "10.0.0.5"), _description(chance, dialog.host)
    return [
        dialog.request("INVITE", 1, offer, outward=True),
        dialog.response("100 Trying", "INVITE", 1),
        dialog.response("180 Ringing", "INVITE", 1),
        dialog.response("200 OK", "INVITE", 1, answer),
        dialog.request("ACK", 1, outward=True),
        dialog.request("BYE", 2, outward=bool(index % 2)),
        dialog.response("200 OK", "BYE", 2, outward=not index % 2),
    ]


def _register(chance: random.Random) -> list[tuple[str, bytes, bool]]:
    dialog = _Dialog(chance, callee="registrar")
    digest = (
        f'Authorization: Digest username="{dialog.caller}", realm="example.org", '
        f'nonce="{chance.getrandbits(160):040x}", uri="sip:example.org", response="{chance.getrandbits(128):032x}"\r\n'
    )
    return [
        dialog.request("REGISTER", 1, outward=False),
        dialog.response("401 Unauthorized", "REGISTER", 1, outward=True),
        dialog.request("REGISTER", 2, outward=False, more=digest),
        dialog.response("200 OK", "REGISTER", 2, outward=True),
    ]


def _options(chance: random.Random) -> list[tuple[str, bytes, bool]]:
    dialog = _Dialog(chance, callee="ping")
    return [dialog.request("OPTIONS", 1, outward=True), dialog.response("200 OK", "OPTIONS", 1)]


class _Dialog:
    """What the messages of one dialog have in common."""

    def __init__(self, chance: random.Random, callee: str) -> None:
        self.host = f"192.0.2.{chance.randrange(1, 255)}"
        self.caller = chance.choice(["alice", "bob", "carol", "dave", "fr\u00e4nzi", f"+4940{chance.randrange(10**7)}"])
        self._callee = callee
        self._call_id = f"{chance.getrandbits(96):024x}@{self.host}"
        self._tags = (f"{chance.getrandbits(40):x}", f"{chance.getrandbits(40):x}")
        self._branch = f"z9hG4bK{chance.getrandbits(64):x}"
        self._routes = "".join(
            f"Record-Route: <sip:192.0.2.{hop};lr;ftag={self._tags[0]}>\r\n" for hop in range(chance.randrange(3))
        )

    def request(
        self, method: str, number: int, body: str = "", *, outward: bool, more: str = ""
    ) -> tuple[str, bytes, bool]:
        start = f"{method} sip:{self._callee}@{self.host}:5060;transport=udp SIP/2.0"
        return self._message(start, method, number, body, outward, "Max-Forwards: 70\r\n" + more)

    def response(
        self, status: str, method: str, number: int, body: str = "", *, outward: bool = False
    ) -> tuple[str, bytes, bool]:
        return self._message(f"SIP/2.0 {status}", method, number, body, outward, "")

    def _message(
        self, start: str, method: str, number: int, body: str, outward: bool, more: str
    ) -> tuple[str, bytes, bool]:
        described = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}" if body else "Content-Length: 0"
        text = (
            f"{start}\r\n"
            f"Via: SIP/2.0/UDP {self.host}:5060;rport;branch={self._branch}{number}\r\n"
            f"{self._routes}{more}"
            f"From: <sip:{self.caller}@example.org>;tag={self._tags[0]}\r\n"
            f"To: <sip:{self._callee}@example.org>;tag={self._tags[1]}\r\n"
            f"Call-ID: {self._call_id}\r\n"
            f"CSeq: {number} {method}\r\n"
            f"Contact: <sip:{self.caller}@{self.host}:5060>\r\n"
            f"User-Agent: test traffic\r\n"
            f"{described}\r\n\r\n{body}"
        )
        return self.host, text.encode(), outward


def _description(chance: random.Random, host: str) -> str:
    """An SDP body with a few codecs."""
    port = chance.randrange(10_000, 60_000, 2)
    codecs = "".join(
        f"a=rtpmap:{kind} {name}\r\n"
        for kind, name in [(8, "PCMA/8000"), (0, "PCMU/8000"), (9, "G722/8000"), (101, "telephone-event/8000")]
    )
    return (
        f"v=0\r\no=- {chance.getrandbits(32)} 1 IN IP4 {host}\r\ns=call\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 8 0 9 101\r\n{codecs}a=ptime:20\r\na=sendrecv\r\n"
    )
