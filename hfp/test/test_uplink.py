"""
Tests for `hfp.uplink.uplink` and `hfp.uplink.protocol`: a real spool on a simulated disk, a clock, and a socket that
takes as much as it is told to.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hfp.logs import Logger, Repeats
from hfp.status import Amount
from hfp.test.spoolfakes import NOW_S, SimulatedFiles, body, clock, open_spool
from hfp.test.uplinkfakes import ListedEndpoint, TakingTransport
from hfp.uplink import Uplink, UplinkSettings, uplink as module
from hfp.uplink.liveness import DEAD_S
from hfp.uplink.protocol import IUplinkOwner
from hfp.uplink.uplink import LOOK_S, STALL_S

OCTETS = 100


class UplinkTestCase(SynchronousTestCase):
    """A spool, and an uplink with a list of transports that its attempts to connect bring."""

    resend_window_s = 2.0
    replay_rate_octets = 0
    sync_s = 0.2

    def setUp(self) -> None:
        self.clock = clock()
        self.spool = open_spool(SimulatedFiles(), clock=self.clock, sync_s=self.sync_s)
        self.next = 0
        self.cursor = self.spool.cursor("tcp:192.0.2.9:9060")

    def time_ns(self) -> int:
        return int(self.clock.seconds() * 1e9)

    def make(self, *results: Any) -> Uplink:
        for result in results:
            if isinstance(result, TakingTransport):
                self.patch_info(result)
        self.endpoint = ListedEndpoint(*results)
        self.uplink = Uplink(
            self.cursor,
            self.spool,
            self.endpoint,
            UplinkSettings(resend_window_s=self.resend_window_s, replay_rate_octets=self.replay_rate_octets),
            self.clock,
            Repeats(Logger(), self.clock),
        )
        return self.uplink

    def patch_info(self, transport: TakingTransport) -> None:
        from hfp.uplink import protocol

        self.patch(protocol, "tcp_info", lambda socket: socket.info())

    def start(self, *results: Any) -> Uplink:
        uplink = self.make(*results)
        uplink.start()
        return uplink

    def take(self, count: int = 1) -> bytes:
        """What the relay does with a batch of *count* packets; returns its octets."""
        octets = b"".join(body(self.next + number, OCTETS) for number in range(count))
        self.next += count
        end = self.spool.append([octets[:30], octets[30:]], len(octets), count, self.time_ns())
        self.uplink.offer([octets[:30], octets[30:]], len(octets), count, end)
        return octets

    def sent(self, first: int, behind: int) -> bytes:
        """Packets *first* up to, but without, *behind*."""
        return b"".join(body(number, OCTETS) for number in range(first, behind))

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([LOOK_S / 2] * int(2 * seconds / LOOK_S + 2))


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
        self.uplink._reader = self.cursor.reader(300)
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
        transport: Any = uplink._protocol.transport  # type: ignore[union-attr]
        return transport  # type: ignore[no-any-return]


class SyncedTests(UplinkTestCase):
    """With a sync interval of 0."""

    sync_s = 0.0

    def test_only_what_is_durable(self) -> None:
        """Nothing is sent before it is on disk, and then it is."""
        from hfp.test.spoolfakes import Steps

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


class DeadOrStalledTests(UplinkTestCase):
    """Collectors that take nothing."""

    def test_dead(self) -> None:
        """A peer that answers nothing is left, and everything goes again on the next connection."""
        first, second = TakingTransport(), TakingTransport()
        first.socket.acknowledged = 0
        self.start(first, second)
        self.take(1)
        self.pass_time(5)
        first.socket.info_changes = {"retransmits": 3, "last_ack_ms": int(DEAD_S * 1000)}
        self.pass_time(1)
        self.assertTrue(first.ended)
        self.pass_time(1)
        self.assertEqual(second.socket.taken, self.sent(0, 1))
        self.assertEqual(self.uplink.status().losses["dead"], 1)

    def test_stalled(self) -> None:
        """A peer with a closed window that answers is waited for, for ever, and named."""
        transport = TakingTransport(room=150)
        transport.socket.acknowledged = 100
        transport.socket.info_changes = {"not_sent": 50, "window": 0, "last_ack_ms": 60_000}
        uplink = self.start(transport)
        self.take(2)
        self.pass_time(STALL_S + 1)
        self.assertTrue(uplink.status().stalled)
        self.pass_time(100)
        self.assertFalse(transport.ended)
        transport.socket.info_changes = {}
        transport.socket.acknowledged = None
        transport.writable()
        self.pass_time(1)
        self.assertFalse(uplink.status().stalled)
        self.assertEqual(transport.socket.taken, self.sent(0, 2))

    def test_stalled_confirms_nothing(self) -> None:
        """What a stalled collector's kernel took is resent when the collector is then killed."""
        first, second = TakingTransport(), TakingTransport()
        self.start(first, second)
        first.socket.window = 0
        self.take(3)
        self.pass_time(100)
        first.reset()
        self.pass_time(1)
        self.assertEqual(second.socket.taken, self.sent(0, 3))


