"""
A small file that is always found again: two slots, written in turn, so that a torn write leaves the other one.

The identity and the cursors are kept this way.  Knows nothing of what is in a slot.
"""

from __future__ import annotations

import os
from errno import ENOSPC

from hfp.spool.files import IFile, IFiles
from hfp.spool.format import SLOT_OCTETS, SLOT_OFFSETS, Slot, pack_slot, unpack_slot

#: What a file is called until it is complete.
UNFINISHED = "new-"


class SlotFile:
    """
    One such file, open.

    :param seed: what the slots' CRC starts from.

    :ivar payload: what the newest valid slot holds; None if neither is valid.
    """

    def __init__(self, file: IFile, seed: int) -> None:
        self._file = file
        self._seed = seed
        found = [slot for offset in SLOT_OFFSETS if (slot := self._read(offset)) is not None]
        newest = max(found, default=None)
        self._generation = newest.generation if newest is not None else 0
        self.payload = newest.payload if newest is not None else None

    @classmethod
    def create(cls, files: IFiles, path: str, seed: int, payload: bytes) -> SlotFile:
        """
        Make the file; it is there whole and durable, or not at all.

        :raises OSError: the disk refuses.
        """
        directory, name = os.path.split(path)
        unfinished = os.path.join(directory, UNFINISHED + name)
        try:
            files.unlink(unfinished)
        except FileNotFoundError:
            pass
        file = files.create(unfinished)
        try:
            # Both slots, so that from here on every write finds its room on the disk.
            older, newer = pack_slot(seed, Slot(1, payload)), pack_slot(seed, Slot(2, payload))
            octets = newer.ljust(SLOT_OFFSETS[1], b"\0") + older
            if file.write([octets], 0) != len(octets):
                raise OSError(ENOSPC, os.strerror(ENOSPC), unfinished)
            file.sync()
            files.rename(unfinished, path)
            files.sync_directory(directory)
        except OSError:
            file.close()
            raise
        return cls(file, seed)

    def write(self, payload: bytes) -> None:
        """
        Put *payload* into the slot that is not the newest.

        :raises OSError: the disk refuses; the newest slot is as it was.
        """
        slot = Slot(self._generation + 1, payload)
        octets = pack_slot(self._seed, slot)
        offset = SLOT_OFFSETS[slot.generation % 2]
        if self._file.write([octets], offset) != SLOT_OCTETS:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        self._generation = slot.generation
        self.payload = payload

    def sync(self) -> None:
        """Make what was written survive a power cut.  :raises OSError: the disk refuses."""
        self._file.sync()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _read(self, offset: int) -> Slot | None:
        octets = bytearray(SLOT_OCTETS)
        try:
            length = self._file.read([octets], offset)
        except OSError:
            return None
        return unpack_slot(self._seed, octets) if length == SLOT_OCTETS else None
