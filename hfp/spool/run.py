"""
One run of the sync: what the thread does, while the reactor's thread goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from errno import ENOSPC

from attrs import define

from hfp.spool.files import IFile, IFiles
from hfp.spool.position import Position
from hfp.spool.segment import Segment

_COPY_OCTETS = 1024 * 1024


@define(eq=False)
class Task:
    """
    What a run does for one segment; only this goes to the thread, never the segment.

    :param file: the segment's.
    :param sync: whether its content needs it.
    :param unlisted: whether its name needs it.
    :param copy_to: path of a new file to copy it to; None if it can stay where it is.
    :param length: octets to copy; after the copy, octets copied.

    :ivar copy: the new file.
    :ivar problem: why it could not be done.
    """

    segment: Segment
    file: IFile
    sync: bool
    unlisted: bool
    copy_to: str | None = None
    length: int = 0
    copy: IFile | None = None
    problem: OSError | None = None


@define(eq=False)
class Run:
    """
    A run: what to do, and how it went.

    :param files: the file system.
    :param directory: the spool's.
    :param tasks: one for each segment concerned.
    :param end: everything before it is durable if all goes well.

    :ivar syncs: fdatasync calls that succeeded.
    :ivar errors: calls that failed.
    :ivar seconds: spent in them.
    :ivar names_failed: the directory could not be synced.
    """

    files: IFiles
    directory: str
    tasks: list[Task]
    end: Position
    syncs: int = 0
    errors: int = 0
    seconds: float = 0.0
    names_failed: bool = False

    def carry_out(self) -> None:
        """In the thread: do it."""
        for task in self.tasks:
            try:
                if task.copy_to is not None:
                    self._copy(task)
                elif task.sync:
                    self._sync(task.file.sync)
            except OSError as problem:
                task.problem = problem
        if any(task.unlisted for task in self.tasks):
            try:
                self._sync(lambda: self.files.sync_directory(self.directory))
            except OSError as problem:
                self.names_failed = True
                for task in self.tasks:
                    if task.unlisted and task.problem is None:
                        task.problem = problem

    def _sync(self, sync: Callable[[], None]) -> None:
        started = time.perf_counter()
        try:
            sync()
        except OSError:
            self.errors += 1
            raise
        finally:
            self.seconds += time.perf_counter() - started
        self.syncs += 1

    def _copy(self, task: Task) -> None:
        assert task.copy_to is not None
        try:
            self.files.unlink(task.copy_to)
        except FileNotFoundError:
            pass
        copy = self.files.create(task.copy_to)
        try:
            buffer = memoryview(bytearray(_COPY_OCTETS))
            offset = 0
            while offset < task.length:
                found = task.file.read([buffer[: task.length - offset]], offset)
                if found == 0:
                    break
                if copy.write([buffer[:found]], offset) != found:
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
                offset += found
            self._sync(copy.sync)
        except BaseException:
            copy.close()
            raise
        task.copy, task.length = copy, offset
