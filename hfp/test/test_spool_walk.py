"""
Tests for `hfp.spool.walk`.
"""

from __future__ import annotations

from errno import EIO

from hypothesis import given, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.spool import walk
from hfp.spool.format import RECORD_MAGIC, RECORD_OCTETS, end_record, seal, segment_seed
from hfp.spool.memory import MemoryFile
from hfp.spool.position import Position
from hfp.spool.walk import MOST_PIECES, Walker, Why, find_record, stretch

ID = b"0123456789abcdef"
SEED = segment_seed(ID, 1)
OLD_SEED = segment_seed(ID, 0)


def records(*bodies: bytes, packets: int = 0, octets: int = 0, seed: int = SEED) -> bytes:
    """One record after the other, of one packet each."""
    made = b""
    for body in bodies:
        made += seal(seed, [body], len(body), 1, 0, Position(1, 0, packets, octets), 5000 + packets) + body
        packets += 1
        octets += len(body)
    return made


def end(packets: int, octets: int) -> bytes:
    """An END record."""
    return end_record(SEED, Position(1, 0, packets, octets))


def walked(content: bytes, buffer_octets: int = 4096, packets: int = 0) -> tuple[list[bytes], Walker]:
    """The bodies of all records in a segment's *content*, and the walker that found them."""
    file = MemoryFile()
    file.write([content], 0)
    walker = Walker(buffer_octets)
    walker.begin(0, packets)
    found = []
    while (step := walker.step(file, SEED, len(content))) is not None:
        assert step.pieces
        assert step.octets == sum(map(len, step.pieces))
        found += [bytes(piece) for piece in step.pieces]
    assert walker.step(file, SEED, len(content)) is None
    return found, walker


class StretchTests(SynchronousTestCase):
    """Records that follow each other."""

    def test_all(self) -> None:
        """What is whole is taken, and the counters of the first say where it starts."""
        content = records(b"one", b"two", b"three", packets=7, octets=70)
        found = stretch(memoryview(content), SEED)
        self.assertEqual([bytes(piece) for piece in found.pieces], [b"one", b"two", b"three"])
        self.assertEqual(found.why, Why.MORE)
        self.assertEqual((found.packets_before, found.octets_before), (7, 70))
        self.assertEqual((found.packets, found.octets), (3, 11))
        self.assertEqual(found.received_ns, 5007)
        self.assertEqual(found.length, len(content))

    def test_cut_anywhere(self) -> None:
        """Only whole records are taken, wherever the octets end."""
        parts = [records(b"one"), records(b"two", packets=1, octets=3), end(2, 6)]
        content = b"".join(parts)
        for length in range(len(content)):
            found = stretch(memoryview(content)[:length], SEED)
            whole = sum(length >= len(b"".join(parts[:count])) for count in (1, 2))
            self.assertEqual(len(found.pieces), whole)
            self.assertEqual(found.why, Why.MORE)
            self.assertEqual(found.length, len(b"".join(parts[:whole])))
        self.assertEqual(stretch(memoryview(content), SEED).why, Why.END)

    def test_next(self) -> None:
        """How many octets the next record takes, once its header is there."""
        content = records(b"one", bytes(500))
        self.assertEqual(stretch(memoryview(content)[:-1], SEED).next_octets, RECORD_OCTETS + 500)
        self.assertEqual(stretch(memoryview(content)[: RECORD_OCTETS + 3], SEED).next_octets, RECORD_OCTETS)

    def test_gap(self) -> None:
        """A record that is valid, but not the next one, ends a stretch."""
        for packets, octets in ((3, 6), (2, 7), (1, 6), (0, 0)):
            content = records(b"one", b"two") + records(b"x", packets=packets, octets=octets)
            found = stretch(memoryview(content), SEED)
            self.assertEqual((len(found.pieces), found.why), (2, Why.GAP))

    def test_most(self) -> None:
        """As many pieces as go into one system call, and no more."""
        content = records(*([b"x"] * (MOST_PIECES + 1)))
        found = stretch(memoryview(content), SEED)
        self.assertEqual((len(found.pieces), found.why), (MOST_PIECES, Why.FULL))


