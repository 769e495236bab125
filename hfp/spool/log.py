"""
The log: appending records, and beginning a new segment when the present one is full, or when the disk refuses.

`Store` makes the segments, `Segments` keeps and frees them, `Eviction` finds room for them.  When there is none, or
when the disk refuses, what happens to the record is decided here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from errno import EDQUOT, ENOSPC

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hfp.errors import SpoolFull
from hfp.logs import Repeats
from hfp.spool.eviction import Eviction
from hfp.spool.files import Buffer
from hfp.spool.format import MOST_BODY_OCTETS, RECORD_OCTETS, SEGMENT_OCTETS, seal
from hfp.spool.policy import FullPolicy
from hfp.spool.position import Position
from hfp.spool.segment import Segment
from hfp.spool.segments import Segments
from hfp.spool.store import Room, Store

#: Segments in memory: the largest, and all together, octets.
MEMORY_SEGMENT_OCTETS = 8 * 1024 * 1024
MEMORY_OCTETS = 2 * MEMORY_SEGMENT_OCTETS

#: Seconds until the disk is tried again, or an append that was refused.
RETRY_S = 1.0

_DISK_FULL = (ENOSPC, EDQUOT)


class Log:
    """
    :param segments: all of them.
    :param store: makes new ones.
    :param eviction: makes room for them.
    :param clock: the time, and the timer for `RETRY_S`.
    :param repeats: for log lines.
    :param policy: the operator's, for when there is no room.
    :param end: see below.
    :param number: the first new segment's is one more.

    :ivar end: where the next record will stand, or would stand if no new segment had to be begun for it.
    :ivar in_memory: records go to memory because the disk refuses them.
    :ivar on_mode: called when ``in_memory`` has changed.
    :ivar refused: packets and octets that were not appended, and not to be kept by the caller either.
    :ivar write_errors: appends that the disk refused.
    """

    def __init__(
        self,
        segments: Segments,
        store: Store,
        eviction: Eviction,
        clock: IReactorTime,
        repeats: Repeats,
        policy: FullPolicy,
        end: Position,
        number: int,
    ) -> None:
        self._segments = segments
        self._store = store
        self._eviction = eviction
        self._clock = clock
        self._repeats = repeats
        self._policy = policy
        self._number = number
        self._active: Segment | None = None
        self._room = 0  # offset up to which the active segment may be filled with records
        self._timer: IDelayedCall | None = None
        self._refusing = False  # nothing has changed since an append was refused
        self._last = False  # the limit does not count
        self._limited = False  # the last attempt to begin a segment met the operator's limit
        self._writable: list[Deferred[None]] = []
        self.end = end
        self.in_memory = False
        self.on_mode: Callable[[], None] = _nothing
        self.refused = [0, 0]
        self.write_errors = 0

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

    def append_last(self, pieces: Sequence[Buffer], octets: int, packets: int, received_ns: int) -> Position:
        """See `Spool.append_last`."""
        self._refusing = False
        self._last = True
        try:
            return self.append(pieces, octets, packets, received_ns)
        finally:
            self._last = False

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
            end = segment.end = SEGMENT_OCTETS + length
            self.end = Position(segment.number, end, self.end.packets + packets, self.end.octets + octets)
            self._activate(segment)
            return self.end
        self._eviction.full = True
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
            self._segments.close(segment, self.end)
            self._release()

    def _activate(self, segment: Segment) -> None:
        octets = self._store.segment_octets
        self._active = segment
        self._room = (min(octets, MEMORY_SEGMENT_OCTETS) if segment.in_memory else octets) - RECORD_OCTETS
        self._segments.add(segment)
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
            room = Room.ENOUGH if self._last else self._eviction.make_room()
            if room is Room.ENOUGH:
                return self._store.begin(self._next_start(), self._now_ns())
            # The limit is the operator's will; a disk that others have filled is a fault, and memory may help out.
            self._limited = room is Room.LIMITED and self._policy is not FullPolicy.DROP_OLDEST
        except OSError as problem:
            self._note_write_error(problem)
            if problem.errno in _DISK_FULL:
                self._eviction.drop_oldest()  # its file becomes a spare, and has its room on the disk
        return None

    def _begin_in_memory(self) -> Segment | None:
        """A new segment in memory; None if memory is used up and the policy does not let old records go."""
        octets = min(self._store.segment_octets, MEMORY_SEGMENT_OCTETS)
        while sum(segment.end or 0 for segment in self._segments.in_memory()) + octets > MEMORY_OCTETS:
            if not self._eviction.forget_memory():
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

    # After a refusal

    def when_writable(self) -> Deferred[None]:
        """See `Spool.when_writable`."""
        waiter: Deferred[None] = Deferred(self._writable.remove)
        self._writable.append(waiter)
        self._arm_retry()
        return waiter

    def on_passed(self) -> None:
        """A cursor may have passed the oldest segment."""
        self._release()
        if not self._refusing:
            self._fire_writable()

    def _release(self) -> None:
        if self._segments.release():
            self._refusing = self._eviction.full = False

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


def _nothing() -> None:
    pass
