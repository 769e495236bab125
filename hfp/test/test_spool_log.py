"""
Tests for `hfp.spool.log`, `hfp.spool.segments` and `hfp.spool.eviction`: appending, recycling, and who loses what.
"""

from __future__ import annotations

from errno import EIO, ENOSPC
from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import SpoolFull
from hfp.spool import Cursor, FullPolicy, Position, log as log_module
from hfp.spool.log import RETRY_S
from hfp.status import Amount
from hfp.test.spoolfakes import DIRECTORY, SimulatedFiles, Steps, append, clock, open_spool, read_all

#: Batches of 100 octets that fit into a segment of 2048.
IN_SEGMENT = 13


class LogTestCase(SynchronousTestCase):
    """A spool on a simulated disk, with one cursor."""

    settings: dict[str, Any] = {}  # noqa: RUF012 (constant)

    def setUp(self) -> None:
        self.files = SimulatedFiles()
        self.clock = clock()
        self.spool = open_spool(self.files, clock=self.clock, **self.settings)
        self.cursor = self.spool.cursor("tcp:a:9060")

    def confirm_all(self, *cursors: Cursor) -> None:
        for cursor in cursors or (self.cursor,):
            cursor.confirm(self.spool.end)

    def segments(self) -> int:
        """How many segment files there are."""
        return len([name for name in self.files.names if "/seg-" in name])

    def reopen(self, **changes: Any) -> None:
        """Kill the process, and start it again."""
        self.files.kill()
        self.spool = open_spool(self.files, clock=self.clock, **{**self.settings, **changes})
        self.cursor = self.spool.cursor("tcp:a:9060")


class AppendTests(LogTestCase):
    """Appending."""

    def test_positions(self) -> None:
        """A position says where a record stands, and what was appended before it."""
        self.assertEqual(self.spool.end, Position(1, 64, 0, 0))
        end = self.spool.append([b"one", memoryview(b"two")], 6, 5, 1)
        self.assertEqual(end, Position(1, 64 + 48 + 6, 5, 6))
        self.assertEqual(self.spool.end, end)
        append(self.spool, *range(IN_SEGMENT))
        self.assertEqual(self.spool.end, Position(2, 64 + 148, 5 + IN_SEGMENT, 6 + 100 * IN_SEGMENT))

    def test_one_write(self) -> None:
        """A batch costs one call of the disk, and no timer but the first."""
        append(self.spool, 1)
        self.files.calls.clear()
        timers = len(self.clock.getDelayedCalls())
        append(self.spool, 2, 3, 4)
        self.assertEqual(self.files.calls, {"write": 3})
        self.assertEqual(len(self.clock.getDelayedCalls()), timers)

    def test_many_pieces(self) -> None:
        """A thousand buffers make one record."""
        self.spool.append([b"x"] * 1000, 1000, 1000, 1)
        chunk = self.cursor.reader().read()
        assert chunk is not None
        self.assertEqual([bytes(piece) for piece in chunk.pieces], [b"x" * 1000])

    def test_segment_is_filled(self) -> None:
        """A record goes to a segment if it fits, to the last octet, and the END record as well."""
        room = 2048 - 64 - 2 * 48
        self.spool.append([bytes(room)], room, 1, 1)
        self.assertEqual(self.spool.end.segment, 1)
        append(self.spool, 1)
        self.assertEqual(self.spool.end.segment, 2)
        self.assertEqual(len(self.files.names[f"{DIRECTORY}/seg-{1:016x}"].cache), 2048)
        self.assertEqual(self.cursor.reader().read().octets, room)  # type: ignore[union-attr]

    def test_too_much(self) -> None:
        """What fits into no segment is the caller's fault."""
        self.assertRaises(ValueError, self.spool.append, [bytes(2000)], 2000, 1, 1)
        append(self.spool, 1)
        self.assertEqual(read_all(self.cursor.reader()), [1])

    def test_restart(self) -> None:
        """After a kill everything is there, and the log goes on in a new segment, with the counters carried on."""
        append(self.spool, *range(20))
        self.reopen()
        append(self.spool, 20)
        self.assertEqual(self.spool.end, Position((1 << 32) + 1, 64 + 148, 21, 2100))
        self.assertEqual(read_all(self.cursor.reader()), list(range(21)))


