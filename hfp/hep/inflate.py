"""
Inflating the compressed payload (chunk 0x10), within bounds: sixty thousand octets can hold sixty million.
"""

from __future__ import annotations

import zlib

from hfp.errors import MalformedPacket

#: Octets that a payload may have when inflated, unless the caller says otherwise.
LARGEST_PAYLOAD = 1 << 20

#: Window of 32 KiB; gzip or zlib, whichever the header shows.
_GZIP_OR_ZLIB = 15 + 32


def inflate(octets: bytes, limit: int = LARGEST_PAYLOAD) -> bytes:
    """
    Undo gzip or zlib.

    :param limit: octets that there may be; no more than this and one are ever made.
    :raises MalformedPacket: ``inflate`` if there would be more, if the data is damaged, cut short or neither gzip nor
        zlib, or if something follows it.

    Source: HEP3 Network Protocol Specification rev. 37, chunk 0x0010 ("gzip/inflate"); captagent sends zlib.
    """
    machine = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        inflated = machine.decompress(octets, limit + 1)
    except zlib.error as error:
        raise MalformedPacket("inflate", f"the compressed payload is damaged: {error}") from None
    if len(inflated) > limit:
        raise MalformedPacket("inflate", f"the compressed payload has more than {limit} octets when inflated")
    if not machine.eof:
        raise MalformedPacket("inflate", "the compressed payload is cut short")
    if machine.unused_data:
        raise MalformedPacket("inflate", f"{len(machine.unused_data)} octets follow the compressed payload")
    return inflated
