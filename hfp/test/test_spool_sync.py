"""
Tests for `hfp.spool.sync`, `hfp.spool.run` and `hfp.spool.waiters`: what is made durable, when, and what becomes of it
when the disk refuses.
"""

from __future__ import annotations

from errno import EIO
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from hfp.spool import Cursor, FullPolicy, Position
from hfp.spool.sync import MOST_SEGMENTS, RETRY_S
from hfp.test.spoolfakes import DIRECTORY, SimulatedFiles, Steps, append, clock, open_spool, read_all

#: Batches of 100 octets that fit into a segment of 2048.
IN_SEGMENT = 13


class SyncTestCase(SynchronousTestCase):
    """A spool whose thread does one thing when told to."""

    sync_s = 0.2

    def setUp(self) -> None:
        self.files = SimulatedFiles()
        self.open()

    def open(self, **changes: Any) -> None:
        self.clock = clock()
        self.steps = Steps()
        self.spool = open_spool(
            self.files, clock=self.clock, in_thread=self.steps, **{"sync_s": self.sync_s, **changes}
        )
        self.cursor: Cursor = self.spool.cursor("tcp:a:9060")

    def after_crash(self, seed: int = 1) -> list[int]:
        """What there is to read after a power cut."""
        self.files.crash(Random(seed))
        return read_all(open_spool(self.files).cursor("tcp:a:9060").reader())

    def pass_time(self, seconds: float, step: float = 0.01) -> None:
        """Time goes by as it does."""
        self.clock.pump([step] * round(seconds / step))


