"""
The usual form of a filter's arguments: ``key=value:key=value:word``, lists with commas.

Text in, values out.  A colon or comma inside a value stands in brackets (``[2001:db8::]/32``) or after a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import TypeVar

from hfp.parts import plain, take_apart

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|[smhd]?)", re.ASCII)
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_Value = TypeVar("_Value")


class Arguments:
    """
    A filter's arguments, taken one after the other; `end` complains about what is left.

    :param text: as it stands behind ``NAME:``.
    :raises ValueError: if it cannot be taken apart, or a key stands there twice.
    """

    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        self._values: dict[str, str] = {}
        self._asked: list[str] = []
        for part in take_apart(text) if text else []:
            key, equals, value = part.partition("=")
            if not part:
                raise ValueError(
                    "has an empty argument; leave one colon out, and put IPv6 addresses in brackets: [2001:db8::]/32"
                )
            if not equals:
                self._words.append(part)
            elif key in self._values:
                raise ValueError(f"{key} is given twice; leave one out")
            else:
                self._values[key] = value

    def word(self, *known: str) -> str | None:
        """
        The argument that is one of these words, if there is one.

        :raises ValueError: if there are two.
        """
        self._asked += known
        found = [word for word in self._words if word in known]
        if len(found) > 1:
            raise ValueError(f"{found[0]} and {found[1]} exclude each other; leave one out")
        if found:
            self._words.remove(found[0])
        return found[0] if found else None

    def bare(self, read: Callable[[str], _Value]) -> list[_Value]:
        """
        The argument without a key that was not asked for as a word: a list with commas; empty if there is none.

        :raises ValueError: if *read* does for one of them, or there are two such arguments.
        """
        words, self._words = self._words, []
        if len(words) > 1:
            raise ValueError(f"{words[0]!r} and {words[1]!r} are two lists; put a comma between them")
        return [_read("", plain(item), read) for word in words for item in take_apart(word, ",")]

    def pairs(self) -> list[tuple[str, str]]:
        """The keys that were not asked for, with their values, in order: for filters whose keys are values too."""
        pairs, self._values = list(self._values.items()), {}
        return [(plain(key), plain(value)) for key, value in pairs]

    def value(self, key: str, read: Callable[[str], _Value], default: _Value) -> _Value:
        """
        The value of a key.

        :param read: makes it of the text; its ValueError is passed on with the key and the text before it.
        :raises ValueError: if *read* does.
        """
        self._asked.append(f"{key}=")
        if key not in self._values:
            return default
        return _read(key, plain(self._values.pop(key)), read)

    def values(self, key: str, read: Callable[[str], _Value]) -> list[_Value]:
        """
        The values of a key, with commas between them; empty if there is no such key.

        :raises ValueError: if *read* does for one of them, or the key stands there without a value.
        """
        self._asked.append(f"{key}=")
        if key not in self._values:
            return []
        return [_read(key, plain(item), read) for item in take_apart(self._values.pop(key), ",")]

    def end(self) -> None:
        """
        Everything was asked for.

        :raises ValueError: if something is left that nobody asked for.
        """
        left = [*self._words, *(f"{key}=" for key in self._values)]
        if left:
            close = get_close_matches(left[0], self._asked, 1)
            meant = f"did you mean {close[0]}?" if close else f"it takes {', '.join(self._asked) or 'no arguments'}"
            raise ValueError(f"{left[0]!r} means nothing here; {meant}")


def one_of(*known: str) -> Callable[[str], str]:
    """What reads a value that is one of these words."""

    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"write {', '.join(known[:-1])} or {known[-1]}")
        return text

    return read


def number(lowest: float, highest: float) -> Callable[[str], float]:
    """What reads a number in a range, ends included."""

    def read(text: str) -> float:
        try:
            found = float(text) if re.fullmatch(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", text) else -1.0
        except ValueError:
            found = -1.0
        if not lowest <= found <= highest:
            raise ValueError(f"write a number from {lowest:g} to {highest:g}")
        return found

    return read


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """What reads a whole number in a range, ends included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text, re.ASCII) or not lowest <= int(text) <= highest:
            raise ValueError(f"write a whole number from {lowest} to {highest}")
        return int(text)

    return read


def duration(lowest: float, highest: float) -> Callable[[str], float]:
    """What reads seconds, or a time with ms, s, m, h or d behind it, in a range in seconds; gives seconds."""

    def read(text: str) -> float:
        found = _DURATION.fullmatch(text)
        seconds = float(found[1]) * _UNITS[found[2]] if found else -1.0
        if not lowest <= seconds <= highest:
            raise ValueError(f"write {lowest:g} to {highest:g} seconds, or a time such as 500ms, 2s, 5m, 24h or 7d")
        return seconds

    return read


def _read(key: str, text: str, read: Callable[[str], _Value]) -> _Value:
    try:
        return read(text)
    except ValueError as problem:
        raise ValueError(f"{key}={text}: {problem}" if key else f"{text or 'an empty item'}: {problem}") from None
