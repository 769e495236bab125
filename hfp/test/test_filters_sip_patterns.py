"""Tests for `hfp.filters.sip.patterns` and `hfp.filters.sip.backtracking`."""

from __future__ import annotations

import os
import sys
from tempfile import TemporaryFile
from time import process_time
from types import ModuleType
from unittest import skipIf

from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy, binary, lists, one_of, recursive, sampled_from, text, tuples
from twisted.trial.unittest import SynchronousTestCase

from hfp.filters.sip import patterns
from hfp.filters.sip.backtracking import Endless, bound
from hfp.filters.sip.patterns import LONGEST, SHORTEST, Machine, PatternProblem, compile_pattern, default_machine

#: Whether RE2 can be tested.
MACHINES = list(Machine) if default_machine() is Machine.RE2 else [Machine.RE]
with_re2 = skipIf(len(MACHINES) == 1, "google-re2 is not installed: pip install hfp[re2]")

_PIECES = [
    *("a", "b", "x", "@", "1", ".", "[ab]", "[^a]", r"\w", r"\d", r"\s", r"\.", r"\W", " ", "^", "$", r"\b", "é"),
    *(
        "(",
        ")",
        "[",
        "]",
        "*",
        "+",
        "?",
        "{2}",
        "{1,3}",
        "|",
        "(?:",
        "(?i)",
        "(?P<n>",
        "(?=",
        "\\",
        "\\1",
        r"\Z",
        "[[:",
    ),
]


