"""
Filters by the two ends of what was captured: ``src=``, ``dst=`` and ``either=``, all of which must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from hfp.filters.arguments import Arguments
from hfp.filters.builtin.choice import Choice, rejects
from hfp.filters.captured import CapturedPacket

_Item = TypeVar("_Item")

#: Of an end: its address, or its port.
Ask = Callable[[CapturedPacket], "bytes | None"]
Known = Mapping["bytes | None", bool]


def choose(
    arguments: Arguments,
    read: Callable[[str], _Item],
    among: Callable[[list[_Item]], Known],
    ends: tuple[Ask, Ask],
    wanted: str,
) -> Choice:
    """
    Make a filter by both ends.

    :param read: reads one item of a list.
    :param among: whether an end is among the items; asked for packets without that end too, with ``None``.
    :param ends: give source and destination.
    :param wanted: what the operator is told to write if nothing is there.
    :raises ValueError: as `hfp.interfaces.IFilterFactory.build`.
    """
    is_rejecting = rejects(arguments)
    source = arguments.values("src", read)
    destination = arguments.values("dst", read)
    either = arguments.values("either", read)
    bare = arguments.bare(read)
    arguments.end()
    if either and bare:
        raise ValueError("has a list with either= and one without; write one list, with commas")
    either = either or bare
    if not (source or destination or either):
        raise ValueError(f"says nothing to compare with; write {wanted}")
    ask_source, ask_destination = ends
    tests: list[Callable[[CapturedPacket], bool]] = []
    if either:
        tests.append(_either(ask_source, ask_destination, among(either)))
    if source:
        tests.append(_one(ask_source, among(source)))
    if destination:
        tests.append(_one(ask_destination, among(destination)))
    matches = tests[0] if len(tests) == 1 else lambda packet: all(test(packet) for test in tests)
    return Choice(matches, is_rejecting)


def _one(ask: Ask, known: Known) -> Callable[[CapturedPacket], bool]:
    return lambda packet: known[ask(packet)]


def _either(ask_source: Ask, ask_destination: Ask, known: Known) -> Callable[[CapturedPacket], bool]:
    return lambda packet: known[ask_source(packet)] or known[ask_destination(packet)]