class RecyclingTests(LogTestCase):
    """Segments that are not needed any more."""

    def test_free_when_all_have_passed(self) -> None:
        """A segment is free when the last cursor has confirmed its last record."""
        other = self.spool.cursor("tcp:b:9060")
        append(self.spool, *range(2 * IN_SEGMENT))
        self.confirm_all()
        self.assertEqual(self.spool.status().segments, 2)
        reader = other.reader(148 * IN_SEGMENT)
        chunk = reader.read()
        assert chunk is not None
        self.assertEqual(chunk.packets, IN_SEGMENT)
        other.confirm(chunk.end)
        status = self.spool.status()
        self.assertEqual((status.segments, status.spare_segments, status.flushes), (1, 1, 1))

    def test_same_files(self) -> None:
        """A healthy relay uses the same few files for ever, and makes none durable."""
        for number in range(40 * IN_SEGMENT):
            append(self.spool, number)
            self.confirm_all()
        self.assertEqual(self.segments(), 1)
        self.assertEqual(self.files.calls["create"], 1 + 2)  # and the identity and the cursor
        self.assertEqual(self.spool.status().syncs, 0)
        self.assertEqual(self.spool.status().disk_octets, 2048 * self.segments())

    def test_full_of_old_records(self) -> None:
        """Records of a file's earlier uses are never read, neither before nor after a restart."""
        for number in range(7 * IN_SEGMENT + 3):
            append(self.spool, number)
            if number < 7 * IN_SEGMENT:
                self.confirm_all()
        self.clock.advance(1)
        expected = list(range(7 * IN_SEGMENT, 7 * IN_SEGMENT + 3))
        self.assertEqual(read_all(self.cursor.reader()), expected)
        self.reopen()
        self.assertEqual(self.spool.status().torn, 0)
        self.assertEqual(read_all(self.cursor.reader()), expected)
        self.assertEqual(self.spool.status().corrupt_records, 0)

    def test_confirmed_before_it_ends(self) -> None:
        """A segment whose records were all confirmed before the next one began is free as soon as that begins."""
        append(self.spool, *range(IN_SEGMENT))
        self.confirm_all()
        self.assertEqual(self.spool.status().segments, 1)
        append(self.spool, 100)
        self.assertEqual(self.spool.status().segments, 1)
        self.assertEqual(self.segments(), 1)

    def test_no_cursor(self) -> None:
        """As long as there is no cursor at all, nothing is freed."""
        files = SimulatedFiles()
        spool = open_spool(files)
        append(spool, *range(5 * IN_SEGMENT))
        self.assertEqual(spool.status().segments, 5)


class LimitTestCase(LogTestCase):
    """A spool that may take ten segments."""

    policy = FullPolicy.DROP_OLDEST

    def setUp(self) -> None:
        self.settings = {"limit_octets": 20480, "full": self.policy}
        super().setUp()

    def fill(self) -> int:
        """Append what the limit allows; returns how many batches that was."""
        append(self.spool, *range(10 * IN_SEGMENT))
        self.assertFalse(self.spool.status().full)
        return 10 * IN_SEGMENT


