"""
Where the chunks of a packet stand, known from the packets before it.

A sender writes its chunks in one order, and nearly all of them have a fixed width: so the first ten or so are in the
same places in all of its packets.  A `Layout` is those places; one look at a packet's chunk headers tells whether it
has the same (0.2 µs; walking to the tenth chunk takes 1.5 µs).  What comes after them is walked to.

Called by `hfp.filters.chain`.  Decides nothing: where no layout fits, packets are walked, with the same result.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from hfp.hep import SMALLEST_PACKET, Chunk

#: Vendor and type as one number, and the length.
_CHUNK = struct.Struct(">IH")

_NUMBER_SIZE = 4

#: Chunks with these types have the width that the specification gives them, or the packet has no layout.
_WIDTHS = {int(chunk): chunk.width for chunk in Chunk if chunk.width is not None}

_FAMILY = int(Chunk.FAMILY)
_SOURCES = {2: int(Chunk.SOURCE_IPV4), 10: int(Chunk.SOURCE_IPV6)}
_DESTINATIONS = {2: int(Chunk.DESTINATION_IPV4), 10: int(Chunk.DESTINATION_IPV6)}

#: Octets of a packet by which its layout is looked up: the header of the first chunk, its octet, the header of the
#: second, its octet, the header of the third.
_SIGN = slice(SMALLEST_PACKET, SMALLEST_PACKET + 20)

#: Layouts that are kept.  A relay's senders have a handful; what makes up more is a stranger.
MOST_LAYOUTS = 64

#: Layouts with the same sign that are kept: each costs a look.
_MOST_ALIKE = 8

#: Chunks of a layout: more than the specification has of a fixed width.
_MOST_CHUNKS = 24

#: Packets that must have come since the layouts were last forgotten before they are forgotten again: strangers cannot
#: make it spend its time on learning.
_PATIENCE = 10_000

_Headers = tuple[bytes, ...]


class Layout:
    """
    The places of the chunks up to the first that may have any width, which there must be.

    :param headers: for each chunk its header; that of the family has the family behind it; at last vendor and type of
        the chunk that follows, or a layout would also fit packets with more chunks of a fixed width.
    :param widths: the octets behind each header.

    :ivar places: by vendor and type, where the first such chunk's payload is.
    :ivar end: where the chunk after them begins.
    :ivar source: where the source address is; None if that takes a search.
    :ivar destination: likewise.
    :ivar protocol_type: the place of that octet; -1 if that takes a search.
    """

    __slots__ = ("destination", "end", "headers", "places", "protocol_type", "source", "unpack")

    def __init__(self, headers: _Headers, widths: tuple[int, ...]) -> None:
        self.headers = headers
        form = [f"{SMALLEST_PACKET}x"]
        places: dict[int, slice] = {}
        family = 0
        at = SMALLEST_PACKET
        for header, width in zip(headers, widths, strict=True):
            form.append(f"{len(header)}s{width}x")
            if len(header) < _CHUNK.size:
                break
            number, length = _CHUNK.unpack_from(header)
            if number not in places:
                places[number] = slice(at + _CHUNK.size, at + length)
                if number == _FAMILY:
                    family = header[-1]
            at += length
        self.unpack = struct.Struct("".join(form)).unpack_from
        self.places: Mapping[int, slice] = places
        self.end = at
        self.source = places.get(_SOURCES.get(family, -1))
        self.destination = places.get(_DESTINATIONS.get(family, -1))
        self.protocol_type = places[Chunk.PROTOCOL_TYPE].start if Chunk.PROTOCOL_TYPE in places else -1

    def fits(self, octets: bytes | bytearray | memoryview) -> bool:
        """Whether a packet has this layout."""
        try:
            return bool(self.unpack(octets) == self.headers)
        except struct.error:
            return False


#: Of a packet that nothing is known about.
UNKNOWN = Layout((), ())
UNKNOWN.end = 0  # not even the header was looked at


class Layouts:
    """The layouts that were seen lately: `MOST_LAYOUTS` at most."""

    def __init__(self) -> None:
        self._known: dict[bytes, list[Layout]] = {}
        self._count = 0
        self._patience = 0

    def __len__(self) -> int:
        return self._count

    def each(self, packets: list[bytes]) -> list[Layout]:
        """
        Hot, once per read: the layout of each packet, `UNKNOWN` where there is none.

        :param packets: each with the length that its header states.
        """
        layouts: list[Layout] = []
        add = layouts.append
        layout = UNKNOWN
        unpack: Any = layout.unpack
        headers: Any = None
        for octets in packets:
            # Most packets are laid out as the one before them.
            try:
                if unpack(octets) == headers:
                    add(layout)
                    continue
            except struct.error:
                pass
            found = self._find(octets)
            if found is not UNKNOWN:
                layout, unpack, headers = found, found.unpack, found.headers
            add(found)
        self._patience -= len(packets)
        return layouts

    def _find(self, octets: bytes) -> Layout:
        sign = octets[_SIGN]
        alike = self._known.get(sign, [])
        for layout in alike:
            if layout.fits(octets):
                return layout
        if self._count >= MOST_LAYOUTS or len(alike) >= _MOST_ALIKE:
            if self._patience > 0:
                return UNKNOWN
            self._known.clear()
            self._count = 0
            self._patience = _PATIENCE
        layout = _learn(octets)
        if layout is not UNKNOWN:
            self._known.setdefault(sign, []).append(layout)
            self._count += 1
        return layout


def _learn(octets: bytes) -> Layout:
    """The layout of a packet; `UNKNOWN` if it begins with a chunk of any width, or has none."""
    headers: list[bytes] = []
    widths: list[int] = []
    at = SMALLEST_PACKET
    while at + _CHUNK.size <= len(octets) and len(headers) < _MOST_CHUNKS:
        number, length = _CHUNK.unpack_from(octets, at)
        width = _WIDTHS.get(number)
        if width is None or length != _CHUNK.size + width or at + length > len(octets):
            break
        told = 1 if number == _FAMILY else 0
        headers.append(octets[at : at + _CHUNK.size + told])
        widths.append(width - told)
        at += length
    following = octets[at : at + _NUMBER_SIZE]
    if not headers or len(following) < _NUMBER_SIZE:
        return UNKNOWN
    return Layout((*headers, following), (*widths, 0))
