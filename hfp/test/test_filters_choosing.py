"""
Tests for the filters ``ip``, ``port``, ``type``, ``node`` and ``sip``.
"""

from __future__ import annotations

import gzip
import random
import zlib
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import UsageProblem
from hfp.filters.builtin.choice import MOST_ANSWERS, Memo
from hfp.hep import build, to_hep3
from hfp.test.filtercase import FilterCase, shuffled
from hfp.testing import NOW_NS, make_packet, make_sip

V4 = make_packet()
V6 = make_packet(source_address="2001:db8::1", destination_address="2001:db8::2")
MAPPED = make_packet(source_address="::ffff:192.0.2.1", destination_address="::ffff:192.0.2.2")
BARE = make_packet(without=("source_address", "destination_address", "source_port", "destination_port", "agent_id"))
#: A chunk of a wrong width in the place of each that filters look at.
MALFORMED = build([(0, 1, b"\2"), (0, 3, b"abc"), (0, 7, b"abc"), (0, 11, b"ab"), (0, 12, b"a")])
HEP1 = bytes([1, 16, 2, 17]) + bytes.fromhex("13c413ce") + bytes([192, 0, 2, 1, 192, 0, 2, 2]) + make_sip()
OPTIONS = make_packet(payload=make_sip("OPTIONS"))


class MemoTests(SynchronousTestCase):
    """`Memo`."""

    def test_bounded(self) -> None:
        """An answer is found once, until there are too many; never are there more."""
        asked: list[int] = []

        def double(number: int) -> int:
            asked.append(number)
            return number * 2

        memo = Memo(double, 3)
        self.assertEqual([memo[number] for number in (1, 2, 1, 2, 3, 3)], [2, 4, 2, 4, 6, 6])
        self.assertEqual(asked, [1, 2, 3])
        for number in range(100):
            memo[number]
            self.assertLessEqual(len(memo), 3)


class OrderTests(FilterCase):
    """What all of these have in common."""

    texts = ("ip:src=192.0.2.1:dst=192.0.2.2", "port:src=5060:dst=5070", "type:sip", "node:2001", "sip:(method INVITE)")

    def test_every_order(self) -> None:
        """Whatever the order of the chunks, with others among them, and whatever came before."""
        packet = make_packet(chunks=[(0, 0x12, b"\0\0"), (7, 3, b"vendor"), (0, 0x11, b"c"), (0, 0xFFFF, b"")])
        benches = [self.bench(text) for text in self.texts]
        chance = random.Random(1)
        order = list(range(14))
        for _ in range(200):
            chance.shuffle(order)
            other = shuffled(packet, order)
            for bench in benches:
                self.assertEqual(bench.screen(other), [other])

    def test_compressed(self) -> None:
        """A compressed payload, gzip or zlib, is read like any."""
        for compress in (gzip.compress, zlib.compress):
            packet = make_packet(compressed_payload=compress(make_sip()))
            for text in self.texts:
                self.assertEqual(self.passes(text, packet), [True], text)
            self.assertEqual(self.passes("sip:(method BYE)", packet), [False])

    def test_converted(self) -> None:
        """HEP1 that was converted."""
        packet = to_hep3(HEP1, NOW_NS)
        self.assertEqual(self.passes("ip:src=192.0.2.1:dst=192.0.2.2", packet), [True])
        self.assertEqual(self.passes("port:src=5060:dst=5070", packet), [True])
        self.assertEqual(self.passes("sip:(method INVITE)", packet), [True])
        self.assertEqual(self.passes("node:0", packet), [True])

    def test_malformed(self) -> None:
        """A packet that is malformed where the filter looks is an error, so passes unless errors are rejected."""
        for text in ("ip:10.0.0.0/8", "port:5060", "type:sip", "node:2001", "sip:"):
            bench = self.bench(text)
            self.assertEqual(bench.screen(V4, MALFORMED)[-1:], [MALFORMED])
            self.assertEqual(bench.counts["error"], 1, text)
            self.assertEqual(len(bench.logged), 1)
            bench = self.bench(text, rejects_errors=True)
            self.assertNotIn(MALFORMED, bench.screen(MALFORMED, V4))

    def test_truncated(self) -> None:
        """So is one whose last chunk reaches past its end."""
        octets = V4[:4] + (len(V4) - 1).to_bytes(2, "big") + V4[6:-1]
        bench = self.bench("sip:")
        self.assertEqual(bench.screen(octets), [octets])
        self.assertEqual(bench.counts["error"], 1)
        self.assertEqual(self.passes("ip:192.0.2.1", octets), [True])


