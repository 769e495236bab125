"""
One HEP3 packet: building it from chunks, and looking into it.

`Packet` takes nothing apart before it is asked: a packet that nobody looks into costs nothing but its octets.  It has
no idea of where packets come from; `hfp.hep.framing` finds them in streams, `hfp.hep.datagram` makes them of datagrams.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from hfp.errors import MalformedPacket
from hfp.hep.chunks import Chunk
from hfp.hep.fields import Fields, written
from hfp.hep.inflate import inflate
from hfp.hep.wire import CHUNK_HEADER, EEP3_NUMBER, HEADER, HEP3, HEP3_NUMBER, LARGEST_PACKET, SMALLEST_PACKET

#: A chunk: vendor id, type id, payload.
RawChunk = tuple[int, int, bytes]

#: Vendor and type as one number, and the length: saves one comparison per chunk.
_CHUNK = struct.Struct(">IH")

_PAYLOAD = int(Chunk.PAYLOAD)
_COMPRESSED_PAYLOAD = int(Chunk.COMPRESSED_PAYLOAD)


def build(chunks: Iterable[RawChunk], identity: bytes = HEP3) -> bytes:
    """
    One HEP3 packet.

    :param chunks: (vendor id, type id, payload) in the order in which they shall stand.
    :param identity: the first four octets, ``HEP3`` or ``EEP3``.
    :raises ValueError: if the packet would exceed 65535 octets, or an id its 16 bits.

    Source: HEP3 Network Protocol Specification rev. 37, sections "Header" and "Chunk".
    """
    parts = [identity, b""]
    length = HEADER.size
    for vendor, kind, payload in chunks:
        size = CHUNK_HEADER.size + len(payload)
        length += size
        if length > LARGEST_PACKET:
            raise ValueError(f"a HEP3 packet has at most {LARGEST_PACKET} octets, this one would have {length} or more")
        try:
            parts += (CHUNK_HEADER.pack(vendor, kind, size), payload)
        except struct.error:
            raise ValueError(f"vendor {vendor} or type {kind} does not fit into 16 bits") from None
    parts[1] = length.to_bytes(2, "big")
    return b"".join(parts)


class Packet(Fields):
    """
    A view of one HEP3 or EEP3 packet, lazy and unchanging; its attributes are listed in `hfp.hep.fields.Fields`.

    Chunks are walked as far as the search for one has to go, and never twice.  So what is malformed is noticed when the
    search comes to it: then whatever was asked for raises `MalformedPacket` with the kind ``other`` (no HEP3),
    ``truncated`` or ``length`` (the header states more or fewer octets than there are), ``chunk`` (a chunk is shorter
    than its own header, reaches past the end, or has a payload of the wrong width) or ``inflate``; and nothing else.

    :param octets: the whole packet; copied unless it is ``bytes``.
    :ivar octets: the whole packet.
    """

    __slots__ = ("_inflated", "_places", "_reached", "octets")

    def __init__(self, octets: bytes | bytearray | memoryview) -> None:
        self.octets = octets if type(octets) is bytes else bytes(octets)
        self._places: dict[int, int] = {}  # where the first chunk of each vendor and type begins
        self._reached = 0  # how far the walk has come; 0: not even the header was looked at
        self._inflated: bytes | None = None

    def __eq__(self, other: object) -> bool:
        return self.octets == other.octets if isinstance(other, Packet) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.octets)

    def __repr__(self) -> str:
        return f"<Packet of {len(self.octets)} octets>"  # no contents: they may be secret

    def get(self, kind: int, vendor: int = 0) -> bytes | None:
        """
        The payload of the first chunk of a type.

        Hot: filters call it for every packet.

        :returns: None if there is no such chunk.
        :raises MalformedPacket: if the chunks up to this one are not well-formed.
        """
        octets = self.octets
        number = vendor << 16 | kind
        places = self._places
        unpack = _CHUNK.unpack_from
        stop = places.get(number)
        if stop is not None:
            return octets[stop + 6 : stop + unpack(octets, stop)[1]]
        end = len(octets)
        stop = self._reached
        try:
            if not stop:
                # What `_begin` does; calling it would take as long as two chunks.
                found, length = unpack(octets)
                if length != end or (found != HEP3_NUMBER and found != EEP3_NUMBER):
                    self._begin()
                stop = SMALLEST_PACKET
            while stop < end:
                found, length = unpack(octets, stop)
                if length < 6:
                    raise self._malformed(stop)
                if found not in places:
                    places[found] = stop
                    if found == number:
                        start = stop
                        stop += length
                        if stop > end:
                            raise self._malformed(start)
                        self._reached = stop
                        return octets[start + 6 : stop]
                stop += length
        except struct.error:  # fewer than six octets are left
            self._begin()
            raise self._malformed(stop) from None
        if stop > end:
            self._spans()  # raises, and knows which chunk it was
        self._reached = stop
        return None

    def all(self, kind: int, vendor: int = 0) -> list[bytes]:
        """
        The payloads of all chunks of a type, in their order.

        :raises MalformedPacket: if any chunk is not well-formed.
        """
        number = vendor << 16 | kind
        return [self.octets[start + 6 : stop] for found, start, stop in self._spans() if found == number]

    @property
    def chunks(self) -> list[RawChunk]:
        """
        Every chunk, vendor's and unknown ones too, in order: `build` of them gives the same octets.

        :raises MalformedPacket: if any chunk is not well-formed.
        """
        octets = self.octets
        return [(found >> 16, found & 0xFFFF, octets[start + 6 : stop]) for found, start, stop in self._spans()]

    @property
    def payload(self) -> bytes | None:
        """
        What was captured: chunk 0x0f, or chunk 0x10 inflated (to 1 MiB at most); None if there is neither.

        :raises MalformedPacket: ``inflate`` if it is compressed and damaged, or larger when inflated.
        """
        payload = self.get(_PAYLOAD)
        if payload is None:
            payload = self._inflated
            if payload is None:
                compressed = self.get(_COMPRESSED_PAYLOAD)
                if compressed is not None:
                    payload = self._inflated = inflate(compressed)
        return payload

    def replace(self, **fields: int | str | bytes) -> Packet:
        """
        Another packet in which some fields say something else: ``packet.replace(agent_id=5)``.

        As `with_chunks`; and a ``payload`` takes the place of a compressed one.  An address is written into the chunk
        of its own family, whatever family the packet has.

        :raises MalformedPacket: ``too-big`` if it would exceed 65535 octets; or if this packet is not well-formed.
        :raises TypeError: if there is no such field, or the value has the wrong type.
        :raises ValueError: if a number does not fit, or an address is none.
        """
        new = written(fields)
        if _PAYLOAD in new and self.get(_PAYLOAD) is None:
            return self._edited({_COMPRESSED_PAYLOAD: (_PAYLOAD, new.pop(_PAYLOAD)), **_same(new)})
        return self._edited(_same(new), {_COMPRESSED_PAYLOAD} if _PAYLOAD in new else ())

    def with_chunks(self, chunks: Iterable[RawChunk]) -> Packet:
        """
        Another packet in which each of *chunks* is the only one of its vendor and type: it takes the place of the first
        that was there, further ones are left out, and what was not there is appended.  All else stays, in its order.

        :raises MalformedPacket: ``too-big`` if it would exceed 65535 octets; or if this packet is not well-formed.
        """
        return self._edited(_same({vendor << 16 | kind: payload for vendor, kind, payload in chunks}))

    def without(self, *kinds: int, vendor: int = 0) -> Packet:
        """
        Another packet in which all chunks of some types are left out.

        :raises MalformedPacket: if this packet is not well-formed.
        """
        return self._edited({}, {vendor << 16 | kind for kind in kinds})

    def _begin(self) -> int:
        """Look at the header; gives where the chunks begin."""
        size = len(self.octets)
        if size < SMALLEST_PACKET:
            raise MalformedPacket("truncated", f"{size} octets are not a whole HEP3 header")
        number, length = HEADER.unpack_from(self.octets)
        if number != HEP3_NUMBER and number != EEP3_NUMBER:
            raise MalformedPacket("other", "it does not begin with HEP3 or EEP3")
        if length != size:
            raise MalformedPacket(
                "length" if length < size else "truncated", f"the header states {length} octets, there are {size}"
            )
        return SMALLEST_PACKET

    def _spans(self) -> list[tuple[int, int, int]]:
        """Vendor and type, start, and end of every chunk."""
        octets = self.octets
        end = len(octets)
        unpack = _CHUNK.unpack_from
        start = stop = self._begin()
        spans = []
        try:
            while stop < end:
                start = stop
                found, length = unpack(octets, start)
                if length < 6:
                    raise self._malformed(start)
                stop += length
                spans.append((found, start, stop))
        except struct.error:
            raise self._malformed(start) from None
        if stop > end:
            raise self._malformed(start)
        return spans

    def _malformed(self, start: int) -> MalformedPacket:
        self._places = {number: place for number, place in self._places.items() if place != start}
        rest = len(self.octets) - start
        if rest < CHUNK_HEADER.size:
            return MalformedPacket("chunk", f"{rest} octets behind the last chunk, at offset {start}")
        length = CHUNK_HEADER.unpack_from(self.octets, start)[2]
        return MalformedPacket("chunk", f"the chunk at offset {start} has a length of {length}, {rest} octets are left")

    def _edited(self, new: dict[int, tuple[int, bytes]], gone: Iterable[int] = ()) -> Packet:
        """
        Another packet.

        :param new: for each vendor and type to be replaced, its successor and the payload.
        :param gone: vendors and types to be left out.
        """
        octets = self.octets
        parts = []
        kept = SMALLEST_PACKET
        wanted = {*new, *gone}
        for number, start, stop in self._spans():
            if number in wanted:
                parts.append(octets[kept:start])
                kept = stop
                if number in new:
                    parts += _chunk(*new.pop(number))
        parts.append(octets[kept:])
        for successor, payload in new.values():
            parts += _chunk(successor, payload)
        length = SMALLEST_PACKET + sum(map(len, parts))
        if length > LARGEST_PACKET:
            raise _too_big(length)
        return Packet(octets[:4] + length.to_bytes(2, "big") + b"".join(parts))


def _same(new: dict[int, bytes]) -> dict[int, tuple[int, bytes]]:
    return {number: (number, payload) for number, payload in new.items()}


def _chunk(number: int, payload: bytes) -> tuple[bytes, bytes]:
    length = CHUNK_HEADER.size + len(payload)
    if length > LARGEST_PACKET:
        raise _too_big(length)
    return _CHUNK.pack(number, length), payload


def _too_big(length: int) -> MalformedPacket:
    return MalformedPacket("too-big", f"it would have {length} octets, and {LARGEST_PACKET} is the most")
