"""
Tests for `hfp.intake.udp` and `hfp.intake.datagrams`, over loopback.
"""

from __future__ import annotations

import ctypes
import socket
from ipaddress import ip_network
from unittest import mock

from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hfp.batch import pack_datagrams, unpack_datagrams
from hfp.hep import DATAGRAM_FAULTS, HEADER, from_datagram
from hfp.intake import udp
from hfp.intake.access import Access
from hfp.intake.datagrams import MOST, IDatagrams, ManyDatagrams, SingleDatagrams, datagrams_of
from hfp.intake.faults import Faults
from hfp.intake.members import READ_OCTETS
from hfp.intake.pool import BATCH_OCTETS, BUSY_RATE, DATAGRAM_PAUSE_S, PAUSE_S, RATE_WINDOW_S, ReadPool
from hfp.intake.tcp import HepReceiverFactory
from hfp.intake.udp import DatagramReceiver
from hfp.interfaces import Sender
from hfp.test.intakefakes import ListSink, NotingScreen, PairTransport, WatchingClock, packet, told

#: IPv4, UDP, 212.202.0.1:12010 -> 82.116.0.211:5060, HEP version 1 and 2.
HEP1 = bytes.fromhex("011002112eea13c4d4ca0001527400d3") + b"INVITE sip:bob"
HEP2 = bytes.fromhex("021c02112eea13c4d4ca0001527400d3") + bytes.fromhex("4b80494ec0d4010000e40000") + b"INVITE sip:bob"


class UdpTestCase(SynchronousTestCase):
    """A pool with a UDP port."""

    single = False
    interface = "127.0.0.1"

    def setUp(self) -> None:
        self.clock = WatchingClock()
        self.sink = ListSink()
        self.pool = ReadPool(self.clock, self.sink)
        self.repeats, self.lines = told(self.clock)
        self.faults = Faults(self.repeats)
        self.converted = {"1": 0, "2": 0}
        if self.single:
            self.patch(udp, "datagrams_of", SingleDatagrams)
        self.addCleanup(self.pool.stop)

    def listen(self, *allow: str, convert: bool = True, screens: tuple[NotingScreen, ...] = ()) -> DatagramReceiver:
        self.access = Access([ip_network(text) for text in allow], 0, 0, self.repeats)
        self.receiver = DatagramReceiver(
            "udp:0", self.interface, 0, self.access, self.faults, convert, self.converted, screens
        )
        self.addCleanup(self.receiver.close)
        self.pool.add(self.receiver)
        self.port = self.receiver.getHost().port
        self.sender = self.open_sender()
        return self.receiver

    def require_room(self, octets: int) -> None:
        """Skip where the system does not let the port have a buffer for so much."""
        got = self.receiver._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if got < 2 * octets:
            raise SkipTest(f"needs a receive buffer of {2 * octets} octets, net.core.rmem_max allows {got}")

    def open_sender(self, family: int = socket.AF_INET) -> socket.socket:
        sender = socket.socket(family, socket.SOCK_DGRAM)
        self.addCleanup(sender.close)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sender.connect(("127.0.0.1" if family == socket.AF_INET else "::1", self.port))
        return sender

    def send(self, *octets: bytes) -> None:
        for datagram in octets:
            self.sender.send(datagram)

    def wake(self) -> None:
        """Let the pool read until it has all."""
        self.clock.wake()
        self.clock.pump([0] * 20)


