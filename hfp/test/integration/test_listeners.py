"""
Listeners for UDP with real sockets: IPv4 and IPv6, every version, captured traffic, floods; and what is no HEP.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SkipTest

from hfp.test.integration.decoding import datagrams_of, observed, packets_in, packets_of
from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import HOST, ROOT, Collector, Relay, free_port
from hfp.test.peers.traffic import LARGEST, Traffic

_CAPTURES = Path(os.environ.get("HFP_CAPTURES") or ROOT.parent / "shared" / "data" / "hep")

#: As many datagrams as go without waiting for hfp to take them.
_AT_A_TIME = 200

#: The most that one datagram over IPv4 holds, octets.
_MOST = 65_507


class DatagramTestCase(ProcessTestCase):
    """hfp with a UDP port, IPv4 and IPv6."""

    def relay_with_udp(self, *remotes: Collector | str, options: Sequence[str] = (), name: str = "hfp") -> Relay:
        """hfp with one UDP port, the same on 127.0.0.1 and ::1."""
        self.port = free_port()
        listeners = [f"udp:{self.port}:interface={HOST}", f"udp:{self.port}:interface=[::1]"]
        given = [word for spec in listeners for word in ("--listen", spec)]
        return self.relay(*remotes, options=[*given, *options], name=name)

    def datagrams(self, datagrams: Sequence[bytes], host: str = HOST) -> None:
        """Send these, at a pace at which hfp takes them."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.connect((host, self.port))
            for at in range(0, len(datagrams), _AT_A_TIME):
                for each in datagrams[at : at + _AT_A_TIME]:
                    sender.send(each)
                time.sleep(0.005)

    def dumped(self, collector: Collector, number: int) -> list[bytes]:
        """The packets at the collector, once there are so many."""
        self.until(lambda: len(packets_in(collector.dumped)) >= number, 10, f"{number} packets are at the collector")
        return packets_in(collector.dumped)