class DropOldestTests(LimitTestCase):
    """The default policy."""

    def test_drop(self) -> None:
        """At the limit the oldest segment goes, counted on whoever had not got it; the rest is there."""
        quick = self.spool.cursor("tcp:b:9060")
        number = self.fill()
        quick.acknowledge(Position(1, 64 + 5 * 148, 5, 500))
        append(self.spool, number)
        status = self.spool.status()
        self.assertTrue(status.full)
        self.assertEqual((status.segments, status.disk_octets), (10, 20480))
        self.assertEqual(self.cursor.dropped()["spool-full"], Amount(packets=13, octets=1300))
        self.assertEqual(quick.dropped()["spool-full"], Amount(packets=8, octets=800))
        self.assertEqual(read_all(self.cursor.reader()), list(range(13, number + 1)))
        self.assertEqual(self.cursor.position, Position(2, 64, 13, 1300))
        self.assertEqual(status.corrupt_records, 0)

    def test_again_and_again(self) -> None:
        """However much comes, the limit holds, no file is made, and nothing is counted twice."""
        number = self.fill()
        creates = self.files.calls["create"]
        reader = self.cursor.reader(400)
        reader.read()
        append(self.spool, *range(number, 50 * IN_SEGMENT))
        self.assertEqual(self.files.calls["create"], creates)
        self.assertEqual(self.spool.status().disk_octets, 20480)
        self.assertEqual(self.cursor.dropped()["spool-full"], Amount(packets=40 * 13, octets=40 * 1300))
        self.assertEqual(read_all(reader), list(range(40 * 13, 50 * 13)))
        self.assertEqual(self.spool.status().corrupt_records, 0)

    def test_drop_what_is_being_read(self) -> None:
        """A reader whose segment goes goes on at the oldest that there is."""
        self.fill()
        reader = self.cursor.reader(400)
        self.assertEqual(read_all(self.cursor.reader(400))[:2], [0, 1])
        chunk = reader.read()
        append(self.spool, *range(130, 170))
        assert chunk is not None
        self.cursor.confirm(chunk.end)  # late, and without effect
        self.assertEqual(self.cursor.position.packets, 52)
        self.assertEqual(read_all(reader), list(range(52, 170)))

    def test_room_again(self) -> None:
        """When the remotes have caught up the spool is not full any more."""
        append(self.spool, *range(self.fill() + 1))
        self.confirm_all()
        self.assertFalse(self.spool.status().full)
        append(self.spool, *range(9 * IN_SEGMENT))
        self.assertFalse(self.spool.status().full)

    def test_never_the_active_one(self) -> None:
        """What is being written stays, even if the limit is too small for anything else."""
        files = SimulatedFiles()
        spool = open_spool(files, limit_octets=2048)
        cursor = spool.cursor("tcp:a:9060")
        append(spool, *range(2 * IN_SEGMENT + 1))
        self.assertEqual(read_all(cursor.reader()), [2 * IN_SEGMENT])
        self.assertEqual(spool.status().disk_octets, 2048)

    def test_restart_at_the_limit(self) -> None:
        """The limit holds across restarts."""
        number = self.fill()
        for _ in range(5):
            self.reopen()
            append(self.spool, number)
            number += 1
            self.assertLessEqual(self.spool.status().disk_octets, 20480)
            self.assertLessEqual(self.files.used(), 20480 + 3 * 4608)

    def test_put_aside_goes_first(self) -> None:
        """A file that was put aside makes room before anybody loses anything."""
        self.fill()
        self.files.names[f"{DIRECTORY}/seg-{1:016x}"].cache[200] ^= 1
        reader = self.cursor.reader()
        read_all(reader)
        chunk = self.cursor.reader(5000)
        chunk.read()
        self.cursor.confirm((chunk.read() or chunk).start)  # type: ignore[union-attr]
        self.assertEqual(self.spool.status().quarantined_segments, 1)
        append(self.spool, 1000)
        self.assertEqual(self.spool.status().quarantined_segments, 0)
        self.assertEqual(self.cursor.dropped()["spool-full"], Amount())
        self.assertEqual(self.cursor.position.packets, IN_SEGMENT)

    def test_lower_limit(self) -> None:
        """A lower limit, with smaller segments, takes effect with the next segment."""
        self.fill()
        self.reopen(limit_octets=10240, segment_octets=1024)
        append(self.spool, 1000)
        self.assertLessEqual(self.spool.status().disk_octets, 10240)
        self.assertLessEqual(self.files.used(), 10240 + 3 * 4608)
        self.assertEqual(read_all(self.cursor.reader())[-1], 1000)

    def test_damaged_next_header(self) -> None:
        """If the next segment's header is damaged, its records are still read, and the count comes right."""
        self.fill()
        self.files.names[f"{DIRECTORY}/seg-{2:016x}"].cache[20] ^= 1
        self.reopen()
        append(self.spool, 1000)
        self.assertEqual(read_all(self.cursor.reader()), [*range(13, 130), 1000])
        dropped = self.cursor.dropped()
        self.assertEqual(dropped["spool-full"].packets + dropped["corrupt"].packets, 13)


