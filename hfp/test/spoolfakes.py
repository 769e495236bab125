"""
What the spool's tests put in the place of a disk, of a thread and of a clock that runs.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from errno import EEXIST, EIO, ENOENT, ENOSPC, EWOULDBLOCK
from random import Random
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from zope.interface import implementer

from hfp.spool import FullPolicy, Spool
from hfp.spool.files import Buffer, IFile, IFiles

SECTOR = 512

#: A Unix time, seconds.
NOW_S = 1_750_000_000.0


class Crashed(BaseException):
    """The machine lost its power in the middle of something; nothing in hfp may catch this."""


@define(eq=False)
class Inode:
    """
    A file's content.

    :ivar cache: as everybody sees it.
    :ivar disk: as it is found after a power cut at the worst moment.
    :ivar dirty: writes that no sync has covered, in order.
    """

    cache: bytearray = field(factory=bytearray)
    disk: bytearray = field(factory=bytearray)
    dirty: list[tuple[int, bytes]] = field(factory=list)
    locked: bool = False

    def write(self, offset: int, octets: bytes) -> None:
        _put(self.cache, offset, octets)
        self.dirty.append((offset, octets))

    def flush(self) -> None:
        for offset, octets in self.dirty:
            _put(self.disk, offset, octets)
        self.dirty.clear()

    def crash(self, random: Random) -> None:
        """Any sectors of what was not synced are there, or are not; where the file grew, something else may be."""
        for offset, octets in self.dirty:
            at = 0
            while at < len(octets):
                step = min(len(octets) - at, SECTOR - (offset + at) % SECTOR)
                if random.random() < 0.6:
                    hole = offset + at - len(self.disk)
                    if hole > 0:
                        self.disk += bytes(hole) if random.random() < 0.5 else random.randbytes(hole)
                    _put(self.disk, offset + at, octets[at : at + step])
                at += step
        if self.dirty and random.random() < 0.3:
            self.disk += bytes(random.randrange(2 * SECTOR))
        self.dirty.clear()
        self.cache = bytearray(self.disk)
        self.locked = False


def _put(content: bytearray, offset: int, octets: bytes) -> None:
    if offset > len(content):
        content += bytes(offset - len(content))
    content[offset : offset + len(octets)] = octets


@define
class Fault:
    """
    :param after: calls that still go well.
    :param times: calls that fail then.
    :param part: of a write, what is written nevertheless: this share of the octets; if it is all of them the call
        fails all the same.
    """

    error: int
    after: int = 0
    times: int = 1
    part: float = 0.0


@implementer(IFiles)
class SimulatedFiles:
    """
    A file system in memory, with one directory.

    :param octets: how much it holds.

    :ivar figures: what `space` says, if not the truth.
    :ivar names: as everybody sees them.
    :ivar faults: by method, what goes wrong next.
    :ivar calls: by method, calls so far.
    :ivar failures: by method, how many of them failed.
    :ivar octets_read: so far.
    :ivar crash_in: the power fails at the so many-th call from now that changes something; None: it does not.
    :ivar crashed: it has failed, and nothing works until `crash` was called.
    """

    def __init__(self, octets: int = 1 << 40) -> None:
        self.octets = octets
        self.figures: tuple[int, int] | None = None
        self.names: dict[str, Inode] = {}
        self.faults: dict[str, Fault] = {}
        self.calls: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.octets_read = 0
        self.crash_in: int | None = None
        self.crashed = False
        self.opened: set[SimulatedFile] = set()
        self._durable: dict[str, Inode] = {}
        self._undurable: list[tuple[str | None, str | None, Inode]] = []  # old name, new name

    # What happens to machines

    def kill(self) -> None:
        """The process is gone; what it wrote is not."""
        for file in tuple(self.opened):
            file.close()
        self.crash_in = None
        self.crashed = False

    def crash(self, random: Random) -> None:
        """The power fails, and comes back."""
        for old, new, inode in self._undurable:
            if random.random() < 0.5:
                self._rename_durably(old, new, inode)
        self._undurable.clear()
        self.names = dict(self._durable)
        self.kill()
        for inode in {id(inode): inode for inode in self.names.values()}.values():
            inode.crash(random)

    def lose_names(self) -> None:
        """At the next power cut every name is as it was when the directory was last synced."""
        self._undurable.clear()

    def _rename_durably(self, old: str | None, new: str | None, inode: Inode) -> None:
        if old is not None and self._durable.get(old) is inode:
            del self._durable[old]
        if new is not None:
            self._durable[new] = inode

    def fail(self, method: str, error: int = EIO, after: int = 0, times: int = 1, part: float = 0.0) -> None:
        """See `Fault`."""
        self.faults[method] = Fault(error, after, times, part)

    def used(self) -> int:
        """Octets in all files."""
        inodes = {id(inode): inode for inode in self.names.values()}
        inodes.update({id(file.inode): file.inode for file in self.opened})
        return sum(len(inode.cache) for inode in inodes.values())

    def called(self, method: str, changes: bool = True) -> float | None:
        """
        Note a call.

        :returns: None if it shall go well; else the share of it that does.
        """
        self.calls[method] += 1
        if changes and self.crash_in is not None:
            self.crash_in -= 1
            self.crashed = self.crash_in < 0
        if self.crashed:
            raise Crashed()
        fault = self.faults.get(method)
        if fault is None:
            return None
        if fault.after:
            fault.after -= 1
            return None
        self.failures[method] += 1
        fault.times -= 1
        if fault.times <= 0:
            del self.faults[method]
        if method == "write" and fault.part:
            return fault.part
        raise OSError(fault.error, os.strerror(fault.error))

    # IFiles

    def prepare(self, path: str) -> None:
        self.called("prepare")

    def lock(self, path: str) -> SimulatedFile:
        self.called("lock")
        if path not in self.names:
            self._rename(None, path, Inode())
        inode = self.names[path]
        if inode.locked:
            raise OSError(EWOULDBLOCK, os.strerror(EWOULDBLOCK))
        inode.locked = True
        return SimulatedFile(self, inode, unlock=True)

    def listing(self, path: str) -> dict[str, int]:
        self.called("listing", changes=False)
        return {os.path.basename(name): len(inode.cache) for name, inode in self.names.items()}

    def create(self, path: str) -> SimulatedFile:
        self.called("create")
        if path in self.names:
            raise OSError(EEXIST, os.strerror(EEXIST))
        inode = Inode()
        self._rename(None, path, inode)
        return SimulatedFile(self, inode)

    def open(self, path: str) -> SimulatedFile:
        self.called("open", changes=False)
        return SimulatedFile(self, self._inode(path))

    def rename(self, old: str, new: str) -> None:
        self.called("rename")
        self._rename(old, new, self._inode(old))

    def unlink(self, path: str) -> None:
        self.called("unlink")
        self._rename(path, None, self._inode(path))

    def sync_directory(self, path: str) -> None:
        self.called("sync_directory")
        for change in self._undurable:
            self._rename_durably(*change)
        self._undurable.clear()

    def space(self, path: str) -> tuple[int, int]:
        self.called("space", changes=False)
        return self.figures or (self.octets, max(0, self.octets - self.used()))

    def _inode(self, path: str) -> Inode:
        if path not in self.names:
            raise OSError(ENOENT, os.strerror(ENOENT))
        return self.names[path]

    def _rename(self, old: str | None, new: str | None, inode: Inode) -> None:
        self._undurable.append((old, new, inode))
        if old is not None:
            del self.names[old]
        if new is not None:
            self.names[new] = inode


@implementer(IFile)
class SimulatedFile:
    """An open file of `SimulatedFiles`."""

    def __init__(self, files: SimulatedFiles, inode: Inode, unlock: bool = False) -> None:
        self.inode = inode
        self._files = files
        self._unlock = unlock
        files.opened.add(self)

    def _check(self) -> None:
        assert self in self._files.opened, "a file was used after it had been closed"

    def read(self, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        self._check()
        self._files.called("read", changes=False)
        start = offset
        for buffer in buffers:
            found = self.inode.cache[offset : offset + len(buffer)]
            buffer[: len(found)] = found
            offset += len(found)
        self._files.octets_read += offset - start
        return offset - start

    def write(self, buffers: Sequence[Buffer], offset: int) -> int:
        self._check()
        assert len(buffers) <= 1001
        octets = b"".join(buffers)
        part = self._files.called("write")
        if part is not None:
            octets = octets[: int(part * len(octets))]
            if part == 1:
                self.inode.write(offset, octets)
                raise OSError(EIO, os.strerror(EIO))
        growth = offset + len(octets) - len(self.inode.cache)
        if growth > 0:
            missing = growth - (self._files.octets - self._files.used())
            if missing > 0:
                octets = octets[:-missing] if missing < len(octets) else b""
                if not octets:
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
        self.inode.write(offset, octets)
        return len(octets)

    def size(self) -> int:
        self._check()
        self._files.called("size", changes=False)
        return len(self.inode.cache)

    def sync(self) -> None:
        self._check()
        try:
            self._files.called("sync")
        except OSError:
            # As on Linux: the pages are marked clean although they were not written; the next sync is a success.
            self.inode.dirty.clear()
            raise
        self.inode.flush()

    def close(self) -> None:
        self._files.opened.discard(self)
        if self._unlock:
            self.inode.locked = False


class Steps:
    """``in_thread`` of a thread that does one thing each time it is told to."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Callable[..., Any], tuple[Any, ...], Deferred[Any]]] = deque()

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        deferred: Deferred[Any] = Deferred()
        self.waiting.append((function, arguments, deferred))
        return deferred

    def step(self) -> bool:
        """:returns: False if there was nothing to do."""
        if not self.waiting:
            return False
        function, arguments, deferred = self.waiting.popleft()
        try:
            result = function(*arguments)
        except AssertionError:
            raise  # a test's, about what the thread did
        except Exception:
            deferred.errback()
        else:
            deferred.callback(result)
        return True

    def run(self) -> None:
        """Do all there is to do."""
        while self.step():
            pass


