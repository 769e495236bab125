"""
Tests for `hfp.hep.chunks`, `hfp.hep.catalogue`, `hfp.hep.fields`, `hfp.hep.encoding` and `hfp.hep.ping`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import MalformedPacket
from hfp.hep import (
    EEP3,
    FIELDS,
    Chunk,
    Packet,
    ProtocolType,
    Vendor,
    build,
    encode,
    ping,
    plausible,
    protocol_type_name,
    protocol_type_number,
)

#: Field, type of its chunk, width in octets or None: revision 37's table of generic chunks, written down once more.
NUMBERS = (
    ("family", 0x01, 1),
    ("protocol", 0x02, 1),
    ("source_port", 0x07, 2),
    ("destination_port", 0x08, 2),
    ("seconds", 0x09, 4),
    ("microseconds", 0x0A, 4),
    ("protocol_type", 0x0B, 1),
    ("agent_id", 0x0C, 4),
    ("keep_alive", 0x0D, 2),
    ("vlan", 0x12, 2),
    ("source_mac", 0x14, 8),
    ("destination_mac", 0x15, 8),
    ("ethernet_type", 0x16, 2),
    ("tcp_flags", 0x17, 1),
    ("ip_tos", 0x18, 1),
    ("mos", 0x20, 2),
    ("r_factor", 0x21, 2),
    ("jitter", 0x23, 4),
    ("tag_type", 0x27, 2),
    ("event_type", 0x28, 2),
)
OCTETS = (
    ("authentication_key", 0x0E),
    ("payload", 0x0F),
    ("compressed_payload", 0x10),
    ("correlation_id", 0x11),
    ("agent_name", 0x13),
    ("geo_location", 0x22),
    ("transaction_type", 0x24),
    ("json_keys", 0x25),
    ("tags", 0x26),
    ("group_id", 0x29),
)
ADDRESSES = (
    ("source", 0x03, 4),
    ("destination", 0x04, 4),
    ("source", 0x05, 16),
    ("destination", 0x06, 16),
)


def of_one(name: str, value: Any) -> bytes:
    """A packet with one field."""
    fields: dict[str, Any] = {name: value}
    return encode(**fields)


class ChunkTests(SynchronousTestCase):
    """`Chunk` and `Vendor`."""

    def test_table(self) -> None:
        """Every generic chunk is there, with its width."""
        widths = {kind: width for _, kind, width in (*NUMBERS, *ADDRESSES)} | {kind: None for _, kind in OCTETS}
        self.assertEqual({int(chunk): chunk.width for chunk in Chunk}, widths)
        self.assertEqual(Chunk.SOURCE_IPV6.format, "ipv6")
        self.assertEqual({chunk.format for chunk in Chunk if chunk.width is None}, {"octets"})

    def test_every_chunk_has_a_field(self) -> None:
        """No field is untested."""
        named = {name for name, *_ in (*NUMBERS, *OCTETS, *ADDRESSES)}
        self.assertEqual(set(FIELDS) - named, {"source_address", "destination_address", "time_ns"})

    def test_vendors(self) -> None:
        """Vendors have their numbers."""
        self.assertEqual((Vendor.GENERIC, Vendor.KAMAILIO, Vendor.GENESYS), (0, 2, 8))


class CatalogueTests(SynchronousTestCase):
    """`ProtocolType` and its names."""

    def test_round_trip(self) -> None:
        """Every name that is given is understood, in any case."""
        for member in ProtocolType:
            for name in (protocol_type_name(member), member.name, protocol_type_name(member).upper()):
                self.assertEqual(protocol_type_number(name), member, name)
        for number in range(256):
            self.assertEqual(protocol_type_number(protocol_type_name(number)), number)

    def test_names(self) -> None:
        """Some that everyone knows."""
        for name, number in (
            ("sip", 1),
            ("rtcp", 5),
            ("Log", 100),
            ("isup", 54),
            ("cdr", 60),
            ("mi", 0x57),
            ("99", 99),
        ):
            self.assertEqual(protocol_type_number(name), number)
        self.assertEqual(protocol_type_name(1), "sip")
        self.assertEqual(protocol_type_name(200), "200")

    def test_unknown(self) -> None:
        """What is no type is None."""
        for name in ("", "sips", "256", "-1", "1000", "\u0661", "0x1"):
            self.assertIs(protocol_type_number(name), None, name)


class FieldTests(SynchronousTestCase):
    """`Packet`: fields, one by one."""

    def test_numbers(self) -> None:
        """Each number is read from and written to its chunk, smallest and largest."""
        for name, kind, width in NUMBERS:
            for number in (0, 1, (1 << 8 * width) - 1):
                octets = build([(0, kind, number.to_bytes(width, "big"))])
                self.assertEqual(getattr(Packet(octets), name), number, name)
                self.assertEqual(of_one(name, number), octets, name)
            self.assertRaises(ValueError, of_one, name, 1 << 8 * width)
            self.assertRaises(ValueError, of_one, name, -1)
            self.assertRaises(TypeError, of_one, name, "1")

    def test_octets(self) -> None:
        """Each string of octets, whatever they are."""
        for name, kind in OCTETS:
            for value in (b"", b"\xff\x00\xc3\x28", b"x" * 1000):
                octets = build([(0, kind, value)])
                if name != "payload":
                    self.assertEqual(getattr(Packet(octets), name), value, name)
                self.assertEqual(of_one(name, value), octets, name)
            self.assertEqual(of_one(name, "\u00e9"), build([(0, kind, b"\xc3\xa9")]))
            self.assertRaises(TypeError, of_one, name, 1)

    def test_absent(self) -> None:
        """What is not there is None."""
        packet = Packet(build([(4661, kind, b"x") for kind in range(1, 0x30)]))
        for name in FIELDS:
            self.assertIs(getattr(packet, name), None, name)

    def test_wrong_width(self) -> None:
        """A chunk of the wrong width is told, and harms no other."""
        for name, kind, width in (*NUMBERS, *ADDRESSES):
            for size in {0, 1, 2, 3, 4, 5, 8, 15, 16, 17} - {width}:
                packet = Packet(build([(0, kind, bytes(size)), (0, Chunk.GROUP_ID, b"g")]))
                error = self.assertRaises(MalformedPacket, getattr, packet, name)
                self.assertEqual(error.kind, "chunk")
                self.assertEqual(packet.group_id, b"g")

    def test_addresses(self) -> None:
        """Addresses as octets and as text."""
        for text, packed in (
            ("192.0.2.255", bytes([192, 0, 2, 255])),
            ("2001:db8::1", IPv6Address("2001:db8::1").packed),
        ):
            for which in ("source", "destination"):
                packet = Packet(of_one(f"{which}_address", text))
                self.assertEqual(packet.octets, of_one(which, packed))
                self.assertEqual(getattr(packet, which), packed)
                self.assertEqual(getattr(packet, f"{which}_address"), text)
                self.assertEqual(packet.family, 2 if len(packed) == 4 else 10)
        self.assertRaises(ValueError, encode, source=b"12345")
        self.assertRaises(ValueError, encode, source_address="192.0.2.256")

    def test_mixed_families(self) -> None:
        """Of addresses of both families, that of the packet's family counts; of only one, that one."""
        both: list[tuple[int, int, bytes]] = [(0, 3, b"\1\2\3\4"), (0, 5, bytes(15) + b"\1")]
        self.assertEqual(Packet(build(both)).source_address, "1.2.3.4")
        self.assertEqual(Packet(build([*both, (0, 1, b"\2")])).source_address, "1.2.3.4")
        self.assertEqual(Packet(build([*both, (0, 1, b"\x0a")])).source_address, "::1")
        self.assertEqual(Packet(build([both[0], (0, 1, b"\x0a")])).source_address, "1.2.3.4")
        self.assertEqual(Packet(build([both[1], (0, 1, b"\2")])).source_address, "::1")
        self.assertEqual(Packet(build([both[1], (0, 1, b"\xff")])).source_address, "::1")

    def test_time(self) -> None:
        """Seconds and microseconds as one number."""
        packet = Packet(encode(time_ns=1_795_223_436_000_001_999))
        self.assertEqual((packet.seconds, packet.microseconds), (1_795_223_436, 1))
        self.assertEqual(packet.time_ns, 1_795_223_436_000_001_000)
        self.assertEqual(Packet(encode(seconds=5)).time_ns, 5_000_000_000)
        self.assertIs(Packet(encode(microseconds=5)).time_ns, None)
        self.assertEqual(Packet(encode(seconds=0xFFFFFFFF, microseconds=0xFFFFFFFF)).time_ns, 4_294_971_589_967_295_000)

    @settings(max_examples=200, deadline=None)
    @given(
        st.fixed_dictionaries(
            {},
            optional={
                **{name: st.integers(0, (1 << 8 * width) - 1) for name, _, width in NUMBERS},
                **{name: st.binary(max_size=50) for name, _ in OCTETS if name != "compressed_payload"},
                "source_address": st.ip_addresses().map(str),
                "destination": st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
            },
        )
    )
    def test_round_trip(self, fields: dict[str, Any]) -> None:
        """Whatever is written is read."""
        octets = encode(**fields)
        self.assertIs(plausible(octets, 0), True)
        packet = Packet(octets)
        for name in FIELDS:
            if name in fields:
                value = getattr(packet, name)
                if name == "source_address":
                    self.assertEqual(packet.all(3) + packet.all(5), [_packed(str(fields[name]))])
                elif name == "destination":
                    self.assertEqual(packet.all(4) + packet.all(6), [fields[name]])
                else:
                    self.assertEqual(value, fields[name], name)
        self.assertEqual(Packet(encode()).replace(**fields).without(1).payload, packet.payload)


