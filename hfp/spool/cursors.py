"""
All cursors of a spool, and the files that keep them.

A cursor's file may lag behind by `PERSIST_S`, and by more after a power cut: that costs duplicates, never a loss.  So
it is written without a sync, save when it is made and at the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hfp.logs import Repeats
from hfp.spool.cursor import Cursor
from hfp.spool.files import IFiles
from hfp.spool.format import MOST_NAME_OCTETS, cursor_seed, pack_cursor
from hfp.spool.position import Position
from hfp.spool.slots import SlotFile

if TYPE_CHECKING:
    from hfp.spool.reader import Reader

CURSOR = "cur-"

#: Seconds that a cursor's file may lag behind the cursor.
PERSIST_S = 1.0


def file_name(name: str) -> str:
    """The name of the file that keeps the cursor *name*."""
    return CURSOR + hashlib.sha256(name.encode("utf-8")).hexdigest()[:16]


class Cursors:
    """
    :param files: the file system.
    :param path: gives the path of a file of the spool.
    :param spool_id: seeds the files' CRC.
    :param clock: for the timer that has the files catch up.
    :param repeats: for log lines.

    :ivar threshold: ``(segment, offset)`` that a cursor must reach before a segment can become free.
    :ivar on_threshold: called when one has.
    :ivar on_rewound: called when what a collector had acknowledged is at risk again.
    :ivar reader_maker: see `Cursor.reader`.
    """

    def __init__(
        self, files: IFiles, path: Callable[[str], str], spool_id: bytes, clock: IReactorTime, repeats: Repeats
    ) -> None:
        self._files = files
        self._path = path
        self._seed = cursor_seed(spool_id)
        self._clock = clock
        self._repeats = repeats
        self._timer: IDelayedCall | None = None
        self._cursors: dict[str, Cursor] = {}
        self._kept_in: dict[Cursor, str] = {}  # the names of their files
        self._slots: dict[Cursor, SlotFile] = {}  # those that could be made
        self._stopped = False
        self._stale: dict[Cursor, None] = {}  # those whose files lag behind, in order
        self.threshold: tuple[int, int] = (0, 0)
        self.on_threshold: Callable[[], None] = _nothing
        self.on_rewound: Callable[[], None] = _nothing
        self.reader_maker: Callable[[Cursor, int], Reader]

    def __iter__(self) -> Iterator[Cursor]:
        return iter(self._cursors.values())

    def get(self, name: str) -> Cursor | None:
        """The cursor *name*, if there is one; also one that is kept under that name although its slots are bad."""
        cursor = self._cursors.get(name)
        if cursor is None:
            cursor = self._cursors.pop(file_name(name), None)
            if cursor is not None:
                cursor.name = name
                self._cursors[name] = cursor
                self._note_stale(cursor)
        return cursor

    def configured(self) -> list[Cursor]:
        """Those that somebody asked for since the start."""
        return [cursor for cursor in self._cursors.values() if cursor.configured]

    def kept(self) -> list[Cursor]:
        """The others."""
        return [cursor for cursor in self._cursors.values() if not cursor.configured]

    def lowest(self) -> Position | None:
        """Where the last of them stands; None if there are none."""
        return min((cursor.position for cursor in self._cursors.values()), default=None)

    def adopt(self, name: str, position: Position, slots: SlotFile, kept_in: str) -> Cursor:
        """
        A cursor's file was found at the start.

        :param name: the cursor's, or the file's if no slot is valid.
        :param kept_in: the file's name.
        """
        cursor = self._cursors[name] = Cursor(name, position, self)
        self._kept_in[cursor] = kept_in
        self._slots[cursor] = slots
        return cursor

    def create(self, name: str, position: Position) -> Cursor:
        """
        A new cursor; its file is durable when this returns, unless the disk refuses.

        :raises ValueError: the name is longer than `MOST_NAME_OCTETS` in UTF-8.
        """
        if len(name.encode("utf-8")) > MOST_NAME_OCTETS:
            raise ValueError(f"a cursor's name may take {MOST_NAME_OCTETS} octets at most")
        cursor = self._cursors[name] = Cursor(name, position, self)
        self._kept_in[cursor] = file_name(name)
        self._persist(cursor)
        return cursor

    def remove(self, cursor: Cursor) -> None:
        """Forget *cursor*, and remove its file."""
        del self._cursors[cursor.name]
        self._stale.pop(cursor, None)
        slots = self._slots.pop(cursor, None)
        if slots is not None:
            slots.close()
        try:
            self._files.unlink(self._path(self._kept_in.pop(cursor)))
        except OSError:
            pass  # it never was there, or it will be found as a kept one at the next start

    def shift(self, cursor: Cursor, position: Position) -> None:
        """Move *cursor* forward because what it stands at is going."""
        if position > cursor.position:
            cursor.position = position
            cursor.acknowledged = max(cursor.acknowledged, position)
            self._note_stale(cursor)

    # Called by cursors

    def moved(self, cursor: Cursor) -> None:
        self._note_stale(cursor)
        if cursor.position >= self.threshold:
            self.on_threshold()

    def rewound(self, cursor: Cursor) -> None:
        self.on_rewound()

    def make_reader(self, cursor: Cursor, buffer_octets: int) -> Reader:
        return self.reader_maker(cursor, buffer_octets)

    # The files

    def _note_stale(self, cursor: Cursor) -> None:
        self._stale[cursor] = None
        if self._timer is None and not self._stopped:
            self._timer = self._clock.callLater(PERSIST_S, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._catch_up()

    def _catch_up(self) -> None:
        stale, self._stale = self._stale, {}
        for cursor in stale:
            self._persist(cursor)

    def _persist(self, cursor: Cursor) -> None:
        """Have *cursor*'s file say where it is; try again later if the disk refuses."""
        payload = pack_cursor(cursor.name, cursor.position)
        try:
            slots = self._slots.get(cursor)
            if slots is None:
                path = self._path(self._kept_in[cursor])
                self._slots[cursor] = SlotFile.create(self._files, path, self._seed, payload)
            else:
                slots.write(payload)
        except OSError as problem:
            self._note_stale(cursor)
            self._repeats.warn(
                ("cursor", cursor.name),
                "cannot write down how far remote {name} is ({problem}): after a restart it may get packets twice",
                name=cursor.name,
                problem=str(problem),
            )

    def stop(self) -> None:
        """Have the files catch up for the last time; no timer any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._catch_up()

    def sync(self) -> None:
        """After `stop`, in another thread: make the files durable.  :raises OSError: the disk refuses."""
        for slots in self._slots.values():
            slots.sync()

    def close(self) -> None:
        """Let go of the files."""
        for slots in self._slots.values():
            slots.close()
        self._slots.clear()


def _nothing() -> None:
    pass
