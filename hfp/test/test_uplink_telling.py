"""
Tests for `hfp.uplink.telling`, `hfp.uplink.losses` and `hfp.uplink.portion`, with an uplink around them: hints, loops,
what a remote cannot take; and the packet that goes first.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.trial.unittest import SynchronousTestCase

from hfp.status import Amount
from hfp.test.uplinkcase import UplinkTestCase
from hfp.test.uplinkfakes import TakingTransport
from hfp.uplink.losses import own_address
from hfp.uplink.telling import AT_ONCE_S, LASTED_S

NAME = "tcp:192.0.2.9:9060"


class HelloTests(UplinkTestCase):
    """The packet that goes first."""

    def test_first(self) -> None:
        """It goes first on each connection, made anew each time, and is none of the log's."""
        hellos = iter((b"HEP3 one", b"HEP3 two"))
        self.hello = lambda: next(hellos)
        first, second = TakingTransport(), TakingTransport()
        uplink = self.start(first, second)
        self.take(1)
        self.assertEqual(first.socket.taken, b"HEP3 one" + self.sent(0, 1))
        self.assertEqual(uplink.status().sent, Amount(packets=1, octets=100))
        first.reset()
        self.pass_time(1)
        self.assertEqual(second.socket.taken, b"HEP3 two" + self.sent(0, 1))

    def test_confirms_nothing(self) -> None:
        """Its octets, acknowledged, are none of a packet's."""
        self.hello = lambda: b"HEP3 hello"
        transport = TakingTransport()
        transport.socket.acknowledged = 109
        self.start(transport)
        self.take(1)
        self.pass_time(5)
        self.assertEqual(self.cursor.acknowledged.packets, 0)
        transport.socket.acknowledged = 110
        self.take(1)
        self.pass_time(5)
        self.assertEqual(self.cursor.acknowledged.packets, 1)

    def test_full_socket(self) -> None:
        """A socket that takes a part of it gets the rest before anything else."""
        self.hello = lambda: b"HEP3 hello"
        transport = TakingTransport(room=4)
        self.start(transport)
        self.take(1)
        self.assertEqual(transport.socket.taken, b"HEP3")
        transport.writable()
        self.assertEqual(transport.socket.taken, b"HEP3 hello" + self.sent(0, 1))


