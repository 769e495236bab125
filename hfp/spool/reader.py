"""
Reading the log for one cursor, in stretches of whole records.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from hfp.spool.cursor import Cursor
from hfp.spool.format import FLAG_END, RECORD_OCTETS, SEGMENT_OCTETS, unseal
from hfp.spool.position import Position
from hfp.spool.segment import Segment
from hfp.spool.segments import Segments
from hfp.spool.walk import Stretch, Walker, Why


@frozen
class Chunk:
    """
    Batches that were appended one after the other.

    :param pieces: their octets, a piece for each batch, 1000 at most; they change at the reader's next ``read``.
    :param octets: in all pieces.
    :param packets: in all pieces.
    :param start: position of the first.
    :param end: position behind the last.
    :param oldest_ns: when the first batch was received, Unix time in ns.
    """

    pieces: list[memoryview]
    octets: int
    packets: int
    start: Position
    end: Position
    oldest_ns: int


class Reader:
    """
    A place in the log that moves with what is read.

    :param segments: what to read.
    :param cursor: whose reader it is: counts on it what turns out to be lost, and starts where it stands.
    :param readable: how far it may read.
    :param buffer_octets: how much it reads at a time.

    :ivar position: of the record that comes next.
    """

    def __init__(
        self, segments: Segments, cursor: Cursor, readable: Callable[[], Position], buffer_octets: int
    ) -> None:
        self._segments = segments
        self._cursor = cursor
        self._readable = readable
        self._walker = Walker(buffer_octets)
        self._segment: Segment | None = None  # where `position` is; its file is held open
        self._suspects: list[Segment] = []  # damaged; whether anything is missing shows later
        self._refused: Position | None = None  # where the disk refused to read
        self.position = cursor.position

    def seek(self, position: Position) -> None:
        """
        Go on reading elsewhere.

        :param position: one that this spool gave; if what was there is gone, reading goes on at the next that there is.
        """
        self._leave()
        self._suspects.clear()
        self.position = position

    def let_go(self, segment: Segment) -> None:
        """See `Holder`."""
        self._leave()

    def read(self) -> Chunk | None:
        """
        What comes next, as much as the buffer holds, but not beyond the segment's end.

        What was dropped is passed over; what does not validate as well, after it was counted as corrupt.

        :returns: None if there is nothing to read now; ``position`` may have moved nevertheless.
        """
        while True:
            readable = self._readable()
            if self.position >= readable:
                return None
            segment = self._segment
            if segment is None:
                segment = self._enter()
                if segment is None:
                    self._miss_until(readable)
                    return None
                continue  # entering may have moved the position
            last = segment.number == readable.segment
            try:
                file = segment.file
                assert file is not None
                found = self._walker.step(file, segment.seed, readable.offset if last else segment.stop(file))
            except OSError:
                if self._refused != self.position:
                    self._refused = self.position  # once more: it may have been a passing fault
                    continue
                self._walker.damaged = True  # not to be read is as bad as not to be valid
                found = None
            if self._walker.damaged and segment not in self._suspects:
                self._suspects.append(segment)
            if found is not None:
                return self._chunk(segment, found, last)
            if last:
                self._miss_until(readable)
                return None
            self._move_behind(segment)

    def _chunk(self, segment: Segment, found: Stretch, last: bool) -> Chunk:
        at = self.position
        offset = self._walker.offset
        start = Position(segment.number, offset - found.length, found.packets_before, found.octets_before)
        if start.packets != at.packets:
            self._miss(segment, at, start)
        self._suspects.clear()
        end = Position(segment.number, offset, start.packets + found.packets, start.octets + found.octets)
        self.position = end
        if found.why is Why.END and not last:
            self._move_behind(segment)
        return Chunk(found.pieces, found.octets, found.packets, start, self.position, found.received_ns)

    # From segment to segment

    def _enter(self) -> Segment | None:
        """Open the segment where the position is, or the next one that there is; None if there is none."""
        at = self.position
        segment = self._segments.at(at.segment)
        if (segment is None or segment.number != at.segment) and at < self._cursor.position:
            # Records were dropped, and counted, while they were being read.
            at = self.position = self._cursor.position
            segment = self._segments.at(at.segment)
        while segment is not None:
            if segment.number != at.segment:
                at = self.position = Position(segment.number, SEGMENT_OCTETS, at.packets, at.octets)
            if segment.lost:
                assert segment.finish is not None
                at = self.position = segment.finish
            else:
                if self._hold(segment):
                    self._segment = segment
                    # A segment's first record is believed whatever it says: a record whose write failed may have
                    # reached the disk nevertheless, and then its successor in the next segment has the same counters.
                    self._walker.begin(at.offset, at.packets if at.offset > SEGMENT_OCTETS else 0)
                    return segment
                # Its records show as missing when the next one is read.
            segment = self._segments.after(segment.number)
        return None

    def _hold(self, segment: Segment) -> bool:
        """:returns: False if the file cannot be opened, not even at the second attempt."""
        for _ in range(2):
            try:
                segment.hold(self)
            except OSError:
                continue
            return True
        return False

    def _leave(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.release_hold(self)

    def _move_behind(self, segment: Segment) -> None:
        """Go on in the next segment."""
        self._leave()
        following = self._segments.after(segment.number)
        number = segment.number + 1 if following is None else following.number
        self.position = Position(number, SEGMENT_OCTETS, self.position.packets, self.position.octets)

    # What is missing

    def _miss_until(self, readable: Position) -> None:
        """Nothing valid is left before *readable*."""
        if readable.packets > self.position.packets:
            segment = self._suspects[-1] if self._suspects else self._segments.at(readable.segment)
            if segment is not None:
                self._miss(segment, self.position, readable)
        self._suspects.clear()
        self._leave()
        self.position = readable

    def _miss(self, segment: Segment, start: Position, end: Position) -> None:
        if end.packets > start.packets:
            self._cursor.lose("corrupt", start.counters, end.counters)
            self._segments.note_corrupt(segment, start, end)
            for suspect in self._suspects:
                suspect.damaged = True


def received_at(segments: Segments, position: Position, end: Position) -> int:
    """
    When the record at *position*, or the next one that there is, was received.

    :param end: of the log.
    :returns: Unix time in ns; 0 if there is none, or if it does not validate.
    """
    octets = bytearray(RECORD_OCTETS)
    segment = segments.at(position.segment)
    offset = position.offset
    while segment is not None and position < end:
        if segment.number != position.segment:
            offset = SEGMENT_OCTETS
        if not segment.lost:
            try:
                file = segment.use()
            except OSError:
                return 0
            try:
                length = file.read([octets], offset)
            except OSError:
                return 0
            finally:
                segment.release()
            header = unseal(octets, 0, segment.seed) if length == RECORD_OCTETS else None
            if header is None:
                return 0
            if not header.flags & FLAG_END:
                return header.received_ns
        segment = segments.after(segment.number)
    return 0
