"""
Tests for `hfp.intake.authentication` and `hfp.intake.decoded`.
"""

from __future__ import annotations

from unittest import mock

from hypothesis import given, settings, strategies
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hfp.hep import HEADER, Chunk, build
from hfp.intake import authentication, decoded
from hfp.intake.authentication import MOST_HOSTS, OTHERS, KeyScreen
from hfp.intake.decoded import RATE, DecodeScreen
from hfp.interfaces import IScreen, Sender
from hfp.test.intakefakes import packet, told

SENDER = Sender("tcp", "192.0.2.1", 40000)
KEY = b"correct horse"


def keyed(key: bytes, text: bytes = b"x") -> bytes:
    """A packet with a key."""
    return build([(0, Chunk.FAMILY, b"\2"), (0, Chunk.AUTHENTICATION_KEY, key), (0, Chunk.PAYLOAD, text)])


class KeyScreenTests(SynchronousTestCase):
    """Which packets pass."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.repeats, self.lines = told(self.clock)
        self.screen = KeyScreen([b"another", KEY], self.repeats)

    def passes(self, octets: bytes) -> bool:
        passed, packets = self.screen.screen([octets], 1, SENDER)
        self.assertEqual(b"".join(passed), octets if packets else b"")
        return bool(packets)

    def test_interface(self) -> None:
        """It is a screen."""
        verifyObject(IScreen, self.screen)

    def test_good(self) -> None:
        """A packet with any of the keys passes, and what came in one buffer is that buffer still."""
        pieces: list[bytes | bytearray | memoryview] = [keyed(KEY) + keyed(b"another"), bytearray(keyed(KEY))]
        passed, packets = self.screen.screen(pieces, 3, SENDER)
        self.assertIs(passed, pieces)
        self.assertEqual((packets, self.screen.rejected), (3, 0))

    def test_bad(self) -> None:
        """No key, an empty one, a wrong one, part of one, one and more, or another vendor's: rejected."""
        for octets in (
            packet(b"x"),
            keyed(b""),
            keyed(b"wrong"),
            keyed(KEY[:-1]),
            keyed(KEY + b"x"),
            build([(1, Chunk.AUTHENTICATION_KEY, KEY)]),
            build([(0, Chunk.PAYLOAD, KEY)]),
            build([]),
            keyed("schlüssel".encode("latin-1")),
        ):
            self.assertFalse(self.passes(octets), octets)

    def test_malformed(self) -> None:
        """A chunk that is too short, reaches past the end or is cut off: rejected, whatever the key."""
        good = keyed(KEY)
        for tail in (b"\0\0\0\1\0\5", b"\0\0\0\1\0\0", b"\0\0\0\1\0\7", b"\0\0\0", b"\0\0\0\1\xff\xff"):
            octets = HEADER.pack(HEADER.unpack_from(good)[0], len(good) + len(tail)) + good[6:] + tail
            self.assertFalse(self.passes(octets), tail)

    def test_every_key_is_compared(self) -> None:
        """Every key is compared in constant time, also after one has matched."""
        compare = mock.Mock(return_value=True)
        self.patch(authentication, "compare_digest", compare)
        self.passes(keyed(b"anything"))
        self.assertEqual(
            [call.args for call in compare.call_args_list], [(b"another", b"anything"), (KEY, b"anything")]
        )

    @settings(max_examples=200, deadline=None)
    @given(strategies.lists(strategies.lists(strategies.booleans(), min_size=1, max_size=6), min_size=1, max_size=4))
    def test_mixed(self, pieces: list[list[bool]]) -> None:
        """Of any mixture exactly the good ones pass, in order; each buffer is cut only around the bad ones."""
        screen = KeyScreen([KEY], told(Clock())[0])
        made = [[keyed(KEY if good else b"bad", b"%d" % i) for i, good in enumerate(piece)] for piece in pieces]
        passed, packets = screen.screen([b"".join(piece) for piece in made], sum(map(len, made)), SENDER)
        good = [one for piece in made for one in piece if KEY in one]
        self.assertEqual((b"".join(passed), packets), (b"".join(good), len(good)))
        runs = sum(1 for piece in pieces for i, good in enumerate(piece) if good and (i == 0 or not piece[i - 1]))
        self.assertEqual(len(passed), runs)

    def test_counts(self) -> None:
        """Rejected packets are counted, in all and by host; further hosts are counted together."""
        for i in range(MOST_HOSTS + 5):
            self.screen.screen([packet(b"x") * 2], 2, Sender("udp", f"10.0.0.{i}", 1))
        self.assertEqual(self.screen.rejected, 2 * (MOST_HOSTS + 5))
        self.assertEqual(self.screen.by_host["10.0.0.0"], 2)
        self.assertEqual(self.screen.by_host[OTHERS], 10)
        self.assertEqual(len(self.screen.by_host), MOST_HOSTS + 1)
        self.screen.screen([packet(b"x")], 1, Sender("udp", "10.0.0.0", 1))
        self.assertEqual(self.screen.by_host["10.0.0.0"], 3)

    def test_log(self) -> None:
        """A host is told of once, with the cure, and no key is."""
        for _ in range(5):
            self.passes(keyed(b"wrong key"))
        [line] = self.lines
        self.assertIn("sender 192.0.2.1", line)
        self.assertIn("--auth-key", line)
        self.clock.advance(60)
        self.assertEqual(len(self.lines), 2)
        self.assertNotIn("horse", "".join(self.lines))
        self.assertNotIn("wrong", "".join(self.lines))