class IntervalTests(SyncTestCase):
    """With a sync interval."""

    def test_at_risk(self) -> None:
        """What nobody has acknowledged for the interval is made durable, neither much earlier nor later."""
        append(self.spool, 1, 2)
        self.pass_time(0.15)
        self.assertEqual(len(self.steps.waiting), 0)
        self.pass_time(0.05)
        self.assertEqual(len(self.steps.waiting), 1)
        self.assertLess(self.spool.durable, self.spool.end)
        self.steps.run()
        self.assertEqual(self.spool.durable, self.spool.end)
        self.assertEqual(self.spool.status().syncs, 2)  # the file, and its name
        for seed in range(5):
            self.assertEqual(self.after_crash(seed), [1, 2])

    def test_one_jump(self) -> None:
        """A clock that was held up makes no difference."""
        append(self.spool, 1)
        self.clock.advance(0.2)
        self.assertEqual(len(self.steps.waiting), 1)

    def test_oldest_counts(self) -> None:
        """No record waits longer because others come."""
        for number in range(20):
            append(self.spool, number)
            self.pass_time(0.01)
        self.assertEqual(len(self.steps.waiting), 1)

    def test_all_of_it(self) -> None:
        """A run covers all that was appended by then, in all segments; the next one what came since, in one file."""
        append(self.spool, *range(3 * IN_SEGMENT))
        self.pass_time(0.2)
        end = self.spool.end
        append(self.spool, 1000)
        self.assertEqual(self.files.calls["sync"], 2)  # the identity, and the cursor
        self.steps.run()
        self.assertEqual(self.files.calls["sync"], 2 + 3)
        self.assertEqual(self.spool.durable, end)
        self.pass_time(0.2)
        self.steps.run()
        self.assertEqual(self.spool.durable, self.spool.end)
        self.assertEqual(self.files.calls["sync"], 2 + 3 + 2)
        self.assertEqual(self.after_crash(), [*range(3 * IN_SEGMENT), 1000])

    def test_names(self) -> None:
        """The directory is synced when a segment is new in it, and only then."""
        append(self.spool, 1)
        self.pass_time(0.2)
        self.steps.run()
        names = self.files.calls["sync_directory"]
        append(self.spool, 2)
        self.pass_time(0.2)
        self.steps.run()
        self.assertEqual(self.files.calls["sync_directory"], names)
        append(self.spool, *range(3, 30))
        self.pass_time(0.2)
        self.steps.run()
        self.assertEqual(self.files.calls["sync_directory"], names + 1)

    def test_one_at_a_time(self) -> None:
        """While a run is on, no other one starts, but one follows if it is due."""
        append(self.spool, 1)
        self.pass_time(0.2)
        append(self.spool, 2)
        self.pass_time(1.0)
        self.assertEqual(len(self.steps.waiting), 1)
        self.steps.step()
        self.assertEqual(len(self.steps.waiting), 1)
        self.steps.step()
        self.assertEqual(self.spool.durable, self.spool.end)
        self.assertEqual(len(self.steps.waiting), 0)

    def test_healthy(self) -> None:
        """What every collector acknowledges in time is never synced, and when nothing comes nothing is due."""
        other = self.spool.cursor("tcp:b:9060")
        for number in range(100):
            append(self.spool, number)
            self.pass_time(0.01)
            if number % 10 == 9:
                self.cursor.acknowledge(self.spool.end)
                other.acknowledge(self.spool.end)
        self.pass_time(2)
        self.assertEqual(len(self.steps.waiting), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_lags(self) -> None:
        """One configured cursor that lags is enough; one that is not configured is not."""
        self.spool.cursor("tcp:b:9060")
        append(self.spool, 1)
        self.cursor.acknowledge(self.spool.end)
        self.pass_time(0.2)
        self.assertEqual(len(self.steps.waiting), 1)
        self.files.kill()
        self.open()
        append(self.spool, 1)
        self.cursor.acknowledge(self.spool.end)
        self.pass_time(0.5)
        self.assertEqual(len(self.steps.waiting), 0)

    def test_no_cursor(self) -> None:
        """Without any configured cursor everything is at risk."""
        spool = open_spool(SimulatedFiles(), clock=self.clock, in_thread=self.steps)
        append(spool, 1)
        self.pass_time(0.2)
        self.assertEqual(len(self.steps.waiting), 1)

    def test_rewind(self) -> None:
        """What was acknowledged by a collector that is gone is at risk again."""
        append(self.spool, 1)
        self.cursor.acknowledge(self.spool.end)
        self.pass_time(1)
        self.assertEqual(len(self.steps.waiting), 0)
        self.cursor.rewind()
        self.pass_time(0.2)
        self.assertEqual(len(self.steps.waiting), 1)

    def test_backlog_of_earlier_life(self) -> None:
        """What a killed process left behind is made durable, too: nobody knows how much of it is."""
        append(self.spool, *range(30))
        self.files.kill()
        self.open()
        self.assertLess(self.spool.durable, self.spool.end)
        self.pass_time(0.2)
        self.steps.run()
        self.assertEqual(self.spool.durable, self.spool.end)
        self.assertEqual(self.after_crash(), list(range(30)))

    def test_many_segments(self) -> None:
        """A run takes so many segments, and others follow until all is durable."""
        count = (2 * MOST_SEGMENTS + 10) * IN_SEGMENT
        append(self.spool, *range(count))
        self.pass_time(0.2)
        runs = 0
        durable = self.spool.durable
        while self.steps.step():
            runs += 1
            self.assertGreater(self.spool.durable, durable)
            durable = self.spool.durable
        self.assertEqual(runs, 3)
        self.assertEqual(durable, self.spool.end)
        self.assertLess(len(self.files.opened), 10)
        self.assertEqual(self.after_crash(), list(range(count)))

    def test_freed_meanwhile(self) -> None:
        """A segment that is confirmed, and used again, while it is being synced does no harm."""
        append(self.spool, *range(2 * IN_SEGMENT))
        self.pass_time(0.2)
        self.cursor.confirm(self.spool.end)
        append(self.spool, *range(100, 100 + 2 * IN_SEGMENT))
        self.steps.run()
        self.pass_time(0.2)
        self.steps.run()
        self.assertEqual(self.spool.durable, self.spool.end)
        self.pass_time(1)
        self.assertEqual(self.after_crash()[-2 * IN_SEGMENT :], list(range(100, 100 + 2 * IN_SEGMENT)))

    def test_figures(self) -> None:
        """How long syncs take is told."""
        append(self.spool, 1)
        self.pass_time(0.2)
        self.steps.run()
        status = self.spool.status()
        self.assertGreater(status.sync_s, 0)
        self.assertEqual(status.sync_s, status.last_sync_s)
        self.assertEqual(status.sync_errors, 0)


class AtOnceTests(SyncTestCase):
    """With a sync interval of 0."""

    sync_s = 0.0

    def test_group_commit(self) -> None:
        """An append starts a run at once; what comes meanwhile goes into the next one."""
        append(self.spool, 1)
        self.assertEqual(len(self.steps.waiting), 1)
        append(self.spool, 2, 3)
        self.assertEqual(len(self.steps.waiting), 1)
        self.steps.step()
        self.assertEqual(self.spool.durable.packets, 1)
        self.steps.step()
        self.assertEqual(self.spool.durable.packets, 3)
        self.assertFalse(self.steps.waiting)
        append(self.spool, 4)
        self.assertEqual(len(self.steps.waiting), 1)

    def test_readable(self) -> None:
        """Only what is durable can be read, and readers are told."""
        self.assertTrue(self.spool.holds_back)
        reader = self.cursor.reader()
        told = self.spool.when_readable(reader.position)
        append(self.spool, 1)
        self.assertEqual(read_all(reader), [])
        self.assertNoResult(told)
        append(self.spool, 2)
        self.steps.step()
        self.successResultOf(told)
        self.assertEqual(read_all(reader), [1])
        self.steps.step()
        self.assertEqual(read_all(reader), [2])
        self.assertEqual(self.spool.readable, self.spool.end)

    def test_across_segments(self) -> None:
        """A reader never gets ahead of what is durable, nor does its position."""
        reader = self.cursor.reader()
        for number in range(3 * IN_SEGMENT):
            append(self.spool, number)
            self.assertEqual(read_all(reader), [])
            self.steps.run()
            self.assertEqual(read_all(reader), [number])
            self.assertLessEqual(reader.position, self.spool.readable)

    def test_disk_refuses(self) -> None:
        """When the disk makes nothing durable, packets are relayed all the same; later they wait for it again."""
        reader = self.cursor.reader()
        for method in ("sync", "sync_directory"):
            self.files.fail(method, times=1 << 30)
        append(self.spool, 1)
        self.steps.run()
        self.assertTrue(self.spool.status().degraded)
        self.assertFalse(self.spool.holds_back)
        append(self.spool, 2)
        self.assertEqual(read_all(reader), [1, 2])
        self.files.faults.clear()
        self.clock.advance(RETRY_S)
        self.steps.run()
        self.assertFalse(self.spool.status().degraded)
        self.assertTrue(self.spool.holds_back)
        self.assertEqual(self.spool.durable, self.spool.end)
        append(self.spool, 3)
        self.assertEqual(read_all(reader), [])
        self.steps.run()
        self.assertEqual(read_all(reader), [3])

    def test_memory(self) -> None:
        """Likewise when it takes no data at all."""
        reader = self.cursor.reader()
        for method in ("write", "create"):
            self.files.fail(method, times=1 << 30)
        told = self.spool.when_readable(reader.position)
        append(self.spool, 1, 2)
        self.successResultOf(told)
        self.assertEqual(read_all(reader), [1, 2])
        self.files.faults.clear()
        self.clock.pump([0.5] * 6)
        self.steps.run()
        self.assertTrue(self.spool.holds_back)
        self.assertEqual(self.spool.durable, self.spool.end)
        self.assertEqual(self.after_crash(), [1, 2])

    def test_thread_that_does_it_at_once(self) -> None:
        """A thread that has done it when asked is all right."""
        spool = open_spool(SimulatedFiles(), sync_s=0)
        reader = spool.cursor("tcp:a:9060").reader()
        for number in range(2 * IN_SEGMENT):
            append(spool, number)
            self.assertEqual(read_all(reader), [number])


class FailedSyncTests(SyncTestCase):
    """A disk that does not make durable what it took."""

    def fail_once(self, method: str = "sync") -> None:
        append(self.spool, *range(5))
        self.files.fail(method)
        self.pass_time(0.2)

    def test_not_repeated(self) -> None:
        """The file of a failed sync is not trusted again: its content goes to a new one."""
        self.fail_once()
        inode = self.files.names[f"{DIRECTORY}/seg-{1:016x}"]
        self.steps.step()
        self.assertEqual(self.spool.durable.packets, 0)
        self.assertEqual(self.spool.status().sync_errors, 1)
        self.assertTrue(self.spool.status().degraded)
        append(self.spool, 5, 6)
        self.steps.run()
        self.assertIsNot(self.files.names[f"{DIRECTORY}/seg-{1:016x}"], inode)
        self.assertFalse(self.spool.status().degraded)
        self.assertEqual(self.spool.status().quarantined_segments, 1)
        self.assertEqual(self.spool.durable, self.spool.end)
        for seed in range(5):
            self.assertEqual(self.after_crash(seed), list(range(7)))

    def test_reading_goes_on(self) -> None:
        """Readers see nothing of it."""
        reader = self.cursor.reader(200)
        self.assertIsNone(reader.read())
        self.fail_once()
        found = []
        while chunk := reader.read():
            found.append(chunk.packets)
            self.steps.step()
        self.assertEqual(sum(found), 5)

    def test_second_failure(self) -> None:
        """If the copy fails as well, that is tried again every few seconds, with a new file each time."""
        append(self.spool, *range(5))
        self.files.fail("sync", times=4)
        self.pass_time(0.2)
        self.steps.run()
        for _ in range(3):
            self.assertTrue(self.spool.status().degraded)
            self.assertEqual(self.spool.durable.packets, 0)
            self.assertEqual([name for name in self.files.names if "new-" in name], [])
            self.clock.advance(RETRY_S)
            self.steps.run()
        self.assertEqual(self.spool.status().sync_errors, 4)
        self.assertEqual(self.spool.durable, self.spool.end)
        self.assertEqual(self.after_crash(), list(range(5)))

    def test_each_step_of_the_copy(self) -> None:
        """Whichever step of making the copy fails, it is made good, and nothing is lost."""
        for method in ("create", "write", "rename", "sync_directory", "open", "read", "unlink", "space"):
            for after in range(2):
                self.setUp()
                self.fail_once()
                self.steps.step()
                self.files.fail(method, after=after)
                self.clock.pump([0.5] * 40)
                self.steps.run()
                self.clock.pump([0.5] * 40)
                self.steps.run()
                self.files.faults.clear()
                self.assertEqual(self.spool.durable, self.spool.end, method)
                self.assertFalse(self.spool.status().degraded)
                self.assertEqual(self.after_crash(), list(range(5)))

    def test_directory(self) -> None:
        """A failed sync of the directory is not repeated, either."""
        self.fail_once("sync_directory")
        inode = self.files.names[f"{DIRECTORY}/seg-{1:016x}"]
        self.steps.run()
        self.assertEqual(self.spool.durable.packets, 0)
        self.clock.advance(RETRY_S)
        self.steps.run()
        self.assertIsNot(self.files.names[f"{DIRECTORY}/seg-{1:016x}"], inode)
        self.assertEqual(self.spool.durable, self.spool.end)
        self.assertEqual(self.after_crash(), list(range(5)))

    def test_others_get_durable(self) -> None:
        """A segment that cannot be made durable does not keep others from it; but ``durable`` stays before it."""
        append(self.spool, *range(IN_SEGMENT + 2))
        self.files.fail("sync")
        self.pass_time(0.2)
        self.steps.step()
        self.assertEqual(self.spool.durable.packets, 0)
        for file in ("create", "rename"):
            self.files.fail(file, times=1 << 20)
        self.steps.run()
        self.files.faults.clear()
        found = self.after_crash()
        self.assertEqual(found[-2:], [IN_SEGMENT, IN_SEGMENT + 1])

    def test_restart(self) -> None:
        """After a restart, when the file would look sound, its content is still copied before it counts as durable."""
        self.fail_once()
        self.steps.step()
        self.files.kill()
        self.open()
        self.assertEqual(read_all(self.cursor.reader()), list(range(5)))
        self.pass_time(0.5)
        self.steps.run()
        self.assertEqual(self.spool.durable, self.spool.end)
        for seed in range(5):
            self.assertEqual(self.after_crash(seed), list(range(5)))

    def test_confirmed_meanwhile(self) -> None:
        """A poisoned segment that everybody has got goes, and its file is not used again."""
        self.fail_once()
        self.steps.step()
        self.cursor.confirm(self.spool.end)
        self.steps.run()
        status = self.spool.status()
        self.assertEqual((status.degraded, status.segments, status.spare_segments), (False, 0, 0))
        self.assertEqual([name for name in self.files.names if name[-16:].isdigit()], [])

    def test_thread_fails(self) -> None:
        """When the thread does not take the work, that is tried again."""
        append(self.spool, 1)
        self.spool._sync._in_thread = lambda *_: fail(RuntimeError("no thread"))
        self.pass_time(0.2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.spool._sync._in_thread = self.steps
        self.clock.advance(RETRY_S)
        self.steps.run()
        self.assertEqual(self.spool.durable, self.spool.end)
        self.assertEqual(self.after_crash(), [1])


class WaitingTests(SyncTestCase):
    """Deferreds."""

    def test_when_durable(self) -> None:
        """It fires when that much is durable, which asking brings about although everything was acknowledged."""
        append(self.spool, 1)
        position = self.spool.end
        append(self.spool, 2)
        told = self.spool.when_durable(position)
        self.cursor.acknowledge(self.spool.end)
        self.pass_time(0.2)
        self.assertNoResult(told)
        self.steps.run()
        self.successResultOf(told)
        self.successResultOf(self.spool.when_durable(position))

    def test_when_durable_late(self) -> None:
        """Asking when nothing is due any more brings it about as well."""
        append(self.spool, 1)
        self.cursor.acknowledge(self.spool.end)
        self.pass_time(1)
        told = self.spool.when_durable(self.spool.end)
        self.pass_time(0.2)
        self.steps.run()
        self.successResultOf(told)

    def test_when_readable(self) -> None:
        """It fires when there is more than that."""
        told = self.spool.when_readable(self.spool.end)
        self.assertNoResult(told)
        append(self.spool, 1)
        self.successResultOf(told)
        self.successResultOf(self.spool.when_readable(Position(1, 64, 0, 0)))
        self.assertNoResult(self.spool.when_readable(self.spool.end))

    def test_cancel(self) -> None:
        """Who does not want to wait any more need not."""
        waiting: list[Deferred[None]] = [
            self.spool.when_readable(self.spool.end),
            self.spool.when_durable(Position(9, 0, 0, 0)),
            self.spool.when_writable(),
        ]
        for told in waiting:
            told.addErrback(lambda _: None)
            told.cancel()
        append(self.spool, 1)
        self.pass_time(2)
        self.steps.run()

    def test_append_when_told(self) -> None:
        """Who is told may append at once."""
        reader = self.cursor.reader()

        def more(_: object) -> None:
            if self.spool.end.packets < 30:
                self.spool.when_readable(self.spool.end).addCallback(more)
                append(self.spool, self.spool.end.packets)

        self.spool.when_readable(self.spool.end).addCallback(more)
        append(self.spool, 0)
        self.assertEqual(read_all(reader), list(range(30)))
        self.assertEqual(self.spool.readable, self.spool.end)


class CloseTests(SyncTestCase):
    """The end."""

    def close(self) -> Deferred[None]:
        closing = Deferred.fromCoroutine(self.spool.close())
        self.steps.run()
        return closing

    def test_durable(self) -> None:
        """Everything is durable, the cursors exact, nothing open, no timer left."""
        append(self.spool, *range(20))
        reader = self.cursor.reader(300)
        chunk = reader.read()
        assert chunk is not None
        self.cursor.confirm(chunk.end)
        self.successResultOf(self.close())
        self.assertEqual(self.files.opened, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.after_crash(), list(range(2, 20)))

    def test_while_a_run_is_on(self) -> None:
        """A run that is under way is waited for."""
        append(self.spool, 1)
        self.pass_time(0.2)
        append(self.spool, 2)
        closing = Deferred.fromCoroutine(self.spool.close())
        self.assertEqual(len(self.steps.waiting), 1)
        self.steps.step()
        self.assertNoResult(closing)
        self.steps.run()
        self.successResultOf(closing)
        self.assertEqual(self.after_crash(), [1, 2])

    def test_memory(self) -> None:
        """What is in memory is written out, whatever that leaves free on the disk."""
        self.open_with_little_room()
        append(self.spool, *range(20))
        self.assertEqual(self.spool.status().memory_segments, 2)
        self.successResultOf(self.close())
        self.assertEqual(self.after_crash(), list(range(20)))

    def open_with_little_room(self) -> None:
        self.files = SimulatedFiles()
        self.open(full=FullPolicy.BLOCK)
        self.files.octets = self.files.used() + 10_000
        self.files.figures = (1 << 30, 10_000)

    def test_failed_sync(self) -> None:
        """A sync that fails at the end is made good."""
        append(self.spool, *range(5))
        self.files.fail("sync")
        self.successResultOf(self.close())
        self.assertEqual(self.after_crash(), list(range(5)))
        self.assertEqual(self.files.failures["sync"], 1)

    def test_dead_disk(self) -> None:
        """A disk that takes nothing any more does not keep hfp from stopping."""
        append(self.spool, *range(5))
        for method in ("write", "create", "sync", "sync_directory", "rename", "unlink"):
            self.files.fail(method, EIO, times=1 << 30)
        append(self.spool, *range(5, 10))
        self.successResultOf(self.close())
        self.assertEqual(self.files.opened, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])
