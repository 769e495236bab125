"""
The only door to the disk: what the spool asks of a file system, and the real one.

Tests put a simulated file system in its place, which can fail and crash.  No policy here: every method does one thing
to the disk and lets ``OSError`` out.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from typing import TypeAlias

from zope.interface import Interface, implementer

Buffer: TypeAlias = bytes | bytearray | memoryview

#: fdatasync leaves out what a file's content can do without (its times); where there is none, fsync does.
_sync_data = getattr(os, "fdatasync", os.fsync)


class IFile(Interface):
    """
    An open file.  Its methods may be called in the reactor's thread and in one other at the same time; ``close`` not
    before the other thread is done.  All but ``close`` raise ``OSError`` when the disk refuses.
    """

    def read(buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        """
        Fill *buffers*, one after the other, from the file.

        :param offset: octets from the file's start.
        :returns: octets read; fewer than there is room for only at the end of the file.
        """

    def write(buffers: Sequence[Buffer], offset: int) -> int:
        """
        Hot, once per batch.  Write all *buffers*, one behind the other.

        :param buffers: at most 1001.
        :param offset: octets from the file's start.
        :returns: octets written; fewer than given if the disk took no more.
        """

    def size() -> int:
        """Length of the file, octets."""

    def sync() -> None:
        """Make what was written so far survive a power cut.  After an error what was written may be gone for good."""

    def close() -> None:
        """Let go of the file.  Never raises."""


class IFiles(Interface):
    """A file system.  All paths are absolute or relative to the working directory; every method raises ``OSError``."""

    def prepare(path: str) -> None:
        """Make the directory *path*, unless it is there, and close it to everybody but its owner."""

    def lock(path: str) -> IFile:
        """
        Take the lock that the file *path* stands for (made if need be); closing the file gives it back.

        :raises BlockingIOError: another process, or another part of this one, holds it.
        """

    def listing(path: str) -> dict[str, int]:
        """The names of the files in directory *path*, and their sizes in octets."""

    def create(path: str) -> IFile:
        """Make a new file that only its owner may read and write.  :raises FileExistsError: it is there."""

    def open(path: str) -> IFile:
        """Open a file for reading and writing.  :raises FileNotFoundError: it is not there."""

    def rename(old: str, new: str) -> None:
        """Give a file another name; a file that has it is replaced."""

    def unlink(path: str) -> None:
        """Take a name away; a file without any is gone once nobody has it open."""

    def sync_directory(path: str) -> None:
        """Make every name in the directory survive a power cut as it is now."""

    def space(path: str) -> tuple[int, int]:
        """Octets of the file system that holds *path*: in all, and free for us."""


@implementer(IFile)
class RealFile:
    """A file of the operating system."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        return os.preadv(self._fd, buffers, offset)

    def write(self, buffers: Sequence[Buffer], offset: int) -> int:
        return os.pwritev(self._fd, buffers, offset)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def sync(self) -> None:
        _sync_data(self._fd)

    def close(self) -> None:
        try:
            os.close(self._fd)
        except OSError:
            pass  # what matters was synced before, and a descriptor is gone even when closing it fails


@implementer(IFiles)
class RealFiles:
    """The operating system's files."""

    def prepare(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)
        if os.stat(path).st_mode & 0o077:
            os.chmod(path, 0o700)

    def lock(self, path: str) -> RealFile:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        return RealFile(fd)

    def listing(self, path: str) -> dict[str, int]:
        with os.scandir(path) as entries:
            return {
                entry.name: entry.stat(follow_symlinks=False).st_size
                for entry in entries
                if entry.is_file(follow_symlinks=False)
            }

    def create(self, path: str) -> RealFile:
        return RealFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))

    def open(self, path: str) -> RealFile:
        return RealFile(os.open(path, os.O_RDWR | os.O_NOFOLLOW))

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def sync_directory(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def space(self, path: str) -> tuple[int, int]:
        figures = os.statvfs(path)
        return figures.f_frsize * figures.f_blocks, figures.f_frsize * figures.f_bavail
