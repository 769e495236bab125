"""
Showing what was read to the screens, where there are any.
"""

from __future__ import annotations

from collections.abc import Sequence

from hfp.interfaces import IScreen, Sender


def screened(
    screens: Sequence[IScreen], pieces: list[bytes | bytearray | memoryview], packets: int, sender: Sender
) -> tuple[list[bytes | bytearray | memoryview], int]:
    """
    What each of the screens, one after the other, lets pass.

    :param screens: one or more.
    :param pieces: as for `IScreen.screen`.
    :param packets: likewise; with 0 no screen is asked.
    """
    for screen in screens:
        if not packets:
            break
        pieces, packets = screen.screen(pieces, packets, sender)
    return pieces, packets
