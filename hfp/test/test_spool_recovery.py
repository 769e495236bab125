"""
Tests for `hfp.spool.recovery`: opening a spool, whatever state it was left in.
"""

from __future__ import annotations

import os
from random import Random

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import SpoolUnusable
from hfp.spool import Position, Spool
from hfp.spool.cursors import file_name
from hfp.spool.format import Identity, Slot, pack_identity, pack_slot
from hfp.status import Amount
from hfp.test.spoolfakes import DIRECTORY, Inode, SimulatedFiles, append, clock, open_spool, read_all

NAME = "tcp:a:9060"
SEGMENT = f"{DIRECTORY}/seg-{1:016x}"
IDENTITY = f"{DIRECTORY}/identity"
CURSOR = f"{DIRECTORY}/{file_name(NAME)}"

#: Batches of 100 octets that fit into a segment of 2048.
IN_SEGMENT = 13


def copied(files: SimulatedFiles) -> SimulatedFiles:
    """The same files on another disk, nobody using them."""
    copy = SimulatedFiles()
    copy.names = {name: Inode(bytearray(inode.cache), bytearray(inode.cache)) for name, inode in files.names.items()}
    return copy


class RecoveryTestCase(SynchronousTestCase):
    """A spool with some records, and the process killed."""

    count = 5

    def setUp(self) -> None:
        self.files = SimulatedFiles()
        spool = open_spool(self.files)
        spool.cursor(NAME)
        append(spool, *range(self.count), octets=20)
        self.files.kill()

    def opened(self, files: SimulatedFiles | None = None) -> tuple[Spool, list[int]]:
        """The spool, opened again, and what there is to read."""
        spool = open_spool(files or self.files)
        return spool, read_all(spool.cursor(NAME).reader())

    def content(self, path: str = SEGMENT) -> bytearray:
        return self.files.names[path].cache