class DropNewestTests(LimitTestCase):
    """The policy that refuses."""

    policy = FullPolicy.DROP_NEWEST

    def test_refuse(self) -> None:
        """At the limit new batches are refused, and counted; nothing old is lost."""
        number = self.fill()
        for _ in range(3):
            self.assertRaises(SpoolFull, append, self.spool, 1000)
        status = self.spool.status()
        self.assertTrue(status.full)
        self.assertEqual(status.refused, Amount(packets=3, octets=300))
        self.assertEqual(read_all(self.cursor.reader()), list(range(number)))
        self.assertEqual(self.cursor.dropped()["spool-full"], Amount())

    def test_refusing_is_cheap(self) -> None:
        """While nothing has changed a refusal does not ask the disk."""
        self.patch(log_module, "MEMORY_OCTETS", 2048)
        self.files.figures = (100_000, 5000)
        append(self.spool, *range(IN_SEGMENT))
        self.assertRaises(SpoolFull, append, self.spool, 1000)
        self.files.calls.clear()
        self.assertRaises(SpoolFull, append, self.spool, 1000)
        self.assertEqual(self.files.calls, {})

    def test_room_again(self) -> None:
        """As soon as a segment is free batches are taken again."""
        number = self.fill()
        self.assertRaises(SpoolFull, append, self.spool, 1000)
        chunk = self.cursor.reader(148 * IN_SEGMENT).read()
        assert chunk is not None
        self.cursor.confirm(chunk.end)
        append(self.spool, number)
        self.assertFalse(self.spool.status().full)
        self.assertEqual(read_all(self.cursor.reader()), list(range(IN_SEGMENT, number + 1)))


class BlockTests(LimitTestCase):
    """The policy that has senders wait."""

    policy = FullPolicy.BLOCK

    def test_block(self) -> None:
        """At the limit a batch is refused but not counted, for the caller keeps it; when there is room it is told."""
        number = self.fill()
        self.assertRaises(SpoolFull, append, self.spool, number)
        self.assertEqual(self.spool.status().refused, Amount())
        self.assertTrue(self.spool.status().full)
        told = self.spool.when_writable()
        told.addCallback(lambda _: append(self.spool, number))
        self.assertNoResult(told)
        self.confirm_all()
        self.successResultOf(told)
        self.assertEqual(read_all(self.cursor.reader()), [number])

    def test_try_again(self) -> None:
        """The room may come from elsewhere: so an append is worth a try now and then."""
        self.fill()
        self.assertRaises(SpoolFull, append, self.spool, 1000)
        told = self.spool.when_writable()
        self.clock.advance(RETRY_S)
        self.successResultOf(told)
        self.assertRaises(SpoolFull, append, self.spool, 1000)
        told = self.spool.when_writable()
        self.assertNoResult(told)
        told.addErrback(lambda _: None)
        told.cancel()
        self.clock.advance(RETRY_S)
        calls: Any = self.clock.getDelayedCalls()
        self.assertEqual([call for call in calls if call.func.__name__ == "_retry"], [])


class KeptCursorsYieldTests(LimitTestCase):
    """Cursors that nobody asks for yield before anybody else, under every policy."""

    def test_yield(self) -> None:
        """They lose their oldest segments, one for each that is needed; configured ones lose nothing."""
        for policy in FullPolicy:
            self.policy = policy
            self.setUp()
            number = self.fill()
            self.clock.advance(10)
            self.files.kill()
            self.spool = open_spool(self.files, clock=self.clock, **self.settings)
            other = self.spool.cursor("tcp:b:9060")
            append(self.spool, *range(number, number + 3 * IN_SEGMENT))
            self.assertEqual(read_all(other.reader()), list(range(number, number + 3 * IN_SEGMENT)))
            (kept,) = self.spool.kept()
            self.assertEqual(kept.dropped["spool-full"].packets, 3 * IN_SEGMENT)
            self.assertEqual(other.dropped()["spool-full"], Amount())

    def test_not_for_nothing(self) -> None:
        """They keep what they have if a configured one holds the oldest segment anyhow."""
        self.policy = FullPolicy.DROP_NEWEST
        self.setUp()
        self.spool.cursor("tcp:b:9060")
        self.fill()
        self.files.kill()
        self.spool = open_spool(self.files, clock=self.clock, **self.settings)
        self.spool.cursor("tcp:b:9060")
        self.assertRaises(SpoolFull, append, self.spool, 1000)
        (kept,) = self.spool.kept()
        self.assertEqual(kept.dropped["spool-full"], Amount())


