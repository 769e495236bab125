"""
For authors of filters: packets made easily, and a filter at work in memory.

A test reads like this::

    from twisted.trial.unittest import SynchronousTestCase
    from hfp.testing import FilterBench, make_packet, make_sip
    from hfp_filter_example import factory

    class ExampleTests(SynchronousTestCase):
        def test_other_prefix(self):
            bench = FilterBench(factory, "prefix=+49")
            self.assertEqual(bench.screen(make_packet(payload=make_sip(to="sip:+4420@example.com"))), [])
            self.assertEqual(bench.counts["reject"], 1)

`FilterBench` is what hfp does with a filter, save for sockets: arguments are read, errors are caught, rewritten packets
are checked, verdicts are counted.  Nothing here opens a socket, waits, or needs a reactor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, LogPublisher, formatEvent

from hfp.filters.captured import CapturedPacket
from hfp.filters.chain import FilterChain
from hfp.filters.loading import FilterSpec, build_filters
from hfp.hep import HEADER, encode
from hfp.interfaces import FilterContext, Sender
from hfp.logs import Logger, Repeats

__all__ = ["NOW_NS", "SENDER", "FilterBench", "make_captured", "make_context", "make_packet", "make_sip"]

#: When tests take place: 2026-01-01 00:00:00 UTC, Unix time in nanoseconds.
NOW_NS = 1_767_225_600_000_000_000

#: Who sends the packets of tests, unless they say otherwise.
SENDER = Sender("tcp", "192.0.2.200", 40000)


def make_sip(
    method: str = "INVITE",
    *,
    status: int | None = None,
    uri: str = "sip:bob@example.com",
    from_: str = '"Alice" <sip:alice@example.com>;tag=1',
    to: str = "<sip:bob@example.com>",
    call_id: str = "1@example.com",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> bytes:
    """
    A SIP message.

    :param status: 100 to 699 for the response to such a request.
    :param headers: what else stands in it, in order.
    """
    start = f"{method} {uri} SIP/2.0" if status is None else f"SIP/2.0 {status} Tested"
    lines = [
        start,
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1",
        f"From: {from_}",
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: 1 {method}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def make_packet(*, chunks: Any = (), without: tuple[str, ...] = (), **fields: Any) -> bytes:
    """
    One HEP3 packet: a SIP request between 192.0.2.1:5060 and 192.0.2.2:5070, at `NOW_NS`, from agent 2001.

    :param chunks: as for `hfp.hep.encode`: (vendor id, type id, payload) of chunks to stand behind all others.
    :param without: names of fields to be left out.
    :param fields: what is to be different, any of `hfp.hep.FIELDS`: ``make_packet(source_address="2001:db8::1")``.
    """
    usual: dict[str, Any] = {
        "protocol": 17,
        "source_address": "192.0.2.1",
        "destination_address": "192.0.2.2",
        "source_port": 5060,
        "destination_port": 5070,
        "time_ns": NOW_NS,
        "protocol_type": 1,
        "agent_id": 2001,
        "payload": make_sip(),
    }
    for same in (
        ("source", "source_address"),
        ("destination", "destination_address"),
        ("compressed_payload", "payload"),
    ):
        if same[0] in fields:
            del usual[same[1]]
    merged = {name: value for name, value in {**usual, **fields}.items() if name not in without}
    return encode(chunks=chunks, **merged)


def make_captured(octets: bytes, sender: Sender = SENDER, received_ns: int = NOW_NS) -> CapturedPacket:
    """A packet as a filter's ``decide`` is given it."""
    return CapturedPacket(octets, sender, received_ns)


def make_context(name: str = "test", clock: Any = None) -> FilterContext:
    """
    What a factory's ``build`` is given; for tests of ``build`` alone.

    :param clock: a `MemoryReactorClock` of its own unless given.
    """
    clock = MemoryReactorClock() if clock is None else clock
    return FilterContext(name=name, clock=clock, repeats=Repeats(Logger(), clock))


class FilterBench:
    """
    A filter at work, in memory.

    :param factory: provides `hfp.interfaces.IFilterFactory`.
    :param arguments: what stands behind ``NAME:`` on the command line.
    :param rejects_errors: as with ``--filter-errors reject``.
    :raises hfp.errors.UsageProblem: with the line that the operator would read.

    :ivar filter: what the factory has built.
    :ivar clock: the filter's clock, a `MemoryReactorClock`.
    :ivar received_ns: Unix time at which the next packets are received; add to it to let time pass.
    :ivar logged: the lines that were logged through the context's ``repeats``, or because the filter raised.
    """

    def __init__(self, factory: Any, arguments: str = "", rejects_errors: bool = False) -> None:
        self.clock = MemoryReactorClock()
        self.received_ns = NOW_NS
        self.logged: list[str] = []
        observer: Any = self._log
        repeats = Repeats(Logger(observer=LogPublisher(observer)), self.clock)
        named = build_filters([FilterSpec(str(factory.name), arguments)], [factory], self.clock, repeats)
        self.filter: Any = named[0][1]
        self._chain = FilterChain(named, repeats, rejects_errors, lambda: self.received_ns)

    def screen(self, *packets: bytes, sender: Sender = SENDER) -> list[bytes]:
        """
        Let packets come in, as if one read had brought them.

        :param sender: who sends them.
        :returns: those that go on, in order, as they go on.
        """
        pieces, count = self._chain.screen([b"".join(packets)], len(packets), sender)
        going = []
        for piece in pieces:
            at = 0
            while at < len(piece):
                end = at + HEADER.unpack_from(piece, at)[1]
                going.append(bytes(piece[at:end]))
                at = end
        assert len(going) == count, "the chain counts what it passes"
        return going

    @property
    def counts(self) -> Mapping[str, int]:
        """Packets so far by verdict: ``pass``, ``reject``, ``rewrite``, ``error``."""
        return self._chain.status()[0].packets

    def _log(self, event: LogEvent) -> None:
        self.logged.append(formatEvent(event))
