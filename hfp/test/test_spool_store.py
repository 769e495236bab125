"""
Tests for `hfp.spool.store` and `hfp.spool.segment`.
"""

from __future__ import annotations

from errno import EIO, ENOSPC

from twisted.trial.unittest import SynchronousTestCase

from hfp.spool.format import SEGMENT_OCTETS, unpack_segment
from hfp.spool.position import Position
from hfp.spool.segment import Segment
from hfp.spool.store import MOST_SPARES, RESERVE_OCTETS, Room, Store
from hfp.test.spoolfakes import DIRECTORY, SimulatedFiles

SIZE = 4096


class StoreTestCase(SynchronousTestCase):
    """A store on a simulated disk, without a limit."""

    limit_octets = 0

    def setUp(self) -> None:
        self.files = SimulatedFiles()
        self.store = Store(self.files, DIRECTORY, b"i" * 16, SIZE, self.limit_octets)
        self.number = 0

    def begin(self, filled: bool = True) -> Segment:
        """A new segment, closed when it is full, or at once."""
        self.number += 1
        segment = self.store.begin(Position(self.number, SEGMENT_OCTETS, 10, 100), 5)
        end = SIZE - 100 if filled else 200
        assert segment.file is not None
        segment.file.write([bytes(end - SEGMENT_OCTETS)], SEGMENT_OCTETS)
        segment.close(Position(self.number, end, 20, 200))
        self.store.shrink(segment)
        return segment

    def names(self) -> list[str]:
        """The files that there are."""
        return sorted(self.files.listing(DIRECTORY))


class SegmentsComeAndGoTests(StoreTestCase):
    """Making segments, and recycling them."""

    def test_begin(self) -> None:
        """A new segment has a file of its number, with a header."""
        segment = self.store.begin(Position(255, SEGMENT_OCTETS, 10, 100), 5)
        self.assertEqual(self.names(), ["seg-00000000000000ff"])
        header = unpack_segment(bytes(self.files.names[segment.path].cache))
        assert header is not None
        self.assertEqual(header, (b"i" * 16, 255, 10, 100, 5))
        self.assertEqual(segment.read_start(), Position(255, SEGMENT_OCTETS, 10, 100))
        self.assertTrue(segment.open and segment.unsynced and segment.unlisted)

    def test_recycle(self) -> None:
        """A segment that is not needed any more gives its file to a new one; nothing is made anew."""
        self.store.retire(self.begin())
        self.assertEqual(len(self.store.spares), 1)
        segment = self.begin()
        self.assertEqual(self.names(), ["seg-0000000000000002"])
        self.assertEqual(self.files.calls["create"], 1)
        self.assertEqual(segment.read_start(), Position(2, SEGMENT_OCTETS, 10, 100))
        self.assertEqual(self.store.spares, [])
        self.assertEqual(self.store.footprint, SIZE)

    def test_most_spares(self) -> None:
        """A few spares are kept, the rest is removed."""
        for segment in [self.begin() for _ in range(MOST_SPARES + 3)]:
            self.store.retire(segment)
        self.assertEqual(len(self.store.spares), MOST_SPARES)
        self.assertEqual(len(self.names()), MOST_SPARES)
        self.assertEqual(self.store.footprint, MOST_SPARES * SIZE)
        self.store.close()
        self.assertEqual(self.files.opened, set())

    def test_largest_spare_first(self) -> None:
        """The spare that saves most is taken first, and of equal ones the oldest."""
        for segment in [self.begin(filled=False), self.begin(), self.begin()]:
            self.store.retire(segment)
        self.begin()
        self.assertEqual(self.names(), [f"seg-{number:016x}" for number in (1, 3, 4)])

    def test_damaged(self) -> None:
        """A damaged segment's file is put aside, not used again."""
        segment = self.begin()
        segment.damaged = True
        self.store.retire(segment)
        self.assertEqual(self.names(), ["damaged-0000000000000001"])
        self.assertEqual(self.store.spares, [])
        self.assertEqual(self.store.footprint, SIZE)
        self.assertEqual(self.files.opened, set())

    def test_poisoned(self) -> None:
        """A file of which a sync failed is not used again."""
        segment = self.begin()
        self.store.poison(segment)
        self.assertEqual(self.names(), ["poisoned-0000000000000001"])
        self.store.retire(segment)
        self.assertEqual(self.names(), [])
        self.assertEqual(self.store.footprint, 0)
        self.assertEqual(self.files.opened, set())

    def test_in_use(self) -> None:
        """A file that the sync works on is not used again, and closed when that is done."""
        segment = self.begin()
        segment.use()
        self.store.retire(segment)
        self.assertEqual(self.store.spares, [])
        self.assertEqual(len(self.files.opened), 1)
        segment.release()
        self.assertEqual(self.files.opened, set())

    def test_disk_refuses(self) -> None:
        """If a segment cannot be begun nothing is left of it, whichever step failed, with a spare or without."""
        for spares in (0, 1):
            for method in ("create", "rename", "open", "write"):
                if method == ("rename", "create")[spares] or (method == "open" and not spares):
                    continue
                if spares:
                    self.store.retire(self.begin())
                    self.store.close()  # as after a restart: the spare is not open
                self.files.fail(method, EIO)
                self.number += 1
                start = Position(self.number, SEGMENT_OCTETS, 0, 0)
                self.assertRaises(OSError, self.store.begin, start, 0)
                self.assertEqual(self.names(), [], (method, spares))
                self.assertEqual(self.store.footprint, 0)
                self.assertEqual(self.files.opened, set())

    def test_in_memory(self) -> None:
        """A segment in memory takes no room on the disk, and leaves nothing there."""
        segment = self.store.begin_in_memory(Position(1, SEGMENT_OCTETS, 10, 100), 5)
        self.assertTrue(segment.in_memory)
        self.assertEqual(segment.read_start(), Position(1, SEGMENT_OCTETS, 10, 100))
        self.store.shrink(segment)
        self.store.retire(segment)
        self.assertEqual(self.names(), [])
        self.assertEqual((self.store.footprint, self.store.spares), (0, []))


