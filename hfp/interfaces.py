"""
The interfaces between rooms, written as manual pages.
"""

from __future__ import annotations

from attrs import frozen
from zope.interface import Interface

__all__ = ["IBatchSink", "IScreen", "Sender"]


@frozen
class Sender:
    """
    Who sent a packet.

    :param transport: ``tcp``, ``tls`` or ``udp``.
    :param host: the peer's IP address, IPv6 without brackets, an IPv4 address that came in over IPv6 as plain IPv4.
    :param port: the peer's port.
    """

    transport: str
    host: str
    port: int


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


class IScreen(Interface):
    """Looks at each sender's packets before they become part of a batch, and holds back what must not go on."""

    def screen(
        pieces: list[bytes | bytearray | memoryview], packets: int, sender: Sender
    ) -> tuple[list[bytes | bytearray | memoryview], int]:
        """
        Look at what one read of one sender brought.

        Called by the intake in the reactor thread, once per read, before the packets join the batch; not called at all
        where no screen is configured.  Must not block and must not raise.

        :param pieces: buffers of one or more whole HEP3 packets each, in order; they never change later.
        :param packets: how many packets they hold, 1 or more.
        :returns: the pieces that go on and the number of packets in them (both may be empty, 0); the same objects when
            nothing is held back.
        """
