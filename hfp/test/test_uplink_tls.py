"""
Tests for `hfp.uplink.tls`, with an uplink around it: handshakes, confirmation by ciphertext, endings.
"""

from __future__ import annotations

import os
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer
from zope.interface.verify import verifyObject

from hfp.status import Amount
from hfp.test.spoolfakes import body
from hfp.test.tlsfakes import Authority, MemoryPeer
from hfp.test.uplinkcase import OCTETS, UplinkTestCase
from hfp.test.uplinkfakes import TakingTransport
from hfp.tls import client_creator, server_creator
from hfp.uplink import tls_kind
from hfp.uplink.connection import IUplinkConnection
from hfp.uplink.connector import ATTEMPT_S
from hfp.uplink.uplink import LOOK_S


class TlsUplinkTestCase(UplinkTestCase):
    """A server in memory behind each transport."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(self.mktemp())
        self.identity = self.authority.issue("a.example")
        self.server = server_creator(self.identity.key, self.identity.certificate)
        self.use(client_creator("a.example", ca_file=self.authority.certificate))

    def use(self, creator: Any) -> None:
        self.kind = tls_kind(creator)

    def require(self) -> None:
        """Have the server want client certificates."""
        self.server = server_creator(self.identity.key, self.identity.certificate, self.authority.certificate)

    def peer(self, transport: TakingTransport) -> MemoryPeer:
        """A server for a transport; talks when `talk` is called."""
        peer = MemoryPeer(self.server)
        self.seen = {**getattr(self, "seen", {}), id(transport): 0}
        return peer

    def talk(self, transport: TakingTransport, peer: MemoryPeer, late: bytes = b"") -> None:
        """What either side has sent arrives, until both are silent."""
        back = late
        while True:
            taken = bytes(transport.socket.taken[self.seen[id(transport)] :])
            if not taken and not back:
                return
            self.seen[id(transport)] += len(taken)
            if taken:
                back += peer.take(taken)
            if back and not transport.ended:
                transport.protocol.dataReceived(back)
            back = b""

    def connect(self, *more: Any) -> tuple[TakingTransport, MemoryPeer]:
        """An uplink whose first connection is up."""
        transport = TakingTransport()
        self.start(transport, *more)
        peer = self.peer(transport)
        self.talk(transport, peer)
        return transport, peer


class HandshakeTests(TlsUplinkTestCase):
    """Until a connection is up."""

    def test_interfaces(self) -> None:
        """The protocol is what it says."""
        transport, _ = self.connect()
        for interface in (IUplinkConnection, IPullProducer, IHalfCloseableProtocol):
            verifyObject(interface, transport.protocol)

    def test_up(self) -> None:
        """The uplink is up when the handshake is complete, and not sooner."""
        transport = TakingTransport()
        uplink = self.start(transport)
        self.take(2)
        self.assertFalse(uplink.status().up)
        self.assertEqual(uplink.status().connects["ok"], 0)
        peer = self.peer(transport)
        self.talk(transport, peer)
        self.assertTrue(uplink.status().up)
        self.assertEqual(uplink.status().connects["ok"], 1)
        self.assertEqual(peer.received, self.sent(0, 2))

    def fails(self, words: str) -> None:
        """The attempt fails as one of TLS, with these words, and the next one follows."""
        with self.lines() as lines:
            transport, peer = self.connect(TakingTransport())
        status = self.uplink.status()
        self.assertEqual((status.connects["tls"], status.connects["ok"], status.up), (1, 0, False))
        self.assertEqual(status.losses, dict.fromkeys(status.losses, 0))
        self.assertTrue(transport.ended)
        self.assertEqual(peer.received, b"")
        self.assertIsNotNone(peer.problem)
        [line] = lines
        self.assertTrue(line.startswith("warn: remote tcp:192.0.2.9:9060 cannot be reached (tls: "), line)
        self.assertIn(words, line)
        self.pass_time(5)
        self.assertEqual(self.endpoint.attempts, 2)

    def test_wrong_name(self) -> None:
        """The server's certificate is for somebody else: it is told so, and no packet goes to it."""
        self.use(client_creator("b.example", ca_file=self.authority.certificate))
        self.fails("its certificate is for a.example, not for b.example; give the right one as serverName=NAME")

    def test_expired(self) -> None:
        """It has expired."""
        identity = self.authority.issue("a.example", starts=-9, ends=-1)
        self.server = server_creator(identity.key, identity.certificate)
        self.fails("has expired")

    def test_client_certificate(self) -> None:
        """In TLS 1.2 a server that wants a client certificate ends the handshake."""
        self.require()
        self.server._context.set_max_proto_version(SSL.TLS1_2_VERSION)
        self.fails("clientCert=FILE")

    def test_plain(self) -> None:
        """A peer that speaks something else."""
        transport = TakingTransport()
        with self.lines() as lines:
            uplink = self.start(transport)
            transport.protocol.dataReceived(b"HEP3\x00\x06 and so on, and on, and on")
        self.assertEqual(uplink.status().connects["tls"], 1)
        self.assertIn("it does not speak TLS (it answered b'HEP3\\x00\\x06 and so on')", lines[0])
        self.assertIn("write tcp: instead of tls: (heplify-server's stock configuration speaks TLS", lines[0])
        self.assertIn("HOMER 11 takes plain TCP on 9061", lines[0])

    def test_mute(self) -> None:
        """A peer that never answers, as a collector does that waits for HEP, is left in time."""
        transport = TakingTransport()
        with self.lines() as lines:
            uplink = self.start(transport)
            self.clock.advance(ATTEMPT_S - 0.1)
            self.assertFalse(transport.ended)
            self.clock.advance(0.1)
        self.assertTrue(transport.ended)
        self.assertEqual(uplink.status().connects["tls"], 1)
        self.assertIn("it does not answer in TLS; if it takes plain TCP", lines[0])

    def test_half_a_handshake(self) -> None:
        """A peer that begins the handshake and goes on no further."""
        transport = TakingTransport()
        with self.lines() as lines:
            self.start(transport)
            transport.protocol.dataReceived(MemoryPeer(self.server).take(bytes(transport.socket.taken))[:50])
            self.clock.advance(ATTEMPT_S)
        self.assertIn("has begun the TLS handshake and not finished it", lines[0])

    def test_closed(self) -> None:
        """A peer that closes in the middle, or at once."""
        for ending in ("peer_closes", "reset"):
            transport = TakingTransport()
            with self.lines() as lines:
                uplink = self.start(transport)
                getattr(transport, ending)()
            self.assertEqual(uplink.status().connects["tls"], 1)
            self.assertIn("it closed the connection during the TLS handshake", lines[0])

    def test_full_socket(self) -> None:
        """A socket that takes the handshake in bits."""
        transport = TakingTransport(room=10)
        uplink = self.start(transport)
        peer = self.peer(transport)
        for _ in range(500):
            transport.writable(room=10)
            self.talk(transport, peer)
        self.assertTrue(uplink.status().up)

    def test_stop(self) -> None:
        """A handshake under way is given up when hfp stops."""
        transport = TakingTransport()
        uplink = self.start(transport)
        self.successResultOf(self.stopping())
        self.assertTrue(transport.ended)
        self.assertFalse(uplink.status().up)

    def stopping(self) -> Any:
        return Deferred.fromCoroutine(self.uplink.stop(8.0))


