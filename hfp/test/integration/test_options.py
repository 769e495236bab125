"""
Options that change how a running hfp behaves and that no other module here is about.
"""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import Relay

#: What ``/proc/net/tcp`` shows as the timer of a connection that TCP will probe when it stays idle.
_KEEPALIVE_TIMER = "02"


class OptionTests(ProcessTestCase):
    """One option each."""

    def test_replay_rate(self) -> None:
        """A backlog of 12 MB at 4 MB/s takes about three seconds, and new packets wait behind it in their order."""
        collector = self.collector(start=False)
        relay = self.relay(collector, options=["--replay-rate", "4MB"])
        sent = self.send(relay, count=6_000, mix="2000", per_write=10)
        # What is younger than 2 s is not a backlog.
        self.until_above(partial(relay.metric, "hfp_remote_oldest_age_seconds"), 3, 10, "the backlog is old enough")
        self.start(collector)
        took = self.until_arrived(collector, sent, 15)
        self.assertTrue(2 < took < 6, took)
        sent |= self.send(relay, id=2, count=1_000)
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent, duplicates=0)

    def test_sync_each_batch(self) -> None:
        """``--sync 0``: each batch is synced before it goes anywhere, and all of it arrives, after a SIGKILL too."""
        collector = self.collector()
        relay = self.relay(collector, options=["--sync", "0"])
        sent = self.send(relay, count=5_000, rate=5_000)
        self.until_arrived(collector, sent, 10)
        self.assertGreater(relay.metric("hfp_spool_syncs_total"), 20)
        collector.kill()
        sent |= self.send(relay, id=2, count=5_000, rate=5_000)
        relay.kill()
        self.start(relay)
        self.start(collector)
        self.until_arrived(collector, sent, 10)
        self.assert_delivered(collector, sent, duplicates=5_000)

    def test_sync_in_an_outage(self) -> None:
        """``--sync 0.2``: what is not confirmed is synced several times a second, not batch by batch."""
        relay = self.relay("tcp:127.0.0.1:9", options=["--sync", "0.2"])
        self.send(relay, rate=5_000, count=10_000)
        self.assertTrue(2 <= relay.metric("hfp_spool_syncs_total") <= 30)

    def test_no_limit(self) -> None:
        """``--spool-limit 0``: nothing is dropped until the file system says so."""
        relay = self.relay("tcp:127.0.0.1:9", options=["--spool-limit", "0"])
        self.send(relay, count=20_000, mix="4000", per_write=10)
        self.assertEqual(relay.metric("hfp_packets_dropped_total"), 0)
        self.assertEqual(relay.metric("hfp_spool_backlog_packets"), 20_000)

    def test_keepalive(self) -> None:
        """TCP probes an uplink that is idle."""
        self.assertEqual(self._timer_with("--keepalive", "5"), _KEEPALIVE_TIMER)

    def test_no_keepalive(self) -> None:
        """``--keepalive 0`` leaves the probes out."""
        self.assertEqual(self._timer_with("--keepalive", "0"), "00")

    def test_nodelay(self) -> None:
        """``--nodelay`` changes when octets go, and none of them."""
        self._timer_with("--nodelay")

    def _timer_with(self, *options: str) -> str:
        """Relay a little with these options; the kernel's timer of the uplink when all is acknowledged."""
        collector = self.collector()
        relay = self.relay(collector, options=options)
        sent = self.send(relay, count=1_000)
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent, duplicates=0)
        self.until(lambda: self._timer(relay, collector.port) in ("00", _KEEPALIVE_TIMER), 5, "nothing is on its way")
        return self._timer(relay, collector.port)

    def _timer(self, relay: Relay, port: int) -> str:
        """The kernel's timer of hfp's connection to this port."""
        for line in Path(f"/proc/{relay.pid}/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[2] == _address(port) and fields[3] == "01":
                return fields[5].partition(":")[0]
        return ""


def _address(port: int) -> str:
    """127.0.0.1 and a port as ``/proc/net/tcp`` writes them."""
    number = int.from_bytes(socket.inet_aton("127.0.0.1"), "little")
    return f"{number:08X}:{port:04X}"
