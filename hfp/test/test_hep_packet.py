"""
Tests for `hfp.hep.packet`.
"""

from __future__ import annotations

import gzip
import zlib
from typing import ClassVar

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import MalformedPacket
from hfp.hep import EEP3, HEP3, Chunk, Packet, RawChunk, build, encode, plausible

SPECIFICATION = bytes.fromhex(
    "4845503300710000000100070200000002000711000000030 00ad4ca0001".replace(" ", "")
    + "00000004000a527400d3000000070008 2eea00000008000813c4".replace(" ", "")
    + "00000009000a4e4982cb0000000a000a0001d4c00000000b000701"
    + "0000000c000a000000e40000000f0014494e56495445207369703a626f62"
)


class BuildTests(SynchronousTestCase):
    """`build`."""

    def test_specification(self) -> None:
        """The example of the specification comes out octet for octet."""
        packet = build(
            [
                (0, Chunk.FAMILY, b"\x02"),
                (0, Chunk.PROTOCOL, b"\x11"),
                (0, Chunk.SOURCE_IPV4, bytes([212, 202, 0, 1])),
                (0, Chunk.DESTINATION_IPV4, bytes([82, 116, 0, 211])),
                (0, Chunk.SOURCE_PORT, (12010).to_bytes(2, "big")),
                (0, Chunk.DESTINATION_PORT, (5060).to_bytes(2, "big")),
                (0, Chunk.SECONDS, (0x4E4982CB).to_bytes(4, "big")),
                (0, Chunk.MICROSECONDS, (120000).to_bytes(4, "big")),
                (0, Chunk.PROTOCOL_TYPE, b"\x01"),
                (0, Chunk.AGENT_ID, (228).to_bytes(4, "big")),
                (0, Chunk.PAYLOAD, b"INVITE sip:bob"),
            ]
        )
        self.assertEqual(packet, SPECIFICATION)
        self.assertIs(plausible(packet, 0), True)

    def test_too_large(self) -> None:
        """65535 octets are a packet, one more is refused."""
        self.assertEqual(len(build([(0, Chunk.PAYLOAD, bytes(65535 - 12))])), 65535)
        self.assertRaises(ValueError, build, [(0, Chunk.PAYLOAD, bytes(65535 - 11))])

    def test_ids(self) -> None:
        """An id has 16 bits."""
        for chunk in ((0x10000, 1, b""), (0, 0x10000, b""), (-1, 0, b"")):
            self.assertRaises(ValueError, build, [chunk])


def overrun(length: int) -> bytes:
    """A packet whose second chunk states a length that is not right."""
    return b"HEP3\0\x14" + b"\0\0\0\x01\0\x07\x02" + b"\0\0\0\x02" + length.to_bytes(2, "big") + b"\x11"