class RoomTests(StoreTestCase):
    """How much of the disk may be used."""

    limit_octets = 4 * SIZE

    def test_limit(self) -> None:
        """All files together stay within the limit; a spare counts already."""
        for _ in range(3):
            self.begin()
        self.assertEqual(self.store.room_for_segment(), Room.ENOUGH)
        last = self.begin()
        self.assertEqual(self.store.room_for_segment(), Room.LIMITED)
        self.store.retire(last)
        self.assertEqual(self.store.room_for_segment(), Room.ENOUGH)

    def test_closed_early(self) -> None:
        """A segment that was closed early counts with what it has."""
        for _ in range(10):
            self.begin(filled=False)
        self.assertEqual(self.store.footprint, 10 * (200 + 48))
        self.assertEqual(self.store.room_for_segment(), Room.ENOUGH)

    def test_small_spare(self) -> None:
        """A spare that was closed early needs room to grow."""
        for _ in range(3):
            self.begin()
        for segment in [self.begin(filled=False), self.begin(filled=False)]:
            self.store.retire(segment)
        self.assertEqual(self.store.room_for_segment(), Room.LIMITED)
        self.assertTrue(self.store.shed())
        self.assertEqual(len(self.store.spares), 1)
        self.assertEqual(self.store.room_for_segment(), Room.ENOUGH)

    def test_reserve(self) -> None:
        """A part of the file system stays free, but a spare may always be used."""
        self.files.octets = 100 * SIZE
        other = self.files.create("/spool/other")
        other.write([bytes(94 * SIZE)], 0)
        self.assertEqual(self.store.room_for_segment(), Room.ENOUGH)
        other.write([b"!"], 94 * SIZE)
        self.assertEqual(self.store.room_for_segment(), Room.SCARCE)
        self.files.octets = 1 << 40
        self.store.retire(self.begin())
        self.files.octets = 100 * SIZE
        self.assertEqual(self.store.room_for_segment(), Room.ENOUGH)

    def test_reserve_of_large_disks(self) -> None:
        """Of a large file system no more than so much is kept free."""
        self.files.octets = RESERVE_OCTETS + SIZE
        self.assertEqual(Store(self.files, DIRECTORY, b"i" * 16, SIZE, 0).room_for_segment(), Room.ENOUGH)
        self.files.octets = 100 * RESERVE_OCTETS
        self.files.figures = (100 * RESERVE_OCTETS, RESERVE_OCTETS + SIZE)
        self.assertEqual(self.store.room_for_segment(), Room.ENOUGH)
        self.files.figures = (100 * RESERVE_OCTETS, RESERVE_OCTETS + SIZE - 1)
        self.assertEqual(self.store.room_for_segment(), Room.SCARCE)

    def test_shed(self) -> None:
        """What nobody needs goes: spares but one, then what was put aside, the oldest first."""
        segments = [self.begin() for _ in range(4)]
        for segment in segments[:2]:
            segment.damaged = True
        for segment in segments:
            self.store.retire(segment)
        left = []
        while self.store.shed():
            left.append(self.names())
        self.assertEqual(
            left,
            [
                ["damaged-0000000000000001", "damaged-0000000000000002", "seg-0000000000000004"],
                ["damaged-0000000000000002", "seg-0000000000000004"],
                ["seg-0000000000000004"],
            ],
        )
        self.assertEqual(self.store.footprint, SIZE)


