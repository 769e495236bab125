"""
Reading many senders at little cost: one wake-up for all of them, and on a busy relay a short pause between two.

A capture agent writes one packet per ``write()``.  Waking the reactor for each costs 4.4 µs of CPU per packet;
leaving the packets in the kernel for a millisecond and reading them in one go costs 0.5 to 0.8 µs, as network drivers
know from interrupts.  So the senders' sockets wait in an epoll set of our own.  The reactor watches that set as if it
were one descriptor, and while packets come in quickly it does not even do that: a timer has the set emptied every
millisecond, and sockets that have data again and again (*hot* ones) are read without asking.  A lone packet on a
quiet relay is read at once.

Knows nothing of HEP or of kinds of sockets: each member (`hfp.intake.members`) reads its own and appends whole packets
to `ReadPool.pieces`; after each round the pool hands them on as one batch.
"""

from __future__ import annotations

import select
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from hfp.batch import pack_datagrams
from hfp.intake.members import Member
from hfp.interfaces import IBatchSink
from hfp.logs import Logger

#: A batch is handed on when it has this many octets, at the latest (plus one read).
BATCH_OCTETS = 256 * 1024

#: Buffers in one batch, at most: what one ``pwritev`` or ``sendmsg`` takes (IOV_MAX is 1024), less a
#: header and what one read of a disturbed stream may add.
BATCH_PIECES = 800

#: Seconds between two rounds while the relay is busy; and after a round that brought datagrams only.  A round costs
#: some 70 µs besides its packets (measured at 20,000 datagrams per second, for the whole relay: 5.2 µs each with a
#: pause of 1 ms, 4.0 with 2), and no sender of datagrams waits for an acknowledgement.
PAUSE_S = 0.001
DATAGRAM_PAUSE_S = 0.002

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


@implementer(IReadDescriptor)
class ReadPool:
    """
    All senders' sockets, read together.

    :param reactor: provides IReactorTime and IReactorFDSet.
    :param sink: receives a batch after each round that brought packets.

    :ivar pieces: buffers of whole packets read in this round; members append to it.
    :ivar packets: how many packets they hold; members add to it.
    :ivar datagrams: ones that are no HEP3 and go on as they are, in a batch of their own; members append to it.
    :ivar reads: reads that brought data, since the start; members add to it.
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
        self._again: dict[int, None] = {}  # those that have more than the last round took
        self._watched = False  # the reactor watches the set
        self._timer: Any = None  # ... or this timer empties it
        self._window_start = 0.0
        self._window_packets = 0
        self._busy = False
        self._stopped = False
        self.paused = False
        self.pieces: list[bytes | bytearray | memoryview] = []
        self.packets = 0
        self.datagrams: list[bytes] = []
        self.reads = 0
        self.received_packets = 0
        self.received_octets = 0

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: Member) -> None:
        """Read *member* from now on."""
        self._members[member.fd] = member
        self._epoll.register(member.fd, select.EPOLLIN)
        self._wait()

    def remove(self, fd: int) -> None:
        """Forget the member that had this descriptor; it may be closed already."""
        member = self._members.pop(fd, None)
        if member is None:
            return
        member.hot = False
        self._again.pop(fd, None)
        if self._hot.pop(fd, None) is None:
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
        if self.datagrams:
            self._hand_on()
        self._wait()

    def stop(self) -> None:
        """Read what has already arrived, then stop for good; the sockets stay open for the caller to close."""
        if self._stopped:
            return
        self._idle()
        self._cool_all()
        if not self.paused:
            # The set answers until every socket is empty; senders that go on writing are cut off after some rounds.
            for _ in range(64):
                if not self._again and not self._epoll.poll(0, 1):
                    break
                self._round()
                if self.paused:
                    break
        if self.datagrams:
            self._log.critical(
                "{datagrams} datagrams are lost: hfp was told to stop, and the spool is full",
                datagrams=len(self.datagrams),
            )
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
        if self._busy or self._again:
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
        # Hot: once per wake-up; the loop's body once per socket that has data.
        members = self._members
        again = self._again
        busy = self._busy
        reads = self.reads
        octets = 0
        total = 0
        streams = datagrams = False
        sockets = [fd for fd, _ in self._epoll.poll(0, ROUND_SOCKETS)]
        if self._hot:
            sockets += self._hot
        if again:
            sockets = list(dict.fromkeys((*again, *sockets)))
        for fd in sockets:
            member = members.get(fd)
            if member is None:
                continue
            try:
                read = member.read(self, BATCH_OCTETS - octets)
            except Exception:
                self._log.failure("an error of hfp's own while it read a sender; others go on")
                member.fail()
                continue
            octets += read
            if read:
                if member.waited_for:
                    streams = True
                else:
                    datagrams = True
            # Others' turn; what has more is read in the next round, whether it says so by then or not.
            if member.more:
                again[fd] = None
            elif again:
                again.pop(fd, None)
            if member.hot:
                if read:
                    member.streak = 0
                else:
                    self._note_empty(fd, member)
            elif busy and read:
                member.streak += 1
                if member.streak >= HOT_AFTER and fd in members:
                    self._heat(fd, member)
            if octets >= BATCH_OCTETS or len(self.pieces) >= BATCH_PIECES:
                self._hand_on()
                total += octets
                octets = 0
                if self.paused:
                    break
        if (self.pieces or self.datagrams) and not self.paused:
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
        reads = self.reads - reads
        pause = DATAGRAM_PAUSE_S if datagrams and not streams else PAUSE_S
        if again:
            self._delay = 0.0  # go on at once, after other descriptors had their turn
        elif total + octets < reads * THIN_OCTETS:
            self._delay = min(LONGEST_PAUSE_S, max(pause, reads * PAUSE_PER_READ_S))
        else:
            self._delay = pause

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
        if self.pieces:
            pieces, packets = self.pieces, self.packets
            self.pieces, self.packets = [], 0
            self._take(pieces, packets)
        if self.datagrams and not self.paused:  # a sink that pauses the pool takes no second batch
            datagrams, self.datagrams = self.datagrams, []
            self._take([pack_datagrams(datagrams)], len(datagrams))

    def _take(self, pieces: list[bytes | bytearray | memoryview], packets: int) -> None:
        self.received_packets += packets
        self.received_octets += sum(map(len, pieces))
        self._sink.take(pieces, packets)
