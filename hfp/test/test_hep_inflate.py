"""
Tests for `hfp.hep.inflate`.
"""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import MalformedPacket
from hfp.hep import LARGEST_PAYLOAD, inflate


class InflateTests(SynchronousTestCase):
    """`inflate`."""

    def assert_refused(self, octets: bytes, limit: int = LARGEST_PAYLOAD) -> None:
        error = self.assertRaises(MalformedPacket, inflate, octets, limit)
        self.assertEqual(error.kind, "inflate")

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=3000), st.integers(1, 20))
    def test_round_trip(self, octets: bytes, times: int) -> None:
        """Both formats, with exactly the limit."""
        octets *= times
        for compress in (gzip.compress, zlib.compress):
            self.assertEqual(inflate(compress(octets), len(octets)), octets)

    def test_limit(self) -> None:
        """One octet more than the limit is refused, however small it is."""
        for compress in (gzip.compress, zlib.compress):
            self.assertEqual(len(inflate(compress(bytes(LARGEST_PAYLOAD)))), LARGEST_PAYLOAD)
            self.assert_refused(compress(bytes(LARGEST_PAYLOAD + 1)))
            self.assert_refused(compress(b"ab"), 1)
            self.assert_refused(compress(b"a"), 0)

    def test_bomb(self) -> None:
        """The largest bomb that fits into a packet is refused without being made."""
        machine = zlib.compressobj(9)
        bomb = b"".join(machine.compress(bytes(1 << 20)) for _ in range(63)) + machine.flush()
        self.assertLess(len(bomb), 65_535)
        tracemalloc.start()
        try:
            self.assert_refused(bomb)
            self.assertLess(tracemalloc.get_traced_memory()[1], 4 * LARGEST_PAYLOAD)
        finally:
            tracemalloc.stop()

    def test_cut(self) -> None:
        """Every cut is refused."""
        for compress in (gzip.compress, zlib.compress):
            whole = compress(b"INVITE sip:bob@example.net SIP/2.0\r\n" * 3)
            for size in range(len(whole)):
                self.assert_refused(whole[:size])

    def test_damaged(self) -> None:
        """Damage is refused, and what is neither format, and what has a tail."""
        for compress in (gzip.compress, zlib.compress):
            whole = bytearray(compress(b"INVITE sip:bob@example.net SIP/2.0\r\n" * 3))
            whole[-6] ^= 0xFF
            self.assert_refused(bytes(whole))
            self.assert_refused(compress(b"INVITE") + b"x")
        self.assert_refused(b"INVITE sip:bob SIP/2.0")
        self.assert_refused(zlib.compress(b"INVITE")[2:-4])
