"""
Reading many senders at little cost: one wake-up for all of them, and on a busy relay a short pause between two.

A capture agent writes one packet per ``write()``.  Waking the reactor for each costs 4.4 µs of CPU per packet;
leaving the packets in the kernel for a millisecond and reading them in one go costs 0.5 to 0.8 µs, as network drivers
know from interrupts.  So the senders' sockets wait in an epoll set of our own.  The reactor watches that set as if it
were one descriptor, and while packets come in quickly it does not even do that: a timer has the set emptied every
millisecond, and sockets that have data again and again (*hot* ones) are read without asking.  A lone packet on a
quiet relay is read at once.

Knows nothing of HEP: what a member reads goes to its protocol's ``dataReceived``, which appends whole packets to
`ReadPool.pieces`; after each round the pool hands them on as one batch.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure
from zope.interface import implementer

from hfp.interfaces import IBatchSink
from hfp.logs import Logger

#: Octets per read.  Below malloc's 128 KiB mmap threshold: above it each read pays for fresh pages (measured with
#: 200 KB reads: 1,650-2,225 ns per packet instead of 860-950).
READ_OCTETS = 120 * 1024

#: A batch is handed on when it has this many octets, at the latest (plus one read).
BATCH_OCTETS = 256 * 1024

#: Buffers in one batch, at most: what one ``pwritev`` or ``sendmsg`` takes (IOV_MAX is 1024), less a
#: header and what one read of a disturbed stream may add.
BATCH_PIECES = 800

#: Seconds between two rounds while the relay is busy.
PAUSE_S = 0.001

#: A round whose reads bring fewer octets than this on average has thin reads.
THIN_OCTETS = 8 * 1024

#: Seconds that the pause grows by for each thin read of a round, and how far.  A read costs some 7 µs before its first
#: packet (much of it is the acknowledgement that it makes the kernel send), so with hundreds of busy senders that
#: each bring a packet or two only waiting longer makes reads worth their price (measured with 500 senders that write
#: single packets: 3,000 ns per packet with a millisecond, 1,050 ns with 20 and hot sockets).
PAUSE_PER_READ_S = 0.000_1
LONGEST_PAUSE_S = 0.020

#: Packets per second from which on a relay is busy.
BUSY_RATE = 2_000.0

#: Seconds over which that rate is measured.
RATE_WINDOW_S = 0.008

#: Rounds with data after which a busy relay reads a socket in every round, and rounds in a row without after which it
#: no longer does.
HOT_AFTER = 4
COLD_AFTER = 4

#: The low-water mark of sockets that are read in every round, octets.
LOW_WATER_OCTETS = 64 * 1024

#: Sockets served in one round; the rest has its turn in the next.
ROUND_SOCKETS = 1024


class Member:
    """
    One sender's socket in the pool: its read and its protocol's dataReceived, bound once.

    :ivar hot: it is read in every round, whether it has said that it has data or not.
    :ivar streak: rounds that brought data on a busy relay (while not hot), or rounds in a row without (while hot).
    """

    __slots__ = ("deliver", "hot", "recv", "streak", "transport")

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.recv: Callable[[int], bytes] = transport.socket.recv
        self.deliver: Callable[[bytes], None] = transport.protocol.dataReceived
        self.hot = False
        self.streak = 0

    def low_water(self, octets: int) -> None:
        """
        From how many octets on the socket is readable.

        With more than arrives between two rounds the kernel acknowledges segments as they come in.  Otherwise it leaves
        that to the read, which then pays for sending the acknowledgement (and on loopback for all that the sender's
        side does with it: measured with 20 senders, 31 % of the relay's time).
        """
        sock = self.transport.socket
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, octets)
        if octets > 1 and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)


@implementer(IReadDescriptor)
class ReadPool:
    """
    All senders' sockets, read together.

    :param reactor: provides IReactorTime and IReactorFDSet.
    :param sink: receives a batch after each round that brought packets.

    :ivar pieces: buffers of whole packets read in this round; protocols append to it.
    :ivar packets: how many packets they hold; protocols add to it.
    :ivar reads: reads that brought data, since the start.
    :ivar received_packets: packets handed on, since the start.
    :ivar received_octets: octets in them.
    :ivar paused: `pause` was called.
    """

    _log = Logger()

    def __init__(self, reactor: Any, sink: IBatchSink) -> None:
        self._reactor = reactor
        self._sink = sink
        self._epoll = select.epoll()
        self._members: dict[int, Member] = {}
        self._hot: dict[int, Member] = {}  # those of them that every round reads
        self._watched = False  # the reactor watches the set
        self._timer: Any = None  # ... or this timer empties it
        self._window_start = 0.0
        self._window_packets = 0
        self._busy = False
        self._stopped = False
        self.paused = False
        self.pieces: list[bytes | bytearray | memoryview] = []
        self.packets = 0
        self.reads = 0
        self.received_packets = 0
        self.received_octets = 0

    def __len__(self) -> int:
        return len(self._members)

    def add(self, transport: Any) -> None:
        """Read *transport* (a connected Twisted TCP transport) from now on; the reactor no longer does."""
        transport.stopReading()
        fd = transport.fileno()
        self._members[fd] = Member(transport)
        self._epoll.register(fd, select.EPOLLIN)
        self._wait()

    def remove(self, fd: int) -> None:
        """Forget the socket that had this descriptor; it may be closed already."""
        if self._members.pop(fd, None) is not None and self._hot.pop(fd, None) is None:
            try:
                self._epoll.unregister(fd)
            except OSError:
                pass  # closing it took it out of the set

    def pause(self) -> None:
        """Read nothing until `resume`: the kernel's buffers fill, and senders wait."""
        self.paused = True
        self._idle()

    def resume(self) -> None:
        """Read again."""
        self.paused = False
        self._wait()

    def stop(self) -> None:
        """Read what has already arrived, then stop for good; the connections stay open for the caller to close."""
        self._idle()
        self._cool_all()
        if not self.paused:
            # The set answers until every socket is empty; senders that go on writing are cut off after some rounds.
            for _ in range(64):
                if not self._epoll.poll(0, 1):
                    break
                self._round()
                if self.paused:
                    break
        self._stopped = True
        self._idle()
        self._members.clear()
        self._epoll.close()

    # IReadDescriptor: the reactor sees the whole set as one descriptor

    def fileno(self) -> int:
        return self._epoll.fileno() if not self._epoll.closed else -1

    def logPrefix(self) -> str:
        return "intake"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops, or has found the set unusable; nothing more is read."""
        self._watched = False

    def doRead(self) -> None:
        """Some socket has data."""
        self._round()
        self._wait()

    def _tick(self) -> None:
        self._timer = None
        self._round()
        self._wait()

    def _wait(self) -> None:
        """Arrange for the next round: by the clock while busy, else when something arrives."""
        if self._stopped or self.paused or self._timer is not None:
            return
        if self._busy:
            if self._watched:
                self._watched = False
                self._reactor.removeReader(self)
            self._timer = self._reactor.callLater(self._delay, self._tick)
        elif not self._watched:
            self._watched = True
            self._reactor.addReader(self)

    def _idle(self) -> None:
        if self._watched:
            self._watched = False
            self._reactor.removeReader(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    _delay = PAUSE_S

    def _round(self) -> None:
        # Hot: once per wake-up; the loop's body once per read.
        members = self._members
        busy = self._busy
        reads = 0
        octets = 0
        total = 0
        more = False
        sockets = [fd for fd, _ in self._epoll.poll(0, ROUND_SOCKETS)]
        if self._hot:
            sockets += self._hot
        for fd in sockets:
            member = members.get(fd)
            if member is None:
                continue
            recv = member.recv
            deliver = member.deliver
            size = -1
            while size == READ_OCTETS or size < 0:
                try:
                    data = recv(READ_OCTETS)
                except (BlockingIOError, InterruptedError):
                    if member.hot and size < 0:
                        self._note_empty(fd, member)
                    break
                except OSError:
                    self._lose(fd, member, CONNECTION_LOST)
                    break
                if not data:
                    self._lose(fd, member, CONNECTION_DONE)
                    break
                reads += 1
                size = len(data)
                octets += size
                if member.hot:
                    member.streak = 0
                elif busy:
                    member.streak += 1
                    if member.streak >= HOT_AFTER:
                        self._heat(fd, member)
                try:
                    deliver(data)
                except Exception:
                    self._log.failure("a sender's connection is closed after an error of hfp's own; others go on")
                    member.transport.abortConnection()
                    break
                if octets >= BATCH_OCTETS:  # others' turn; a socket with more is read in the next round
                    more = more or size == READ_OCTETS
                    break
            if octets >= BATCH_OCTETS or len(self.pieces) >= BATCH_PIECES:
                self._hand_on()
                total += octets
                octets = 0
                if self.paused:
                    break
        self.reads += reads
        if self.pieces:
            self._hand_on()
        now = self._reactor.seconds()
        elapsed = now - self._window_start
        if elapsed >= RATE_WINDOW_S:
            received = self.received_packets
            self._busy = received - self._window_packets > BUSY_RATE * elapsed
            self._window_start = now
            self._window_packets = received
            if not self._busy and self._hot:
                self._cool_all()
        # A socket with a full read has more: go on at once (after other descriptors had their turn).
        if more:
            self._delay = 0.0
        elif total + octets < reads * THIN_OCTETS:
            self._delay = min(LONGEST_PAUSE_S, max(PAUSE_S, reads * PAUSE_PER_READ_S))
        else:
            self._delay = PAUSE_S

    def _heat(self, fd: int, member: Member) -> None:
        member.low_water(LOW_WATER_OCTETS)
        self._epoll.unregister(fd)
        member.hot = True
        member.streak = 0
        self._hot[fd] = member

    def _note_empty(self, fd: int, member: Member) -> None:
        member.streak += 1
        if member.streak >= COLD_AFTER:
            self._cool(fd, member)

    def _cool(self, fd: int, member: Member) -> None:
        del self._hot[fd]
        member.hot = False
        member.streak = 0
        member.low_water(1)
        self._epoll.register(fd, select.EPOLLIN)

    def _cool_all(self) -> None:
        for fd, member in list(self._hot.items()):
            self._cool(fd, member)

    def _hand_on(self) -> None:
        pieces, packets = self.pieces, self.packets
        self.pieces, self.packets = [], 0
        self.received_packets += packets
        self.received_octets += sum(map(len, pieces))
        self._sink.take(pieces, packets)

    def _lose(self, fd: int, member: Member, reason: Exception) -> None:
        self.remove(fd)
        member.transport.connectionLost(Failure(reason))
