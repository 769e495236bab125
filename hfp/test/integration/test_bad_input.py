"""
What is not HEP: counted by kind, kept out, and no concern of anybody else.
"""

from __future__ import annotations

import random
import socket
from functools import partial

from twisted.trial.unittest import SkipTest

from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import HOST, Relay, allow_descriptors
from hfp.test.peers.traffic import HEAD, LARGEST, Traffic, chunk, packet

#: A ClientHello as OpenSSL sends it, cut after its random.
_TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(range(32)) + bytes(32)

_SIP = b"OPTIONS sip:a@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n"

_HTTP = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"

#: The metric that counts what is no HEP, by its label ``kind``.
_INVALID = "hfp_invalid_total"


class BadInputTests(ProcessTestCase):
    """One bad peer, and one good sender whose packets all arrive, and nothing else does."""

    def _begin(self) -> Relay:
        """A collector, hfp and a good sender."""
        self._collector = self.collector()
        limits = ["--max-connections", "5000", "--max-connections-per-host", "5000"]
        self._relay = self.relay(self._collector, options=limits)
        self._good = self.sender(self._relay, rate=5_000, seconds=60)
        self.until_above(self._collector.arrived, 500, 10, "the good sender's packets arrive")
        return self._relay

    def _end(self, kind: str | None = None, more: dict[int, int] | None = None) -> None:
        """
        The good sender's packets have all arrived, over one connection, and nothing else.

        :param kind: what the bad one is counted as.
        :param more: packets that the bad peer sent and that are good, by sender.
        """
        if kind is not None:
            self.until_above(lambda: self._relay.metric(_INVALID, kind=kind), 0, 5, f"{kind} is counted")
        arrived = self._collector.arrived(1)
        self.until_above(lambda: self._collector.arrived(1), arrived + 500, 5, "the good sender's still arrive")
        self._good.order("stop")
        sent = {**self._good.finish(5), **(more or {})}
        self.until_arrived(self._collector, sent, 5)
        self.assert_delivered(self._collector, sent, duplicates=0)
        self.assertEqual(self._collector.connections(), 1)
        self.assertLess(len(self._relay.log()), 16_000)

    def _until_closed(self, connection: socket.socket, within_s: float = 5) -> None:
        """hfp ends this connection, and has written nothing into it."""
        connection.settimeout(within_s)
        try:
            octets = connection.recv(4096)
        except ConnectionResetError:
            return
        except TimeoutError:
            self.fail(f"the connection is not closed within {within_s} s")
        self.assertEqual(octets, b"")

    def test_tls_hello(self) -> None:
        """A TLS client is closed on and counted as ``tls``."""
        connection = self.connect(self._begin())
        connection.sendall(_TLS_HELLO)
        self._until_closed(connection)
        self._end("tls")

    def test_http_request(self) -> None:
        """An HTTP client is closed on and counted as ``http``."""
        connection = self.connect(self._begin())
        connection.sendall(_HTTP)
        self._until_closed(connection)
        self._end("http")

    def test_raw_sip(self) -> None:
        """SIP without HEP around it is counted as ``sip``; HEP that follows it counts again."""
        connection = self.connect(self._begin())
        connection.sendall(_SIP + Traffic(700).batch(0, 3))
        self._end("sip", {700: 3})

    def test_length_under_six(self) -> None:
        """A length that is no length is counted as ``length``; the packets before and behind it pass."""
        connection = self.connect(self._begin())
        traffic = Traffic(700)
        for at, length in enumerate(range(6)):
            connection.sendall(traffic.batch(at, 1) + HEAD.pack(b"HEP3", length) + b"\xff\xfe\xfd")
        connection.sendall(traffic.batch(6, 1))
        self._end("length", {700: 7})

    def test_wrong_magic(self) -> None:
        """A packet with another magic is left out, the ones around it pass."""
        connection = self.connect(self._begin())
        traffic = Traffic(700)
        bad = b"HEP4" + packet(chunk(0, 0x0F, b"x" * 500))[4:]
        connection.sendall(traffic.batch(0, 5) + bad + traffic.batch(5, 5))
        self._end("other", {700: 10})

    def test_random_bytes(self) -> None:
        """Half a megabyte of noise on each of three connections."""
        relay = self._begin()
        for seed in range(3):
            connection = self.connect(relay)
            noise = random.Random(seed).randbytes(500_000)
            try:
                connection.sendall(noise)
            except OSError:
                continue
            self._until_closed(connection)
        self._end("other")

    def test_hep_version_1_and_2(self) -> None:
        """HEP1 and HEP2 have no length and cannot be framed on a stream: counted as ``hep2``."""
        connection = self.connect(self._begin())
        connection.sendall(bytes.fromhex("02100211c35113c4c0000201c0000202") + bytes(12) + _SIP)
        self._end("hep2")

    def test_a_sender_that_says_nothing(self) -> None:
        """It stays connected, at no cost."""
        relay = self._begin()
        connection = self.connect(relay)
        self.until_equal(partial(relay.metric, "hfp_senders_connected"), 2, 5, "it is connected")
        self._end()
        self.assertEqual(relay.metric("hfp_senders_connected"), 1)
        connection.close()
        self.until_equal(partial(relay.metric, "hfp_senders_connected"), 0, 5, "it is gone")

    def test_a_sender_that_ends_in_the_middle_of_a_packet(self) -> None:
        """What there is of the packet is dropped and counted as ``truncated``."""
        connection = self.connect(self._begin())
        octets = Traffic(700).batch(0, 3)
        connection.sendall(octets[:-1])
        connection.close()
        self._end("truncated", {700: 2})

    def test_the_largest_packet(self) -> None:
        """A packet of 65535 octets passes, in one write and in a hundred."""
        connection = self.connect(self._begin())
        octets = Traffic(700, str(LARGEST)).batch(0, 3)
        connection.sendall(octets[:LARGEST])
        for at in range(LARGEST, len(octets), 1321):
            connection.sendall(octets[at : at + 1321])
        self._end(more={700: 3})

    def test_a_go_hfp_in_front(self) -> None:
        """The greeting of an old Go HFP is tolerated, and no fault."""
        relay = self._begin()
        connection = self.connect(relay)
        connection.sendall(b"HELLO HFP")
        connection.sendall(Traffic(700).batch(0, 3))
        self._end(more={700: 3})
        self.assertEqual(sum(relay.metrics().by(_INVALID, "kind").values()), 0)

    def test_hundreds_of_bad_peers(self) -> None:
        """600 of them: the log is bounded, the counts are right."""
        relay = self._begin()
        for _ in range(200):
            for octets in (_TLS_HELLO, _HTTP, b"HEP3\x00\x05" + bytes(30)):
                with socket.create_connection((HOST, relay.port), timeout=5) as connection:
                    connection.sendall(octets)
        for kind in ("tls", "http", "length"):
            self.until_equal(partial(relay.metric, _INVALID, kind=kind), 200, 10, f"all {kind} are counted")
        self._end()

    def test_two_thousand_connections(self) -> None:
        """2,000 senders at once, silent, with half a packet and sending: all packets arrive, memory stays small."""
        count = 2_000
        if not allow_descriptors(count + 500):
            raise SkipTest(f"needs {count + 500} open files")
        relay = self._begin()
        before = _resident_octets(relay.pid)
        connections = [self.connect(relay) for _ in range(count)]
        self.until_equal(partial(relay.metric, "hfp_senders_connected"), count + 1, 10, "all are connected")
        sent = {}
        for agent, connection in enumerate(connections, 10_000):
            octets = Traffic(agent, "200").batch(0, 3)
            connection.sendall(octets if agent % 2 else octets[:-1])
            sent[agent] = 3 if agent % 2 else 2
        self.until_arrived(self._collector, sent, 10)
        self.assertLess(_resident_octets(relay.pid) - before, 60_000_000)
        self._end(more=sent)

    def test_half_packets_of_the_largest_size_use_bounded_memory(self) -> None:
        """200 senders that stop before the last octet of 65535: about one packet each, however they are cut."""
        relay = self._begin()
        before = _resident_octets(relay.pid)
        octets = Traffic(700, str(LARGEST)).batch(0, 1)[:-1]
        connections = [self.connect(relay) for _ in range(200)]
        for at in range(0, len(octets), 16384):
            for connection in connections:
                connection.sendall(octets[at : at + 16384])
        self._end()
        self.assertLess(_resident_octets(relay.pid) - before, 200 * 2 * LARGEST + 20_000_000)


def _resident_octets(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:
        sizes = [line for line in status if line.startswith("VmRSS:")]
    return int(sizes[0].split()[1]) * 1024