DIRECTORY = "/spool"


def clock() -> Clock:
    """A clock that stands at a time of our days."""
    made = Clock()
    made.advance(NOW_S)
    return made


def open_spool(files: SimulatedFiles, **changes: Any) -> Spool:
    """A spool with small segments in *files*, whose thread does everything at once."""
    settings: dict[str, Any] = {
        "clock": changes.pop("clock", None) or clock(),
        "in_thread": execute,
        "limit_octets": 0,
        "full": FullPolicy.DROP_OLDEST,
        "sync_s": 0.2,
        "segment_octets": 2048,
    }
    return Spool.open(changes.pop("path", DIRECTORY), files=files, **{**settings, **changes})


def body(number: int, octets: int = 100) -> bytes:
    """A batch that can be told from all others."""
    return f"{number:08d};".encode().ljust(octets, b".")


def append(spool: Spool, *numbers: int, octets: int = 100) -> None:
    """Append a batch of one packet for each number."""
    for number in numbers:
        spool.append([body(number, octets)], octets, 1, int(NOW_S * 1e9) + number)


def numbers(pieces: Sequence[Buffer]) -> list[int]:
    """Which batches those are; each must be whole."""
    found = []
    for piece in pieces:
        octets = bytes(piece)
        number = int(octets[:8])
        assert octets == body(number, len(octets)), octets
        found.append(number)
    return found


def read_all(reader: Any) -> list[int]:
    """All batches that can be read now; checks what every chunk promises."""
    found: list[int] = []
    at = None
    while (chunk := reader.read()) is not None:
        assert 1 <= len(chunk.pieces) <= 1000
        assert sum(map(len, chunk.pieces)) == chunk.octets == chunk.end.octets - chunk.start.octets, chunk
        assert chunk.packets == chunk.end.packets - chunk.start.packets, chunk
        assert at is None or chunk.start >= at, (at, chunk)
        assert reader.position == chunk.end
        at = chunk.end
        found += numbers(chunk.pieces)
    return found
