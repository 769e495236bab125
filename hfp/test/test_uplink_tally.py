"""
Tests for `hfp.uplink.tally`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hfp.spool import Position
from hfp.status import Amount
from hfp.uplink.tally import Tally


def at(packets: int) -> Position:
    """The position behind *packets* packets of 10 octets each."""
    return Position(1, 64 + 10 * packets, packets, 10 * packets)


class TallyTests(SynchronousTestCase):
    """What counts as sent, and what as sent again."""

    def test_first_and_again(self) -> None:
        """What was sent before counts as resent, however often; what goes beyond it as sent."""
        tally = Tally(at(0))
        tally.send_live(5, 50, at(5))
        tally.send(2, 20, at(3))  # from 1 to 3, after a loss
        tally.send(4, 40, at(7))  # from 3 to 7: 2 again, 2 new
        tally.send(2, 20, at(3))  # after another loss
        tally.send(4, 40, at(7))
        self.assertEqual(tally.sent, Amount(packets=7, octets=70))
        self.assertEqual(tally.resent, Amount(packets=10, octets=100))
        self.assertEqual(tally.high, at(7))

    def test_confirmed(self) -> None:
        """Confirmed amounts add up."""
        tally = Tally(at(0))
        tally.confirm(1, 10)
        tally.confirm(2, 20)
        self.assertEqual(tally.confirmed, Amount(packets=3, octets=30))
