"""
``name``: gives packets the capture agent id, the name, or both, by the sender's address.
"""

from __future__ import annotations

import re

from attrs import frozen
from zope.interface import implementer

from hfp.filters.arguments import Arguments, one_of
from hfp.filters.builtin.addresses import Network
from hfp.filters.builtin.choice import Memo
from hfp.filters.captured import CapturedPacket
from hfp.hep import Chunk, Packet, RawChunk
from hfp.interfaces import FilterContext, IFilter, Verdict
from hfp.networks import read_network, within

_ID = int(Chunk.AGENT_ID)
_NAME = int(Chunk.AGENT_NAME)

_LONGEST_NAME = 255
_NODE = re.compile(r"([0-9]{1,10})?(?:/(.+))?", re.ASCII | re.DOTALL)

_PASS = Verdict.PASS


@frozen
class Node:
    """
    What packets of some senders shall say.

    :param id: capture agent id, 4 octets; None: leave it.
    :param name: None: leave it.
    """

    id: bytes | None
    name: bytes | None


@implementer(IFilter)
class NameFilter:
    """
    :param senders: networks and their nodes; the first that has the sender's address counts.
    :param only_missing: give only what a packet does not have.
    """

    def __init__(self, senders: list[tuple[Network, Node]], only_missing: bool) -> None:
        tests = [(within([network_]), node) for network_, node in senders]

        def find(host: str) -> Node | None:
            try:
                packed = read_network(host.partition("%")[0]).network_address.packed
            except ValueError:
                return None  # a sender without an IP address
            return next((node for is_within, node in tests if is_within(packed)), None)

        self._nodes = Memo(find)
        self._only_missing = only_missing

    def decide(self, packet: CapturedPacket) -> Verdict | Packet:
        """See `hfp.interfaces.IFilter`."""
        node = self._nodes[packet.sender.host]
        if node is None:
            return _PASS
        chunks: list[RawChunk] = []
        if node.id is not None:
            id_ = packet.get(_ID)
            # Number 0 is what HEP1, which has none, becomes.
            if id_ != node.id and not (self._only_missing and id_ is not None and any(id_)):
                chunks.append((0, _ID, node.id))
        if node.name is not None:
            name = packet.get(_NAME)
            if name != node.name and not (self._only_missing and name):
                chunks.append((0, _NAME, node.name))
        return packet.appended(chunks) if chunks else _PASS


def build(arguments: str, context: FilterContext) -> NameFilter:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/name.rst`` has the grammar."""
    parsed = Arguments(arguments)
    only_missing = parsed.value("only", one_of("all", "missing"), "all") == "missing"
    senders = [(_network(key), _node(key, value)) for key, value in parsed.pairs()]
    parsed.end()
    if not senders:
        raise ValueError("names no sender; write for example name:192.0.2.1=2001/sbc-1")
    return NameFilter(senders, only_missing)


def _network(text: str) -> Network:
    try:
        return read_network(text)
    except ValueError as problem:
        raise ValueError(f"{text}: {problem}") from None


def _node(key: str, text: str) -> Node:
    found = _NODE.fullmatch(text)
    if found is None or not any(found.groups()) or int(found[1] or 0) > 0xFFFFFFFF:
        raise ValueError(f"{key}={text}: write ID, ID/NAME or /NAME; an ID is a number from 0 to 4294967295")
    name = found[2].encode() if found[2] else None
    if name is not None and len(name) > _LONGEST_NAME:
        raise ValueError(f"{key}={text}: write a name of at most {_LONGEST_NAME} octets")
    return Node(int(found[1]).to_bytes(4, "big") if found[1] else None, name)