class ReplaceTests(StoreTestCase):
    """A segment moves to another file."""

    def copy(self, segment: Segment) -> None:
        copy = self.files.create(self.store.unfinished(segment))
        copy.write([b"copy"], 0)
        self.store.replace(segment, copy, 4)

    def test_poisoned(self) -> None:
        """The poisoned file stays until the copy's name is durable, and is put aside then."""
        segment = self.begin()
        self.store.poison(segment)
        self.copy(segment)
        self.assertEqual(self.names(), ["poisoned-0000000000000001", "seg-0000000000000001"])
        self.assertFalse(segment.poisoned or segment.unsynced)
        self.assertTrue(segment.unlisted)
        self.assertFalse(self.store.shed())
        self.assertEqual(self.store.footprint, SIZE + 4)
        self.store.note_listed(segment)
        self.assertTrue(self.store.shed())
        self.assertEqual(self.names(), ["seg-0000000000000001"])
        self.assertEqual(self.store.footprint, 4)

    def test_poisoned_twice(self) -> None:
        """The second poisoned file takes the name of the first, and is not taken for something that was put aside."""
        for listed in (False, True):
            segment = self.begin()
            self.store.poison(segment)
            self.copy(segment)
            if listed:
                self.store.note_listed(segment)
            self.store.poison(segment)
            self.assertEqual(self.names(), [f"poisoned-{segment.number:016x}"])
            self.assertFalse(self.store.shed())
            self.assertEqual(self.store.footprint, 4)
            self.store.retire(segment)
            self.assertEqual(self.store.footprint, 0)

    def test_memory(self) -> None:
        """A segment in memory gets a file."""
        segment = self.store.begin_in_memory(Position(1, SEGMENT_OCTETS, 10, 100), 5)
        segment.close(Position(1, SEGMENT_OCTETS, 10, 100))
        self.copy(segment)
        self.assertEqual(self.names(), ["seg-0000000000000001"])
        self.assertFalse(segment.in_memory)
        self.assertEqual(self.store.footprint, 4)

    def test_disk_refuses(self) -> None:
        """If the copy cannot take its place the segment lives where it did."""
        segment = self.begin()
        self.store.poison(segment)
        self.files.fail("rename", ENOSPC)
        self.assertRaises(OSError, self.copy, segment)
        self.assertTrue(segment.poisoned)
        self.assertEqual(segment.path, f"{DIRECTORY}/poisoned-0000000000000001")
        self.assertIsNotNone(segment.file)


class SegmentTests(StoreTestCase):
    """What one segment knows."""

    def test_passed(self) -> None:
        """A cursor at a closed segment's end has passed it, and so has every later one."""
        segment = self.begin()
        end = SIZE - 100
        self.assertFalse(segment.passed(Position(1, end - 1, 0, 0)))
        self.assertTrue(segment.passed(Position(1, end, 0, 0)))
        self.assertTrue(segment.passed(Position(2, 64, 0, 0)))
        segment.open = True
        self.assertFalse(segment.passed(Position(1, end, 0, 0)))

    def test_file_stays_open_as_long_as_needed(self) -> None:
        """A file is open while something is to be synced, or somebody reads it."""
        segment = self.begin()
        segment.settle()
        self.assertEqual(len(self.files.opened), 1)
        segment.unsynced = False
        segment.settle()
        self.assertEqual(len(self.files.opened), 0)
        segment.use()
        segment.use()
        segment.release()
        self.assertEqual(len(self.files.opened), 1)
        segment.release()
        self.assertEqual(len(self.files.opened), 0)

    def test_holders_are_told(self) -> None:
        """Who holds a segment lets go when it goes."""
        segment = self.begin()

        class Holder:
            def let_go(self, segment: Segment) -> None:
                segment.release_hold(self)

        holder = Holder()
        segment.hold(holder)
        self.store.retire(segment)
        self.assertFalse(segment.used)
        self.assertEqual(len(self.store.spares), 1)

    def test_recycled_but_not_begun(self) -> None:
        """A file whose header has another number is not that segment."""
        segment = self.begin()
        content = bytes(self.files.names[segment.path].cache)
        other = self.store.segment(2)
        file = self.files.create(other.path)
        file.write([content], 0)
        self.assertIsNone(other.read_start())
        file.write([bytes(64)], 0)
        self.assertIsNone(other.read_start())

    def test_end_cannot_be_written(self) -> None:
        """A segment is closed even if its END record cannot be written."""
        segment = self.store.begin(Position(1, SEGMENT_OCTETS, 10, 100), 5)
        self.files.fail("write")
        segment.close(Position(1, SEGMENT_OCTETS, 10, 100))
        self.assertFalse(segment.open)
