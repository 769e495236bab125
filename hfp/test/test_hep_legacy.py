"""
Tests for `hfp.hep.legacy`.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import MalformedPacket
from hfp.hep import Packet, parse_legacy, plausible, to_hep3

NOW_S = 1_795_223_436
NOW_NS = NOW_S * 1_000_000_000 + 123_456_789
SIP = b"OPTIONS sip:bob@example.net SIP/2.0\r\n\r\n"


def legacy(
    version: int = 2,
    *,
    source: str = "192.0.2.1",
    destination: str = "192.0.2.2",
    protocol: int = 17,
    header_length: int = 16,
    seconds: int = NOW_S,
    microseconds: int = 987_654,
    agent_id: int = 0x1234,
    order: str = "<",
    padding: bytes = b"\0\0",
    payload: bytes = SIP,
) -> bytes:
    """A HEP1 or HEP2 datagram."""
    family = 2 if ip_address(source).version == 4 else 10
    head = struct.pack(">BBBBHH", version, header_length, family, protocol, 5060, 15060)
    head += ip_address(source).packed + ip_address(destination).packed
    if version == 2:
        head += struct.pack(order + "IIH", seconds, microseconds, agent_id) + padding
    return head + payload


class ConversionTests(SynchronousTestCase):
    """`to_hep3`."""

    def convert(self, datagram: bytes, now_ns: int = NOW_NS) -> Packet:
        octets = to_hep3(datagram, now_ns)
        self.assertIs(plausible(octets, 0), True)
        return Packet(octets)

    def test_order_of_chunks(self) -> None:
        """The chunks stand in the usual order, the payload last."""
        kinds = [kind for _, kind, _ in self.convert(legacy()).chunks]
        self.assertEqual(kinds, [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 15])
        kinds = [kind for _, kind, _ in self.convert(legacy(1, source="::1", destination="::2")).chunks]
        self.assertEqual(kinds, [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 15])

    def test_fields(self) -> None:
        """Every field of HEP2 is there."""
        packet = self.convert(legacy(protocol=22))
        self.assertEqual(
            (packet.family, packet.protocol, packet.source_address, packet.destination_address),
            (2, 22, "192.0.2.1", "192.0.2.2"),
        )
        self.assertEqual((packet.source_port, packet.destination_port), (5060, 15060))
        self.assertEqual((packet.seconds, packet.microseconds, packet.agent_id), (NOW_S, 987_654, 0x1234))
        self.assertEqual((packet.protocol_type, packet.payload), (1, SIP))

    def test_ipv6(self) -> None:
        """IPv6 has its own chunks."""
        packet = self.convert(legacy(source="2001:db8::1", destination="::2"))
        self.assertEqual((packet.family, packet.source_address, packet.destination_address), (10, "2001:db8::1", "::2"))
        self.assertEqual((packet.seconds, packet.payload), (NOW_S, SIP))

    def test_hep1_is_stamped(self) -> None:
        """HEP1 has the time of receipt and agent 0."""
        packet = self.convert(legacy(1))
        self.assertEqual((packet.seconds, packet.microseconds, packet.agent_id), (NOW_S, 123_456, 0))
        self.assertEqual(packet.payload, SIP)

    def test_big_endian_time(self) -> None:
        """A time written big-endian is recognised by being near now, and the agent id with it."""
        packet = self.convert(legacy(order=">"))
        self.assertEqual((packet.seconds, packet.microseconds, packet.agent_id), (NOW_S, 987_654, 0x1234))

    def test_old_time(self) -> None:
        """In a capture that is replayed years later, the microseconds tell the byte order."""
        for order in "<>":
            packet = self.convert(legacy(order=order), NOW_NS + 3 * 365 * 86_400 * 10**9)
            self.assertEqual((packet.seconds, packet.microseconds), (NOW_S, 987_654), order)

    def test_undecidable_time(self) -> None:
        """A time that is absurd in either order is taken as little-endian."""
        packet = self.convert(legacy(seconds=0, microseconds=0, agent_id=1))
        self.assertEqual((packet.seconds, packet.microseconds, packet.agent_id), (0, 0, 1))
        packet = self.convert(legacy(seconds=0xFFFFFFFF, microseconds=0))
        self.assertEqual(packet.seconds, 0xFFFFFFFF)

    def test_time_near_in_both_orders(self) -> None:
        """A time that is near now in both orders is taken as little-endian."""
        seconds = int.from_bytes(b"\x6b\x00\x00\x6b", "big")
        packet = self.convert(legacy(seconds=seconds, agent_id=1), seconds * 10**9)
        self.assertEqual((packet.seconds, packet.agent_id), (seconds, 1))

    def test_too_many_microseconds(self) -> None:
        """A million microseconds and more leave the second as it is."""
        for microseconds in (1_000_000, 0xFFFFFFFF):
            packet = self.convert(legacy(microseconds=microseconds))
            self.assertEqual((packet.seconds, packet.microseconds), (NOW_S, 999_999))

    def test_header_length_means_nothing(self) -> None:
        """SIP is found behind 12 octets of time whatever the header length says, zeros or rubbish in the padding."""
        for header_length in range(256):
            for padding in (b"\0\0", b"\xff\x00", b"IN", b"AC"):
                for source, destination in (("192.0.2.1", "192.0.2.2"), ("::1", "::2")):
                    datagram = legacy(
                        header_length=header_length, padding=padding, source=source, destination=destination
                    )
                    self.assertEqual(self.convert(datagram).payload, SIP, (header_length, padding))

    def test_without_padding(self) -> None:
        """SIP is found behind 10 octets of time too, whatever the header length says."""
        for payload in (SIP, b"SIP/2.0 200 OK\r\n\r\n", b"ACK sip:x SIP/2.0\r\n\r\n"):
            for header_length in range(256):
                datagram = legacy(header_length=header_length, padding=b"", payload=payload)
                self.assertEqual(self.convert(datagram).payload, payload, header_length)

    def test_without_padding_and_not_sip(self) -> None:
        """What is not SIP is found by the header length, if that says that there is no padding."""
        datagram = legacy(header_length=26, padding=b"", payload=b"\r\n\r\n")
        self.assertEqual(self.convert(datagram).payload, b"\r\n\r\n")
        datagram = legacy(header_length=50, padding=b"", payload=b"\0\0\0\0", source="::1", destination="::1")
        self.assertEqual(self.convert(datagram).payload, b"\0\0\0\0")

    def test_sngreps_header_length(self) -> None:
        """sngrep writes the datagram's length divided by 256, which says nothing even if it comes to 26."""
        payload = b"EXTENSION sip:bob SIP/2.0\r\n\r\n".ljust(26 * 256, b"x")
        self.assertEqual(self.convert(legacy(header_length=26, padding=b"zz", payload=payload)).payload, payload)

    def test_no_payload(self) -> None:
        """A payload may have no octets, with and without padding."""
        for padding in (b"\0\0", b""):
            packet = self.convert(legacy(padding=padding, payload=b""))
            self.assertEqual((packet.payload, packet.seconds, packet.agent_id), (b"", NOW_S, 0x1234))
        self.assertEqual(self.convert(legacy(1, payload=b"")).payload, b"")
        self.assertEqual(self.convert(legacy(padding=b"", payload=b"x")).payload, b"x")

    def test_any_payload(self) -> None:
        """A payload may be any octets."""
        payload = bytes(range(256))
        self.assertEqual(self.convert(legacy(payload=payload)).payload, payload)
        self.assertEqual(self.convert(legacy(1, payload=payload)).payload, payload)

    def test_largest(self) -> None:
        """The largest datagram that fits into a HEP3 packet is converted, one more octet is refused."""
        fits = 65_535 - 99
        self.assertEqual(len(to_hep3(legacy(payload=bytes(fits)), NOW_NS)), 65_535)
        error = self.assertRaises(MalformedPacket, to_hep3, legacy(payload=bytes(fits + 1)), NOW_NS)
        self.assertEqual(error.kind, "too-big")

    def test_truncated(self) -> None:
        """Every cut within the header is told."""
        for version, source, whole in ((1, "192.0.2.1", 16), (1, "::1", 40), (2, "192.0.2.1", 26), (2, "::1", 50)):
            datagram = legacy(version, source=source, destination=source, payload=b"")
            for size in range(whole):
                error = self.assertRaises(MalformedPacket, to_hep3, datagram[:size], NOW_NS)
                self.assertEqual(error.kind, "truncated", (version, source, size))
            to_hep3(datagram[:whole], NOW_NS)

    def test_family(self) -> None:
        """A family that is neither IPv4 nor IPv6 is told."""
        for version in (1, 2):
            for family in set(range(256)) - {2, 10}:
                datagram = bytearray(legacy(version))
                datagram[2] = family
                error = self.assertRaises(MalformedPacket, to_hep3, bytes(datagram), NOW_NS)
                self.assertEqual(error.kind, "family")

    def test_version(self) -> None:
        """Another version is told, even if there is no more than that."""
        for version in set(range(256)) - {1, 2}:
            for datagram in (bytes([version]), bytes([version]) + legacy()[1:]):
                error = self.assertRaises(MalformedPacket, to_hep3, datagram, NOW_NS)
                self.assertEqual(error.kind, "other")

    @settings(max_examples=200, deadline=None)
    @given(
        st.sampled_from((1, 2)),
        st.sampled_from((("192.0.2.1", "198.51.100.9"), ("2001:db8::1", "fe80::1"))),
        st.integers(0, 255),
        st.integers(-80_000, 80_000),
        st.integers(0, 999_999),
        st.integers(0, 0xFFFF),
        st.sampled_from("<>"),
        st.binary(max_size=80),
    )
    def test_round_trip(
        self,
        version: int,
        addresses: tuple[str, str],
        protocol: int,
        offset: int,
        microseconds: int,
        agent_id: int,
        order: str,
        payload: bytes,
    ) -> None:
        """Whatever HEP1 and HEP2 say, HEP3 says; and taking them apart says it too."""
        payload = SIP + payload
        datagram = legacy(
            version,
            source=addresses[0],
            destination=addresses[1],
            protocol=protocol,
            seconds=NOW_S + offset,
            microseconds=microseconds,
            agent_id=agent_id,
            order=order,
            payload=payload,
        )
        packet = self.convert(datagram)
        parsed = parse_legacy(datagram, NOW_NS)
        time = (NOW_S + offset, microseconds, agent_id) if version == 2 else (NOW_S, 123_456, 0)
        self.assertEqual((packet.seconds, packet.microseconds, packet.agent_id), time)
        if version == 2:
            self.assertEqual((parsed.seconds, parsed.microseconds, parsed.agent_id), time)
        for said in (packet, parsed):
            self.assertEqual((said.protocol, said.payload), (protocol, payload))
            self.assertEqual((said.source, said.destination), tuple(ip_address(text).packed for text in addresses))
            self.assertEqual((said.source_port, said.destination_port), (5060, 15060))


