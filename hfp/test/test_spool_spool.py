"""
Tests for `hfp.spool.spool`: the spool as a whole, also on the real disk.
"""

from __future__ import annotations

import os
import stat
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import SpoolError, SpoolLocked, SpoolUnusable
from hfp.spool import FullPolicy, Spool
from hfp.spool.cursor import DROP_REASONS
from hfp.spool.files import RealFiles
from hfp.status import Amount, SpoolStatus
from hfp.test.spoolfakes import NOW_S, SimulatedFiles, append, clock, open_spool, read_all

MIB = 1024 * 1024


def in_real_thread(function: Any, *arguments: Any) -> Deferred[Any]:
    """Have a thread do it, and wait for it."""
    results: list[Any] = []
    thread = Thread(target=lambda: results.append(function(*arguments)))
    thread.start()
    thread.join()
    return succeed(results[0])


class OpenTests(SynchronousTestCase):
    """Opening."""

    def test_lock(self) -> None:
        """Two can never share a spool; when the first has closed it the second may have it."""
        files = SimulatedFiles()
        spool = open_spool(files)
        problem = self.assertRaises(SpoolLocked, open_spool, files)
        self.assertIn("/spool", str(problem))
        self.successResultOf(spool.close())
        open_spool(files)

    def test_unusable(self) -> None:
        """A disk that refuses from the first is said so, with the path, and nothing stays open."""
        for method in ("prepare", "lock", "listing", "create", "write", "sync", "rename"):
            files = SimulatedFiles()
            files.fail(method)
            problem = self.assertRaises(SpoolUnusable, open_spool, files)
            self.assertIn("/spool", str(problem))
            self.assertIn("Input/output error", str(problem))
            self.assertEqual(files.opened, set(), method)

    def test_segment_size(self) -> None:
        """A sixteenth of the limit, between 1 and 16 MiB."""
        for limit, size in ((0, 16 * MIB), (1 << 40, 16 * MIB), (64 * MIB, 4 * MIB), (4_000_000, MIB)):
            spool = open_spool(SimulatedFiles(), limit_octets=limit, segment_octets=None)
            spool.cursor("tcp:a:9060")
            append(spool, 1)
            self.assertEqual(spool.status().disk_octets, size)

    def test_names_cannot_be_synced(self) -> None:
        """A directory that cannot be synced is no reason not to start."""
        files = SimulatedFiles()
        spool = open_spool(files)
        spool.cursor("tcp:a:9060")
        append(spool, 1)
        files.kill()
        files.fail("sync_directory")
        self.assertEqual(read_all(open_spool(files).cursor("tcp:a:9060").reader()), [1])


class StatusTests(SynchronousTestCase):
    """What the spool says of itself."""

    def setUp(self) -> None:
        self.files = SimulatedFiles()
        self.clock = clock()
        self.spool = open_spool(self.files, clock=self.clock, limit_octets=1 << 20)

    def test_empty(self) -> None:
        """A new spool: nothing but zeros."""
        self.assertEqual(self.spool.status(), SpoolStatus(limit_octets=1 << 20))

    def test_cursors(self) -> None:
        """Each cursor's backlog and age, every reason to drop from the start, and the backlog of the last of them."""
        slow = self.spool.cursor("tcp:a:9060")
        quick = self.spool.cursor("tcp:b:9060")
        append(self.spool, *range(20))
        chunk = slow.reader(300).read()
        assert chunk is not None
        slow.confirm(chunk.end)
        quick.confirm(self.spool.end)
        self.clock.advance(60)
        status = self.spool.status()
        self.assertEqual(status.backlog, Amount(packets=18, octets=1800))
        first, second = status.cursors
        self.assertEqual((first.name, first.configured), ("tcp:a:9060", True))
        self.assertEqual(first.unconfirmed, Amount(packets=18, octets=1800))
        self.assertAlmostEqual(first.oldest_s, 60.0, places=3)
        self.assertEqual(first.dropped, dict.fromkeys(DROP_REASONS, Amount()))
        self.assertEqual(second.unconfirmed, Amount())
        self.assertEqual(second.oldest_s, 0.0)

    def test_age_across_segments(self) -> None:
        """The age is that of the next record, also if it is in the next segment, or if that one's record is damaged."""
        cursor = self.spool.cursor("tcp:a:9060")
        for number in range(14):
            self.spool.append([bytes(100)], 100, 1, int((NOW_S + number) * 1e9))
        self.clock.advance(100)
        self.assertAlmostEqual(self.spool.status().cursors[0].oldest_s, 100.0, places=3)
        chunk = cursor.reader().read()
        assert chunk is not None
        cursor.confirm(chunk.end)
        self.assertAlmostEqual(self.spool.status().cursors[0].oldest_s, 87.0, places=3)
        next(inode for name, inode in self.files.names.items() if name.endswith("2")).cache[100] ^= 1
        self.assertEqual(self.spool.status().cursors[0].oldest_s, 0.0)

    def test_age_at_the_end_of_a_segment(self) -> None:
        """A cursor that stands at an END record has the next segment's first record before it."""
        cursor = self.spool.cursor("tcp:a:9060")
        append(self.spool, *range(13))
        cursor.confirm(self.spool.end)
        other = self.spool.cursor("tcp:b:9060")
        append(self.spool, 13)
        self.assertEqual(other.position.segment, 1)
        self.clock.advance(50)
        self.assertAlmostEqual(self.spool.status().cursors[1].oldest_s, 50.0, places=3)

    def test_asking_changes_nothing(self) -> None:
        """Asking opens no file for good and writes nothing."""
        self.spool.cursor("tcp:a:9060")
        append(self.spool, *range(40))
        self.clock.pump([0.2] * 3)
        opened = len(self.files.opened)
        writes = self.files.calls["write"]
        self.spool.status()
        self.assertEqual((len(self.files.opened), self.files.calls["write"]), (opened, writes))


