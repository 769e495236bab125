"""
Tests for `hfp.filters.layout`, and for `hfp.filters.captured`, which relies on it.
"""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import MalformedPacket
from hfp.filters.captured import CapturedPacket
from hfp.filters.layout import MOST_LAYOUTS, UNKNOWN, Layout, Layouts
from hfp.hep import FIELDS, Packet, build, plausible
from hfp.test.filtercase import shuffled
from hfp.testing import NOW_NS, SENDER, make_packet

V4 = make_packet()
V6 = make_packet(source_address="2001:db8::1", destination_address="2001:db8::2")


def look(packet: Packet) -> list[Any]:
    """Everything that a packet says, and what it raises where it says nothing."""
    said: list[Any] = []
    for name in [*FIELDS, "chunks"]:
        try:
            said.append((name, getattr(packet, name)))
        except MalformedPacket as problem:
            said.append((name, problem.kind))
    return said


def captured(octets: bytes, layouts: Layouts) -> CapturedPacket:
    return CapturedPacket(octets, SENDER, NOW_NS, layouts.each([octets])[0])


#: Chunks that may be anything, also known types with another width.
chunks = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 7]), st.sampled_from([*range(1, 20), 99]), st.binary(max_size=6)), max_size=8
)
usual = st.sampled_from(
    [
        (0, 1, b"\2"),
        (0, 1, b"\n"),
        (0, 2, b"\x11"),
        (0, 3, b"abcd"),
        (0, 4, b"efgh"),
        (0, 5, b"A" * 16),
        (0, 6, b"B" * 16),
        (0, 7, b"12"),
        (0, 8, b"34"),
        (0, 9, b"abcd"),
        (0, 10, b"abcd"),
        (0, 11, b"\1"),
        (0, 12, b"aaaa"),
        (0, 15, b"x"),
    ]
)


class LayoutTests(SynchronousTestCase):
    """`Layouts`."""

    def test_same(self) -> None:
        """Packets with chunks in the same places share a layout."""
        layouts = Layouts()
        other = make_packet(source_port=1, agent_id=7, payload=b"other")
        found = layouts.each([V4, other, V6, V4, V6])
        self.assertIs(found[0], found[1])
        self.assertIs(found[0], found[3])
        self.assertIs(found[2], found[4])
        self.assertIsNot(found[0], found[2])
        self.assertEqual(len(layouts), 2)
        self.assertEqual(found[0].end, V4.index(b"\0\0\0\x0f"))
        for octets, layout in ((V4, found[0]), (V6, found[2])):
            assert layout.source is not None and layout.destination is not None, "what filters ask for most is known"
            self.assertEqual(octets[layout.source], Packet(octets).source)
            self.assertEqual(octets[layout.destination], Packet(octets).destination)
            self.assertEqual(octets[layout.protocol_type], 1)

    def test_shorter(self) -> None:
        """A packet that is cut short where another goes on has another layout."""
        short = build([*Packet(V4).chunks[:5], (0, 15, b"x")])
        layouts = Layouts()
        found = layouts.each([short, V4, short, V4])
        self.assertEqual([each.end for each in found], [short.index(b"\0\0\0\x0f"), V4.index(b"\0\0\0\x0f")] * 2)
        self.assertEqual(layouts.each([build(Packet(V4).chunks[:5])])[0].end, 0)

    def test_none(self) -> None:
        """There is no layout where the first chunk may have any width, or is malformed, or where none may."""
        malformed = V4[:10] + b"\0\x09" + V4[12:]
        for octets in (build([(0, 15, b"x"), (0, 1, b"\2")]), build([]), malformed, build([(0, 1, b"\2")])):
            self.assertIs(Layouts().each([octets])[0], UNKNOWN)

    def test_bounded(self) -> None:
        """Strangers that make up layouts cannot make it keep or learn many; the usual one is learned again."""
        layouts = Layouts()
        orders = [[(0, 7, b"ab")] * (at % 20 + 1) + [(0, at + 1000, b"")] for at in range(2000)]
        for chunks_ in orders:
            layouts.each([build(chunks_)])
            self.assertLessEqual(len(layouts), MOST_LAYOUTS)
        wide = build([(0, 7, b"ab")] * 5000)
        self.assertEqual(Layouts().each([wide])[0].end, 6 + 24 * 8)
        for _ in range(101):
            layouts.each([V6] * 100)
        self.assertIsNot(layouts.each([V4])[0], UNKNOWN)

    def test_patience(self) -> None:
        """Strangers cannot make it spend its time on learning: most of what they make up is not learned at all."""
        layouts = Layouts()
        learned: set[Layout] = set()
        for at in range(3000):
            octets = build([(0, 7, b"ab")] * (at % 23 + 1) + [(at, 99, b"")])
            learned.add(layouts.each([octets])[0])
        self.assertLessEqual(len(learned), 2 * MOST_LAYOUTS + 1)


