"""
Tests for `hfp.testing`.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hfp.errors import UsageProblem
from hfp.filters.sip import SipMessage
from hfp.hep import Packet, plausible
from hfp.interfaces import IFilter, IFilterFactory, Sender, Verdict
from hfp.testing import NOW_NS, SENDER, FilterBench, make_captured, make_context, make_packet, make_sip


@implementer(IFilter)
class Odd:
    """Passes odd agents, rewrites 0, fails on 2, rejects others."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.seen: list[tuple[Sender, int]] = []

    def decide(self, packet: Any) -> Any:
        self.seen.append((packet.sender, packet.received_ns))
        if packet.agent_id == 0:
            return packet.replace(agent_id=1000)
        if packet.agent_id == 2:
            raise RuntimeError("two")
        return Verdict.PASS if packet.agent_id % 2 else Verdict.REJECT


@implementer(IFilterFactory)
class OddFactory:
    """Makes them; takes no arguments."""

    name = "odd"
    help = "passes odd agents"

    def build(self, arguments: str, context: Any) -> Odd:
        if arguments:
            raise ValueError("takes no arguments")
        return Odd(context)


class MakeTests(SynchronousTestCase):
    """What makes packets."""

    def test_sip(self) -> None:
        """Requests, responses, headers and bodies."""
        request = SipMessage(make_sip("BYE", headers={"X-A": "b"}, body=b"text", call_id="c"))
        self.assertEqual(
            (request.method, request.call_id, request.values("X-A"), request.body), (b"BYE", b"c", [b"b"], b"text")
        )
        self.assertEqual(request.values("Content-Length"), [b"4"])
        response = SipMessage(make_sip("BYE", status=486))
        self.assertEqual((response.status, response.method, response.is_request), (486, b"BYE", False))

    def test_packet(self) -> None:
        """Whole packets; any field can be another, or none."""
        packet = Packet(make_packet())
        self.assertIs(plausible(packet.octets, 0), True)
        self.assertEqual((packet.source_address, packet.time_ns, packet.agent_id), ("192.0.2.1", NOW_NS, 2001))
        packet = Packet(
            make_packet(source_address="2001:db8::1", destination_address="2001:db8::2", vlan=7, payload=b"x")
        )
        self.assertEqual(
            (packet.family, packet.source_address, packet.vlan, packet.payload), (10, "2001:db8::1", 7, b"x")
        )
        self.assertIsNone(Packet(make_packet(without=("agent_id",))).agent_id)
        self.assertEqual(Packet(make_packet(source=b"abcd")).source, b"abcd")
        self.assertEqual(Packet(make_packet(chunks=[(7, 1, b"v")])).chunks[-1], (7, 1, b"v"))
        self.assertIsNone(Packet(make_packet(compressed_payload=b"z")).get(15))

    def test_captured(self) -> None:
        """As filters are given them."""
        packet = make_captured(make_packet())
        self.assertEqual((packet.sender, packet.received_ns), (SENDER, NOW_NS))

    def test_context(self) -> None:
        """As factories are given it."""
        context = make_context("x")
        self.assertEqual(context.name, "x")
        verifyObject(IReactorTime, context.clock)


class FilterBenchTests(SynchronousTestCase):
    """`FilterBench`."""

    def test_screen(self) -> None:
        """Packets go through as they do in hfp, and are counted."""
        bench = FilterBench(OddFactory())
        packets = [make_packet(agent_id=number) for number in range(5)]
        going = bench.screen(*packets)
        self.assertEqual([Packet(octets).agent_id for octets in going], [1000, 1, 2, 3])
        self.assertEqual(bench.counts, {"pass": 2, "reject": 1, "rewrite": 1, "error": 1})
        self.assertEqual(bench.logged, ["filter odd failed on a packet (RuntimeError: two); such packets pass"])

    def test_errors_rejected(self) -> None:
        """With ``--filter-errors reject``."""
        self.assertEqual(FilterBench(OddFactory(), rejects_errors=True).screen(make_packet(agent_id=2)), [])

    def test_surroundings(self) -> None:
        """Sender, time of receipt and clock are the test's."""
        bench = FilterBench(OddFactory())
        sender = Sender("udp", "192.0.2.9", 7)
        bench.received_ns += 5
        bench.screen(make_packet(), sender=sender)
        self.assertEqual(bench.filter.seen, [(sender, NOW_NS + 5)])
        self.assertIs(bench.filter.context.clock, bench.clock)

    def test_arguments(self) -> None:
        """Wrong arguments say what the operator would read."""
        problem = self.assertRaises(UsageProblem, FilterBench, OddFactory(), "x")
        self.assertEqual(str(problem), "--filter odd:x: takes no arguments")
