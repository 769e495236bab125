"""
A file in memory: what a segment is written to while the disk refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from hfp.spool.files import Buffer, IFile


@implementer(IFile)
class MemoryFile:
    """As long as the process lives, and no longer.  It only ever grows at its end."""

    __slots__ = ("_octets",)

    def __init__(self) -> None:
        self._octets = bytearray()

    def read(self, buffers: Sequence[bytearray | memoryview], offset: int) -> int:
        start = offset
        for buffer in buffers:
            # A copy, not a view: a bytearray with a view on it cannot grow.
            found = self._octets[offset : offset + len(buffer)]
            buffer[: len(found)] = found
            offset += len(found)
        return offset - start

    def write(self, buffers: Sequence[Buffer], offset: int) -> int:
        octets = self._octets
        del octets[offset:]
        for buffer in buffers:
            octets += buffer
        return len(octets) - offset

    def size(self) -> int:
        return len(self._octets)

    def sync(self) -> None:
        """Nothing makes memory durable; nobody counts a segment in memory as such."""

    def close(self) -> None:
        self._octets = bytearray()