class HintTests(UplinkTestCase):
    """What it looks like when a collector does not want us."""

    def test_closes_at_once(self) -> None:
        """One that closes, or resets, at once: once the two usual ports are named, then it is summarised."""
        for ending in ("peer_closes", "reset"):
            self.setUp()
            transports = [TakingTransport() for _ in range(6)]
            with self.lines() as lines:
                self.start(*transports)
                self.take(1)
                for transport in transports[:-1]:
                    while transport.protocol is None:
                        self.clock.advance(0.1)
                    getattr(transport, ending)()
            hints = [line for line in lines if "ends each connection at once" in line]
            self.assertEqual(len(hints), 1)
            self.assertTrue(hints[0].startswith(f"warn: remote {NAME} ends each connection at once"), hints)
            self.assertIn("write tls: instead of tcp:", hints[0])
            self.assertIn("heplify-server's stock configuration speaks TLS (not plain TCP) on TCP port 9060", hints[0])
            self.assertIn("HOMER 11 takes plain TCP on 9061", hints[0])
            self.assertLess(len(lines), 7)
            with self.lines() as lines:
                self.clock.advance(61)
            self.assertTrue(any("held" in line or "more like this" in line for line in lines), lines)

    def test_no_hint(self) -> None:
        """One that lasted, or confirmed something, is none of those; each such loss is told by itself."""
        transports = [TakingTransport() for _ in range(4)]
        with self.lines() as lines:
            self.start(*transports)
            for transport in transports[:-1]:
                while transport.protocol is None:
                    self.clock.advance(0.1)
                self.take(1)
                self.pass_time(LASTED_S + 1)
                transport.reset()
        self.assertFalse(any("at once" in line for line in lines), lines)
        self.assertEqual(sum("is gone (reset" in line for line in lines), 3)
        self.assertEqual(sum("is connected" in line for line in lines), 3)

    def test_once_is_none(self) -> None:
        """A collector that is restarted just after hfp has connected is no such case."""
        transports = [TakingTransport() for _ in range(3)]
        with self.lines() as lines:
            self.start(*transports)
            self.take(1)
            transports[0].peer_closes()
            while transports[1].protocol is None:
                self.clock.advance(0.1)
            self.pass_time(AT_ONCE_S + 1)
            transports[1].peer_closes()
        self.assertFalse(any("at once" in line for line in lines), lines)

    def test_same_place(self) -> None:
        """One that took packets and then ends each connection at once may not be able to take the next; not TLS."""
        transports = [TakingTransport() for _ in range(6)]
        with self.lines() as lines:
            self.start(*transports)
            self.take(1)
            self.pass_time(self.resend_window_s + 1)
            self.take(1)
            for transport in transports[:-1]:
                while transport.protocol is None:
                    self.clock.advance(0.1)
                transport.peer_closes()
        self.assertEqual(sum("at the same place" in line for line in lines), 1, lines)
        self.assertFalse(any("TLS" in line for line in lines), lines)

    def test_something_confirmed(self) -> None:
        """A short connection on which something was confirmed is none either."""
        self.resend_window_s = 0.0
        with self.lines() as lines:
            transport = TakingTransport()
            self.start(transport)
            self.take(1)
            self.pass_time(0.5)
            transport.reset()
        self.assertFalse(any("at once" in line for line in lines), lines)

    def test_answers_in_tls(self) -> None:
        """One that answers plain packets with a TLS record, also octet by octet."""
        for record in (b"\x15\x03\x01\x00\x02\x02\x28", b"\x16\x03\x03\x00\x05hello"):
            for step in (1, 7):
                self.setUp()
                transport = TakingTransport()
                with self.lines() as lines:
                    self.start(transport)
                    for at in range(0, len(record), step):
                        transport.protocol.dataReceived(record[at : at + step])
                    transport.peer_closes()
                hints = [line for line in lines if "9061" in line]
                self.assertEqual(len(hints), 1, lines)
                self.assertIn("answers in TLS: that port is not for plain TCP; write tls: instead of tcp:", hints[0])

    def test_other_answers(self) -> None:
        """Anything else is dropped without a word."""
        transport = TakingTransport()
        with self.lines() as lines:
            self.start(transport)
            for octets in (b"\x15", b"\x14\x03", b"hello" * 1000, b"\x15\x03\x01"):
                transport.protocol.dataReceived(octets)
        self.assertEqual(len(lines), 1, lines)


class LoopTests(UplinkTestCase):
    """A remote that is one of hfp's own listeners."""

    own = ("tcp", "192.0.2.9", 9060)

    def loop(self) -> TakingTransport:
        transport = TakingTransport()
        transport.getHost = lambda: IPv4Address("TCP", "192.0.2.9", 40_000)  # type: ignore[method-assign]
        return transport

    def test_loop(self) -> None:
        """It gets nothing, is told loudly but once, and tried again more and more rarely: its name may change."""
        self.hello = lambda: b"hello"
        loops = [self.loop() for _ in range(20)]
        with self.lines() as lines:
            uplink = self.start(*loops)
            self.take(1)
            self.pass_time(30)
        tried = [transport for transport in loops if transport.protocol is not None]
        self.assertTrue(4 < len(tried) < 20, len(tried))
        for transport in tried:
            self.assertTrue(transport.ended)
            self.assertEqual(transport.socket.taken, b"")
        status = uplink.status()
        self.assertEqual((status.connects["loop"], status.connects["ok"]), (len(tried), 0))
        self.assertEqual(sum(status.losses.values()), 0)
        self.assertFalse(status.up)
        self.assertEqual(len(lines), 1)
        self.assertTrue(lines[0].startswith(f"critical: remote {NAME} leads back into this hfp"), lines)
        self.assertIn("192.0.2.9 port 9060 is one of this hfp's own listeners; correct --remote", lines[0])

    def test_no_loop_any_more(self) -> None:
        """When the name leads elsewhere, everything goes there."""
        later = TakingTransport()
        self.start(self.loop(), later)
        self.take(2)
        self.pass_time(1)
        self.assertEqual(later.socket.taken, self.sent(0, 2))

    def test_another_port(self) -> None:
        """Another program on this machine is no loop."""
        self.own = ("tcp", "192.0.2.9", 9061)
        transport = self.loop()
        self.start(transport)
        self.take(1)
        self.assertEqual(transport.socket.taken, self.sent(0, 1))


