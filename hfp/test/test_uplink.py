"""
Tests for `hfp.uplink.uplink` and `hfp.uplink.protocol`: sending, confirming, losing.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer
from zope.interface.verify import verifyObject

from hfp.status import Amount
from hfp.test.spoolfakes import SimulatedFiles, Steps, open_spool
from hfp.test.uplinkcase import OCTETS, UplinkTestCase
from hfp.test.uplinkfakes import TakingTransport
from hfp.uplink import Uplink, uplink as module
from hfp.uplink.connection import IUplinkOwner
from hfp.uplink.uplink import LOOK_S


class SendingTests(UplinkTestCase):
    """What goes into the socket."""

    def test_interfaces(self) -> None:
        """The uplink and its protocol are what they say."""
        transport = TakingTransport()
        uplink = self.start(transport)
        verifyObject(IUplinkOwner, uplink)
        verifyObject(IPullProducer, transport.protocol)
        verifyObject(IHalfCloseableProtocol, transport.protocol)

    def test_live(self) -> None:
        """A batch is in the socket before ``offer`` returns; the log is not read for it."""
        transport = TakingTransport()
        uplink = self.start(transport)
        self.patch(uplink._reader, "read", lambda: self.fail("the log was read"))
        self.take(3)
        self.assertEqual(transport.socket.taken, self.sent(0, 3))
        self.assertEqual(uplink.status().sent, Amount(packets=3, octets=300))
        self.assertEqual(uplink.status().lagging, Amount())

    def test_backlog_first(self) -> None:
        """What came in while the collector was away goes first, in order, and without any new packet."""
        uplink = self.start(Refused(), TakingTransport())
        transport = self.endpoint.results[0]
        self.take(2)
        self.take(1)
        self.assertEqual(uplink.status().lagging, Amount(packets=3, octets=300))
        self.pass_time(1)
        self.assertEqual(transport.socket.taken, self.sent(0, 3))
        self.take(1)
        self.assertEqual(transport.socket.taken, self.sent(0, 4))
        self.assertEqual((uplink.status().drains, uplink.status().failed_drains), (1, 0))

    def test_full_socket(self) -> None:
        """A socket that takes a part gets the rest, and what came in meanwhile, octet for octet and in order."""
        transport = TakingTransport(room=150)
        uplink = self.start(transport)
        self.take(3)
        self.assertEqual(bytes(transport.socket.taken), self.sent(0, 3)[:150])
        self.assertTrue(transport.wants_writing)
        self.take(1)
        self.take(1)
        for _ in range(40):
            transport.writable(room=33)
        self.assertEqual(transport.socket.taken, self.sent(0, 5))
        self.take(1)
        transport.writable()
        self.assertEqual(transport.socket.taken, self.sent(0, 6))
        self.assertEqual(uplink.status().sent, Amount(packets=6, octets=600))
        self.assertEqual(uplink.status().resent, Amount())

    def test_nodelay_while_live(self) -> None:
        """Live packets do not wait for acknowledgements; a backlog's segments may."""
        transport = TakingTransport()
        self.start(transport)
        self.assertTrue(transport.nodelay)
        transport.socket.room = 50
        self.take(1)
        self.assertFalse(transport.nodelay)
        self.take(1)
        transport.writable()
        self.assertTrue(transport.nodelay)

    def test_memory_of_a_full_socket(self) -> None:
        """However much comes in while the socket is full, only the rest of one batch is held."""
        transport = TakingTransport(room=0)
        self.start(transport)
        for _ in range(50):
            self.take(1)
        self.assertEqual(sum(map(len, transport.protocol._rest)), OCTETS)

    def test_turns(self) -> None:
        """A long backlog leaves the reactor its turns: the socket is asked for in between."""
        self.patch(module, "TURN_OCTETS", 250)
        self.start(Refused(), TakingTransport())
        transport = self.endpoint.results[0]
        self.uplink._readers = (self.cursor.reader(300), self.cursor.reader(300))
        for _ in range(10):
            self.take(1)
        self.pass_time(1)
        self.assertLess(len(transport.socket.taken), 1000)
        transport.writable()
        self.assertEqual(transport.socket.taken, self.sent(0, 10))

    def test_two_uplinks(self) -> None:
        """A remote that is away delays no other, and each gets everything."""
        first = self.start(TakingTransport())
        transport = self.patched(first)
        other_cursor, self.cursor = self.cursor, self.spool.cursor("tcp:192.0.2.10:9060")
        del other_cursor
        second = self.start(Refused(), TakingTransport())
        late = self.endpoint.results[0]
        self.uplink = first
        octets = self.take(2)
        second.offer([octets], 200, 2, self.spool.end)
        self.assertEqual(transport.socket.taken, self.sent(0, 2))
        self.pass_time(1)
        self.assertEqual(late.socket.taken, self.sent(0, 2))

    def patched(self, uplink: Uplink) -> TakingTransport:
        transport: Any = uplink._protocol.transport
        return transport  # type: ignore[no-any-return]


