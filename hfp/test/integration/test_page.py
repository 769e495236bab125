"""
The page of a running hfp that Prometheus scrapes.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request

from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import HOST

_GO_NAMES = {
    "hfp_client_connects_in",
    "hfp_connection_status_out",
    "hfp_hep_bytes_in_file",
    "hfp_hep_file_flushes_success",
    "hfp_hep_file_flushes_error",
    "hfp_client_in_last_metric_timestamp",
}


class PageTests(ProcessTestCase):
    """``/metrics``."""

    def test_names_and_help(self) -> None:
        """The Go HFP's six names are there from the start, exactly; every series has a HELP and a TYPE."""
        relay = self.relay("tcp:127.0.0.1:9")
        text = relay.scrape()
        names = relay.metrics().names()
        self.assertEqual(_GO_NAMES - names, set())
        helped = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP ")}
        typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
        for name in names:
            self.assertTrue(any(name.startswith(known) for known in helped & typed), name)

    def test_the_go_names_have_right_values(self) -> None:
        """Connections, status, spooled octets and flushes, as the Go HFP means them."""
        collector = self.collector(start=False)
        relay = self.relay(collector)
        probes = relay.metric("hfp_client_connects_in")
        began = time.time()
        self.send(relay, connections=3, count=1_000)
        metrics = relay.metrics()
        self.assertEqual(metrics.sum("hfp_client_connects_in") - probes, 3)
        self.assertEqual(metrics.sum("hfp_connection_status_out"), 0)
        self.assertGreater(metrics.sum("hfp_hep_bytes_in_file"), 3_000 * 400)
        self.assertEqual(metrics.sum("hfp_hep_file_flushes_success"), 0)
        self.assertTrue(began - 1 <= metrics.sum("hfp_client_in_last_metric_timestamp") <= time.time() + 1)
        self.start(collector)
        self.until(lambda: relay.metric("hfp_connection_status_out") == 1, 5, "it is connected")
        self.until(lambda: relay.metric("hfp_hep_bytes_in_file") == 0, 5, "the spool is drained")
        self.until(lambda: relay.metric("hfp_hep_file_flushes_success") == 1, 5, "one backlog was flushed")
        self.assertEqual(relay.metric("hfp_hep_file_flushes_error"), 0)

    def test_another_path(self) -> None:
        """What is not there is 404, and hfp lives on."""
        relay = self.relay("tcp:127.0.0.1:9")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://{HOST}:{relay.metrics_port}/nothing", timeout=5)
        self.assertEqual(caught.exception.code, 404)
        caught.exception.close()
        self.send(relay, count=10)
