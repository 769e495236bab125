"""Tests for `hfp.logs`."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger as TwistedLogger, LogLevel, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hfp.logs import Logger, Repeats, show_debug


@implementer(ILogObserver)
class Heard:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.events: list[LogEvent] = []

    def __call__(self, event: LogEvent) -> None:
        self.events.append(event)

    def lines(self) -> list[str]:
        """What was logged since the last call, as text."""
        lines = [formatEvent(event) for event in self.events]
        self.events.clear()
        return lines


class RepeatsTests(SynchronousTestCase):
    """`Repeats` says things once, then sums up."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.heard = Heard()
        self.lines = self.heard.lines
        self.repeats = Repeats(TwistedLogger(observer=self.heard), self.clock, every_s=60, most=3)

    def test_first_at_once(self) -> None:
        """The first event of each key is logged as it happens, with its own level."""
        self.repeats.warn("a", "peer {peer} is odd", peer="x")
        self.repeats.critical("b", "lost {n}", n=3)
        self.repeats.info("c", "hello")
        levels = [event["log_level"] for event in self.heard.events]
        self.assertEqual(self.lines(), ["peer x is odd", "lost 3", "hello"])
        self.assertEqual(levels, [LogLevel.warn, LogLevel.critical, LogLevel.info])

    def test_repeats_are_summed_up(self) -> None:
        """A thousand repeats make one line, with their number and the newest values."""
        for n in range(1001):
            self.repeats.warn("a", "odd {n}", n=n)
        self.assertEqual(self.lines(), ["odd 0"])
        self.clock.advance(59.9)
        self.assertEqual(self.lines(), [])
        self.clock.advance(0.1)
        self.assertEqual(self.lines(), ["odd 1000 (1000 more like this in the last 60 s)"])

    def test_one_summary_a_period(self) -> None:
        """While the events go on there is one summary each period, and nothing between them."""
        self.repeats.warn("a", "odd")
        for _ in range(30):
            self.clock.advance(10)
            self.repeats.warn("a", "odd")
        lines = self.lines()
        self.assertEqual(lines[0], "odd")
        self.assertEqual(len(lines), 6)
        self.assertTrue(all("more like this" in line for line in lines[1:]))

    def test_quiet_key_is_new_again(self) -> None:
        """A key that was quiet for a period is forgotten, needs no timer, and is logged at once when it comes back."""
        self.repeats.warn("a", "odd")
        self.clock.advance(60)
        self.assertEqual(self.lines(), ["odd"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.repeats.warn("a", "odd")
        self.assertEqual(self.lines(), ["odd"])

    def test_keys_are_bounded(self) -> None:
        """Beyond the most keys, all others share one: one line, then one summary, and a bounded number of timers."""
        for n in range(1000):
            self.repeats.warn(n, "odd {n}", n=n)
        self.assertEqual(self.lines(), ["odd 0", "odd 1", "odd 2", "odd 3"])
        self.assertEqual(len(self.clock.getDelayedCalls()), 4)
        self.clock.advance(60)
        self.assertEqual(
            self.lines(), ["996 more log lines, on more than 3 different things, held back in the last 60 s"]
        )

    def test_stop_tells_the_rest(self) -> None:
        """Stopping writes the outstanding summaries and leaves no timer, then or later."""
        self.repeats.warn("a", "odd")
        self.repeats.warn("a", "odd")
        self.repeats.stop()
        self.repeats.warn("b", "late")
        self.assertEqual(self.lines(), ["odd", "odd (1 more like this in the last 60 s)", "late"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_any_field_name(self) -> None:
        """An event may have fields of any name that Twisted's loggers take, those of the summary included."""
        for _ in range(2):
            self.repeats.warn("a", "{key} {held_back}", key=1, held_back=2)
        self.repeats.stop()
        self.assertEqual(self.lines()[0], "1 2")


class DebugTests(SynchronousTestCase):
    """Debug events of hfp's loggers are held back unless asked for."""

    def setUp(self) -> None:
        self.addCleanup(show_debug, False)
        heard = self.heard = Heard()

        class Room:
            """Has a logger as every room has."""

            _log = Logger(observer=heard)

        self.log = Room()._log

    def test_held_back(self) -> None:
        """A debug event goes nowhere, all other levels go through."""
        self.log.debug("small talk")
        self.log.info("news")
        self.assertEqual(self.heard.lines(), ["news"])

    def test_shown(self) -> None:
        """With `show_debug` they go through, from loggers made before too."""
        show_debug(True)
        self.log.debug("small talk")
        self.assertEqual(self.heard.lines(), ["small talk"])

    def test_namespace(self) -> None:
        """The logger names its room as Twisted's does."""
        self.log.info("news")
        self.assertEqual(self.heard.events[0]["log_namespace"], f"{__name__}.Room")
