"""
Tests for `hfp.intake`.
"""

from __future__ import annotations

import select
import socket

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hfp.batch import pack_datagrams
from hfp.intake import HepReceiverFactory, ReadPool
from hfp.intake.members import READ_OCTETS, Member, StreamMember
from hfp.intake.pool import (
    BATCH_OCTETS,
    BUSY_RATE,
    COLD_AFTER,
    HOT_AFTER,
    LONGEST_PAUSE_S,
    LOW_WATER_OCTETS,
    PAUSE_PER_READ_S,
    PAUSE_S,
    RATE_WINDOW_S,
)
from hfp.interfaces import Sender
from hfp.logs import Repeats
from hfp.test.intakefakes import ListSink, NotingScreen, PairTransport, WatchingClock, packet


class IntakeTestCase(SynchronousTestCase):
    """A pool with a factory in front and a sink behind."""

    def setUp(self) -> None:
        self.clock = WatchingClock()
        self.sink = ListSink()
        self.pool = ReadPool(self.clock, self.sink)
        self.factory = HepReceiverFactory(self.pool, self.clock, Repeats(HepReceiverFactory._log, self.clock))

    def tearDown(self) -> None:
        if self.pool.fileno() != -1:
            self.pool.stop()

    def connect(self, host: str = "192.0.2.1", tcp: bool = False) -> PairTransport:
        protocol = self.factory.buildProtocol(IPv4Address("TCP", host, 40000))
        transport = PairTransport(protocol, host, tcp)
        self.addCleanup(transport.close)
        self.addCleanup(self.pool.remove, transport.fileno())
        return transport


