"""
Tests for `hfp.spool.format`.
"""

from __future__ import annotations

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.spool.format import (
    FLAG_END,
    MOST_BODY_OCTETS,
    MOST_NAME_OCTETS,
    RECORD_OCTETS,
    SEGMENT_OCTETS,
    SLOT_OCTETS,
    Identity,
    SegmentHeader,
    Slot,
    cursor_seed,
    end_record,
    pack_cursor,
    pack_identity,
    pack_segment,
    pack_slot,
    seal,
    segment_seed,
    sound,
    unpack_cursor,
    unpack_identity,
    unpack_segment,
    unpack_slot,
    unseal,
)
from hfp.spool.position import Position

SPOOL_ID = bytes(range(16))
NUMBER = (3 << 32) + 7
SEED = segment_seed(SPOOL_ID, NUMBER)
BEFORE = Position(NUMBER, 64, 1000, 600_000)
HEADER = SegmentHeader(SPOOL_ID, NUMBER, 1000, 600_000, 1_750_000_000_000_000_000)


def flips(octets: bytes) -> list[bytes]:
    """*octets* with each of its bits turned over."""
    return [
        octets[:at] + bytes([octets[at] ^ (1 << bit)]) + octets[at + 1 :]
        for at in range(len(octets))
        for bit in range(8)
    ]


class GoldenTests(SynchronousTestCase):
    """The octets themselves: what stands here is on operators' disks, and must be read by every later hfp."""

    def test_segment(self) -> None:
        """A segment's header."""
        self.assertEqual(
            pack_segment(HEADER),
            bytes.fromhex(
                "6866702d7365670a 79e647d001000000 0001020304050607 08090a0b0c0d0e0f 0700000003000000 e803000000000000 "
                "c027090000000000 0000ef64ba3f4918"
            ),
        )

    def test_record(self) -> None:
        """A record of two pieces."""
        octets = seal(SEED, [b"HEP3", b"more"], 8, 2, 0, BEFORE, 1_750_000_000_000_000_001) + b"HEP3more"
        self.assertEqual(
            octets,
            bytes.fromhex(
                "9d686670199479ed 696df6a708000000 0200000000000000 e803000000000000 c027090000000000 0100ef64ba3f4918 "
                "484550336d6f7265"
            ),
        )

    def test_end(self) -> None:
        """An END record."""
        self.assertEqual(
            end_record(SEED, BEFORE),
            bytes.fromhex(
                "9d686670423403c6 423403c600000000 0000000001000000 e803000000000000 c027090000000000 0000000000000000"
            ),
        )

    def test_identity(self) -> None:
        """The identity's slot."""
        slot = pack_slot(0, Slot(5, pack_identity(Identity(1, 4, SPOOL_ID, 1_750_000_000_000_000_000))))
        self.assertEqual(
            slot.rstrip(b"\0"),
            bytes.fromhex(
                "6866702d736c740a 2854f60520000000 0500000000000000 0100000004000000 0001020304050607 08090a0b0c0d0e0f "
                "0000ef64ba3f4918"
            ),
        )

    def test_cursor(self) -> None:
        """A cursor's slot."""
        slot = pack_slot(cursor_seed(SPOOL_ID), Slot(9, pack_cursor("tcp:a:9060", BEFORE)))
        self.assertEqual(
            slot.rstrip(b"\0"),
            bytes.fromhex(
                "6866702d736c740a 2adbeb252a000000 0900000000000000 0700000003000000 4000000000000000 e803000000000000 "
                "c027090000000000 7463703a613a3930 3630"
            ),
        )


class SegmentHeaderTests(SynchronousTestCase):
    """The header of a segment file."""

    def test_there_and_back(self) -> None:
        """What is packed is what is unpacked."""
        self.assertEqual(len(pack_segment(HEADER)), SEGMENT_OCTETS)
        self.assertEqual(unpack_segment(pack_segment(HEADER) + b"records"), HEADER)

    def test_damaged(self) -> None:
        """No header with a wrong bit, or with octets missing, validates."""
        octets = pack_segment(HEADER)
        for flipped in flips(octets):
            self.assertIsNone(unpack_segment(flipped))
        for length in range(SEGMENT_OCTETS):
            self.assertIsNone(unpack_segment(octets[:length]))
        self.assertIsNone(unpack_segment(bytes(SEGMENT_OCTETS)))


