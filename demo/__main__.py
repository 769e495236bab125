"""
The story that the demonstration plays, its figures and its verdict.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from demo.screen import Screen
from hfp.test.integration.programs import Collector, Relay, Sender, free_port
from hfp.test.peers.ledger import Event

#: Packets a second.
_RATE = 2000

#: ``--resend-window``'s default, seconds, and by how much the persisted cursor may lag behind.
_RESEND_WINDOW_S = 2.0
_CURSOR_LAG_S = 1.5

#: The sender's capture agent id.
_AGENT = 1

_HONESTY = """\
How it is counted: "sent" is what the sender's socket took; "collector has" is what stands in the collector's ledger, a
file that it appends to after each read, by the packets' numbers, their CRCs checked.  Before hfp is killed the sender
stops for a moment, until hfp has read all that its socket took: what lies unread in a machine's kernel when a program
there is killed is lost with it, and no program can help that.  While hfp is away the sender tries to connect again, and
then goes on with the very next packet.  Nothing is taken out of the account."""


class Demonstration:
    """The three programs, and what is done to them."""

    def __init__(self, directory: Path) -> None:
        self._screen = Screen()
        self._collector = Collector("collector", directory, free_port())
        self._relay = Relay("hfp", directory, [self._collector.remote], ["--reconnect", "1"], port=free_port())
        self._sender = Sender("sender", directory, self._relay.port, id=_AGENT, rate=_RATE, seconds=600, reconnect=True)
        self._taken_before = 0
        self._losses = 0

    def play(self) -> bool:
        """
        The whole story.

        :returns: whether nothing was lost.
        :raises AssertionError: when one of the programs does not do its part.
        """
        say = self._screen.say
        say(f"a collector, hfp and a sender of SIP call traffic start on loopback; {_RATE} packets/s")
        self._start_collector()
        self._relay.start()
        self._until(self._relay.accepting, 15, "hfp accepts connections")
        self._sender.start()
        self._go_on(3)

        say("SIGKILL to the collector")
        self._collector.kill()
        self._losses += 1
        self._go_on(4)
        say("the collector is started again")
        self._start_collector()
        self._go_on(4)

        say("SIGKILL to the collector once more")
        self._collector.kill()
        self._losses += 1
        self._go_on(3)
        say("the sender stops for a moment, until hfp has read all that its socket took; then SIGKILL to hfp as well")
        given = int(self._sender.order("pause"))
        self._until(lambda: self._taken() == given, 5, "hfp has read all that was sent")
        self._relay.kill()
        self._losses += 1
        self._taken_before = given
        self._sender.order("go")
        self._go_on(2)
        say("hfp is started again, on the spool that it left")
        self._relay.start()
        self._until(self._relay.accepting, 15, "hfp accepts connections")
        self._go_on(3)
        say("the collector is started again")
        self._start_collector()
        self._go_on(4)

        say("the sender stops; what is left is delivered")
        self._sender.order("stop")
        sent = self._sender.finish(5)[_AGENT]
        arrived = self._until(lambda: self._collector.arrived() == sent, 10, "")
        self._screen.show(self._figures(), at_once=True)
        return self._account(sent) and arrived

    def end(self) -> None:
        """Leave nothing running."""
        for program in (self._sender, self._relay, self._collector):
            program.kill()

    def logs(self) -> str:
        """What the programs said last."""
        return "\n".join(
            f"--- {program.name}\n{program.log()[-3000:]}" for program in (self._collector, self._relay, self._sender)
        )

    def _start_collector(self) -> None:
        self._collector.start()
        self._until(self._collector.listening, 15, "the collector listens")

    def _go_on(self, seconds: float) -> None:
        self._until(lambda: False, seconds, "")

    def _until(self, happens: Callable[[], bool], within_s: float, what: str) -> bool:
        """Show the figures until it happens, or that long if there is nothing that has to."""
        deadline = time.monotonic() + within_s
        while not _or_not_yet(happens):
            for program in (self._collector, self._relay, self._sender):
                if program.should_run and program.ended() is not None:
                    raise AssertionError(f"{program.name} has ended")
            if time.monotonic() > deadline:
                if what:
                    raise AssertionError(f"not within {within_s} s: {what}")
                return False
            self._screen.show(self._figures())
            time.sleep(0.05)
        return True

    def _taken(self) -> int:
        """Packets that hfp has read, in all its lives."""
        return self._taken_before + self._relay.received()

    def _sent(self) -> int:
        """As of now while the sender runs, and in the end."""
        if not self._sender.should_run:
            return self._sender.given()
        return int(self._sender.order("count"))

    def _figures(self) -> str:
        try:
            metrics = self._relay.metrics()
        except OSError:
            spooled = "hfp is down"
        else:
            spooled = f"{int(metrics.sum('hfp_remote_lagging_packets')):6}"
        arrived = self._collector.arrived()
        duplicates = self._collector.reading.duplicates()
        return f"sent {self._sent():6}   collector has {arrived:6}   spooled {spooled:>11}   duplicates {duplicates:5}"

    def _account(self, sent: int) -> bool:
        """The verdict: what was sent against what arrived."""
        reading = self._collector.reading
        reading.update()
        state = reading.senders[_AGENT]
        lost = state.lost(sent)
        damaged = reading.events[Event.DAMAGED] + reading.events[Event.ALTERED] + reading.events[Event.UNSTAMPED]
        bound = int(self._losses * _RATE * (_RESEND_WINDOW_S + _CURSOR_LAG_S))
        passed = not (lost or damaged or state.reordered) and state.duplicates <= bound
        self._screen.finish(
            f"sent         {sent:7} packets\n"
            f"arrived      {state.arrived:7}\n"
            f"lost         {lost:7}\n"
            f"altered      {damaged:7}\n"
            f"out of order {state.reordered:7}\n"
            f"duplicates   {state.duplicates:7}   (at most {bound}: for each of {self._losses} kills what was sent in "
            f"{_RESEND_WINDOW_S + _CURSOR_LAG_S} s)\n\n{_HONESTY}\n\n"
            f"{'Nothing was lost.' if passed else 'This is not what hfp promises.'}"
        )
        return passed


def _or_not_yet(happens: Callable[[], bool]) -> bool:
    try:
        return happens()
    except OSError:  # a port that nobody listens on yet
        return False


def main() -> int:
    """
    Play it.

    :returns: the exit status.
    """
    with tempfile.TemporaryDirectory(prefix="hfp-demo-") as directory:
        demonstration = Demonstration(Path(directory))
        try:
            return 0 if demonstration.play() else 1
        except AssertionError as problem:
            sys.stderr.write(f"\nThe demonstration failed: {problem}\n{demonstration.logs()}\n")
            return 1
        except KeyboardInterrupt:
            return 130
        finally:
            demonstration.end()


if __name__ == "__main__":
    sys.exit(main())
