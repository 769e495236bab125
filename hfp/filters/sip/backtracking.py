"""
How long Python's `re` can take at most to search a text for a pattern, whatever the text.

`re` backtracks: ``.*x.*y`` looks at some n * n * n / 6 combinations in n octets that were chosen for it, and
``(a+)+b`` at 2 to the n.  Patterns here are the operator's, but the texts are strangers'.  So each pattern is judged
before it is used: refused when its cost grows exponentially, else searched in no more octets than cost `BUDGET` steps.

The cost is an upper bound, from the tree that `re` itself parses a pattern to: a polynomial in the length of the text,
the product of how often each part can be tried, where a part whose end is decided by the next octet alone (``[^@]*@``)
counts once.  Called by `hfp.filters.sip.patterns`; not needed with RE2, which takes linear time always.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import combinations, zip_longest
from math import factorial
from typing import Any

#: Steps that one search may take; the worst of 100,000 random patterns took 10 ns a step, so 40 ms in all.
BUDGET = 4_000_000

#: Repeats that end before this many are counted as what they are, others as endless.
_MANY = 256

#: How often `re` may loop over something that can match in several ways.
_FEW = 4

#: A loop over more than one octet costs so many steps each time round; one over one octet has a shorter way in `re`.
_LOOP = 8.0
_SHORT_LOOP = 1.5

#: More alternatives than this are not compared with each other, but taken to overlap.
_MOST_ALTERNATIVES = 64

sre: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

#: Coefficients of a polynomial in the number of octets, the constant first.
_Poly = tuple[float, ...]
_ONE: _Poly = (1.0,)
_LENGTH: _Poly = (0.0, 1.0)

_ALL = (1 << 256) - 1


class Endless(Exception):
    """The cost of a pattern grows exponentially with the length of the text."""


def _mask(octets: Iterable[int]) -> int:
    mask = 0
    for octet in octets:
        mask |= 1 << octet
    return mask


_CATEGORIES = {
    f"CATEGORY_{negated}{name}": _mask(octet for octet in range(256) if re.match(escape, bytes([octet])))
    for name, letter in (("DIGIT", "d"), ("SPACE", "s"), ("WORD", "w"))
    for negated, escape in (("", b"\\" + letter.encode()), ("NOT_", b"\\" + letter.upper().encode()))
}
_LETTERS = [(1 << ord(letter), 1 << ord(letter.lower())) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


def _add(a: _Poly, b: _Poly) -> _Poly:
    return tuple(x + y for x, y in zip_longest(a, b, fillvalue=0.0))


def _multiply(a: _Poly, b: _Poly) -> _Poly:
    product = [0.0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return tuple(product)


def _largest(a: _Poly, b: _Poly) -> _Poly:
    return tuple(max(x, y) for x, y in zip_longest(a, b, fillvalue=0.0))


def bound(pattern: bytes, most: int) -> int:
    """
    In how many octets a pattern can be searched at a bearable cost.

    :param pattern: one that `re` compiles, without what looks ahead or behind and without references to groups.
    :param most: the longest stretch that is of interest, octets.
    :returns: 0 to ``most``.
    :raises Endless: the cost grows exponentially.
    """
    tree = sre.parse(pattern)
    coefficients = _Judge(tree).cost()
    # The parts of a match come one behind the other, so of n ** degree combinations only one in degree! is in order.
    weights = [each / factorial(degree) for degree, each in enumerate(coefficients)]
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if sum(each * float(middle) ** degree for degree, each in enumerate(weights)) <= BUDGET:
            low = middle
        else:
            high = middle - 1
    return low


class _Judge:
    """
    The cost of one pattern.

    :param tree: what `re` parses it to.
    """

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        self._folds = bool(tree.state.flags & re.IGNORECASE) or _folds(tree)
        self._by_line = bool(tree.state.flags & re.MULTILINE)

    def cost(self) -> _Poly:
        """Of one search: what each place to begin at costs, times the number of places."""
        items = list(self._tree)
        ending: _Poly = (0.0,)
        # What may be missing at the end cannot fail, and so is tried once only, not once for each way to get there.
        while items and str(items[-1][0]) in ("MAX_REPEAT", "MIN_REPEAT") and not items[-1][1][0]:
            ending = _add(ending, self._sequence([items.pop()], 0, 0.5)[0])
        return _add(ending, self._cost(items))

    def _cost(self, items: list[Any]) -> _Poly:
        work, _ = self._sequence(items, 0, 0.5)
        if items and str(items[0][0]) == "AT" and str(items[0][1]).startswith("AT_BEGINNING") and not self._by_line:
            return _add(_LENGTH, work)
        prefix = self._singles(items)
        # "sip:" cannot begin more often than at each fourth octet, "aab" at each third, "aa" at each.
        period = next(
            (
                shift
                for shift in range(1, len(prefix))
                if all(x & y for x, y in zip(prefix[shift:], prefix, strict=False))
            ),
            max(1, len(prefix)),
        )
        return _add((1.0, float(max(1, len(prefix)))), _multiply((1.0, 1.0 / period), work))

    def _sequence(self, items: Sequence[Any], follow: int, entry: float) -> tuple[_Poly, _Poly]:
        """
        Work and ways of parts one behind the other: what it costs to try them once at one place, and in how many ways
        they can match there.

        :param follow: which octets can come behind them.
        :param entry: steps that it takes to see that what comes behind them does not match.
        """
        work: _Poly = (0.0,)
        ways = _ONE
        for item in reversed(items):
            its_work, its_ways = self._item(item, follow, entry)
            work = _add(its_work, _multiply(its_ways, work))
            ways = _multiply(its_ways, ways)
            first, empty = self._first([item])
            follow = first | follow if empty else first
            entry = _entry(item) + (entry if empty else 0.0)
        return work, ways

    def _item(self, item: Any, follow: int, entry: float) -> tuple[_Poly, _Poly]:
        op, arguments = str(item[0]), item[1]
        if op == "SUBPATTERN":
            return self._sequence(list(arguments[3]), follow, entry)
        if op == "BRANCH":
            return self._branch([list(each) for each in arguments[1]], follow, entry)
        if op in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, body = arguments
            return self._repeat(int(least), int(most), list(body), follow, entry)
        return _ONE, _ONE

    def _branch(self, alternatives: list[list[Any]], follow: int, entry: float) -> tuple[_Poly, _Poly]:
        judged = [self._sequence(each, follow, entry) for each in alternatives]
        exclusive = len(alternatives) <= _MOST_ALTERNATIVES and all(
            any(x & y == 0 for x, y in zip(self._singles(a), self._singles(b), strict=False))
            for a, b in combinations(alternatives, 2)
        )
        work: _Poly = (float(len(judged)),)
        ways: _Poly = (0.0,)
        for its_work, its_ways in judged:
            work = _add(work, its_work)
            ways = _largest(ways, its_ways) if exclusive else _add(ways, its_ways)
        return work, ways

    def _repeat(self, least: int, most: int, body: list[Any], follow: int, entry: float) -> tuple[_Poly, _Poly]:
        first, _ = self._first(body)
        work, ways = self._sequence(body, first | follow, sum(map(_entry, body)) + entry)
        endless = most >= _MANY
        rounds = _LENGTH if endless else (float(most),)
        span = _LENGTH if endless else (float(most - least + 1),)
        loop = _SHORT_LOOP if len(body) == 1 and self._singles(body) else _LOOP + _leaves(body)
        step = (loop + entry,)
        if ways != _ONE:
            if most > _FEW:
                raise Endless
            once, one_way = work, ways
            for _ in range(most - 1):
                work = _add(once, _multiply(one_way, work))
                ways = _multiply(one_way, ways)
        # With one way for each round, the rounds share the text: all in all the body's own loops cost as in one round.
        work = _add(_multiply(rounds, step), work)
        decided = first & follow == 0
        return work, ways if decided else _multiply(ways, span)

    def _first(self, items: Sequence[Any]) -> tuple[int, bool]:
        """Which octets parts can begin with, and whether they can match nothing at all."""
        mask = 0
        for item in items:
            op, arguments = str(item[0]), item[1]
            empty = False
            if op == "SUBPATTERN":
                its, empty = self._first(list(arguments[3]))
            elif op == "BRANCH":
                judged = [self._first(list(each)) for each in arguments[1]]
                its = 0
                for each, can_be_empty in judged:
                    its |= each
                    empty = empty or can_be_empty
            elif op in ("MAX_REPEAT", "MIN_REPEAT"):
                its, empty = self._first(list(arguments[2]))
                empty = empty or not arguments[0]
            elif op == "AT":
                its, empty = 0, True
            else:
                its = self._single(item)
            mask |= its
            if not empty:
                return mask, False
        return mask, True

    def _singles(self, items: Sequence[Any]) -> list[int]:
        """The parts at the beginning that are one octet each, as the octets that each can be."""
        found = []
        for item in items:
            if str(item[0]) not in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
                break
            found.append(self._single(item))
        return found

    def _single(self, item: Any) -> int:
        op, argument = str(item[0]), item[1]
        if op == "LITERAL":
            return self._folded(1 << int(argument))
        if op == "NOT_LITERAL":
            return _ALL & ~(1 << int(argument))
        if op == "IN":
            mask = 0
            negated = False
            for kind, value in argument:
                name = str(kind)
                if name == "NEGATE":
                    negated = True
                elif name == "LITERAL":
                    mask |= 1 << value
                elif name == "RANGE":
                    mask |= _mask(range(value[0], value[1] + 1))
                else:
                    mask |= _CATEGORIES.get(str(value), _ALL)
            return _ALL & ~mask if negated else self._folded(mask)
        return _ALL

    def _folded(self, mask: int) -> int:
        if self._folds:
            for upper, lower in _LETTERS:
                if mask & (upper | lower):
                    mask |= upper | lower
        return mask


def _folds(items: Iterable[Any]) -> bool:
    """Whether any group ignores case."""
    for item in items:
        op, arguments = str(item[0]), item[1]
        if op == "SUBPATTERN" and (arguments[1] & re.IGNORECASE or _folds(arguments[3])):
            return True
        if op == "BRANCH" and any(_folds(each) for each in arguments[1]):
            return True
        if op in ("MAX_REPEAT", "MIN_REPEAT") and _folds(arguments[2]):
            return True
    return False


def _entry(item: Any) -> float:
    """Steps that it takes to see that a part does not match."""
    op, arguments = str(item[0]), item[1]
    if op == "SUBPATTERN":
        return 1.0 + sum(map(_entry, arguments[3]))
    if op == "BRANCH":
        return 1.0 + sum(sum(map(_entry, each)) for each in arguments[1])
    if op in ("MAX_REPEAT", "MIN_REPEAT"):
        return 1.0 + sum(map(_entry, arguments[2]))
    return 0.5


def _leaves(items: Iterable[Any]) -> int:
    """How many single parts there are, those in groups included."""
    total = 0
    for item in items:
        op, arguments = str(item[0]), item[1]
        if op == "SUBPATTERN":
            total += _leaves(arguments[3])
        elif op == "BRANCH":
            total += sum(_leaves(each) for each in arguments[1])
        elif op in ("MAX_REPEAT", "MIN_REPEAT"):
            total += _leaves(arguments[2])
        else:
            total += 1
    return total
