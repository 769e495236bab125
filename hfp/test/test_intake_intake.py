"""
Tests for `hfp.intake.intake`: the parts, joined, over loopback.
"""

from __future__ import annotations

import socket
from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from hfp.hep import Chunk, build
from hfp.intake import Intake, IntakeSettings
from hfp.intake.access import REASONS
from hfp.intake.faults import KINDS, TLS_KINDS
from hfp.status import IntakeStatus
from hfp.test.intakefakes import ListSink, NotingScreen, WatchingClock, packet, told
from hfp.test.test_intake_udp import HEP2

KEYED = build([(0, Chunk.AUTHENTICATION_KEY, b"key"), (0, Chunk.PAYLOAD, b"x")])


class IntakeTests(SynchronousTestCase):
    """TCP and UDP together."""

    def build(self, *screens: NotingScreen, **settings: Any) -> None:
        self.clock = WatchingClock()
        self.sink = ListSink()
        self.repeats, self.lines = told(self.clock)
        self.intake = Intake(self.clock, self.sink, self.repeats, IntakeSettings(**settings), screens)
        self.tcp = self.intake.listen_tcp("127.0.0.1", 0)
        self.udp = self.intake.listen_udp("udp:9060", "127.0.0.1", 0)
        self.addCleanup(self.stop)
        self.callers: list[socket.socket] = []

    def stop(self) -> None:
        stopped = Deferred.fromCoroutine(self.intake.stop())
        self.clock.pump([0] * 3)
        self.successResultOf(stopped)
        self.clock.wake()
        self.assertEqual((self.clock.readers, self.clock.writers), ([], []))

    def send(self, udp: bool, *octets: bytes) -> socket.socket:
        caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        self.addCleanup(caller.close)
        port: Any = self.udp if udp else self.tcp
        caller.connect(("127.0.0.1", port.getHost().port))
        for datagram in octets:
            caller.send(datagram)
        for _ in range(3):
            self.clock.wake()
        return caller

    def test_nothing_yet(self) -> None:
        """Every counter is there before anything has happened."""
        self.build()
        self.assertEqual(
            self.intake.status(),
            IntakeStatus(
                invalid=dict.fromkeys(KINDS, 0),
                refused=dict.fromkeys(REASONS, 0),
                deadlines={"first-packet": 0, "whole-packet": 0},
                tls_failures=dict.fromkeys(TLS_KINDS, 0),
                converted={"1": 0, "2": 0},
                kernel_drops={"udp:9060": 0},
            ),
        )

    def test_counts(self) -> None:
        """What comes in over TCP and UDP is counted together."""
        self.build()
        self.send(False, packet(b"a"))
        self.send(True, packet(b"b"), HEP2, b"junk")
        status = self.intake.status(last_packet_at=5.0)
        self.assertEqual((status.received.packets, status.datagrams, status.connects, status.connected), (3, 3, 1, 1))
        self.assertEqual((status.converted, status.invalid["other"]), ({"1": 0, "2": 1}, 1))
        self.assertEqual((status.last_packet_at, status.last_connect_at), (5.0, self.clock.seconds()))
        self.assertFalse(status.paused)

    def test_access(self) -> None:
        """The rules hold for both."""
        self.build(allow=(ip_network("192.0.2.0/24"),))
        caller = self.send(False)
        self.assertEqual(caller.recv(1), b"")
        self.send(True, packet(b"b"))
        status = self.intake.status()
        self.assertEqual((status.refused["not-allowed"], status.refused_datagrams, self.sink.batches), (1, 1, []))

    def test_most_connections(self) -> None:
        """So many connections in all, and of one host."""
        for settings, reason in (
            ({"max_connections": 1}, "max-connections"),
            ({"max_connections_per_host": 1}, "max-connections-per-host"),
        ):
            self.build(**settings)
            self.send(False, packet(b"a"))
            self.assertEqual(self.send(False).recv(1), b"")
            self.assertEqual(self.intake.status().refused[reason], 1)
            self.stop()

    def test_keys(self) -> None:
        """Keys are checked for both, before other screens see anything; the settings don't show them."""
        screen = NotingScreen()
        self.build(screen, auth_keys=(b"key",))
        self.send(False, packet(b"a") + KEYED)
        self.send(True, packet(b"b"), KEYED, HEP2)
        self.assertEqual(self.sink.octets, KEYED + KEYED)
        self.assertEqual([octets for octets, _, _ in screen.shown], [KEYED, KEYED])
        status = self.intake.status()
        self.assertEqual((status.unauthenticated, status.unauthenticated_by_host), (3, {"127.0.0.1": 3}))
        self.assertNotIn("key", repr(IntakeSettings(auth_keys=(b"key",))))

    def test_hepdecode(self) -> None:
        """Packets are logged when that is asked for."""
        from hfp.intake.decoded import DecodeScreen

        lines: list[dict[str, Any]] = []
        self.patch(
            DecodeScreen, "_log", type("Log", (), {"info": staticmethod(lambda _, **fields: lines.append(fields))})
        )
        self.build(hepdecode=True)
        self.send(True, packet(b"a"))
        self.assertEqual([fields["transport"] for fields in lines], ["udp"])
        self.assertEqual(self.sink.octets, packet(b"a"))

    def test_no_screens(self) -> None:
        """Where none is asked for, none is in the way."""
        self.build()
        self.assertEqual((self.intake.tcp_factory.screens, self.udp._screens), ((), ()))

    def test_deadline(self) -> None:
        """The deadline reaches the connections."""
        self.build(deadline_s=2.0)
        self.send(False, packet(b"a")[:50])
        self.clock.pump([0.5] * 8)
        self.assertEqual(self.intake.status().deadlines["first-packet"], 1)

    def test_convert(self) -> None:
        """So does the choice not to convert."""
        self.build(convert=False)
        self.send(True, HEP2)
        self.assertIn(HEP2, self.sink.octets)

    def test_pause_and_resume(self) -> None:
        """A paused intake reads nothing, and says so."""
        self.build()
        self.intake.pause()
        self.send(True, packet(b"a"))
        self.assertTrue(self.intake.status().paused)
        self.assertEqual(self.sink.batches, [])
        self.intake.resume()
        self.clock.wake()
        self.assertEqual(self.sink.octets, packet(b"a"))

    def test_port_in_use(self) -> None:
        """Ports that are taken are refused, with the error that Twisted raises."""
        self.build()
        self.assertRaises(CannotListenError, self.intake.listen_tcp, "127.0.0.1", self.tcp.getHost().port)  # type: ignore[attr-defined]
        self.assertRaises(CannotListenError, self.intake.listen_udp, "x", "127.0.0.1", self.udp.getHost().port)
        self.assertEqual(list(self.intake.status().kernel_drops), ["udp:9060"])

    def test_stop(self) -> None:
        """Stopping takes in what has arrived, then closes everything; the counters can still be asked for."""
        self.build(deadline_s=30.0)
        caller = self.send(False, packet(b"a"))
        caller.send(packet(b"b"))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(datagrams.close)
        datagrams.sendto(packet(b"c"), ("127.0.0.1", self.udp.getHost().port))
        self.stop()
        self.assertEqual(
            sorted(self.sink.octets[i : i + 100] for i in (0, 100, 200)), [packet(b"a"), packet(b"b"), packet(b"c")]
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.udp._socket.fileno(), -1)
        self.assertEqual(self.intake.status().kernel_drops, {"udp:9060": 0})
