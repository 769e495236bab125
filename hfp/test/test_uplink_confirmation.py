"""
Tests for `hfp.uplink.confirmation` and `hfp.uplink.liveness`.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from hfp.spool import Position
from hfp.uplink.confirmation import RESEND_LIMIT, Confirmation
from hfp.uplink.liveness import DEAD_S, Life, judge
from hfp.uplink.tcpinfo import TcpInfo, tcp_info

OPEN = 65_536


def at(packets: int) -> Position:
    """The position behind *packets* packets of 100 octets each."""
    return Position(1, 64 + 148 * packets, packets, 100 * packets)


class ConfirmationTests(SynchronousTestCase):
    """What is acknowledged, and what is confirmed."""

    def setUp(self) -> None:
        self.confirmation = Confirmation(at(0), 2.0, 1000.0)
        for packets in (1, 2, 3):
            self.confirmation.sent((100 * packets, packets, at(packets)))

    def test_acknowledged_on_a_boundary(self) -> None:
        """What is acknowledged ends at a record's end, never inside one."""
        self.confirmation.look(99, OPEN, 1000.1)
        self.assertEqual(self.confirmation.acknowledged, at(0))
        self.confirmation.look(250, OPEN, 1000.2)
        self.assertEqual(self.confirmation.acknowledged, at(2))
        self.assertFalse(self.confirmation.all_acknowledged)
        self.confirmation.look(300, OPEN, 1000.3)
        self.assertEqual(self.confirmation.acknowledged, at(3))
        self.assertTrue(self.confirmation.all_acknowledged)

    def test_confirmed_after_the_window(self) -> None:
        """What was acknowledged is confirmed when the connection has lived on for the resend window."""
        self.confirmation.look(100, OPEN, 1000.5)
        self.confirmation.look(300, OPEN, 1001.5)
        self.confirmation.look(300, OPEN, 1002.4)
        self.assertEqual(self.confirmation.confirmed, at(0))
        self.confirmation.look(300, OPEN, 1002.5)
        self.assertEqual(self.confirmation.confirmed, at(1))
        self.confirmation.look(300, OPEN, 1003.5)
        self.assertEqual(self.confirmation.confirmed, at(3))
        self.assertFalse(self.confirmation.waiting)

    def test_no_window(self) -> None:
        """A resend window of 0 confirms what is acknowledged at once."""
        confirmation = Confirmation(at(0), 0.0, 1000.0)
        confirmation.sent((100, 1, at(1)))
        confirmation.look(100, OPEN, 1000.1)
        self.assertEqual(confirmation.confirmed, at(1))

    def test_clock_stands_still_while_the_window_is_closed(self) -> None:
        """What a collector's kernel took before the collector stopped reading grows no more certain by waiting."""
        self.confirmation.look(300, OPEN, 1001.0)
        for second in range(2, 3000):
            self.confirmation.look(300, 0, 1000.0 + second)
        self.assertEqual(self.confirmation.confirmed, at(0))
        self.confirmation.look(300, OPEN, 4000.0)  # it reads again: from now on the clock runs
        self.confirmation.look(300, OPEN, 4001.1)
        self.assertEqual(self.confirmation.confirmed, at(3))

    def test_unknown_window(self) -> None:
        """Where the kernel does not tell the window, the clock always runs."""
        self.confirmation.look(300, -1, 1000.1)
        self.confirmation.look(300, -1, 1002.2)
        self.assertEqual(self.confirmation.confirmed, at(3))

    def test_smaller_window_for_good(self) -> None:
        """A peer that keeps a smaller window from some time on is not taken for stalled for ever."""
        self.confirmation.look(0, 10 * OPEN, 1000.1)
        now = 1000.1
        for _ in range(3000):
            now += 0.1
            self.confirmation.look(300, OPEN, now)
        self.assertEqual(self.confirmation.confirmed, at(3))

    def test_bounded(self) -> None:
        """However long the window stays closed, only a bounded number of octets stays unconfirmed."""
        confirmation = Confirmation(at(0), 2.0, 1000.0)
        step = 1024 * 1024
        for mebi in range(1, 100):
            position = Position(mebi, 64, mebi, mebi * step)
            confirmation.sent((mebi * step, mebi, position))
            confirmation.look(mebi * step, 0, 1000.0 + mebi)
            behind = position.octets - confirmation.confirmed.octets
            self.assertLessEqual(behind, RESEND_LIMIT + step)
        self.assertGreater(confirmation.confirmed.octets, 0)

    def test_consumed(self) -> None:
        """A clean end from the peer confirms everything."""
        self.confirmation.look(100, OPEN, 1000.1)
        self.confirmation.consume()
        self.assertEqual(self.confirmation.confirmed, at(3))
        self.assertEqual(self.confirmation.take_confirmed(), (3, 300))
        self.assertFalse(self.confirmation.waiting)

    def test_counts(self) -> None:
        """Confirmed packets and octets are told once."""
        self.confirmation.look(200, OPEN, 1000.1)
        self.confirmation.look(200, OPEN, 1003.0)
        self.assertEqual(self.confirmation.take_confirmed(), (2, 200))
        self.assertEqual(self.confirmation.take_confirmed(), (0, 0))


