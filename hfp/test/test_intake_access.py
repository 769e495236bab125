"""
Tests for `hfp.intake.access` and `hfp.intake.deadlines`: who may send, and how long it may take.
"""

from __future__ import annotations

from ipaddress import ip_network

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hfp.intake import HepReceiverFactory, ReadPool
from hfp.intake.access import MOST_HOSTS, Access, plain_host
from hfp.test.intakefakes import ListSink, PairTransport, WatchingClock, packet, told


class AccessTests(SynchronousTestCase):
    """Networks and numbers."""

    def access(self, *allow: str, most: int = 0, most_per_host: int = 0) -> Access:
        repeats, self.lines = told(Clock())
        return Access([ip_network(text) for text in allow], most, most_per_host, repeats)

    def test_everybody(self) -> None:
        """Without a rule everybody may send."""
        access = self.access()
        self.assertTrue(access.allows("192.0.2.1") and access.allows("2001:db8::1"))
        self.assertFalse(access.restricted)

    def test_networks(self) -> None:
        """With rules, those in one of the networks, of either family."""
        access = self.access("192.0.2.0/24", "2001:db8::/32", "198.51.100.7")
        for host, allowed in {
            "192.0.2.255": True,
            "192.0.3.0": False,
            "198.51.100.7": True,
            "198.51.100.8": False,
            "2001:db8:ffff::1": True,
            "2001:db9::": False,
            "fe80::1%eth0": False,
        }.items():
            for _ in range(2):  # the second time from memory
                self.assertEqual(access.allows(host), allowed, host)

    def test_one_family(self) -> None:
        """A rule for one family lets nobody of the other in."""
        self.assertFalse(self.access("0.0.0.0/0").allows("::1"))
        self.assertFalse(self.access("::/0").allows("127.0.0.1"))

    def test_mapped(self) -> None:
        """IPv4 that is written as IPv6 is IPv4, in a peer's address and in a rule."""
        self.assertEqual(plain_host("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(plain_host("::ffff:1:2"), "::ffff:1:2")
        access = self.access("::ffff:192.0.2.0/120")
        self.assertTrue(access.allows("192.0.2.77"))
        self.assertFalse(access.allows("192.0.3.77"))

    def test_bounded_memory(self) -> None:
        """Ever new hosts don't fill the memory."""
        access = self.access("192.0.2.0/24")
        for i in range(MOST_HOSTS + 10):
            access.allows(f"10.0.{i // 256}.{i % 256}")
        self.assertLessEqual(len(access._allowed), MOST_HOSTS)
        self.assertTrue(access.allows("192.0.2.1"))

    def test_refused(self) -> None:
        """A connection that is refused is counted by reason, and logged once for each host."""
        access = self.access("192.0.2.0/24")
        self.assertTrue(access.admits("192.0.2.1"))
        for host in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
            self.assertFalse(access.admits(host))
        self.assertEqual(access.refused, {"not-allowed": 3, "max-connections": 0, "max-connections-per-host": 0})
        self.assertEqual(len(self.lines), 2)
        self.assertIn("10.0.0.1", self.lines[0])
        self.assertIn("--allow", self.lines[0])

    def test_most_per_host(self) -> None:
        """So many connections of one host, and again when one has ended."""
        access = self.access(most_per_host=2)
        for host in ("a", "a", "b"):
            self.assertTrue(access.admits(host))
            access.opened(host)
        self.assertFalse(access.admits("a"))
        self.assertTrue(access.admits("b"))
        self.assertEqual(access.refused["max-connections-per-host"], 1)
        self.assertIn("--max-connections-per-host", self.lines[0])
        access.closed("a")
        self.assertTrue(access.admits("a"))

    def test_most(self) -> None:
        """So many connections in all, and again when one has ended."""
        access = self.access(most=2)
        access.opened("a")
        access.opened("b")
        self.assertFalse(access.admits("c"))
        self.assertEqual(access.refused["max-connections"], 1)
        self.assertIn("raise --max-connections if", self.lines[0])
        access.closed("a")
        self.assertTrue(access.admits("c"))

    def test_hosts_are_forgotten(self) -> None:
        """A host whose connections have ended takes no memory."""
        access = self.access()
        access.opened("a")
        access.closed("a")
        self.assertEqual((len(access._open), access.connections), (0, 0))


class ReceiverCase(SynchronousTestCase):
    """A factory behind access rules, with deadlines."""

    def build(self, *allow: str, most: int = 0, most_per_host: int = 0, deadline_s: float = 0.0) -> None:
        self.clock = WatchingClock()
        self.sink = ListSink()
        self.pool = ReadPool(self.clock, self.sink)
        self.repeats, self.lines = told(self.clock)
        self.access = Access([ip_network(text) for text in allow], most, most_per_host, self.repeats)
        self.factory = HepReceiverFactory(self.pool, self.clock, self.repeats, self.access, deadline_s=deadline_s)
        self.addCleanup(self.factory.deadlines.stop)
        self.addCleanup(self.pool.stop)

    def connect(self) -> PairTransport:
        transport = PairTransport(self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 4)))
        self.addCleanup(transport.close)
        return transport


