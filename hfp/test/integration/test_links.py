"""
Bad links and bad collectors: silent, slow, stalled, flapping, or one of two dead.  None costs a packet.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time

from twisted.trial.unittest import SkipTest

from hfp.test.integration.harness import RESEND_WINDOW_S, ProcessTestCase, duplicate_bound
from hfp.test.integration.programs import Collector, free_port, is_root
from hfp.test.peers.ledger import Event

_RATE = 3000

#: After this long without an answer a link has to be given up, seconds.
_DEAD_WITHIN_S = 20


def _bound(mean_size: float, losses: int = 1) -> float:
    return duplicate_bound(rate=_RATE, window_s=RESEND_WINDOW_S, mean_size=mean_size, losses=losses)


class SilentLinkTests(ProcessTestCase):
    """The link goes silent: no FIN, no RST, no ICMP, nothing."""

    timeout = 90.0

    def test_link_is_silent_for_a_moment(self) -> None:
        """After three seconds of silence the same connection goes on, and nothing comes twice."""
        collector = self.collector()
        relay = self.relay(collector)
        sender = self.sender(relay, rate=_RATE, count=24_000)
        self.until_above(collector.arrived, _RATE, 15, "the collector is under load")
        collector.order("silence")
        self.until_above(sender.given, sender.given() + 3 * _RATE, 10, "three seconds of silence")
        collector.order("hear")
        sent = sender.finish(20)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(collector.connections(), 1)

    def test_link_is_silent_for_ever(self) -> None:
        """The dead connection is given up within 20 s, and a new collector at the same address gets what it missed."""
        old = self.collector("old")
        relay = self.relay(old)
        sender = self.sender(relay, rate=_RATE, seconds=60)
        self.until_above(old.arrived, _RATE, 15, "the collector is under load")
        old.order("silence")
        old.order("deaf")
        new = self.collector("new", port=old.port)
        took = self.until_above(new.arrived, 0, _DEAD_WITHIN_S + 5, "hfp has given up the silent connection")
        self.assertLess(took, _DEAD_WITHIN_S)
        sender.order("stop")
        sent = sender.finish(5)
        self.until_arrived_at_either(old, new, sent[1])
        self.assertEqual(old.reading.events[Event.RESET] + old.reading.events[Event.ENDED], 0, "the link was silent")
        overlap = old.reading.senders[1].highest + 1 - min(new.reading.senders[1].missing, default=0)
        self.assertLessEqual(overlap, _bound(sender.mean_size))

    def until_arrived_at_either(self, old: Collector, new: Collector, sent: int) -> None:
        """What the new collector got starts where, or before, what the old one got ends, and both are in order."""

        def arrived() -> bool:
            new.reading.update()
            return 1 in new.reading.senders and new.reading.senders[1].highest == sent - 1

        self.until(arrived, 15, "the newest packet is at the new collector")
        old.reading.update()
        first, second = old.reading.senders[1], new.reading.senders[1]
        self.assertEqual(first.missing, set(), "the old collector's packets have no gap")
        self.assertEqual(first.duplicates + second.duplicates + first.reordered + second.reordered, 0)
        begin = max(second.missing, default=-1) + 1
        self.assertEqual(len(second.missing), begin, "the new collector's packets have no gap")
        self.assertLessEqual(begin, first.highest + 1, "lost between the two")

    def test_link_is_down_in_a_network_namespace(self) -> None:
        """A cable is pulled for longer than hfp waits, and plugged in again: all arrives, over a new connection."""
        collector = self._distant_collector()
        relay = self.relay(collector)
        sender = self.sender(relay, rate=_RATE, seconds=90)
        self.until_above(collector.arrived, _RATE, 15, "the collector is under load")
        self._inside(collector, "ip", "link", "set", "eth0", "down")
        self.until(
            lambda: relay.metric("hfp_remote_up") == 0, _DEAD_WITHIN_S + 5, "hfp has given up the silent connection"
        )
        self._inside(collector, "ip", "link", "set", "eth0", "up")
        back = time.monotonic()
        self.until_above(collector.connections, 1, 20, "a new connection")
        self.assertLess(time.monotonic() - back, 17)
        sender.order("stop")
        sent = sender.finish(5)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=_bound(sender.mean_size))

    def _distant_collector(self) -> Collector:
        """A collector in a network namespace of its own, behind a pair of veth interfaces; all end with it."""
        if not is_root():
            raise SkipTest("needs root for a network namespace")
        for program in ("ip", "unshare", "nsenter"):
            if shutil.which(program) is None:
                raise SkipTest(f"needs {program} for a network namespace")
        if subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True).returncode:
            raise SkipTest("network namespaces are not allowed here")
        collector = self.collector(host="0.0.0.0", prefix=["unshare", "--net"])
        number = random.randrange(2**14)
        interface = f"hfp{number}"
        # Out of 198.18.0.0/15, the range for benchmarks (RFC 2544): no host is there.
        near, far = (f"198.{18 + (number >> 13)}.{number >> 5 & 0xFF}.{(number & 31) * 8 + host}" for host in (1, 2))
        made = _run("ip", "link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", str(collector.pid))
        if made:
            raise SkipTest(f"no veth interfaces here: {made}")
        _run("ip", "address", "add", f"{near}/29", "dev", interface)
        _run("ip", "link", "set", interface, "up")
        self._inside(collector, "ip", "address", "add", f"{far}/29", "dev", "eth0")
        self._inside(collector, "ip", "link", "set", "eth0", "up")
        collector.host = far
        return collector

    def _inside(self, collector: Collector, *command: str) -> None:
        self.assertEqual(_run("nsenter", "--net", "--target", str(collector.pid), *command), "")


class SlowCollectorTests(ProcessTestCase):
    """The collector is alive and reads too slowly, or not at all for a while: hfp waits."""

    timeout = 90.0

    def test_collector_is_slower_than_the_sender(self) -> None:
        """A collector at a third of the sender's rate keeps its one connection, and gets all when it catches up."""
        collector = self.collector()
        relay = self.relay(collector)
        collector.order("slow 1000000")
        sender = self.sender(relay, rate=5000, count=40_000)
        sent = sender.finish(30)
        self.until_equal(relay.received, 40_000, 5, "hfp has taken all")
        self.assertLess(collector.arrived(), 30_000)
        collector.order("fast")
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(collector.connections(), 1)

    def test_collector_reads_nothing_for_25_seconds(self) -> None:
        """A collector that stalls for longer than a dead one is waited for is not cut off, the sender never waits."""
        collector = self.collector()
        relay = self.relay(collector)
        collector.order("stall")
        sender = self.sender(relay, rate=2000, count=50_000)
        sent = sender.finish(27)
        self.until_equal(relay.received, 50_000, 5, "hfp has taken all")
        self.assertEqual(collector.connections(), 1)
        self.assertEqual(relay.metric("hfp_remote_stalled"), 1)
        collector.order("fast")
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(collector.connections(), 1)

    def test_collector_reads_nothing_and_is_killed(self) -> None:
        """What waited in a stalled collector's kernel when it was killed is sent to the next one."""
        collector = self.collector()
        relay = self.relay(collector)
        collector.order("stall")
        sent = self.send(relay, count=30_000)
        collector.kill()
        self.start(collector)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=0)