class OwnAddressTests(SynchronousTestCase):
    """`own_address`."""

    def test_addresses(self) -> None:
        """Connections that stay on this machine, in every form of an address."""
        for peer, host, expected in (
            ("192.0.2.9", "192.0.2.1", None),
            ("192.0.2.9", "192.0.2.9", "192.0.2.9"),
            ("127.0.0.5", "127.0.0.1", "127.0.0.5"),
            ("::1", "::1", "::1"),
            ("::ffff:192.0.2.9", "192.0.2.9", "192.0.2.9"),
            ("fe80::1%eth0", "fe80::1", "fe80::1"),
            ("fe80::1%eth0", "fe80::2%eth0", None),
        ):
            found = own_address(SimpleNamespace(host=peer), SimpleNamespace(host=host))
            self.assertEqual(found, expected, (peer, host))


class NotHep3Tests(UplinkTestCase):
    """Batches of datagrams, which a stream cannot carry."""

    def count(self) -> Any:
        return self.uplink.status().dropped["not-hep3"]

    def test_live(self) -> None:
        """They are passed over, counted, told once; the cursor goes on, and so does what follows."""
        transport = TakingTransport()
        with self.lines() as lines:
            self.start(transport)
            self.take(1)
            for _ in range(3):
                self.take_datagrams(b"hep1", b"hep2")
            self.take(1)
            self.pass_time(5)
        self.assertEqual(transport.socket.taken, self.sent(0, 2))
        self.assertEqual(self.count(), Amount(packets=6, octets=3 * (4 + 2 * 6)))
        self.assertEqual(self.uplink.status().sent, Amount(packets=2, octets=200))
        self.assertEqual(self.cursor.position, self.spool.end)
        told = [line for line in lines if "no HEP3" in line]
        self.assertEqual(len(told), 1)
        self.assertIn(
            f"critical: 2 packets that are no HEP3 are not sent to remote {NAME}: with --convert off", told[0]
        )

    def test_backlog(self) -> None:
        """From the log likewise, among others and alone; nothing is lost with them or counted as sent."""
        self.segment_octets = 1 << 16
        self.setUp()
        self.start(Refused(), TakingTransport())
        transport = self.endpoint.results[0]
        self.take_datagrams(b"first")
        self.take(2)
        self.take_datagrams(b"a", b"", b"c")
        self.take(1)
        self.take_datagrams(b"last")
        self.pass_time(5)
        self.assertEqual(transport.socket.taken, self.sent(0, 3))
        self.assertEqual(self.count().packets, 5)
        self.assertEqual(self.uplink.status().sent, Amount(packets=3, octets=300))
        self.assertEqual(self.uplink.status().confirmed, Amount(packets=3, octets=300))
        self.assertEqual(self.cursor.position, self.spool.end)
        self.assertEqual(self.uplink.status().lagging, Amount())

    def test_counted_once(self) -> None:
        """However often the same stretch of the log is sent, they count once."""
        self.segment_octets = 1 << 16
        self.setUp()
        transports = [TakingTransport() for _ in range(3)]
        self.start(*transports)
        self.take(1)
        self.take_datagrams(b"a", b"b")
        self.take(1)
        for transport in transports[:2]:
            self.pass_time(0.5)
            transport.reset()
        self.pass_time(1)
        self.assertEqual(transports[2].socket.taken, self.sent(0, 2))
        self.assertEqual(self.count().packets, 2)

    def test_only_those(self) -> None:
        """A log of nothing else is done with."""
        self.start(TakingTransport())
        self.take_datagrams(b"a")
        self.pass_time(5)
        self.assertEqual(self.cursor.position, self.spool.end)
        self.assertIsNone(self.uplink._look_timer)
