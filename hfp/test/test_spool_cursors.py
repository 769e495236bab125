"""
Tests for `hfp.spool.cursor` and `hfp.spool.cursors`.
"""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from hfp.spool import Position
from hfp.spool.cursors import PERSIST_S, file_name
from hfp.status import Amount
from hfp.test.spoolfakes import DIRECTORY, SimulatedFiles, append, clock, open_spool, read_all

NAME = "tcp:a:9060"
PATH = f"{DIRECTORY}/{file_name(NAME)}"


class CursorTests(SynchronousTestCase):
    """One remote's place in the log."""

    def setUp(self) -> None:
        self.files = SimulatedFiles()
        self.clock = clock()
        self.spool = open_spool(self.files, clock=self.clock)
        self.cursor = self.spool.cursor(NAME)

    def at(self, packets: int) -> Position:
        """The position behind so many batches of one packet."""
        return Position(1, 64 + 148 * packets, packets, 100 * packets)

    def test_new(self) -> None:
        """A new cursor starts at the end of the log, and is durable at once."""
        append(self.spool, 1, 2)
        other = self.spool.cursor("tcp:b:9060")
        self.assertEqual(other.position, self.spool.end)
        self.assertEqual(read_all(other.reader()), [])
        append(self.spool, 3)
        self.assertEqual(read_all(other.reader()), [3])
        self.files.crash(Random(1))
        spool = open_spool(self.files)
        self.assertEqual({kept.name for kept in spool.kept()}, {NAME, "tcp:b:9060"})

    def test_same(self) -> None:
        """Asking twice gives the same cursor."""
        self.assertIs(self.spool.cursor(NAME), self.cursor)

    def test_forward_only(self) -> None:
        """Neither what is acknowledged nor what is confirmed goes back."""
        append(self.spool, 1, 2, 3)
        self.cursor.acknowledge(self.at(2))
        self.cursor.acknowledge(self.at(1))
        self.assertEqual(self.cursor.acknowledged, self.at(2))
        self.assertEqual(self.cursor.position, self.at(0))
        self.cursor.confirm(self.at(1))
        self.cursor.confirm(self.at(0))
        self.assertEqual(self.cursor.position, self.at(1))
        self.assertEqual(self.cursor.acknowledged, self.at(2))
        self.cursor.confirm(self.at(3))
        self.assertEqual(self.cursor.acknowledged, self.at(3))

    def test_rewind(self) -> None:
        """After a loss only what was confirmed is certain."""
        append(self.spool, 1, 2, 3)
        self.cursor.acknowledge(self.at(3))
        self.cursor.confirm(self.at(1))
        self.cursor.rewind()
        self.assertEqual(self.cursor.acknowledged, self.at(1))

    def test_long_name(self) -> None:
        """A name that no slot can hold is refused, one that just fits is not."""
        self.spool.cursor("ü" * 200)
        self.assertRaises(ValueError, self.spool.cursor, "ü" * 200 + "x")

    def test_lose(self) -> None:
        """Each packet is counted once, and only if the collector has not got it."""
        append(self.spool, *range(10))
        lose = self.cursor.lose
        self.cursor.acknowledge(self.at(2))
        lose("corrupt", (0, 0), (1, 100))
        lose("corrupt", (4, 400), (6, 600))
        lose("corrupt", (4, 400), (6, 600))
        lose("spool-full", (1, 100), (5, 500))
        lose("spool-full", (0, 0), (8, 800))
        lose("forgotten-memory", (9, 900), (10, 1000))
        self.assertEqual(
            self.cursor.dropped(),
            {
                "corrupt": Amount(packets=2, octets=200),
                "spool-full": Amount(packets=4, octets=400),
                "forgotten-memory": Amount(packets=1, octets=100),
            },
        )

    def test_lose_after_rewind(self) -> None:
        """What was acknowledged, and lost before it was confirmed, is lost after all."""
        append(self.spool, *range(10))
        self.cursor.acknowledge(self.at(5))
        self.cursor.lose("spool-full", (0, 0), (8, 800))
        self.cursor.rewind()
        self.cursor.lose("spool-full", (0, 0), (8, 800))
        self.assertEqual(self.cursor.dropped()["spool-full"], Amount(packets=8, octets=800))


