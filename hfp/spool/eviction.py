"""
Who loses what when there is no room.

In this order, each only as far as it takes: files that nobody needs; what is kept for remotes that are not configured
any more; and then, if the operator's policy says so, the oldest records of remotes that lag.
"""

from __future__ import annotations

from hfp.logs import Repeats
from hfp.spool.cursor import Cursor
from hfp.spool.cursors import Cursors
from hfp.spool.format import SEGMENT_OCTETS
from hfp.spool.policy import FullPolicy
from hfp.spool.position import Position
from hfp.spool.segment import Segment
from hfp.spool.segments import Segments
from hfp.spool.store import Room, Store


class Eviction:
    """
    :param segments: from which some may have to go.
    :param store: knows how much room there is.
    :param cursors: are moved, and counted on, when what they need goes.
    :param repeats: for log lines.
    :param policy: the operator's.

    :ivar full: something had to go, or was refused, and there has been no room since.
    """

    def __init__(
        self, segments: Segments, store: Store, cursors: Cursors, repeats: Repeats, policy: FullPolicy
    ) -> None:
        self._segments = segments
        self._store = store
        self._cursors = cursors
        self._repeats = repeats
        self._drops = policy is FullPolicy.DROP_OLDEST
        self._forgotten = [0, 0]
        self.full = False

    def make_room(self) -> Room:
        """
        See to it that a segment can be begun.

        :returns: what is in the way if that cannot be.
        :raises OSError: the file system does not say how much room it has.
        """
        room = self._store.room_for_segment()
        if room is Room.ENOUGH:
            self.full = False
        while room is not Room.ENOUGH:
            if not (self._store.shed() or self._push_kept() or self.drop_oldest()):
                self.full = True
                break
            room = self._store.room_for_segment()
        return room

    def drop_oldest(self) -> bool:
        """
        Free the oldest segment although remotes may still need it.

        :returns: False if the policy does not want that, or if there is none: that which is being written is not one.
        """
        segment = self._segments.oldest
        if not self._drops or segment is None or segment.open or segment.in_memory:
            return False
        for cursor in self._push(segment):
            dropped = cursor.dropped()["spool-full"]
            self._repeats.critical(
                ("drop", cursor.name),
                "the spool is full: remote {name} has lost {packets} packets ({octets} octets) since the start",
                name=cursor.name,
                packets=dropped.packets,
                octets=dropped.octets,
            )
        self._segments.remove(segment)
        return True

    def forget_memory(self) -> bool:
        """
        Let the oldest closed segment in memory go although remotes may still need it.

        :returns: False if the policy does not want that, or if there is none.
        """
        segment = next((segment for segment in self._segments.in_memory() if not segment.open), None)
        if not self._drops or segment is None:
            return False
        assert segment.start is not None
        assert segment.finish is not None
        for cursor in self._cursors:
            if not segment.passed(cursor.position):
                cursor.lose("forgotten-memory", segment.start.counters, segment.finish.counters)
        self._forgotten[0] += segment.finish.packets - segment.start.packets
        self._forgotten[1] += segment.finish.octets - segment.start.octets
        self._repeats.critical(
            "forgotten",
            "the disk refuses and memory is full: {packets} packets ({octets} octets) since the start are lost to "
            "every remote that has not got them yet",
            packets=self._forgotten[0],
            octets=self._forgotten[1],
        )
        self._segments.lose(segment)
        return True

    def _push_kept(self) -> bool:
        """Move kept cursors out of the oldest segment, if that frees it."""
        segment = self._segments.oldest
        if (
            segment is None
            or segment.open
            or segment.in_memory
            or not self._cursors.kept()
            or any(not segment.passed(cursor.position) for cursor in self._cursors.configured())
        ):
            return False
        for cursor in self._push(segment):
            self._repeats.warn(
                ("kept", cursor.name),
                "the spool is full: the oldest packets for remote {name}, which is not configured any more, go first",
                name=cursor.name,
            )
        self._segments.remove(segment)
        return True

    def _push(self, segment: Segment) -> list[Cursor]:
        """Move the cursors in *segment*, the oldest, behind it.  :returns: those that were moved."""
        self.full = True
        following = self._segments.after(segment.number)
        behind = segment.finish if following is None else following.read_start()
        pushed = []
        for cursor in self._cursors:
            if segment.passed(cursor.position):
                continue
            if behind is not None:
                to = behind
            else:
                # The next segment's header is damaged: how much is lost shows when its first record is read.
                number = segment.number + 1 if following is None else following.number
                to = Position(number, SEGMENT_OCTETS, *cursor.position.counters)
            cursor.lose("spool-full", cursor.position.counters, to.counters)
            self._cursors.shift(cursor, to)
            pushed.append(cursor)
        return pushed
