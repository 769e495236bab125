"""
Tests for how little is risked on a collector that keeps no connection.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hfp.uplink.caution import LEAST_OCTETS, MOST_HALVINGS, MOST_OCTETS, Caution


class CautionTests(SynchronousTestCase):
    """Barren connections make it careful, confirmations and time make it bold again."""

    def test_at_first(self) -> None:
        """Nothing has happened: the whole window."""
        caution = Caution(2.0)
        self.assertFalse(caution.active)
        self.assertEqual(caution.window_s, 2.0)

    def test_barren(self) -> None:
        """Each barren connection halves the window, and what may be sent unconfirmed."""
        caution = Caution(2.0)
        caution.barren()
        caution.barren()
        self.assertTrue(caution.active)
        self.assertEqual(caution.window_s, 0.5)
        self.assertEqual(caution.octets, MOST_OCTETS // 4)

    def test_bounds(self) -> None:
        """Neither goes to nothing."""
        caution = Caution(2.0)
        for _ in range(50):
            caution.barren()
        self.assertEqual(caution.window_s, 2.0 / 2**MOST_HALVINGS)
        self.assertEqual(caution.octets, LEAST_OCTETS)

    def test_confirmed(self) -> None:
        """
        What is confirmed doubles what may be sent, up to the most, and leaves the window.

        Without it a collector that keeps each connection for a second got 64 KB through it, whatever it could take.
        """
        caution = Caution(2.0)
        for _ in range(3):
            caution.barren()
        caution.confirmed()
        self.assertEqual(caution.octets, MOST_OCTETS // 4)
        self.assertEqual(caution.window_s, 0.25)
        for _ in range(10):
            caution.confirmed()
        self.assertEqual(caution.octets, MOST_OCTETS)

    def test_lasted(self) -> None:
        """A connection that lasts as long as the window ends it, and says so once."""
        caution = Caution(2.0)
        self.assertFalse(caution.lasted(5.0))
        caution.barren()
        self.assertFalse(caution.lasted(1.9))
        self.assertTrue(caution.active)
        self.assertTrue(caution.lasted(2.0))
        self.assertFalse(caution.active)
        self.assertEqual(caution.octets, MOST_OCTETS)
        self.assertFalse(caution.lasted(2.1))