class DatagramTests(DatagramTestCase):
    """HEP over UDP."""

    def test_ipv4_and_ipv6(self) -> None:
        """HEP 3 over either, of every size that fits: all arrives once, unchanged, in order."""
        collector = self.collector()
        relay = self.relay_with_udp(collector)
        sent = {}
        for agent, host, mix in ((1, HOST, "calls"), (2, "::1", "calls"), (3, HOST, "20000"), (4, "::1", "36")):
            sent[agent] = 200 if agent == 3 else 3_000
            self.datagrams(packets_of(Traffic(agent, mix).batch(0, sent[agent])), host)
            self.until_above(relay.received, sum(sent.values()) - 1, 10, "hfp has taken all")
        self.until_arrived(collector, sent, 10)
        self.assert_delivered(collector, sent, duplicates=0)

    def test_old_versions(self) -> None:
        """HEP 1 and 2 of IPv4 and IPv6, with a time in either byte order, with padding or none, over either family."""
        collector = self.collector(dump=True)
        relay = self.relay_with_udp(collector)
        payload = b"INVITE sip:bob@example.org SIP/2.0\r\n\r\n"
        began = time.time()
        now, microseconds, agent = int(began), 123_456, 2002
        little, big = (struct.pack(order + "IIH", now, microseconds, agent) for order in "<>")
        for host in (HOST, "::1"):
            for family, source, destination in (
                (socket.AF_INET, "192.0.2.1", "198.51.100.2"),
                (socket.AF_INET6, "2001:db8::1", "2001:db8:1::2"),
            ):
                addresses = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
                for version, length, time_part in (
                    (1, 16, b""),
                    (2, 16, little + bytes(2)),
                    (2, 0, big + bytes(2)),
                    (2, 26 if family == socket.AF_INET else 50, little),
                    (2, 28 if family == socket.AF_INET else 52, big + b"\xa5\x5a"),
                ):
                    head = struct.pack(">BBBBHH", version, length, family, 6, 5060, 5080)
                    before = len(packets_in(collector.dumped))
                    self.datagrams([head + addresses + time_part + payload], host)
                    each = observed(self.dumped(collector, before + 1)[-1])
                    self.assertEqual(each.ends, (source, 5060, destination, 5080))
                    self.assertEqual((each.family, each.protocol), (family, 6))
                    self.assertEqual((each.payload, each.kind), (payload, 1))
                    if version == 1:
                        self.assertTrue(began - 0.001 <= each.time <= time.time())
                        self.assertEqual(each.agent, 0)
                    else:
                        said = (each.seconds, each.microseconds, each.agent)
                        self.assertEqual(said, (now, microseconds, agent), (host, length, time_part))
        self.assertEqual(relay.metric("hfp_packets_converted_total", version="1"), 4)
        self.assertEqual(relay.metric("hfp_packets_converted_total", version="2"), 16)

    def test_many_senders(self) -> None:
        """Fifty senders, TCP between them: each one's packets stay in order."""
        collector = self.collector()
        relay = self.relay_with_udp(collector)
        streams = {agent: packets_of(Traffic(agent).batch(0, 100)) for agent in range(1, 51)}
        sockets = {agent: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for agent in streams}
        for each in sockets.values():
            self.addCleanup(each.close)
            each.connect((HOST, self.port))
        over_tcp = self.sender(relay, id=99, count=2_000, rate=5_000)
        for at in range(100):
            for agent, packets in streams.items():
                sockets[agent].send(packets[at])
            time.sleep(0.002)
        sent = {**over_tcp.finish(10), **dict.fromkeys(streams, 100)}
        self.until_arrived(collector, sent, 10)
        self.assert_delivered(collector, sent, duplicates=0)

    def test_outage(self) -> None:
        """What came by UDP while the collector was away, and before hfp was killed, is not lost either."""
        collector = self.collector(start=False)
        relay = self.relay_with_udp(collector)
        self.datagrams(packets_of(Traffic(1).batch(0, 5_000)))
        self.until_equal(relay.received, 5_000, 10, "hfp has taken all")
        relay.kill()
        self.start(relay)
        self.start(collector)
        self.until_arrived(collector, {1: 5_000}, 10)
        self.assert_delivered(collector, {1: 5_000}, duplicates=0)

    def test_stop_takes_what_has_arrived(self) -> None:
        """What lies in the socket when hfp is told to stop is taken and delivered, now or by the next life."""
        collector = self.collector()
        relay = self.relay_with_udp(collector)
        relay.signal(signal.SIGSTOP)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for packet in packets_of(Traffic(1).batch(0, 2_000)):
                sender.sendto(packet, (HOST, self.port))
        relay.signal(signal.SIGTERM)
        relay.signal(signal.SIGCONT)
        relay.wait(12)
        self.start(relay)
        self.until_arrived(collector, {1: 2_000}, 10)
        self.assert_delivered(collector, {1: 2_000}, duplicates=0)

    def test_all_addresses(self) -> None:
        """``udp:PORT:interface=[::]`` takes IPv4 as well."""
        collector = self.collector()
        self.port = free_port()
        self.relay(collector, options=["--listen", f"udp:{self.port}:interface=[::]"])
        for agent, host in ((1, HOST), (2, "::1")):
            self.datagrams(packets_of(Traffic(agent).batch(0, 100)), host)
        self.until_arrived(collector, {1: 100, 2: 100}, 5)
        self.assert_delivered(collector, {1: 100, 2: 100}, duplicates=0)

    def test_what_is_no_hep(self) -> None:
        """Each kind is counted and named in the log, and stands in nobody's way; no answer ever goes out."""
        collector = self.collector(dump=True)
        relay = self.relay_with_udp(collector)
        good = packets_of(Traffic(1).batch(0, 20))
        hep_2 = bytes([2, 16, 2, 17]) + bytes(20)
        bad = {
            "empty": b"",
            "sip": b"OPTIONS sip:a@b SIP/2.0\r\n\r\n",
            "http": b"GET / HTTP/1.1\r\n\r\n",
            "tls": bytes.fromhex("1603010200010001fc0303"),
            "other": bytes(range(100, 200)),
            "truncated": good[0][:-1],
            "length": b"HEP3\x00\x08\xff\xff" + bytes(60),
            "family": bytes([2, 16, 3, 17]) + bytes(40),
        }
        nasty = [bytes(_MOST), b"\x01", b"\x02\x10", hep_2[:20], b"\xff" * 4, b"HEP3", b"HEP3\xff\xff"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((HOST, self.port))
            for at, packet in enumerate(good):
                sender.send(list(bad.values())[at % len(bad)])
                sender.send(packet)
                sender.send(nasty[at % len(nasty)])
            self.until_arrived(collector, {1: 20}, 5)
            sender.setblocking(False)
            with self.assertRaises(BlockingIOError):
                sender.recv(1)
        # Whatever HEP 2 without a payload is taken for, it is no packet of ours.
        self.assert_delivered(collector, {1: 20}, duplicates=0)
        for kind in bad:
            self.assertGreaterEqual(relay.metric("hfp_invalid_total", kind=kind), 2, kind)
            self.assertIn(f"({kind})", relay.log(), kind)

    def test_largest(self) -> None:
        """65,507 octets, the most that there is: HEP 3, and HEP 2, which grows."""
        collector = self.collector(dump=True)
        relay = self.relay_with_udp(collector)
        [packet] = packets_of(Traffic(1, str(_MOST)).batch(0, 1))
        head = bytes([2, 28, 2, 17]) + bytes([19, 196, 19, 196, 192, 0, 2, 1, 192, 0, 2, 2])
        head += (1_790_000_000).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\x07\x00\x00\x00"
        payload = b"MESSAGE sip:a SIP/2.0\r\n\r\n" + b"x" * (_MOST - len(head) - 25)
        # As HEP 3 the largest HEP 2 would have 65,535 octets and more: that does not go.
        fitting = head + payload[: LARGEST - 200 - len(head)]
        self.datagrams([packet, head + payload, fitting])
        arrived = self.dumped(collector, 2)
        self.assertEqual(arrived[0], packet)
        self.assertEqual(observed(arrived[1]).payload, fitting[len(head) :])
        self.assertEqual(relay.metric("hfp_invalid_total", kind="too-big") + relay.received(), 3)

    def test_kernel_drops(self) -> None:
        """While hfp is held up the kernel has to drop: what hfp took and what it says was dropped is what was sent."""
        collector = self.collector()
        relay = self.relay_with_udp(collector)
        packets = packets_of(Traffic(1, "1200").batch(0, 1_000))
        relay.signal(signal.SIGSTOP)
        given = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((HOST, self.port))
            # Twice what any buffer holds that it may have asked for: 16 MiB, of which the kernel makes 32.
            while given < 60_000:
                for packet in packets:
                    sender.send(packet)
                given += len(packets)
        relay.signal(signal.SIGCONT)
        drops = "hfp_udp_kernel_drops_total"
        self.until_equal(lambda: relay.received() + relay.metric(drops), given, 20, "all is accounted for")
        self.assertGreater(relay.metric(drops), 0)
        self.assertGreater(relay.received(), 1_000)

    def test_a_burst_is_not_lost(self) -> None:
        """5,000 datagrams at once fit into the buffer that hfp asks for, or hfp has said which sysctl is too small."""
        collector = self.collector()
        relay = self.relay_with_udp(collector)
        packets = packets_of(Traffic(1, "600").batch(0, 5_000))
        if "net.core.rmem_max" in relay.log():
            packets = packets[:100]
        relay.signal(signal.SIGSTOP)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect((HOST, self.port))
            for packet in packets:
                sender.send(packet)
        relay.signal(signal.SIGCONT)
        self.until_arrived(collector, {1: len(packets)}, 10)
        self.assert_delivered(collector, {1: len(packets)}, duplicates=0)


class CapturedDatagramTests(DatagramTestCase):
    """What real programs sent over UDP, replayed; the truth beside each capture was read by other programs."""

    def replay(self, pattern: str) -> dict[str, tuple[list[bytes], list[bytes], list[dict[str, object]]]]:
        """By capture: what was sent, what arrived, and the truth."""
        captures = sorted(_CAPTURES.glob(pattern))
        if not captures:
            raise SkipTest(f"no captured HEP in {_CAPTURES}; HFP_CAPTURES can name another directory")
        collector = self.collector(dump=True)
        relay = self.relay_with_udp(collector)
        replayed = {}
        so_far = 0
        for path in captures:
            datagrams = [each for each in datagrams_of(path.read_bytes()) if len(each) <= _MOST]
            self.datagrams(datagrams)
            arrived = self.dumped(collector, so_far + len(datagrams))[so_far:]
            self.assertEqual(len(arrived), len(datagrams), path.name)
            so_far += len(datagrams)
            lines = path.with_name(path.name.replace(".hepd", ".truth.jsonl")).read_text().splitlines()
            truth = [each for each in map(json.loads, lines) if each["datagram_len"] <= _MOST]
            replayed[path.name] = datagrams, arrived, truth
        self.assertEqual(sum(relay.metrics().by("hfp_invalid_total", "kind").values()), 0)
        return replayed

    def test_hep_1_and_2(self) -> None:
        """Every field of every datagram."""
        began = time.time()
        replayed = self.replay("*hep[12]*.hepd")
        for name, (_, arrived, truth) in replayed.items():
            for packet, true in zip(arrived, truth, strict=True):
                each = observed(packet)
                where = f"{name} {true['index']}"
                names = ("ip_family", "ip_proto", "src_ip", "src_port", "dst_ip", "dst_port", "payload_sha256")
                digest = hashlib.sha256(each.payload).hexdigest()
                self.assertEqual((each.family, each.protocol, *each.ends, digest), tuple(map(true.get, names)), where)
                if true["hep_version"] == 1:
                    self.assertEqual((each.agent, each.kind), (0, 1), where)
                    self.assertTrue(began - 0.001 <= each.time <= time.time(), where)
                else:
                    said = (true["ts_sec"], true["ts_usec"], true["capture_id"], 1)
                    self.assertEqual((each.seconds, each.microseconds, each.agent, each.kind), said, where)

    def test_hep_3(self) -> None:
        """Not an octet is changed."""
        for name, (sent, arrived, _) in self.replay("*hep3*.hepd").items():
            self.assertTrue(sent == arrived, name)
