"""
The log: segments one after the other, and the one that is being appended to.

Begins segments, ends them, and frees those that every cursor has passed.  What to do when there is no room, or when the
disk refuses, is decided here, too: `Store` only does as it is told, and `Sync` only makes durable what is there.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from errno import EDQUOT, ENOSPC

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hfp.errors import SpoolFull
from hfp.logs import Repeats
from hfp.spool.cursor import Cursor
from hfp.spool.cursors import Cursors
from hfp.spool.files import Buffer
from hfp.spool.format import MOST_BODY_OCTETS, RECORD_OCTETS, SEGMENT_OCTETS, seal
from hfp.spool.policy import FullPolicy
from hfp.spool.position import Position
from hfp.spool.segment import Segment
from hfp.spool.store import Room, Store

#: Segments in memory: the largest, and all together, octets.
MEMORY_SEGMENT_OCTETS = 8 * 1024 * 1024
MEMORY_OCTETS = 2 * MEMORY_SEGMENT_OCTETS

#: Seconds until the disk is tried again, or an append that was refused.
RETRY_S = 1.0

_DISK_FULL = (ENOSPC, EDQUOT)

_BEYOND = (1 << 64, 0)


class Log:
    """
    :param store: has the files.
    :param cursors: hold segments, and are moved when those have to go.
    :param clock: the time, and the timer for `RETRY_S`.
    :param repeats: for log lines.
    :param policy: what to do when there is no room.
    :param end: see below.
    :param segments: those found at the start, oldest first; all closed.
    :param number: the first new segment's is one more.

    :ivar end: where the next record will stand, or stood if a new segment must be begun for it.
    :ivar segments: by number, oldest first.
    :ivar undurable: those of them that a sync has to look at.
    :ivar in_memory: records go to memory because the disk refuses them.
    :ivar full: see `SpoolStatus`; likewise ``refused`` (packets, octets), ``write_errors``, ``flushes``,
        ``corrupt_records``, ``corrupt`` (packets, octets).
    :ivar on_mode: called when ``in_memory`` has changed.
    """

    def __init__(
        self,
        store: Store,
        cursors: Cursors,
        clock: IReactorTime,
        repeats: Repeats,
        policy: FullPolicy,
        end: Position,
        segments: Sequence[Segment],
        number: int,
    ) -> None:
        self._store = store
        self._cursors = cursors
        self._clock = clock
        self._repeats = repeats
        self._policy = policy
        self._number = number
        self._active: Segment | None = None
        self._room = 0  # offset up to which the active segment may be filled with records
        self._numbers = [segment.number for segment in segments]
        self._timer: IDelayedCall | None = None
        self._refusing = False  # nothing has changed since an append was refused
        self._writable: list[Deferred[None]] = []
        self._limited = False  # the last attempt to begin a segment met the operator's limit
        self._forgotten = [0, 0]
        self.end = end
        self.segments = {segment.number: segment for segment in segments}
        self.undurable = dict(self.segments)
        self.in_memory = False
        self.full = False
        self.refused = [0, 0]
        self.write_errors = 0
        self.flushes = 0
        self.corrupt_records = 0
        self.corrupt = [0, 0]
        self.on_mode: Callable[[], None] = lambda: None
        self._set_threshold()

    # Appending

    def append(self, pieces: Sequence[Buffer], octets: int, packets: int, received_ns: int) -> Position:
        """Hot, once per batch; see `Spool.append`."""
        segment = self._active
        problem: OSError | None = None
        if segment is not None:
            offset: int = segment.end  # type: ignore[assignment]
            length = RECORD_OCTETS + octets
            stop = offset + length
            if stop <= self._room:
                before = self.end
                header = seal(segment.seed, pieces, octets, packets, 0, before, received_ns)
                try:
                    written = segment.file.write([header, *pieces], offset)  # type: ignore[union-attr]
                except OSError as refusal:
                    problem = refusal
                else:
                    if written == length:
                        segment.end = stop
                        segment.unsynced = True
                        self.end = end = Position(segment.number, stop, before[2] + packets, before[3] + octets)
                        return end
                    problem = OSError(ENOSPC, os.strerror(ENOSPC))
        return self._append_elsewhere(pieces, octets, packets, received_ns, problem)

    def _append_elsewhere(
        self, pieces: Sequence[Buffer], octets: int, packets: int, received_ns: int, problem: OSError | None
    ) -> Position:
        """The active segment is full, or its file refuses: close it, and append to a new one."""
        if octets > min(MOST_BODY_OCTETS, self._store.segment_octets - SEGMENT_OCTETS - 2 * RECORD_OCTETS):
            raise ValueError(f"{octets} octets are too many for one record")
        if self._refusing:
            raise self._refusal(packets, octets)
        if problem is not None:
            self._note_write_error(problem)
        self.roll()
        length = RECORD_OCTETS + octets
        self._limited = False
        for begin in (self._begin_on_disk, self._begin_on_disk, self._begin_in_memory):
            segment = None if self._limited else begin()
            if segment is None:
                continue
            try:
                header = seal(segment.seed, pieces, octets, packets, 0, self.end, received_ns)
                if segment.file.write([header, *pieces], SEGMENT_OCTETS) != length:  # type: ignore[union-attr]
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
            except OSError as refusal:
                self._note_write_error(refusal)
                segment.poisoned = True  # its file is not for recycling
                self._store.retire(segment)
                continue
            segment.end = SEGMENT_OCTETS + length
            self._activate(segment)
            self.end = Position(segment.number, segment.end, self.end.packets + packets, self.end.octets + octets)
            return self.end
        self.full = True
        raise self._refusal(packets, octets)

    def _refusal(self, packets: int, octets: int) -> SpoolFull:
        self._refusing = True
        self._arm_retry()
        if self._policy is not FullPolicy.BLOCK:
            self.refused[0] += packets
            self.refused[1] += octets
            self._repeats.critical(
                "refused",
                "the spool is full: {packets} new packets ({octets} octets) were refused since the start",
                packets=self.refused[0],
                octets=self.refused[1],
            )
        return SpoolFull("the spool has reached its limit, or its disk is full")

    # Segments begin and end

    def roll(self) -> None:
        """Close the active segment; the next record begins a new one."""
        segment, self._active = self._active, None
        if segment is not None:
            segment.close(self.end)
            self._store.shrink(segment)
            self.release()

    def _activate(self, segment: Segment) -> None:
        octets = self._store.segment_octets
        self._active = segment
        self._room = (min(octets, MEMORY_SEGMENT_OCTETS) if segment.in_memory else octets) - RECORD_OCTETS
        self._numbers.append(segment.number)
        self.segments[segment.number] = self.undurable[segment.number] = segment
        self._set_threshold()
        self._refusing = False
        if segment.in_memory:
            self._arm_retry()
        if segment.in_memory is not self.in_memory:
            self.in_memory = segment.in_memory
            self.on_mode()

    def _begin_on_disk(self) -> Segment | None:
        """
        A new segment on disk.

        :returns: None if there is no room for it, or if the disk refuses.
        """
        try:
            room = self._make_room()
            if room is Room.ENOUGH:
                return self._store.begin(self._next_start(), self._now_ns())
            # The limit is the operator's will; a disk that others have filled is a fault, and memory may help out.
            self._limited = room is Room.LIMITED and self._policy is not FullPolicy.DROP_OLDEST
        except OSError as problem:
            self._note_write_error(problem)
            if problem.errno in _DISK_FULL and self._policy is FullPolicy.DROP_OLDEST:
                self._drop_oldest()  # its file becomes a spare, and has its room on the disk
        return None

    def _begin_in_memory(self) -> Segment | None:
        """A new segment in memory; None if memory is used up and the policy does not let old records go."""
        octets = min(self._store.segment_octets, MEMORY_SEGMENT_OCTETS)
        while sum(segment.end or 0 for segment in self.memory_segments()) + octets > MEMORY_OCTETS:
            if self._policy is not FullPolicy.DROP_OLDEST or not self._forget_memory():
                return None
        return self._store.begin_in_memory(self._next_start(), self._now_ns())

    def _return_to_disk(self) -> None:
        """Try whether the disk takes data again."""
        segment = self._begin_on_disk()
        if segment is not None:
            self.roll()
            self._activate(segment)

    def _next_start(self) -> Position:
        self._number += 1
        return Position(self._number, SEGMENT_OCTETS, self.end.packets, self.end.octets)

    def _now_ns(self) -> int:
        return int(self._clock.seconds() * 1e9)

    def _note_write_error(self, problem: OSError) -> None:
        self.write_errors += 1
        self._repeats.critical(
            "write",
            "the disk refuses what is appended to the spool ({problem}): until it takes data again, new packets are "
            "in memory only",
            problem=str(problem),
        )

    # Segments go

    def release(self) -> None:
        """Free the segments that every cursor has passed."""
        lowest = self._cursors.lowest()
        if lowest is not None:
            while self._numbers and self.segments[self._numbers[0]].passed(lowest):
                self._remove(self.segments[self._numbers[0]])
                self.flushes += 1
                self._refusing = self.full = False
        self._set_threshold()

    def _remove(self, segment: Segment) -> None:
        del self._numbers[bisect_left(self._numbers, segment.number)]
        del self.segments[segment.number]
        self.undurable.pop(segment.number, None)
        if not segment.lost:
            self._store.retire(segment)

    def _set_threshold(self) -> None:
        oldest = self._oldest()
        if oldest is None:
            self._cursors.threshold = _BEYOND
        elif oldest.open or oldest.end is None:
            self._cursors.threshold = (oldest.number + 1, 0)
        else:
            self._cursors.threshold = (oldest.number, oldest.end)

    def _make_room(self) -> Room:
        """Let go of what may go, in the order of its worth, until a segment can be begun or all is gone."""
        while (room := self._store.room_for_segment()) is not Room.ENOUGH:
            if self._store.shed() or self._push_kept():
                continue
            if self._policy is not FullPolicy.DROP_OLDEST or not self._drop_oldest():
                break
        return room

    def _push_kept(self) -> bool:
        """Move the cursors of remotes that are not configured any more out of the oldest segment, if that frees it."""
        segment = self._oldest()
        if (
            segment is None
            or segment.open
            or segment.in_memory
            or not self._cursors.kept()
            or any(not segment.passed(cursor.position) for cursor in self._cursors.configured())
        ):
            return False
        for cursor in self._push(segment, "spool-full"):
            self._repeats.warn(
                ("kept", cursor.name),
                "the spool is full: the oldest packets for remote {name}, which is not configured any more, go first",
                name=cursor.name,
            )
        self._remove(segment)
        self._set_threshold()
        return True

    def _drop_oldest(self) -> bool:
        """Free the oldest segment although somebody may still need it.  :returns: False if there is none to free."""
        segment = self._oldest()
        if segment is None or segment.open or segment.in_memory:
            return False
        for cursor in self._push(segment, "spool-full"):
            dropped = cursor.dropped()["spool-full"]
            self._repeats.critical(
                ("drop", cursor.name),
                "the spool is full: remote {name} has lost {packets} packets ({octets} octets) since the start",
                name=cursor.name,
                packets=dropped.packets,
                octets=dropped.octets,
            )
        self._remove(segment)
        self._set_threshold()
        return True

    def _push(self, segment: Segment, reason: str) -> list[Cursor]:
        """Move the cursors in *segment*, the oldest, behind it.  :returns: those that were moved."""
        self.full = True
        following = self.segment_after(segment.number)
        behind = self.end if following is None else following.read_start()
        pushed = []
        for cursor in self._cursors:
            if segment.passed(cursor.position):
                continue
            if behind is not None:
                to = behind
            else:  # that segment's header is damaged; what is lost shows when it is read
                assert following is not None
                to = Position(following.number, SEGMENT_OCTETS, cursor.position.packets, cursor.position.octets)
            cursor.lose(reason, _counters(cursor.position), _counters(to))
            self._cursors.shift(cursor, to)
            pushed.append(cursor)
        return pushed

    def _forget_memory(self) -> bool:
        """Let the oldest closed segment in memory go although somebody may still need it."""
        segment = next((segment for segment in self.memory_segments() if not segment.open), None)
        if segment is None:
            return False
        assert segment.start is not None
        assert segment.finish is not None
        for cursor in self._cursors:
            if not segment.passed(cursor.position):
                cursor.lose("forgotten-memory", _counters(segment.start), _counters(segment.finish))
        self._forgotten[0] += segment.finish.packets - segment.start.packets
        self._forgotten[1] += segment.finish.octets - segment.start.octets
        self._repeats.critical(
            "forgotten",
            "the disk refuses and memory is full: {packets} packets ({octets} octets) since the start are lost to "
            "every remote that has not got them yet",
            packets=self._forgotten[0],
            octets=self._forgotten[1],
        )
        del self.undurable[segment.number]
        self._store.retire(segment)
        segment.lost = True
        return True

    # For readers, and for the sync

    def memory_segments(self) -> list[Segment]:
        """Those that live in memory, oldest first."""
        return [segment for segment in self.undurable.values() if segment.in_memory]

    def segment_from(self, number: int) -> Segment | None:
        """The segment with that number, or the next one that there is."""
        at = bisect_left(self._numbers, number)
        return self.segments[self._numbers[at]] if at < len(self._numbers) else None

    def segment_after(self, number: int) -> Segment | None:
        """The next one behind that number that there is."""
        at = bisect_right(self._numbers, number)
        return self.segments[self._numbers[at]] if at < len(self._numbers) else None

    def _oldest(self) -> Segment | None:
        return self.segments[self._numbers[0]] if self._numbers else None

    def note_corrupt(self, segment: Segment, start: Position, end: Position) -> None:
        """
        Records between two places are missing, or do not validate.

        :param segment: where the next valid record is.
        """
        if segment.note_gap(start.packets):
            self.corrupt_records += 1
            self.corrupt[0] += end.packets - start.packets
            self.corrupt[1] += end.octets - start.octets
            self._repeats.critical(
                "corrupt",
                "the spool is damaged: {packets} packets ({octets} octets) could not be read back, in {places} places; "
                "the segments concerned will be put aside",
                packets=self.corrupt[0],
                octets=self.corrupt[1],
                places=self.corrupt_records,
            )

    # After a refusal

    def when_writable(self) -> Deferred[None]:
        """See `Spool.when_writable`."""
        waiter: Deferred[None] = Deferred(self._writable.remove)
        self._writable.append(waiter)
        self._arm_retry()
        return waiter

    def on_passed(self) -> None:
        """A cursor may have passed the oldest segment."""
        self.release()
        if not self._refusing:
            self._fire_writable()

    def _arm_retry(self) -> None:
        if self._timer is None:
            self._timer = self._clock.callLater(RETRY_S, self._retry)

    def _retry(self) -> None:
        self._timer = None
        self._refusing = False
        if self.in_memory:
            self._return_to_disk()
        if self.in_memory:
            self._arm_retry()
        self._fire_writable()

    def _fire_writable(self) -> None:
        waiters, self._writable = self._writable, []
        for waiter in waiters:
            waiter.callback(None)

    def close(self) -> None:
        """Nothing is appended any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.roll()

    def let_go(self) -> None:
        """After `close`: close every file."""
        for segment in self.segments.values():
            segment.dismiss()
            if segment.file is not None:
                segment.file.close()
                segment.file = None
        self.segments.clear()
        self.undurable.clear()
        self._numbers.clear()


def _counters(position: Position) -> tuple[int, int]:
    return position.packets, position.octets
