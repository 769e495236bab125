"""
``key``: sets, replaces or removes the authentication key.  The key is in no message, log line or metric.
"""

from __future__ import annotations

from zope.interface import implementer

from hfp.filters.arguments import Arguments
from hfp.filters.builtin.files import read_key
from hfp.filters.captured import CapturedPacket
from hfp.hep import Chunk, Packet
from hfp.interfaces import FilterContext, IFilter, Verdict

_KEY = int(Chunk.AUTHENTICATION_KEY)

#: Octets of the longest key: some collectors stop at the hundredth.
_LONGEST = 1024

_PASS = Verdict.PASS


@implementer(IFilter)
class KeyFilter:
    """
    Makes every packet carry a key.

    :param only_present: leave packets without a key as they are.
    """

    def __init__(self, key: bytes, only_present: bool) -> None:
        self._chunk = (0, _KEY, key)
        self._key = key
        self._only_present = only_present

    def decide(self, packet: CapturedPacket) -> Verdict | Packet:
        """See `hfp.interfaces.IFilter`."""
        key = packet.get(_KEY)
        if key == self._key or (key is None and self._only_present):
            return _PASS
        return packet.appended([self._chunk])


@implementer(IFilter)
class KeyRemover:
    """Leaves the key out of every packet."""

    def decide(self, packet: CapturedPacket) -> Verdict | Packet:
        """See `hfp.interfaces.IFilter`."""
        return _PASS if packet.get(_KEY) is None else packet.without(_KEY)


def build(arguments: str, context: FilterContext) -> KeyFilter | KeyRemover:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/key.rst`` has the grammar."""
    parsed = Arguments(arguments)
    word = parsed.word("remove", "replace")
    keys = {name: parsed.value(name, str, "") for name in ("set", "replace")}
    path = parsed.value("file", str, "")
    parsed.end()
    given = [name for name, key in keys.items() if key] + ["file"] * bool(path)
    if word == "remove":
        if given:
            raise ValueError(f"remove and {given[0]}= exclude each other; leave one out")
        return KeyRemover()
    if len(given) > 1:
        raise ValueError(f"{given[0]}= and {given[1]}= exclude each other; leave one out")
    if not given:
        raise ValueError("says not what to do; write file=PATH, file=PATH:replace, set=KEY, replace=KEY or remove")
    key = read_key(path) if path else keys[given[0]].encode("utf-8", "surrogateescape")
    if len(key) > _LONGEST:
        raise ValueError(f"the key has {len(key)} octets; take one of at most {_LONGEST}")
    return KeyFilter(key, word == "replace" or given[0] == "replace")
