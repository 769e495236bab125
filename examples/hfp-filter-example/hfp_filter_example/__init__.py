"""
A filter that passes only SIP from or to numbers with some prefixes.
"""

from __future__ import annotations

import re

from zope.interface import implementer

from hfp.filters import Arguments, CapturedPacket, one_of
from hfp.interfaces import IFilter, Verdict

#: The user of a URI in From or To.  No repetition contains another, so no stranger's header takes long.
_USER = re.compile(rb"(?:sips?|tel):([^\s@;>]+)", re.IGNORECASE)


@implementer(IFilter)
class PrefixFilter:
    """
    Passes SIP messages whose From or To has a number with one of the prefixes.

    :param prefixes: one or more.
    :param other: the verdict on what is not SIP.
    """

    def __init__(self, prefixes: tuple[bytes, ...], other: Verdict) -> None:
        self._prefixes = prefixes
        self._other = other

    def decide(self, packet: CapturedPacket) -> Verdict:
        """See `hfp.interfaces.IFilter`."""
        message = packet.sip
        if message is None:
            return self._other
        for name in ("From", "To"):
            for value in message.values(name):
                user = _USER.search(value)
                if user is not None and user[1].startswith(self._prefixes):
                    return Verdict.PASS
        return Verdict.REJECT


def build(arguments: str) -> PrefixFilter:
    """
    Make a filter of ``prefix=PREFIX,...[:other=pass|reject]``.

    :raises ValueError: with what is wrong and what to write instead.
    """
    parsed = Arguments(arguments)
    prefixes = parsed.values("prefix", _prefix)
    other = Verdict(parsed.value("other", one_of("pass", "reject"), "pass"))
    parsed.end()
    if not prefixes:
        raise ValueError("names no prefix; write for example example:prefix=+49,0049")
    return PrefixFilter(tuple(prefixes), other)


def _prefix(text: str) -> bytes:
    if not text:
        raise ValueError("write a number's first digits, such as +49")
    return text.encode()