class SendingTests(TlsUplinkTestCase):
    """What goes over the wire, and what is known of it."""

    def test_live(self) -> None:
        """Each batch is on its way at once, and arrives octet for octet."""
        transport, peer = self.connect()
        for count in (1, 3, 15):
            self.take(count)
            self.talk(transport, peer)
        self.assertEqual(peer.received, self.sent(0, 19))
        self.assertNotIn(body(0, OCTETS)[:40], bytes(transport.socket.taken))

    def test_full_socket(self) -> None:
        """A socket that takes a part gets the rest, in order, with what came in meanwhile behind it."""
        transport, peer = self.connect()
        transport.socket.room = 150
        self.take(3)
        self.assertTrue(transport.protocol.full)
        self.take(2)
        for _ in range(200):
            transport.writable(room=7)
            self.talk(transport, peer)
        transport.writable()
        self.talk(transport, peer)
        self.assertEqual(peer.received, self.sent(0, 5))

    def test_large_batch_and_full_socket(self) -> None:
        """A batch of many records, of which the socket takes some."""
        transport, peer = self.connect()
        transport.socket.room = 100_000
        pieces = [os.urandom(size) for size in (600, 200_000, 100_000)]
        self.assertFalse(transport.protocol.give(pieces, 300_600, 501))
        transport.writable()
        self.talk(transport, peer)
        self.assertEqual(peer.received, b"".join(pieces))

    def test_order(self) -> None:
        """A socket that makes room at any moment gets everything in order all the same."""
        transport, peer = self.connect()
        sock = transport.socket
        send = sock.send
        self.patch(sock, "send", lambda octets: send(octets[:1000]))
        pieces = [os.urandom(200_000)]
        transport.protocol.give(pieces, 200_000, 1)
        self.assertEqual(len(sock.taken) - self.seen[id(transport)], 1000)
        while transport.protocol.full:
            transport.writable()
        self.talk(transport, peer)
        self.assertEqual(peer.received, pieces[0])

    def test_confirmed_by_ciphertext(self) -> None:
        """What is acknowledged on the wire counts when it is the whole of a batch; counters are in plain octets."""
        transport, _ = self.connect()
        start = len(transport.socket.taken)
        ends = []
        for _ in range(3):
            self.take(2)
            ends.append((len(transport.socket.taken), self.spool.end))
        self.assertGreater(ends[0][0] - start, 2 * OCTETS)  # ciphertext is longer
        before = self.cursor.acknowledged
        for wire, position in ends:
            for octets in (wire - 1, wire):
                transport.socket.acknowledged = octets
                self.clock.advance(LOOK_S)
                expected = position if octets == wire else before
                self.assertEqual(self.cursor.acknowledged, expected)
            before = position
        self.pass_time(self.resend_window_s)
        self.assertEqual(self.uplink.status().confirmed, Amount(packets=6, octets=600))
        self.assertEqual(self.uplink.status().sent, Amount(packets=6, octets=600))

    def test_handshake_confirms_nothing(self) -> None:
        """The handshake's octets, acknowledged, are none of a packet's."""
        transport, _ = self.connect()
        transport.socket.acknowledged = len(transport.socket.taken)
        self.take(1)
        self.pass_time(10)
        self.assertEqual(self.cursor.acknowledged.packets, 0)

    def test_resent_after_a_loss(self) -> None:
        """What was not acknowledged goes again on the next connection, from the start of its batch."""
        later = TakingTransport()
        transport, _ = self.connect(later)
        self.take(1)
        wire = len(transport.socket.taken)
        self.take(1)
        self.take(1)
        transport.socket.acknowledged = wire + 20
        self.pass_time(self.resend_window_s + 1)
        transport.reset()
        self.pass_time(1)
        self.talk(later, second := self.peer(later))
        self.assertEqual(second.received, self.sent(1, 3))

    def test_hello(self) -> None:
        """The packet that goes first is none of the log's, and shifts nothing."""
        self.hello = lambda: b"HEP3-hello"
        transport, peer = self.connect()
        self.assertEqual(peer.received, b"HEP3-hello")
        self.take(1)
        transport.socket.acknowledged = len(transport.socket.taken) - 1
        self.pass_time(1)
        self.assertEqual(self.cursor.acknowledged.packets, 0)
        transport.socket.acknowledged = None
        self.pass_time(1)
        self.assertEqual(self.cursor.acknowledged.packets, 1)

    def test_peer_talks(self) -> None:
        """What a collector says is dropped, and session tickets are no trouble."""
        transport, peer = self.connect()
        peer.connection.send(b"hello" * 10_000)
        self.talk(transport, peer, peer.outgoing())
        self.take(1)
        self.talk(transport, peer)
        self.assertEqual(peer.received, self.sent(0, 1))

    def test_chatter(self) -> None:
        """A peer that has TLS itself talk without end, and reads nothing, is left; memory is bounded."""
        transport, peer = self.connect()
        transport.socket.room = 0
        self.take(1)
        protocol = transport.protocol
        protocol._channel.outgoing = lambda: bytes(10_000)
        peer.connection.send(b"x")
        record = peer.outgoing()
        for _ in range(20):
            if transport.ended:
                break
            self.patch(protocol._channel, "receive", lambda data: False)
            protocol.dataReceived(record)
            self.assertLess(sum(map(len, protocol._rest)), 80_000)
            self.assertLessEqual(len(protocol._rest), 1)
        self.assertTrue(transport.ended)
        self.assertEqual(self.uplink.status().losses["tls"], 1)


