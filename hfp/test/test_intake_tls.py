"""
Tests for `hfp.intake.tls`: real handshakes over socket pairs, without a reactor.
"""

from __future__ import annotations

import importlib.util
import ssl
import warnings
from ipaddress import ip_network
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from hfp.intake import HepReceiverFactory, ReadPool
from hfp.intake.access import Access
from hfp.intake.faults import TLS_CURES
from hfp.interfaces import Sender
from hfp.test.intakefakes import ListSink, NotingScreen, PairTransport, WatchingClock, packet, told

HAVE_TLS = importlib.util.find_spec("OpenSSL") is not None
if HAVE_TLS:
    from hfp.intake.tls import MOST_HELD_OCTETS
    from hfp.test.tlsfakes import Authority, Identity
    from hfp.tls import server_creator


class TlsClient:
    """A sender that speaks TLS, over the far end of a pair of sockets."""

    def __init__(self, far: Any, context: ssl.SSLContext) -> None:
        self.far = far
        far.setblocking(False)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="hfp.test")

    def flush(self) -> None:
        data = self.outgoing.read()
        if data:
            self.far.sendall(data)

    def take(self) -> None:
        """Receive what is there."""
        try:
            while data := self.far.recv(65536):
                self.incoming.write(data)
        except OSError:
            return
        self.incoming.write_eof()

    def handshake(self) -> bool:
        """One step of it; whether it is over."""
        self.take()
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.flush()
        return True

    def write(self, *data: bytes) -> None:
        for octets in data:
            self.tls.write(octets)
        self.flush()

    def close(self) -> None:
        """Say goodbye."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self.flush()


class TlsReceiverTests(SynchronousTestCase):
    """Senders over TLS."""

    if not HAVE_TLS:
        skip = "needs pyOpenSSL: pip install hfp[tls]"

    authority: Authority
    identity: Identity

    def setUp(self) -> None:
        self.authority = Authority(self.mktemp())
        self.identity = self.authority.issue("hfp.test")
        self.clock = WatchingClock()
        self.sink = ListSink()
        self.pool = ReadPool(self.clock, self.sink)
        self.addCleanup(self.pool.stop)
        self.repeats, self.lines = told(self.clock)
        self.listen()

    def listen(self, ca: str | None = None, identity: Any = None, deadline_s: float = 30.0) -> None:
        identity = identity or self.identity
        self.access = Access([ip_network("192.0.2.0/24")], 0, 0, self.repeats)
        self.receivers = HepReceiverFactory(self.pool, self.clock, self.repeats, self.access, deadline_s=deadline_s)
        self.addCleanup(self.receivers.deadlines.stop)
        self.factory: Any = self.receivers.over_tls(server_creator(identity.key, identity.certificate, ca))

    def context(self, identity: Any = None, trusts: Any = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations((trusts or self.authority).certificate)
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.key)
        return context

    def raw(self) -> PairTransport:
        transport = PairTransport(self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 4000)))
        self.addCleanup(transport.close)
        return transport

    def start(self, context: ssl.SSLContext | None = None) -> tuple[PairTransport, TlsClient]:
        transport = self.raw()
        return transport, TlsClient(transport.far, context or self.context())

    def connect(self, context: ssl.SSLContext | None = None) -> tuple[PairTransport, TlsClient]:
        """A sender whose handshake is done."""
        transport, client = self.start(context)
        self.turn(transport, client)
        client.take()
        return transport, client

    def turn(self, transport: PairTransport, client: TlsClient) -> None:
        """Go on with a handshake until both are through, or one has failed."""
        for _ in range(4):
            try:
                client.handshake()
            except ssl.SSLError:
                pass
            self.wake(transport)

    def wake(self, transport: PairTransport) -> None:
        self.clock.wake()
        self.clock.advance(0)
        transport.finish()

    def failures(self) -> dict[str, int]:
        """The kinds of failures that happened."""
        return {kind: count for kind, count in self.receivers.faults.tls.items() if count}

    def assert_failed(self, transport: PairTransport, kind: str) -> None:
        """It failed for this one reason: counted, told in one line, closed, nothing handed on, no traceback."""
        self.assertEqual(self.failures(), {kind: 1})
        [line] = self.lines
        self.assertIn(f"TLS with sender 192.0.2.1 failed ({kind}: ", line)
        self.assertIn(TLS_CURES[kind], line)
        self.assertIsNotNone(transport.reason)
        self.assertEqual((self.sink.batches, self.receivers.connected, len(self.pool)), ([], 0, 0))
        self.assertEqual(sum(self.receivers.invalid.values()), 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_packets(self) -> None:
        """What a sender sends through TLS is handed on as it came, whatever the records' borders."""
        transport, client = self.connect()
        octets = packet(b"a") + packet(b"b", 30_000) + packet(b"c")
        client.write(octets[:50], octets[50:20_000], octets[20_000:])
        self.wake(transport)
        self.assertEqual(self.sink.batches, [(octets, 3)])
        self.assertEqual((self.receivers.connects, self.receivers.connected), (1, 1))

    def test_versions(self) -> None:
        """TLS 1.2 works as well as 1.3."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context()
            context.minimum_version = context.maximum_version = version
            transport, client = self.connect(context)
            client.write(packet(b"a"))
            self.wake(transport)
        self.assertEqual(self.sink.octets, packet(b"a") * 2)

    def test_reads_the_tcp_transport(self) -> None:
        """The pool reads the TCP transport; the reactor does not."""
        transport, _ = self.connect()
        self.assertFalse(transport.reading)
        self.assertIn(transport.fileno(), self.pool._members)

    def test_screens(self) -> None:
        """Screens are told that it was TLS."""
        screen = NotingScreen()
        self.receivers.screens = (screen,)
        transport, client = self.connect()
        client.write(packet(b"a"))
        self.wake(transport)
        self.assertEqual(screen.shown[0][2], Sender("tls", "192.0.2.1", 40000))

    def test_access_first(self) -> None:
        """A host that may not send is refused before TLS begins."""
        self.assertIsNone(self.factory.buildProtocol(IPv4Address("TCP", "10.0.0.1", 1)))
        self.assertEqual(self.access.refused["not-allowed"], 1)

    def test_goodbye(self) -> None:
        """A sender that says goodbye in order is no failure, and what it sent last is there."""
        transport, client = self.connect()
        client.write(packet(b"last"))
        client.close()
        self.wake(transport)
        self.assertEqual((self.sink.octets, self.failures(), self.lines), (packet(b"last"), {}, []))
        self.assertIsNotNone(transport.reason)

    def test_no_goodbye(self) -> None:
        """... nor is one that just goes, as many do; what it sent last is there, half a packet is counted."""
        transport, client = self.connect()
        client.write(packet(b"last") + packet(b"half")[:50])
        client.far.close()
        self.wake(transport)
        self.wake(transport)
        self.assertEqual((self.sink.octets, self.failures()), (packet(b"last"), {}))
        self.assertEqual((self.receivers.invalid["truncated"], self.receivers.skipped), (1, 50))
        self.assertEqual(self.access.connections, 0)

    def test_bad_record(self) -> None:
        """Whole packets before a record that does not decrypt are kept; then the connection is over."""
        transport, client = self.connect()
        client.write(packet(b"a"))
        client.tls.write(packet(b"b"))
        record = bytearray(client.outgoing.read())
        record[-1] ^= 1
        client.far.sendall(record)
        self.wake(transport)
        self.assertEqual(self.sink.batches, [(packet(b"a"), 1)])
        self.assertEqual(self.failures(), {"record": 1})
        self.assertIsNotNone(transport.reason)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_plain(self) -> None:
        """HEP without TLS is named, closed without an answer, and nothing of it is handed on."""
        transport = self.raw()
        transport.far.sendall(packet(b"a"))
        self.wake(transport)
        self.assert_failed(transport, "plain")
        self.assertIn("it speaks hep", self.lines[0])
        self.assertEqual(transport.far.recv(100), b"")

    def test_http(self) -> None:
        """So is HTTP."""
        transport = self.raw()
        transport.far.sendall(b"GET / HTTP/1.1\r\n\r\n")
        self.wake(transport)
        self.assert_failed(transport, "plain")
        self.assertIn("it speaks http", self.lines[0])

    def test_garbage(self) -> None:
        """What begins like TLS and is none ends the handshake."""
        transport = self.raw()
        transport.far.sendall(b"\x16\x03\x01\x00\x10" + b"\xff" * 16)
        self.wake(transport)
        self.assert_failed(transport, "handshake")

    def test_cut_short(self) -> None:
        """A sender that goes within the handshake is counted."""
        transport, client = self.start()
        client.handshake()
        self.wake(transport)
        client.far.close()
        self.wake(transport)
        self.assert_failed(transport, "handshake")

    def test_port_check(self) -> None:
        """Who connects and goes, as a monitor does, is no failure."""
        transport = self.raw()
        transport.far.close()
        self.wake(transport)
        self.assertEqual((self.failures(), self.lines, self.receivers.connected), ({}, [], 0))

    def test_starts_and_stops(self) -> None:
        """A sender that starts TLS and stops is closed at the deadline, counted there and not as a failure."""
        transport, client = self.start()
        client.handshake()
        self.wake(transport)
        self.clock.pump([1] * 33)
        transport.finish()
        self.assertEqual(self.receivers.deadlines.missed["first-packet"], 1)
        self.assertTrue(transport.aborted)
        self.assertEqual((self.failures(), self.receivers.connected), ({}, 0))

    def test_first_octets_one_by_one(self) -> None:
        """A handshake that drips in works."""
        transport, client = self.start()
        client.take()
        try:
            client.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        for octet in client.outgoing.read():
            client.far.send(bytes([octet]))
            self.wake(transport)
        self.turn(transport, client)
        client.write(packet(b"a"))
        self.wake(transport)
        self.assertEqual(self.sink.octets, packet(b"a"))

    def test_certificate(self) -> None:
        """With an authority given, a sender with a certificate that it signed is let in."""
        self.listen(ca=self.authority.certificate)
        transport, client = self.connect(self.context(self.authority.issue("sender.test")))
        client.write(packet(b"a"))
        self.wake(transport)
        self.assertEqual((self.sink.octets, self.failures()), (packet(b"a"), {}))

    def test_no_certificate(self) -> None:
        """One without is not."""
        self.listen(ca=self.authority.certificate)
        transport, client = self.start()
        self.turn(transport, client)
        self.assert_failed(transport, "no-certificate")

    def test_bad_certificates(self) -> None:
        """Nor one whose certificate has expired, is not valid yet, signs itself, or is another authority's."""
        other = Authority(self.mktemp(), "another CA")
        for identity in (
            self.authority.issue("sender.test", starts=-3, ends=-1),
            self.authority.issue("sender.test", starts=2),
            self.authority.issue("sender.test", self_signed=True),
            other.issue("sender.test"),
        ):
            self.lines.clear()
            self.clock.advance(100)
            self.listen(ca=self.authority.certificate)
            transport, client = self.start(self.context(identity))
            self.turn(transport, client)
            self.assert_failed(transport, "bad-certificate")

    def test_distrust(self) -> None:
        """A sender that does not accept our certificate is told of, in both versions of TLS."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.lines.clear()
            self.clock.advance(100)
            self.listen()
            context = self.context(trusts=Authority(self.mktemp(), "another CA"))
            context.minimum_version = context.maximum_version = version
            transport, client = self.start(context)
            self.turn(transport, client)
            self.assert_failed(transport, "distrust")

    def test_old_version(self) -> None:
        """A sender that speaks nothing newer than TLS 1.1 is told of."""
        context = self.context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        transport, client = self.start(context)
        self.turn(transport, client)
        self.assert_failed(transport, "version")

    def test_once_and_again(self) -> None:
        """The same from the same host is counted each time and logged once."""
        for _ in range(5):
            transport = self.raw()
            transport.far.sendall(packet(b"a"))
            self.wake(transport)
        self.assertEqual((self.failures(), len(self.lines)), ({"plain": 5}, 1))

    def test_nothing_to_read(self) -> None:
        """
        After the handshake nothing is sent: a sender that closes with something unread loses what is on its way.
        """
        transport, client = self.connect()
        client.write(packet(b"a"))
        self.wake(transport)
        self.assertEqual(client.tls.version(), "TLSv1.3")
        self.assertRaises(BlockingIOError, client.far.recv, 1)

    def test_tickets_come_with_the_goodbye(self) -> None:
        """What was held back goes out before the goodbye, which can't be read without."""
        transport, client = self.connect()
        self.receivers.close_all()
        client.take()
        self.assertEqual(client.tls.read(), b"")
        self.assertTrue(transport.disconnecting)

    def test_held_back_is_bounded(self) -> None:
        """Whatever a sender makes TLS answer, memory is bounded."""
        transport, _ = self.connect()
        outward = transport.protocol.transport
        for _ in range(100):
            outward.write(bytes(1000))
        self.assertLessEqual(len(outward._held), MOST_HELD_OCTETS)
        outward.write(b"!")  # would fit, but something before it is missing
        self.assertEqual(outward._held[-1:], b"\0")

    def test_junk_within(self) -> None:
        """What is not HEP inside of TLS is treated as on a plain connection."""
        transport, client = self.connect()
        client.write(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
        self.wake(transport)
        self.assertEqual((self.receivers.invalid["http"], self.failures()), (1, {}))
        self.assertIsNotNone(transport.reason)

    def test_close(self) -> None:
        """When hfp stops it says goodbye and does not wait for an answer."""
        transport, client = self.connect()
        self.receivers.close_all()
        self.assertTrue(transport.disconnecting)
        client.take()
        self.assertEqual(client.tls.read(), b"")  # an end without goodbye would raise