class ReserveTests(LogTestCase):
    """A file system that others have filled."""

    def scarce(self, policy: FullPolicy) -> None:
        self.settings = {"full": policy}
        self.setUp()
        append(self.spool, *range(3 * IN_SEGMENT))
        self.files.octets = int(self.files.used() * 1.04)

    def test_drop_oldest(self) -> None:
        """The reserve counts as full."""
        self.scarce(FullPolicy.DROP_OLDEST)
        used = self.files.used()
        append(self.spool, 100)
        self.assertLess(self.files.used(), used + 100)  # an END record
        self.assertEqual(read_all(self.cursor.reader()), [*range(13, 39), 100])

    def test_feed_on(self) -> None:
        """A remote that keeps up is fed from memory, whatever the policy, and from disk when there is room."""
        for policy in (FullPolicy.DROP_NEWEST, FullPolicy.BLOCK):
            self.scarce(policy)
            reader = self.cursor.reader()
            read_all(reader)
            append(self.spool, 100)
            self.assertEqual(read_all(reader), [100])
            self.assertTrue(self.spool.status().degraded)
            self.assertEqual(self.segments(), 3)
            self.files.octets = 1 << 40
            self.clock.advance(RETRY_S)
            append(self.spool, 101)
            self.assertEqual(read_all(reader), [101])
            self.assertFalse(self.spool.status().degraded)

    def test_first_segment(self) -> None:
        """Not even the first segment is made on a disk that is almost full: but packets are relayed."""
        self.files.octets = self.files.used() + 2050
        append(self.spool, 1)
        self.assertEqual(self.spool.status().memory_segments, 1)
        self.assertEqual(read_all(self.cursor.reader()), [1])


