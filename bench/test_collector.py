"""
The bench sees what a relay does to the packets: ``python -m twisted.trial bench.test_collector``.

Apart from hfp's own tests, because it needs a C compiler.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.build import build
from bench.children import free_port
from bench.errors import Missing
from bench.load import Arrivals, Collector, Generator, LoadKit
from bench.packet import PACKET_OCTETS

_COUNT = 100
_TIMEOUT_S = 10.0
_ALL = _COUNT * PACKET_OCTETS


def _bad_relay(port: int, collector_port: int, spoil: Callable[[bytes], bytes]) -> threading.Thread:
    """Take the whole sending, spoil it, pass it on, and wait for the collector to close."""
    listener = socket.create_server(("127.0.0.1", port))

    def run() -> None:
        with (
            listener,
            listener.accept()[0] as sender,
            socket.create_connection(("127.0.0.1", collector_port)) as uplink,
        ):
            octets = b""
            while len(octets) < _ALL:
                octets += sender.recv(_ALL)
            uplink.sendall(spoil(octets))
            uplink.shutdown(socket.SHUT_WR)
            uplink.recv(1)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _packets(octets: bytes, first: int, end: int) -> bytes:
    return octets[first * PACKET_OCTETS : end * PACKET_OCTETS]


class CollectorTests(SynchronousTestCase):
    """What the collector reports of a relay that does something to the packets."""

    def setUp(self) -> None:
        """Compile the programs."""
        try:
            programs = build()
        except Missing as error:
            self.skipTest(str(error))
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.kit = LoadKit.prepare(programs, Path(directory.name))

    def pass_through(self, spoil: Callable[[bytes], bytes]) -> Arrivals:
        """Send :data:`_COUNT` packets through a relay that does this to them."""
        port, collector_port = free_port(), free_port()
        relay = _bad_relay(port, collector_port, spoil)
        with Collector(self.kit, collector_port) as collector:
            collector.expect(_COUNT, 1, 1)
            with Generator(self.kit, port, 1) as generator:
                generator.send(_COUNT, 1, 0, _TIMEOUT_S)
            relay.join(_TIMEOUT_S)
            return collector.report()

    def assert_faults(self, spoil: Callable[[bytes], bytes], *faults: str) -> None:
        """Assert what is reported of a sending that was spoiled so."""
        self.assertEqual(self.pass_through(spoil).faults(_COUNT), list(faults))

    def test_whole(self) -> None:
        """Of packets that arrive as they were sent, no fault is reported."""
        self.assert_faults(lambda octets: octets)

    def test_missing(self) -> None:
        """Packets that do not arrive are counted."""
        self.assert_faults(lambda o: _packets(o, 0, 5) + _packets(o, 7, _COUNT), "2 packets missing")

    def test_twice(self) -> None:
        """A packet that arrives again is counted."""
        self.assert_faults(lambda o: _packets(o, 0, 5) + _packets(o, 4, _COUNT), "1 packets more than once")

    def test_disordered(self) -> None:
        """A packet that arrives after a later one of its sender is counted."""
        self.assert_faults(
            lambda o: _packets(o, 0, 5) + _packets(o, 6, 7) + _packets(o, 5, 6) + _packets(o, 7, _COUNT),
            "1 packets out of order",
        )

    def test_altered(self) -> None:
        """A packet with one octet changed is no longer the one that was sent."""
        self.assert_faults(
            lambda o: o[: PACKET_OCTETS - 1] + b"!" + o[PACKET_OCTETS:], "1 packets missing", "1 packets altered"
        )

    def test_cut_short(self) -> None:
        """A packet that ends too early is missing, and its beginning is counted."""
        self.assert_faults(lambda o: o[:-10], "1 packets missing", "590 octets outside any packet")

    def test_no_frame(self) -> None:
        """Octets before the first packet spoil the stream, as they would for a real collector."""
        self.assert_faults(lambda o: b"HELLO HFP" + o, "100 packets missing", f"{_ALL + 9} octets outside any packet")
