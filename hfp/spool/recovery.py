"""
What a spool's directory holds when it is opened, whatever state it was left in.

Reads the identity, the cursors, and the newest segment; the time it takes does not grow with the backlog.  It never
refuses because of damage: what it cannot use is counted, and left to readers, who pass it over and say what is missing.
"""

from __future__ import annotations

import os

from attrs import define, field

from hfp.errors import SpoolUnusable
from hfp.logs import Logger
from hfp.spool.cursors import CURSOR
from hfp.spool.files import IFiles
from hfp.spool.format import (
    LIFE_BITS,
    SEGMENT_OCTETS,
    VERSION,
    Identity,
    cursor_seed,
    pack_identity,
    unpack_cursor,
    unpack_identity,
    unpack_segment,
)
from hfp.spool.position import Position
from hfp.spool.segment import Segment
from hfp.spool.slots import UNFINISHED, SlotFile
from hfp.spool.store import DAMAGED, POISONED, SEGMENT, Store
from hfp.spool.walk import Walker

IDENTITY = "identity"

_log = Logger(namespace="hfp.spool.recovery")


@define
class KeptCursor:
    """
    A cursor's file.

    :param name: the cursor's, or the file's if no slot is valid.
    :param position: None if no slot is valid.
    """

    file_name: str
    slots: SlotFile
    name: str
    position: Position | None


@define
class Tail:
    """
    What one segment holds.

    :param first: its first valid record.
    :param end: behind the newest valid record.
    :param gaps: start and end of where records are missing in that segment.
    :param torn: a record at its end was begun, but is not all there.
    """

    first: Position
    end: Position
    gaps: list[tuple[Position, Position]] = field(factory=list)
    torn: bool = False


def open_identity(files: IFiles, store_path: str, listing: dict[str, int], now_ns: int) -> Identity:
    """
    The spool's identity, with ``life`` one more than before, or a new one; either is durable when this returns.

    :param store_path: the spool's directory.
    :param listing: the files in it.
    :raises SpoolUnusable: the spool is of a version that this hfp does not know.
    :raises OSError: the disk refuses.
    """
    path = os.path.join(store_path, IDENTITY)
    slots = SlotFile(files.open(path), 0) if IDENTITY in listing else None
    try:
        found = unpack_identity(slots.payload) if slots is not None and slots.payload is not None else None
        if found is not None and found.version != VERSION:
            raise SpoolUnusable(
                f"{store_path} is a spool of version {found.version}, this hfp knows version {VERSION}: use the hfp "
                "that made it, or another directory"
            )
        if found is not None:
            identity = found._replace(life=found.life + 1)
        else:
            identity = _restored_identity(files, store_path, listing) or Identity(VERSION, 0, os.urandom(16), now_ns)
        if slots is None:
            slots = SlotFile.create(files, path, 0, pack_identity(identity))
        else:
            slots.write(pack_identity(identity))
            slots.sync()
    finally:
        if slots is not None:
            slots.close()
    return identity


def _restored_identity(files: IFiles, store_path: str, listing: dict[str, int]) -> Identity | None:
    """The identity file is lost or damaged: what the segments say of it."""
    for name in sorted(listing, reverse=True):
        if not name.startswith(SEGMENT):
            continue
        octets = bytearray(SEGMENT_OCTETS)
        try:
            file = files.open(os.path.join(store_path, name))
            try:
                file.read([octets], 0)
            finally:
                file.close()
        except OSError:
            continue
        header = unpack_segment(octets)
        if header is not None:
            _log.critical("the spool's identity was damaged; {name} still knew it", name=name)
            return Identity(VERSION, (header.number >> LIFE_BITS) + 1, header.spool_id, header.begun_ns)
    return None


