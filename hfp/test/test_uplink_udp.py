"""
Tests for `hfp.uplink.udp` and `hfp.uplink.datagrams`: datagrams, refusals, pacing, stopping.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReadWriteDescriptor, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hfp.status import Amount
from hfp.test.spoolfakes import NOW_S
from hfp.test.uplinkcase import OCTETS, UplinkTestCase
from hfp.test.uplinkfakes import DatagramEndpoint, DatagramSocket, WritingClock
from hfp.uplink import UdpEndpoint, udp_kind
from hfp.uplink.connection import IUplinkConnection
from hfp.uplink.datagrams import DatagramTransport, open_socket
from hfp.uplink.kinds import UDP_RATE_OCTETS, UDP_READ_OCTETS
from hfp.uplink.udp import BURST, CONGESTION_S, GRACE_S
from hfp.uplink.uplink import LOOK_S


def split(piece: Any) -> Iterator[memoryview]:
    """Packets of 100 octets, however the pieces fall (the first is cut by the test case's `take`)."""
    view = memoryview(piece)
    for at in range(0, len(view), OCTETS):
        yield view[at : at + OCTETS]


class UdpTestCase(UplinkTestCase):
    """An uplink over UDP; its packets go in pieces of whole packets."""

    kind = udp_kind(split)

    def setUp(self) -> None:
        super().setUp()
        self.cursor = self.spool.cursor("udp:192.0.2.9:9060")

    def make_clock(self) -> WritingClock:
        made = WritingClock()
        made.advance(NOW_S)
        return made

    def make_endpoint(self, *results: Any) -> Any:
        return DatagramEndpoint(self.clock, *results)

    def take(self, count: int = 1) -> bytes:
        octets = self.sent(self.next, self.next + count)
        self.next += count
        end = self.spool.append([octets], len(octets), count, self.time_ns())
        self.uplink.offer([octets], len(octets), count, end)
        return octets

    def datagrams(self, first: int, behind: int) -> list[bytes]:
        return [self.sent(number, number + 1) for number in range(first, behind)]


class SendingTests(UdpTestCase):
    """What goes out."""

    def test_interfaces(self) -> None:
        """The connection and its transport are what they say."""
        self.start(DatagramSocket())
        verifyObject(IUplinkConnection, self.uplink._protocol)
        verifyObject(IReadWriteDescriptor, self.uplink._protocol.transport)
        verifyObject(IReactorFDSet, self.clock)
        verifyObject(IStreamClientEndpoint, self.endpoint)

    def test_live(self) -> None:
        """Each packet of a batch is a datagram, sent before ``offer`` returns."""
        sock = DatagramSocket()
        uplink = self.start(sock)
        self.clock.advance(0)
        self.take(3)
        self.take(1)
        self.assertEqual(sock.sent, self.datagrams(0, 4))
        self.assertTrue(uplink.status().up)
        self.assertEqual(uplink.status().sent, Amount(packets=4, octets=400))

    def test_full(self) -> None:
        """A socket that takes no more is waited for; nothing is lost, and the order is kept."""
        sock = DatagramSocket(room=2)
        self.start(sock)
        self.clock.advance(0)
        self.take(5)
        self.take(2)
        self.assertEqual(sock.sent, self.datagrams(0, 2))
        for _ in range(40):
            sock.room = 1
            self.clock.advance(LOOK_S)
        self.assertEqual(sock.sent, self.datagrams(0, 7))
        self.assertEqual(self.uplink.status().losses, dict.fromkeys(self.uplink.status().losses, 0))

    def test_congestion(self) -> None:
        """A full queue to the network is waited for as well, though the socket says that it is writable."""
        sock = DatagramSocket()
        self.start(sock)
        self.clock.advance(0)
        sock.problem = errno.ENOBUFS
        self.take(2)
        self.assertEqual(sock.sent, [])
        self.assertEqual(self.clock.writers, set())
        self.clock.advance(CONGESTION_S)
        self.assertEqual(sock.sent, self.datagrams(0, 2))

    def test_too_big(self) -> None:
        """A packet that no datagram holds is counted and told, once; those before and behind it go."""
        sock = DatagramSocket(largest=OCTETS - 1)
        with self.lines() as lines:
            uplink = self.start(sock)
            self.clock.advance(0)
            self.take(2)
            sock.largest = 65_507
            self.take(1)
            for packets, room in ((3, 1), (2, 1 << 40)):
                octets = self.sent(0, 1) + bytes([72]) * 2 * OCTETS + self.sent(1, packets - 1)
                sock.room = room
                sock.largest = OCTETS
                self.patch(self.uplink._protocol, "_split", lambda piece: [piece[:100], piece[100:300], piece[300:]])
                end = self.spool.append([octets], len(octets), packets, self.time_ns())
                uplink.offer([octets], len(octets), packets, end)
                sock.room = 1 << 40
                self.clock.advance(LOOK_S)
        self.assertEqual(uplink.status().dropped["too-big"], Amount(packets=4, octets=600))
        self.assertEqual(uplink.status().sent.packets, 4)
        dropped = [line for line in lines if "is not sent to remote" in line]
        self.assertEqual(len(dropped), 1)
        self.assertTrue(dropped[0].startswith("critical: a packet of 100 octets is not sent to remote udp:"), dropped)

    def test_datagrams(self) -> None:
        """Datagrams that are no HEP3 go as they are, live and from the log."""
        sock, later = DatagramSocket(), DatagramSocket()
        self.start(sock, later)
        self.clock.advance(0)
        self.take_datagrams(b"\x02\x10hep2", b"", b"\x01\x10hep1")
        self.assertEqual(sock.sent, [b"\x02\x10hep2", b"", b"\x01\x10hep1"])
        sock.problem = errno.ECONNREFUSED
        self.take(1)
        self.pass_time(1)
        self.assertEqual(later.sent, [b"\x02\x10hep2", b"", b"\x01\x10hep1", *self.datagrams(0, 1)])
        self.assertEqual(self.uplink.status().dropped["not-hep3"], Amount())

    def test_hello(self) -> None:
        """Each connection starts with the packet that is none of the log's."""
        first, second = DatagramSocket(), DatagramSocket()
        hellos = iter((b"hello 1", b"hello 2"))
        self.hello = lambda: next(hellos)
        self.start(first, second)
        self.clock.advance(0)
        self.take(1)
        self.assertEqual(first.sent, [b"hello 1", *self.datagrams(0, 1)])
        first.problem = errno.ECONNREFUSED
        self.take(1)
        self.pass_time(1)
        self.assertEqual(second.sent[0], b"hello 2")
        self.assertEqual(self.uplink.status().sent.packets, 2)

    def test_loop(self) -> None:
        """An own listener gets nothing."""
        sock = DatagramSocket()
        sock.peer, sock.host = ("127.0.0.1", 9060), ("127.0.0.1", 40_000)
        self.own = ("udp", "127.0.0.1", 9060)
        self.hello = lambda: b"hello"
        with self.lines() as lines:
            uplink = self.start(sock)
            self.take(1)
            self.pass_time(1)
        self.assertEqual(sock.sent, [])
        self.assertTrue(sock.closed)
        self.assertEqual((uplink.status().connects["loop"], uplink.status().connects["ok"]), (1, 0))
        self.assertIn("critical: remote udp:192.0.2.9:9060 leads back into this hfp", lines[0])
        self.assertEqual(self.endpoint.attempts, 2)

    def test_answers(self) -> None:
        """What a collector answers is dropped, a bounded amount at a time."""
        sock = DatagramSocket()
        self.start(sock)
        sock.answers = [b"x"] * 1000
        [reader] = self.clock.readers
        self.assertIsNone(reader.doRead())
        self.assertGreater(len(sock.answers), 500)
        for _ in range(50):
            reader.doRead()
        self.assertEqual(sock.answers, [])


class RefusedTests(UdpTestCase):
    """What comes back is a refusal, and loses nothing."""

    def test_at_a_send(self) -> None:
        """What was sent within the resend window goes again on the next socket, whatever the refusal's kind."""
        for number in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EPERM, errno.EINVAL):
            self.setUp()
            first, second = DatagramSocket(), DatagramSocket()
            with self.lines() as lines:
                uplink = self.start(first, second)
                self.clock.advance(0)
                self.take(2)
                first.problem = number
                self.take(3)
                self.assertTrue(uplink.status().up)
                self.clock.advance(0)
                self.assertFalse(uplink.status().up)
                self.assertTrue(first.closed)
                self.take(1)
                self.pass_time(1)
            self.assertEqual(second.sent, self.datagrams(0, 6))
            status = uplink.status()
            self.assertEqual(status.losses["refused"], 1)
            self.assertEqual(status.sent, Amount(packets=6, octets=600))
            self.assertEqual(status.resent.packets, 5)
            self.assertIn("is gone (refused: ", "".join(lines))

    def test_no_window(self) -> None:
        """Even without a resend window, what a refusal comes back for at once is not done."""
        self.resend_window_s = 0.0
        first, second = DatagramSocket(), DatagramSocket()
        self.start(first, second)
        self.clock.advance(0)
        self.take(2)
        first.problem = errno.ECONNREFUSED
        self.take(1)
        self.pass_time(1)
        self.assertEqual(second.sent, self.datagrams(0, 3))

    def test_while_reading(self) -> None:
        """A refusal that the reactor finds: by a read that fails, or as the socket's end."""
        for way in ("doRead", "connectionLost"):
            self.setUp()
            first, second = DatagramSocket(), DatagramSocket()
            self.start(first, second)
            self.clock.advance(0)
            self.take(2)
            first.problem = errno.ECONNREFUSED
            [reader] = self.clock.readers
            if way == "doRead":
                reader.connectionLost(Failure(reader.doRead()))
            else:
                reader.connectionLost(Failure(error.ConnectionDone()))
            self.assertEqual(self.uplink.status().losses["refused"], 1)
            self.pass_time(1)
            self.assertEqual(second.sent, self.datagrams(0, 2))

    def test_old_is_done(self) -> None:
        """What has seen no refusal within the resend window does not go again, and is not called confirmed."""
        first, second = DatagramSocket(), DatagramSocket()
        uplink = self.start(first, second)
        self.clock.advance(0)
        self.take(2)
        self.pass_time(self.resend_window_s + 1)
        self.assertEqual(self.cursor.position, self.spool.end)
        self.assertEqual(uplink.status().confirmed, Amount())
        first.problem = errno.ECONNREFUSED
        self.take(1)
        self.pass_time(1)
        self.assertEqual(second.sent, self.datagrams(2, 3))

    def test_refused_for_long(self) -> None:
        """However often it is refused, and however late the refusals come, nothing is given up; the log stays short."""
        sockets = [DatagramSocket() for _ in range(30)]
        with self.lines() as lines:
            self.start(*sockets)
            self.take(5)
            for sock in sockets[:-1]:
                while not sock.sent:
                    self.clock.advance(LOOK_S)
                self.pass_time(0.5)
                sock.problem = errno.ECONNREFUSED
                [reader] = self.clock.readers
                reader.connectionLost(Failure(error.ConnectionDone()))
                self.assertEqual(self.cursor.position.packets, 0)
            self.pass_time(5)
        self.assertEqual(sockets[-1].sent, self.datagrams(0, 5))
        self.assertLess(len(lines), 12)

    def test_pauses_grow(self) -> None:
        """A collector that is away is not tried ten times a second."""
        sockets = [DatagramSocket() for _ in range(200)]
        for sock in sockets:
            sock.room = 0
        self.start(*sockets)
        self.take(1)
        for _ in range(600):
            self.clock.advance(LOOK_S)
            for reader in list(self.clock.readers):
                reader.socket.problem = errno.ECONNREFUSED
                reader.connectionLost(Failure(error.ConnectionDone()))
        self.assertLess(self.endpoint.attempts, 40)

    def test_half_sent_batch(self) -> None:
        """A batch of which a part still waits for the socket is not done, for however long."""
        sock = DatagramSocket(room=2)
        self.start(sock)
        self.clock.advance(0)
        self.take_datagrams(b"a", b"b", b"")
        self.pass_time(30)
        self.assertEqual(self.cursor.position.packets, 0)

    def test_no_way(self) -> None:
        """No socket at all: a failed attempt, with the next to follow."""
        uplink = self.start(error.NoRouteError(), DatagramSocket())
        self.assertEqual(uplink.status().connects["unreachable"], 1)
        self.pass_time(1)
        self.assertTrue(uplink.status().up)


