"""
Taking a text apart at its colons or commas.  A part may contain them inside brackets (``[::1]``) or after a backslash.

What the addresses of the command line and the arguments of filters have in common; called by `hfp.addresses` and
`hfp.filters.arguments`.
"""

from __future__ import annotations

import re

_PARTS = {separator: re.compile(rf"(?:\[[^\[\]]*\]|\\.|[^{separator}\\])*") for separator in ":,"}
_ESCAPE = re.compile(r"\\(.)")


def take_apart(text: str, separator: str = ":") -> list[str]:
    """
    The parts of a text, as they stand there: see `plain`.

    :param separator: a colon or a comma.
    :returns: one or more, any of which may be empty.
    :raises ValueError: if a backslash stands where it escapes nothing, at the end.
    """
    parts = []
    at = 0
    while True:
        found = _PARTS[separator].match(text, at)
        assert found is not None, "the pattern takes the empty string too"
        parts.append(found.group())
        at = found.end()
        if at == len(text):
            return parts
        if text[at] != separator:
            raise ValueError("ends with a backslash, which escapes nothing there; leave it out")
        at += 1


def plain(part: str) -> str:
    """A part without the backslashes that stand before what they escape."""
    return _ESCAPE.sub(r"\1", part)
