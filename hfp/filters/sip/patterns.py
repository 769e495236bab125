"""
Regular expressions on strangers' octets, at a bounded cost.

RE2 (``google-re2``, the extra ``hfp[re2]``) where it is installed, which takes linear time; else Python's `re`, in a
stretch of the text that is short enough for the pattern, see `hfp.filters.sip.backtracking`.  Both take the same
syntax, what is common to the two, and find the same.  Called by the functions of the language that take a regular
expression.

Patterns are text, what they are searched in is octets: characters beyond ASCII stand for their UTF-8 octets, every
other part (``.``, ``[^@]``, ``\\w``) for one octet each.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable, Iterable
from enum import Enum
from functools import cache
from typing import Any

from attrs import frozen

from hfp.errors import UsageProblem
from hfp.filters.sip.backtracking import Endless, bound, sre

#: As much as a UDP datagram or a HEP packet can hold, octets.
LONGEST = 65_535

#: A pattern that could be searched in fewer octets than this is refused.
SHORTEST = 128

#: RE2 knows no longer counted repeat.
_MOST_REPEATS = 1000

_FLAGS = re.compile(r"\(\?[ims]+\)|\(\?[ims]*(?:-[ims]+)?:|\(\?P<[A-Za-z_][A-Za-z0-9_]*>")
#: What any text can begin with; flags (group 1) stay.  To look for ".*bob" or "bob" is the same, but not the same work.
_LEADING = re.compile(r"(\(\?[ims]+\))?(?:\.\*\??)+(?![*+?{])")
_COUNT = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")


class Machine(Enum):
    """What searches."""

    RE = "Python's re"
    RE2 = "google-re2"


class PatternProblem(UsageProblem):
    """
    A regular expression cannot be used; the message says what is wrong with it and the cure.

    :ivar at: where in it, an index from 0 to its length.
    """

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@frozen
class Pattern:
    """
    A regular expression that is ready to be searched for.

    :param search: whether it is found in a text, of which it looks at no more than ``octets``.
    :param search_any: whether it is found in any of several texts, of which, taken together, it looks at no more.
    :param octets: as far as it looks; ``None``: to the end, always.
    """

    search: Callable[[bytes], bool]
    search_any: Callable[[Iterable[bytes]], bool]
    octets: int | None


@cache
def default_machine() -> Machine:
    """RE2 if it can be imported, else `re`."""
    try:
        module = importlib.import_module("re2")
    except ImportError:
        return Machine.RE
    # Other projects, with other interfaces, are imported by the same name.
    return Machine.RE2 if hasattr(module, "Options") else Machine.RE


def compile_pattern(text: str, most_octets: int = LONGEST, machine: Machine | None = None) -> Pattern:
    """
    Make a regular expression ready.

    :param text: case-sensitive unless it begins with ``(?i)``.
    :param most_octets: with `re`, how far it is searched at most; less for a pattern that could cost too much.
    :param machine: ``None`` for the better of those that are installed.
    :raises PatternProblem: the pattern is wrong, is not in the common syntax, or could take too long.
    """
    if machine is None:
        machine = default_machine()
    pattern, places = _translate(text, "$" if machine is Machine.RE2 else r"\Z")
    # What both understand is what `re` understands without the parts that `_translate` and `_check` refuse.
    plain, plain_places = (pattern, places) if machine is Machine.RE else _translate(text, r"\Z")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of "[[": it is a literal in both
            _check(sre.parse(plain))
            compiled = re.compile(plain)
            octets = bound(plain, most_octets) if machine is Machine.RE else most_octets
    except re.error as error:
        at = min(error.pos or 0, len(plain_places) - 1)
        raise PatternProblem(f"bad regular expression: {error.msg}", plain_places[at]) from None
    except (OverflowError, RecursionError, MemoryError):
        raise PatternProblem("bad regular expression: too large or nested too deep; make it simpler", 0) from None
    except Endless:
        raise PatternProblem(
            "this regular expression could take for ever on some texts, because what is repeated can itself match the "
            "same text in several ways; repeat once only, or install google-re2 (pip install hfp[re2])",
            0,
        ) from None
    if machine is Machine.RE2:
        return _with_re2(pattern)
    if octets < min(SHORTEST, most_octets):
        raise PatternProblem(
            "this regular expression could take too long on some texts, because it has too many wildcards; use fewer, "
            "or say what they do not match, [^@]*@ for .*@, or install google-re2 (pip install hfp[re2])",
            0,
        )
    return _with_re(compiled, octets)


def _with_re(compiled: re.Pattern[bytes], octets: int) -> Pattern:
    find = compiled.search

    def search(text: bytes) -> bool:
        return find(text, 0, octets) is not None

    def search_any(texts: Iterable[bytes]) -> bool:
        left = octets
        for text in texts:
            if find(text, 0, left) is not None:
                return True
            left -= len(text)
            if left <= 0:
                break
        return False

    return Pattern(search, search_any, octets)


def _with_re2(pattern: bytes) -> Pattern:
    re2: Any = importlib.import_module("re2")
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # one octet, one character, as in `re`
    options.never_capture = True
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options=options)
    except re2.error as error:
        why = error.args[0] if error.args else "unknown"
        shown = why.decode("latin-1") if isinstance(why, bytes) else str(why)
        raise PatternProblem(f"bad regular expression: {shown}", 0) from None

    search = _finding(re2, compiled)

    def search_any(texts: Iterable[bytes]) -> bool:
        for text in texts:  # noqa: SIM110 any() takes 0.3 µs more
            if search(text):
                return True
        return False

    return Pattern(search, search_any, None)


def _finding(re2: Any, compiled: Any) -> Callable[[bytes], bool]:
    """Whether RE2 finds a pattern, in the fastest way that the installed version offers."""
    try:
        # What the public `search` calls: 0.6 µs, where that takes 1.1 µs and 2.4 µs more to describe what it found.
        match = compiled._regexp.Match
        anywhere = re2._re2.RE2.Anchor.UNANCHORED
        match(anywhere, b"", 0, 0)[0][0]
    except (AttributeError, LookupError, TypeError):
        find = compiled.search
        return lambda text: find(text) is not None
    return lambda text: bool(match(anywhere, text, 0, len(text))[0][0] >= 0)


def _translate(text: str, end_of_text: str) -> tuple[bytes, list[int]]:
    """
    A pattern as octets, and of each octet (and of the end) its place in the text.

    Repeats after a character beyond ASCII are for all of its octets; ``$`` is for the end of the text only, as in RE2
    and Go, while `re` takes the place before a last line feed too.

    :raises PatternProblem: there is something that one of `re` and RE2 does not know, or takes for something else.
    """
    pattern = bytearray()
    places: list[int] = []
    by_line = re.search(r"\(\?[is]*m", text) is not None
    in_class = False
    repeated = 0  # 1: what came last is a repeat, 2: one that is as short as possible
    at = class_at = 0
    leading = _LEADING.match(text)
    while at < len(text):
        if leading is not None and at == leading.end(1) * (leading[1] is not None):
            at = leading.end()
            leading = None
            continue
        letter = text[at]
        piece = letter
        before, repeated = repeated, 0
        if letter == "\\" and at + 1 < len(text):
            piece = text[at : at + 2]
            _refuse_escape(piece, in_class, at)
            if not piece.isascii():
                piece = piece[1]
        elif in_class:
            if letter == "]" and at > class_at:
                in_class = False
            elif text.startswith("[:", at):
                raise PatternProblem("[:...:] is not known; use \\d, \\w, \\s or ranges such as a-z", at)
        elif letter == "[":
            in_class = True
            # A "]" that comes first is one of the class.
            class_at = at + (2 if text.startswith("[^", at) else 1)
        elif text.startswith("(?", at):
            piece = _group(text, at)
        elif letter in "*+?":
            if before == 1 and letter == "+":
                raise PatternProblem("possessive repeats are not known; leave out the last '+'", at)
            if before and not (before == 1 and letter == "?"):
                raise PatternProblem("this repeats a repeat; write (?:...) around the first", at)
            repeated = before + 1
        elif letter == "{":
            count = _COUNT.match(text, at)
            if count is not None:
                if before:
                    raise PatternProblem("this repeats a repeat; write (?:...) around the first", at)
                piece = count[0]
                repeated = 1
            elif text.startswith("{,", at):
                raise PatternProblem("a repeat needs its least number; write {0,...}", at)
        elif letter == "$" and not by_line:
            piece = end_of_text
        step = 1 if letter == "$" else len(piece)
        if piece.isascii():
            octets = piece.encode()
        elif in_class:
            raise PatternProblem(
                f"{piece!r} is several octets, and a class matches one; write alternatives, (?:x|y) for [xy]", at
            )
        else:
            step = text.startswith("\\", at) + 1
            octets = b"(?:" + _octets(piece) + b")"
        # Places within what was taken over as it is are exact; the others are where it begins.
        places += [at + offset if len(octets) == step else at for offset in range(len(octets))]
        pattern += octets
        at += step
    places.append(len(text))
    return bytes(pattern), places


def _octets(letter: str) -> bytes:
    try:
        return letter.encode("utf-8", "surrogateescape")  # from the command line, octets that are no UTF-8
    except UnicodeEncodeError:
        return letter.encode("utf-8", "surrogatepass")


def _refuse_escape(piece: str, in_class: bool, at: int) -> None:
    letter = piece[1]
    if letter in "123456789":
        raise PatternProblem("references to groups are not known; write out what is to be repeated", at)
    if letter in "Zz":
        raise PatternProblem(f"{piece} is not known; write $", at)
    if letter == "b" and in_class:
        raise PatternProblem("\\b is not known within a class; write \\x08 for a backspace", at)


def _group(text: str, at: int) -> str:
    """What begins a group that is more than a parenthesis."""
    flags = _FLAGS.match(text, at)
    if flags is None:
        raise PatternProblem(
            "this kind of group is not known; there are (...), (?:...), (?P<name>...), (?i:...), (?i) to begin with",
            at,
        )
    if flags[0].endswith(")") and at:
        raise PatternProblem(f"flags stand at the beginning; write {flags[0][:-1]}:...) here", at)
    return flags[0]


def _check(items: Iterable[Any]) -> None:
    """Refuse what parses, but is not in the common syntax."""
    for item in items:
        op, arguments = str(item[0]), item[1]
        if op == "SUBPATTERN":
            _check(arguments[3])
        elif op == "BRANCH":
            for each in arguments[1]:
                _check(each)
        elif op in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, body = arguments
            if least > _MOST_REPEATS or (most is not sre.MAXREPEAT and most > _MOST_REPEATS):
                raise PatternProblem(f"a repeat is too long; {_MOST_REPEATS} is the most", 0)
            _check(body)
        elif op not in ("LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"):
            raise PatternProblem(f"bad regular expression: {op.lower().replace('_', ' ')} is not known", 0)