def _combined(inner: SearchStrategy[str]) -> SearchStrategy[str]:
    return one_of(
        tuples(inner, sampled_from(["*", "+", "?", "{2,5}", "{0,30}", "*?", "{3}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
        lists(inner, min_size=2, max_size=3).map("".join),
        lists(inner, min_size=2, max_size=3).map(lambda each: f"({'|'.join(each)})"),
    )


#: Patterns that make sense, for the most part.
sensible = recursive(
    sampled_from(["a", "b", "aa", "ab", "x", ".", "[ab]", "[^a]", r"\w", r"\d", "1", "$", "é"]), _combined
)


#: Pairs where only the second can be decided by the next octet, because the first ignores case.
_FOLDING = (
    ("(?i)[ab]*[AB]x", "(?i)[ab]*[CD]x"),
    ("[ab]*(?i:[AB])x", "[ab]*(?i:[CD])x"),
    ("(?i)a*Ax", "(?i)a*Cx"),
    ("(?i)a*[^bc]x", "(?i)a*[^aA]x"),
)


class PatternTestCase(SynchronousTestCase):
    """What is the same for both."""

    def assert_refused(self, pattern: str, at: int, part: str, machine: Machine) -> None:
        """A pattern is refused, with this place and this in the message."""
        with self.assertRaises(PatternProblem) as caught:
            compile_pattern(pattern, machine=machine)
        self.assertEqual((caught.exception.at, part in str(caught.exception)), (at, True), (pattern, caught.exception))


class SearchTests(PatternTestCase):
    """What is found, with each machine that is installed."""

    def test_found(self) -> None:
        """The syntax means what it means in Go, on octets."""
        for pattern, octets, found in (
            ("", b"", True),
            ("bob", b"sip:bob@b", True),
            ("bob", b"sip:BOB@b", False),
            ("(?i)bob", b"sip:BOB@b", True),
            ("a(?i:b)c", b"aBc", True),
            ("a(?i:b)c", b"aBC", False),
            ("^sip", b"sip:", True),
            ("^ip", b"sip:", False),
            ("a.c", b"a\xffc", True),
            ("a.c", b"a\nc", False),
            ("(?s)a.c", b"a\nc", True),
            ("a$", b"a", True),
            ("a$", b"a\n", False),
            ("a[$]", b"a$", True),
            (r"a\$", b"a$", True),
            ("(?m)a$", b"a\nb", True),
            ("(?m)^b", b"a\nb", True),
            (r"\Aa", b"a", True),
            (r"\x41\.\d{2,3}\b", b"A.123", True),
            (r"a\"b", b'a"b', True),
            (r"[\]a]b", b"]b", True),
            ("[]a]b", b"]b", True),
            ("[^]a]b", b"]b", False),
            ("[]$]a", b"$a", True),
            ("[^]$]a", b"$a", False),
            ("[[a]b", b"[b", True),
            ("(?P<name>a)+b", b"aab", True),
            ("(?:ab){2}", b"abab", True),
            ("x{,", b"x{,", None),
            ("a{b}", b"a{b}", True),
            ("a*?b", b"aab", True),
        ):
            for machine in MACHINES:
                if found is None:
                    self.assert_refused(pattern, 1, "least number", machine)
                else:
                    self.assertEqual(
                        compile_pattern(pattern, machine=machine).search(octets), found, (pattern, machine)
                    )

    def test_beyond_ascii(self) -> None:
        """Characters beyond ASCII are their UTF-8 octets, repeated as a whole; other parts are one octet."""
        for pattern, string, found in (
            ("Jürgen", "Jürgen", True),
            ("é+$", "eéé", True),
            ("^é{2}$", "éé", True),
            ("^.$", "é", False),
            ("^..$", "é", True),
            ("^\\é?$", "é", True),
            ("^[^a]{2}$", "é", True),
            ("(?i)É", "é", False),
            ("日本", "日本", True),
        ):
            for machine in MACHINES:
                self.assertEqual(compile_pattern(pattern, machine=machine).search(string.encode()), found, pattern)

    def test_octets_from_the_command_line(self) -> None:
        """What was no UTF-8 on the command line is found as the octet that it was; nothing else raises."""
        for machine in MACHINES:
            self.assertTrue(compile_pattern("a\udcffb", machine=machine).search(b"a\xffb"))
            self.assertTrue(compile_pattern("a\ud800", machine=machine).search(b"a\xed\xa0\x80"))

    def test_any(self) -> None:
        """One of several texts is enough; none is not."""
        for machine in MACHINES:
            search_any = compile_pattern("b.*c", machine=machine).search_any
            self.assertTrue(search_any([b"a", b"bc"]))
            self.assertFalse(search_any([b"b", b"c"]))
            self.assertFalse(search_any([]))

    @with_re2
    @given(sensible, lists(sampled_from([b"a", b"b", b"x", b"1", b"\n", b"\xc3\xa9"]), max_size=30).map(b"".join))
    @settings(max_examples=300, deadline=None)
    def test_both_find_the_same(self, pattern: str, octets: bytes) -> None:
        """What `re` finds, RE2 finds, and the other way round."""
        try:
            by_re = compile_pattern(pattern, machine=Machine.RE)
        except PatternProblem:
            return
        self.assertEqual(by_re.search(octets), compile_pattern(pattern, machine=Machine.RE2).search(octets))


class RefusalTests(PatternTestCase):
    """What is refused."""

    def test_wrong_and_uncommon(self) -> None:
        """What is wrong, or what only one of `re` and RE2 knows, is refused by either, with the place."""
        for pattern, at, part in (
            ("ab[", 2, "unterminated character set"),
            ("a(b", 1, "missing )"),
            ("ab)", 2, "unbalanced"),
            ("*a", 0, "nothing to repeat"),
            ("a**", 2, "repeats a repeat"),
            ("éa*?{2}", 4, "repeats a repeat"),
            ("é*??", 3, "repeats a repeat"),
            ("a\\", 1, "bad escape"),
            (r"\pL", 0, "bad escape"),
            (r"a\Qb\E", 1, "bad escape"),
            ("[b-a]", 1, "bad character range"),
            ("a{3,2}", 2, "min repeat greater than max repeat"),
            ("a(?=b)", 1, "kind of group"),
            ("a(?!b)", 1, "kind of group"),
            ("(?<=a)b", 0, "kind of group"),
            ("(?<!a)b", 0, "kind of group"),
            ("(?>a)b", 0, "kind of group"),
            ("(?#a)b", 0, "kind of group"),
            ("(?x)b", 0, "kind of group"),
            ("(?U)b", 0, "kind of group"),
            ("(?<n>b)", 0, "kind of group"),
            ("(?P<n>b)(?P=n)", 8, "kind of group"),
            ("a(?i)b", 1, "(?i:...)"),
            (r"(a)\1", 3, "references"),
            (r"a\Z", 1, "write $"),
            (r"a\z", 1, "write $"),
            (r"a[\b]", 2, "backspace"),
            ("a[[:alpha:]]", 2, "[:...:]"),
            ("[é]", 1, "several octets"),
            ("a{,3}", 1, "least number"),
            ("a++", 2, "possessive"),
            ("a{2,3}+", 6, "possessive"),
            ("a{1001}", 0, "too long"),
            ("(?:a{0,1001})", 0, "too long"),
            ("(?:a{1001}b)?c", 0, "too long"),
            ("a|b{1001}|c", 0, "too long"),
            ("(" * 5000 + ")" * 5000, 0, "too deep"),
            ("a{99999999999999999999}", 0, "too large"),
        ):
            for machine in MACHINES:
                self.assert_refused(pattern, at, part, machine)

    @with_re2
    def test_only_re2_refuses(self) -> None:
        """What RE2 finds too large is refused, and nothing is written to stderr."""
        with TemporaryFile() as errors:
            kept = os.dup(2)
            os.dup2(errors.fileno(), 2)
            try:
                self.assert_refused("(?:(?:a{1000}){1000}){1000}", 0, "bad regular expression", Machine.RE2)
            finally:
                os.dup2(kept, 2)
                os.close(kept)
            errors.seek(0)
            self.assertEqual(errors.read(), b"")

    @given(one_of(text(max_size=40), lists(sampled_from(_PIECES), max_size=15).map("".join)), binary(max_size=50))
    @settings(max_examples=300, deadline=None)
    def test_any_pattern(self, pattern: str, octets: bytes) -> None:
        """Any text is a pattern, or refused with a place within it; and both machines agree on which."""
        for machine in MACHINES:
            try:
                found = compile_pattern(pattern, machine=machine).search(octets)
            except PatternProblem as problem:
                self.assertTrue(0 <= problem.at <= len(pattern))
            else:
                self.assertIsInstance(found, bool)


class CostTests(PatternTestCase):
    """How `re` is kept from taking long."""

    def test_endless(self) -> None:
        """Patterns whose cost grows exponentially are refused, and RE2 takes them."""
        for pattern in (
            "(a+)+b",
            "(a*)*b",
            "(a|ab)*c",
            "(?:a|a)+$x",
            r"(\w+\s?)*x",
            "(?:(?:ab)+c?)+x",
            "(?i)(?:ab|AC?B)*x",
            "(?:(?i:a)|A)*x",
            "(?:a?){30}b",
            "(?:.*,)*x",
            "((a{1,9})*)*b",
            "(?:a|b|[ab]c?)*d",
            "(?:a|" + "|".join("bcdefghijklmnop"[i % 15] * (i + 1) for i in range(70)) + ")*X",
        ):
            self.assert_refused(pattern, 0, "take for ever", Machine.RE)
            if Machine.RE2 in MACHINES:
                self.assertFalse(compile_pattern(pattern, machine=Machine.RE2).search(b"a" * 5000), pattern)

    def test_too_many_wildcards(self) -> None:
        """Patterns that could be searched in a few octets only are refused, with a cure."""
        for pattern in ("x.*a.*b.*c", r"\s*\S*\s*z", "a{0,200}a{0,200}a{0,200}b", "x.*.*[ab].*c"):
            self.assert_refused(pattern, 0, "too many wildcards", Machine.RE)

    def test_decided_by_the_next_octet(self) -> None:
        """A repeat that the next octet ends costs no more than one that is not there."""
        for pattern in ("(?:[0-9]+[.])+x", "(?:ab|ac)*d", "(?:a,?)*z", "[^@]*@[^;]*;[^=]*=", "(?:foo|bar|fox)+z"):
            self.assertGreater(compile_pattern(pattern, machine=Machine.RE).octets or 0, 4 * SHORTEST, pattern)
        for loose, tight in ((".*@.*x", "[^@]*@.*x"), ("a*[ab]", "a*[bc]"), ("(?:ab)*.x", "(?:ab)*cx"), *_FOLDING):
            self.assertLess(bound(loose.encode(), LONGEST), bound(tight.encode(), LONGEST), loose)

    def test_beginning(self) -> None:
        """A pattern that can begin in few places can be searched further."""
        further = [bound(pattern, LONGEST) for pattern in (b"[ab].*b", b"ab.*b", b"sip:.*b", b"^.*b")]
        self.assertEqual(further, sorted(further))
        self.assertEqual(len(set(further)), 4)
        for pattern in (b"aa.*b", b"(?m)^.*b"):
            self.assertLess(bound(pattern, LONGEST), further[1], pattern)

    def test_plain(self) -> None:
        """Patterns without wildcards are searched to the end."""
        for pattern in ("alice", "[ab]c", "^(?:a|b|cd)$", r"\d\d\d", "a?b?c?"):
            self.assertEqual(compile_pattern(pattern, machine=Machine.RE).octets, LONGEST, pattern)

    def test_surrounded(self) -> None:
        """Wildcards at either end cost nothing, and change nothing."""
        for machine in MACHINES:
            for pattern in (".*bob.*", ".*?bob.*?", "(?i).*bob", ".*.*bob", ".*bob|x", "bob(?:x|y)*", "bob.*"):
                compiled = compile_pattern(pattern, machine=machine)
                self.assertTrue(compiled.search(b"a\nbob\nx"), pattern)
                self.assertFalse(compiled.search(b"bo"), pattern)
                self.assertGreater(compiled.octets or LONGEST, 10_000, pattern)
            self.assertTrue(compile_pattern(".*", machine=machine).search(b""))
            self.assert_refused(".*[a", 2, "unterminated", machine)
            self.assert_refused(".**a", 2, "repeats a repeat", machine)

    def test_stretch(self) -> None:
        """`re` looks at so many octets and no further, in one text or in several together; RE2 looks at all."""
        for machine in MACHINES:
            pattern = compile_pattern("b", 100, machine)
            further = machine is Machine.RE2
            self.assertEqual(pattern.octets, None if further else 100)
            self.assertTrue(pattern.search(b"a" * 99 + b"b"))
            self.assertEqual(pattern.search(b"a" * 100 + b"b"), further)
            self.assertTrue(pattern.search_any([b"a" * 60, b"", b"a" * 39 + b"b"]))
            self.assertEqual(pattern.search_any([b"a" * 60, b"", b"a" * 40 + b"b"]), further)
            self.assertEqual(pattern.search_any([b"a" * 60, b"a" * 40, b"b"]), further)

    def test_time(self) -> None:
        """
        The worst texts for the worst patterns that are taken need far less than a second.

        They take 40 ms at most; the limit is far from it, because the machine may have other things to do.
        """
        for pattern, unit in (
            ("[ab]+(?:c|@|@{2,5})", b"b"),
            ("b+(?:(?:aa){2,5}|(?:x^1){2,5})", b"b"),
            (r"x*?(?:ab){3}.\.abaa\b", b"x"),
            (r"(?:(?:x|a))*?.{2,5}[bc]", b"a"),
            ("(?i)a*[bc]z", b"a"),
            ("(a)*[xy]", b"a"),
            (".*.*[bc]", b"a"),
            (r"\w+\d", b"a"),
            ("(?:ab|ac)*[dx]", b"ab"),
            (r"sip:.*@.*\.tenant", b"sip:@"),
            ("(?:a?){4}b", b"a"),
        ):
            compiled = compile_pattern(pattern, machine=Machine.RE)
            assert compiled.octets is not None
            hostile = (unit * LONGEST)[: LONGEST - 1]
            began = process_time()
            self.assertFalse(compiled.search(hostile + b"!"), pattern)
            self.assertFalse(compiled.search(hostile[: compiled.octets - 1] + b"!"), pattern)
            self.assertFalse(compiled.search_any([hostile[:100]] * 300), pattern)
            self.assertLess(process_time() - began, 1, pattern)

    @given(sensible, lists(sampled_from([b"a", b"b", b"x", b"1"]), min_size=1, max_size=4).map(b"".join))
    @settings(max_examples=100, deadline=None)
    def test_time_of_any_pattern(self, pattern: str, unit: bytes) -> None:
        """No pattern that is taken needs long, whatever it is."""
        try:
            compiled = compile_pattern(pattern, machine=Machine.RE)
        except PatternProblem:
            return
        hostile = (unit * LONGEST)[: (compiled.octets or 0) - 1] + b"!"
        began = process_time()
        compiled.search(hostile)
        self.assertLess(process_time() - began, 1, (pattern, unit))

    def test_time_to_judge(self) -> None:
        """Long patterns are judged in time that an operator does not notice."""
        began = process_time()
        for pattern in (
            "(?:" + "|".join(f"{number}x" for number in range(8000)) + ")",
            "a?" * 300 + "b",
            "(?:a|b)c" * 5000,
            "(" * 60 + "a*b" * 500 + ")" * 60,
        ):
            try:
                compile_pattern(pattern, machine=Machine.RE)
            except PatternProblem:
                pass
        self.assertLess(process_time() - began, 10)

    def test_endless_is_told(self) -> None:
        """`bound` says so itself."""
        self.assertRaises(Endless, bound, b"(a+)+b", LONGEST)


class MachineTests(SynchronousTestCase):
    """Which of the two is used."""

    def _default(self, module: ModuleType | None) -> Machine:
        self.patch(sys, "modules", {**sys.modules, "re2": module})
        default_machine.cache_clear()
        self.addCleanup(default_machine.cache_clear)
        return default_machine()

    def test_not_installed(self) -> None:
        """Without RE2 it is `re`."""
        self.assertIs(self._default(None), Machine.RE)
        self.assertIsNotNone(compile_pattern("a").octets)

    def test_another_module(self) -> None:
        """Another project's module of the same name is not taken for it."""
        self.assertIs(self._default(ModuleType("re2")), Machine.RE)

    @with_re2
    def test_installed(self) -> None:
        """With RE2 it is RE2."""
        self.assertIs(default_machine(), Machine.RE2)
        self.assertIsNone(compile_pattern("a").octets)

    def test_other_version_of_re2(self) -> None:
        """Where RE2's inner names are others, its public ones do."""

        class Compiled:
            """As little of RE2 as is promised."""

            def search(self, octets: bytes) -> object | None:
                return object() if b"a" in octets else None

        search = patterns._finding(ModuleType("re2"), Compiled())
        self.assertIs(search(b"xa"), True)
        self.assertIs(search(b"x"), False)