def find_cursors(files: IFiles, store_path: str, listing: dict[str, int], spool_id: bytes) -> list[KeptCursor]:
    """Every cursor's file that can be opened."""
    found = []
    for file_name in sorted(listing):
        if not file_name.startswith(CURSOR):
            continue
        try:
            slots = SlotFile(files.open(os.path.join(store_path, file_name)), cursor_seed(spool_id))
        except OSError as problem:
            _log.critical("cannot open {name}, a cursor: {problem}", name=file_name, problem=str(problem))
            continue
        kept = unpack_cursor(slots.payload) if slots.payload is not None else None
        if kept is None:
            _log.critical(
                "both slots of cursor {name} are damaged: its remote gets all that the spool holds, some of it perhaps "
                "for the second time",
                name=file_name,
            )
            found.append(KeptCursor(file_name, slots, file_name, None))
        else:
            found.append(KeptCursor(file_name, slots, *kept))
    return found


def find_segments(store: Store, listing: dict[str, int], lowest: Position | None) -> list[Segment]:
    """
    The segments that may hold something, oldest first; what is behind every cursor becomes a spare.

    :param lowest: the last cursor's position; None if some cursor needs everything, or if there is none.
    """
    segments = []
    for name in sorted(listing):
        size = listing[name]
        if name.startswith(UNFINISHED):
            store.unlink(store.path(name))
            continue
        kind, _, digits = name.rpartition("-")
        try:
            segment = store.segment(int(digits, 16))
        except ValueError:
            continue
        segment.poisoned = kind == POISONED[:-1]
        if kind == DAMAGED[:-1] or (segment.poisoned and os.path.basename(segment.path) in listing):
            store.adopt_damaged(name, size)
        elif kind == SEGMENT[:-1] or segment.poisoned:
            segment.path = store.path(name)
            if lowest is not None and segment.number < lowest.segment and not segment.poisoned:
                store.adopt_spare(segment.path, size)
                continue
            segment.footprint = store.counted(size)
            segment.unsynced = segment.unlisted = True
            store.footprint += segment.footprint
            segments.append(segment)
    return sorted(segments, key=lambda segment: segment.number)


def find_tail(store: Store, segments: list[Segment]) -> Tail | None:
    """
    The end of the log; an END record is written there.

    :param segments: oldest first; those at the end that hold nothing become spares, and are taken out.
    :returns: None if nothing holds anything.
    """
    while segments:
        segment = segments[-1]
        tail = _scan(segment)
        if tail is not None:
            segment.close(tail.end)
            store.shrink(segment)  # or grow: the END record counts as well
            return tail
        segments.pop()
        size = segment.footprint
        store.footprint -= size
        poisoned = segment.poisoned
        segment.unsynced = segment.poisoned = False
        segment.settle()
        if poisoned:
            store.unlink(segment.path)
        else:
            store.adopt_spare(segment.path, size)
    return None


def _scan(segment: Segment) -> Tail | None:
    """:returns: None if the segment holds nothing, not even a header of its own."""
    start = segment.read_start()
    try:
        file = segment.use()
    except OSError:
        return Tail(start, start) if start is not None else None
    try:
        walker = Walker(1024 * 1024)
        walker.begin(SEGMENT_OCTETS)
        tail = Tail(start, start) if start is not None else None
        while (found := walker.step(file, segment.seed, file.size())) is not None:
            at = Position(segment.number, walker.offset - found.length, found.packets_before, found.octets_before)
            if tail is None:
                tail = Tail(at, at)
            elif at.packets > tail.end.packets:
                tail.gaps.append((tail.end, at))
            tail.end = Position(segment.number, walker.offset, at.packets + found.packets, at.octets + found.octets)
        if tail is not None:
            tail.torn = walker.torn and not walker.ended
            segment.damaged = bool(tail.gaps)
        return tail
    except OSError:
        segment.damaged = True
        return tail
    finally:
        segment.release()


def start_of(segment: Segment | None, end: Position) -> Position:
    """
    Where *segment*, the oldest, starts.

    :param end: the end of the log, which is the answer if there is none.
    """
    if segment is None:
        return end
    start = segment.read_start()
    if start is None:
        # Its header is damaged, but its records know.
        tail = _scan(segment)
        before = tail.first if tail is not None else end
        start = Position(segment.number, SEGMENT_OCTETS, before.packets, before.octets)
    return start
