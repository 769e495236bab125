"""
What every test with real processes has: its programs, waiting with deadlines, and an account of what was delivered.

A test is a :class:`ProcessTestCase`.  Whatever it starts is killed by a cleanup.  Waiting is polling with a deadline
(:meth:`ProcessTestCase.until`); a test that takes longer than its ``timeout`` is broken off.  What the programs said is
shown when a test fails.
"""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hfp.test.integration.programs import HOST, TRACEBACK, Collector, Program, Relay, Sender, free_port
from hfp.test.peers.ledger import Event

_POLL_S = 0.02
_LOG_TAIL_OCTETS = 6000

#: By how much the persisted cursor may lag behind, with the clocks of all involved, seconds.
CURSOR_LAG_S = 1.5

#: How much may be on its way without an acknowledgement, octets.
UNACKNOWLEDGED_OCTETS = 8_000_000

#: ``--resend-window``'s default, seconds.
RESEND_WINDOW_S = 2.0


class ProcessTestCase(SynchronousTestCase):
    """
    A test with real processes.

    :cvar timeout: the whole test, seconds: an alarm breaks it off.
    """

    timeout = 60.0

    #: Given to every relay unless a test says otherwise: tests wait for no long pause between attempts to connect.
    options: Sequence[str] = ("--reconnect", "0.5")

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(parents=True)
        self._programs: list[Program] = []
        self._passed_or_skipped = False
        setattr(self, self._testMethodName, self._watched(getattr(self, self._testMethodName)))
        previous = signal.signal(signal.SIGALRM, self._break_off)
        signal.setitimer(signal.ITIMER_REAL, self.timeout)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        self.addCleanup(self._end_all)

    # What a test starts.

    def collector(self, name: str = "collector", *, start: bool = True, **options: Any) -> Collector:
        """A collector that listens; or, without ``start``, one that will."""
        collector = Collector(name, self.directory, options.pop("port", None) or free_port(), **options)
        self._programs.append(collector)
        if start:
            self.start(collector)
        return collector

    def relay(self, *remotes: Collector | str, start: bool = True, name: str = "hfp", **options: Any) -> Relay:
        """hfp with these remotes, accepting connections; ``options`` is a list that follows the class's own."""
        given = [*self.options, *options.pop("options", ())]
        specs = [remote if isinstance(remote, str) else remote.remote for remote in remotes]
        relay = Relay(name, self.directory, specs, given, port=options.pop("port", None) or free_port(), **options)
        self._programs.append(relay)
        if start:
            self.start(relay)
        return relay

    def start(self, program: Collector | Relay) -> None:
        """Start it, or start it again, and wait until it listens."""
        program.start()
        ready = program.listening if isinstance(program, Collector) else program.accepting
        self.until(ready, 15, f"{program.name} listens")

    def add(self, program: Program, ready: Callable[[], object] = lambda: True, within_s: float = 15) -> None:
        """Start any other program, which ends with the test, and wait until it is ready."""
        if program not in self._programs:
            self._programs.append(program)
        program.start()
        self.until(ready, within_s, f"{program.name} is ready")

    def sender(self, to: Relay | int, name: str = "sender", **options: Any) -> Sender:
        """A sender that has started; the options are those of its command line."""
        port = to.port if isinstance(to, Relay) else to
        sender = Sender(name, self.directory, port, **options)
        self._programs.append(sender)
        sender.start()
        return sender

    def send(self, to: Relay, within_s: float = 30, **options: Any) -> dict[int, int]:
        """Send, wait until it is done and hfp has taken all of it; packets given, by sender."""
        before = to.received()
        account = self.sender(to, f"sender-{len(self._programs)}", **options).finish(within_s)
        expected = before + sum(account.values())
        self.until_above(to.received, expected - 1, within_s, f"hfp has taken all {expected} packets")
        return account

    def connect(self, to: Relay) -> socket.socket:
        """A bare connection to hfp."""
        connection = socket.create_connection((HOST, to.port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.addCleanup(connection.close)
        return connection

    # What a test waits for and asserts.

    def until(self, happens: Callable[[], object], within_s: float, what: str) -> float:
        """
        Poll until it happens.

        :returns: how long that took, seconds.
        :raises AssertionError: when it has not within that long, or when a program has died that should run.
        """
        began = time.monotonic()
        while True:
            try:
                if happens():
                    return time.monotonic() - began
            except OSError as problem:
                why = f" ({problem!r})"
            else:
                why = ""
            self._check_alive()
            if time.monotonic() - began > within_s:
                self.fail(f"not within {within_s} s: {what}{why}")
            time.sleep(_POLL_S)

    def until_above(self, figure: Callable[[], float], mark: float, within_s: float, what: str) -> float:
        """Wait until this figure is above the mark; how long that took, seconds."""
        try:
            return self.until(lambda: figure() > mark, within_s, what)
        except AssertionError as problem:
            self.fail(f"{problem}: it is {figure()}, not above {mark}")

    def until_equal(self, figure: Callable[[], float], value: float, within_s: float, what: str) -> float:
        """Wait until this figure has this value; how long that took, seconds."""
        try:
            return self.until(lambda: figure() == value, within_s, what)
        except AssertionError as problem:
            self.fail(f"{problem}: it is {figure()}, not {value}")

    def when_steady(self, figure: Callable[[], int], for_s: float, within_s: float) -> int:
        """Wait until this figure has not changed for so long; the figure."""
        last, since = figure(), time.monotonic()

        def steady() -> bool:
            nonlocal last, since
            now = figure()
            if now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since >= for_s

        self.until(steady, within_s, f"no change for {for_s} s")
        return last

    def until_arrived(self, collector: Collector, sent: Mapping[int, int], within_s: float) -> float:
        """Wait until every packet of this account has arrived; how long that took, seconds."""
        total = sum(sent.values())

        def arrived() -> bool:
            collector.reading.update()
            senders = collector.reading.senders
            return all(agent in senders and not senders[agent].lost(number) for agent, number in sent.items() if number)

        try:
            return self.until(arrived, within_s, f"all {total} packets are at the collector")
        except AssertionError as problem:
            self.fail(f"{problem}: {self.describe(collector, sent)}")

    def describe(self, collector: Collector, sent: Mapping[int, int]) -> str:
        """What has arrived and what not."""
        reading = collector.reading
        reading.update()
        lines = [
            f"sender {agent}: sent {number}, arrived {state.arrived}, lost {state.lost(number)} "
            f"(first missing: {min(state.missing, default=state.highest + 1)}), "
            f"duplicates {state.duplicates}, reordered {state.reordered}"
            for agent, number in sent.items()
            for state in [reading.senders.get(agent)]
            if state is not None
        ]
        events = {event.name.lower(): count for event, count in reading.events.items()}
        return "\n  ".join([f"events {events}", *lines])

    def assert_intact(self, collector: Collector, sent: Mapping[int, int]) -> None:
        """Nothing arrived that was not sent, nothing altered, nothing out of order."""
        reading = collector.reading
        reading.update()
        for event in (Event.DAMAGED, Event.ALTERED, Event.UNSTAMPED):
            self.assertEqual(reading.events[event], 0, f"{event.name} at {collector.name}")
        self.assertEqual(set(reading.senders) - set(sent), set(), "senders that never sent")
        for agent, number in sent.items():
            if agent in reading.senders:
                self.assertLess(reading.senders[agent].highest, number, "a number that was never sent")
        self.assertEqual(reading.reordered(), 0, "reordered: " + self.describe(collector, sent))

    def assert_delivered(self, collector: Collector, sent: Mapping[int, int], *, duplicates: float = 0) -> None:
        """Every packet of this account has arrived, unaltered, in its sender's order, with at most so many twice."""
        self.assert_intact(collector, sent)
        for agent, number in sent.items():
            lost = collector.reading.senders[agent].lost(number)
            self.assertEqual(lost, 0, "lost: " + self.describe(collector, sent))
        twice = collector.reading.duplicates()
        self.assertLessEqual(twice, duplicates, "duplicates: " + self.describe(collector, sent))

    def _check_alive(self) -> None:
        for program in self._programs:
            status = program.ended()
            if program.should_run and status is not None and (status or isinstance(program, (Relay, Collector))):
                self.fail(f"{program.name} ended with {status}:\n{program.log()[-3000:]}")

    def _break_off(self, number: int, frame: object) -> None:
        raise AssertionError(f"broken off after {self.timeout} s")

    def _watched(self, test: Callable[[], None]) -> Callable[[], None]:
        """The test's method, and a note of how it went: only then is it known whether anybody wants the logs."""

        def watched() -> None:
            try:
                test()
            except SkipTest:
                self._passed_or_skipped = True
                raise
            self._passed_or_skipped = True

        return watched

    def _end_all(self) -> None:
        for program in self._programs:
            program.kill()
        relays = [program for program in self._programs if isinstance(program, Relay)]
        troubled = [relay.name for relay in relays if TRACEBACK in relay.log()]
        if self._passed_or_skipped and not troubled:
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            self._show_logs()
        self.assertEqual(troubled, [], "there is a traceback in the log")

    def _show_logs(self) -> None:
        lines = [f"\n--- {self.id()} failed; its files are in {self.directory}"]
        for program in self._programs:
            text = program.log()
            cut = "..." if len(text) > _LOG_TAIL_OCTETS else ""
            lines += [f"--- {program.name}: {' '.join(program.command)}", cut + text[-_LOG_TAIL_OCTETS:]]
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()


def duplicate_bound(*, rate: float, window_s: float, mean_size: float, losses: int = 1) -> float:
    """
    The published bound of duplicates: per unclean loss, what was sent in the resend window and in the time that a
    cursor lags, and what was not acknowledged.

    :param rate: packets a second.
    :param window_s: ``--resend-window``, seconds.
    :param mean_size: octets per packet.
    :param losses: how many there were.
    """
    return losses * (rate * (window_s + CURSOR_LAG_S) + UNACKNOWLEDGED_OCTETS / mean_size)
