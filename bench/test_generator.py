"""
The generator sends what it should, over every transport, and what hfp makes of it is what the collector awaits.

As :mod:`bench.test_collector`, with ``python -m twisted.trial bench.test_generator``.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.build import build
from bench.certificate import make_certificate
from bench.children import free_port
from bench.errors import Missing
from bench.load import Collector, Generator, LoadKit
from bench.packet import PACKET_OCTETS, build_invite, build_legacy_ping, build_ping
from hfp.hep import from_datagram

_COUNT = 100
"""Few enough for a receive buffer of the usual size."""

_TIMEOUT_S = 10.0


class GeneratorTests(SynchronousTestCase):
    """What arrives of a sending."""

    def setUp(self) -> None:
        """Compile the programs."""
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def kit(self, tls: bool = False) -> LoadKit:
        """The programs and the packet."""
        try:
            return LoadKit.prepare(build(tls), self.directory)
        except Missing as error:
            self.skipTest(str(error))

    def received(self, rate: float) -> tuple[list[bytes], int]:
        """The datagrams of a sending at this rate, and how long it took, ns."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.settimeout(_TIMEOUT_S)
            receiver.bind(("127.0.0.1", 0))
            with Generator(self.kit(), receiver.getsockname()[1], 1, transport="udp") as generator:
                sent = generator.send(_COUNT, 1, rate, _TIMEOUT_S)
                return [receiver.recv(65536) for _ in range(_COUNT)], sent.ended_ns - sent.started_ns

    def test_datagrams(self) -> None:
        """Over UDP each packet is a datagram, numbered in its stamp."""
        kit = self.kit()
        datagrams, _ = self.received(0)
        at = kit.sent.stamp_offset
        self.assertEqual([int(datagram[at : at + 8], 16) for datagram in datagrams], list(range(_COUNT)))
        self.assertEqual({len(datagram) for datagram in datagrams}, {PACKET_OCTETS})

    def test_pace(self) -> None:
        """A sending with a rate takes the time that it should, with long waits (slept) and short ones (awake)."""
        for rate in (2_000, 50_000):
            _, took_ns = self.received(rate)
            self.assertGreaterEqual(took_ns, (_COUNT - 1) / rate * 1e9)
            self.assertLess(took_ns, _COUNT / rate * 1e9 + 1e9)

    def test_tls(self) -> None:
        """Over TLS, packets arrive as they were sent, and the second sending after the first."""
        kit = self.kit(tls=True)
        try:
            certificate = make_certificate(self.directory)
        except Missing as error:
            self.skipTest(str(error))
        port = free_port()
        with (
            Collector(kit, port, certificate=certificate) as collector,
            Generator(kit, port, 3, transport="tls") as generator,
        ):
            for first in (0, _COUNT):
                collector.expect(_COUNT, 20, 3, first)
                generator.send(_COUNT, 20, 0, _TIMEOUT_S, first)
                self.assertIsNotNone(collector.wait_complete(_TIMEOUT_S))
                self.assertEqual(collector.report().faults(_COUNT), [])

    def test_plain_to_tls(self) -> None:
        """A collector that speaks TLS takes nothing else."""
        kit = self.kit(tls=True)
        try:
            certificate = make_certificate(self.directory)
        except Missing as error:
            self.skipTest(str(error))
        port = free_port()
        with Collector(kit, port, certificate=certificate) as collector:
            collector.expect(1, 1, 1)
            with socket.create_connection(("127.0.0.1", port)) as sender:
                sender.settimeout(_TIMEOUT_S)
                sender.sendall(kit.sent.path.read_bytes())
                with contextlib.suppress(ConnectionError):
                    while sender.recv(100):
                        pass
            self.assertEqual(collector.report().faults(1), ["1 packets missing"])

    def test_other_numbers(self) -> None:
        """A packet of another sending is not one of those that are expected."""
        kit = self.kit()
        port = free_port()
        with Collector(kit, port) as collector, Generator(kit, port, 1) as generator:
            collector.expect(_COUNT, 1, 1, _COUNT)
            generator.send(_COUNT + 1, 1, 0, _TIMEOUT_S)
            generator.send(_COUNT - 1, 1, 0, _TIMEOUT_S, _COUNT + 1)
            self.assertIsNotNone(collector.wait_complete(_TIMEOUT_S))
            self.assertEqual(collector.report().faults(_COUNT), [f"{_COUNT} packets altered"])


class LoadTests(SynchronousTestCase):
    """The packets themselves."""

    def test_sizes(self) -> None:
        """What arrives has 600 octets, whatever was sent."""
        for build_load in (build_ping, build_invite, build_legacy_ping):
            self.assertEqual(len(build_load().arriving), PACKET_OCTETS)

    def test_legacy(self) -> None:
        """Of the HEP2 datagram hfp makes the HEP3 packet that the collector awaits."""
        load = build_legacy_ping()
        self.assertNotEqual(load.sent, load.arriving)
        self.assertEqual(from_datagram(load.sent, time.time_ns()), load.arriving)

    def test_content_length(self) -> None:
        """The INVITE request's Content-Length is that of its body."""
        head, _, body = build_invite().sent.partition(b"\r\n\r\n")
        self.assertIn(b"\r\nContent-Length: %d" % len(body), head)
