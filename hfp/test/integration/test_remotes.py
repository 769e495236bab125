"""
Remotes of every kind besides the stream that `test_delivery` is about: UDP, the greeting, and what leads back to hfp.
"""

from __future__ import annotations

import socket
import subprocess
import time

from hfp.test.integration.certificates import Authority
from hfp.test.integration.decoding import observed, packets_in, packets_of
from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import HOST, Relay, environment, free_port, twistd
from hfp.test.integration.secured import TlsCollector
from hfp.test.peers.traffic import LARGEST, Traffic

_BUFFER_OCTETS = 8_388_608

# asm-generic/socket.h; Python's socket module does not name it.
_SO_RCVBUFFORCE = 33


class Receiver:
    """
    A receiver of datagrams that does not listen yet.

    :ivar taken: all that it has read so far.
    """

    def __init__(self, host: str = HOST) -> None:
        self.port = free_port()
        self.taken: list[bytes] = []
        self._host = host
        self._socket: socket.socket | None = None

    @property
    def remote(self) -> str:
        """As ``--remote`` takes it."""
        return f"udp:[{self._host}]:{self.port}" if ":" in self._host else f"udp:{self._host}:{self.port}"

    def listen(self) -> None:
        """Be there."""
        self._socket = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, socket.SOCK_DGRAM)
        # As root without regard to the system's limit.
        for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_OCTETS)
            except PermissionError:
                pass
        self._socket.bind((self._host, self.port))
        self._socket.setblocking(False)

    def read(self) -> int:
        """Read what is there; how many there are now."""
        while self._socket is not None:
            try:
                self.taken.append(self._socket.recv(LARGEST))
            except BlockingIOError:
                break
        return len(self.taken)

    def away(self) -> None:
        """Be gone, with all that was read."""
        self.read()
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class DatagramRemoteTests(ProcessTestCase):
    """``--remote udp:``"""

    def receiver(self, host: str = HOST, *, listen: bool = True) -> Receiver:
        """A receiver of datagrams."""
        receiver = Receiver(host)
        self.addCleanup(receiver.away)
        if listen:
            receiver.listen()
        return receiver

    def feed(self, relay: Relay, agent: int, count: int, receiver: Receiver | None = None) -> list[bytes]:
        """Send packets over TCP, a few at a time so that a receiver can keep up; the packets."""
        packets = []
        connection = self.connect(relay)
        for first in range(0, count, 100):
            octets = Traffic(agent).batch(first, min(100, count - first))
            before = relay.received()
            connection.sendall(octets)
            some = packets_of(octets)
            self.until_above(relay.received, before + len(some) - 1, 5, "hfp has taken them")
            packets += some
            if receiver is not None:
                receiver.read()
        return packets

    def test_ipv4_and_ipv6(self) -> None:
        """To two receivers: each packet a datagram, in order, once; nothing counts as confirmed."""
        receivers = [self.receiver(), self.receiver("::1")]
        relay = self.relay(*(receiver.remote for receiver in receivers))
        packets = self.feed(relay, 1, 3_000, receivers[0])
        for receiver in receivers:
            self.until_equal(receiver.read, 3_000, 5, "all is there")
            self.assertTrue(receiver.taken == packets, receiver.remote)
            self.assertEqual(relay.metric("hfp_packets_sent_total", remote=receiver.remote), 3_000)
            self.assertEqual(relay.metric("hfp_packets_confirmed_total", remote=receiver.remote), 0)
            self.until_equal(
                lambda receiver=receiver: relay.metric("hfp_remote_unconfirmed_packets", remote=receiver.remote),  # type: ignore[misc]
                0,
                10,
                "the spool lets go",
            )

    def test_away_and_back(self) -> None:
        """A receiver that is away at first, and once more later: nothing is lost."""
        receiver = self.receiver(listen=False)
        relay = self.relay(receiver.remote)
        packets = self.feed(relay, 1, 1_000)
        receiver.listen()
        self.until(lambda: receiver.read() and set(receiver.taken) >= set(packets), 20, "what waited is there")
        receiver.away()
        packets += self.feed(relay, 2, 1_000)
        # Longer than the resend window: hfp must not have counted as sent what was refused.
        began = time.monotonic()
        self.until(lambda: time.monotonic() - began > 3, 5, "a while")
        packets += self.feed(relay, 3, 1_000)
        receiver.listen()
        self.until(lambda: receiver.read() and set(receiver.taken) >= set(packets), 20, "all is there")
        self.assertEqual(set(receiver.taken) - set(packets), set())
        self.assertLessEqual(len(receiver.taken) - len(packets), 1_200, "more came twice than was in the window")
        self.assertIn("nothing listens on that UDP port", relay.log())

    def test_hfp_is_killed(self) -> None:
        """What waited for a receiver that was away outlives hfp."""
        receiver = self.receiver(listen=False)
        relay = self.relay(receiver.remote)
        packets = self.feed(relay, 1, 2_000)
        relay.kill()
        self.start(relay)
        receiver.listen()
        self.until(lambda: receiver.read() and set(receiver.taken) >= set(packets), 20, "all is there")
        self.assertEqual(list(dict.fromkeys(receiver.taken)), packets)

    def test_too_big(self) -> None:
        """What no datagram can hold is counted and told; what is around it goes on."""
        receiver = self.receiver()
        relay = self.relay(receiver.remote)
        small = packets_of(Traffic(1).batch(0, 20))
        large = [*packets_of(Traffic(2, str(LARGEST)).batch(0, 1)), *packets_of(Traffic(3, "65508").batch(0, 1))]
        most = packets_of(Traffic(4, "65507").batch(0, 1))
        self.connect(relay).sendall(b"".join([*small[:10], *large, *most, *small[10:]]))
        self.until_equal(receiver.read, 21, 5, "the others are there")
        self.assertEqual(receiver.taken, [*small[:10], *most, *small[10:]])
        self.assertEqual(relay.metric("hfp_packets_dropped_total", reason="too-big", remote=receiver.remote), 2)
        self.assertIn("no UDP datagram can hold it", relay.log())

    def test_convert_off(self) -> None:
        """HEP 2 goes as it is to a UDP remote, and is counted as dropped for a TCP one; HEP 3 goes to both."""
        receiver = self.receiver()
        collector = self.collector()
        port = free_port()
        relay = self.relay(
            collector, receiver.remote, options=["--listen", f"udp:{port}:interface={HOST}", "--convert", "off"]
        )
        head = bytes([2, 28, 2, 17, 19, 196, 19, 196, 192, 0, 2, 1, 192, 0, 2, 2]) + bytes(8) + b"\x07\x00"
        given: list[bytes] = []
        for number, packet in enumerate(packets_of(Traffic(1).batch(0, 200))):
            given += [packet, head + b"OPTIONS sip:%d SIP/2.0\r\n\r\n" % number]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            # In two goes, so that the second finds every remote up to date.
            for first in (0, 200):
                for datagram in given[first : first + 200]:
                    sender.sendto(datagram, (HOST, port))
                self.until_equal(receiver.read, first + 200, 5, "all is there")
                self.until_equal(lambda: collector.arrived(1), first // 2 + 100, 5, "the collector has its part")
        self.assertEqual(sorted(receiver.taken), sorted(given))
        self.assertEqual([each for each in receiver.taken if each[:1] == b"\x02"], given[1::2])
        self.until_arrived(collector, {1: 200}, 5)
        self.assert_delivered(collector, {1: 200})
        dropped = "hfp_packets_dropped_total"
        self.assertEqual(relay.metric(dropped, reason="not-hep3", remote=collector.remote), 200)
        self.assertEqual(relay.metric(dropped, reason="not-hep3", remote=receiver.remote), 0)
        self.assertIn("--convert off", relay.log())


class GreetingTests(ProcessTestCase):
    """``--hello-key``: a HEP PING with the key comes first on every connection."""

    key = "the-key-of-this-hfp"

    def assert_greeting(self, octets: bytes, began: float) -> None:
        """It is a PING of this test's time with our key."""
        ping = observed(octets)
        self.assertEqual((ping.payload, ping.kind), (b"HEP PING", 1))
        self.assertIn(b"\x00\x00\x00\x0e" + (6 + len(self.key)).to_bytes(2, "big") + self.key.encode(), octets)
        self.assertTrue(began - 1 <= ping.time <= time.time(), ping.time)

    def assert_secret(self, relay: Relay) -> None:
        """The key is nowhere to be seen."""
        with open(f"/proc/{relay.pid}/cmdline", "rb") as file:
            self.assertNotIn(self.key.encode(), file.read())
        self.assertNotIn(self.key, relay.log())
        self.assertNotIn(self.key, relay.scrape())

    def test_tcp(self) -> None:
        """At the first connection and after the collector was killed; it is no packet of anybody's account."""
        began = time.time()
        collector = self.collector(dump=True)
        relay = self.relay(collector, options=["--hello-key", self.key])
        self.until(lambda: len(packets_in(collector.dumped)) == 1, 5, "the PING comes without anything else")
        sent = self.send(relay, count=10)
        self.until_arrived(collector, sent, 5)
        collector.kill()
        sent |= self.send(relay, id=2, count=10)
        self.start(collector)
        self.until_arrived(collector, sent, 10)
        self.assertLessEqual(collector.reading.duplicates(), 10, "only the resend may bring something twice")
        packets = packets_in(collector.dumped)
        pings = [at for at, packet in enumerate(packets) if b"HEP PING" in packet]
        self.assertEqual(pings, [0, 11])
        for at in pings:
            self.assert_greeting(packets[at], began)
        self.assertEqual(relay.metric("hfp_packets_sent_total"), 20)
        self.assert_secret(relay)

    def test_tls_and_a_file(self) -> None:
        """Over TLS, with the key in a file."""
        began = time.time()
        authority = Authority(self.directory)
        ours = authority.issue("ours", HOST)
        arguments = ["--certificate", str(ours.certificate), "--key", str(ours.key)]
        collector = TlsCollector("collector", self.directory, free_port(), arguments=arguments, dump=True)
        self.add(collector, collector.listening)
        file = self.directory / "key"
        file.write_text(f"{self.key}\nanother line\n")
        file.chmod(0o600)
        remote = f"{collector.remote}:caFile={authority.file}"
        relay = self.relay(remote, options=["--hello-key-file", str(file)])
        sent = self.send(relay, count=10)
        self.until_arrived(collector, sent, 5)
        packets = packets_in(collector.dumped)
        self.assertEqual(len(packets), 11)
        self.assert_greeting(packets[0], began)
        self.assert_secret(relay)

    def test_udp(self) -> None:
        """Over UDP, with the Go HFP's name of the option."""
        began = time.time()
        receiver = Receiver()
        self.addCleanup(receiver.away)
        receiver.listen()
        relay = self.relay(receiver.remote, options=["--hp", self.key])
        self.send(relay, count=10)
        self.until_equal(receiver.read, 11, 5, "the PING and the packets")
        self.assert_greeting(receiver.taken[0], began)
        self.assert_secret(relay)


class LoopTests(ProcessTestCase):
    """A remote that is one of hfp's own listeners."""

    def refusal(self, listen: str, remote: str) -> str:
        """What hfp says when it does not start."""
        command = [*twistd(), "-n", "--pidfile=", "hfp", "--listen", listen, "--remote", remote]
        done = subprocess.run(
            [*command, "--spool", "spool", "--prom", "off"],
            check=False,
            cwd=self.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=20,
            text=True,
        )
        self.assertGreater(done.returncode, 0, done.stdout)
        self.assertNotIn("Traceback", done.stdout)
        return done.stdout

    def test_at_the_start(self) -> None:
        """By the address it listens on, another of the machine's, a name, or all of them: refused in one line."""
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
            except OSError:
                own = "127.0.0.2"
            else:
                own = probe.getsockname()[0]
        for listen, remote in (
            (f"tcp:{port}:interface={HOST}", f"tcp:{HOST}:{port}"),
            (f"tcp:{port}", f"tcp:127.1.2.3:{port}"),
            (f"tcp:{port}", f"tcp:{own}:{port}"),
            (f"tcp:{port}", f"localhost:{port}"),
            (f"tcp:{port}", f"{socket.gethostname()}:{port}"),
            (f"tcp:{port}:interface=[::]", f"tcp:{own}:{port}"),
            (f"udp:{port}", f"udp:{own}:{port}"),
            (f"udp:{port}:interface=[::1]", f"udp:[::1]:{port}"),
        ):
            if "localhost" not in remote and not remote.startswith(("tcp:", "udp:")) and not _resolves_here(own):
                continue
            said = self.refusal(listen, remote)
            self.assertEqual(len([line for line in said.splitlines() if "circles" in line]), 1, said)
            self.assertIn(str(port), said)

    def test_two_hfp_in_a_row_are_no_loop(self) -> None:
        """One hfp to another on the same machine, with the same kind of listener, is what people do."""
        collector = self.collector()
        second = self.relay(collector, name="second")
        first = self.relay(f"tcp:{HOST}:{second.port}", name="first")
        sent = self.send(first, count=1_000)
        self.until_arrived(collector, sent, 10)
        self.assert_delivered(collector, sent, duplicates=0)


def _resolves_here(own: str) -> bool:
    """Whether this machine's name is one of its addresses."""
    try:
        return socket.gethostbyname(socket.gethostname()) in (own, HOST, "127.0.1.1")
    except OSError:
        return False