class AdmissionTests(ReceiverCase):
    """The rules at the TCP port."""

    def test_not_allowed(self) -> None:
        """Twisted is told to close the connection of a host that may not send."""
        self.build("192.0.2.0/24", "2001:db8::/32")
        for address in (IPv4Address("TCP", "10.0.0.1", 1), IPv6Address("TCP", "::ffff:10.0.0.1", 1)):
            self.assertIsNone(self.factory.buildProtocol(address))
        for host in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"):
            self.assertIsNotNone(self.factory.buildProtocol(IPv6Address("TCP", host, 1)))
        self.assertEqual(self.access.refused["not-allowed"], 2)

    def test_numbers(self) -> None:
        """Connections count from when they are made until they are lost, whoever ends them."""
        self.build(most=2)
        first, second = self.connect(), self.connect()
        address = IPv4Address("TCP", "192.0.2.9", 4)
        self.assertIsNone(self.factory.buildProtocol(address))
        first.far.close()
        self.clock.wake()
        self.assertIsNotNone(self.factory.buildProtocol(address))
        second.protocol.close()
        second.finish()
        self.assertEqual(self.access.connections, 0)


class DeadlineTests(ReceiverCase):
    """Connections that take too long."""

    def test_first_packet(self) -> None:
        """A connection that brings no whole packet is closed after the time, not before; it is counted and told."""
        self.build(deadline_s=30)
        transport = self.connect()
        transport.far.sendall(packet(b"a")[:99])
        self.clock.wake()
        self.clock.pump([1] * 30)
        self.assertFalse(transport.aborted)
        self.clock.pump([1] * 2)
        self.assertTrue(transport.aborted)
        transport.finish()
        self.assertEqual(self.factory.deadlines.missed, {"first-packet": 1, "whole-packet": 0})
        self.assertEqual((self.factory.connected, len(self.pool)), (0, 0))
        [line] = self.lines
        self.assertIn("closed a connection of sender 192.0.2.1, which has sent no whole packet", line)
        self.assertEqual(sum(self.factory.invalid.values()), 0)

    def test_idle(self) -> None:
        """A connection that has brought a packet may be idle for ever."""
        self.build(deadline_s=30)
        transport = self.connect()
        transport.far.sendall(packet(b"a"))
        self.clock.wake()
        self.clock.pump([1] * 500)
        self.assertFalse(transport.disconnecting)

    def test_whole_packet(self) -> None:
        """A packet that has begun must be complete in time, however slowly it drips in."""
        self.build(deadline_s=30)
        transport = self.connect()
        transport.far.sendall(packet(b"a"))
        self.clock.wake()
        self.clock.pump([1] * 100)
        for i in range(30):
            transport.far.sendall(packet(b"b")[i : i + 1])
            self.clock.wake()
            self.clock.advance(1)
        self.assertFalse(transport.aborted)
        self.clock.pump([1] * 3)
        self.assertTrue(transport.aborted)
        self.assertEqual(self.factory.deadlines.missed, {"first-packet": 0, "whole-packet": 1})

    def test_always_in_a_packet(self) -> None:
        """A busy stream of which a part of a packet is there at every look is not late."""
        self.build(deadline_s=30)
        transport = self.connect()
        octets = packet(b"a")
        transport.far.sendall(octets[:50])
        for _ in range(100):
            transport.far.sendall(octets[50:] + octets[:50])
            self.clock.wake()
            self.clock.advance(1)
        self.assertFalse(transport.disconnecting)

    def test_paused(self) -> None:
        """While the pool is paused no time passes for the senders."""
        self.build(deadline_s=30)
        transport = self.connect()
        self.clock.pump([1] * 20)
        self.pool.pause()
        self.clock.pump([1] * 1000)
        self.pool.resume()
        self.clock.pump([1] * 10)
        self.assertFalse(transport.aborted)
        self.clock.pump([1] * 3)
        self.assertTrue(transport.aborted)

    def test_short(self) -> None:
        """A short deadline is kept as well: never early, and not late by more than half."""
        self.build(deadline_s=0.4)
        transport = self.connect()
        self.clock.pump([0.05] * 8)
        self.assertFalse(transport.aborted)
        self.clock.pump([0.05] * 5)
        self.assertTrue(transport.aborted)

    def test_no_timer_without_senders(self) -> None:
        """Without connections nothing runs; and none with deadlines off."""
        self.build(deadline_s=30)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        transport = self.connect()
        transport.far.close()
        self.clock.wake()
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.build(deadline_s=0)
        self.connect()
        self.assertEqual(self.clock.getDelayedCalls(), [])