class PacketTests(SynchronousTestCase):
    """`Packet`: chunks."""

    def test_not_taken_apart(self) -> None:
        """Making one looks at nothing."""
        for octets in (b"", b"nonsense", bytes(9)):
            self.assertEqual(Packet(octets).octets, octets)

    def test_buffers(self) -> None:
        """Any buffer will do, and what becomes of it later does not matter."""
        buffer = bytearray(SPECIFICATION)
        packets = [Packet(SPECIFICATION), Packet(buffer), Packet(memoryview(buffer)), Packet(memoryview(SPECIFICATION))]
        buffer[:] = bytes(len(buffer))
        for packet in packets:
            self.assertEqual(packet.octets, SPECIFICATION)
            self.assertIs(type(packet.get(Chunk.PAYLOAD)), bytes)
            self.assertEqual(packet.payload, b"INVITE sip:bob")

    def test_get(self) -> None:
        """The first chunk of a type, whatever was asked before."""
        chunks: list[RawChunk] = [
            (0, 17, b"a"),
            (9, 17, b"b"),
            (0, 17, b"c"),
            (0, 15, b"d"),
            (9, 17, b"e"),
            (0, 1, b""),
        ]
        for order in ((17, 15, 1, 99), (99, 15, 17, 1), (1, 1, 15, 17), (15, 17, 17, 99, 1)):
            packet = Packet(build(chunks))
            for kind in order:
                expected = {17: b"a", 15: b"d", 1: b"", 99: None}[kind]
                self.assertEqual(packet.get(kind), expected, (order, kind))
                self.assertEqual(packet.get(17, vendor=9), b"b")
                self.assertIs(packet.get(15, vendor=9), None)

    def test_all(self) -> None:
        """All chunks of a type, in order."""
        packet = Packet(build([(0, 17, b"a"), (9, 17, b"b"), (0, 17, b"c")]))
        self.assertEqual(packet.all(17), [b"a", b"c"])
        self.assertEqual(packet.all(17, 9), [b"b"])
        self.assertEqual(packet.all(18), [])

    def test_stops_at_the_chunk(self) -> None:
        """What is malformed behind the chunk that is wanted does not matter, before and after it was noticed."""
        packet = Packet(overrun(8))
        self.assertEqual(packet.get(Chunk.FAMILY), b"\x02")
        for _ in range(2):
            self.assertRaises(MalformedPacket, packet.get, Chunk.PROTOCOL)
            self.assertRaises(MalformedPacket, packet.get, Chunk.PAYLOAD)
            self.assertEqual(packet.get(Chunk.FAMILY), b"\x02")

    def test_malformed_chunks(self) -> None:
        """A chunk shorter than its header, of length 0, or past the end is told, by everything that needs it."""
        for octets in (
            *(overrun(length) for length in (0, 1, 5, 6, 8, 0xFFFF)),
            b"HEP3\0\x0b" + b"\0\0\0\x01\0",
            b"HEP3\0\x07\0",
        ):
            for look in (
                lambda packet: packet.get(99),
                lambda packet: packet.all(1),
                lambda packet: packet.chunks,
                lambda packet: packet.payload,
                lambda packet: packet.replace(agent_id=1),
                lambda packet: packet.without(99),
                lambda packet: packet.with_chunks([(0, 99, b"")]),
            ):
                error = self.assertRaises(MalformedPacket, look, Packet(octets))
                self.assertEqual(error.kind, "chunk", octets)

    def test_malformed_header(self) -> None:
        """What is no packet, or not a whole one, is told."""
        for octets, kind in (
            (b"", "truncated"),
            (b"HEP3\0", "truncated"),
            (SPECIFICATION[:-1], "truncated"),
            (SPECIFICATION + b"\0", "length"),
            (b"HEP4" + SPECIFICATION[4:], "other"),
            (b"\x02\x10\x02\x11" + bytes(30), "other"),
        ):
            error = self.assertRaises(MalformedPacket, Packet(octets).get, 1)
            self.assertEqual(error.kind, kind)
            error = self.assertRaises(MalformedPacket, lambda octets: Packet(octets).chunks, octets)
            self.assertEqual(error.kind, kind)

    def test_same_octets(self) -> None:
        """Packets are equal when their octets are; their text does not tell what is in them."""
        self.assertEqual(Packet(SPECIFICATION), Packet(bytearray(SPECIFICATION)))
        self.assertNotEqual(Packet(SPECIFICATION), Packet(b"EEP3" + SPECIFICATION[4:]))
        self.assertNotEqual(Packet(SPECIFICATION), SPECIFICATION)
        self.assertEqual(len({Packet(SPECIFICATION), Packet(SPECIFICATION)}), 1)
        self.assertNotIn("INVITE", repr(Packet(SPECIFICATION)))

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from((0, 0, 0, 2, 8, 4661, 0xFFFF)),
                st.integers(0, 0x30) | st.just(0xFFFF),
                st.binary(max_size=40),
            ),
            max_size=20,
        ),
        st.sampled_from((HEP3, EEP3)),
    )
    def test_round_trip(self, chunks: list[RawChunk], identity: bytes) -> None:
        """Building what was parsed gives the same octets, vendor and unknown chunks too; a search finds each chunk."""
        octets = build(chunks, identity)
        packet = Packet(octets)
        for vendor, kind, _ in chunks[::-1]:
            same = [payload for *ids, payload in chunks if ids == [vendor, kind]]
            self.assertEqual(packet.get(kind, vendor), same[0])
            self.assertEqual(packet.all(kind, vendor), same)
        self.assertEqual(packet.chunks, chunks)
        self.assertEqual(build(packet.chunks, identity), octets)


class PayloadTests(SynchronousTestCase):
    """`Packet.payload`."""

    def test_compressed(self) -> None:
        """A compressed payload is inflated, gzip and zlib."""
        for compress in (gzip.compress, zlib.compress):
            packet = Packet(encode(agent_id=1, compressed_payload=compress(b"INVITE")))
            self.assertEqual((packet.payload, packet.payload), (b"INVITE", b"INVITE"))
            self.assertEqual(packet.compressed_payload, compress(b"INVITE"))

    def test_both(self) -> None:
        """A payload that is not compressed comes first."""
        packet = Packet(build([(0, 0x10, zlib.compress(b"b")), (0, 0x0F, b"a")]))
        self.assertEqual(packet.payload, b"a")

    def test_none(self) -> None:
        """No payload and an empty one are different things."""
        self.assertIs(Packet(encode(agent_id=1)).payload, None)
        self.assertEqual(Packet(encode(payload=b"")).payload, b"")

    def test_bomb(self) -> None:
        """A payload that is too large when inflated is refused."""
        packet = Packet(encode(compressed_payload=zlib.compress(bytes(1 + (1 << 20)))))
        error = self.assertRaises(MalformedPacket, lambda: packet.payload)
        self.assertEqual(error.kind, "inflate")