class ReadPoolTests(IntakeTestCase):
    """When sockets are read, and what becomes one batch."""

    def test_interface(self) -> None:
        """The reactor sees one descriptor."""
        verifyObject(IReadDescriptor, self.pool)

    def test_takes_over_reading(self) -> None:
        """The reactor watches the pool, not its members."""
        transport = self.connect()
        self.assertFalse(transport.reading)
        self.assertEqual(self.clock.readers, [self.pool])

    def test_lone_packet_at_once(self) -> None:
        """On a quiet relay a packet is handed on in the same turn, without any timer."""
        transport = self.connect()
        transport.far.sendall(packet(b"a"))
        self.clock.wake()
        self.assertEqual(self.sink.batches, [(packet(b"a"), 1)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_batch_for_all(self) -> None:
        """What several senders sent is one batch; each one's packets keep their order."""
        first, second = self.connect(), self.connect()
        first.far.sendall(packet(b"a") + packet(b"b"))
        second.far.sendall(packet(b"c"))
        self.clock.wake()
        self.assertEqual(len(self.sink.batches), 1)
        octets, packets = self.sink.batches[0]
        self.assertEqual(packets, 3)
        self.assertLess(octets.index(packet(b"a")), octets.index(packet(b"b")))
        self.assertIn(packet(b"c"), octets)

    def busy(self, transport: PairTransport) -> None:
        """Make the relay busy, and read everything."""
        for _ in range(2):
            transport.far.sendall(packet(b"x") * (2 * int(BUSY_RATE * RATE_WINDOW_S) + 2))
            self.clock.advance(RATE_WINDOW_S)
            self.clock.wake()

    def test_pause_while_busy(self) -> None:
        """A busy relay reads by the clock: what arrives within a pause is one read and one batch."""
        transport = self.connect()
        self.busy(transport)
        self.assertEqual(self.clock.readers, [])
        [call] = self.clock.getDelayedCalls()
        self.assertAlmostEqual(call.getTime() - self.clock.seconds(), PAUSE_S, places=6)
        reads, batches = self.pool.reads, len(self.sink.batches)
        for text in (b"a", b"b", b"c"):
            transport.far.sendall(packet(text))
        self.clock.advance(PAUSE_S)
        self.assertEqual((self.pool.reads - reads, len(self.sink.batches) - batches), (1, 1))
        self.assertEqual(self.sink.batches[-1], (packet(b"a") + packet(b"b") + packet(b"c"), 3))

    def test_quiet_again(self) -> None:
        """When the packets cease, the reactor watches again and no timer runs on."""
        transport = self.connect()
        self.busy(transport)
        for _ in range(2 * int(RATE_WINDOW_S / PAUSE_S) + 2):
            self.clock.advance(PAUSE_S)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.clock.readers, [self.pool])

    def test_no_pause_after_a_full_read(self) -> None:
        """A socket that filled a whole read is read again at once, not a pause later."""
        transport = self.connect()
        self.busy(transport)
        data = packet(b"x", 600) * (READ_OCTETS // 600 + 30)
        transport.far.setblocking(False)
        sent = transport.far.send(data)
        self.assertGreater(sent, READ_OCTETS)
        before, reads = len(self.sink.octets), self.pool.reads
        self.clock.advance(PAUSE_S)
        self.assertEqual(self.pool.reads - reads, 2)
        self.assertEqual(len(self.sink.octets) - before, sent // 600 * 600)

    def test_large_rounds_are_several_batches(self) -> None:
        """A round with much data is handed on in parts of a bounded size."""
        transports = [self.connect() for _ in range(8)]
        total = 0
        for transport in transports:
            transport.far.setblocking(False)
            data = packet(b"x", 1000) * 110
            total += len(data) if transport.far.send(data) == len(data) else 0
        self.clock.wake()
        self.assertGreater(total, BATCH_OCTETS)
        for octets, _ in self.sink.batches:
            self.assertLessEqual(len(octets), BATCH_OCTETS + READ_OCTETS)
        self.assertGreater(len(self.sink.batches), 1)

    def test_paused(self) -> None:
        """A paused pool reads nothing, and goes on where it was."""
        transport = self.connect()
        self.pool.pause()
        self.assertEqual(self.clock.readers, [])
        transport.far.sendall(packet(b"a"))
        self.clock.wake()
        self.clock.advance(1)
        self.assertEqual(self.sink.batches, [])
        self.pool.resume()
        self.clock.wake()
        self.assertEqual(self.sink.octets, packet(b"a"))

    def test_paused_within_a_round(self) -> None:
        """A sink that pauses the pool is given no batch more, even if sockets have data."""
        transports = [self.connect() for _ in range(8)]
        for transport in transports:
            transport.far.setblocking(False)
            transport.far.send(packet(b"x", 1000) * 110)
        taken = self.sink.take

        def take(pieces: list[bytes | bytearray | memoryview], packets: int) -> None:
            taken(pieces, packets)
            self.pool.pause()

        self.sink.take = take  # type: ignore[method-assign]
        self.clock.wake()
        self.assertEqual(len(self.sink.batches), 1)

    def test_stop_reads_what_has_arrived(self) -> None:
        """Stopping hands on what the kernel holds, then reads no more."""
        transport = self.connect()
        transport.far.sendall(packet(b"a") * 10)
        self.pool.stop()
        self.assertEqual(self.sink.octets, packet(b"a") * 10)
        self.assertEqual(self.clock.readers, [])
        self.assertEqual(self.pool.fileno(), -1)

    def test_sender_closes(self) -> None:
        """The end of a sender's stream ends its connection as the reactor would have done."""
        transport = self.connect()
        transport.far.sendall(packet(b"a"))
        transport.far.close()
        self.clock.wake()
        self.clock.wake()
        self.assertEqual(self.sink.octets, packet(b"a"))
        assert transport.reason is not None
        transport.reason.trap(ConnectionDone)
        self.assertEqual((len(self.pool), self.factory.connected), (0, 0))

    def test_error_in_one_member(self) -> None:
        """An error of our own closes the connection it happened on; the others are served."""
        bad, good = self.connect(), self.connect()

        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        member = self.pool._members[bad.fileno()]
        assert isinstance(member, StreamMember)
        member.deliver = fail
        bad.far.sendall(packet(b"a"))
        good.far.sendall(packet(b"b"))
        self.clock.wake()
        self.assertEqual(self.sink.octets, packet(b"b"))
        self.assertTrue(bad.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_counts(self) -> None:
        """Packets, octets and reads are counted."""
        transport = self.connect()
        transport.far.sendall(packet(b"a") + packet(b"b"))
        self.clock.wake()
        self.assertEqual((self.pool.received_packets, self.pool.received_octets, self.pool.reads), (2, 200, 1))


class HotTests(IntakeTestCase):
    """Sockets that a busy relay reads in every round, over real TCP: their low-water mark is the kernel's."""

    def setUp(self) -> None:
        super().setUp()
        self.sender = self.connect(tcp=True)
        self.other = self.connect(tcp=True)

    def low_water(self, transport: PairTransport) -> int:
        return transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)

    def arrive(self, transport: PairTransport, octets: bytes) -> None:
        """Write, and wait until the kernel has it all on the other side."""
        transport.far.sendall(octets)
        while len(transport.socket.recv(1 << 20, socket.MSG_PEEK)) < len(octets):
            select.select([], [], [], 0)

    def flood(self) -> None:
        """Make the sender hot."""
        for _ in range(HOT_AFTER + 2):
            self.arrive(self.sender, packet(b"x") * (2 * int(BUSY_RATE * RATE_WINDOW_S) + 2))
            self.clock.advance(RATE_WINDOW_S)
            self.clock.wake()
        self.assertEqual(self.low_water(self.sender), LOW_WATER_OCTETS)

    def test_hot(self) -> None:
        """A socket that always has data gets a low-water mark, and few octets in it are read in the next round."""
        self.flood()
        self.assertEqual(self.low_water(self.other), 1)
        before = len(self.sink.octets)
        self.arrive(self.sender, packet(b"a"))
        self.clock.advance(PAUSE_S)
        self.assertEqual(self.sink.octets[before:], packet(b"a"))

    def test_cold_again(self) -> None:
        """A socket that has no more data is watched as before, and a lone packet on it wakes the reactor."""
        self.flood()
        for _ in range(COLD_AFTER + 1):
            self.arrive(self.other, packet(b"y") * 100)
            self.clock.advance(PAUSE_S)
        self.assertEqual(self.low_water(self.sender), 1)
        self.clock.pump([PAUSE_S] * 50)
        self.assertEqual(self.clock.readers, [self.pool])
        self.arrive(self.sender, packet(b"a"))
        self.assertEqual(select.select([self.pool.fileno()], [], [], 10)[0], [self.pool.fileno()])
        self.clock.wake()
        self.assertTrue(self.sink.octets.endswith(packet(b"a")))

    def test_quiet(self) -> None:
        """When the relay is no longer busy no socket is hot."""
        self.flood()
        self.clock.advance(10 * RATE_WINDOW_S)
        self.clock.pump([PAUSE_S] * 20)
        self.assertEqual(self.low_water(self.sender), 1)
        self.assertEqual(self.pool._hot, {})

    def test_end(self) -> None:
        """The end of a hot sender's stream is seen, with what it sent before."""
        self.flood()
        self.arrive(self.sender, packet(b"a"))
        self.sender.far.close()
        self.clock.pump([PAUSE_S] * 3)
        self.assertTrue(self.sink.octets.endswith(packet(b"a")))
        self.assertIsNotNone(self.sender.reason)
        self.assertEqual(self.pool._hot, {})

    def test_end_while_cooling(self) -> None:
        """The end of a hot sender's stream may come in the very round in which it would have been watched again."""
        self.flood()
        self.clock.pump([PAUSE_S] * (COLD_AFTER - 1))
        self.assertEqual(self.pool._hot[self.sender.fileno()].streak, COLD_AFTER - 1)
        self.sender.far.close()
        self.clock.advance(PAUSE_S)
        self.assertIsNotNone(self.sender.reason)

    def test_given_up_while_heating(self) -> None:
        """A sender may be given up in the very round in which it would have become hot."""
        self.flood()
        self.arrive(self.sender, packet(b"x") * 100)
        self.pool._members[self.other.fileno()].streak = HOT_AFTER - 1
        self.arrive(self.other, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100))
        self.clock.advance(PAUSE_S)
        self.assertTrue(self.other.disconnecting)
        self.assertEqual(list(self.pool._members), [self.sender.fileno()])

    def test_stop(self) -> None:
        """Stopping hands on what a hot socket holds below its low-water mark."""
        self.flood()
        self.arrive(self.sender, packet(b"a"))
        self.pool.stop()
        self.assertTrue(self.sink.octets.endswith(packet(b"a")))

    def test_pause_and_resume(self) -> None:
        """A paused pool reads hot sockets again when it is resumed."""
        self.flood()
        self.pool.pause()
        self.arrive(self.sender, packet(b"a"))
        self.clock.advance(1)
        before = len(self.sink.octets)
        self.pool.resume()
        self.clock.pump([PAUSE_S] * 3)
        self.assertEqual(self.sink.octets[before:], packet(b"a"))

    def test_many_thin_reads(self) -> None:
        """With many busy senders of a packet each the pause is longer, up to its bound; with fat reads it is not."""
        self.flood()
        senders = [self.connect() for _ in range(40)]
        for sender in senders:
            sender.far.sendall(packet(b"y"))
        self.clock.advance(PAUSE_S)
        [call] = self.clock.getDelayedCalls()
        self.assertAlmostEqual(call.getTime() - self.clock.seconds(), 40 * PAUSE_PER_READ_S, places=5)
        for sender in senders:
            sender.far.sendall(packet(b"y" * 80, 1000) * 20)
        self.clock.advance(LONGEST_PAUSE_S / 2)
        [call] = self.clock.getDelayedCalls()
        self.assertAlmostEqual(call.getTime() - self.clock.seconds(), PAUSE_S, places=5)


class HepReceiverTests(IntakeTestCase):
    """Senders and what they send."""

    def test_half_packet_harms_nobody(self) -> None:
        """A sender that leaves half a packet hanging holds up nobody else, and its half is not handed on."""
        half, whole = self.connect(), self.connect()
        half.far.sendall(packet(b"a")[:50])
        for text in (b"b", b"c"):
            whole.far.sendall(packet(text))
            self.clock.wake()
        self.assertEqual(self.sink.octets, packet(b"b") + packet(b"c"))
        half.far.sendall(packet(b"a")[50:])
        self.clock.wake()
        self.assertTrue(self.sink.octets.endswith(packet(b"a")))

    def test_junk_is_counted_and_closed(self) -> None:
        """A TLS hello is counted by its kind, ends that connection, and nothing of it is handed on."""
        tls, good = self.connect(), self.connect()
        tls.far.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100))
        good.far.sendall(packet(b"b"))
        self.clock.wake()
        self.assertEqual(self.factory.invalid["tls"], 1)
        self.assertEqual(self.sink.octets, packet(b"b"))
        self.assertTrue(tls.disconnecting)
        tls.far.sendall(packet(b"more"))
        self.clock.wake()
        self.assertEqual(self.sink.octets, packet(b"b"))

    def test_truncated(self) -> None:
        """A sender that goes away within a packet is counted, and so are the octets thrown away."""
        transport = self.connect()
        transport.far.sendall(packet(b"a")[:50])
        transport.far.close()
        self.clock.wake()
        self.clock.wake()
        self.assertEqual((self.factory.invalid["truncated"], self.factory.skipped), (1, 50))
        self.assertEqual(self.sink.batches, [])

    def test_every_kind_is_there(self) -> None:
        """The counters of all kinds exist before anything happened, and each has a cure to tell."""
        from hfp.hep import DATAGRAM_FAULTS, FAULT_KINDS
        from hfp.intake.faults import CURES, DATAGRAM_CURES, KINDS

        self.assertEqual(self.factory.invalid, dict.fromkeys(KINDS, 0))
        self.assertEqual(set(CURES), set(FAULT_KINDS))
        self.assertEqual(set(DATAGRAM_CURES), {*DATAGRAM_FAULTS, "surplus", "error"})
        self.assertEqual(set(KINDS), {*CURES, *DATAGRAM_CURES})

    def test_senders_are_counted(self) -> None:
        """Connections ever accepted, and those open now."""
        first = self.connect()
        self.connect()
        first.far.close()
        self.clock.wake()
        self.assertEqual((self.factory.connects, self.factory.connected), (2, 1))
        self.assertEqual(self.factory.last_connect_at, self.clock.seconds())

    def test_screens(self) -> None:
        """Screens see what one sender's read brought; what they hold back is in no batch, and its sender goes on."""
        screen = NotingScreen()
        self.factory.screens = (screen, NotingScreen(b"worse"))
        sender = self.connect("::ffff:192.0.2.7")
        sender.far.sendall(packet(b"a") + packet(b"bad") + packet(b"worse") + packet(b"b"))
        self.clock.wake()
        self.assertEqual(self.sink.batches, [(packet(b"a") + packet(b"b"), 2)])
        [(octets, packets, who)] = screen.shown
        self.assertEqual((len(octets), packets, who), (400, 4, Sender("tcp", "192.0.2.7", 40000)))

    def test_screens_hold_back_all(self) -> None:
        """Where nothing is left, there is no batch, and the next screen is not asked."""
        second = NotingScreen()
        self.factory.screens = (NotingScreen(), second)
        self.connect().far.sendall(packet(b"bad"))
        self.clock.wake()
        self.assertEqual((self.sink.batches, second.shown), ([], []))

    def test_screens_may_have_gone_on(self) -> None:
        """A packet that a screen held back counts as received: its connection is not late."""
        self.factory.screens = (NotingScreen(),)
        transport = self.connect()
        transport.far.sendall(packet(b"bad"))
        self.clock.wake()
        self.assertEqual(transport.protocol.packets, 1)