class SyncedTests(UplinkTestCase):
    """With a sync interval of 0."""

    sync_s = 0.0

    def test_only_what_is_durable(self) -> None:
        """Nothing is sent before it is on disk, and then it is."""
        steps = Steps()
        self.spool = open_spool(SimulatedFiles(), clock=self.clock, sync_s=0.0, in_thread=steps)
        steps.run()
        self.cursor = self.spool.cursor("a")
        transport = TakingTransport()
        self.start(transport)
        self.take(2)
        self.assertEqual(transport.socket.taken, b"")
        steps.run()
        transport.writable()
        self.assertEqual(transport.socket.taken, self.sent(0, 2))
        self.take(1)
        steps.run()
        self.assertEqual(transport.socket.taken, self.sent(0, 3))

    def test_resent_without_anything_new(self) -> None:
        """After a loss what was not confirmed goes again at once, although nothing new came in."""
        first, second = TakingTransport(), TakingTransport()
        self.start(first, second)
        self.take(2)
        first.writable()
        first.reset()
        self.pass_time(1)
        self.assertEqual(second.socket.taken, self.sent(0, 2))


class ConfirmingTests(UplinkTestCase):
    """What the cursor is told."""

    def test_acknowledged_soon_confirmed_later(self) -> None:
        """The cursor acknowledges what the peer's kernel has, and moves when the resend window has passed."""
        transport = TakingTransport()
        uplink = self.start(transport)
        self.take(2)
        end = self.spool.end
        self.clock.advance(LOOK_S)
        self.assertEqual(self.cursor.acknowledged, end)
        self.assertEqual(self.cursor.position.packets, 0)
        self.pass_time(self.resend_window_s)
        self.assertEqual(self.cursor.position, end)
        self.assertEqual(uplink.status().confirmed, Amount(packets=2, octets=200))

    def test_not_acknowledged(self) -> None:
        """What only stands in the socket is not acknowledged, for however long."""
        transport = TakingTransport()
        transport.socket.acknowledged = 150
        self.start(transport)
        self.take(1)
        self.take(1)
        self.pass_time(30)
        self.assertEqual((self.cursor.acknowledged.packets, self.cursor.position.packets), (1, 1))

    def test_no_timer_when_idle(self) -> None:
        """When everything is confirmed no timer of the uplink's runs."""
        self.start(TakingTransport())
        self.take(1)
        self.pass_time(10)
        self.assertIsNone(self.uplink._look_timer)
        self.take(1)
        self.assertIsNotNone(self.uplink._look_timer)


