"""
The segments that hold records, oldest first, and their going when every cursor has passed them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from hfp.logs import Repeats
from hfp.spool.cursors import Cursors
from hfp.spool.position import Position
from hfp.spool.segment import Segment
from hfp.spool.store import Store

_BEYOND = (1 << 64, 0)


class Segments:
    """
    :param store: takes back the files.
    :param cursors: hold segments.
    :param repeats: for log lines.
    :param found: those found at the start, oldest first; all closed.

    :ivar undurable: by number, those that a sync has to look at.
    :ivar flushes: how many were freed because every cursor had passed them.
    :ivar corrupt_places: how often records were missing.
    :ivar corrupt: packets and octets in them.
    """

    def __init__(self, store: Store, cursors: Cursors, repeats: Repeats, found: Sequence[Segment]) -> None:
        self._store = store
        self._cursors = cursors
        self._repeats = repeats
        self._numbers = [segment.number for segment in found]
        self._by_number = {segment.number: segment for segment in found}
        self.undurable = dict(self._by_number)
        self.flushes = 0
        self.corrupt_places = 0
        self.corrupt = [0, 0]
        self._set_threshold()

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._by_number.values())

    def __contains__(self, segment: Segment) -> bool:
        return self._by_number.get(segment.number) is segment and not segment.lost

    # Finding

    @property
    def oldest(self) -> Segment | None:
        """The first."""
        return self._by_number[self._numbers[0]] if self._numbers else None

    def at(self, number: int) -> Segment | None:
        """The one with that number, or the next that there is."""
        index = bisect_left(self._numbers, number)
        return self._by_number[self._numbers[index]] if index < len(self._numbers) else None

    def after(self, number: int) -> Segment | None:
        """The next behind that number that there is."""
        return self.at(number + 1)

    def in_memory(self) -> list[Segment]:
        """Those that live in memory."""
        return [segment for segment in self.undurable.values() if segment.in_memory]

    # Coming and going

    def add(self, segment: Segment) -> None:
        """A new one was begun."""
        self._numbers.append(segment.number)
        self._by_number[segment.number] = self.undurable[segment.number] = segment
        self._set_threshold()

    def close(self, segment: Segment, end: Position) -> None:
        """No more records go to *segment*, the newest; the last one ends at *end*."""
        segment.close(end)
        self._store.shrink(segment)

    def release(self) -> bool:
        """
        Free the segments that every cursor has passed.

        :returns: whether there were any.
        """
        lowest = self._cursors.lowest()
        before = self.flushes
        if lowest is not None:
            while (segment := self.oldest) is not None and segment.passed(lowest):
                self.remove(segment)
                self.flushes += 1
        self._set_threshold()
        return self.flushes > before

    def remove(self, segment: Segment) -> None:
        """*segment* goes, whoever may still need it."""
        del self._numbers[bisect_left(self._numbers, segment.number)]
        del self._by_number[segment.number]
        if not segment.lost:
            self._retire(segment)
        self._set_threshold()

    def lose(self, segment: Segment) -> None:
        """What *segment*, one in memory, holds goes; its place in the log stays."""
        self._retire(segment)
        segment.lost = True

    def _retire(self, segment: Segment) -> None:
        self.undurable.pop(segment.number, None)
        self._store.retire(segment)

    def _set_threshold(self) -> None:
        oldest = self.oldest
        if oldest is None:
            self._cursors.threshold = _BEYOND
        elif oldest.open or oldest.end is None:
            self._cursors.threshold = (oldest.number + 1, 0)
        else:
            self._cursors.threshold = (oldest.number, oldest.end)

    # Damage

    def note_corrupt(self, segment: Segment, start: Position, end: Position) -> None:
        """
        Records between two places are missing, or do not validate.

        :param segment: where the next valid record is.
        """
        if segment.note_gap(start.packets):
            self.corrupt_places += 1
            self.corrupt[0] += end.packets - start.packets
            self.corrupt[1] += end.octets - start.octets
            self._repeats.critical(
                "corrupt",
                "the spool is damaged: {packets} packets ({octets} octets) could not be read back, in {places} places; "
                "the segments concerned will be put aside",
                packets=self.corrupt[0],
                octets=self.corrupt[1],
                places=self.corrupt_places,
            )

    def let_go(self) -> None:
        """Close every file; nobody asks for anything any more."""
        for segment in self._by_number.values():
            segment.dismiss()
            if segment.file is not None:
                segment.file.close()
                segment.file = None
        self._by_number.clear()
        self.undurable.clear()
        self._numbers.clear()