class LivenessTests(SynchronousTestCase):
    """`judge` tells dead from stalled."""

    def info(self, **changes: int) -> TcpInfo:
        fields = {
            "retransmits": 0, "probes": 0, "unacked": 0, "last_ack_ms": 5, "acked": 1, "not_sent": 0, "window": OPEN,
        }  # fmt: skip
        return TcpInfo(**{**fields, **changes})

    def test_idle(self) -> None:
        """A connection with nothing on its way is alive, however long ago it was heard of."""
        self.assertIs(judge(self.info(last_ack_ms=10**7)), Life.ALIVE)

    def test_dead(self) -> None:
        """Retransmissions that nobody answers."""
        late = int(DEAD_S * 1000)
        self.assertIs(judge(self.info(unacked=3, retransmits=4, last_ack_ms=late)), Life.DEAD)
        self.assertIs(judge(self.info(unacked=3, retransmits=4, last_ack_ms=late - 1)), Life.ALIVE)

    def test_dead_behind_a_closed_window(self) -> None:
        """Probes of the window that nobody answers."""
        self.assertIs(judge(self.info(not_sent=9, window=0, probes=5, last_ack_ms=20_000)), Life.DEAD)

    def test_stalled(self) -> None:
        """A closed window whose probes are answered, even when the next probe is far off."""
        self.assertIs(judge(self.info(not_sent=9, window=0, last_ack_ms=100_000)), Life.STALLED)


class TcpInfoTests(SynchronousTestCase):
    """`tcp_info` on a real connection."""

    def connect(self) -> tuple[socket.socket, socket.socket]:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        ours = socket.create_connection(listener.getsockname())
        self.addCleanup(ours.close)
        theirs, _ = listener.accept()
        self.addCleanup(theirs.close)
        return ours, theirs

    def test_acknowledged(self) -> None:
        """The count of acknowledged octets is that of the stream, and one for the SYN."""
        ours, theirs = self.connect()
        ours.sendall(b"x" * 1000)
        theirs.recv(1000, socket.MSG_WAITALL)
        theirs.sendall(b"y")  # carries the acknowledgement
        ours.recv(1)
        info = tcp_info(ours)
        self.assertEqual(info.acked, 1001)
        self.assertEqual((info.unacked, info.not_sent), (0, 0))
        self.assertGreater(info.window, 1000)

    def test_closed_window(self) -> None:
        """What a peer that does not read leaves in the socket is counted."""
        ours, _ = self.connect()
        ours.setblocking(False)
        given = 0
        try:
            while True:
                given += ours.send(bytes(65536))
        except BlockingIOError:
            pass
        info = tcp_info(ours)
        self.assertGreater(info.not_sent, 0)
        self.assertLessEqual(info.acked - 1 + info.not_sent, given)
        self.assertGreater(given - info.acked, 0)

    def test_no_tcp(self) -> None:
        """A socket without TCP_INFO is an OSError."""
        left, right = socket.socketpair()
        self.addCleanup(left.close)
        self.addCleanup(right.close)
        self.assertRaises(OSError, tcp_info, left)