class HungryMember(Member):
    """A member that always has more, which the kernel does not know of."""

    def __init__(self, sock: socket.socket, left: int) -> None:
        super().__init__(sock.fileno())
        self.left = left

    def read(self, pool: ReadPool, room: int) -> int:
        self.left -= 1
        pool.pieces.append(packet(b"h"))
        pool.packets += 1
        self.more = self.left > 0
        return room


class MoreTests(IntakeTestCase):
    """Members that end a read because it is enough."""

    def member(self, left: int) -> HungryMember:
        near, far = socket.socketpair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        member = HungryMember(near, left)
        self.pool.add(member)
        far.send(b"!")
        self.clock.wake()
        near.recv(1)  # from here on the descriptor tells nothing
        return member

    def test_read_again(self) -> None:
        """What has more is read in the next turn, though its descriptor says nothing."""
        member = self.member(3)
        self.clock.pump([0, 0, 0])
        self.assertEqual((member.left, len(self.sink.batches)), (0, 3))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_read_again_after_a_pause(self) -> None:
        """... also when the pool was paused meanwhile."""
        member = self.member(2)
        self.pool.pause()
        self.clock.advance(1)
        self.assertEqual(member.left, 1)
        self.pool.resume()
        self.clock.advance(0)
        self.assertEqual(member.left, 0)

    def test_read_again_at_stop(self) -> None:
        """Stopping reads it as well."""
        member = self.member(3)
        self.pool.stop()
        self.assertEqual(member.left, 0)

    def test_datagrams_after_a_pause(self) -> None:
        """Datagrams that are no HEP3 make a batch of their own, which waits if the sink pauses the pool before."""
        taken = self.sink.take

        def take(pieces: list[bytes | bytearray | memoryview], packets: int) -> None:
            taken(pieces, packets)
            self.pool.pause()

        self.sink.take = take  # type: ignore[method-assign]
        self.pool.datagrams = [b"one", b""]
        self.member(1)
        self.assertEqual(self.sink.batches, [(packet(b"h"), 1)])
        self.pool.resume()
        self.assertEqual(self.sink.batches[1:], [(pack_datagrams([b"one", b""]), 2)])