class CloseTests(SynchronousTestCase):
    """Closing."""

    def test_twice(self) -> None:
        """Closing again does nothing, and waits as long as the first."""
        spool = open_spool(SimulatedFiles())
        self.successResultOf(spool.close())
        self.successResultOf(spool.close())

    def test_afterwards(self) -> None:
        """A closed spool takes nothing, gives nothing, and starts no timer."""
        ticking = clock()
        files = SimulatedFiles()
        spool = open_spool(files, clock=ticking)
        cursor = spool.cursor("tcp:a:9060")
        reader = cursor.reader()
        append(spool, 1, 2)
        end = spool.end
        self.successResultOf(spool.close())
        self.assertRaises(SpoolError, append, spool, 3)
        self.assertIsNone(reader.read())
        cursor.acknowledge(end)
        cursor.rewind()
        cursor.confirm(end)
        self.assertEqual(ticking.getDelayedCalls(), [])
        self.assertEqual(files.opened, set())
        spool.status()

    def test_cursors_cannot_be_synced(self) -> None:
        """A disk that does not sync the cursors does not keep hfp from stopping."""
        files = SimulatedFiles()
        spool = open_spool(files)
        spool.cursor("tcp:a:9060")
        files.fail("sync")
        self.successResultOf(spool.close())
        self.assertEqual(files.opened, set())


class RealDiskTests(SynchronousTestCase):
    """The same on the real disk."""

    def setUp(self) -> None:
        self.path = os.path.join(self.mktemp(), "spool")
        self.clock = clock()

    def open(self, **changes: Any) -> Spool:
        settings: dict[str, Any] = {
            "clock": self.clock,
            "in_thread": in_real_thread,
            "limit_octets": 0,
            "full": FullPolicy.DROP_OLDEST,
            "sync_s": 0.2,
            "segment_octets": 64 * 1024,
        }
        return Spool.open(self.path, **{**settings, **changes})

    def test_there_and_back(self) -> None:
        """Appending, syncing in a thread, recycling, restarting, reading: all of it."""
        spool = self.open()
        cursor = spool.cursor("tcp:a:9060")
        reader = cursor.reader()
        for start in range(0, 3000, 100):
            append(spool, *range(start, start + 100), octets=200)
            self.assertEqual(read_all(reader), list(range(start, start + 100)))
            if start < 2000:
                cursor.confirm(reader.position)
            self.clock.advance(0.2)
        status = spool.status()
        self.assertGreater(status.syncs, 0)
        self.assertEqual(status.sync_errors, 0)
        self.assertGreater(status.flushes, 5)
        self.successResultOf(spool.close())
        spool = self.open()
        self.assertEqual(read_all(spool.cursor("tcp:a:9060").reader()), list(range(2000, 3000)))
        self.successResultOf(spool.close())

    def test_permissions(self) -> None:
        """Nobody but the owner may look at any of it."""
        self.addCleanup(os.umask, os.umask(0))
        spool = self.open()
        spool.cursor("tcp:a:9060")
        append(spool, *range(2000))
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o700)
        names = os.listdir(self.path)
        self.assertGreater(len(names), 5)
        for name in names:
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.path, name)).st_mode), 0o600, name)
        self.successResultOf(spool.close())

    def test_lock(self) -> None:
        """Two can never share a spool."""
        spool = self.open()
        self.assertRaises(SpoolLocked, self.open)
        self.successResultOf(spool.close())
        self.successResultOf(self.open().close())

    def test_unusable(self) -> None:
        """Where there is a file, there can be no spool."""
        os.makedirs(os.path.dirname(self.path))
        with open(self.path, "w"):
            pass
        problem = self.assertRaises(SpoolUnusable, self.open)
        self.assertIn(self.path, str(problem))

    def test_no_descriptor_is_left(self) -> None:
        """Opening and closing leaves no file open."""
        before = len(os.listdir("/proc/self/fd"))
        spool = self.open()
        spool.cursor("tcp:a:9060")
        append(spool, *range(2000))
        read_all(spool.cursor("tcp:a:9060").reader())
        self.successResultOf(spool.close())
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_disk_full(self) -> None:
        """The real thing knows how to be full, too: a reserve is kept free."""

        class AlmostFull(RealFiles):
            def space(self, path: str) -> tuple[int, int]:
                return 100 * MIB, 5 * MIB

        spool = self.open(files=AlmostFull())
        reader = spool.cursor("tcp:a:9060").reader()
        append(spool, 1)
        self.assertEqual(spool.status().memory_segments, 1)
        self.assertEqual(read_all(reader), [1])
        self.successResultOf(spool.close())
        spool = self.open()
        self.assertEqual(read_all(spool.cursor("tcp:a:9060").reader()), [1])
        self.successResultOf(spool.close())