class RefusingDiskTests(LogTestCase):
    """A disk that refuses data."""

    def disk_fails(self, error: int = EIO) -> None:
        for method in ("write", "create"):
            self.files.fail(method, error, times=1 << 30)

    def disk_works(self) -> None:
        self.files.faults.clear()

    def test_one_error(self) -> None:
        """A record whose write failed is written again, elsewhere, and read once."""
        for fault in ({"error": EIO}, {"error": ENOSPC}, {"part": 0.4}):
            self.setUp()
            append(self.spool, 1, 2)
            self.files.fail("write", **fault)
            append(self.spool, 3, 4)
            self.assertEqual(self.spool.status().write_errors, 1)
            self.assertEqual(self.spool.end, Position(2, 64 + 2 * 148, 4, 400))
            self.assertEqual(read_all(self.cursor.reader()), [1, 2, 3, 4])
            self.reopen()
            self.assertEqual(read_all(self.cursor.reader()), [1, 2, 3, 4])
            self.assertEqual(self.spool.status().corrupt_records, 0)

    def test_first_write_to_a_segment(self) -> None:
        """A file of which not even the first record's write went well is not used again."""
        append(self.spool, *range(IN_SEGMENT))
        self.files.fail("write", after=2)  # the END record and the next segment's header come first
        append(self.spool, IN_SEGMENT)
        self.assertEqual(self.spool.status().spare_segments, 0)
        self.assertEqual(self.segments(), 2)
        self.assertEqual(self.spool.end.segment, 3)
        self.assertEqual(self.files.calls["create"], 3 + 2)  # and the identity and the cursor
        self.assertEqual(read_all(self.cursor.reader()), list(range(IN_SEGMENT + 1)))

    def test_memory(self) -> None:
        """While the disk refuses, packets are relayed from memory."""
        append(self.spool, 1, 2)
        reader = self.cursor.reader()
        self.disk_fails()
        append(self.spool, *range(3, 50))
        status = self.spool.status()
        self.assertTrue(status.degraded)
        self.assertEqual(status.memory_segments, 4)
        self.assertEqual(read_all(reader), list(range(1, 50)))
        self.assertEqual(self.cursor.dropped()["forgotten-memory"], Amount())

    def test_no_call_for_each_batch(self) -> None:
        """While the disk refuses it is asked once in a while, not with each batch."""
        append(self.spool, 1)
        self.disk_fails()
        append(self.spool, *range(2, IN_SEGMENT + 5))
        self.files.calls.clear()
        append(self.spool, 100, 101, 102)
        self.assertEqual(self.files.calls, {})
        self.clock.pump([0.1] * 9)
        self.assertEqual(self.files.calls["create"], 0)
        self.clock.advance(RETRY_S)
        self.assertGreater(self.files.calls["create"], 0)

    def test_disk_again(self) -> None:
        """When the disk works again the log goes on there, and what is in memory is written out and durable."""
        append(self.spool, 1, 2)
        self.disk_fails()
        append(self.spool, *range(3, 30))
        self.disk_works()
        self.clock.advance(RETRY_S)
        append(self.spool, 30, 31)
        self.clock.pump([0.2] * 3)
        status = self.spool.status()
        self.assertEqual((status.degraded, status.memory_segments), (False, 0))
        self.assertEqual(self.spool.durable, self.spool.end)
        self.assertEqual(read_all(self.cursor.reader()), list(range(1, 32)))
        self.reopen()
        self.assertEqual(read_all(self.cursor.reader()), list(range(1, 32)))
        self.assertEqual(self.spool.status().corrupt_records, 0)

    def test_not_durable_in_memory(self) -> None:
        """What is in memory is not durable, nor is anything behind it, until it was written out."""
        steps = Steps()
        self.settings = {"in_thread": steps}
        self.setUp()
        append(self.spool, 1)
        self.disk_fails()
        append(self.spool, 2)
        position = self.spool.end
        self.disk_works()
        self.clock.advance(RETRY_S)
        append(self.spool, 3)
        self.files.fail("create")  # of the file that 2 would be written to
        self.clock.advance(0.2)
        steps.run()
        self.assertEqual(self.spool.durable.packets, 1)
        self.assertTrue(self.spool.status().degraded)
        self.clock.pump([0.5] * 12)
        steps.run()
        self.assertEqual(self.spool.durable, self.spool.end)
        self.assertGreater(self.spool.durable, position)

    def test_quiet(self) -> None:
        """Memory is written out although nothing more is appended."""
        self.disk_fails()
        append(self.spool, 1, 2)
        self.disk_works()
        self.clock.pump([0.2] * 10)
        self.assertEqual(self.spool.status().memory_segments, 0)
        self.reopen()
        self.assertEqual(read_all(self.cursor.reader()), [1, 2])

    def test_confirmed_memory(self) -> None:
        """What was confirmed is not written out."""
        self.disk_fails()
        append(self.spool, *range(20))
        self.confirm_all()
        self.assertEqual(self.spool.status().memory_segments, 1)
        self.disk_works()
        self.clock.pump([0.2] * 10)
        self.assertEqual(self.spool.status().memory_segments, 0)
        self.assertEqual(self.segments(), 1)

    def test_bounded(self) -> None:
        """Memory is bounded: under drop-oldest what is oldest in it is lost, and counted once on whoever lacks it."""
        self.patch(log_module, "MEMORY_OCTETS", 3 * 2048)
        quick = self.spool.cursor("tcp:b:9060")
        append(self.spool, 0)
        self.disk_fails()
        append(self.spool, *range(1, 60))
        quick.acknowledge(self.spool.end)
        append(self.spool, *range(60, 100))
        self.assertLessEqual(self.spool.status().memory_segments, 3)
        found = read_all(self.cursor.reader())
        self.assertEqual(found, [0, *range(100 - len(found) + 1, 100)])
        lost = 100 - len(found)
        self.assertGreater(lost, 40)
        self.assertEqual(self.cursor.dropped()["forgotten-memory"], Amount(packets=lost, octets=100 * lost))
        self.assertEqual(self.cursor.dropped()["corrupt"], Amount())
        self.assertEqual(self.spool.status().corrupt_records, 0)
        self.assertLess(quick.dropped()["forgotten-memory"].packets, 40)
        self.confirm_all(self.cursor, quick)
        self.assertEqual(self.spool.status().segments, 1)
        self.disk_works()
        self.clock.pump([0.2] * 10)
        append(self.spool, 100)
        self.reopen()
        self.assertEqual(read_all(self.cursor.reader()), [100])

    def test_bounded_and_refused(self) -> None:
        """Under the other policies batches are refused when memory is full."""
        self.patch(log_module, "MEMORY_OCTETS", 3 * 2048)
        for policy, refused in ((FullPolicy.DROP_NEWEST, 1), (FullPolicy.BLOCK, 0)):
            self.settings = {"full": policy}
            self.setUp()
            self.disk_fails()
            append(self.spool, *range(3 * IN_SEGMENT))
            self.assertRaises(SpoolFull, append, self.spool, 1000)
            self.assertEqual(self.spool.status().refused.packets, refused)
            self.assertEqual(read_all(self.cursor.reader()), list(range(3 * IN_SEGMENT)))
            self.confirm_all()
            append(self.spool, 1000)
            self.assertEqual(read_all(self.cursor.reader()), [1000])

    def test_forgotten_while_written_out(self) -> None:
        """A segment in memory that goes while it is written out leaves no file."""
        self.patch(log_module, "MEMORY_OCTETS", 2 * 2048)
        steps = Steps()
        self.settings = {"in_thread": steps}
        self.setUp()
        self.disk_fails()
        append(self.spool, *range(IN_SEGMENT))
        self.disk_works()
        self.clock.advance(RETRY_S)
        self.clock.pump([0.1] * 3)
        self.assertEqual(len(steps.waiting), 1)
        self.disk_fails()
        append(self.spool, *range(IN_SEGMENT, 7 * IN_SEGMENT))
        self.disk_works()
        steps.run()
        self.assertEqual([name for name in self.files.names if "new-" in name], [])
        self.assertGreater(self.cursor.dropped()["forgotten-memory"].packets, 0)

    def test_disk_full(self) -> None:
        """ENOSPC where no limit foresaw it: under drop-oldest the oldest segment gives its file."""
        append(self.spool, *range(3 * IN_SEGMENT))
        self.files.fail("create", ENOSPC, times=1 << 30)
        append(self.spool, *range(3 * IN_SEGMENT, 5 * IN_SEGMENT))
        self.assertEqual(self.spool.status().memory_segments, 0)
        self.assertEqual(read_all(self.cursor.reader()), list(range(2 * IN_SEGMENT, 5 * IN_SEGMENT)))
        self.assertEqual(self.cursor.dropped()["spool-full"].packets, 2 * IN_SEGMENT)

    def test_spare_first(self) -> None:
        """A disk that is full takes data where there was some before."""
        append(self.spool, *range(IN_SEGMENT))
        self.confirm_all()
        append(self.spool, *range(IN_SEGMENT, 2 * IN_SEGMENT))
        self.confirm_all()
        self.files.octets = self.files.used()
        append(self.spool, *range(20 * IN_SEGMENT))
        self.assertEqual(self.spool.status().memory_segments, 0)

    def test_statvfs_fails(self) -> None:
        """A file system that does not even say how much room it has is one that refuses."""
        self.files.fail("space", times=1 << 30)
        append(self.spool, 1)
        self.assertEqual(self.spool.status().memory_segments, 1)
        self.assertEqual(read_all(self.cursor.reader()), [1])


class LogLineTests(LogTestCase):
    """What the operator reads."""

    def test_no_flood(self) -> None:
        """Dropping is told at once, and then at most every ten seconds."""
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.settings = {"limit_octets": 20480}
        self.setUp()
        append(self.spool, *range(30 * IN_SEGMENT))
        told = [event for event in events if event["log_namespace"].startswith("hfp.spool")]
        self.assertEqual(len(told), 1)
        self.clock.advance(10)
        self.assertEqual(len([event for event in events if event["log_namespace"].startswith("hfp.spool")]), 2)
        self.assertEqual(events[-1]["packets"], 20 * IN_SEGMENT)
