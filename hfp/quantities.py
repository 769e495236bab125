"""
Sizes and times as the operator writes them.  Text in, numbers out; called by `hfp.options`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

#: KB is 1000, as the letters mean everywhere but in memory: a limit is then never larger than either reading of it.
#: (The Go HFP's KB is 1024; whoever brings ``--maxbuffer 100MB`` along gets 5 % less, never more.)
_UNITS = {"": 1, "b": 1} | {
    letter + suffix: base**power
    for power, letter in enumerate("kmgt", 1)
    for suffix, base in (("", 1000), ("b", 1000), ("ib", 1024))
}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([a-z]{0,3})", re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}")

#: An exabyte; more is a slip of the finger.
_MOST_OCTETS = 10**18


def parse_size(text: str) -> int:
    """
    Read ``65536``, ``64KB``, ``1.5GB`` or ``64MiB`` as octets.

    :raises ValueError: with what is wrong and the cure.
    """
    found = _SIZE.fullmatch(text)
    if not found or found[2].lower() not in _UNITS:
        raise ValueError("is not a size; write a number of bytes, or one with KB, MB, GB, TB, KiB, MiB, GiB or TiB")
    octets = int(Fraction(found[1]) * _UNITS[found[2].lower()])
    if octets > _MOST_OCTETS:
        raise ValueError("is more than any disk holds; write 1000000TB or less")
    return octets


def size(lowest: int) -> Callable[[str], int]:
    """Make a parser for sizes that are 0 or at least ``lowest`` octets."""

    def parse(text: str) -> int:
        octets = parse_size(text)
        if 0 < octets < lowest:
            raise ValueError(f"is too small; write {_rounded(lowest)} or more, or 0 for no limit")
        return octets

    return parse


def seconds(lowest: float, highest: float, zero: bool = False) -> Callable[[str], float]:
    """Make a parser for seconds from ``lowest`` to ``highest``, and 0 too where ``zero`` says so."""

    def parse(text: str) -> float:
        if not _SECONDS.fullmatch(text):
            raise ValueError("is not a number of seconds; write one such as 2 or 0.5")
        value = float(text)
        if not lowest <= value <= highest and not (zero and value == 0):
            raise ValueError(f"is out of range; write {'0, or ' if zero else ''}{lowest:g} to {highest:g} seconds")
        return value

    return parse


def whole_seconds(lowest: int, highest: int) -> Callable[[str], int]:
    """Make a parser for whole seconds from ``lowest`` to ``highest``."""
    within = seconds(lowest, highest)

    def parse(text: str) -> int:
        value = within(text)
        if value != int(value):
            raise ValueError("has a fraction; the kernel takes whole seconds here")
        return int(value)

    return parse


def _rounded(octets: int) -> str:
    for unit in ("TB", "GB", "MB", "KB"):
        if octets % _UNITS[unit.lower()] == 0:
            return f"{octets // _UNITS[unit.lower()]}{unit}"
    return str(octets)
