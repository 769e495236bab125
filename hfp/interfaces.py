"""
The interfaces between rooms, written as manual pages.
"""

from __future__ import annotations

from zope.interface import Interface

__all__ = ["IBatchSink"]


class IBatchSink(Interface):
    """Takes batches of whole packets: what stands behind the listeners."""

    def take(pieces: list[bytes | bytearray | memoryview], packets: int) -> None:
        """
        Take one batch.

        Called by the intake in the reactor thread, once per coalesced read (up to a few thousand times a second),
        never per packet.  Must not block.  May pause the intake, but has taken this batch even so.

        :param pieces: buffers of one or more whole packets each, in order; they never change later and may be kept.
        :param packets: how many packets they hold, 1 or more.
        """