def _packed(text: str) -> bytes:
    return IPv6Address(text).packed if ":" in text else IPv4Address(text).packed


class EncodingTests(SynchronousTestCase):
    """`encode`: what is more than fields."""

    def test_order(self) -> None:
        """Chunks in the order of their types, the payload behind them, what is given as chunks behind that."""
        packet = Packet(encode(payload=b"p", agent_name="n", family=2, chunks=[(4661, 1, b"v")]))
        self.assertEqual(packet.chunks, [(0, 1, b"\2"), (0, 0x13, b"n"), (0, 0x0F, b"p"), (4661, 1, b"v")])

    def test_family(self) -> None:
        """A family that is given is written, whatever the addresses."""
        self.assertEqual(Packet(encode(family=1, source_address="::1")).family, 1)

    def test_identity(self) -> None:
        """EEP3 is the other name."""
        self.assertEqual(encode(identity=EEP3, vlan=1)[:4], b"EEP3")

    def test_too_large(self) -> None:
        """A packet that would be too large is refused."""
        self.assertRaises(ValueError, encode, payload=bytes(65_535))


class PingTests(SynchronousTestCase):
    """`ping`."""

    def test_fields(self) -> None:
        """It says what the Go HFP's says, with the present time, and addresses that collectors can read."""
        packet = Packet(ping(b"s3cret", 1_795_223_436_123_456_789))
        self.assertEqual(
            (packet.family, packet.protocol, packet.source_address, packet.destination_address),
            (2, 17, "192.168.0.1", "192.168.0.2"),
        )
        self.assertEqual((packet.source_port, packet.destination_port), (5060, 5060))
        self.assertEqual((packet.seconds, packet.microseconds), (1_795_223_436, 123_456))
        self.assertEqual((packet.protocol_type, packet.agent_id, packet.agent_name), (1, 999, None))
        self.assertEqual((packet.authentication_key, packet.payload), (b"s3cret", b"HEP PING"))

    def test_too_long_a_key(self) -> None:
        """A key that no packet holds is refused."""
        self.assertRaises(ValueError, ping, bytes(65_535), 0)