class FlappingCollectorTests(ProcessTestCase):
    """The collector ends its connections again and again."""

    def _flap(self, how: str) -> None:
        collector = self.collector()
        relay = self.relay(collector)
        sender = self.sender(relay, rate=_RATE, count=24_000)
        self.until_above(collector.arrived, 1_000, 15, "the collector is under load")
        collector.order(f"flap 0.7 {how}")
        sent = sender.finish(20)
        collector.order(f"flap 0 {how}")
        self.until_arrived(collector, sent, 15)
        losses = collector.connections() - 1
        self.assertGreaterEqual(losses, 5)
        self.assert_delivered(collector, sent, duplicates=_bound(sender.mean_size, losses))

    def test_collector_resets_its_connections(self) -> None:
        """Every 0.7 s an RST."""
        self._flap("reset")

    def test_collector_closes_its_connections(self) -> None:
        """Every 0.7 s a close in the usual way."""
        self._flap("close")

    def test_a_backlog_makes_progress(self) -> None:
        """A collector that never keeps a connection for as long as the resend window gets further all the same."""
        collector = self.collector()
        relay = self.relay(collector)
        collector.order("slow 1000000")
        collector.order("flap 1 reset")
        sent = self.send(relay, count=5_000)
        # 3.2 MB, of which a connection can take 1 MB, and so two or three batches.
        self.until_arrived(collector, sent, 60)
        self.assert_intact(collector, sent)


class TwoRemotesTests(ProcessTestCase):
    """Each remote gets everything, by its own cursor."""

    def test_a_dead_remote_delays_no_other(self) -> None:
        """While one is dead the other gets each packet at once; when it returns it gets what it missed."""
        live = self.collector("live")
        dead = self.collector("dead", start=False)
        relay = self.relay(live, dead)
        sender = self.sender(relay, rate=_RATE, count=15_000)
        lags = []

        def done() -> bool:
            # First what was given, then what has arrived: the difference is an upper bound of what is on its way,
            # but for the 0.1 s between two lines of the sender, which make it smaller.
            given = sender.given()
            lags.append(given - live.arrived())
            return given == 15_000

        self.until(done, 20, "all is sent")
        sent = sender.finish(5)
        self.until_arrived(live, sent, 1)
        self.assertLess(max(lags), _RATE / 2, "the live one lagged behind")
        self.assert_delivered(live, sent, duplicates=0)
        self.start(dead)
        self.until_arrived(dead, sent, 10)
        self.assert_delivered(dead, sent, duplicates=0)
        self.assert_delivered(live, sent, duplicates=0)

    def test_a_stalled_remote_delays_no_other(self) -> None:
        """The same with one that is connected and reads nothing."""
        live = self.collector("live")
        stalled = self.collector("stalled")
        relay = self.relay(live, stalled)
        stalled.order("stall")
        sender = self.sender(relay, rate=_RATE, count=30_000, per_write=10, mix="2000")
        sent = sender.finish(20)
        self.until_arrived(live, sent, 1)
        stalled.order("fast")
        self.until_arrived(stalled, sent, 10)
        for collector in (live, stalled):
            self.assert_delivered(collector, sent, duplicates=0)

    def test_ipv6(self) -> None:
        """A remote as ``[::1]:PORT``."""
        try:
            collector = self.collector(host="[::1]")
        except AssertionError as problem:
            raise SkipTest(f"no IPv6 here: {problem}") from None
        relay = self.relay(f"[::1]:{collector.port}")
        sent = self.send(relay, count=1000)
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent)

    def test_nobody_is_there(self) -> None:
        """A remote that does not exist, by name and by address, costs nothing but a line in the log now and then."""
        relay = self.relay("tcp:no-such-host.invalid:9060", f"tcp:127.0.0.1:{free_port()}")
        self.send(relay, count=5_000)
        self.until(lambda: relay.metric("hfp_remote_connects_total", result="refused") >= 5, 20, "some attempts")
        self.assertLess(len(relay.log().splitlines()), 40, relay.log())
        self.assertLess(relay.stop(), 5)


def _run(*command: str) -> str:
    """Run it; what it complained of if it failed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return (done.stderr.strip() or f"status {done.returncode}") if done.returncode else ""
