"""
The segment files of a spool's directory: making, recycling, putting aside, and the room that they take.

A segment that everybody has passed becomes a *spare*: its file keeps its name until the log takes it for a new one.
Measured: appending 120 KB to a growing file costs 295 us, to an already written one 9 us.  Which segment may go, and
what happens when there is no room, is for `Log` to say.
"""

from __future__ import annotations

import os
from enum import Enum, auto

from attrs import define

from hfp.logs import Logger
from hfp.spool.files import IFile, IFiles
from hfp.spool.format import SEGMENT_OCTETS, SegmentHeader, pack_segment, segment_seed
from hfp.spool.memory import MemoryFile
from hfp.spool.position import Position
from hfp.spool.segment import Segment
from hfp.spool.slots import UNFINISHED

SEGMENT = "seg-"
POISONED = "poisoned-"
DAMAGED = "damaged-"

#: Spare segments that are kept.
MOST_SPARES = 4

#: What must stay free of the file system: this part of it, but no more than so many octets.
RESERVE_PART = 0.05
RESERVE_OCTETS = 1024 * 1024 * 1024


class Room(Enum):
    """Whether a file may be made or grow."""

    ENOUGH = auto()
    LIMITED = auto()  #: the operator's limit is reached
    SCARCE = auto()  #: the file system has no more than the reserve


@define
class Spare:
    """A file that holds nothing of worth any more."""

    path: str
    footprint: int
    file: IFile | None


def _footprint(spare: Spare) -> int:
    return spare.footprint


