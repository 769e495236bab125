"""
``sample``: keeps some of the calls, and each of these whole.

Nothing is remembered: a hash of what identifies the call decides.  So every hfp with the same seed keeps the same
calls, today and after every restart.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from hashlib import blake2b

from hfp.filters.arguments import Arguments, one_of
from hfp.filters.builtin.choice import Choice
from hfp.filters.captured import CapturedPacket
from hfp.interfaces import FilterContext

_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%?", re.ASCII)

_OCTETS = 8
_ALL = 1 << 8 * _OCTETS


def build(arguments: str, context: FilterContext) -> Choice:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/sample.rst`` has the grammar."""
    parsed = Arguments(arguments)
    seed = parsed.value("seed", _seed, b"")
    by = parsed.value("by", one_of("correlation-id", "call-id"), "correlation-id")
    keeps_other = parsed.value("other", one_of("pass", "reject"), "pass") == "pass"
    percents = parsed.bare(_percent)
    parsed.end()
    if len(percents) != 1:
        raise ValueError("wants one percentage; write for example sample:10")
    call = by_call_id if by == "call-id" else by_correlation_id
    return Choice(_sampler(int(percents[0] / 100 * _ALL), seed, call, keeps_other))


def by_correlation_id(packet: CapturedPacket) -> bytes | None:
    """What identifies a packet's call: its correlation id, else the Call-ID."""
    return packet.call


def by_call_id(packet: CapturedPacket) -> bytes | None:
    """What identifies a packet's call: the Call-ID, else the correlation id, which of RTCP and logs is the Call-ID."""
    message = packet.sip
    return (message.call_id if message is not None else None) or packet.correlation_id or None


def _sampler(
    limit: int, seed: bytes, call: Callable[[CapturedPacket], bytes | None], keeps_other: bool
) -> Callable[[CapturedPacket], bool]:
    # Copying a keyed hash takes 0.2 µs less than making one.
    start = blake2b(digest_size=_OCTETS, key=seed).copy

    def matches(packet: CapturedPacket) -> bool:
        identity = call(packet)
        if identity is None:
            return keeps_other
        digest = start()
        digest.update(identity)
        return int.from_bytes(digest.digest(), "big") < limit

    return matches


def _percent(text: str) -> Fraction:
    found = _PERCENT.fullmatch(text)
    percent = Fraction(found[1]) if found else -1
    if not 0 <= percent <= 100:
        raise ValueError("write a percentage from 0 to 100, such as 10 or 0.5")
    return Fraction(percent)


def _seed(text: str) -> bytes:
    octets = text.encode()
    if not 1 <= len(octets) <= 64:
        raise ValueError("write 1 to 64 octets")
    return octets
