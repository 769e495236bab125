"""
The filters of the command line, one after the other, as a screen of the intake.

A packet goes on when every filter passes it.  What one read of one sender brought is looked at together, filter by
filter; packets that nobody changed leave as the very octets that came.  Counts in plain integers; knows no sockets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import implementer

from hfp.filters.captured import CapturedPacket
from hfp.filters.layout import Layouts
from hfp.hep import HEADER, Packet
from hfp.interfaces import IBatchFilter, IFilter, IScreen, Sender, Verdict
from hfp.logs import Logger, Repeats
from hfp.status import FilterStatus

#: Every verdict that packets are counted by; ``error`` ones have passed or were rejected, as the operator chose.
VERDICTS = ("pass", "reject", "rewrite", "error")

_PASS = Verdict.PASS
_REJECT = Verdict.REJECT


class Link:
    """
    One filter of the chain, and what it has done.

    :param name: as in `hfp.interfaces.FilterContext`.
    :param rejects_errors: whether a packet is rejected about which the filter has raised an error.
    """

    _log = Logger()

    def __init__(self, name: str, filter_: Any, repeats: Repeats, rejects_errors: bool) -> None:
        self.name = name
        self._filter = filter_
        self._repeats = repeats
        self._rejects_errors = rejects_errors
        self._decide: Callable[[CapturedPacket], Any] = filter_.decide
        self._decide_batch: Callable[[list[CapturedPacket]], Sequence[Any]] | None = (
            filter_.decide_batch if IBatchFilter.providedBy(filter_) else None
        )
        self._counts = dict.fromkeys(VERDICTS, 0)
        self._ns = 0

    def run(self, packets: list[CapturedPacket]) -> list[CapturedPacket]:
        """
        Hot, once per read: let the filter decide about these packets, 1 or more.

        :returns: those that go on, the same list if all do and none was changed.
        """
        start = time.perf_counter_ns()
        verdicts = self._verdicts(packets)
        self._ns += time.perf_counter_ns() - start
        passed = verdicts.count(_PASS)
        if passed == len(packets):
            self._counts["pass"] += passed
            return packets
        counts = self._counts
        counts["pass"] += passed
        if passed + verdicts.count(_REJECT) == len(packets):
            # By far the most: 0.1 µs per packet less than the loop below.
            counts["reject"] += len(packets) - passed
            return [packet for packet, verdict in zip(packets, verdicts, strict=True) if verdict is _PASS]
        kept = []
        for packet, verdict in zip(packets, verdicts, strict=True):
            if verdict is _PASS:
                kept.append(packet)
            elif verdict is _REJECT:
                counts["reject"] += 1
            elif isinstance(verdict, Exception):
                counts["error"] += 1
                self._complain(verdict)
                if not self._rejects_errors:
                    kept.append(packet)
            else:
                going = self._rewritten(packet, verdict)
                if going is not None:
                    kept.append(going)
        return kept

    def _verdicts(self, packets: list[CapturedPacket]) -> list[Any]:
        failure: Exception | None = None
        if self._decide_batch is not None:
            try:
                verdicts = list(self._decide_batch(packets))
                if len(verdicts) == len(packets):
                    return verdicts
                raise ValueError(f"{len(verdicts)} verdicts on {len(packets)} packets")
            except Exception as problem:
                failure = problem
        decide = self._decide
        verdicts = []
        for packet in packets:
            try:
                verdicts.append(decide(packet))
            except Exception as problem:
                verdicts.append(problem)
                failure = None  # told with the packet
        if failure is not None:
            self._complain(failure)
        return verdicts

    def _rewritten(self, packet: CapturedPacket, verdict: object) -> CapturedPacket | None:
        octets = verdict.octets if isinstance(verdict, Packet) else verdict
        going = packet.rewritten(octets) if isinstance(octets, (bytes, bytearray, memoryview)) else None
        if going is None or not going.whole:
            self._counts["error"] += 1
            self._complain(
                TypeError(f"what it gave in a packet's place is no HEP3 packet but a {type(verdict).__name__}")
            )
            return None if self._rejects_errors else packet
        self._counts["rewrite"] += 1
        return going

    def _complain(self, problem: Exception) -> None:
        self._repeats.warn(
            (self.name, type(problem)),
            "filter {name} failed on a packet ({kind}: {problem}); such packets {fate}",
            name=self.name,
            kind=type(problem).__name__,
            problem=str(problem)[:200],
            fate="are rejected" if self._rejects_errors else "pass",
        )

    def status(self) -> FilterStatus:
        """What it has done so far."""
        return FilterStatus(name=self.name, packets=dict(self._counts), seconds=self._ns / 1e9)


@implementer(IScreen)
class FilterChain:
    """
    All filters, in the order given.

    :param filters: name and filter of each.
    :param repeats: for log lines about filters that raise.
    :param rejects_errors: whether packets are rejected about which a filter has raised an error.
    :param now_ns: gives the Unix time in nanoseconds.
    """

    def __init__(
        self,
        filters: Sequence[tuple[str, IFilter]],
        repeats: Repeats,
        rejects_errors: bool = False,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._now_ns = now_ns
        self._layouts = Layouts()
        self._links = [Link(name, filter_, repeats, rejects_errors) for name, filter_ in filters]

    def screen(self, pieces: list[Any], packets: int, sender: Sender) -> tuple[list[Any], int]:
        """Hot, once per read: see `IScreen`."""
        received_ns = self._now_ns()
        found = _packets(pieces)
        captured = [
            CapturedPacket(octets, sender, received_ns, layout)
            for octets, layout in zip(found, self._layouts.each(found), strict=True)
        ]
        going = captured
        for link in self._links:
            going = link.run(going)
            if not going:
                return [], 0
        if going is captured:
            return pieces, packets
        return [b"".join([packet.octets for packet in going])], len(going)

    def status(self) -> tuple[FilterStatus, ...]:
        """What each filter has done so far."""
        return tuple(link.status() for link in self._links)


def _packets(pieces: list[Any]) -> list[bytes]:
    # Hot: the packets of these pieces, each as octets of its own.
    unpack = HEADER.unpack_from
    found = []
    for piece in pieces:
        octets = piece if type(piece) is bytes else bytes(piece)
        size = len(octets)
        at = 0
        while at < size:
            end = at + unpack(octets, at)[1]
            found.append(octets[at:end])
            at = end
    return found
