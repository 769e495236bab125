"""
Tests for `hfp.spool.slots`.
"""

from __future__ import annotations

from errno import EIO
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from hfp.spool.format import SLOT_OCTETS, SLOT_OFFSETS
from hfp.spool.slots import SlotFile
from hfp.test.spoolfakes import Crashed, SimulatedFiles

PATH = "/spool/slots"
SEED = 7


class SlotFileTests(SynchronousTestCase):
    """A file of two slots."""

    def setUp(self) -> None:
        self.files = SimulatedFiles()
        self.slots = SlotFile.create(self.files, PATH, SEED, b"first")

    def found(self, seed: int = SEED) -> bytes | None:
        return SlotFile(self.files.open(PATH), seed).payload

    def test_newest_counts(self) -> None:
        """What was written last is found, however often."""
        self.assertEqual(self.found(), b"first")
        for number in range(5):
            self.slots.write(b"%d" % number)
            self.assertEqual(self.found(), b"%d" % number)
        again = SlotFile(self.files.open(PATH), SEED)
        again.write(b"after a restart")
        self.assertEqual(self.found(), b"after a restart")

    def test_in_turn(self) -> None:
        """The newest slot is never the one that is written."""
        content = self.files.names[PATH].cache
        self.slots.write(b"0")
        for number in range(1, 6):
            before = [bytes(content[at : at + SLOT_OCTETS]) for at in SLOT_OFFSETS]
            self.slots.write(b"%d" % number)
            after = [bytes(content[at : at + SLOT_OCTETS]) for at in SLOT_OFFSETS]
            changed = [was for was, is_now in zip(before, after, strict=True) if was != is_now]
            self.assertEqual(len(changed), 1)
            self.assertNotIn(b"%d" % (number - 1), changed[0][24:])

    def test_one_is_damaged(self) -> None:
        """If the newest is torn, the one before counts; if both are, none."""
        self.slots.write(b"older")
        self.slots.write(b"newer")
        content = self.files.names[PATH].cache
        content[content.index(b"newer")] ^= 1
        self.assertEqual(self.found(), b"older")
        content[content.index(b"older")] ^= 1
        self.assertIsNone(self.found())

    def test_torn(self) -> None:
        """A write that the power cut cuts short leaves the slot before."""
        self.slots.write(b"old")
        self.slots.sync()
        for seed in range(20):
            self.slots.write(b"new")
            self.files.crash(Random(seed))
            self.assertIn(self.found(), (b"old", b"new"))
            self.slots = SlotFile(self.files.open(PATH), SEED)
            self.slots.write(b"old")
            self.slots.sync()

    def test_other_spool(self) -> None:
        """Another spool's slots do not count."""
        self.assertIsNone(self.found(seed=8))

    def test_disk_refuses(self) -> None:
        """A write that failed changes nothing, and the next one is all right."""
        for fault in ({"error": EIO}, {"part": 0.03}):
            self.slots.write(b"good")
            self.files.fail("write", **fault)
            self.assertRaises(OSError, self.slots.write, b"bad")
            self.assertEqual(self.found(), b"good")
            self.slots.write(b"better")
            self.assertEqual(self.found(), b"better")

    def test_short(self) -> None:
        """A file that was cut short holds nothing, and can be written again."""
        for length in (0, 511, 4095, 4607):
            del self.files.names[PATH].cache[length:]
            slots = SlotFile(self.files.open(PATH), SEED)
            slots.write(b"again")
            self.assertEqual(self.found(), b"again")


class CreateTests(SynchronousTestCase):
    """Making such a file."""

    def test_all_or_nothing(self) -> None:
        """Wherever the power fails, the file is there whole, or not at all; what is left over is in nobody's way."""
        outcomes = set()
        for after in range(12):
            for seed in range(10):
                files = SimulatedFiles()
                files.crash_in = after
                try:
                    SlotFile.create(files, PATH, SEED, b"first")
                except Crashed:
                    created = False
                else:
                    created = True
                files.crash(Random(seed))
                if PATH in files.names:
                    self.assertEqual(SlotFile(files.open(PATH), SEED).payload, b"first")
                else:
                    self.assertFalse(created, "it was said to be durable")
                outcomes.add(PATH in files.names)
                SlotFile.create(files, PATH, SEED, b"again")
                self.assertEqual(SlotFile(files.open(PATH), SEED).payload, b"again")
        self.assertEqual(outcomes, {False, True})

    def test_disk_refuses(self) -> None:
        """When the disk refuses, that is said, and no file stays open."""
        for method in ("create", "write", "sync", "rename", "sync_directory"):
            files = SimulatedFiles()
            files.fail(method)
            self.assertRaises(OSError, SlotFile.create, files, PATH, SEED, b"first")
            self.assertEqual(files.opened, set())
