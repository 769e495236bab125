"""
Tests for the batch of datagrams.
"""

from __future__ import annotations

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.batch import is_datagrams, pack_datagrams, unpack_datagrams


class DatagramBatchTests(SynchronousTestCase):
    """Datagrams without a length of their own, kept apart."""

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.binary(max_size=300)))
    def test_round_trip(self, datagrams: list[bytes]) -> None:
        """What is packed comes out again, in order, empty ones included."""
        self.assertEqual([bytes(datagram) for datagram in unpack_datagrams(pack_datagrams(datagrams))], datagrams)

    def test_longest(self) -> None:
        """The longest datagram there is fits."""
        longest = b"\x02" * 65_535
        self.assertEqual(bytes(next(iter(unpack_datagrams(pack_datagrams([longest]))))), longest)

    def test_told_apart(self) -> None:
        """It is never taken for HEP3, nor HEP3 for it."""
        for form in (bytes, bytearray, memoryview):
            self.assertTrue(is_datagrams(form(pack_datagrams([b"\x01\x10"]))))
            for start in (b"HEP3", b"EEP3", b"", b"\0DG"):
                self.assertFalse(is_datagrams(form(start)))
