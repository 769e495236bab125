"""
The built-in filters on HEP as real programs sent it: each decides as what is known of every message says.

For where the captures are see `hfp.test.test_hep_captures`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

from hfp.hep import Packet, to_hep3
from hfp.test.filtercase import FilterCase
from hfp.test.test_hep_captures import messages, now_ns

Truth = dict[str, Any]


def packets() -> list[tuple[str, bytes, Truth]]:
    """Every captured message as HEP3: those of HEP1 and HEP2 converted."""
    found = list(messages("*-hep3-*"))
    found += [(name, to_hep3(octets, now_ns(truth)), truth) for name, octets, truth in messages("*-hep[12]-*")]
    return found


def payload(octets: bytes) -> bytes:
    return Packet(octets).payload or b""


def is_sip(octets: bytes, truth: Truth) -> bool:
    """As HEP1 and HEP2 are, and as what begins like SIP."""
    return truth["proto_type"] in (None, 1) and b"SIP/2.0" in payload(octets).split(b"\r\n")[0]


def method(octets: bytes) -> bytes:
    """Of a request its own, of a response that of its CSeq; found without the code that is tested."""
    first, *lines = payload(octets).split(b"\r\n")
    if not first.startswith(b"SIP/2.0"):
        return first.split(b" ")[0]
    return next((line.split()[-1] for line in lines if line.lower().startswith(b"cseq")), b"")


def call_id(octets: bytes) -> bytes:
    """Likewise."""
    for line in payload(octets).split(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() in (b"call-id", b"i"):
            return value.strip()
    return b""


class CapturedTests(FilterCase):
    """All messages of eight programs through each filter."""

    def decided(self, text: str, wanted: Callable[[bytes, Truth], bool]) -> None:
        """Each message passes unchanged, or does not, as *wanted* says; at least one does each."""
        bench = self.bench(text)
        told = set()
        for name, octets, truth in packets():
            passes = wanted(octets, truth)
            told.add(passes)
            self.assertEqual(bench.screen(octets), [octets] if passes else [], f"{text} {name}")
        self.assertEqual(told, {True, False}, "the captures have both")
        self.assertEqual((bench.counts["error"], bench.counts["rewrite"]), (0, 0))

    def test_ip(self) -> None:
        """``ip`` by source, destination, either."""
        six = ip_network("::/0")
        net = ip_network("127.0.0.0/8")
        self.decided("ip:src=127.0.0.0/8", lambda octets, truth: ip_address(truth["src_ip"]) in net)
        self.decided("ip:dst=127.0.0.0/8", lambda octets, truth: ip_address(truth["dst_ip"]) in net)
        self.decided("ip:[::]/0:reject", lambda octets, truth: ip_address(truth["src_ip"]) not in six)
        some = {truth["dst_ip"] for _, _, truth in packets()}
        one = sorted(some)[len(some) // 2]
        self.decided(f"ip:[{one}]", lambda octets, truth: one in (truth["src_ip"], truth["dst_ip"]))

    def test_port(self) -> None:
        """``port``."""
        self.decided(
            "port:5060-5070", lambda _, truth: any(5060 <= truth[key] <= 5070 for key in ("src_port", "dst_port"))
        )
        self.decided("port:src=5060-5070:reject", lambda _, truth: not 5060 <= truth["src_port"] <= 5070)

    def test_type(self) -> None:
        """``type``."""
        self.decided("type:sip", lambda _, truth: truth["proto_type"] in (None, 1))
        self.decided("type:rtcp,100", lambda _, truth: truth["proto_type"] in (5, 100))

    def test_node(self) -> None:
        """``node``: ids as they are on the wire, names as heplify and hep-js send them."""
        ids = sorted({truth["capture_id"] or 0 for _, _, truth in packets()})
        one = ids[len(ids) // 2]
        self.decided(f"node:{one}", lambda _, truth: (truth["capture_id"] or 0) == one)
        names = {truth["node_name_hex"] for _, _, truth in packets() if truth.get("node_name_hex")}
        for name in list(names)[:3]:
            text = bytes.fromhex(name).decode("utf-8", "replace")
            self.decided(f"node:name={text}", lambda _, truth, name=name: truth.get("node_name_hex") == name)  # type: ignore[misc]

    def test_sip(self) -> None:
        """``sip`` by method, alone and with what is no SIP rejected."""
        self.decided(
            "sip:(not (method OPTIONS))",
            lambda octets, truth: not is_sip(octets, truth) or method(octets) != b"OPTIONS",
        )
        self.decided(
            "sip:other=reject:(method INVITE)",
            lambda octets, truth: is_sip(octets, truth) and method(octets) == b"INVITE",
        )
        self.decided("sip:other=reject", is_sip)

    def test_sample(self) -> None:
        """``sample`` by Call-ID: every call is whole or absent."""
        bench = self.bench("sample:50:by=call-id")
        calls: dict[bytes, set[bool]] = {}
        for _, octets, truth in packets():
            passed = bool(bench.screen(octets))
            if is_sip(octets, truth) and call_id(octets):
                calls.setdefault(call_id(octets), set()).add(passed)
            elif truth["proto_type"] == 5 and truth["correlation_id"]:
                calls.setdefault(truth["correlation_id"].encode(), set()).add(passed)
        self.assertTrue(all(len(verdicts) == 1 for verdicts in calls.values()))
        kept = sum(True in verdicts for verdicts in calls.values())
        self.assertTrue(len(calls) / 4 < kept < len(calls) * 3 / 4, (kept, len(calls)))

    def test_sample_by_correlation_id(self) -> None:
        """Where only some of a call's packets have a correlation id, and it is not the Call-ID, a call is split."""
        bench = self.bench("sample:50")
        calls: dict[bytes, set[bool]] = {}
        for _, octets, _truth in messages("kam-hep3-script-corr-udp4"):
            calls.setdefault(call_id(octets), set()).add(bool(bench.screen(octets)))
        self.assertIn({True, False}, calls.values(), "the manual says so")

    def test_time(self) -> None:
        """``time``: what was right when it was captured stays; all is believable afterwards."""
        right = 0
        bench = self.bench("time")
        for name, octets, truth in packets():
            if "outer" not in truth:
                continue  # over TCP, so nobody knows when
            bench.received_ns = now_ns(truth)
            (going,) = bench.screen(octets)
            old, new = Packet(octets), Packet(going)
            assert old.seconds is not None and new.time_ns is not None and new.microseconds is not None
            if abs(old.seconds - now_ns(truth) // 10**9) < 3600:
                self.assertEqual(going, octets, name)
                right += 1
            self.assertLess(new.microseconds, 1_000_000, name)
            self.assertTrue(-3652 * 86400 * 10**9 < new.time_ns - now_ns(truth) <= 86400 * 10**9, name)
        self.assertGreater(right, 500)

    def test_key(self) -> None:
        """``key``: set, and removed again, is the packet without one."""
        setter, remover = self.bench("key:set=new"), self.bench("key:remove")
        for name, octets, truth in packets():
            (going,) = setter.screen(octets)
            self.assertEqual(Packet(going).authentication_key, b"new", name)
            (bare,) = remover.screen(going)
            self.assertEqual(bare, Packet(octets).without(14).octets, name)
            if truth["auth_key"] is None:
                self.assertEqual(bare, octets, name)

    def test_name(self) -> None:
        """``name``: id and name of every packet."""
        bench = self.bench("name:0.0.0.0/0=4711/here")
        for name, octets, _ in packets():
            (going,) = bench.screen(octets)
            self.assertEqual((Packet(going).agent_id, Packet(going).agent_name), (4711, b"here"), name)
            others = [[chunk for chunk in Packet(each).chunks if chunk[1] not in (12, 19)] for each in (octets, going)]
            self.assertEqual(others[0], others[1], name)

    def test_mask(self) -> None:
        """``mask``: no user is left, every length is the same; compressed payloads too."""
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("0123456789abcdef")
        bench = self.bench(f"mask:bodies=INVITE,MESSAGE:users:other=pass:key-file={path}")
        changed = 0
        for name, octets, truth in packets():
            (going,) = bench.screen(octets)
            self.assertEqual(len(going), len(octets), name)
            if not is_sip(octets, truth):
                self.assertEqual(going, octets, name)
                continue
            changed += going != octets
            before, after = payload(octets), payload(going)
            self.assertEqual([len(line) for line in before.split(b"\r\n\r\n")[0].split(b"\r\n")], _lengths(after), name)
            if method(octets) in (b"INVITE", b"MESSAGE") and before.count(b"\r\n\r\n") == 1:
                self.assertEqual(after.split(b"\r\n\r\n")[1].strip(b"*"), b"", name)
            compressed = Packet(octets).replace(compressed_payload=zlib.compress(before)).without(15).octets
            (again,) = bench.screen(compressed)
            self.assertEqual(Packet(again).payload, after, name)
        self.assertGreater(changed, 300)

    def test_dedup(self) -> None:
        """``dedup``: a stream that is sent twice goes on once; what one agent really saw twice can be kept."""
        for text in ("dedup", "dedup:ignore=node", "dedup:keep=retransmissions"):
            for pattern in ("kam-hep3-udp4", "heplify-hep3-udp4", "rtpengine-hep3-tcp4", "sngrep-hep3-udp4"):
                once = [octets for _, octets, _ in messages(pattern)]
                bench = self.bench(text)
                first = bench.screen(*once)
                self.assertEqual(bench.screen(*once), [], f"{text} {pattern}")
                if "keep" in text:
                    self.assertEqual(len(first), len(set(once)), pattern)

    def test_dedup_twice_real(self) -> None:
        """Kamailio reports some ACKs twice, both real; in HEP1 they are the same octets."""
        datagrams = [(octets, now_ns(truth)) for _, octets, truth in messages("kam-hep1-udp4")]
        same = len(datagrams) - len({octets for octets, _ in datagrams})
        self.assertGreater(same, 0)
        converted = [to_hep3(octets, received_ns) for octets, received_ns in datagrams]
        self.assertLess(len(self.bench("dedup").screen(*converted)), len(converted))
        self.assertEqual(len(self.bench("dedup:keep=retransmissions").screen(*converted)), len(converted))

    def test_rate(self) -> None:
        """``rate``: as many as the burst."""
        everything = [octets for _, octets, _ in packets()]
        self.assertEqual(self.bench("rate:1:burst=100").screen(*everything), everything[:100])


def _lengths(octets: bytes) -> list[int]:
    return [len(line) for line in octets.split(b"\r\n\r\n")[0].split(b"\r\n")]