class WalkerTests(SynchronousTestCase):
    """Going through a segment."""

    def test_all(self) -> None:
        """All records, to the END, whatever the size of the buffer."""
        bodies = [b"%d" % number * number for number in range(40)]
        content = records(*bodies)
        content += end(40, sum(map(len, bodies))) + records(b"from an earlier use of the file", seed=OLD_SEED)
        for buffer_octets in (1, 47, 48, 49, 100, 1000, 10_000):
            found, walker = walked(content, buffer_octets)
            self.assertEqual(found, bodies)
            self.assertTrue(walker.ended)
            self.assertFalse(walker.damaged or walker.torn)

    def test_old_content(self) -> None:
        """What an earlier use of the file left behind the last record is not taken, and is no damage worth a word."""
        found, walker = walked(records(b"one") + records(b"old", b"older", packets=1, octets=3, seed=OLD_SEED))
        self.assertEqual(found, [b"one"])
        self.assertFalse(walker.torn)

    def test_cut_anywhere(self) -> None:
        """Wherever a file ends, what is whole is found; what was begun is seen as torn."""
        parts = [records(b"one"), records(b"two", packets=1, octets=3), end(2, 6)]
        content = b"".join(parts)
        for length in range(len(content)):
            found, walker = walked(content[:length])
            sizes = [0, len(parts[0]), len(parts[0]) + len(parts[1])]
            whole = sum(length >= size for size in sizes) - 1
            self.assertEqual(len(found), whole)
            self.assertFalse(walker.ended)
            self.assertEqual(walker.torn, length not in sizes, length)

    def test_every_bit(self) -> None:
        """A bit that is wrong costs the record that it is in, and never another one."""
        bodies = [b"first body", b"second body!", b"third"]
        places = []
        content = b""
        for number, body in enumerate(bodies):
            places.append(len(content))
            content += records(body, packets=number, octets=len(b"".join(bodies[:number])))
        places.append(len(content))
        content += end(3, len(b"".join(bodies)))
        for at in range(len(content)):
            hit = sum(at >= place for place in places) - 1
            for bit in range(8):
                flipped = content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]
                found, walker = walked(flipped)
                self.assertEqual(found, bodies[:hit] + bodies[hit + 1 :], (at, bit))
                # Of an END record only the header counts: there is no body for its first CRC to cover.
                self.assertEqual(walker.damaged, not (hit == 3 and 4 <= at - places[3] < 8))

    @given(st.data())
    def test_any_damage(self, data: st.DataObject) -> None:
        """Whatever happens to the octets, what is found is some of the records, in order."""
        bodies = [b"%d," % number * (number % 7) for number in range(20)]
        content = bytearray(records(*bodies) + end(20, sum(map(len, bodies))))
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(content) - 1))
            damage = data.draw(st.one_of(st.binary(min_size=1, max_size=80), st.just(bytes(600))))
            if data.draw(st.booleans()):
                content[at : at + len(damage)] = damage
            else:
                content[at:at] = damage
        found, _ = walked(bytes(content), data.draw(st.integers(1, 500)))
        rest = iter(bodies)
        for body in found:
            self.assertIn(body, rest)

    def test_body_is_passed_by_its_length(self) -> None:
        """In a damaged body nobody looks for records: a sender could have put some there."""
        planted = records(b"planted", packets=5)
        content = bytearray(records(b"one", b"?" + planted) + records(b"three", packets=6, octets=4 + len(planted)))
        content[content.index(b"?")] ^= 1
        found, walker = walked(bytes(content))
        self.assertEqual(found, [b"one", b"three"])
        self.assertTrue(walker.damaged)

    def test_torn_body(self) -> None:
        """A record whose header is there and whose body is not, with nothing behind it, is torn."""
        content = records(b"one", b"second body")
        found, walker = walked(content[:-3] + b"\0\0\0" + bytes(500))
        self.assertEqual(found, [b"one"])
        self.assertTrue(walker.torn)
        found, walker = walked(content[:-3] + b"\0\0\0" + records(b"3", packets=2, octets=14))
        self.assertEqual(found, [b"one", b"3"])
        self.assertFalse(walker.torn)

    def test_never_backwards(self) -> None:
        """A record that was appended earlier than where the walker stands is not of this place."""
        content = records(b"one", b"two", packets=10, octets=100)
        self.assertEqual(walked(content, packets=10)[0], [b"one", b"two"])
        self.assertEqual(walked(content, packets=11)[0], [b"two"])
        self.assertEqual(walked(content, packets=12)[0], [])

    def test_stop(self) -> None:
        """Nothing behind the stop is read, and what comes later is found later."""
        first, second = records(b"one"), records(b"two", packets=1, octets=3)
        file = MemoryFile()
        file.write([first, b"half of the n"], 0)
        walker = Walker(4096)
        found = walker.step(file, SEED, len(first))
        assert found is not None
        self.assertEqual(found.pieces, [b"one"])
        self.assertIsNone(walker.step(file, SEED, len(first)))
        file.write([second], len(first))
        found = walker.step(file, SEED, len(first + second))
        assert found is not None
        self.assertEqual(found.pieces, [b"two"])
        self.assertFalse(walker.damaged)

    def test_disk_refuses(self) -> None:
        """When the disk refuses, that is the caller's business."""

        class Refusing(MemoryFile):
            def read(self, *_: object) -> int:
                raise OSError(EIO, "no")

        self.assertRaises(OSError, Walker(100).step, Refusing(), SEED, 100)


class FindRecordTests(SynchronousTestCase):
    """Finding a record again behind damage."""

    def test_anywhere(self) -> None:
        """A record is found wherever it stands, also across the edge of what is looked through at a time."""
        self.patch(walk, "_WINDOW_OCTETS", 100)
        wanted = records(b"wanted", packets=3)
        for at in range(260):
            file = MemoryFile()
            file.write([RECORD_MAGIC * (at // 4), b"?" * (at % 4), wanted], 0)
            self.assertEqual(find_record(file, SEED, 0, file.size(), 0), at)
            self.assertEqual(find_record(file, SEED, 0, file.size(), 3), at)
            self.assertIsNone(find_record(file, SEED, 0, file.size(), 4))
            self.assertIsNone(find_record(file, SEED, at + 1, file.size(), 0))
            self.assertIsNone(find_record(file, SEED, 0, at + RECORD_OCTETS - 1, 0))

    def test_nothing(self) -> None:
        """Where there is none, none is found."""
        file = MemoryFile()
        self.assertIsNone(find_record(file, SEED, 0, 0, 0))
        file.write([RECORD_MAGIC * 1000], 0)
        self.assertIsNone(find_record(file, SEED, 0, file.size(), 0))
