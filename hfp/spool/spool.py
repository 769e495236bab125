"""
The spool: the durable log, its cursors and all that keeps them, as the rest of hfp sees it.

Joins the parts of this room; the parts themselves know each other as little as may be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from hfp.errors import SpoolError, SpoolLocked, SpoolUnusable
from hfp.logs import Logger, Repeats
from hfp.spool import recovery
from hfp.spool.cursor import Cursor
from hfp.spool.cursors import Cursors
from hfp.spool.eviction import Eviction
from hfp.spool.files import Buffer, IFile, IFiles, RealFiles
from hfp.spool.format import LIFE_BITS, SEGMENT_OCTETS
from hfp.spool.log import Log
from hfp.spool.policy import FullPolicy
from hfp.spool.position import Position
from hfp.spool.reader import Reader, received_at
from hfp.spool.segments import Segments
from hfp.spool.store import Store
from hfp.spool.sync import Sync
from hfp.spool.waiters import Waiters
from hfp.status import Amount, CursorStatus, SpoolStatus

#: Size of a segment: a sixteenth of the limit, between these.
LEAST_SEGMENT_OCTETS = 1024 * 1024
MOST_SEGMENT_OCTETS = 16 * 1024 * 1024
SEGMENTS_IN_LIMIT = 16

#: Seconds between two summaries of something that is logged again and again.
SUMMARY_S = 10.0

LOCK = "lock"


class Spool:
    """
    Made by `open`; everything is called in the reactor's thread.

    :ivar end: where the next record will stand.
    :ivar readable: how far readers may read: ``end``, but ``durable`` while `holds_back`.
    :ivar durable: everything before it would survive a power cut.
    :ivar holds_back: readers get only what is durable (a sync interval of 0, and a disk that takes data).
    """

    _log = Logger()

    def __init__(
        self,
        store: Store,
        cursors: Cursors,
        segments: Segments,
        eviction: Eviction,
        log: Log,
        lock: IFile,
        clock: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
        repeats: Repeats,
        sync_s: float,
        durable: Position,
        torn: int,
    ) -> None:
        self._store = store
        self._cursors = cursors
        self._segments = segments
        self._eviction = eviction
        self._spool_log = log
        self._lock = lock
        self._clock = clock
        self._in_thread = in_thread
        self._repeats = repeats
        self._torn = torn
        self._wants_durable = not sync_s
        self._closed: Deferred[None] | None = None
        self._readers = Waiters(beyond=True)
        self._durables = Waiters(beyond=False)
        self.end = log.end
        self.durable = durable
        self.holds_back = self._wants_durable
        self.readable = durable if self.holds_back else self.end
        self._sync = Sync(
            segments, log, store, cursors, clock, in_thread, repeats, sync_s, durable, self._durables, self._on_moved
        )
        self._append = log.append
        log.on_mode = self._on_log_mode
        cursors.on_threshold = log.on_passed
        cursors.on_rewound = self._sync.wake
        cursors.reader_maker = self._make_reader
        if durable < self.end:
            self._sync.wake()

    @classmethod
    def open(
        cls,
        path: str,
        *,
        clock: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
        limit_octets: int,
        full: FullPolicy,
        sync_s: float,
        files: IFiles | None = None,
        segment_octets: int | None = None,
    ) -> Spool:
        """
        Open the spool in a directory, or make one there.  Takes no longer when the backlog is long.

        :param path: the directory; made if need be.
        :param clock: the time, and timers; its seconds are Unix time.
        :param in_thread: ``in_thread(function, *arguments)`` runs *function* in another thread, one at a time.
        :param limit_octets: for all segment files together; 0 for no limit.
        :param full: what to do at that limit.
        :param sync_s: the sync interval: what no collector has acknowledged for so many seconds is made durable; 0:
            everything is, before anybody may read it.
        :param files: the file system.
        :param segment_octets: size of a segment; by default what suits the limit.
        :raises SpoolLocked: somebody else uses it.
        :raises SpoolUnusable: the directory cannot be used at all.  Damage within is no reason.
        """
        if files is None:
            files = RealFiles()
        if segment_octets is None:
            segment_octets = MOST_SEGMENT_OCTETS
            if limit_octets:
                fitting = limit_octets // SEGMENTS_IN_LIMIT
                segment_octets = max(LEAST_SEGMENT_OCTETS, min(MOST_SEGMENT_OCTETS, fitting))
        try:
            files.prepare(path)
            lock = _take_lock(files, path)
        except OSError as problem:
            raise _unusable(path, problem) from problem
        try:
            return cls._open_locked(path, lock, files, clock, in_thread, limit_octets, full, sync_s, segment_octets)
        except OSError as problem:
            lock.close()
            raise _unusable(path, problem) from problem
        except BaseException:
            lock.close()
            raise

    @classmethod
    def _open_locked(
        cls,
        path: str,
        lock: IFile,
        files: IFiles,
        clock: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
        limit_octets: int,
        full: FullPolicy,
        sync_s: float,
        segment_octets: int,
    ) -> Spool:
        listing = files.listing(path)
        identity = recovery.open_identity(files, path, listing, int(clock.seconds() * 1e9))
        try:
            # What is found may have been made by a process that was killed before it was durable.
            files.sync_directory(path)
        except OSError as problem:
            cls._log.warn("cannot sync the names in {path}: {problem}", path=path, problem=str(problem))
        store = Store(files, path, identity.spool_id, segment_octets, limit_octets)
        repeats = Repeats(cls._log, clock, every_s=SUMMARY_S)
        cursors = Cursors(files, store.path, identity.spool_id, clock, repeats)
        kept = recovery.find_cursors(files, path, listing, identity.spool_id)
        known = [cursor.position for cursor in kept if cursor.position is not None]
        found = recovery.find_segments(store, listing, min(known) if known and len(known) == len(kept) else None)
        newest = max([segment.number for segment in found[-1:]] + [position.segment for position in known] + [0])
        tail = recovery.find_tail(store, found)
        # A cursor can be ahead of the log after a power cut: what it stands for was delivered, and is counted.
        ends = [*known, tail.end if tail is not None else Position(max(newest, 1), SEGMENT_OCTETS, 0, 0)]
        end = Position(*max(ends)[:2], max(it.packets for it in ends), max(it.octets for it in ends))
        oldest = recovery.start_of(found[0] if found else None, end)
        for cursor in kept:
            position = oldest if cursor.position is None else max(cursor.position, oldest)
            cursors.adopt(cursor.name, position, cursor.slots, cursor.file_name)
        number = max(newest, identity.life << LIFE_BITS)
        segments = Segments(store, cursors, repeats, found)
        if tail is not None:
            for gap in tail.gaps:
                segments.note_corrupt(found[-1], *gap)
            if tail.torn:
                cls._log.warn("the spool's last record was torn; it was cut off")
        segments.release()
        eviction = Eviction(segments, store, cursors, repeats, full)
        return cls(
            store,
            cursors,
            segments,
            eviction,
            Log(segments, store, eviction, clock, repeats, full, end, number),
            lock,
            clock,
            in_thread,
            repeats,
            sync_s,
            recovery.start_of(segments.oldest, end),
            int(tail is not None and tail.torn),
        )

    # Appending

    def append(self, pieces: Sequence[Buffer], octets: int, packets: int, received_ns: int) -> Position:
        """
        Hot, once per batch.  Append a batch to the log.

        :param pieces: its octets, 1000 buffers at most.
        :param octets: in all of them, 1 MiB at most.
        :param packets: in all of them.
        :param received_ns: when the newest came in, Unix time in ns.
        :returns: the position behind it.
        :raises SpoolFull: it was not appended.  Under `FullPolicy.BLOCK` the caller must keep it, stop reading, and try
            again when `when_writable` says so; else it was counted in `SpoolStatus.refused`.
        :raises SpoolError: the spool is closed.
        """
        end = self._append(pieces, octets, packets, received_ns)
        self.end = end
        if not self.holds_back:
            self.readable = end
            if self._readers:
                self._readers.advance(end)
        if self._sync.asleep:
            self._sync.wake()
        return end

    def append_last(self, pieces: list[Buffer], octets: int, packets: int, received_ns: int) -> Position:
        """
        Append the batch that was held while the spool was full, whatever the limit: hfp stops, and nothing follows it.

        :raises SpoolFull: the disk and the memory refuse it too.
        """
        self.end = self._spool_log.append_last(pieces, octets, packets, received_ns)
        return self.end

    def when_writable(self) -> Deferred[None]:
        """After `SpoolFull`: fires when an append is worth another try.  It may be cancelled."""
        return self._spool_log.when_writable()

    # Waiting

    def when_durable(self, position: Position) -> Deferred[None]:
        """Fires when everything before *position* is durable, which asking brings about.  It may be cancelled."""
        waiter = self._durables.wait(position, self.durable)
        if self._durables:
            self._sync.wake()
        return waiter

    def when_readable(self, position: Position) -> Deferred[None]:
        """Fires when there is something to read behind *position*.  It may be cancelled."""
        return self._readers.wait(position, self.readable)

    def _on_log_mode(self) -> None:
        """Records go to memory now, or no more; this may be called from within an append."""
        self._on_mode()
        if not self._spool_log.in_memory:
            self._sync.begin_soon()

    def _on_mode(self) -> None:
        """The disk may have begun to take data, or ceased to."""
        self.holds_back = self._wants_durable and not (self._sync.stuck or self._spool_log.in_memory)

    def _on_moved(self) -> None:
        """The sync has got somewhere, or met a problem."""
        self.durable = self._sync.durable
        self._on_mode()
        readable = self.durable if self.holds_back else self._spool_log.end
        if readable > self.readable:
            self.readable = readable
        self._durables.advance(self.durable)
        self._readers.advance(self.readable)

    # Cursors

    def cursor(self, name: str) -> Cursor:
        """
        The kept cursor of that name, or a new one at the end of the log; from now on it is a configured one.

        :raises ValueError: the name takes more than 400 octets in UTF-8.
        """
        cursor = self._cursors.get(name)
        if cursor is None:
            cursor = self._cursors.create(name, self.end)
        cursor.configured = True
        return cursor

    def forget(self, name: str) -> bool:
        """
        Remove a kept cursor that nobody asked for since the start.

        :returns: False if there is none.
        """
        cursor = self._cursors.get(name)
        if cursor is None or cursor.configured:
            return False
        self._cursors.remove(cursor)
        self._spool_log.on_passed()
        return True

    def kept(self) -> list[CursorStatus]:
        """The cursors on disk that nobody asked for since the start."""
        return [self._cursor_status(cursor) for cursor in self._cursors.kept()]

    def _make_reader(self, cursor: Cursor, buffer_octets: int) -> Reader:
        return Reader(self._segments, cursor, self._readable_now, buffer_octets)

    def _readable_now(self) -> Position:
        return self.readable if self._closed is None else Position(0, 0, 0, 0)

    # What it says of itself

    def status(self) -> SpoolStatus:
        """Everything, as of now."""
        log, store, sync, segments = self._spool_log, self._store, self._sync, self._segments
        lowest = min((cursor.position for cursor in self._cursors.configured()), default=self.end)
        return SpoolStatus(
            disk_octets=store.footprint,
            backlog=_between(lowest, self.end),
            limit_octets=store.limit_octets,
            segments=len(segments),
            spare_segments=len(store.spares),
            quarantined_segments=len(store.damaged),
            memory_segments=len(segments.in_memory()),
            refused=_amount(log.refused),
            corrupt_records=segments.corrupt_places,
            corrupt=_amount(segments.corrupt),
            torn=self._torn,
            syncs=sync.syncs,
            sync_errors=sync.errors,
            sync_s=sync.seconds,
            last_sync_s=sync.last_seconds,
            write_errors=log.write_errors,
            flushes=segments.flushes,
            full=self._eviction.full,
            degraded=log.in_memory or sync.stuck,
            cursors=tuple(self._cursor_status(cursor) for cursor in self._cursors),
        )

    def _cursor_status(self, cursor: Cursor) -> CursorStatus:
        received_ns = received_at(self._segments, cursor.position, self.end)
        return CursorStatus(
            name=cursor.name,
            configured=cursor.configured,
            unconfirmed=_between(cursor.position, self.end),
            dropped=cursor.dropped(),
            oldest_s=max(0.0, self._clock.seconds() - received_ns / 1e9) if received_ns else 0.0,
        )

    # The end

    async def close(self) -> None:
        """Make durable what is there, persist the cursors, and let go of the directory.  May be called again."""
        if self._closed is None:
            self._closed = Deferred.fromCoroutine(self._close())
        await self._closed

    async def _close(self) -> None:
        self._append = _append_closed  # type: ignore[assignment]
        self._spool_log.close()
        await self._sync.close()
        self._cursors.stop()
        try:
            await self._in_thread(self._cursors.sync)
        except OSError as problem:
            self._log.warn("cannot sync the cursors: {problem}", problem=str(problem))
        self._cursors.close()
        self._segments.let_go()
        self._store.close()
        self._repeats.stop()
        self._lock.close()


def _append_closed(*_: object) -> Position:
    raise SpoolError("the spool is closed")


def _take_lock(files: IFiles, path: str) -> IFile:
    try:
        return files.lock(os.path.join(path, LOCK))
    except BlockingIOError as problem:
        raise SpoolLocked(f"{path} is in use by another process: stop it, or give each its own directory") from problem


def _unusable(path: str, problem: OSError) -> SpoolUnusable:
    return SpoolUnusable(
        f"{path} cannot be used ({problem.strerror or problem}): make it a directory that the user who runs hfp may "
        "read and write, on a file system that works and has room"
    )


def _amount(counters: list[int]) -> Amount:
    return Amount(packets=counters[0], octets=counters[1])


def _between(start: Position, end: Position) -> Amount:
    return Amount(packets=max(0, end.packets - start.packets), octets=max(0, end.octets - start.octets))