class TailTests(RecoveryTestCase):
    """The newest segment."""

    def test_sound(self) -> None:
        """What a killed process left behind is all there; no record was torn."""
        spool, found = self.opened()
        self.assertEqual(found, list(range(5)))
        self.assertEqual(spool.end.counters, (5, 100))
        status = spool.status()
        self.assertEqual((status.torn, status.corrupt_records), (0, 0))

    def test_cut_anywhere(self) -> None:
        """Wherever the file ends, what is whole before that is there, the rest is cut off, and the log goes on."""
        whole = bytes(self.content())
        for length in range(len(whole) + 1):
            files = copied(self.files)
            files.names[SEGMENT].cache[:] = whole[:length]
            spool, found = self.opened(files)
            records = max(0, (length - 64) // 68)
            self.assertEqual(found, list(range(records)), length)
            self.assertEqual(spool.status().torn, length > 64 and (length - 64) % 68 != 0, length)
            self.assertEqual(spool.status().corrupt_records, 0)
            append(spool, 77)
            self.assertEqual(read_all(spool.cursor(NAME).reader()), [*range(records), 77])
            files.kill()
            spool, found = self.opened(files)
            self.assertEqual(found, [*range(records), 77])
            self.assertEqual((spool.status().torn, spool.status().corrupt_records), (0, 0))

    def test_zeros_and_garbage(self) -> None:
        """A tail of zeros, or of anything else, is cut off."""
        whole = bytes(self.content())
        random = Random(5)
        for length in (64, 64 + 68, 64 + 100, 64 + 3 * 68 + 47, 64 + 3 * 68 + 48, len(whole)):
            for tail in (bytes(600), random.randbytes(600), b"\x9dhfp" * 150):
                files = copied(self.files)
                files.names[SEGMENT].cache[:] = whole[:length] + tail
                _, found = self.opened(files)
                self.assertEqual(found, list(range((length - 64) // 68)))

    def test_every_bit(self) -> None:
        """A wrong bit anywhere costs at most the record that it is in, and that is counted."""
        whole = bytes(self.content())
        for at in range(len(whole)):
            for bit in (0, 7):
                files = copied(self.files)
                files.names[SEGMENT].cache[at] ^= 1 << bit
                spool, found = self.opened(files)
                hit = (at - 64) // 68 if at >= 64 else None
                self.assertEqual(found, [number for number in range(5) if number != hit], at)
                status = spool.status()
                lost = Amount(packets=1, octets=20) if hit is not None and hit < 4 else Amount()
                self.assertEqual(status.corrupt, lost, at)
                self.assertEqual(status.corrupt_records, lost.packets)
                append(spool, 77)
                self.assertEqual(read_all(spool.cursor(NAME).reader())[-1], 77)

    def test_middle(self) -> None:
        """A damaged record with sound ones behind it is not torn: it is counted, once, and its segment put aside."""
        self.content()[64 + 68 + 50] ^= 1
        self.assertEqual(open_spool(copied(self.files)).status().corrupt_records, 1)
        spool, found = self.opened()
        self.assertEqual(found, [0, 2, 3, 4])
        status = spool.status()
        self.assertEqual((status.torn, status.corrupt_records, status.corrupt.packets), (0, 1, 1))
        spool.cursor(NAME).confirm(spool.end)
        self.assertEqual(spool.status().quarantined_segments, 1)

    def test_end_is_written(self) -> None:
        """After the newest record an END record stands, so what is behind it is never looked at again."""
        torn = self.content()[: 64 + 3 * 68 + 60]
        self.content()[:] = torn
        self.opened()
        self.files.kill()
        spool, _ = self.opened()
        self.assertEqual(spool.status().torn, 0)

    def test_end_counts(self) -> None:
        """The END record that is written at the start counts towards the limit like all else."""
        files = SimulatedFiles()
        spool = open_spool(files)
        spool.cursor(NAME)
        append(spool, 1, octets=864)  # 976 octets: with an END record half a segment, which counts as a whole one
        files.kill()
        first = open_spool(files).status().disk_octets
        files.kill()
        self.assertEqual(first, open_spool(files).status().disk_octets)

    def test_end_cannot_be_written(self) -> None:
        """If it cannot be written, opening succeeds all the same."""
        self.files.fail("write", after=1)  # the identity comes first
        _, found = self.opened()
        self.assertEqual(found, list(range(5)))

    def test_newest_not_begun(self) -> None:
        """Files that were to become segments, but were not begun when the power failed, become spares."""
        old = self.content()
        for number, content in ((2, bytes(old)), (3, b""), (4, bytes(64)), (5, os.urandom(700))):
            self.files.names[f"{DIRECTORY}/seg-{number:016x}"] = Inode(bytearray(content))
        spool, found = self.opened()
        self.assertEqual(found, list(range(5)))
        self.assertEqual(spool.status().spare_segments, 4)
        append(spool, 77)
        self.assertEqual(read_all(spool.cursor(NAME).reader()), [*range(5), 77])
        self.assertEqual(spool.status().corrupt_records, 0)

    def test_header_damaged(self) -> None:
        """Without a valid header the records are found all the same."""
        self.content()[:64] = bytes(64)
        spool, found = self.opened()
        self.assertEqual(found, list(range(5)))
        self.assertEqual(spool.end.counters, (5, 100))

    def test_cannot_be_read(self) -> None:
        """A newest segment that cannot be opened, or read, does not keep hfp from starting."""
        for method in ("open", "read"):
            for after in range(8):
                files = copied(self.files)
                files.fail(method, after=after)
                try:
                    spool = open_spool(files)
                except SpoolUnusable:
                    self.assertLess(after, 2)  # the identity
                    continue
                cursor = spool.cursor(NAME)
                append(spool, 77)
                self.assertEqual(read_all(cursor.reader())[-1], 77)


class NumbersTests(RecoveryTestCase):
    """Positions after a restart."""

    def test_cursor_ahead(self) -> None:
        """
        A cursor that is ahead of what the power cut left is believed: the log goes on behind it, and what it stands for
        is counted as appended.
        """
        spool = open_spool(self.files)
        cursor = spool.cursor(NAME)
        other = spool.cursor("tcp:b:9060")
        append(spool, *range(5, 30), octets=20)
        chunk = cursor.reader().read()
        while chunk is not None and chunk.end < spool.end:
            cursor.confirm(chunk.end)
            reader = cursor.reader()
            chunk = reader.read()
        cursor.confirm(spool.end)
        end = spool.end
        self.assertEqual(other.position.packets, 5)
        spool._cursors.stop()
        self.files.kill()
        path = f"{DIRECTORY}/seg-{end.segment:016x}"
        del self.content(path)[64 + 3 * 68 :]
        spool = open_spool(self.files)
        self.assertEqual(spool.end, end)
        self.assertEqual(read_all(spool.cursor(NAME).reader()), [])
        reader = spool.cursor("tcp:b:9060").reader()
        while (chunk := reader.read()) is not None:
            self.assertLessEqual(chunk.end, spool.readable)
        self.assertEqual(reader.position, spool.end)
        append(spool, 77)
        self.assertEqual(spool.end.counters, (31, 700))
        self.assertGreater(spool.end.segment, end.segment)
        self.assertEqual(read_all(spool.cursor(NAME).reader()), [77])
        other = spool.cursor("tcp:b:9060")
        found = read_all(other.reader())
        self.assertEqual(found[-1], 77)
        self.assertEqual(other.dropped()["corrupt"].packets + len(found), 26)

    def test_cursor_ahead_everything_gone(self) -> None:
        """Likewise if there is no segment left at all."""
        spool = open_spool(self.files)
        cursor = spool.cursor(NAME)
        cursor.confirm(spool.end)
        spool._cursors.stop()
        self.files.kill()
        for name in [name for name in self.files.names if "/seg-" in name]:
            del self.files.names[name]
        spool, found = self.opened()
        self.assertEqual(found, [])
        self.assertEqual(spool.end.counters, (5, 100))
        append(spool, 77)
        self.assertEqual(read_all(spool.cursor(NAME).reader()), [77])

    def test_numbers_are_never_used_again(self) -> None:
        """
        Not even when a power cut took the names of segments and left their content in the files of older ones: else
        records of a lost segment would be taken for records of a new one.
        """
        files, ticking = SimulatedFiles(), clock()
        spool = open_spool(files, clock=ticking)
        cursor = spool.cursor(NAME)
        append(spool, *range(IN_SEGMENT))
        ticking.advance(0.2)  # the first segment and its name are durable
        cursor.confirm(spool.end)
        append(spool, *range(IN_SEGMENT, 2 * IN_SEGMENT))  # the second one is in the first one's file
        for inode in files.names.values():
            inode.flush()
        files.lose_names()
        files.crash(Random(1))
        self.assertEqual([name for name in files.names if "/seg-" in name], [SEGMENT])
        append(open_spool(files), 100)
        files.kill()
        _, found = self.opened(files)
        self.assertEqual(found, [100])

    def test_names_of_a_killed_process(self) -> None:
        """What a killed process had not made durable yet, its names included, is durable when it is used again."""
        files = SimulatedFiles()
        spool = open_spool(files)
        files.fail("sync_directory")  # so the cursor's file is there, but not for certain
        spool.cursor(NAME)
        files.kill()
        spool = open_spool(files)
        spool.cursor(NAME)
        append(spool, 1)
        for inode in files.names.values():
            inode.flush()
        files.lose_names()
        files.crash(Random(1))
        self.assertEqual([kept.name for kept in open_spool(files).kept()], [NAME])

    def test_lives(self) -> None:
        """Each time it is opened the numbers start anew, above all that came before."""
        segments = []
        for _ in range(3):
            spool = open_spool(self.files)
            self.assertEqual(self.files.names[IDENTITY].dirty, [], "a power cut would have the number used again")
            append(spool, 1)
            segments.append(spool.end.segment)
            self.files.kill()
        self.assertEqual(segments, [(1 << 32) + 1, (2 << 32) + 1, (3 << 32) + 1])


class IdentityTests(RecoveryTestCase):
    """What makes a directory one spool."""

    def test_damaged(self) -> None:
        """A damaged or missing identity is restored from the segments, and nothing is lost by it."""
        for damage in ("gone", "zeros", "empty"):
            self.setUp()
            if damage == "gone":
                del self.files.names[IDENTITY]
            else:
                self.content(IDENTITY)[:] = bytes(4608) if damage == "zeros" else b""
            spool, found = self.opened()
            self.assertEqual(found, list(range(5)))
            append(spool, 5, octets=20)
            self.files.kill()
            _, found = self.opened()
            self.assertEqual(found, list(range(6)))

    def test_nothing_to_restore_it_from(self) -> None:
        """If the segments do not know it either, there is a new spool; what the old one held is gone for good."""
        self.content(IDENTITY)[:] = bytes(4608)
        self.content()[:64] = bytes(64)
        spool, found = self.opened()
        self.assertEqual(found, [])
        append(spool, 77)
        self.assertEqual(read_all(spool.cursor(NAME).reader()), [77])

    def test_later_version(self) -> None:
        """A spool of a later hfp is not touched."""
        slot = pack_slot(0, Slot(99, pack_identity(Identity(2, 0, b"i" * 16, 0))))
        self.content(IDENTITY)[:512] = slot
        before = {name: bytes(inode.cache) for name, inode in self.files.names.items()}
        problem = self.assertRaises(SpoolUnusable, open_spool, self.files)
        self.assertIn("version 2", str(problem))
        self.assertEqual({name: bytes(inode.cache) for name, inode in self.files.names.items()}, before)
        self.assertEqual(self.files.opened, set())


class LeftoversTests(RecoveryTestCase):
    """Files that should not be there."""

    def test_unfinished(self) -> None:
        """What was not finished is removed."""
        for name in ("new-identity", "new-seg-0000000000000001", "new-cur-0123456789abcdef"):
            self.files.names[f"{DIRECTORY}/{name}"] = Inode(bytearray(b"half"))
        self.opened()
        self.assertEqual([name for name in self.files.names if "new-" in name], [])

    def test_strangers(self) -> None:
        """What is not ours is left alone."""
        strangers = [f"{DIRECTORY}/{name}" for name in ("seg-", "seg-xyz", "core", "lost+found", "README-1")]
        for name in strangers:
            self.files.names[name] = Inode(bytearray(b"?"))
        _, found = self.opened()
        self.assertEqual(found, list(range(5)))
        self.assertLessEqual(set(strangers), set(self.files.names))

    def test_poisoned_with_its_copy(self) -> None:
        """A poisoned file whose copy had taken its place counts as put aside; without a copy it is the segment."""
        self.files.names[f"{DIRECTORY}/poisoned-{1:016x}"] = Inode(bytearray(b"old"))
        spool, found = self.opened()
        self.assertEqual(found, list(range(5)))
        self.assertEqual(spool.status().quarantined_segments, 1)
        self.setUp()
        self.files.names[f"{DIRECTORY}/poisoned-{1:016x}"] = self.files.names.pop(SEGMENT)
        spool, found = self.opened()
        self.assertEqual(found, list(range(5)))
        self.assertTrue(spool.status().segments)

    def test_spares(self) -> None:
        """Segments behind all cursors are spares."""
        spool = open_spool(self.files)
        cursor = spool.cursor(NAME)
        append(spool, *range(100, 100 + 3 * IN_SEGMENT))
        chunk = cursor.reader().read()
        assert chunk is not None
        spool._cursors.stop()
        self.files.kill()
        spool = open_spool(self.files)
        cursor = spool.cursor(NAME)
        cursor.position = chunk.end
        spool._cursors._note_stale(cursor)
        spool._cursors.stop()
        self.files.kill()
        spool, found = self.opened()
        self.assertEqual(found, list(range(100, 100 + 3 * IN_SEGMENT)))
        self.assertEqual(spool.status().spare_segments, 1)


class CostTests(SynchronousTestCase):
    """How long opening takes."""

    def cost(self, segments: int) -> tuple[int, int, int]:
        files = SimulatedFiles()
        spool = open_spool(files)
        spool.cursor(NAME)
        append(spool, *range(segments * IN_SEGMENT))
        files.kill()
        files.calls.clear()
        files.octets_read = 0
        open_spool(files).cursor(NAME)
        return files.calls["read"], files.calls["open"], files.octets_read

    def test_backlog(self) -> None:
        """It does not grow with the backlog: of all segments only the newest is read, and of the oldest the header."""
        short, long = self.cost(3), self.cost(200)
        self.assertEqual(short, long)
        self.assertLess(long[2], 8000)


class AnythingTests(SynchronousTestCase):
    """Damage of all kinds at once."""

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_any_damage(self, data: st.DataObject) -> None:
        """Opening succeeds, what is read was appended and comes in order, and the log goes on."""
        files = SimulatedFiles()
        spool = open_spool(files)
        spool.cursor(NAME)
        append(spool, *range(3 * IN_SEGMENT))
        files.kill()
        for _ in range(data.draw(st.integers(1, 5))):
            name = data.draw(st.sampled_from(sorted(files.names)))
            content = files.names[name].cache
            kind = data.draw(st.sampled_from(["cut", "bits", "zeros", "gone", "longer", "moved"]))
            at = data.draw(st.integers(0, len(content)))
            if kind == "cut":
                del content[at:]
            elif kind == "bits" and content:
                content[min(at, len(content) - 1)] ^= data.draw(st.integers(1, 255))
            elif kind == "zeros":
                content[at : at + 600] = bytes(len(content[at : at + 600]))
            elif kind == "gone" and name != f"{DIRECTORY}/lock":
                del files.names[name]
            elif kind == "longer":
                content += data.draw(st.binary(max_size=100))
            elif kind == "moved":
                files.names[f"{DIRECTORY}/{data.draw(st.sampled_from(['seg', 'cur', 'poisoned']))}-{at:016x}"] = Inode(
                    bytearray(content)
                )
        spool = open_spool(files)
        cursor = spool.cursor(NAME)
        found = read_all(cursor.reader())
        self.assertEqual(found, sorted(set(found)))
        self.assertLess(max(found, default=0), 3 * IN_SEGMENT)
        spool.status()
        append(spool, 1000)
        self.assertEqual(read_all(cursor.reader()), [*found, 1000])
        cursor.confirm(spool.end)
        files.kill()
        spool = open_spool(files)
        self.assertEqual(spool.end.packets, Position(*spool.end).packets)
        append(spool, 1001)
        self.assertEqual(read_all(spool.cursor(NAME).reader())[-1], 1001)
