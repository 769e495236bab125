"""
Tests for `hfp.service`: what joins the rooms.  Its start and stop with real sockets are in `hfp.test.integration`.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hfp.errors import SpoolFull
from hfp.hep import build
from hfp.interfaces import IBatchSink
from hfp.options import Options
from hfp.service import PART_OCTETS, RelayService
from hfp.spool import FullPolicy, Position
from hfp.test.intakefakes import WatchingClock


class FillingSpool:
    """A spool that takes as many batches as it has room for."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken: list[bytes] = []
        self.end = Position(1, 64, 0, 0)
        self.writable: Deferred[None] | None = None

    def append(self, pieces: list[Any], octets: int, packets: int, received_ns: int) -> Position:
        if not self.room:
            raise SpoolFull
        self.room -= 1
        assert octets == sum(map(len, pieces))
        return self._take(pieces, octets, packets)

    def append_last(self, pieces: list[Any], octets: int, packets: int, received_ns: int) -> Position:
        return self._take(pieces, octets, packets)

    def _take(self, pieces: list[Any], octets: int, packets: int) -> Position:
        self.taken.append(b"".join(pieces))
        end = self.end
        self.end = Position(1, end.offset + octets, end.packets + packets, end.octets + octets)
        return self.end

    def when_writable(self) -> Deferred[None]:
        self.writable = Deferred()
        return self.writable

    def drain(self, room: int) -> None:
        self.room = room
        writable, self.writable = self.writable, None
        assert writable is not None
        writable.callback(None)


class NotingUplink:
    """An uplink that notes what it is offered."""

    def __init__(self) -> None:
        self.offered: list[tuple[bytes, int, int, Position]] = []

    def offer(self, pieces: list[Any], octets: int, packets: int, end: Position) -> None:
        self.offered.append((b"".join(pieces), octets, packets, end))


class TakeTests(SynchronousTestCase):
    """`RelayService.take`."""

    def make(self, room: int, full: FullPolicy = FullPolicy.DROP_OLDEST) -> RelayService:
        options = Options()
        options.parseOptions(["--remote", "192.0.2.9:9060", "--spool-full", full.value, "--prom", "off"])
        service = RelayService(options.settings, WatchingClock())
        self.addCleanup(service._intake.pool.stop)
        self.spool = FillingSpool(room)
        self.uplinks = [NotingUplink(), NotingUplink()]
        service._spool = self.spool  # type: ignore[assignment]
        service._uplinks = list(self.uplinks)  # type: ignore[arg-type]
        return service

    def test_interface(self) -> None:
        """The service is the intake's sink."""
        verifyObject(IBatchSink, self.make(1))

    def test_journalled_then_offered(self) -> None:
        """A batch is appended, and offered to every uplink with the position behind it."""
        service = self.make(1)
        service.take([b"one", memoryview(b"two")], 2)
        self.assertEqual(self.spool.taken, [b"onetwo"])
        for uplink in self.uplinks:
            self.assertEqual(uplink.offered, [(b"onetwo", 6, 2, self.spool.end)])

    def test_refused(self) -> None:
        """What a full spool refuses is offered to nobody; the intake goes on."""
        service = self.make(0, FullPolicy.DROP_NEWEST)
        service.take([b"one"], 1)
        self.assertEqual(self.uplinks[0].offered, [])
        self.assertFalse(service._intake.pool.paused)

    def test_blocked(self) -> None:
        """With ``block`` the batch is kept and the intake pauses; both go on, in order, when there is room."""
        service = self.make(1, FullPolicy.BLOCK)
        service.take([b"one"], 1)
        service.take([b"two"], 1)
        self.assertTrue(service._intake.pool.paused)
        self.assertEqual(self.spool.taken, [b"one"])
        self.spool.drain(5)
        self.assertFalse(service._intake.pool.paused)
        service.take([b"three"], 1)
        self.assertEqual(self.spool.taken, [b"one", b"two", b"three"])
        self.assertEqual([octets for octets, _, _, _ in self.uplinks[1].offered], [b"one", b"two", b"three"])

    def test_blocked_keeps_order(self) -> None:
        """What comes while a batch is held, as the rest of a round can, waits behind it."""
        service = self.make(0, FullPolicy.BLOCK)
        for octets in (b"one", b"two", b"three"):
            service.take([octets], 1)
        self.spool.drain(1)
        self.assertEqual((self.spool.taken, service._intake.pool.paused), ([b"one"], True))
        self.spool.drain(5)
        self.assertEqual((self.spool.taken, service._intake.pool.paused), ([b"one", b"two", b"three"], False))

    def test_much_of_little(self) -> None:
        """A batch that filters have made larger than a record can be is taken in parts, with nothing lost or torn."""
        service = self.make(100)
        packets = [build([(0, 15, bytes([number]) * 60_000)]) for number in range(40)]
        service.take([b"".join(packets[:30]), b"".join(packets[30:])], 40)
        self.assertEqual(b"".join(self.spool.taken), b"".join(packets))
        self.assertEqual(self.spool.end.packets, 40)
        self.assertLessEqual(max(map(len, self.spool.taken)), PART_OCTETS)
        self.assertEqual([octets for octets, _, _, _ in self.uplinks[0].offered], self.spool.taken)

    def test_blocked_again(self) -> None:
        """Room that somebody else took first means waiting once more."""
        service = self.make(0, FullPolicy.BLOCK)
        service.take([b"one"], 1)
        self.spool.drain(0)
        self.assertTrue(service._intake.pool.paused)
        self.spool.drain(1)
        self.assertEqual((self.spool.taken, service._intake.pool.paused), ([b"one"], False))

    def test_blocked_and_stopped(self) -> None:
        """What is held when hfp stops goes into the log, beyond its limit."""
        service = self.make(0, FullPolicy.BLOCK)
        service.take([b"one"], 1)
        service._append_held()
        service._append_held()
        self.assertEqual(self.spool.taken, [b"one"])