class CursorFileTests(SynchronousTestCase):
    """How a cursor outlives the process."""

    def setUp(self) -> None:
        self.files = SimulatedFiles()
        self.clock = clock()
        self.spool = open_spool(self.files, clock=self.clock)
        self.cursor = self.spool.cursor(NAME)
        append(self.spool, *range(10))
        self.reader = self.cursor.reader(400)

    def confirm_some(self) -> Position:
        """Two more batches are confirmed."""
        chunk = self.reader.read()
        assert chunk is not None
        self.cursor.confirm(chunk.end)
        return chunk.end

    def reopened(self) -> list[int]:
        """What a new process finds for the cursor."""
        self.files.kill()
        return read_all(open_spool(self.files).cursor(NAME).reader())

    def test_persisted_in_time(self) -> None:
        """A second after it moved, the file says so."""
        self.confirm_some()
        self.clock.advance(PERSIST_S)
        self.assertEqual(self.reopened(), list(range(2, 10)))

    def test_not_at_once(self) -> None:
        """Confirming costs no write; what is confirmed in the same second is written once."""
        writes = self.files.calls["write"]
        for _ in range(3):
            self.confirm_some()
        self.assertEqual(self.files.calls["write"], writes)
        self.clock.advance(PERSIST_S)
        self.assertEqual(self.files.calls["write"], writes + 1)
        self.assertEqual([call for call in self.clock.getDelayedCalls() if call.getTime() > 10], [])

    def test_no_sync(self) -> None:
        """In the steady state a cursor is not synced."""
        self.clock.advance(1)
        syncs = self.files.calls["sync"]
        self.confirm_some()
        self.clock.advance(PERSIST_S)
        self.assertEqual(self.files.calls["sync"], syncs)

    def test_closed(self) -> None:
        """After a clean stop the file is exact, and durable."""
        self.confirm_some()
        self.successResultOf(self.spool.close())
        self.files.crash(Random(2))
        self.assertEqual(self.reopened(), list(range(2, 10)))

    def damage(self, *slots: int) -> None:
        """Damage a cursor's slots."""
        for slot in slots:
            self.files.names[PATH].cache[4096 * slot + 30] ^= 1

    def test_one_slot_damaged(self) -> None:
        """If the newest slot is damaged, the one before counts: some packets come twice, none is lost."""
        self.confirm_some()
        self.clock.advance(PERSIST_S)
        self.confirm_some()
        self.clock.advance(PERSIST_S)
        cache = self.files.names[PATH].cache
        newest = max((0, 1), key=lambda slot: int.from_bytes(cache[4096 * slot + 16 :][:8], "little"))
        self.damage(newest)
        self.assertEqual(self.reopened(), list(range(2, 10)))

    def test_both_slots_damaged(self) -> None:
        """If both are, everything that there is comes again, and the cursor is kept under its name from then on."""
        self.confirm_some()
        self.clock.advance(PERSIST_S)
        self.damage(0, 1)
        self.assertEqual(self.reopened(), list(range(10)))
        self.files.kill()
        self.files.crash(Random(3))
        spool = open_spool(self.files, clock=self.clock)
        spool.cursor(NAME)
        self.clock.advance(PERSIST_S)
        self.files.kill()
        self.assertEqual([kept.name for kept in open_spool(self.files).kept()], [NAME])

    def test_damaged_and_not_asked_for(self) -> None:
        """A damaged cursor that nobody asks for is kept under its file's name, and can be forgotten."""
        self.damage(0, 1)
        self.files.kill()
        spool = open_spool(self.files)
        self.assertEqual([kept.name for kept in spool.kept()], [file_name(NAME)])
        self.assertTrue(spool.forget(file_name(NAME)))
        self.assertNotIn(PATH, self.files.names)

    def test_disk_refuses(self) -> None:
        """A write that fails is made good later."""
        self.files.fail("write", times=2)
        self.confirm_some()
        self.clock.advance(PERSIST_S)
        self.clock.advance(PERSIST_S)
        self.clock.advance(PERSIST_S)
        self.assertEqual(self.reopened(), list(range(2, 10)))

    def test_cannot_be_made(self) -> None:
        """A cursor whose file cannot be made works; the file is made later."""
        self.files.fail("create")
        other = self.spool.cursor("tcp:b:9060")
        append(self.spool, 10)
        self.assertEqual(read_all(other.reader()), [10])
        self.clock.advance(PERSIST_S)
        self.files.kill()
        self.assertEqual(read_all(open_spool(self.files).cursor("tcp:b:9060").reader()), [10])


class KeptTests(SynchronousTestCase):
    """Cursors of remotes that are not configured any more."""

    def setUp(self) -> None:
        self.files = SimulatedFiles()
        spool = open_spool(self.files)
        spool.cursor(NAME)
        spool.cursor("tcp:b:9060")
        append(spool, *range(20))
        self.files.kill()
        self.spool = open_spool(self.files)
        self.cursor = self.spool.cursor("tcp:b:9060")

    def test_kept(self) -> None:
        """What is kept is told, with what it holds."""
        (kept,) = self.spool.kept()
        self.assertEqual(kept.name, NAME)
        self.assertFalse(kept.configured)
        self.assertEqual(kept.unconfirmed, Amount(packets=20, octets=2000))

    def test_holds(self) -> None:
        """A kept cursor holds its segments as any other."""
        self.cursor.confirm(self.spool.end)
        self.assertEqual(self.spool.status().segments, 2)
        self.assertEqual(read_all(self.spool.cursor(NAME).reader()), list(range(20)))

    def test_forget(self) -> None:
        """Forgetting one frees what it held, for good."""
        self.cursor.confirm(self.spool.end)
        self.assertTrue(self.spool.forget(NAME))
        self.assertEqual(self.spool.status().segments, 0)
        self.assertEqual(self.spool.kept(), [])
        self.assertNotIn(PATH, self.files.names)
        self.assertFalse(self.spool.forget(NAME))

    def test_forget_configured(self) -> None:
        """A configured cursor, or one that there is not, is not forgotten."""
        self.assertFalse(self.spool.forget("tcp:b:9060"))
        self.assertFalse(self.spool.forget("tcp:c:9060"))
        self.assertEqual(read_all(self.cursor.reader()), list(range(20)))

    def test_forget_looks_at_no_other_file(self) -> None:
        """A name is never taken for a path."""
        self.files.create("/etc")
        self.spool.forget("/etc")
        self.spool.forget("../etc")
        self.assertIn("/etc", self.files.names)