class IpTests(FilterCase):
    """``ip``."""

    def test_ends(self) -> None:
        """Source, destination, either; all that is given must hold."""
        verdicts = {
            "ip:192.0.2.1": True,
            "ip:192.0.2.2": True,
            "ip:either=192.0.2.2": True,
            "ip:192.0.2.3": False,
            "ip:192.0.2.3,192.0.2.0/24": True,
            "ip:src=192.0.2.1": True,
            "ip:src=192.0.2.2": False,
            "ip:dst=192.0.2.2": True,
            "ip:dst=192.0.2.1": False,
            "ip:src=192.0.2.1:dst=192.0.2.2": True,
            "ip:src=192.0.2.1:dst=192.0.2.1": False,
            "ip:src=192.0.2.1:either=192.0.2.9": False,
            "ip:[::]/0": False,
        }
        for text, verdict in verdicts.items():
            self.assertEqual(self.passes(text, V4), [verdict], text)
            self.assertEqual(self.passes(text + ":pass", V4), [verdict], text)
            self.assertEqual(self.passes(text + ":reject", V4), [not verdict], text)

    def test_ipv6(self) -> None:
        """IPv6 in brackets or with backslashes."""
        self.assertEqual(self.passes("ip:[2001:db8::]/32", V6, V4), [True, False])
        self.assertEqual(self.passes("ip:[2001:db8::1]", V6), [True])
        self.assertEqual(self.passes(r"ip:src=2001\:db8\:\:1/128", V6), [True])
        self.assertEqual(self.passes("ip:dst=[2001:db8::1]", V6), [False])

    def test_mapped(self) -> None:
        """IPv4 written as IPv6 is IPv4, in packets and in arguments."""
        self.assertEqual(self.passes("ip:192.0.2.0/24", MAPPED, V4), [True, True])
        self.assertEqual(self.passes("ip:[::ffff:192.0.2.0]/120", MAPPED, V4), [True, True])

    def test_no_address(self) -> None:
        """A packet without addresses matches nothing."""
        self.assertEqual(self.passes("ip:0.0.0.0/0,[::]/0", BARE), [False])
        self.assertEqual(self.passes("ip:0.0.0.0/0,[::]/0:reject", BARE), [True])

    def test_bounded(self) -> None:
        """Any number of addresses takes a bounded memory."""
        bench = self.bench("ip:10.0.0.0/8")
        for at in range(0, 3 * MOST_ANSWERS, 64):
            bench.screen(*(make_packet(source=at_.to_bytes(4, "big")) for at_ in range(at, at + 64)))
        known: Any = bench.filter._matches.__closure__
        memos = [cell.cell_contents for cell in known if isinstance(cell.cell_contents, Memo)]
        self.assertEqual(len(memos), 1)
        self.assertLessEqual(len(memos[0]), MOST_ANSWERS)

    @given(
        st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), min_size=1, max_size=4),
        st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), max_size=6),
    )
    @settings(max_examples=100, deadline=None)
    def test_any_networks(self, networks: list[tuple[int, int]], ends: list[tuple[int, int]]) -> None:
        """As `ipaddress` says."""
        known = [ip_network((start >> 32 - bits << 32 - bits, bits)) for start, bits in networks]
        text = "ip:src=" + ",".join(map(str, known))
        # Addresses of the networks as well, or few would match.
        sources = [source for source, _ in ends] + [start for start, _ in networks]
        packets = [make_packet(source=source.to_bytes(4, "big")) for source in sources]
        wanted = [any(ip_address(source) in network for network in known) for source in sources]
        self.assertEqual(self.passes(text, *packets), wanted)

    def test_refused(self) -> None:
        """Every slip is one line."""
        nothing = "says nothing to compare with; write ip:10.0.0.0/8, or src=, dst= and either="
        network = "this is no IP address or network; write for example 10.0.0.0/8 or 2001:db8::/32"
        brackets = "has an empty argument; leave one colon out, and put IPv6 addresses in brackets: [2001:db8::]/32"
        self.refused("ip", nothing)
        self.refused("ip:reject", nothing)
        self.refused("ip:10.0.0.0/33", f"10.0.0.0/33: {network}")
        self.refused("ip:src=host", f"src=host: {network}")
        self.refused("ip:src=", f"src=: {network}")
        host = "src=10.1.2.3/8: this has address bits beyond its prefix; write 10.0.0.0/8 or 10.1.2.3"
        self.refused("ip:src=10.1.2.3/8", host)
        self.refused("ip:2001:db8::/32", brackets)
        self.refused("ip:scr=10.0.0.0/8", "'scr=' means nothing here; did you mean src=?")
        self.refused("ip:src=10.0.0.0/8:src=1.1.1.1", "src is given twice; leave one out")
        self.refused("ip:10.0.0.0/8:pass:reject", "pass and reject exclude each other; leave one out")
        both = "has a list with either= and one without; write one list, with commas"
        self.refused("ip:either=10.0.0.0/8:11.0.0.0/8", both)
        self.refused(
            "ip:10.0.0.0/8:11.0.0.0/8", "'10.0.0.0/8' and '11.0.0.0/8' are two lists; put a comma between them"
        )