class CapturedPacketTests(SynchronousTestCase):
    """`CapturedPacket` says what `Packet` says."""

    def test_every_order(self) -> None:
        """Whatever the order of the chunks."""
        for octets in (V4, V6):
            count = len(Packet(octets).chunks)
            layouts = Layouts()
            for first in range(count):
                for second in range(count):
                    order = list(range(count))
                    order[first], order[second] = order[second], order[first]
                    other = shuffled(octets, order)
                    self.assertEqual(look(captured(other, layouts)), look(Packet(other)))

    @given(st.lists(chunks | st.lists(usual, max_size=14), min_size=1, max_size=6), st.integers(0, 40))
    @settings(max_examples=300, deadline=None)
    def test_any_chunks(self, packets: list[list[tuple[int, int, bytes]]], cut: int) -> None:
        """Whatever the chunks, also malformed ones, and whatever was there before."""
        layouts = Layouts()
        for each in [*packets, *packets]:
            octets = build(each)
            if len(octets) - cut > 6:
                octets = octets[:4] + struct.pack(">H", len(octets) - cut) + octets[6 : len(octets) - cut]
            self.assertEqual(look(captured(octets, layouts)), look(Packet(octets)))

    def test_both_families(self) -> None:
        """Of both addresses that of the packet's family counts, wherever the chunks stand."""
        both = [(0, 3, b"4444"), (0, 5, b"6" * 16)]
        for family, source in ((2, b"4444"), (10, b"6" * 16), (99, b"4444")):
            for order in (both, both[::-1]):
                head = build([(0, 1, bytes([family])), *order])
                tail = build([*order, (0, 1, bytes([family]))])
                for octets in (head, tail):
                    self.assertEqual(captured(octets, Layouts()).source, source)

    def test_rewritten(self) -> None:
        """What takes a packet's place is read as it is, with the same sender and time."""
        first = captured(V4, Layouts())
        for octets in (V6, make_packet(source_address="198.51.100.7")):
            other = first.rewritten(octets)
            self.assertEqual(look(other), look(Packet(octets)))
            self.assertEqual((other.sender, other.received_ns), (SENDER, NOW_NS))

    @given(chunks | st.lists(usual, max_size=14), chunks, st.integers(0, 40))
    @settings(max_examples=300, deadline=None)
    def test_whole_and_appended(
        self, first: list[tuple[int, int, bytes]], more: list[tuple[int, int, bytes]], cut: int
    ) -> None:
        """Well-formed is what `plausible` says, appended what `with_chunks` gives."""
        octets = build(first)
        if len(octets) - cut > 6:
            octets = octets[:4] + struct.pack(">H", len(octets) - cut) + octets[6 : len(octets) - cut]
        layouts = Layouts()
        packet = captured(octets, layouts)
        self.assertIs(packet.whole, plausible(octets, 0))
        for damaged in (octets[:-1], octets + b"x", b"JUNK" + octets[4:], octets[:3]):
            self.assertFalse(CapturedPacket(damaged, SENDER, NOW_NS, packet._layout).whole)
        added = list({(vendor, kind): (vendor, kind, payload) for vendor, kind, payload in more}.values())
        if packet.whole:
            self.assertEqual(captured(octets, layouts).appended(added), Packet(octets).with_chunks(added))

    def test_appended_too_big(self) -> None:
        """What would be too large is refused."""
        packet = captured(build([(0, 15, bytes(65500))]), Layouts())
        problem = self.assertRaises(MalformedPacket, packet.appended, [(0, 14, bytes(50))])
        self.assertEqual(problem.kind, "too-big")

    def test_sip(self) -> None:
        """The SIP message is read once; what is of another type, or no SIP, has none."""
        packet = captured(V4, Layouts())
        self.assertIs(packet.sip, packet.sip)
        assert packet.sip is not None
        self.assertEqual(packet.sip.method, b"INVITE")
        for octets in (make_packet(protocol_type=5), make_packet(payload=b"{}"), make_packet(without=("payload",))):
            self.assertIsNone(captured(octets, Layouts()).sip)

    def test_call(self) -> None:
        """A call is known by its correlation id, else by the Call-ID."""
        self.assertEqual(captured(make_packet(correlation_id=b"c"), Layouts()).call, b"c")
        self.assertEqual(captured(make_packet(correlation_id=b""), Layouts()).call, b"1@example.com")
        self.assertIsNone(captured(make_packet(protocol_type=100), Layouts()).call)
