"""
The spool's limit under each policy, and a disk that is full: what is dropped is counted to the packet.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SkipTest

from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import Collector, Relay, is_root

_LIMIT = 24_000_000
_LIMIT_OPTIONS = ["--spool-limit", "24MB"]


def _disk_octets(directory: Path) -> int:
    """What the files of this directory take."""
    return sum(entry.stat().st_size for entry in directory.rglob("*") if entry.is_file())


class SpoolLimitTests(ProcessTestCase):
    """60 MB for a dead collector, and 24 MB of room."""

    _COUNT = 80_000

    def _dropped(self, relay: Relay, reason: str) -> int:
        return int(relay.metric("hfp_packets_dropped_total", reason=reason))

    def test_drop_oldest(self) -> None:
        """The newest packets are kept, without a gap; received = delivered + dropped."""
        collector = self.collector(start=False)
        relay = self.relay(collector, options=[*_LIMIT_OPTIONS, "--spool-full", "drop-oldest"])
        sent = self.send(relay, count=self._COUNT)
        self.assertLessEqual(_disk_octets(relay.spool), _LIMIT)
        dropped = self._dropped(relay, "spool-full")
        self.assertGreater(dropped, 0)
        self.start(collector)
        self.until_equal(collector.arrived, sent[1] - dropped, 15, "what was not dropped is delivered")
        self.assert_intact(collector, sent)
        self.assertEqual(collector.reading.duplicates(), 0)
        self.assertEqual(collector.reading.senders[1].missing, set(range(dropped)))
        self.assertEqual(self._dropped(relay, "spool-full"), dropped)
        self.assertEqual(self._all_dropped(relay), dropped)
        self.assertGreater(collector.arrived(), self._COUNT // 5, "most of the room was used")
        # And it goes on as if nothing had been: what is new is not held up by what is not confirmed yet.
        more = self.send(relay, id=2, count=2_000)
        self.until_arrived(collector, more, 10)

    def test_drop_newest(self) -> None:
        """The oldest packets are kept; received = delivered + dropped."""
        collector = self.collector(start=False)
        relay = self.relay(collector, options=[*_LIMIT_OPTIONS, "--spool-full", "drop-newest"])
        sent = self.send(relay, count=self._COUNT)
        self.assertLessEqual(_disk_octets(relay.spool), _LIMIT)
        dropped = self._dropped(relay, "refused")
        self.assertGreater(dropped, 0)
        self.start(collector)
        self.until_equal(collector.arrived, sent[1] - dropped, 15, "what was not dropped is delivered")
        self.assert_intact(collector, sent)
        self.assertEqual(collector.reading.duplicates(), 0)
        # Near the end a small batch may still fit where a larger one did not.
        self.assertGreater(min(collector.reading.senders[1].missing, default=self._COUNT), self._COUNT // 5)
        self.assertEqual(self._all_dropped(relay), dropped)
        self.assertGreater(collector.arrived(), self._COUNT // 5, "most of the room was used")
        # And it goes on as if nothing had been, once what was delivered is confirmed and has made room.
        self.until_equal(partial(relay.metric, "hfp_spool_backlog_packets"), 0, 10, "all is confirmed")
        more = self.send(relay, id=2, count=2_000)
        self.until_arrived(collector, more, 10)

    def test_block(self) -> None:
        """The sender waits, nothing is dropped, and it all goes through when the collector is there."""
        collector = self.collector(start=False)
        relay = self.relay(collector, options=[*_LIMIT_OPTIONS, "--spool-full", "block"])
        sender = self.sender(relay, count=self._COUNT)
        self.until(lambda: relay.metric("hfp_intake_paused") == 1, 20, "hfp holds its senders up")
        held = relay.received()
        self.assertLess(held, self._COUNT)
        self.assertLessEqual(_disk_octets(relay.spool), _LIMIT)
        self.assertIsNone(sender.ended())
        self.start(collector)
        sent = sender.finish(30)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(self._all_dropped(relay), 0)

    def test_block_and_stop(self) -> None:
        """Held up and stopped: what was read is not lost, and the stop takes no longer than ever."""
        collector = self.collector(start=False)
        relay = self.relay(collector, options=[*_LIMIT_OPTIONS, "--spool-full", "block"])
        self.sender(relay, count=self._COUNT)
        self.until(lambda: relay.metric("hfp_intake_paused") == 1, 20, "hfp holds its senders up")
        received = relay.received()
        relay.stop()
        self.start(collector)
        self.start(relay)
        self.until_above(collector.arrived, received - 1, 15, "what was received is delivered")
        arrived = collector.reading.senders[1].highest + 1
        self.assert_delivered(collector, {1: arrived}, duplicates=0)

    def test_a_limit_does_not_matter_while_the_collector_keeps_up(self) -> None:
        """Ten times the limit goes through, nothing is dropped, and the disk is not filled."""
        collector = self.collector()
        relay = self.relay(collector, options=_LIMIT_OPTIONS)
        sent = self.sender(relay, count=120_000, rate=40_000, per_write=10, mix="2000").finish(20)
        self.until_arrived(collector, sent, 15)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(self._all_dropped(relay), 0)
        self.assertLessEqual(_disk_octets(relay.spool), _LIMIT)

    def _all_dropped(self, relay: Relay) -> int:
        return int(relay.metric("hfp_packets_dropped_total"))


class FullDiskTests(ProcessTestCase):
    """The spool is on a file system of its own, and something else fills it."""

    def _relay_on_a_small_disk(self, collector: Collector) -> tuple[Relay, Path]:
        """
        hfp with a tmpfs of 64 MB for its spool, in a mount namespace that ends with it.

        :returns: hfp, and the path of that tmpfs as this process sees it.
        """
        if not is_root():
            raise SkipTest("needs root to mount a small tmpfs")
        if shutil.which("unshare") is None:
            raise SkipTest("needs unshare to mount a small tmpfs")
        if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
            raise SkipTest("mount namespaces are not allowed here")
        disk = self.directory / "disk"
        disk.mkdir()
        mount = f'mount -t tmpfs -o size=64m tmpfs {disk} && exec "$@"'
        prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh"]
        relay = self.relay(collector, spool=disk / "spool", prefix=prefix)
        return relay, Path(f"/proc/{relay.pid}/root{disk}")

    def _fill(self, disk: Path) -> Path:
        """Take the last octet of this file system."""
        ballast = disk / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue
        state = os.statvfs(disk)
        self.assertEqual(state.f_bavail, 0)
        return ballast

    def test_an_uplink_that_is_up_goes_on_being_fed(self) -> None:
        """With the disk full to the last octet everything still arrives, and so it does when there is room again."""
        collector = self.collector()
        relay, disk = self._relay_on_a_small_disk(collector)
        sent = self.send(relay, count=5_000, rate=10_000)
        ballast = self._fill(disk)
        sent |= self.send(relay, id=2, count=100_000, rate=20_000, per_write=5)
        self.until_arrived(collector, sent, 10)
        self.assert_delivered(collector, sent, duplicates=0)
        ballast.unlink()
        sent |= self.send(relay, id=3, count=20_000, rate=10_000)
        self.until_arrived(collector, sent, 10)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(collector.connections(), 1)

    def test_a_full_disk_and_a_dead_collector(self) -> None:
        """hfp lives on, keeps what it can, counts the rest; with both back it delivers and spools again."""
        collector = self.collector(start=False)
        relay, disk = self._relay_on_a_small_disk(collector)
        ballast = self._fill(disk)
        sent = self.send(relay, count=150_000, per_write=5)
        dropped = int(relay.metric("hfp_packets_dropped_total"))
        self.start(collector)
        self.until_equal(collector.arrived, sent[1] - dropped, 15, "what was not dropped is delivered")
        self.assert_intact(collector, sent)
        ballast.unlink()
        collector.kill()
        sent |= self.send(relay, id=2, count=20_000)
        self.start(collector)
        self.until_arrived(collector, {2: sent[2]}, 10)
        self.assert_intact(collector, sent)
