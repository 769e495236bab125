"""
Nothing that hfp read is lost, whoever dies: the collector, or hfp itself, killed or stopped, loaded or not.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from functools import partial

from hfp.test.integration.harness import RESEND_WINDOW_S, ProcessTestCase, duplicate_bound
from hfp.test.integration.programs import Collector, Relay, octets_underway
from hfp.test.peers.ledger import Event
from hfp.test.peers.traffic import Traffic

_RATE = 5000

#: The largest read of a socket, octets.
_ONE_READ = 262_144


def _bound(mean_size: float, losses: int = 1) -> float:
    return duplicate_bound(rate=_RATE, window_s=RESEND_WINDOW_S, mean_size=mean_size, losses=losses)


class CollectorDiesTests(ProcessTestCase):
    """The collector goes away under load and comes back."""

    def test_nothing_happens(self) -> None:
        """While nobody dies, everything arrives once, with one connection, from the smallest packet to the largest."""
        collector = self.collector()
        relay = self.relay(collector)
        sent = self.send(relay, mix="every-size", count=10_000, rate=_RATE)
        self.until_arrived(collector, sent, 10)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(collector.connections(), 1)

    def test_collector_is_killed_under_load(self) -> None:
        """SIGKILL of the collector, a pause, and a new one at the same address."""
        collector = self.collector()
        relay = self.relay(collector)
        sender = self.sender(relay, count=40_000, rate=_RATE)
        for mark in (8_000, 20_000):
            self.until_above(collector.arrived, mark, 15, "the collector is under load")
            collector.kill()
            self.until_above(sender.given, sender.given() + _RATE, 10, "a second without it")
            self.start(collector)
        sent = sender.finish(20)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=_bound(sender.mean_size, losses=2))

    def test_a_shorter_resend_window_sends_less_twice(self) -> None:
        """``--resend-window`` is what bounds the duplicates when the collector had acknowledged all."""
        collector = self.collector()
        relay = self.relay(collector, options=["--resend-window", "0.2"])
        sender = self.sender(relay, count=20_000, rate=_RATE)
        self.until_above(collector.arrived, 8_000, 15, "the collector is under load")
        collector.order("reset")
        sent = sender.finish(20)
        self.until_arrived(collector, sent, 15)
        # All was acknowledged at once here, so the window and the lag are the whole of the bound.
        self.assert_delivered(collector, sent, duplicates=_RATE * (0.2 + 1.5))

    def test_collector_restarts_cleanly_under_load(self) -> None:
        """The collector closes its connections and its port, ends, and is started again."""
        collector = self.collector()
        relay = self.relay(collector)
        sender = self.sender(relay, count=25_000, rate=_RATE)
        self.until_above(collector.arrived, 8_000, 15, "the collector is under load")
        collector.order("quit")
        self.assertEqual(collector.wait(5), 0)
        self.until_above(sender.given, sender.given() + _RATE // 2, 10, "half a second without it")
        self.start(collector)
        sent = sender.finish(20)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=_bound(sender.mean_size))


class RelayDiesTests(ProcessTestCase):
    """hfp is killed or stopped, and started again on the same spool."""

    timeout = 90.0

    def test_relay_is_killed_with_a_backlog(self) -> None:
        """SIGKILL with a backlog that no collector has seen: it all arrives after the restart, once."""
        collector = self.collector(start=False)
        relay = self.relay(collector)
        sent = self.send(relay, count=50_000)
        relay.kill()
        self.start(collector)
        self.start(relay)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=0)

    def test_relay_is_killed_while_the_backlog_drains(self) -> None:
        """SIGKILL in the middle of a drain of 50 MB: the rest arrives after the restart."""
        count, drain_octets_s = 80_000, 15_000_000
        collector = self.collector(start=False)
        relay = self.relay(collector)
        sent = self.send(relay, count=count)
        self.start(collector)
        collector.order(f"slow {drain_octets_s}")
        self.until_above(collector.arrived, count // 2, 20, "the backlog drains")
        relay.kill()
        self.assertLess(collector.arrived(), count)
        collector.order("fast")
        self.start(relay)
        self.until_arrived(collector, sent, 20)
        size = Traffic(1).mean_size()
        bound = duplicate_bound(rate=drain_octets_s / size, window_s=RESEND_WINDOW_S, mean_size=size)
        self.assert_delivered(collector, sent, duplicates=bound)

    def test_relay_is_killed_under_load(self) -> None:
        """
        SIGKILL under load, twice, with the collector up: what hfp said it had received arrives.

        What the kernel had taken from the sender and hfp had not read dies with hfp; so what arrives of each sender
        is all of its packets up to some number, and that number is not below what hfp had counted a moment before.
        """
        self._load_and_end(self.collector(), [Relay.kill, Relay.kill], duplicates=2)

    def test_every_octet_that_was_read_arrives(self) -> None:
        """
        SIGKILL at a moment when it is known to the octet what hfp has read: all of that arrives.

        SIGSTOP first; then what the sender gave, less what lies in the two kernels, is what hfp's program has read.
        Only the one read whose octets are in hfp's hands and not yet in the spool can be lost with it.
        """
        collector = self.collector()
        relay = self.relay(collector)
        size = 600
        for agent in range(1, 6):
            sender = self.sender(relay, f"sender-{agent}", id=agent, mix=str(size), rate=4 * _RATE, seconds=60)
            self.until_above(relay.received, 2 * _RATE + agent * 777, 15, "hfp is under load")
            relay.signal(signal.SIGSTOP)
            given = int(sender.order("pause"))
            read = given * size - self.when_steady(partial(octets_underway, relay.port), 0.3, 5)
            relay.kill()
            sender.finish(5)
            self.start(relay)
            self.until_above(partial(collector.arrived, agent), (read - _ONE_READ) / size - 1, 10, "it arrives")
            self.assertLessEqual(collector.arrived(agent), read // size)
        arrived = {agent: state.highest + 1 for agent, state in collector.reading.senders.items()}
        bound = duplicate_bound(rate=4 * _RATE, window_s=RESEND_WINDOW_S, mean_size=size, losses=5)
        self.assert_delivered(collector, arrived, duplicates=bound)

    def test_relay_is_stopped_under_load(self) -> None:
        """
        SIGTERM under load: it ends within 10 s with success, and what it had read arrives once.

        The collector closes when hfp closes, so hfp knows what it has consumed, and sends nothing twice.
        """
        self._load_and_end(self.collector(), [Relay.stop, Relay.stop], duplicates=0)

    def test_relay_is_stopped_with_a_backlog(self) -> None:
        """SIGTERM with a backlog and no collector: it ends at once, and everything arrives after the restart, once."""
        collector = self.collector(start=False)
        relay = self.relay(collector)
        sent = self.send(relay, count=30_000)
        self.assertLess(relay.stop(), 5)
        self.start(relay)
        more = self.send(relay, count=1_000, id=2)
        self.start(collector)
        self.until_arrived(collector, {**sent, **more}, 15)
        self.assert_delivered(collector, {**sent, **more}, duplicates=0)

    def test_relay_is_stopped_while_the_collector_hangs(self) -> None:
        """SIGTERM while the collector reads nothing: hfp does not wait for it for ever, and nothing is lost."""
        collector = self.collector()
        relay = self.relay(collector)
        collector.order("stall")
        sent = self.send(relay, count=50_000)
        self.assertLess(relay.stop(within_s=12), 10.5)
        collector.order("fast")
        self.start(relay)
        self.until_arrived(collector, sent, 15)
        # Everything may have been waiting in the collector's kernel, so all of it may come twice.
        self.assert_delivered(collector, sent, duplicates=sum(sent.values()))

    def _load_and_end(self, collector: Collector, ends: Sequence[Callable[[Relay], object]], duplicates: int) -> None:
        """
        Send with a new sender in each life of hfp and end that life under load; the last one ends in peace.

        :param duplicates: how many ends may cost duplicates, up to the bound of one loss each.
        """
        relay = self.relay(collector)
        received: dict[int, int] = {}
        given: dict[int, int] = {}
        for agent, end in enumerate([*ends, None], 1):
            sender = self.sender(relay, f"sender-{agent}", id=agent, rate=_RATE, seconds=60)
            self.until_above(relay.received, 2 * _RATE, 15, "hfp is under load")
            if end is not None:
                received[agent] = relay.received()
                end(relay)
                given |= sender.finish(5)
                self.start(relay)
            else:
                sender.order("stop")
                given |= sender.finish(5)
                self.until_equal(relay.received, given[agent], 5, "hfp has read all")
                received[agent] = given[agent]
        self.until_arrived(collector, received, 15)
        arrived = {agent: state.highest + 1 for agent, state in collector.reading.senders.items()}
        for agent in given:
            self.assertTrue(received[agent] <= arrived[agent] <= given[agent], (received, arrived, given))
        bound = _bound(sender.mean_size, losses=duplicates) if duplicates else 0
        self.assert_delivered(collector, arrived, duplicates=bound)


class RemoteAwayTests(ProcessTestCase):
    """The collector is not there when hfp starts."""

    options = ()

    def test_drains_within_six_seconds_without_new_traffic(self) -> None:
        """A backlog is at a collector that returns within 6 s, with ``--reconnect`` at its default and nothing new."""
        collector = self.collector(start=False)
        relay = self.relay(collector)
        sent = self.send(relay, count=20_000)
        # Long enough away for the pauses between attempts to be at their longest.
        self.until(lambda: relay.metric("hfp_remote_connects_total", result="refused") >= 7, 25, "seven attempts")
        began = time.monotonic()
        self.start(collector)
        self.until_arrived(collector, sent, 10)
        self.assertLess(time.monotonic() - began, 6)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(collector.reading.events[Event.OPENED], 1)