class DatagramReceiverTests(UdpTestCase):
    """What becomes of datagrams."""

    def test_packet_goes_on_as_it_came(self) -> None:
        """Datagrams that are HEP3 are one batch, in order, unchanged."""
        self.listen()
        sent = [packet(b"%d" % i, 50 + i) for i in range(30)]
        self.send(*sent)
        self.wake()
        self.assertEqual(self.sink.batches, [(b"".join(sent), 30)])
        self.assertEqual((self.receiver.received, self.pool.reads), (30, 1))
        self.assertIsInstance(self.sink.pieces[0], bytes)  # nothing that a later read would write over

    def test_surplus(self) -> None:
        """What stands behind a packet in its datagram is dropped, which is counted and said; the packet goes on."""
        self.listen()
        first, second = packet(b"first"), packet(b"second")
        self.send(first + second, HEP2, first)
        self.wake()
        self.assertEqual(self.sink.batches[0][1], 3)
        self.assertTrue(self.sink.octets.startswith(first + b"HEP3"))
        self.assertNotIn(second, self.sink.octets)
        self.assertEqual(self.faults.invalid["surplus"], 1)
        self.assertEqual(sum("(surplus)" in line for line in self.lines), 1)

    def test_pause(self) -> None:
        """A relay that is busy with datagrams alone pauses longer; with a stream among them as it does for streams."""
        self.listen()
        factory = HepReceiverFactory(self.pool, self.clock, self.repeats)
        transport = PairTransport(factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 40000)))
        self.addCleanup(transport.close)
        busy = 2 * int(BUSY_RATE * RATE_WINDOW_S) + 2
        for with_stream, pause in ((False, DATAGRAM_PAUSE_S), (True, PAUSE_S), (False, DATAGRAM_PAUSE_S)):
            for _ in range(3):
                self.send(*[packet(b"x")] * busy)
                if with_stream:
                    transport.far.sendall(packet(b"y"))
                self.clock.advance(RATE_WINDOW_S)
                for reader in list(self.clock.readers):
                    reader.doRead()
            [call] = self.clock.getDelayedCalls()
            self.assertAlmostEqual(call.getTime() - self.clock.seconds(), pause, places=6)
        self.pool.stop()

    def test_more_than_one_read(self) -> None:
        """More datagrams than one call brings are read in the same turn."""
        self.listen()
        self.send(*[packet(b"x")] * (3 * MOST + 5))
        self.clock.wake()
        self.assertEqual(self.sink.batches, [(packet(b"x") * (3 * MOST + 5), 3 * MOST + 5)])

    def test_later_reads_leave_earlier_packets_alone(self) -> None:
        """What was handed on does not change when the buffers are used again."""
        self.listen()
        self.send(packet(b"first"))
        self.wake()
        self.send(packet(b"second"))
        self.wake()
        self.assertEqual(
            [b"".join(pieces) for pieces in ([p] for p in self.sink.pieces)], [packet(b"first"), packet(b"second")]
        )

    def test_largest_datagrams(self) -> None:
        """Datagrams of 65,507 octets come through, and no batch gets larger than the spool takes."""
        self.listen()
        self.require_room(40 * 65507)
        sent = [packet(b"%d" % i, 65507) for i in range(40)]
        self.send(*sent)
        self.wake()
        self.assertEqual(self.sink.octets, b"".join(sent))
        self.assertGreater(len(self.sink.batches), 3)
        for octets, packets in self.sink.batches:
            self.assertLessEqual(len(octets), BATCH_OCTETS + READ_OCTETS)
            self.assertEqual(packets, len(octets) // 65507)

    def test_largest_datagrams_and_a_pause(self) -> None:
        """A sink that pauses the pool gets no batch more; what was read by then follows when it goes on."""
        self.listen()
        self.require_room(20 * 60000)
        sent = [packet(b"%d" % i, 60000) for i in range(20)]
        self.send(*sent)
        taken = self.sink.take

        def take(pieces: list[bytes | bytearray | memoryview], packets: int) -> None:
            taken(pieces, packets)
            self.pool.pause()

        self.sink.take = take  # type: ignore[method-assign]
        self.wake()
        self.assertEqual(len(self.sink.batches), 1)
        self.sink.take = taken  # type: ignore[method-assign]
        self.pool.resume()
        self.wake()
        self.assertEqual(self.sink.octets, b"".join(sent))

    def test_empty_datagram(self) -> None:
        """A datagram without octets ends nothing; it is counted, and those beside it go on."""
        self.listen()
        self.send(packet(b"a"), b"", packet(b"b"))
        self.wake()
        self.assertEqual(self.sink.batches, [(packet(b"a") + packet(b"b"), 2)])
        self.assertEqual(self.faults.invalid["empty"], 1)
        self.send(b"")
        self.wake()
        self.assertEqual((self.faults.invalid["empty"], len(self.pool)), (2, 1))

    def test_what_an_earlier_datagram_left(self) -> None:
        """Where a datagram is shorter than a header, nothing is read of the one that stood there before."""
        self.listen()
        self.send(b"HEP3\0\5")
        self.wake()
        self.send(b"HEP3\0")
        self.wake()
        self.assertEqual((self.sink.batches, self.faults.invalid["truncated"]), ([], 1))
        self.assertEqual(self.faults.invalid["length"], 1)

    def test_faults(self) -> None:
        """Every kind of fault is counted, logged once for each host with its cure, and takes nothing along."""
        self.listen()
        bad = [
            b"INVITE sip:bob@example.com SIP/2.0\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            packet(b"x")[:50],
            b"\x02\x10\x63",
        ]
        self.send(*bad, packet(b"good"), *bad)
        self.wake()
        self.assertEqual(self.sink.batches, [(packet(b"good"), 1)])
        self.assertEqual((self.faults.invalid["sip"], self.faults.invalid["http"]), (2, 2))
        self.assertEqual(sum(self.faults.invalid.values()), 8)
        self.assertEqual(len(self.lines), len({kind for kind, n in self.faults.invalid.items() if n}))
        self.assertIn("sender 127.0.0.1 sent what is not HEP (sip): the sender sends plain SIP", self.lines[0])

    def test_every_kind_has_a_counter(self) -> None:
        """Whatever the codec raises can be counted."""
        self.assertLessEqual(set(DATAGRAM_FAULTS), set(self.faults.invalid))

    def test_own_error(self) -> None:
        """An error of our own costs its datagram; one traceback is logged, however many there are."""
        self.listen()
        self.patch(udp, "from_datagram", mock.Mock(side_effect=ZeroDivisionError))
        self.send(b"bad", b"bad", b"bad")
        self.wake()
        self.send(packet(b"a"))
        self.wake()
        self.assertEqual(self.sink.octets, packet(b"a"))
        self.assertEqual(self.faults.invalid["error"], 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_converts(self) -> None:
        """HEP1 and HEP2 become HEP3 in their place, and are counted by version."""
        self.listen()
        self.send(packet(b"a"), HEP1, HEP2, HEP2, packet(b"b"))
        self.wake()
        [(octets, packets)] = self.sink.batches
        self.assertEqual((packets, self.converted), (5, {"1": 1, "2": 2}))
        parts = []
        while octets:
            length = HEADER.unpack_from(octets)[1]
            parts.append(octets[:length])
            octets = octets[length:]
        self.assertEqual(parts, [packet(b"a"), parts[1], from_datagram(HEP2, 0), from_datagram(HEP2, 0), packet(b"b")])
        self.assertTrue(parts[1].endswith(b"INVITE sip:bob"))

    def test_convert_off(self) -> None:
        """Without conversion they go on as they are, in a batch of their own; what is no HEP does not."""
        self.listen(convert=False)
        self.send(packet(b"a"), HEP1, HEP2, b"\x02\x10\x63", packet(b"b"))
        self.wake()
        self.assertEqual(self.sink.batches, [(packet(b"a") + packet(b"b"), 2), (pack_datagrams([HEP1, HEP2]), 2)])
        self.assertEqual(list(map(bytes, unpack_datagrams(self.sink.batches[1][0]))), [HEP1, HEP2])
        self.assertEqual(self.converted, {"1": 0, "2": 0})
        self.assertEqual(sum(self.faults.invalid.values()), 1)

    def test_access(self) -> None:
        """Datagrams of hosts that may not send are counted and go nowhere; the log has one line."""
        self.listen("192.0.2.0/24")
        self.send(packet(b"a"), packet(b"b"), b"junk")
        self.wake()
        self.assertEqual((self.sink.batches, self.access.refused_datagrams), ([], 3))
        self.assertEqual(sum(self.faults.invalid.values()), 0)
        [line] = self.lines
        self.assertIn("refused sender 127.0.0.1: it is in none of the networks of --allow", line)

    def test_access_allowed(self) -> None:
        """Those of hosts that may are read as many at a time as without a rule."""
        self.listen("127.0.0.0/8")
        self.send(packet(b"a"))
        self.wake()
        with mock.patch.object(DatagramReceiver, "_sort") as sort:
            self.send(packet(b"b"), packet(b"c"))
            self.wake()
        self.assertFalse(sort.called)
        self.assertEqual(self.sink.octets, packet(b"a") + packet(b"b") + packet(b"c"))

    def test_access_mixed(self) -> None:
        """Among datagrams of several hosts each is judged by its own."""
        self.listen("127.0.0.1/32")
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(other.close)
        other.bind(("127.0.0.2", 0))
        self.send(packet(b"a"))
        other.sendto(packet(b"b"), ("127.0.0.1", self.port))
        self.send(packet(b"c"))
        self.wake()
        self.assertEqual(self.sink.octets, packet(b"a") + packet(b"c"))
        self.assertEqual(self.access.refused_datagrams, 1)

    def test_bounded_memory(self) -> None:
        """Ever new hosts don't fill the memory."""
        self.patch(udp, "MOST_HOSTS", 3)
        self.listen("127.0.0.0/8")
        for i in range(2, 12):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind((f"127.0.0.{i}", 0))
                sender.sendto(packet(b"a"), ("127.0.0.1", self.port))
        self.wake()
        self.assertEqual(self.sink.octets, packet(b"a") * 10)
        self.assertLessEqual(len(self.receiver._allowed), 3)

    def test_screens(self) -> None:
        """Screens see each sender's packets by themselves, with HEP3 made of what was none."""
        screen = NotingScreen()
        self.listen(screens=(screen,))
        other = self.open_sender()
        self.send(packet(b"a"), packet(b"bad"))
        other.send(packet(b"b"))
        self.send(HEP2)
        self.wake()
        mine, others = (Sender("udp", "127.0.0.1", s.getsockname()[1]) for s in (self.sender, other))
        self.assertEqual(
            screen.shown,
            [(packet(b"a") + packet(b"bad") + from_datagram(HEP2, 0), 3, mine), (packet(b"b"), 1, others)],
        )
        self.assertEqual(self.sink.batches, [(packet(b"a") + from_datagram(HEP2, 0) + packet(b"b"), 3)])

    def test_screens_and_no_conversion(self) -> None:
        """A screen holds back what is passed on unconverted as well."""
        self.listen(convert=False, screens=(NotingScreen(b"bob"),))
        self.send(HEP2, HEP2.replace(b"bob", b"sue"))
        self.wake()
        self.assertEqual(self.sink.batches, [(pack_datagrams([HEP2.replace(b"bob", b"sue")]), 1)])

    def test_paused(self) -> None:
        """A paused pool leaves datagrams to the kernel."""
        self.listen()
        self.pool.pause()
        self.send(packet(b"a"))
        self.wake()
        self.assertEqual(self.sink.batches, [])
        self.pool.resume()
        self.wake()
        self.assertEqual(self.sink.octets, packet(b"a"))

    def test_stop(self) -> None:
        """Stopping reads what has arrived."""
        self.listen()
        self.require_room(30 * 60000)
        self.send(*[packet(b"a", 60000)] * 30)
        self.pool.stop()
        self.assertEqual(self.sink.octets, packet(b"a", 60000) * 30)

    def test_close_while_paused(self) -> None:
        """What a paused pool leaves behind when hfp stops is lost, and that is said."""
        self.listen()
        self.pool.pause()
        self.send(packet(b"a"), packet(b"b"))
        lines: list[dict[str, object]] = []
        self.patch(DatagramReceiver, "_log", mock.Mock(critical=lambda line, **fields: lines.append(fields)))
        self.pool.stop()
        self.receiver.close()
        self.assertEqual(lines, [{"name": "udp:0", "lost": 2}])

    def test_drops(self) -> None:
        """What the kernel drops is told, also after the port is closed."""
        self.patch(udp, "BUFFER_OCTETS", 4096)
        self.listen()
        self.assertEqual(self.receiver.drops, 0)
        self.send(*[packet(b"a", 1000)] * 50)
        self.wake()
        lost = 50 - self.receiver.received
        self.assertGreater(lost, 0)
        self.assertEqual(self.receiver.drops, lost)
        self.send(*[packet(b"a", 1000)] * 50)
        self.wake()
        lost = 100 - self.receiver.received
        self.receiver.close()
        self.assertEqual(self.receiver.drops, lost)

    def test_buffer(self) -> None:
        """A large buffer is asked for, and where the system gives little, one line names the cure."""
        warn = mock.Mock()
        self.patch(DatagramReceiver, "_log", mock.Mock(warn=warn))
        self.patch(udp, "SMALL_BUFFER_OCTETS", 1)
        receiver = self.listen()
        got = receiver._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self.assertGreaterEqual(got, 2 * 212992 // 2)
        self.assertFalse(warn.called)
        self.patch(udp, "SMALL_BUFFER_OCTETS", 1 << 40)
        self.listen()
        [call] = warn.call_args_list
        line = call.args[0].format(**call.kwargs)
        self.assertIn("--listen udp:0", line)
        self.assertIn("sysctl -w net.core.rmem_max=16777216", line)

    def test_port_in_use(self) -> None:
        """A port that is taken is refused as Twisted does, and nothing stays open."""
        self.listen()
        with self.assertRaises(CannotListenError):
            DatagramReceiver("udp", self.interface, self.port, self.access, self.faults, True, {})

    def test_busy(self) -> None:
        """On a busy relay datagrams are read by the clock, like everything else."""
        self.listen()
        for _ in range(20):
            self.send(*[packet(b"x")] * 60)
            self.clock.advance(0.001)
            self.clock.wake()
        self.assertEqual(self.clock.readers, [])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.send(packet(b"last"))
        self.clock.pump([0.001] * 60)
        self.assertTrue(self.sink.octets.endswith(packet(b"last")))
        self.assertEqual(self.clock.readers, [self.pool])


class SingleDatagramsTests(DatagramReceiverTests):
    """The same where recvmmsg does not work."""

    single = True


class Ipv6Tests(UdpTestCase):
    """``::`` takes both families, as TCP does."""

    interface = "::"

    def test_both(self) -> None:
        """An IPv4 sender is known by its IPv4 address, an IPv6 sender by its own."""
        screen = NotingScreen()
        self.listen("127.0.0.1/32", "::1/128", screens=(screen,))
        self.send(packet(b"a"))
        six = self.open_sender(socket.AF_INET6)
        six.send(packet(b"b"))
        self.wake()
        self.assertEqual(self.sink.octets, packet(b"a") + packet(b"b"))
        self.assertEqual([sender.host for _, _, sender in screen.shown], ["127.0.0.1", "::1"])
        self.assertEqual(screen.shown[1][2].port, six.getsockname()[1])
        self.assertEqual(self.receiver.getHost().host, "::")

    def test_access(self) -> None:
        """Access rules tell them apart."""
        self.listen("::1/128")
        self.send(packet(b"a"))
        self.open_sender(socket.AF_INET6).send(packet(b"b"))
        self.wake()
        self.assertEqual((self.sink.octets, self.access.refused_datagrams), (packet(b"b"), 1))


class SingleIpv6Tests(Ipv6Tests):
    """The same where recvmmsg does not work."""

    single = True


class DatagramsTests(SynchronousTestCase):
    """Which way of reading is taken."""

    def socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.setblocking(False)
        return sock

    def test_better(self) -> None:
        """Many at a time where that works."""
        self.assertIsInstance(datagrams_of(self.socket()), ManyDatagrams)

    def test_missing(self) -> None:
        """One at a time where the C library has no such call."""
        self.patch(ctypes, "CDLL", mock.Mock(return_value=mock.Mock(spec=[])))
        self.assertIsInstance(datagrams_of(self.socket()), SingleDatagrams)

    def test_forbidden(self) -> None:
        """... and where a sandbox forbids it."""
        self.patch(ctypes, "CDLL", mock.Mock(return_value=mock.Mock(recvmmsg=mock.Mock(return_value=-1))))
        self.patch(ctypes, "get_errno", lambda: 38)
        self.assertIsInstance(datagrams_of(self.socket()), SingleDatagrams)

    def test_both_say_the_same(self) -> None:
        """What one way of reading tells, the other tells as well."""
        told = []
        for kind in (ManyDatagrams, SingleDatagrams):
            sock = self.socket()
            source: IDatagrams = kind(sock)
            sock.bind(("127.0.0.1", 0))
            sender = self.socket()
            sender.bind(("127.0.0.3", 0))
            for datagram in (packet(b"a"), packet(b"b", 70), b"junk", b"", b"JUNK\0\6"):
                sender.sendto(datagram, sock.getsockname())
            lengths = tuple(source.receive())
            self.assertEqual([source.sender(i) for i in range(5)], [("127.0.0.3", sender.getsockname()[1])] * 5)
            self.assertEqual(len(set(source.hosts(0, 5))), 1)
            packets = [source.packets(*span) for span in ((0, 2), (1, 2), (0, 3), (2, 3), (3, 4), (4, 5))]
            told.append((lengths, packets, [source.datagram(i) for i in range(5)]))
            self.assertEqual(tuple(source.receive()), ())
        self.assertEqual(told[0], told[1])
        self.assertEqual(told[0][1], [packet(b"a") + packet(b"b", 70), packet(b"b", 70), *[None] * 4])