class ReplayRateTests(UplinkTestCase):
    """``--replay-rate``."""

    replay_rate_octets = 1000

    def test_backlog_is_paced(self) -> None:
        """A backlog goes at the rate; then the uplink is live again."""
        self.start(Refused(), TakingTransport())
        self.uplink._reader = self.cursor.reader(148)
        transport = self.endpoint.results[0]
        self.clock.advance(0)
        for _ in range(30):
            self.take(1)
        [call] = [call for call in self.clock.getDelayedCalls() if "connect" in str(call)]
        call.delay(10)
        self.pass_time(9)
        self.pass_time(2)
        started = len(transport.socket.taken)
        self.pass_time(1)
        self.assertTrue(900 <= len(transport.socket.taken) - started <= 1300, len(transport.socket.taken) - started)
        self.pass_time(3)
        self.assertEqual(transport.socket.taken, self.sent(0, 30))
        self.take(5)
        self.assertEqual(transport.socket.taken, self.sent(0, 35))

    def test_hiccup_is_not(self) -> None:
        """What waited only for a moment is no backlog."""
        transport = TakingTransport(room=50)
        self.start(transport)
        for _ in range(50):
            self.take(1)
        for _ in range(60):
            transport.writable()
        self.assertEqual(transport.socket.taken, self.sent(0, 50))


class StoppingTests(UplinkTestCase):
    """`Uplink.stop`."""

    def stop(self, within_s: float = 8.0) -> Deferred[None]:
        return Deferred.fromCoroutine(self.uplink.stop(within_s))

    def test_consumed(self) -> None:
        """A collector that closes after our half-close has read everything: nothing will be sent again."""
        transport = TakingTransport()
        self.start(transport)
        self.take(2)
        stopped = self.stop()
        self.pass_time(0.3)
        self.assertTrue(transport.half_closed)
        self.assertNoResult(stopped)
        transport.peer_closes()
        self.successResultOf(stopped)
        self.assertEqual(self.cursor.position, self.spool.end)
        self.assertEqual(self.uplink.status().losses, dict.fromkeys(self.uplink.status().losses, 0))
        self.pass_time(100)
        self.assertEqual(self.endpoint.attempts, 1)

    def test_rest_first(self) -> None:
        """What the log still holds is sent before the half-close."""
        transport = TakingTransport(room=150)
        self.start(transport)
        for _ in range(3):
            self.take(1)
        stopped = self.stop()
        self.pass_time(0.3)
        self.assertFalse(transport.half_closed)
        transport.writable()
        self.pass_time(0.3)
        self.assertEqual(transport.socket.taken, self.sent(0, 3))
        self.assertTrue(transport.half_closed)
        transport.peer_closes()
        self.successResultOf(stopped)

    def test_peer_never_closes(self) -> None:
        """A collector that does not close is left when the time is up; the resend window stays unconfirmed."""
        transport = TakingTransport()
        self.start(transport)
        self.take(1)
        stopped = self.stop(8.0)
        self.pass_time(7.5)
        self.assertNoResult(stopped)
        self.pass_time(1.0)
        self.successResultOf(stopped)
        self.assertTrue(transport.ended)

    def test_peer_takes_nothing(self) -> None:
        """A collector whose socket is full in the middle of a record is left at the end of the time."""
        transport = TakingTransport(room=150)
        transport.socket.acknowledged = 0
        self.start(transport)
        self.take(2)
        stopped = self.stop(8.0)
        self.pass_time(8.5)
        self.successResultOf(stopped)
        self.assertFalse(transport.half_closed)
        self.assertTrue(transport.ended)
        self.assertEqual(self.cursor.position.packets, 0)

    def test_reset_at_the_end(self) -> None:
        """A reset in answer to the half-close means unread data: it stays in the log."""
        transport = TakingTransport()
        self.start(transport)
        self.take(1)
        stopped = self.stop()
        self.pass_time(0.3)
        transport.reset()
        self.successResultOf(stopped)
        self.assertEqual(self.cursor.position.packets, 0)

    def test_not_connected(self) -> None:
        """An uplink that is down stops at once, and connects no more."""
        self.start(Refused())
        self.successResultOf(self.stop())
        self.pass_time(100)
        self.assertEqual(self.endpoint.attempts, 1)

    def test_while_connecting(self) -> None:
        """An attempt under way is given up."""
        self.start()
        self.successResultOf(self.stop())
        self.assertEqual(self.endpoint.cancelled, 1)


class NowTests(SynchronousTestCase):
    """The stand-ins."""

    def test_clock(self) -> None:
        """The clock starts at a Unix time, as the spool wants it."""
        self.assertEqual(clock().seconds(), NOW_S)