class EndingTests(TlsUplinkTestCase):
    """How a connection ends."""

    def stop(self) -> Any:
        stopped = Deferred.fromCoroutine(self.uplink.stop(8.0))
        self.pass_time(0.3)
        return stopped

    def test_consumed(self) -> None:
        """Stopping says so in TLS, then in TCP; the peer's own close_notify, or its FIN, means that it has read all."""
        for ending in ("close_notify", "fin"):
            self.setUp()
            transport, peer = self.connect()
            self.take(2)
            stopped = self.stop()
            self.assertTrue(transport.half_closed)
            taken = bytes(transport.socket.taken[self.seen[id(transport)] :])
            peer.take(taken)
            self.assertTrue(peer.ended)
            self.assertEqual(peer.received, self.sent(0, 2))
            self.assertNoResult(stopped)
            if ending == "fin":
                transport.peer_closes()
            else:
                transport.protocol.dataReceived(peer.close())
            self.successResultOf(stopped)
            self.assertEqual(self.cursor.position, self.spool.end)

    def test_reset(self) -> None:
        """A reset is not: what was not confirmed stays in the log."""
        transport, _ = self.connect()
        self.take(1)
        stopped = self.stop()
        transport.reset()
        self.successResultOf(stopped)
        self.assertEqual(self.cursor.position.packets, 0)

    def test_peer_closes_first(self) -> None:
        """A peer that closes, with or without close_notify, confirms nothing by it."""
        for ending in ("close_notify", "fin"):
            self.setUp()
            transport, peer = self.connect()
            self.take(1)
            self.talk(transport, peer)
            if ending == "fin":
                transport.peer_closes()
            else:
                transport.protocol.dataReceived(peer.close())
            self.assertTrue(transport.ended)
            self.assertEqual(self.cursor.position.packets, 0)
            self.assertEqual(self.uplink.status().losses["closed"], 1)

    def test_rejected_after_the_handshake(self) -> None:
        """
        In TLS 1.3 a server says only after our handshake that it does not accept us: nothing is lost by that, however
        often it happens, and the reason is told.
        """
        self.require()
        transports = [TakingTransport() for _ in range(9)]
        with self.lines() as lines:
            self.start(*transports)
            self.take(5)
            for transport in transports:
                while transport.protocol is None:
                    self.clock.advance(LOOK_S)
                peer = self.peer(transport)
                hello = len(transport.socket.taken)
                transport.protocol.dataReceived(peer.take(bytes(transport.socket.taken)))
                self.pass_time(0.4)  # so long is the way back; the peer's kernel acknowledges everything
                transport.protocol.dataReceived(peer.take(bytes(transport.socket.taken[hello:])))
                self.assertTrue(transport.ended)
        status = self.uplink.status()
        self.assertEqual((status.losses["tls"], status.confirmed), (9, Amount()))
        self.assertEqual(self.cursor.position.packets, 0)
        gone = [line for line in lines if "is gone" in line]
        self.assertEqual(len(gone), 1)
        self.assertIn("is gone (tls: it ended TLS with the alert 'certificate required': it wants a client", gone[0])
        self.assertLess(len(lines), 5)
