"""
Tests for `hfp.spool.reader`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import SpoolFull
from hfp.spool import FullPolicy, Position
from hfp.status import Amount
from hfp.test.spoolfakes import DIRECTORY, NOW_S, SimulatedFiles, append, clock, numbers, open_spool, read_all

#: Batches of 100 octets that fit into a segment of 2048.
IN_SEGMENT = 13


class ReaderTestCase(SynchronousTestCase):
    """A spool with three segments and a bit."""

    def setUp(self) -> None:
        self.files = SimulatedFiles()
        self.clock = clock()
        self.spool = open_spool(self.files, clock=self.clock)
        self.cursor = self.spool.cursor("tcp:a:9060")
        self.count = 3 * IN_SEGMENT + 5
        append(self.spool, *range(self.count))

    def reopen(self) -> None:
        """Kill the process, and start it again."""
        self.files.kill()
        self.spool = open_spool(self.files, clock=self.clock)
        self.cursor = self.spool.cursor("tcp:a:9060")

    def content(self, segment: int) -> bytearray:
        """A segment file's octets."""
        return self.files.names[f"{DIRECTORY}/seg-{segment:016x}"].cache


class ReaderTests(ReaderTestCase):
    """Reading what is sound."""

    def test_all(self) -> None:
        """Everything in order, whatever the size of the buffer."""
        for buffer_octets in (1, 100, 148, 149, 1000, 100_000):
            self.assertEqual(read_all(self.cursor.reader(buffer_octets)), list(range(self.count)))

    def test_chunk(self) -> None:
        """A chunk says what it holds, and where that stands."""
        chunk = self.cursor.reader(450).read()
        assert chunk is not None
        self.assertEqual(numbers(chunk.pieces), [0, 1, 2])
        self.assertEqual((chunk.packets, chunk.octets), (3, 300))
        self.assertEqual(chunk.start, Position(1, 64, 0, 0))
        self.assertEqual(chunk.end, Position(1, 64 + 3 * 148, 3, 300))
        self.assertEqual(chunk.oldest_ns, int(NOW_S * 1e9))

    def test_end_of_segment(self) -> None:
        """The position behind a segment's last record is the next one's start: confirming it frees the segment."""
        chunk = self.cursor.reader().read()
        assert chunk is not None
        self.assertEqual(chunk.packets, IN_SEGMENT)
        self.assertEqual(chunk.end, Position(2, 64, IN_SEGMENT, 100 * IN_SEGMENT))
        self.cursor.confirm(chunk.end)
        self.assertEqual(self.spool.status().flushes, 1)

    def test_at_the_end(self) -> None:
        """At the end there is nothing, and then what is appended."""
        reader = self.cursor.reader()
        read_all(reader)
        self.assertEqual(reader.position, self.spool.end)
        self.assertIsNone(reader.read())
        for number in range(self.count, self.count + 2 * IN_SEGMENT):
            append(self.spool, number)
            self.assertEqual(read_all(reader), [number])
            self.assertEqual(reader.position, self.spool.end)

    def test_seek(self) -> None:
        """Reading goes on anywhere, backwards as well, at the start of any chunk or its end."""
        reader = self.cursor.reader(300)
        places = []
        while (chunk := reader.read()) is not None:
            places.append((numbers(chunk.pieces)[0], chunk.start))
            places.append((numbers(chunk.pieces)[-1] + 1, chunk.end))
        for number, position in reversed(places):
            reader.seek(position)
            self.assertEqual(reader.position, position)
            self.assertEqual(read_all(reader), list(range(number, self.count)))

    def test_starts_at_cursor(self) -> None:
        """A new reader starts where its cursor stands."""
        reader = self.cursor.reader(300)
        chunk = reader.read()
        assert chunk is not None
        self.cursor.confirm(chunk.end)
        self.assertEqual(read_all(self.cursor.reader()), list(range(2, self.count)))

    def test_position_of_live_packets(self) -> None:
        """A place that was never read, but told by append, can be read from, also when its segment has ended since."""
        position = self.spool.end
        reader = self.cursor.reader()
        while position.segment == self.spool.end.segment:
            position = self.spool.end
            append(self.spool, 99)
        reader.seek(position)
        self.assertEqual(read_all(reader), [99])

    def test_one_open_file(self) -> None:
        """A reader holds one file open at most, and none when it has gone on."""
        self.clock.pump([0.2] * 3)
        opened = len(self.files.opened)
        reader = self.cursor.reader(300)
        while reader.read() is not None:
            self.assertLessEqual(len(self.files.opened), opened + 1)
        self.assertEqual(len(self.files.opened), opened)

    def test_reads_do_not_grow_with_records(self) -> None:
        """A read of the disk brings as many records as the buffer holds."""
        reader = self.cursor.reader(10_000)
        self.files.calls.clear()
        read_all(reader)
        self.assertLessEqual(self.files.calls["read"], 4)

    def test_largest_record(self) -> None:
        """A record that is larger than the buffer is read whole."""
        files = SimulatedFiles()
        spool = open_spool(files, segment_octets=4 << 20)
        reader = spool.cursor("tcp:a:9060").reader()
        largest = bytes(range(256)) * 4096
        spool.append([b"first"], 5, 1, 1)
        spool.append([largest], len(largest), 1, 1)
        found = []
        while (chunk := reader.read()) is not None:
            found += [bytes(piece) for piece in chunk.pieces]
        self.assertEqual(found, [b"first", largest])

    def test_more_than_a_thousand(self) -> None:
        """No more pieces than one system call takes."""
        files = SimulatedFiles()
        spool = open_spool(files, segment_octets=1 << 20)
        reader = spool.cursor("tcp:a:9060").reader()
        append(spool, *range(2500), octets=10)
        chunk = reader.read()
        assert chunk is not None
        self.assertEqual(len(chunk.pieces), 1000)
        self.assertEqual(len(read_all(reader)), 1500)