class PortTests(FilterCase):
    """``port``."""

    def test_ends(self) -> None:
        """Source, destination, either; ranges with their ends."""
        verdicts = {
            "port:5060": True,
            "port:5070": True,
            "port:5061-5069": False,
            "port:5061-5070": True,
            "port:1,5060-5065": True,
            "port:src=5060": True,
            "port:src=5070": False,
            "port:dst=5070": True,
            "port:src=5060:dst=5060": False,
            "port:either=0-65535": True,
        }
        for text, verdict in verdicts.items():
            self.assertEqual(self.passes(text, V4), [verdict], text)
            self.assertEqual(self.passes(text + ":reject", V4), [not verdict], text)

    def test_no_port(self) -> None:
        """A packet without ports matches nothing."""
        self.assertEqual(self.passes("port:0-65535", BARE), [False])

    def test_refused(self) -> None:
        """Every slip is one line."""
        cure = "write ports from 0 to 65535, or a range such as 5080-5090"
        self.refused("port", "says nothing to compare with; write port:5060,5080-5090, or src=, dst= and either=")
        self.refused("port:sip", f"sip: {cure}")
        self.refused("port:src=65536", f"src=65536: {cure}")
        self.refused("port:dst=9-8", f"dst=9-8: {cure}")
        self.refused("port:5060,", f"an empty item: {cure}")


class TypeTests(FilterCase):
    """``type``."""

    def test_types(self) -> None:
        """By name, in any case, by another name, and by number."""
        rtcp, log, none = (
            make_packet(protocol_type=5),
            make_packet(protocol_type=100),
            make_packet(without=("protocol_type",)),
        )
        self.assertEqual(self.passes("type:sip", V4, rtcp, none), [True, False, False])
        self.assertEqual(self.passes("type:SIP,rtcp,100", V4, rtcp, log), [True, True, True])
        self.assertEqual(self.passes("type:rtcp-json:pass", V4, rtcp), [False, True])
        self.assertEqual(self.passes("type:log,rtcp:reject", V4, rtcp, log, none), [True, False, False, True])

    def test_refused(self) -> None:
        """Every slip is one line."""
        self.refused("type", "names no type; write for example type:sip,rtcp")
        self.refused("type:spi", "spi: is no protocol type; did you mean sip?")
        self.refused("type:sip:rtcp", "'sip' and 'rtcp' are two lists; put a comma between them")
        problem = self.assertRaises(UsageProblem, self.bench, "type:256")
        self.assertIn("256: is no protocol type; write a number from 0 to 255, or one of sip, xmpp, ", str(problem))