class Store:
    """
    :param files: the file system.
    :param directory: the spool's.
    :param spool_id: goes into every segment.
    :param segment_octets: size of a segment file.
    :param limit_octets: for all segment files together; 0 for no limit.

    :ivar footprint: octets that all segment files take or may come to take.
    :ivar spares: oldest first.
    :ivar damaged: names of files that were put aside, oldest first, with their sizes.
    """

    _log = Logger()

    def __init__(self, files: IFiles, directory: str, spool_id: bytes, segment_octets: int, limit_octets: int) -> None:
        self.files = files
        self.directory = directory
        self.segment_octets = segment_octets
        self.limit_octets = limit_octets
        self.footprint = 0
        self.spares: list[Spare] = []
        self.damaged: dict[str, int] = {}
        self._spool_id = spool_id

    def path(self, name: str) -> str:
        """Of the file *name* in the spool's directory."""
        return os.path.join(self.directory, name)

    def segment(self, number: int) -> Segment:
        """A segment whose file is there, or will be, under that number."""
        return Segment(number, segment_seed(self._spool_id, number), self._segment_path(SEGMENT, number), self.files)

    def _segment_path(self, prefix: str, number: int) -> str:
        return self.path(f"{prefix}{number:016x}")

    # Room

    def room(self, octets: int) -> Room:
        """
        Whether segment files may take more of the disk.

        :param octets: how much more.
        :raises OSError: the file system does not say.
        """
        if self.limit_octets and self.footprint + octets > self.limit_octets:
            return Room.LIMITED
        total, free = self.files.space(self.directory)
        if free - octets < min(total * RESERVE_PART, RESERVE_OCTETS):
            return Room.SCARCE
        return Room.ENOUGH

    def room_for_segment(self) -> Room:
        """Whether a segment may be begun now, in a spare's file if there is one.  :raises OSError: see `room`."""
        spare = self._best_spare()
        growth = self.segment_octets - (spare.footprint if spare is not None else 0)
        return self.room(growth) if growth > 0 else Room.ENOUGH

    def counted(self, size: int) -> int:
        """
        What a segment file of *size* octets counts as: as a whole segment, unless it was closed early.

        So a file that was closed a batch short of its end can be recycled without asking for room.
        """
        return max(size, self.segment_octets) if 2 * size >= self.segment_octets else size

    def shed(self) -> bool:
        """
        Give up what nobody needs: the smallest spare (but not the last), else the oldest file that was put aside.

        :returns: False if there was nothing.
        """
        if len(self.spares) > 1:
            spare = min(self.spares, key=_footprint)
            self.spares.remove(spare)
            self._discard_spare(spare)
            return True
        while self.damaged:
            name = next(iter(self.damaged))
            self.footprint -= self.damaged.pop(name)
            if self.unlink(self.path(name)):
                self._log.warn("removed {name}, a damaged segment: its room is needed", name=name)
                return True
        return False

    # Segments come and go

    def begin(self, start: Position, now_ns: int) -> Segment:
        """
        A new segment on disk, in a spare's file if there is one.

        :param start: its number, and the counters of its first record.
        :param now_ns: Unix time in ns.
        :raises OSError: the disk refuses; nothing of the segment is left.
        """
        segment = self.segment(start.segment)
        spare = self._best_spare()
        if spare is not None:
            self.spares.remove(spare)
            self.footprint -= spare.footprint
        segment.footprint = self.segment_octets
        self.footprint += segment.footprint
        file: IFile | None = None
        try:
            if spare is None:
                file = self.files.create(segment.path)
            else:
                file = spare.file
                self.files.rename(spare.path, segment.path)
                if file is None:
                    file = self.files.open(segment.path)
            segment.file = file
            self._write_header(segment, start, now_ns)
        except OSError:
            if file is not None:
                file.close()
            segment.file = None
            self.footprint -= segment.footprint
            for path in (segment.path, spare.path if spare is not None else segment.path):
                self.unlink(path)
            raise
        segment.unlisted = True
        return segment

    def begin_in_memory(self, start: Position, now_ns: int) -> Segment:
        """A new segment that lives in memory until `replace` gives it a file."""
        segment = self.segment(start.segment)
        segment.in_memory = True
        segment.file = MemoryFile()
        self._write_header(segment, start, now_ns)
        return segment

    def _write_header(self, segment: Segment, start: Position, now_ns: int) -> None:
        header = pack_segment(SegmentHeader(self._spool_id, start.segment, start.packets, start.octets, now_ns))
        assert segment.file is not None
        if segment.file.write([header], 0) != SEGMENT_OCTETS:
            raise OSError("the disk took only a part of a segment's header")
        segment.start = start
        segment.end = SEGMENT_OCTETS
        segment.open = segment.unsynced = True

    def shrink(self, segment: Segment) -> None:
        """A segment was closed: from now on it counts with what it has, not with what it might have taken."""
        if segment.in_memory or segment.file is None:
            return
        try:
            size = self.counted(segment.file.size())
        except OSError:
            return
        self.footprint += size - segment.footprint
        segment.footprint = size

    def retire(self, segment: Segment) -> None:
        """Nobody needs *segment* any more: make it a spare, put it aside if it is damaged, or remove it."""
        segment.dismiss()
        file, segment.file = segment.file, segment.file if segment.used else None
        self.note_listed(segment)  # at least nobody cares any more
        in_memory, poisoned = segment.in_memory, segment.poisoned
        segment.open = segment.unsynced = segment.poisoned = segment.in_memory = False
        if in_memory:
            return
        self.footprint -= segment.footprint
        if segment.damaged:
            self._put_aside(segment)
        elif poisoned or segment.used or len(self.spares) >= MOST_SPARES or segment.footprint > self.segment_octets:
            self.unlink(segment.path)
        else:
            self.spares.append(Spare(segment.path, segment.footprint, file))
            self.footprint += segment.footprint
            return
        if file is not None and not segment.used:
            file.close()

    def adopt_spare(self, path: str, size: int) -> None:
        """A file that holds nothing of worth was found at the start."""
        if len(self.spares) >= MOST_SPARES or size > self.segment_octets:
            self.unlink(path)
        else:
            self.spares.append(Spare(path, self.counted(size), None))
            self.footprint += self.spares[-1].footprint

    def adopt_damaged(self, name: str, size: int) -> None:
        """A file that was put aside was found at the start."""
        self.damaged[name] = size
        self.footprint += size

    def _put_aside(self, segment: Segment) -> None:
        name = f"{DAMAGED}{segment.number:016x}"
        try:
            self.files.rename(segment.path, self.path(name))
        except OSError:
            self.unlink(segment.path)
            return
        self.adopt_damaged(name, segment.footprint)
        self._log.warn("put {name} aside: a segment that the disk has damaged", name=name)

    def _best_spare(self) -> Spare | None:
        # Of equal ones the oldest, so that the numbers of the files that are left have no gaps.
        return max(self.spares, key=_footprint, default=None)

    def _discard_spare(self, spare: Spare) -> None:
        self.footprint -= spare.footprint
        if spare.file is not None:
            spare.file.close()
        self.unlink(spare.path)

    # A segment gets another file

    def unfinished(self, segment: Segment) -> str:
        """The path of a copy of *segment* in the making."""
        return self._segment_path(UNFINISHED + SEGMENT, segment.number)

    def poison(self, segment: Segment) -> None:
        """
        A sync of *segment*'s file has failed.

        The file gets a name that says so: after a restart it would look sound, and its next sync would succeed.
        """
        segment.poisoned = True
        path = self._segment_path(POISONED, segment.number)
        try:
            self.files.rename(segment.path, path)
        except OSError:
            return
        segment.path = path
        # It may have happened to this segment before: then that file was replaced just now.
        self.footprint -= self.damaged.pop(os.path.basename(path), 0)
        if segment.relic is not None:
            self.footprint -= segment.relic[1]
            segment.relic = None

    def replace(self, segment: Segment, copy: IFile, size: int) -> None:
        """
        Let a finished copy take the place of what a segment lives in.

        The poisoned file, if that is what it was, stays until the copy's name is durable, and then counts as put aside.

        :param copy: the file at `unfinished`.
        :param size: its length in octets.
        :raises OSError: the disk refuses; the segment lives where it did.
        """
        path = self._segment_path(SEGMENT, segment.number)
        self.files.rename(self.unfinished(segment), path)
        segment.dismiss()
        if segment.file is not None:
            segment.file.close()
        if segment.path != path:
            segment.relic = (segment.path, segment.footprint)
        elif not segment.in_memory:
            self.footprint -= segment.footprint
        segment.path = path
        segment.file = copy
        segment.footprint = self.counted(size)
        self.footprint += segment.footprint
        segment.in_memory = segment.poisoned = False
        segment.unsynced = False  # the copy was synced before it came here
        segment.unlisted = True

    def note_listed(self, segment: Segment) -> None:
        """*segment*'s name is durable; so the poisoned file that it lived in before is not needed any more."""
        segment.unlisted = False
        if segment.relic is not None:
            path, size = segment.relic
            segment.relic = None
            self.damaged[os.path.basename(path)] = size

    def unlink(self, path: str) -> bool:
        """Remove a file if that is possible.  :returns: False if it is not; then it stays and nobody minds."""
        try:
            self.files.unlink(path)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the spares' files."""
        for spare in self.spares:
            if spare.file is not None:
                spare.file.close()
                spare.file = None