class ParsingTests(SynchronousTestCase):
    """`parse_legacy`: what conversion does not keep."""

    def test_hep1(self) -> None:
        """HEP1 has no time and no agent."""
        parsed = parse_legacy(legacy(1, header_length=77), NOW_NS)
        self.assertEqual((parsed.version, parsed.family, parsed.header_length), (1, 2, 77))
        self.assertEqual((parsed.seconds, parsed.microseconds, parsed.agent_id), (None, None, None))
        self.assertEqual((parsed.big_endian, parsed.padding), (False, b""))

    def test_padding(self) -> None:
        """The padding is told."""
        self.assertEqual(parse_legacy(legacy(padding=b"\x12\x34"), NOW_NS).padding, b"\x12\x34")
        self.assertEqual(parse_legacy(legacy(padding=b""), NOW_NS).padding, b"")
        self.assertEqual(parse_legacy(legacy(source="::1", destination="::1"), NOW_NS).padding, b"\0\0")

    def test_byte_order(self) -> None:
        """The byte order is told."""
        self.assertFalse(parse_legacy(legacy(), NOW_NS).big_endian)
        self.assertTrue(parse_legacy(legacy(order=">"), NOW_NS).big_endian)

    def test_microseconds_as_they_are(self) -> None:
        """Microseconds are those on the wire."""
        self.assertEqual(parse_legacy(legacy(microseconds=5_000_000), NOW_NS).microseconds, 5_000_000)
