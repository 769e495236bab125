"""
Tests for `hfp.uplink.uplink`: collectors that take nothing, backlogs that are paced, and stopping.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refused

from hfp.test.uplinkcase import UplinkTestCase
from hfp.test.uplinkfakes import TakingTransport
from hfp.uplink.liveness import DEAD_S, STALL_S


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
        self.uplink._readers = (self.cursor.reader(148), self.cursor.reader(148))
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
