"""
What the spool keeps for whom: the cursor of a remote that is no longer configured, and of one that is new.
"""

from __future__ import annotations

from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import Collector, Relay


class KeptCursorTests(ProcessTestCase):
    """A remote leaves the command line while the spool still holds packets for it."""

    def _relay_with_a_kept_cursor(self, left: Collector, stays: Collector) -> tuple[Relay, dict[int, int]]:
        """hfp has taken 5,000 packets for both, delivered them to one, and is started again with that one alone."""
        relay = self.relay(left, stays)
        sent = self.send(relay, count=5_000)
        self.until_arrived(stays, sent, 5)
        relay.stop()
        relay.remotes = [stays.remote]
        self.start(relay)
        return relay, sent

    def test_it_is_kept_and_named(self) -> None:
        """A warning says who and how many packets; when the remote comes back, it gets them."""
        left, stays = self.collector("left", start=False), self.collector("stays")
        relay, sent = self._relay_with_a_kept_cursor(left, stays)
        warnings = [line for line in relay.log().splitlines() if "--forget" in line]
        self.assertEqual(len(warnings), 1, relay.log())
        self.assertIn(left.remote, warnings[0])
        self.assertIn("5000 packets", warnings[0])
        relay.stop()
        relay.remotes = [left.remote, stays.remote]
        self.start(left)
        self.start(relay)
        self.until_arrived(left, sent, 5)
        self.assert_delivered(left, sent, duplicates=0)
        self.assert_delivered(stays, sent, duplicates=0)

    def test_it_goes_with_forget(self) -> None:
        """``--forget`` lets it go: no warning any more, and when the remote comes back it is a new one."""
        left, stays = self.collector("left", start=False), self.collector("stays")
        relay, sent = self._relay_with_a_kept_cursor(left, stays)
        relay.stop()
        relay.options += ["--forget", left.remote]
        self.start(relay)
        relay.stop()
        relay.options = relay.options[:-2]
        self.start(relay)
        self.assertNotIn(left.remote, relay.log(all_lives=False))
        relay.stop()
        relay.remotes = [left.remote, stays.remote]
        self.start(left)
        self.start(relay)
        more = self.send(relay, id=2, count=1_000)
        self.until_arrived(left, more, 5)
        self.assert_delivered(left, more, duplicates=0)
        self.assert_delivered(stays, {**sent, **more}, duplicates=0)

    def test_a_new_remote_starts_at_the_end(self) -> None:
        """It gets what comes from now on, not what the spool holds for another."""
        old, new = self.collector("old", start=False), self.collector("new")
        relay = self.relay(old)
        sent = self.send(relay, count=5_000)
        relay.stop()
        relay.remotes = [old.remote, new.remote]
        self.start(relay)
        more = self.send(relay, id=2, count=1_000)
        self.until_arrived(new, more, 5)
        self.assert_delivered(new, more, duplicates=0)
        self.start(old)
        self.until_arrived(old, {**sent, **more}, 5)
        self.assert_delivered(old, {**sent, **more}, duplicates=0)

    def test_it_yields_first(self) -> None:
        """When space is needed the kept cursor's packets go, not those of a remote that is configured."""
        left, stays = self.collector("left", start=False), self.collector("stays")
        relay = self.relay(left, stays, options=["--spool-limit", "24MB"])
        sent = self.send(relay, count=10_000)
        self.until_arrived(stays, sent, 5)
        relay.stop()
        relay.remotes = [stays.remote]
        self.start(relay)
        stays.kill()
        more = self.send(relay, id=2, count=20_000)
        self.start(stays)
        self.until_arrived(stays, {**sent, **more}, 10)
        self.assert_delivered(stays, {**sent, **more}, duplicates=10_000)
        self.assertEqual(relay.metric("hfp_packets_dropped_total", remote=stays.remote), 0)