class PacedTests(UdpTestCase):
    """A backlog goes no faster than a receiver can take it."""

    segment_octets = 1 << 20

    def drain(self, octets: int, live_octets: int = 0) -> tuple[DatagramSocket, float]:
        """Have a backlog drained while more comes in each LOOK_S; returns the socket and the seconds it took."""
        sock = DatagramSocket()
        self.patch(self, "kind", udp_kind(lambda piece: [memoryview(piece)]))
        self.start(error.NoRouteError(), sock)
        for _ in range(octets // 5000):
            self.append(5000)
        while not sock.sent:
            self.clock.advance(0.001)
        start = self.clock.seconds()
        due = 0.0
        while self.uplink.status().lagging.packets:
            self.clock.advance(0.001)
            due += live_octets * 0.001
            while due >= 5000:
                due -= 5000
                self.append(5000)
        return sock, self.clock.seconds() - start

    def append(self, octets: int) -> None:
        piece = bytes([72]) * octets
        end = self.spool.append([piece], octets, 1, self.time_ns())
        self.uplink.offer([piece], octets, 1, end)

    def test_rate(self) -> None:
        """At the default rate, in small portions, and young packets as well as old ones."""
        sock, seconds = self.drain(2_000_000)
        self.assertEqual(sum(map(len, sock.sent)), 2_000_000)
        self.assertTrue(0.9 < seconds / (2_000_000 / UDP_RATE_OCTETS) < 1.2, seconds)
        self.assertLessEqual(UDP_READ_OCTETS, 16 * 1024)

    def test_operators_rate(self) -> None:
        """``--replay-rate`` replaces it."""
        self.replay_rate_octets = 1_000_000
        _, seconds = self.drain(2_000_000)
        self.assertTrue(1.8 < seconds < 2.4, seconds)

    def test_ends(self) -> None:
        """A backlog has an end even while more comes in than the rate."""
        _, seconds = self.drain(400_000, live_octets=2 * UDP_RATE_OCTETS)
        self.assertLess(seconds, 0.4)

    def test_bursts(self) -> None:
        """A batch of many small packets does not go at once, but all of it does go."""
        sock = DatagramSocket()
        self.start(error.NoRouteError(), sock)
        self.next = 0
        for _ in range(5):
            self.take(200)
        most = 0
        while len(sock.sent) < 1000:
            before = len(sock.sent)
            self.clock.advance(0.001)
            most = max(most, len(sock.sent) - before)
        self.assertEqual(most, BURST)
        self.assertEqual(sock.sent, self.datagrams(0, 1000))

    def test_live_is_not(self) -> None:
        """What is sent as it comes in is not paced."""
        sock = DatagramSocket()
        self.patch(self, "kind", udp_kind(lambda piece: [memoryview(piece)]))
        self.start(sock)
        self.clock.advance(0)
        for _ in range(400):
            self.append(5000)
        self.assertEqual(len(sock.sent), 400)


class StoppingTests(UdpTestCase):
    """`Uplink.stop`."""

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.uplink.stop(8.0))

    def test_nothing_to_hand_over(self) -> None:
        """Once all is sent, and a moment has passed without a refusal, it is done with."""
        sock = DatagramSocket()
        self.start(sock)
        self.clock.advance(0)
        self.take(2)
        stopped = self.stop()
        self.pass_time(GRACE_S + 0.2)
        self.successResultOf(stopped)
        self.assertTrue(sock.closed)
        self.assertEqual(self.cursor.position, self.spool.end)
        self.pass_time(30)
        self.assertEqual(self.endpoint.attempts, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused_at_the_end(self) -> None:
        """A refusal in that moment leaves it in the log."""
        sock = DatagramSocket()
        self.start(sock)
        self.clock.advance(0)
        self.take(2)
        stopped = self.stop()
        self.pass_time(0.2)
        sock.problem = errno.ECONNREFUSED
        [reader] = self.clock.readers
        reader.connectionLost(Failure(error.ConnectionDone()))
        self.successResultOf(stopped)
        self.assertEqual(self.cursor.position.packets, 0)
        self.pass_time(GRACE_S)

    def test_rest_first(self) -> None:
        """What still waits for the socket goes before the end."""
        sock = DatagramSocket(room=1)
        self.start(sock)
        self.clock.advance(0)
        self.take(3)
        stopped = self.stop()
        self.pass_time(1)
        self.assertNoResult(stopped)
        sock.room = 100
        self.pass_time(1)
        self.successResultOf(stopped)
        self.assertEqual(sock.sent, self.datagrams(0, 3))


class Names:
    """A reactor's name resolver: answers as it is told, or later."""

    def __init__(self, *addresses: Any) -> None:
        self.addresses = list(addresses)
        self.asked: list[Any] = []
        self.late = False

    def resolveHostName(self, receiver: Any, name: str, port: int = 0, **options: Any) -> None:
        self.asked.append((name, port, options))
        self.receiver = receiver
        if not self.late:
            self.answer()

    def answer(self) -> None:
        self.receiver.resolutionBegan(None)
        for address in self.addresses:
            self.receiver.addressResolved(address)
        self.receiver.resolutionComplete()


class UdpEndpointTests(SynchronousTestCase):
    """`UdpEndpoint` and `open_socket`."""

    def setUp(self) -> None:
        self.reactor = WritingClock()
        self.opened: list[str] = []
        self.refused: set[str] = set()

    def open(self, address: Any) -> DatagramSocket:
        if address.host in self.refused:
            raise OSError(errno.ENETUNREACH, "no")
        self.opened.append(address.host)
        return DatagramSocket()

    def endpoint(self, *hosts: str) -> UdpEndpoint:
        self.names = Names(
            *(IPv6Address("UDP", host, 9060) if ":" in host else IPv4Address("UDP", host, 9060) for host in hosts)
        )
        self.reactor.nameResolver = self.names  # type: ignore[attr-defined]
        endpoint = UdpEndpoint(self.reactor, "homer.example", 9060, self.open)
        verifyObject(IStreamClientEndpoint, endpoint)
        return endpoint

    def test_each_attempt(self) -> None:
        """The name is resolved at each attempt, and each starts with another address."""
        endpoint = self.endpoint("192.0.2.1", "2001:db8::1")
        for _ in range(3):
            self.successResultOf(endpoint.connect(Factory.forProtocol(Protocol)))
        self.assertEqual(self.opened, ["192.0.2.1", "2001:db8::1", "192.0.2.1"])
        self.assertEqual(self.names.asked, [("homer.example", 9060, {"transportSemantics": "UDP"})] * 3)

    def test_no_way(self) -> None:
        """An address without a route is passed over; if all are, the attempt fails so; likewise without any."""
        endpoint = self.endpoint("2001:db8::1", "192.0.2.1")
        self.refused = {"2001:db8::1"}
        self.successResultOf(endpoint.connect(Factory.forProtocol(Protocol)))
        self.assertEqual(self.opened, ["192.0.2.1"])
        self.refused = {"2001:db8::1", "192.0.2.1"}
        self.failureResultOf(endpoint.connect(Factory.forProtocol(Protocol)), error.NoRouteError)
        self.names.addresses = []
        self.failureResultOf(endpoint.connect(Factory.forProtocol(Protocol)), error.DNSLookupError)

    def test_too_late(self) -> None:
        """An answer after the attempt was given up opens nothing."""
        endpoint = self.endpoint("192.0.2.1")
        self.names.late = True
        attempt = endpoint.connect(Factory.forProtocol(Protocol))
        attempt.cancel()
        self.failureResultOf(attempt)
        self.names.answer()
        self.assertEqual(self.opened, [])

    def test_open_socket(self) -> None:
        """A real socket, of either family, that hears of a closed port."""
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                taken = socket.socket(family, socket.SOCK_DGRAM)
                taken.bind((host, 0))
            except OSError:
                continue
            self.addCleanup(taken.close)
            port = taken.getsockname()[1]
            address = (IPv4Address if family == socket.AF_INET else IPv6Address)("UDP", host, port)
            made = open_socket(address)
            self.addCleanup(made.close)
            made.send(b"hello")
            self.assertEqual(taken.recv(100), b"hello")
            self.assertRaises(BlockingIOError, made.recv, 1)
            with self.assertRaises(OSError) as caught:
                made.send(bytes(65_508 if family == socket.AF_INET else 65_530))
            self.assertEqual(caught.exception.errno, errno.EMSGSIZE)
            transport = DatagramTransport(self.reactor, made, None)
            self.assertEqual((transport.getPeer(), transport.getHost().host), (address, host))  # type: ignore[attr-defined]
            taken.close()
            made.send(b"hello")
            self.assertRaises(ConnectionRefusedError, made.send, b"hello")
