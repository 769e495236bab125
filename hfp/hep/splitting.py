"""
The packets of a buffer that holds nothing but whole ones, such as the framing hands on.
"""

from __future__ import annotations

from collections.abc import Iterator

from hfp.hep.wire import HEADER, SMALLEST_PACKET


def split(packets: bytes | bytearray | memoryview) -> Iterator[memoryview]:
    """
    Hot where each packet is handled by itself: the packets, one after the other.

    :param packets: whole HEP3 packets without gaps.
    :returns: a view of each; the last one is shorter than it states if the buffer ends too early, and where a packet
        states an impossible length, the rest is given in one piece.
    """
    view = memoryview(packets)
    unpack = HEADER.unpack_from
    at = 0
    end = len(view)
    while end - at >= SMALLEST_PACKET:
        length = unpack(view, at)[1]
        if length < SMALLEST_PACKET:
            break
        yield view[at : at + length]
        at += length
    if at < end:
        yield view[at:]
