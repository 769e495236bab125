"""Tests for `hfp.hep.splitting`."""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.hep import build, split


class SplitTests(SynchronousTestCase):
    """Whole packets, one after the other."""

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.binary(max_size=100)))
    def test_packets(self, payloads: list[bytes]) -> None:
        """Each packet comes out as it went in, whatever the buffer is."""
        packets = [build([(0, 15, payload)]) for payload in payloads]
        for form in (bytes, bytearray, memoryview):
            self.assertEqual([bytes(packet) for packet in split(form(b"".join(packets)))], packets)

    def test_not_whole(self) -> None:
        """What is not whole packets comes to an end, and nothing of it goes missing."""
        packet = build([(0, 15, b"payload")])
        for octets in (packet + packet[:-1], packet + b"HEP3\0\0" + packet, packet + b"HEP"):
            found = list(split(octets))
            self.assertEqual(bytes(found[0]), packet)
            self.assertEqual(b"".join(map(bytes, found)), octets)