class EditingTests(SynchronousTestCase):
    """`Packet.replace`, `Packet.with_chunks`, `Packet.without`."""

    CHUNKS: ClassVar[list[RawChunk]] = [
        (0, 1, b"\2"),
        (0, 14, b"old"),
        (9, 14, b"v"),
        (0, 15, b"INVITE"),
        (0, 14, b"older"),
        (9, 3, b"x"),
    ]

    def test_replace(self) -> None:
        """A field is replaced where it stands; a second instance goes; all else stays, and the first packet too."""
        packet = Packet(build(self.CHUNKS))
        new = packet.replace(authentication_key=b"new key")
        self.assertEqual(
            new.chunks, [(0, 1, b"\2"), (0, 14, b"new key"), (9, 14, b"v"), (0, 15, b"INVITE"), (9, 3, b"x")]
        )
        self.assertEqual(new.authentication_key, b"new key")
        self.assertEqual(packet.chunks, self.CHUNKS)

    def test_append(self) -> None:
        """A field that was not there is appended."""
        new = Packet(build(self.CHUNKS)).replace(agent_id=7, agent_name="pbx")
        self.assertEqual(new.chunks, [*self.CHUNKS, (0, 12, b"\0\0\0\7"), (0, 19, b"pbx")])

    def test_identity(self) -> None:
        """EEP3 stays EEP3."""
        new = Packet(build(self.CHUNKS, EEP3)).replace(agent_id=7)
        self.assertEqual(new.octets, build([*self.CHUNKS, (0, 12, b"\0\0\0\7")], EEP3))

    def test_vendors(self) -> None:
        """A vendor's chunk and a generic one of the same type are different things."""
        new = Packet(build(self.CHUNKS)).with_chunks([(9, 14, b"w"), (8, 14, b"z")])
        self.assertEqual(new.get(14, 9), b"w")
        self.assertEqual(new.get(14, 8), b"z")
        self.assertEqual(new.all(14), [b"old", b"older"])

    def test_without(self) -> None:
        """All chunks of the types go."""
        packet = Packet(build(self.CHUNKS))
        self.assertEqual(packet.without(14, 1).chunks, [(9, 14, b"v"), (0, 15, b"INVITE"), (9, 3, b"x")])
        self.assertEqual(packet.without(14, vendor=9).chunks, [chunk for chunk in self.CHUNKS if chunk[2] != b"v"])
        self.assertEqual(packet.without(99), packet)

    def test_compressed_payload(self) -> None:
        """A new payload takes the place of a compressed one, and both never stand side by side."""
        packet = Packet(build([(0, 1, b"\2"), (0, 16, zlib.compress(b"old")), (0, 17, b"id")]))
        self.assertEqual(packet.replace(payload=b"new").chunks, [(0, 1, b"\2"), (0, 15, b"new"), (0, 17, b"id")])
        packet = Packet(build([(0, 16, zlib.compress(b"old")), (0, 15, b"raw")]))
        self.assertEqual(packet.replace(payload=b"new").chunks, [(0, 15, b"new")])

    def test_too_big(self) -> None:
        """65535 octets may come of it, one more is refused."""
        packet = Packet(build([(0, 17, b"id")]))
        self.assertEqual(len(packet.replace(payload=bytes(65_535 - 14 - 6)).octets), 65_535)
        for size in (65_535 - 14 - 5, 65_535, 70_000):
            error = self.assertRaises(MalformedPacket, packet.replace, payload=bytes(size))
            self.assertEqual(error.kind, "too-big")

    def test_wrong_fields(self) -> None:
        """What no packet has, or what does not fit, is refused."""
        packet = Packet(SPECIFICATION)
        self.assertRaises(TypeError, packet.replace, colour=1)
        self.assertRaises(TypeError, packet.replace, agent_id=b"1")
        self.assertRaises(ValueError, packet.replace, vlan=65_536)
        self.assertRaises(ValueError, packet.replace, source_address="nowhere")