class LosingTests(UplinkTestCase):
    """What happens when a connection ends."""

    def lose_after(self, idle_s: float, taken: int = 3) -> tuple[TakingTransport, TakingTransport]:
        first, second = TakingTransport(), TakingTransport()
        self.start(first, second)
        for _ in range(taken):
            self.take(1)
        self.pass_time(idle_s)
        return first, second

    def test_recent_is_resent(self) -> None:
        """What was acknowledged within the resend window goes again, whole packets in order; then what is new."""
        first, second = self.lose_after(0.5)
        first.reset()
        self.take(1)
        self.pass_time(1)
        self.assertEqual(second.socket.taken, self.sent(0, 4))
        status = self.uplink.status()
        self.assertEqual(status.resent, Amount(packets=3, octets=300))
        self.assertEqual(status.sent, Amount(packets=4, octets=400))
        self.assertEqual(status.losses["reset"], 1)

    def test_old_is_not(self) -> None:
        """What was acknowledged longer ago does not go again."""
        first, second = self.lose_after(self.resend_window_s + 0.5)
        self.take(1)
        first.reset()
        self.pass_time(1)
        self.assertEqual(second.socket.taken, self.sent(3, 4))

    def test_unacknowledged_is(self) -> None:
        """What was never acknowledged goes again however old, from the start of its record."""
        first, second = TakingTransport(), TakingTransport()
        first.socket.acknowledged = 250
        self.start(first, second)
        for _ in range(4):
            self.take(1)
        self.pass_time(60)
        first.reset()
        self.pass_time(1)
        self.assertEqual(second.socket.taken, self.sent(2, 4))

    def test_half_sent_record(self) -> None:
        """A record that was cut by the loss is sent whole on the next connection."""
        first, second = TakingTransport(room=120), TakingTransport()
        self.start(first, second)
        self.take(3)
        first.reset()
        self.pass_time(1)
        self.assertEqual(second.socket.taken, self.sent(0, 3))

    def test_last_look(self) -> None:
        """What the kernel knew at the end of the connection counts, although the socket is closed by then."""
        self.resend_window_s = 0.0
        first, second = TakingTransport(), TakingTransport()
        self.start(first, second)
        self.take(2)
        first.reset()  # before any look
        self.assertEqual(self.cursor.position.packets, 2)
        self.assertEqual(first.socket.duplicates, 0)

    def test_at_risk_again(self) -> None:
        """After a loss what had been acknowledged needs the disk again."""
        first, _ = self.lose_after(0.5)
        self.assertEqual(self.cursor.acknowledged.packets, 3)
        first.reset()
        self.assertEqual(self.cursor.acknowledged.packets, 0)

    def test_peer_closes(self) -> None:
        """A collector that closes is left, and connected to again."""
        first, second = self.lose_after(0.5)
        first.peer_closes()
        self.assertTrue(first.ended)
        self.pass_time(1)
        self.assertEqual(second.socket.taken, self.sent(0, 3))
        self.assertEqual(self.uplink.status().losses["closed"], 1)

    def test_broken_socket(self) -> None:
        """A send that fails loses nothing: the connection's end follows, and everything goes again."""
        first, second = TakingTransport(), TakingTransport()
        self.start(first, second)
        self.take(1)
        first.socket.broken = True
        self.take(1)
        self.take(1)
        first.reset()
        self.pass_time(1)
        self.assertEqual(second.socket.taken, self.sent(0, 3))

    def test_failed_drain(self) -> None:
        """A connection that is lost before the backlog is through is counted so."""
        self.start(Refused(), TakingTransport(room=150))
        transport = self.endpoint.results[0]
        self.take(3)
        self.pass_time(1)
        transport.reset()
        self.assertEqual((self.uplink.status().drains, self.uplink.status().failed_drains), (0, 1))

    def test_flapping_makes_progress(self) -> None:
        """A collector whose connections are all shorter than the resend window gets everything all the same."""
        transports = [TakingTransport() for _ in range(12)]
        self.start(*transports)
        for _ in range(40):
            self.take(1)
        for transport in transports[:-1]:
            while transport.protocol is None:
                self.clock.advance(LOOK_S / 2)
            transport.socket.room = 0
            self.pass_time(1)
            transport.reset()
        self.assertGreater(self.cursor.position.packets, 0)

    def test_live_again_after_flapping(self) -> None:
        """Once a connection has lasted for the resend window, packets are sent from memory as they come in."""
        first, second = TakingTransport(), TakingTransport()
        self.start(first, second)
        self.take(1)
        self.pass_time(1)
        first.reset()
        self.pass_time(self.resend_window_s + 1)
        self.take(1)
        self.pass_time(2 * LOOK_S)
        self.patch(self.uplink._readers[0], "read", lambda: self.fail("the log was read"))
        self.patch(self.uplink._readers[1], "read", lambda: self.fail("the log was read"))
        self.take(1)
        self.assertEqual(second.socket.taken, self.sent(0, 3))

    def test_window_is_whole_again(self) -> None:
        """After a connection that lasted the resend window is what it was."""
        first, second, third = TakingTransport(), TakingTransport(), TakingTransport()
        self.start(first, second, third)
        self.take(1)
        self.pass_time(1)
        first.reset()
        self.pass_time(8)
        second.reset()
        self.pass_time(1)
        self.take(1)
        self.pass_time(self.resend_window_s - 0.5)
        self.assertEqual(self.cursor.position.packets, 1)

    def test_drop_while_away(self) -> None:
        """Where the log has dropped what was to be sent, sending goes on behind it."""
        first, second = TakingTransport(), TakingTransport()
        self.start(first, second)
        self.take(1)
        self.take(1)
        first.reset()
        self.cursor.confirm(self.spool.end)  # as if it had been dropped
        self.take(1)
        self.pass_time(1)
        self.assertEqual(second.socket.taken, self.sent(2, 3))
