"""
HEP3 as real programs send it goes through byte for byte: streams captured from Kamailio, sngrep, rtpengine and others.

The captures are not part of the project: they are looked for in ``../shared/data/hep`` beside the checkout, or where
``HFP_CAPTURES`` says.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
import termios
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SkipTest

from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import ROOT, Collector, Relay
from hfp.test.peers.traffic import lengths

_CAPTURES = Path(os.environ.get("HFP_CAPTURES") or ROOT.parent / "shared" / "data" / "hep")


class CapturedTests(ProcessTestCase):
    """Each captured stream on a connection of its own, one after the other."""

    def _streams(self, pattern: str) -> list[Path]:
        found = sorted(_CAPTURES.glob(pattern))
        if not found:
            raise SkipTest(f"no captured HEP in {_CAPTURES}; HFP_CAPTURES can name another directory")
        return found

    def _relay_and_dump(self) -> tuple[Relay, Collector]:
        collector = self.collector(dump=True)
        return self.relay(collector), collector

    def _assert_passed(self, collector: Collector, expected: bytes, name: str) -> None:
        """The last that arrived is this."""
        self.until(lambda: _size(collector.dumped) >= len(expected), 10, f"{name} has arrived")
        self.assertTrue(collector.dumped.read_bytes() == expected, f"{name} was altered")

    def test_in_large_writes(self) -> None:
        """Every stream, in writes as large as the kernel takes."""
        streams = self._streams("*.hep3stream")
        relay, collector = self._relay_and_dump()
        expected = b""
        packets = 0
        for path in streams:
            octets = path.read_bytes()
            with self.connect(relay) as connection:
                connection.sendall(octets)
            expected += octets
            packets += len(lengths(octets))
            self._assert_passed(collector, expected, path.name)
        self.assertEqual(relay.received(), packets)
        self.assertEqual(collector.connections(), 1)

    def test_in_the_segments_that_were_on_the_wire(self) -> None:
        """The TCP streams, cut as their senders' TCP had cut them."""
        relay, collector = self._relay_and_dump()
        expected = b""
        for path in self._streams("*.segments.json"):
            stream = path.with_name(path.name.replace(".segments.json", ".hep3stream"))
            octets = stream.read_bytes()
            with self.connect(relay) as connection:
                for at, length in json.loads(path.read_text())["segments"]:
                    connection.sendall(octets[at : at + length])
                    self.until_equal(partial(_unacknowledged, connection), 0, 5, "it is on the other side")
            expected += octets
            self._assert_passed(collector, expected, stream.name)

    def test_in_tiny_segments(self) -> None:
        """Every stream in segments of 1 to 23 octets, on one connection."""
        relay, collector = self._relay_and_dump()
        expected = b""
        connection = self.connect(relay)
        for path in self._streams("*.hep3stream"):
            octets = path.read_bytes()[:6000]
            octets = octets[: sum(lengths(octets))]
            at = 0
            while at < len(octets):
                size = 1 + at % 23
                connection.send(octets[at : at + size])
                at += size
            expected += octets
            self._assert_passed(collector, expected, path.name)

    def test_after_an_outage(self) -> None:
        """Every stream by way of the spool."""
        streams = self._streams("*.hep3stream")
        relay, collector = self._relay_and_dump()
        collector.kill()
        expected = b""
        for path in streams:
            octets = path.read_bytes()
            expected += octets
            with self.connect(relay) as connection:
                connection.sendall(octets)
            self.until_equal(relay.received, len(lengths(expected)), 5, f"{path.name} is spooled")
        relay.kill()
        self.start(relay)
        self.start(collector)
        self._assert_passed(collector, expected, "all")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unacknowledged(connection: socket.socket) -> int:
    """Octets that the other side's kernel has not acknowledged (SIOCOUTQ, which has the number of TIOCOUTQ)."""
    octets = array.array("i", [0])
    fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, octets)
    return octets[0]
