"""
Tests for `hfp.hep.datagram`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import MalformedPacket
from hfp.hep import DATAGRAM_FAULTS, EEP3, FAULT_KINDS, encode, from_datagram, to_hep3
from hfp.test.test_hep_legacy import NOW_NS, legacy

PACKET = encode(source_address="192.0.2.1", destination_address="192.0.2.2", payload=b"INVITE sip:bob SIP/2.0\r\n\r\n")


class DatagramTests(SynchronousTestCase):
    """`from_datagram`."""

    def assert_fault(self, datagram: bytes, kind: str) -> None:
        error = self.assertRaises(MalformedPacket, from_datagram, datagram, NOW_NS)
        self.assertEqual(error.kind, kind, datagram[:40])
        self.assertIn(kind, DATAGRAM_FAULTS)

    def test_hep3(self) -> None:
        """A whole packet is the same object, under either name, also of six octets and of 65,507."""
        for packet in (PACKET, EEP3 + PACKET[4:], b"HEP3\0\x06", encode(payload=bytes(65_507 - 12))):
            self.assertIs(from_datagram(packet, NOW_NS), packet)

    def test_octets_behind_the_end(self) -> None:
        """What follows a whole packet is left out."""
        self.assertEqual(from_datagram(PACKET + b"\0\0", NOW_NS), PACKET)

    def test_lying_length(self) -> None:
        """A length that is shorter than the datagram, with no packet up to there, is a fault."""
        for length in (0, 5, 7, 11, len(PACKET) - 1):
            self.assert_fault(PACKET[:4] + length.to_bytes(2, "big") + PACKET[6:], "length")

    def test_truncated(self) -> None:
        """Every cut of a packet is told, and a length longer than the datagram."""
        for size in range(1, len(PACKET)):
            self.assert_fault(PACKET[:size], "truncated")
        self.assert_fault(PACKET[:4] + b"\xff\xff" + PACKET[6:], "truncated")

    def test_legacy(self) -> None:
        """HEP1 and HEP2 are converted."""
        for version in (1, 2):
            datagram = legacy(version)
            self.assertEqual(from_datagram(datagram, NOW_NS), to_hep3(datagram, NOW_NS))

    def test_bad_legacy(self) -> None:
        """So are their faults told."""
        self.assert_fault(b"\x01", "truncated")
        self.assert_fault(legacy()[:20], "truncated")
        self.assert_fault(b"\x02\x10\x07" + legacy()[3:], "family")
        self.assert_fault(legacy(payload=bytes(65_507 - 28)), "too-big")

    def test_empty(self) -> None:
        """No octets are a fault."""
        self.assert_fault(b"", "empty")

    def test_others(self) -> None:
        """What is not HEP is named."""
        self.assert_fault(b"HELLO HFP", "greeting")
        self.assert_fault(b"OPTIONS sip:bob SIP/2.0\r\n", "sip")
        self.assert_fault(b"GET / HTTP/1.1\r\n", "http")
        self.assert_fault(b"\x16\x03\x01\x02\x00", "tls")
        self.assert_fault(b"\x1f\x8b\x08\0", "gzip")
        self.assert_fault(b"\xff" * 65_507, "other")
        self.assert_fault(b"HEP4" + PACKET[4:], "other")
        self.assert_fault(b"\0", "other")

    def test_kinds(self) -> None:
        """Each kind is named once; what streams have too has the same name there."""
        self.assertEqual(len(set(DATAGRAM_FAULTS)), len(DATAGRAM_FAULTS))
        self.assertEqual(set(FAULT_KINDS) - set(DATAGRAM_FAULTS), {"hep2"})
