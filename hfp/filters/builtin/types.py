"""
``type``: by HEP's protocol type.
"""

from __future__ import annotations

from difflib import get_close_matches

from hfp.filters.arguments import Arguments
from hfp.filters.builtin.choice import Choice, rejects
from hfp.hep import ProtocolType, protocol_type_name, protocol_type_number
from hfp.interfaces import FilterContext


def build(arguments: str, context: FilterContext) -> Choice:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/type.rst`` has the grammar."""
    parsed = Arguments(arguments)
    is_rejecting = rejects(parsed)
    types = frozenset(parsed.bare(_number))
    parsed.end()
    if not types:
        raise ValueError("names no type; write for example type:sip,rtcp")
    return Choice(lambda packet: packet.protocol_type in types, is_rejecting)


def _number(text: str) -> int:
    number = protocol_type_number(text)
    if number is None:
        names = [protocol_type_name(member) for member in ProtocolType]
        close = get_close_matches(text.lower(), names, 1)
        cure = f"did you mean {close[0]}?" if close else f"write a number from 0 to 255, or one of {', '.join(names)}"
        raise ValueError(f"is no protocol type; {cure}")
    return number
