"""
``dedup``: rejects what was captured twice.

What is compared is a hash of payload, addresses, ports and type; the times are those that the agents state.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from zope.interface import implementer

from hfp.filters.arguments import Arguments, duration, one_of, whole
from hfp.filters.captured import CapturedPacket
from hfp.hep import Chunk
from hfp.interfaces import FilterContext, IFilter, Verdict

_PASS = Verdict.PASS
_REJECT = Verdict.REJECT

#: Octets of a hash: with a million packets a window, two are alike by accident once in 10^26 times.
_OCTETS = 16

_SOURCE_PORT = int(Chunk.SOURCE_PORT)
_DESTINATION_PORT = int(Chunk.DESTINATION_PORT)
_AGENT_ID = int(Chunk.AGENT_ID)
_AGENT_NAME = int(Chunk.AGENT_NAME)

#: Of one packet, transmissions that are told apart, and agents that have seen one of them.
_MOST_TRANSMISSIONS = 16
_MOST_AGENTS = 16

_Agent = tuple[str, "bytes | None", "bytes | None"]


def _hash(packet: CapturedPacket, payload: bytes, with_node: bool) -> bytes:
    # Lengths before what varies: no two packets that differ give the same octets.
    source_port = packet.get(_SOURCE_PORT)
    destination_port = packet.get(_DESTINATION_PORT)
    digest = blake2b(payload, digest_size=_OCTETS)
    node = (packet.get(_AGENT_ID), packet.get(_AGENT_NAME)) if with_node else ()
    rest = (packet.source, packet.destination, source_port, destination_port, packet.protocol_type, node)
    digest.update(repr(rest).encode())
    return digest.digest()


@implementer(IFilter)
class Dedup:
    """
    Rejects a packet like one that passed less than a window before or after it.

    :param window_ns: longest difference in HEP time of two that are the same.
    :param with_node: whether packets of two agents always differ.
    :param most: packets remembered.
    """

    # No `decide_batch`: after an error in it the packets would be shown once more, and each be its own duplicate.

    def __init__(self, window_ns: int, with_node: bool, most: int) -> None:
        self._window_ns = window_ns
        self._with_node = with_node
        self._most = most
        # Not a dict: to find the oldest of one that lost many from its front takes ever longer, 20 µs with 65536.
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def decide(self, packet: CapturedPacket) -> Verdict:
        """See `hfp.interfaces.IFilter`."""
        payload = packet.payload
        time_ns = packet.time_ns
        if payload is None or time_ns is None:
            return _PASS
        key = _hash(packet, payload, self._with_node)
        seen = self._seen
        before = seen.get(key)
        if before is not None:
            if abs(time_ns - before) < self._window_ns:
                return _REJECT
            seen.move_to_end(key)
        elif len(seen) >= self._most:
            seen.popitem(last=False)
        seen[key] = time_ns
        return _PASS


@implementer(IFilter)
class DedupOfAgents:
    """
    As `Dedup`, but what one agent reports twice was there twice, unless both times are the same.

    Each transmission that passed is remembered with the agents that have reported it.  A packet like it is its
    duplicate if its agent has not; else it is a transmission of its own.
    """

    def __init__(self, window_ns: int, most: int) -> None:
        self._window_ns = window_ns
        self._most = most
        self._seen: OrderedDict[bytes, list[tuple[int, dict[_Agent, int]]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def decide(self, packet: CapturedPacket) -> Verdict:
        """See `hfp.interfaces.IFilter`."""
        payload = packet.payload
        time_ns = packet.time_ns
        if payload is None or time_ns is None:
            return _PASS
        agent = (packet.sender.host, packet.get(_AGENT_ID), packet.get(_AGENT_NAME))
        key = _hash(packet, payload, False)
        seen = self._seen
        transmissions = seen.get(key)
        if transmissions is None:
            if len(seen) >= self._most:
                seen.popitem(last=False)
            transmissions = seen[key] = []
        else:
            seen.move_to_end(key)
        for _, agents in transmissions:
            if agents.get(agent) == time_ns:
                return _REJECT
        near = [
            (abs(time_ns - first_ns), at)
            for at, (first_ns, agents) in enumerate(transmissions)
            if abs(time_ns - first_ns) < self._window_ns and agent not in agents and len(agents) < _MOST_AGENTS
        ]
        if near:
            transmissions[min(near)[1]][1][agent] = time_ns
            return _REJECT
        if len(transmissions) >= _MOST_TRANSMISSIONS:
            del transmissions[0]
        transmissions.append((time_ns, {agent: time_ns}))
        return _PASS


def build(arguments: str, context: FilterContext) -> Dedup | DedupOfAgents:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/dedup.rst`` has the grammar."""
    parsed = Arguments(arguments)
    window_ns = round(parsed.value("window", duration(0.001, 3600), 0.5) * 1e9)
    ignores_node = parsed.value("ignore", one_of("nothing", "node"), "nothing") == "node"
    keeps_retransmissions = parsed.value("keep", one_of("nothing", "retransmissions"), "nothing") == "retransmissions"
    most = parsed.value("entries", whole(1, 10_000_000), 65536)
    parsed.end()
    if keeps_retransmissions:
        return DedupOfAgents(window_ns, most)
    return Dedup(window_ns, not ignores_node, most)
