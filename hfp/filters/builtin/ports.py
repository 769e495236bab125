"""
``port``: by the ports that the captured message went between.
"""

from __future__ import annotations

import re
from operator import methodcaller

from hfp.filters.arguments import Arguments
from hfp.filters.builtin.choice import Choice, Memo, wide
from hfp.filters.builtin.ends import Known, choose
from hfp.hep import Chunk
from hfp.interfaces import FilterContext

_RANGE = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", re.ASCII)
_HIGHEST = 65535


def build(arguments: str, context: FilterContext) -> Choice:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/port.rst`` has the grammar."""
    ends = (methodcaller("get", int(Chunk.SOURCE_PORT)), methodcaller("get", int(Chunk.DESTINATION_PORT)))
    return choose(Arguments(arguments), _ports, _among, ends, "port:5060,5080-5090, or src=, dst= and either=")


def span(text: str, highest: int, what: str) -> range:
    """
    Read ``5060`` or ``5080-5090``, ends included.

    :param what: the plural, for messages.
    :raises ValueError: with what is wrong and the cure.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or not int(found[1]) <= int(found[2] or found[1]) <= highest:
        raise ValueError(f"write {what} from 0 to {highest}, or a range such as 5080-5090")
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def _ports(text: str) -> range:
    return span(text, _HIGHEST, "ports")


def _among(spans: list[range]) -> Known:
    def find(octets: bytes | None) -> bool:
        if octets is None:
            return False
        port = wide(octets, 2, Chunk.SOURCE_PORT)
        return any(port in each for each in spans)

    return Memo(find)
