"""
Who may send, and how many at a time; and what hfp does when it has no descriptor left.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Sequence

from twisted.trial.unittest import SkipTest

from hfp.test.integration.certificates import Authority
from hfp.test.integration.decoding import packets_in
from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import HOST, Relay, free_port
from hfp.test.peers.traffic import Traffic, chunk, packet

#: Another address of this machine, as all of 127/8 are on Linux.
_OTHER = "127.0.0.2"

_KEYS = (b"the first key", b"another-key")


class AccessTests(ProcessTestCase):
    """Access rules, with real connections."""

    def from_address(self, address: str, port: int) -> socket.socket:
        """A connection from this address of ours."""
        connection = socket.create_connection((HOST, port), timeout=10, source_address=(address, 0))
        self.addCleanup(connection.close)
        return connection

    def assert_closed(self, connection: socket.socket) -> None:
        """hfp closes it without a word."""
        try:
            self.assertEqual(connection.recv(100), b"")
        except ConnectionResetError:
            pass

    def test_allow(self) -> None:
        """``--allow``: others are closed on TCP, before the handshake on TLS, and not heard on UDP."""
        ours = Authority(self.directory).issue("ours", HOST)
        secure, plain, datagrams = free_port(), free_port(), free_port()
        files = f"privateKey={ours.key}:certKey={ours.certificate}"
        collector = self.collector()
        relay = self.relay(
            collector,
            options=[
                *("--listen", f"tls:{secure}:interface={HOST}:{files}"),
                # All of IPv6 and IPv4: there an IPv4 address comes as ::ffff:127.0.0.2.
                *("--listen", f"tcp:{plain}:interface=[::]"),
                *("--listen", f"udp:{datagrams}:interface={HOST}"),
                *("--allow", f"{HOST}/32,192.0.2.0/24"),
            ],
        )
        refused = 0
        for port in (relay.port, secure, plain):
            connection = self.from_address(_OTHER, port)
            self.assert_closed(connection)
            refused += 1
        for address, agent in ((_OTHER, 8), (HOST, 1)):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind((address, 0))
                for number in range(10):
                    sender.sendto(Traffic(agent).batch(number, 1), (HOST, datagrams))
        self.from_address(HOST, relay.port).sendall(Traffic(2).batch(0, 10))
        self.from_address(HOST, plain).sendall(Traffic(3).batch(0, 10))
        sent = {1: 10, 2: 10, 3: 10}
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent)
        self.assertEqual(relay.metric("hfp_connections_refused_total", reason="not-allowed"), refused)
        self.assertEqual(relay.metric("hfp_datagrams_refused_total"), 10)
        self.assertIn(f"refused sender {_OTHER}", relay.log())
        self.assertIn("--allow", relay.log())

    def test_auth_keys(self) -> None:
        """Only packets with one of the keys go on, over TCP and UDP; the keys stand in no log, metric or command."""
        file = self.directory / "keys"
        file.write_bytes(b"\n" + _KEYS[0] + b"\n" + _KEYS[1] + b"\n")
        file.chmod(0o600)
        given = "given-on-the-command-line"
        datagrams = free_port()
        collector = self.collector(dump=True)
        relay = self.relay(
            collector,
            options=[
                *("--listen", f"udp:{datagrams}:interface={HOST}"),
                *("--auth-key-file", str(file), f"--auth-key={given}"),
            ],
        )
        good = [_keyed(at, key) for at, key in enumerate([*_KEYS, given.encode()] * 20)]
        wrong = [b"", _KEYS[0][:-1], _KEYS[0] + b"x", b"wrong", None, given.upper().encode()]
        bad = [_keyed(1_000 + at, key) for at, key in enumerate(wrong * 10)]
        mixed = [each for pair in zip(good, bad, strict=True) for each in pair]
        self.connect(relay).sendall(b"".join(mixed))
        self.until(lambda: len(packets_in(collector.dumped)) >= len(good), 5, "what has a key is there")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for each in mixed:
                sender.sendto(each, (HOST, datagrams))
            # HEP 1 has no key.
            sender.sendto(bytes([1, 16, 2, 17]) + bytes(12) + b"OPTIONS sip:a SIP/2.0\r\n\r\n", (HOST, datagrams))
        self.until(lambda: len(packets_in(collector.dumped)) >= 2 * len(good), 5, "what has a key is there")
        self.until_equal(lambda: relay.metric("hfp_packets_unauthenticated_total"), 2 * len(bad) + 1, 5, "the rest")
        by_sender = relay.metric("hfp_sender_packets_unauthenticated_total", sender=HOST)
        self.assertEqual(by_sender, 2 * len(bad) + 1)
        self.assertNotIn(given, relay.scrape())
        relay.stop()
        self.assertEqual(packets_in(collector.dumped), good + good)
        self.assert_secret(relay, [*_KEYS, given.encode()])
        self.assertIn(HOST, "".join(line for line in relay.log().splitlines() if "auth" in line))

    def assert_secret(self, relay: Relay, keys: Sequence[bytes]) -> None:
        """None of these is in the log."""
        for key in keys:
            self.assertNotIn(key.decode(), relay.log())

    def test_keys_stay_out_of_sight(self) -> None:
        """A key of the command line is not in ``/proc/PID/cmdline``, nor in the metrics."""
        given = "seen-by-everybody"
        relay = self.relay("tcp:127.0.0.1:9", options=["--auth-key", given, f"--hello-key={given}"])
        with open(f"/proc/{relay.pid}/cmdline", "rb") as file:
            self.assertNotIn(given.encode(), file.read())
        self.assertNotIn(given, relay.scrape())
        self.assertNotIn(given, relay.log())

    def test_max_connections(self) -> None:
        """More than ``--max-connections``, or from one host than allowed, are closed, and the others not disturbed."""
        collector = self.collector()
        relay = self.relay(collector, options=["--max-connections", "8", "--max-connections-per-host", "5"])
        # That it listens is found out by connecting.
        self.until_equal(lambda: relay.metric("hfp_senders_connected"), 0, 5, "nobody is connected")
        refused = "hfp_connections_refused_total"
        kept = [self.from_address(HOST, relay.port) for _ in range(5)]
        self.until_equal(lambda: relay.metric("hfp_senders_connected"), 5, 5, "five are connected")
        self.assert_closed(self.from_address(HOST, relay.port))
        self.assertEqual(relay.metric(refused, reason="max-connections-per-host"), 1)
        kept += [self.from_address(_OTHER, relay.port) for _ in range(3)]
        self.until_equal(lambda: relay.metric("hfp_senders_connected"), 8, 5, "eight are connected")
        self.assert_closed(self.from_address("127.0.0.3", relay.port))
        self.assertEqual(relay.metric(refused, reason="max-connections"), 1)
        for agent, connection in enumerate(kept, 1):
            connection.sendall(Traffic(agent).batch(0, 10))
        sent = dict.fromkeys(range(1, 9), 10)
        self.until_arrived(collector, sent, 5)
        kept.pop().close()
        self.until_equal(lambda: relay.metric("hfp_senders_connected"), 7, 5, "there is room again")
        self.from_address("127.0.0.3", relay.port).sendall(Traffic(9).batch(0, 10))
        self.until_arrived(collector, {**sent, 9: 10}, 5)
        self.assertIn("--max-connections-per-host", relay.log())

    def test_deadlines(self) -> None:
        """No first packet, or half a packet, for too long: closed.  Silence between packets: for ever."""
        collector = self.collector()
        relay = self.relay(collector, options=["--packet-deadline", "1"])
        octets = Traffic(1).batch(0, 3)
        first = len(Traffic(1).batch(0, 1))
        idle, half, later_half, silent = (self.from_address(HOST, relay.port) for _ in range(4))
        began = time.monotonic()
        half.sendall(octets[:20])
        later_half.sendall(Traffic(2).batch(0, 1) + octets[:20])
        silent.sendall(octets[:first])
        for connection in (idle, half, later_half):
            self.assert_closed(connection)
        self.assertGreater(time.monotonic() - began, 0.9)
        self.assertLess(time.monotonic() - began, 5)
        # Three times as long as the others had.
        self.until(lambda: time.monotonic() - began > 3, 5, "a while")
        silent.sendall(octets[first:])
        self.until_arrived(collector, {1: 3, 2: 1}, 5)
        self.assert_delivered(collector, {1: 3, 2: 1})
        self.assertIn("has sent no whole packet", relay.log())
        self.assertIn("has begun a packet and not completed it", relay.log())

    def test_no_descriptors_left(self) -> None:
        """With too few descriptors hfp goes on serving those it has, says so, and takes others later."""
        if shutil.which("prlimit") is None:
            raise SkipTest("needs prlimit (Debian: util-linux)")
        collector = self.collector()
        relay = self.relay(collector, prefix=["prlimit", "--nofile=64:64"])
        sent = self.send(relay, count=100)
        crowd = [self.from_address(HOST, relay.port) for _ in range(100)]
        for agent, connection in enumerate(crowd[:10], 100):
            connection.sendall(Traffic(agent).batch(0, 5))
            sent[agent] = 5
        self.until_arrived(collector, sent, 5)
        self.until(lambda: "LimitNOFILE" in relay.log(), 5, "hfp says so")
        began, used = time.monotonic(), _cpu_s(relay)
        self.until(lambda: time.monotonic() - began > 1, 5, "a second")
        self.assertLess(_cpu_s(relay) - used, 0.3, "hfp tries again and again")
        for connection in crowd:
            connection.close()
        # The collector's connection is lost in the midst of it; there must be a descriptor for a new one.
        collector.order("reset")
        sent |= self.sender(relay, id=2, count=100).finish(20)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=1_000)
        self.assertLess(len(relay.log()), 20_000, "the log is flooded")

    def test_hepdecode(self) -> None:
        """Packets are logged, decoded, a few a second; what is secret in them is not."""
        collector = self.collector(dump=True)
        relay = self.relay(collector, options=["--hepdecode", "on"])
        message = (
            b"REGISTER sip:example.org SIP/2.0\r\nFrom: <sip:alice@example.org>\r\nCall-ID: abc@example.org\r\n"
            b'Authorization: Digest username="alice", nonce="n", response="0123456789abcdef0123456789abcdef"\r\n\r\n'
        )
        secret = _keyed(7, b"open sesame", message)
        self.connect(relay).sendall(secret)
        self.until(lambda: "REGISTER" in relay.log(), 5, "the packet is in the log")
        for shown in ("192.0.2.1", "192.0.2.2", "5060", "alice"):
            self.assertIn(shown, relay.log())
        for hidden in ("open sesame", "0123456789abcdef", "username"):
            self.assertNotIn(hidden, relay.log())
        already = len(relay.log())
        sent = self.send(relay, count=20_000)
        self.until_above(collector.arrived, sum(sent.values()) - 1, 10, "all goes on")
        self.assertLess(len(relay.log()) - already, 200_000, "the log is flooded")
        self.assertEqual(collector.dumped.read_bytes()[: len(secret)], secret)


def _cpu_s(relay: Relay) -> float:
    """CPU time that it has used so far, seconds."""
    with open(f"/proc/{relay.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _keyed(number: int, key: bytes | None, payload: bytes = b"OPTIONS sip:a SIP/2.0\r\n\r\n") -> bytes:
    """A packet with this key; ``None`` for none."""
    return packet(
        chunk(0, 1, b"\x02")
        + chunk(0, 2, b"\x11")
        + chunk(0, 3, socket.inet_aton("192.0.2.1"))
        + chunk(0, 4, socket.inet_aton("192.0.2.2"))
        + chunk(0, 7, b"\x13\xc4")
        + chunk(0, 8, b"\x13\xc4")
        + chunk(0, 9, (1_790_000_000).to_bytes(4, "big"))
        + chunk(0, 10, number.to_bytes(4, "big"))
        + chunk(0, 11, b"\x01")
        + chunk(0, 12, number.to_bytes(4, "big"))
        + (b"" if key is None else chunk(0, 14, key))
        + chunk(0, 15, payload)
    )
