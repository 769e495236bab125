"""
Tests for `hfp.uplink.pace`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hfp.uplink.pace import BACKLOG_AGE_S, DATAGRAM_OCTETS, FAST_SPREAD_S, SPREAD_S, Drip, Pace


class PaceTests(SynchronousTestCase):
    """`Pace`: ``--replay-rate``."""

    def test_old_is_paced(self) -> None:
        """After each chunk comes the pause that its octets take; a pause that was not used is not saved up."""
        pace = Pace(1000)
        pace.sent((1, 500), 10, (0, 0), 100.0)
        self.assertAlmostEqual(pace.wait(100.0), 0.5)
        pace.sent((1, 500), 10, (0, 0), 100.5)
        self.assertAlmostEqual(pace.wait(100.5), 0.5)
        pace.sent((1, 500), 10, (0, 0), 200.0)
        self.assertAlmostEqual(pace.wait(200.0), 0.5)

    def test_young_is_not(self) -> None:
        """What came in a moment ago goes at once; without a rate everything does."""
        pace = Pace(1000)
        pace.sent((1, 500), BACKLOG_AGE_S, (0, 0), 100.0)
        self.assertLessEqual(pace.wait(100.0), 0)
        pace = Pace(0)
        pace.sent((1, 500), 10, (0, 0), 100.0)
        self.assertLessEqual(pace.wait(100.0), 0)


class DripTests(SynchronousTestCase):
    """`Drip`: what is sent from the log over UDP."""

    def test_everything_is_paced(self) -> None:
        """However young."""
        pace = Drip(1000)
        pace.begin((5, 5000))
        pace.sent((1, 700), 0, (5, 5000), 100.0)
        self.assertAlmostEqual(pace.wait(100.0), 0.7)

    def test_small_datagrams(self) -> None:
        """Each counts as one of a usual size."""
        pace = Drip(1000)
        pace.begin((0, 0))
        pace.sent((10, 700), 0, (0, 0), 100.0)
        self.assertAlmostEqual(pace.wait(100.0), 10 * DATAGRAM_OCTETS / 1000)

    def test_what_comes_in_is_free(self) -> None:
        """So much as was appended meanwhile, and what of it was not used yet."""
        pace = Drip(1000)
        pace.begin((5, 5000))
        pace.sent((1, 700), 0, (6, 6000), 100.0)
        self.assertLessEqual(pace.wait(100.0), 0)
        pace.sent((1, 700), 0, (6, 6000), 100.0)
        self.assertAlmostEqual(pace.wait(100.0), 0.4)
        self.assertEqual(pace.spread_s, SPREAD_S)
        pace = Drip(1000)
        pace.begin((0, 0))
        pace.sent((10, 700), 0, (10, 700), 100.0)
        self.assertLessEqual(pace.wait(100.0), 0)
        self.assertEqual(pace.spread_s, FAST_SPREAD_S)

    def test_begin(self) -> None:
        """What was appended before is not."""
        pace = Drip(1000)
        pace.begin((5, 5000))
        pace.sent((1, 700), 0, (9, 9000), 100.0)
        pace.begin((9, 9000))
        pace.sent((1, 700), 0, (9, 9000), 100.0)
        self.assertAlmostEqual(pace.wait(100.0), 0.7)
