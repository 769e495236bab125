"""
Making durable what is at risk, and nothing else.

What every collector's kernel has acknowledged in time needs no sync: a healthy relay causes none.  Whatever stays
unacknowledged for the sync interval is made durable by one run in the thread, together with all else that is not
durable yet (group commit); there is one run at a time.

A failed sync is never repeated on the same file: the kernel may have dropped the pages and call the next sync a
success.  The segment's content is copied to a new file instead, from the page cache, and that one is synced and takes
its place.  Segments in memory get a file in the same way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from hfp.logs import Logger, Repeats
from hfp.spool.cursors import Cursors
from hfp.spool.log import Log
from hfp.spool.position import Position
from hfp.spool.run import Run, Task
from hfp.spool.segment import Segment
from hfp.spool.segments import Segments
from hfp.spool.store import Room, Store
from hfp.spool.waiters import Waiters

#: Looks at what is at risk in each sync interval: so nothing gets older than the interval, and nothing younger than
#: three quarters of it is synced.
LOOKS = 4

#: Segments in one run: each takes a descriptor.
MOST_SEGMENTS = 64

#: Seconds until a copy that failed is tried again.
RETRY_S = 5.0


class Sync:
    """
    :param segments: what to make durable.
    :param log: says how far it goes, and has a poisoned segment end.
    :param store: has its files.
    :param cursors: say what is at risk.
    :param clock: the time, and timers.
    :param in_thread: runs a function in the thread.
    :param repeats: for log lines.
    :param sync_s: the sync interval, seconds; 0: everything is synced at once.
    :param durable: how far the log is durable at the start.
    :param waiters: who waits for ``durable``; they count as a risk.
    :param moved: called when ``durable`` or ``stuck`` may have changed.

    :ivar asleep: no look is due: `wake` must be called when something is appended.
    :ivar durable: everything before it is durable, or gone for good.
    :ivar stuck: the disk refuses to make data durable.
    :ivar syncs: see `SpoolStatus`; likewise ``errors``, ``seconds``, ``last_seconds``.
    """

    _log = Logger()

    def __init__(
        self,
        segments: Segments,
        log: Log,
        store: Store,
        cursors: Cursors,
        clock: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
        repeats: Repeats,
        sync_s: float,
        durable: Position,
        waiters: Waiters,
        moved: Callable[[], None],
    ) -> None:
        self._segments = segments
        self._spool_log = log
        self._store = store
        self._cursors = cursors
        self._clock = clock
        self._in_thread = in_thread
        self._repeats = repeats
        self._sync_s = sync_s
        self._waiters = waiters
        self._moved = moved
        self._timer: IDelayedCall | None = None
        self._retry_timer: IDelayedCall | None = None
        self._marks: deque[tuple[float, Position]] = deque()  # what was appended by when, and not looked at yet
        self._since = 0.0  # what was appended since then has no mark yet
        self._running = False
        self._again = False  # another run when the present one has ended
        self._closing = False
        self._ended: Deferred[None] | None = None
        self.asleep = True
        self.durable = durable
        self.stuck = False
        self.syncs = 0
        self.errors = 0
        self.seconds = 0.0
        self.last_seconds = 0.0

    # What is at risk

    def wake(self) -> None:
        """Something was appended while asleep, or is at risk again."""
        if not self.asleep or self._closing:
            return
        self.asleep = False
        if self._sync_s:
            self._since = self._clock.seconds()
            self._timer = self._clock.callLater(self._sync_s / LOOKS, self._look)
        else:
            self.begin()

    def _look(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        end = self._spool_log.end
        if not self._marks or self._marks[-1][1] != end:
            self._marks.append((self._since, end))
        self._since = now
        due = None
        while self._marks and self._marks[0][0] + self._sync_s * (1 - 0.5 / LOOKS) <= now:
            due = self._marks.popleft()[1]
        if due is not None and self._at_risk(due):
            self.begin()
        if self._marks:
            self._timer = self._clock.callLater(self._sync_s / LOOKS, self._look)
        else:
            self.asleep = True

    def _at_risk(self, position: Position) -> bool:
        if position <= self.durable:
            return False
        configured = self._cursors.configured()
        return bool(self._waiters) or not configured or any(cursor.acknowledged < position for cursor in configured)

    # Runs

    def begin(self, whatever: bool = False) -> None:
        """
        Start a run, or another one as soon as the present one has ended.

        :param whatever: write out segments in memory even if there is no room for their files.
        """
        if self._running:
            self._again = True
            return
        self._again = False
        run, more = self._plan(whatever)
        if not run.tasks:
            self._advance(run.end)
            self._go_on(False, False)
            return
        self._running = True
        self._in_thread(run.carry_out).addCallbacks(
            lambda _: self._on_done(run, more), lambda failure: self._on_broken(run, failure)
        )

    def _plan(self, whatever: bool) -> tuple[Run, bool]:
        """:returns: a run, and whether there is more to do than fits into it."""
        undurable = self._segments.undurable
        run = Run(self._store.files, self._store.directory, [], self._spool_log.end)
        for segment in tuple(undurable.values()):
            if len(run.tasks) == MOST_SEGMENTS:
                run.end = self._before(run.end, segment)
                return run, True
            if segment.in_memory or segment.poisoned:
                if not self._plan_copy(run, segment, whatever):
                    run.end = self._before(run.end, segment)
            elif segment.unsynced or segment.unlisted:
                self._plan_sync(run, segment)
            elif not segment.open:
                del undurable[segment.number]
                segment.settle()
        return run, False

    def _plan_copy(self, run: Run, segment: Segment, whatever: bool) -> bool:
        """:returns: False if this is not the time."""
        if segment.open or (segment.in_memory and self._spool_log.in_memory and not whatever):
            return False
        try:
            file = segment.use()
        except OSError as problem:
            self._note_error(problem)
            self._arm_retry()
            return False
        try:
            length = segment.stop(file)
            room = whatever or self._make_room(length)
        except OSError as problem:
            self._note_error(problem)
            room = False
        if not room:
            segment.release()
            self._arm_retry()
            return False
        run.tasks.append(Task(segment, file, False, False, self._store.unfinished(segment), length))
        return True

    def _make_room(self, octets: int) -> bool:
        while self._store.room(octets) is not Room.ENOUGH:
            if not self._store.shed():
                return False
        return True

    def _plan_sync(self, run: Run, segment: Segment) -> None:
        try:
            file = segment.use()
        except OSError:
            # It cannot even be opened: nothing can be done for it, and whoever reads it will say what is missing.
            segment.unsynced = segment.unlisted = False
            self._segments.undurable.pop(segment.number)
            return
        run.tasks.append(Task(segment, file, segment.unsynced, segment.unlisted))
        segment.unsynced = False  # an append during the run sets it again

    def _before(self, end: Position, segment: Segment) -> Position:
        return min(end, segment.start if segment.start is not None else self.durable)

    def _on_done(self, run: Run, more: bool) -> None:
        self._running = False
        self.syncs += run.syncs
        self.errors += run.errors
        self.seconds += run.seconds
        self.last_seconds = run.seconds
        retry, anew = run.names_failed, more
        for task in run.tasks:
            segment = task.segment
            if segment not in self._segments:
                segment.release()
                self._discard(task)
            elif task.problem is not None:
                run.end = self._before(run.end, segment)
                self._note_error(task.problem)
                if task.copy_to is not None:
                    retry = True
                else:
                    anew = True
                    self._store.poison(segment)
                segment.release()
                self._discard(task)
                if segment.open:
                    self._spool_log.roll()
            elif task.copy is not None:
                run.end = self._before(run.end, segment)
                segment.release()
                if self._adopt(task):
                    anew = True
                else:
                    retry = True
            else:
                if task.unlisted:
                    self._store.note_listed(segment)
                if not (segment.open or segment.unsynced or segment.unlisted):
                    del self._segments.undurable[segment.number]
                segment.release()
        self._segments.release()
        self._advance(run.end)
        self._go_on(retry, anew)

    def _adopt(self, task: Task) -> bool:
        """Let a copy take the place of what a segment lived in."""
        assert task.copy is not None
        try:
            self._store.replace(task.segment, task.copy, task.length)
        except OSError as problem:
            self._note_error(problem)
            self._discard(task)
            return False
        return True

    def _discard(self, task: Task) -> None:
        """A copy was not finished, or not needed after all."""
        if task.copy is not None:
            task.copy.close()
        if task.copy_to is not None:
            self._store.unlink(task.copy_to)

    def _on_broken(self, run: Run, failure: Failure) -> None:
        """The thread did not take the run, or hfp has a fault: as if the run had not been."""
        self._running = False
        self._log.failure("a sync of the spool ended in a fault of hfp's own; it will be tried again", failure)
        for task in run.tasks:
            segment = task.segment
            segment.unsynced = segment.unsynced or task.sync
            segment.release()
        self._go_on(True, False)

    def _advance(self, end: Position) -> None:
        self.durable = max(self.durable, end)
        self.stuck = any(segment.poisoned or segment.in_memory for segment in self._segments.undurable.values())
        self._moved()

    def _go_on(self, retry: bool, anew: bool) -> None:
        """After a run: what comes next."""
        if self._closing:
            if self._ended is not None:
                ended, self._ended = self._ended, None
                ended.callback(None)
            return
        if retry:
            self._arm_retry()
        elif anew or self._again:
            self.begin()
            return
        if not self._sync_s:
            if self._spool_log.end > self.durable and not self.stuck and not retry:
                self.begin()
            elif not self._running:
                self.asleep = True

    def _note_error(self, problem: OSError) -> None:
        self._repeats.critical(
            "sync",
            "the disk does not make the spool's data durable ({problem}): what is not delivered yet would be lost in a "
            "power cut; hfp tries again with new files",
            problem=str(problem),
        )

    def begin_soon(self) -> None:
        """The disk takes data again: start a run, but not from within an append."""
        if self._retry_timer is not None:
            self._retry_timer.cancel()
            self._retry_timer = None
        self._arm_retry(0.0)

    def _arm_retry(self, delay_s: float = RETRY_S) -> None:
        if self._retry_timer is None and not self._closing:
            self._retry_timer = self._clock.callLater(delay_s, self._retry)

    def _retry(self) -> None:
        self._retry_timer = None
        self.begin()

    async def close(self) -> None:
        """Make durable what is there; nothing is appended any more."""
        self._closing = True
        for timer in (self._timer, self._retry_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._retry_timer = None
        # A run to sync; one to copy what could not be synced; one for the copies' names.  The first may be under way.
        for _ in range(4):
            if not self._segments.undurable:
                break
            if not self._running:
                self.begin(whatever=True)
            if self._running:
                self._ended = Deferred()
                await self._ended
        left = self._segments.in_memory()
        if left:
            self._log.critical(
                "the disk refuses to the last: {packets} packets that were only in memory are lost to remotes that "
                "have not got them yet",
                packets=sum(
                    segment.finish.packets - segment.start.packets
                    for segment in left
                    if segment.finish is not None and segment.start is not None
                ),
            )