class DecodeScreenTests(SynchronousTestCase):
    """What is logged."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        log = mock.Mock(info=lambda line, **fields: self.lines.append(line.format(**fields)))
        self.patch(DecodeScreen, "_log", log)
        self.patch(decoded, "describe", lambda octets: bytes(octets[12:]).decode().rstrip("."))
        self.screen = DecodeScreen(self.clock)

    def look(self, *texts: bytes, sender: Sender = SENDER) -> None:
        pieces: list[bytes | bytearray | memoryview] = [b"".join(map(packet, texts))]
        passed, packets = self.screen.screen(pieces, len(texts), sender)
        self.assertIs(passed, pieces)
        self.assertEqual(packets, len(texts))

    def test_interface(self) -> None:
        """It is a screen."""
        verifyObject(IScreen, self.screen)

    def test_each(self) -> None:
        """Each packet is a line, with where it came from."""
        self.look(b"one", b"two")
        self.look(b"three", sender=Sender("udp", "2001:db8::1", 7))
        self.assertEqual(
            self.lines,
            ["tcp 192.0.2.1:40000: one", "tcp 192.0.2.1:40000: two", "udp [2001:db8::1]:7: three"],
        )

    def test_rate(self) -> None:
        """So many a second; of the rest the number, once the second is over."""
        self.look(*[b"a"] * (RATE - 1))
        self.look(*[b"b"] * 3)
        self.look(b"c")
        self.assertEqual(len(self.lines), RATE)
        self.clock.advance(1)
        self.assertEqual(self.lines[RATE:], ["3 more packets in this second are not shown (--hepdecode)"])
        self.look(b"d")
        self.assertTrue(self.lines[-1].endswith(": d"))
        self.clock.advance(1)
        self.assertEqual(len(self.lines), RATE + 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """Stopping says what was held back, and leaves no timer."""
        self.look(*[b"a"] * (RATE + 2))
        self.screen.stop()
        self.assertTrue(self.lines[-1].startswith("2 more packets"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_describes(self) -> None:
        """With the codec's own words."""
        from hfp.hep import describe

        self.patch(decoded, "describe", describe)
        self.look(b"some text")
        self.assertIn("some text", self.lines[0])