class RecordTests(SynchronousTestCase):
    """Records."""

    @given(st.lists(st.binary(max_size=40), max_size=5), st.integers(0, 1 << 20), st.integers(0, 1 << 62))
    def test_there_and_back(self, pieces: list[bytes], packets: int, received_ns: int) -> None:
        """What was sealed in pieces is sound as a whole."""
        body = b"".join(pieces)
        octets = b"???" + seal(SEED, pieces, len(body), packets, 0, BEFORE, received_ns) + body
        self.assertEqual(len(octets), 3 + RECORD_OCTETS + len(body))
        header = unseal(octets, 3, SEED)
        assert header is not None
        self.assertEqual(header.length, len(body))
        self.assertEqual(header.packets, packets)
        self.assertEqual((header.packets_before, header.octets_before), BEFORE.counters)
        self.assertEqual(header.received_ns, received_ns)
        self.assertEqual(header.flags, 0)
        self.assertTrue(sound(header, memoryview(octets)[3 + RECORD_OCTETS :]))

    def test_damaged(self) -> None:
        """No record with a wrong bit is sound, wherever that bit is."""
        octets = seal(SEED, [b"HEP3more"], 8, 2, 0, BEFORE, 1) + b"HEP3more"
        for flipped in flips(octets):
            header = unseal(flipped, 0, SEED)
            self.assertFalse(header is not None and sound(header, flipped[RECORD_OCTETS:]))

    def test_header_alone(self) -> None:
        """A header validates without its body, so its length can be trusted although the body is damaged."""
        header = unseal(seal(SEED, [b"HEP3more"], 8, 2, 0, BEFORE, 1), 0, SEED)
        assert header is not None
        self.assertEqual(header.length, 8)
        self.assertFalse(sound(header, b"HEP3mor3"))

    def test_zeros(self) -> None:
        """A place that was never written holds no record."""
        self.assertIsNone(unseal(bytes(RECORD_OCTETS), 0, SEED))

    def test_too_long(self) -> None:
        """A record that claims a body that is never written is damaged."""
        self.assertIsNone(unseal(seal(SEED, [], MOST_BODY_OCTETS + 1, 1, 0, BEFORE, 1), 0, SEED))

    def test_stale(self) -> None:
        """A record of another spool, or of another segment that used the same file, does not validate."""
        octets = seal(SEED, [b"x"], 1, 1, 0, BEFORE, 1)
        for other in range(NUMBER - 100, NUMBER + 100):
            if other != NUMBER:
                self.assertIsNone(unseal(octets, 0, segment_seed(SPOOL_ID, other)))
        self.assertIsNone(unseal(octets, 0, segment_seed(bytes(16), NUMBER)))

    def test_end(self) -> None:
        """An END record is one by its flag, and carries the counters on."""
        header = unseal(end_record(SEED, BEFORE), 0, SEED)
        assert header is not None
        self.assertEqual(header.flags, FLAG_END)
        self.assertEqual(header.length, 0)
        self.assertEqual((header.packets_before, header.octets_before), BEFORE.counters)


class SlotTests(SynchronousTestCase):
    """Slots, and what is in them."""

    def test_there_and_back(self) -> None:
        """What is packed is what is unpacked."""
        slot = Slot(77, b"payload")
        self.assertEqual(len(pack_slot(5, slot)), SLOT_OCTETS)
        self.assertEqual(unpack_slot(5, pack_slot(5, slot)), slot)

    def test_damaged(self) -> None:
        """No slot with a wrong bit in what counts, with octets missing, or of another spool, validates."""
        octets = pack_slot(5, Slot(77, b"payload"))
        for flipped in flips(octets[:31]):
            self.assertIsNone(unpack_slot(5, flipped + octets[31:]))
        self.assertIsNone(unpack_slot(5, octets[:-1]))
        self.assertIsNone(unpack_slot(6, octets))
        self.assertIsNone(unpack_slot(0, bytes(SLOT_OCTETS)))

    def test_identity(self) -> None:
        """An identity comes back; what is too short for one is none."""
        identity = Identity(1, 2, SPOOL_ID, 3)
        self.assertEqual(unpack_identity(pack_identity(identity)), identity)
        self.assertEqual(unpack_identity(pack_identity(identity) + b"of a later version"), identity)
        self.assertIsNone(unpack_identity(pack_identity(identity)[:-1]))

    def test_cursor(self) -> None:
        """A cursor comes back, its name whatever it is; what cannot be one is none."""
        name = "tcp:bücher.example:9060"
        self.assertEqual(unpack_cursor(pack_cursor(name, BEFORE)), (name, BEFORE))
        self.assertIsNone(unpack_cursor(pack_cursor("", BEFORE)[:-1]))
        self.assertIsNone(unpack_cursor(pack_cursor("", BEFORE) + b"\xff"))

    def test_longest_name(self) -> None:
        """The longest name that is allowed fits into a slot."""
        name = "x" * MOST_NAME_OCTETS
        octets = pack_slot(0, Slot(1, pack_cursor(name, BEFORE)))
        self.assertEqual(len(octets), SLOT_OCTETS)
        slot = unpack_slot(0, octets)
        assert slot is not None
        self.assertEqual(unpack_cursor(slot.payload), (name, BEFORE))
