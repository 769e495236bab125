"""
One segment of the log: what is known of it, and its file, open only as long as somebody needs it.

Decides nothing: `Log` says when a segment begins, ends and goes, `Sync` when it is made durable, `Store` where it is.
"""

from __future__ import annotations

from typing import Protocol

from attrs import define, field

from hfp.spool.files import IFile, IFiles
from hfp.spool.format import RECORD_OCTETS, SEGMENT_OCTETS, end_record, unpack_segment
from hfp.spool.position import Position


class Holder(Protocol):
    """Who keeps a segment's file open between two calls."""

    def let_go(self, segment: Segment) -> None:
        """The segment is about to go: call `Segment.release` now, and forget it."""


@define(eq=False)
class Segment:
    """
    :param number: sequence number; a number is never used for two segments.
    :param seed: see `format.segment_seed`.
    :param path: of its file; empty while it is in memory.
    :param files: the file system that has it.
    :param start: where its first record stands; None until its header was read.
    :param end: offset behind the last record; None for a segment of an earlier life that was not read to its end.
    :param footprint: octets that its file takes, or may come to take, on disk.

    :ivar finish: ``end`` with its counters; None while open, and for a segment of an earlier life.
    :ivar open: nothing was written behind ``end`` yet, and more may be.
    :ivar in_memory: its file is a `MemoryFile`.
    :ivar unsynced: it has content that no sync has covered yet.
    :ivar unlisted: its name in the directory is not durable yet.
    :ivar poisoned: a sync of its file failed: what it holds may be in the page cache only, for good.
    :ivar relic: path and footprint of the poisoned file that it lived in before.
    :ivar damaged: records in it did not validate; its file is kept when the segment goes.
    :ivar lost: it was in memory and had to go before everybody had read it.
    """

    number: int
    seed: int
    path: str
    files: IFiles
    start: Position | None = None
    end: int | None = None
    footprint: int = 0
    file: IFile | None = None
    finish: Position | None = None
    open: bool = False
    in_memory: bool = False
    unsynced: bool = False
    unlisted: bool = False
    poisoned: bool = False
    relic: tuple[str, int] | None = None
    damaged: bool = False
    lost: bool = False
    _uses: int = 0
    _holders: list[Holder] = field(factory=list)
    _gaps: set[int] = field(factory=set)

    # The file

    def use(self) -> IFile:
        """
        The file, which stays open until `release`.

        :raises OSError: it cannot be opened.
        """
        file = self.file
        if file is None:
            file = self.file = self.files.open(self.path)
        self._uses += 1
        return file

    def release(self) -> None:
        """The opposite of `use`."""
        self._uses -= 1
        self.settle()

    def settle(self) -> None:
        """Close the file if nobody needs it."""
        if self.file is not None and not (self._uses or self.open or self.unsynced or self.poisoned or self.in_memory):
            self.file.close()
            self.file = None

    @property
    def used(self) -> bool:
        """Whether somebody has the file in use."""
        return self._uses > 0

    def hold(self, holder: Holder) -> IFile:
        """`use` by one who is told when the segment goes.  :raises OSError: the file cannot be opened."""
        file = self.use()
        self._holders.append(holder)
        return file

    def release_hold(self, holder: Holder) -> None:
        """The opposite of `hold`."""
        self._holders.remove(holder)
        self.release()

    def dismiss(self) -> None:
        """Have everybody let go who holds the file."""
        for holder in tuple(self._holders):
            holder.let_go(self)

    def stop(self, file: IFile) -> int:
        """Offset up to which *file*, this segment's, may be read.  :raises OSError: it cannot be asked."""
        return self.end + RECORD_OCTETS if self.end is not None else file.size()

    # The content

    def close(self, end: Position) -> None:
        """
        Write the END record: the log goes on elsewhere.

        An END that cannot be written is no loss: whoever reads finds nothing valid there and goes on likewise.
        """
        self.open = False
        self.finish = end
        self.end = end.offset
        if self.file is not None:
            self.unsynced = True
            try:
                self.file.write([end_record(self.seed, end)], end.offset)
            except OSError:
                pass
        self.settle()

    def passed(self, position: Position) -> bool:
        """Whether everything in it is before *position*."""
        if position.segment != self.number:
            return position.segment > self.number
        return not self.open and self.end is not None and position.offset >= self.end

    def read_start(self) -> Position | None:
        """
        Where its first record stands, by its header.

        :returns: None if there is no valid header, or if the file is a recycled one that was not begun.
        """
        if self.start is None and not self.lost:
            octets = bytearray(SEGMENT_OCTETS)
            try:
                file = self.use()
            except OSError:
                return None
            try:
                file.read([octets], 0)
            except OSError:
                pass
            finally:
                self.release()
            header = unpack_segment(octets)
            if header is not None and header.number == self.number:
                self.start = Position(self.number, SEGMENT_OCTETS, header.packets, header.octets)
        return self.start

    def note_gap(self, packets: int) -> bool:
        """
        Remember that records are missing.

        :param packets: counter of the spool where they should have been.
        :returns: False if that was known.
        """
        if packets in self._gaps:
            return False
        self._gaps.add(packets)
        return True
