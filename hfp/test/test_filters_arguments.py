"""
Tests for `hfp.filters.arguments`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.filters import Arguments, duration, number, one_of, whole


class ArgumentsTests(SynchronousTestCase):
    """`Arguments`."""

    def refused(self, call: Callable[[], Any], message: str) -> None:
        self.assertEqual(str(self.assertRaises(ValueError, call)), message)

    def test_parts(self) -> None:
        """Words, values and lists are taken one after the other."""
        arguments = Arguments("reject:a=1,2:b=x:c")
        self.assertEqual(arguments.word("pass", "reject"), "reject")
        self.assertEqual(arguments.values("a", int), [1, 2])
        self.assertEqual(arguments.value("b", str, ""), "x")
        self.assertEqual(arguments.value("d", str, "default"), "default")
        self.assertEqual(arguments.values("e", int), [])
        self.assertEqual(arguments.bare(str), ["c"])
        arguments.end()

    def test_none(self) -> None:
        """No arguments are none."""
        arguments = Arguments("")
        self.assertIsNone(arguments.word("pass"))
        self.assertEqual(arguments.bare(str), [])
        self.assertEqual(arguments.pairs(), [])
        arguments.end()

    def test_quoted(self) -> None:
        """Colons and commas stand in brackets or behind a backslash."""
        arguments = Arguments(r"a=[2001:db8::]/32,x\,y:b=c\:d:[::1]=1")
        self.assertEqual(arguments.values("a", str), ["[2001:db8::]/32", "x,y"])
        self.assertEqual(arguments.value("b", str, ""), "c:d")
        self.assertEqual(arguments.pairs(), [("[::1]", "1")])

    def test_pairs(self) -> None:
        """What is no known key is a value itself, in order."""
        arguments = Arguments("b=2:only=x:a=1")
        self.assertEqual(arguments.value("only", str, ""), "x")
        self.assertEqual(arguments.pairs(), [("b", "2"), ("a", "1")])
        arguments.end()

    def test_wrong(self) -> None:
        """What is wrong is one line with the cure."""
        brackets = "put IPv6 addresses in brackets: [2001:db8::]/32"
        self.refused(lambda: Arguments("a=1::b"), f"has an empty argument; leave one colon out, and {brackets}")
        self.refused(lambda: Arguments("a=1:a=2"), "a is given twice; leave one out")
        self.refused(
            lambda: Arguments("set=SECRET\\"), "ends with a backslash, which escapes nothing there; leave it out"
        )
        both = "pass and reject exclude each other; leave one out"
        self.refused(lambda: Arguments("pass:reject").word("pass", "reject"), both)
        self.refused(lambda: Arguments("a:b").bare(str), "'a' and 'b' are two lists; put a comma between them")
        self.refused(lambda: Arguments("a=x").value("a", whole(1, 2), 1), "a=x: write a whole number from 1 to 2")
        self.refused(lambda: Arguments("x").bare(whole(1, 2)), "x: write a whole number from 1 to 2")

    def test_left(self) -> None:
        """What nobody asked for is refused, with the nearest that was."""
        arguments = Arguments("scr=1")
        arguments.values("src", str)
        arguments.word("reject")
        self.refused(arguments.end, "'scr=' means nothing here; did you mean src=?")
        arguments = Arguments("zzzzzz")
        arguments.values("src", str)
        arguments.word("reject")
        self.refused(arguments.end, "'zzzzzz' means nothing here; it takes src=, reject")
        self.refused(Arguments("x").end, "'x' means nothing here; it takes no arguments")

    @given(st.lists(st.text(min_size=1).filter(lambda text: "\n" not in text), min_size=1, max_size=5))
    @settings(max_examples=200, deadline=None)
    def test_every_text(self, texts: list[str]) -> None:
        """Whatever is escaped comes back as it was."""
        escaped = ["".join("\\" + each if each in "\\:,[]=" else each for each in text) for text in texts]
        self.assertEqual(Arguments("a=" + ",".join(escaped)).values("a", str), texts)

    @given(st.text(alphabet="ab:=,[]\\", max_size=30))
    @settings(max_examples=300, deadline=None)
    def test_any_text(self, text: str) -> None:
        """Any text is taken apart or refused with a ValueError, nothing else."""
        try:
            arguments = Arguments(text)
            arguments.values("a", str)
            arguments.bare(str)
            arguments.pairs()
            arguments.end()
        except ValueError:
            pass


class ReaderTests(SynchronousTestCase):
    """What reads values."""

    def test_one_of(self) -> None:
        """One of some words."""
        self.assertEqual(one_of("a", "b")("a"), "a")
        self.assertEqual(str(self.assertRaises(ValueError, one_of("a", "b", "c"), "d")), "write a, b or c")

    def test_numbers(self) -> None:
        """Numbers in a range, ends included."""
        self.assertEqual([number(0, 2.5)(text) for text in ("0", "2.5", "1.25")], [0, 2.5, 1.25])
        for text in ("", "-1", "2.6", "nan", "inf", "1e0", "1_0", " 1"):
            self.assertRaises(ValueError, number(0, 2.5), text)
        self.assertEqual([whole(1, 20)(text) for text in ("1", "20")], [1, 20])
        for text in ("", "0", "21", "1.0", "\N{ARABIC-INDIC DIGIT ONE}"):
            self.assertRaises(ValueError, whole(1, 20), text)

    def test_durations(self) -> None:
        """Seconds, or a unit."""
        texts = {"2": 2.0, "0.5": 0.5, "500ms": 0.5, "3s": 3.0, "2m": 120.0, "1h": 3600.0, "1.5d": 129600.0}
        self.assertEqual({text: duration(0, 1e9)(text) for text in texts}, texts)
        for text in ("", "s", "1w", "-1", "1 s"):
            self.assertRaises(ValueError, duration(0, 1e9), text)
        self.assertEqual(
            str(self.assertRaises(ValueError, duration(1, 60), "2h")),
            "write 1 to 60 seconds, or a time such as 500ms, 2s, 5m, 24h or 7d",
        )