class NodeTests(FilterCase):
    """``node``."""

    def test_nodes(self) -> None:
        """By id, range of ids, name and pattern."""
        named = make_packet(agent_name=b"sbc-1.example", agent_id=7)
        verdicts = {
            "node:2001": [True, False],
            "node:1,2000-2010": [True, False],
            "node:sbc-1.example": [False, True],
            "node:sbc-*": [False, True],
            "node:SBC-*": [False, False],
            "node:sbc-1": [False, False],
            "node:sbc-?.*,2001": [True, True],
            "node:sbc-[2-9]*": [False, False],
            "node:id=7": [False, True],
            "node:name=sbc*:id=2001": [True, True],
            "node:name=2001": [False, False],
        }
        for text, wanted in verdicts.items():
            self.assertEqual(self.passes(text, V4, named), wanted, text)
            self.assertEqual(self.passes(text + ":reject", V4, named), [not each for each in wanted], text)

    def test_none(self) -> None:
        """A packet without either matches nothing; nor does a name that nobody would give."""
        self.assertEqual(self.passes("node:*,0-4294967295", BARE), [False])
        self.assertEqual(
            self.passes("node:*", make_packet(agent_name=b"x" * 257), make_packet(agent_name=b"\xff")), [False, True]
        )

    def test_refused(self) -> None:
        """Every slip is one line."""
        cure = "write agent ids from 0 to 4294967295, or a range such as 5080-5090"
        self.refused("node", "names no node; write for example node:2001,2010-2019 or node:sbc-*")
        self.refused("node:4294967296", f"4294967296: {cure}")
        self.refused("node:id=sbc", f"id=sbc: {cure}")
        self.refused("node:name=", "name=: is empty; write a name, or leave the comma out")


class SipTests(FilterCase):
    """``sip``."""

    def test_expression(self) -> None:
        """What matches goes on; so does what is no SIP."""
        other = [make_packet(protocol_type=5), make_packet(payload=b"HEP PING"), make_packet(without=("payload",))]
        self.assertEqual(
            self.passes("sip:(not (method OPTIONS))", V4, OPTIONS, *other), [True, False, True, True, True]
        )
        text = "sip:other=reject:(method INVITE)"
        self.assertEqual(self.passes(text, V4, OPTIONS, *other), [True, False, False, False, False])
        self.assertEqual(self.passes("sip:other=pass:request", V4, *other[:1]), [True, True])

    def test_empty(self) -> None:
        """No expression means every SIP message."""
        other = make_packet(protocol_type=5)
        self.assertEqual(self.passes("sip", V4, other), [True, True])
        self.assertEqual(self.passes("sip:other=reject", V4, other), [True, False])

    def test_addresses(self) -> None:
        """The packet's addresses are asked for, each packet its own."""
        bench = self.bench('sip:(src "2001:db8::/32")')
        self.assertEqual(bench.screen(V4, V6, V4, BARE, V6), [V6, V6])
        self.assertEqual(self.passes('sip:(dst "192.0.2.2")', V4, MAPPED, V6, BARE), [True, True, False, False])

    def test_colons(self) -> None:
        """Colons within an expression are its own."""
        self.assertEqual(self.passes('sip:(uri "^sip:bob@")', V4), [True])

    def test_file(self) -> None:
        """An expression may stand in a file."""
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("(all request\n  (method INVITE))\n")
        self.assertEqual(self.passes(f"sip:other=reject:file={path}", V4, OPTIONS), [True, False])
        with open(path, "w") as file:
            file.write("(all request\n  (metod INVITE))\n")
        self.refused(
            f"sip:file={path}",
            f"file={path}: there is no function metod; did you mean method? (line 2, column 4)\n"
            "  (metod INVITE))\n"
            "   ^",
        )
        with open(path, "wb") as binary:
            binary.write(b"(all\xff)")
        self.refused(f"sip:file={path}", f"file={path}: is not UTF-8 at octet 4; save it as UTF-8")

    def test_refused(self) -> None:
        """Every slip is one line, and a caret under the place."""
        self.refused(
            "sip:(metod INVITE)",
            "there is no function metod; did you mean method? (column 2)\n(metod INVITE)\n ^",
        )
        self.refused("sip:othr=reject:request", "'othr=' means nothing here; did you mean other=?")
        self.refused("sip:zzzz=reject:request", "'zzzz=' means nothing here; it takes other=, file= and an expression")
        self.refused("sip:other=drop:request", "other=drop: write pass or reject")
        self.refused("sip:file=", "file= names no file; write its path")
        missing = "file=/nowhere/x: cannot be read (No such file or directory); name a file that hfp's user may read"
        self.refused("sip:file=/nowhere/x", missing)