class DamageTests(ReaderTestCase):
    """Reading past damage."""

    def expect(self, *missing: int) -> None:
        """All is read but what is missing, which is counted, once, however often it is read."""
        expected = [number for number in range(self.count) if number not in missing]
        amount = Amount(packets=len(missing), octets=100 * len(missing))
        for buffer_octets in (150, 5000):
            reader = self.cursor.reader(buffer_octets)
            self.assertEqual(read_all(reader), expected)
            self.assertEqual(reader.position, self.spool.end)
            self.assertEqual(self.cursor.dropped()["corrupt"], amount)
            self.assertEqual(self.spool.status().corrupt, amount)

    def test_body(self) -> None:
        """A damaged body costs its record."""
        self.content(2)[64 + 148 * 3 + 48 + 50] ^= 4
        self.expect(IN_SEGMENT + 3)
        self.assertEqual(self.spool.status().corrupt_records, 1)

    def test_header(self) -> None:
        """So does a damaged header."""
        self.content(2)[64 + 148 * 3 + 13] ^= 4
        self.expect(IN_SEGMENT + 3)

    def test_first_and_last(self) -> None:
        """So does damage at either end of a segment."""
        self.content(2)[64 + 50] ^= 4
        self.content(2)[64 + 148 * 12 + 50] ^= 4
        self.expect(IN_SEGMENT, IN_SEGMENT + 12)
        self.assertEqual(self.spool.status().corrupt_records, 2)

    def test_end_record(self) -> None:
        """A damaged END record costs nothing, and is not counted."""
        self.content(2)[64 + 148 * 13 + 20] ^= 4
        self.expect()
        self.assertEqual(self.spool.status().corrupt_records, 0)

    def test_newest_record(self) -> None:
        """Damage to the newest records is seen when the readers get there."""
        self.content(4)[64 + 148 * 4 + 50] ^= 4
        self.expect(self.count - 1)

    def test_segment_header(self) -> None:
        """A damaged segment header costs nothing."""
        self.content(2)[30] ^= 4
        self.reopen()
        self.expect()

    def test_missing_segment(self) -> None:
        """A segment that is gone is counted by what the next one says was before it."""
        del self.files.names[f"{DIRECTORY}/seg-{2:016x}"]
        self.reopen()
        self.expect(*range(13, 26))

    def test_missing_first_segments(self) -> None:
        """Segments that are gone at the start were done with: nothing is said of them."""
        for segment in (1, 2):
            del self.files.names[f"{DIRECTORY}/seg-{segment:016x}"]
        self.reopen()
        self.assertEqual(read_all(self.cursor.reader()), list(range(26, self.count)))
        self.assertEqual(self.cursor.dropped()["corrupt"], Amount())

    def test_half_a_segment(self) -> None:
        """A segment file that was cut short costs what is missing."""
        del self.content(2)[64 + 148 * 3 + 70 :]
        self.reopen()
        self.expect(*range(16, 26))

    def test_empty_segment(self) -> None:
        """A segment file of zeros, or without any octet, costs what was in it."""
        for content in (b"", bytes(2048)):
            self.setUp()
            self.content(2)[:] = content
            self.reopen()
            self.expect(*range(13, 26))

    def test_put_aside(self) -> None:
        """A damaged segment is kept when it is free, for whoever wants to look into it, and no other is."""
        self.content(2)[64 + 148 * 3 + 50] ^= 4
        self.reopen()
        read_all(self.cursor.reader())
        self.cursor.confirm(self.spool.end)
        append(self.spool, self.count)
        status = self.spool.status()
        self.assertEqual(status.quarantined_segments, 1)
        self.assertIn(f"{DIRECTORY}/damaged-{2:016x}", self.files.names)
        self.reopen()
        self.assertEqual(self.spool.status().quarantined_segments, 1)

    def test_two_cursors(self) -> None:
        """Damage that two remotes meet is one damage, and each of them lost it."""
        other = self.spool.cursor("tcp:b:9060")
        append(self.spool, *range(self.count, self.count + 30))
        self.content(4)[64 + 148 * 6 + 50] ^= 4
        read_all(self.cursor.reader())
        read_all(other.reader())
        self.assertEqual(self.spool.status().corrupt_records, 1)
        self.assertEqual(other.dropped()["corrupt"].packets, 1)
        self.assertEqual(self.cursor.dropped()["corrupt"].packets, 1)

    def test_acknowledged(self) -> None:
        """What a collector had got is not lost to it, when it cannot be read again."""
        self.content(1)[64 + 148 * 3 + 50] ^= 4
        self.cursor.acknowledge(Position(1, 64 + 148 * 5, 5, 500))
        read_all(self.cursor.reader())
        self.assertEqual(self.cursor.dropped()["corrupt"], Amount())
        self.assertEqual(self.spool.status().corrupt_records, 1)

    def test_disk_refuses_to_read(self) -> None:
        """A segment that cannot be read is passed over, and counted."""
        self.clock.pump([0.2] * 3)
        reader = self.cursor.reader()
        reader.read()
        self.files.fail("open", times=2)
        self.assertEqual(read_all(reader), list(range(26, self.count)))
        self.assertEqual(self.cursor.dropped()["corrupt"].packets, 13)
        self.setUp()
        reader = self.cursor.reader()
        reader.read()
        self.files.fail("read", times=2)
        self.assertEqual(read_all(reader), list(range(26, self.count)))

    def test_passing_fault(self) -> None:
        """A single refusal costs nothing."""
        for method in ("open", "read"):
            self.setUp()
            self.clock.pump([0.2] * 3)
            reader = self.cursor.reader()
            reader.read()
            self.files.fail(method)
            self.assertEqual(read_all(reader), list(range(13, self.count)))

    def test_write_that_landed(self) -> None:
        """
        A record whose write was said to have failed, and reached the disk nevertheless, is not read as long as hfp
        runs; after a restart it may be, and what has the same place in the counters is not lost by that.
        """
        for policy, refused in ((FullPolicy.DROP_OLDEST, False), (FullPolicy.DROP_NEWEST, True)):
            files = SimulatedFiles()
            spool = open_spool(files, full=policy, limit_octets=2048 if refused else 0)
            cursor = spool.cursor("tcp:a:9060")
            append(spool, 1)
            self.patch_end(files)
            if refused:
                self.assertRaises(SpoolFull, append, spool, 2)
                spool = None  # type: ignore[assignment]
                files.kill()
                spool = open_spool(files, full=policy)
                cursor = spool.cursor("tcp:a:9060")
            else:
                append(spool, 2)
                self.assertEqual(read_all(cursor.reader()), [1, 2])
                files.kill()
                spool = open_spool(files, full=policy)
                cursor = spool.cursor("tcp:a:9060")
            append(spool, 3)
            found = []
            reader = cursor.reader()
            while (chunk := reader.read()) is not None:
                found += numbers(chunk.pieces)
            self.assertEqual(found, [1, 2, 3] if refused else [1, 2, 2, 3])
            self.assertEqual(cursor.dropped()["corrupt"], Amount())

    def patch_end(self, files: SimulatedFiles) -> None:
        """The next write fails although it reaches the disk, and so does nothing of the one that follows."""
        files.fail("write", part=1.0)
        fault = files.faults["write"]
        called = files.called

        def called_twice(method: str, changes: bool = True) -> float | None:
            part = called(method, changes)
            if method == "write" and part == 1.0:
                files.called = called  # type: ignore[method-assign]
                files.fail("write")
            return part

        self.assertEqual(fault.times, 1)
        files.called = called_twice  # type: ignore[method-assign]
