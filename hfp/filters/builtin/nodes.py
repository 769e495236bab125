"""
``node``: by the capture agent's id or name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate

from hfp.filters.arguments import Arguments
from hfp.filters.builtin.choice import Choice, Memo, rejects, wide
from hfp.filters.builtin.ports import span
from hfp.filters.captured import CapturedPacket
from hfp.hep import Chunk
from hfp.interfaces import FilterContext

_ID = int(Chunk.AGENT_ID)
_NAME = int(Chunk.AGENT_NAME)
_HIGHEST = 0xFFFFFFFF

#: Octets of the longest name that is compared: nobody's is longer.
LONGEST_NAME = 256

_NUMBERS = re.compile(r"[0-9]+(-[0-9]+)?", re.ASCII)


def build(arguments: str, context: FilterContext) -> Choice:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/node.rst`` has the grammar."""
    parsed = Arguments(arguments)
    is_rejecting = rejects(parsed)
    ids = parsed.values("id", _ids)
    names = parsed.values("name", _pattern)
    for item in parsed.bare(str):
        if _NUMBERS.fullmatch(item):
            try:
                ids.append(_ids(item))
            except ValueError as problem:
                raise ValueError(f"{item}: {problem}") from None
        else:
            names.append(_pattern(item))
    parsed.end()
    if not ids and not names:
        raise ValueError("names no node; write for example node:2001,2010-2019 or node:sbc-*")
    return Choice(_matcher(ids, names), is_rejecting)


def _matcher(ids: list[range], names: list[re.Pattern[str]]) -> Callable[[CapturedPacket], bool]:
    def find_id(octets: bytes) -> bool:
        number = wide(octets, 4, _ID)
        return any(number in each for each in ids)

    def find_name(octets: bytes) -> bool:
        name = octets.decode("utf-8", "replace")
        return any(pattern.match(name) for pattern in names)

    known_ids = Memo(find_id)
    known_names = Memo(find_name)

    def matches(packet: CapturedPacket) -> bool:
        if ids:
            octets = packet.get(_ID)
            if octets is not None and known_ids[octets]:
                return True
        if names:
            octets = packet.get(_NAME)
            if octets is not None and len(octets) <= LONGEST_NAME:
                return known_names[octets]
        return False

    return matches


def _ids(text: str) -> range:
    return span(text, _HIGHEST, "agent ids")


def _pattern(text: str) -> re.Pattern[str]:
    if not text:
        raise ValueError("is empty; write a name, or leave the comma out")
    return re.compile(translate(text))
