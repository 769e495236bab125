"""
The spool's formats on disk, as pure functions on octets.  Files, syncing and policy live elsewhere.

All integers are little-endian.  Every CRC is ``zlib.crc32`` and starts from a seed instead of 0, so that what belongs
to another spool, or to an earlier use of a recycled segment file, never validates.

A *segment* file, ``seg-NNNNNNNNNNNNNNNN`` (its number in hexadecimal), is a header, then records without gaps.

======  =====  ================================================================================
offset  size   segment header
======  =====  ================================================================================
0       8      magic ``hfp-seg\\n``
8       4      CRC of octets 12..63, seed 0
12      4      version, 1
16      16     spool id
32      8      segment number; differs from the file's name in a recycled file not begun yet
40      8      packets appended to the spool before this segment
48      8      octets appended to the spool before this segment
56      8      when the segment was begun, Unix time in ns
======  =====  ================================================================================

======  =====  ================================================================================
offset  size   record
======  =====  ================================================================================
0       4      magic ``9D 68 66 70``, only there to find a record again after damage
4       4      CRC of the body, seeded with the next field: so it covers the header as well
8       4      CRC of octets 12..47, seeded with `segment_seed`
12      4      length of the body in octets, at most `MOST_BODY_OCTETS`
16      4      packets in the body
20      4      flags: 1 for END
24      8      packets appended to the spool before this record
32      8      octets appended to the spool before this record
40      8      when the newest packet in it was received, Unix time in ns
48      rest   body: a batch, opaque
======  =====  ================================================================================

An END record has no body and closes its segment: the log goes on in the next one, and what follows in the file is what
a recycled file held before.  A header that validates beside a body that does not is a torn or damaged record whose
length can still be trusted.  A header that does not validate is the end of what was written (a torn tail, or old
content) unless a header that does follows somewhere behind it in the same segment: then it is damage.

The *identity* and each *cursor* (``cur-`` and 16 hexadecimal digits of the SHA-256 of its name) are files of two slots,
at octets 0 and 4096, written in turn.  The newest slot that validates counts.

======  =====  ================================================================================
offset  size   slot, 512 octets, padded with zeros
======  =====  ================================================================================
0       8      magic ``hfp-slt\\n``
8       4      CRC of octets 12..23 and of the payload; seed 0 for the identity, `cursor_seed` for a cursor
12      4      length of the payload
16      8      generation: 1, 2, 3, ...
24      rest   payload

               * identity: 4 version, 4 life (how often the spool was opened before), 16 spool id,
                 8 when the spool was made, Unix time in ns
               * cursor: 8 segment, 8 offset, 8 packets, 8 octets (see `Position`), then the name in UTF-8
======  =====  ================================================================================

Segment numbers are ``life << 32`` plus 1, 2, 3, ...: a number is never used again, not even when a power cut took every
trace of the segments that had it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from hfp.spool.files import Buffer
from hfp.spool.position import Position

VERSION = 1

SEGMENT_MAGIC = b"hfp-seg\n"
RECORD_MAGIC = b"\x9dhfp"
SLOT_MAGIC = b"hfp-slt\n"

#: Octets of a segment's header: where its first record starts.
SEGMENT_OCTETS = 64
#: Octets of a record's header.
RECORD_OCTETS = 48
#: The longest body that is ever written; a record that claims more is damaged.
MOST_BODY_OCTETS = 1024 * 1024

#: Segments that one life may begin, less one.
LIFE_BITS = 32

SLOT_OCTETS = 512
SLOT_OFFSETS = (0, 4096)
#: Octets that a cursor's name may take.
MOST_NAME_OCTETS = 400

FLAG_END = 1

_SEGMENT = struct.Struct(
    "<"
    "8s"  # magic
    "I"  # CRC
    "I"  # version
    "16s"  # spool id
    "Q"  # number
    "Q"  # packets before
    "Q"  # octets before
    "Q"  # begun, ns
)
_SEGMENT_COVERED = 12

_PREFIX = struct.Struct(
    "<"
    "4s"  # magic
    "I"  # CRC of header and body
    "I"  # CRC of the fields
)
_FIELDS = struct.Struct(
    "<"
    "I"  # length
    "I"  # packets
    "I"  # flags
    "Q"  # packets before
    "Q"  # octets before
    "Q"  # received, ns
)
_RECORD = struct.Struct("<" + _PREFIX.format[1:] + _FIELDS.format[1:])
_RECORD_COVERED = _PREFIX.size

_SLOT = struct.Struct(
    "<"
    "8s"  # magic
    "I"  # CRC
    "I"  # length of the payload
    "Q"  # generation
)
_SLOT_COVERED = 12

_IDENTITY = struct.Struct(
    "<"
    "I"  # version
    "I"  # life
    "16s"  # spool id
    "Q"  # made, ns
)
_CURSOR = struct.Struct(
    "<"
    "Q"  # segment
    "Q"  # offset
    "Q"  # packets
    "Q"  # octets
)


# Segments


class SegmentHeader(NamedTuple):
    """What a segment says of itself; see the table above."""

    spool_id: bytes
    number: int
    packets: int
    octets: int
    begun_ns: int


def pack_segment(header: SegmentHeader) -> bytes:
    """The `SEGMENT_OCTETS` octets of *header*."""
    covered = _SEGMENT.pack(SEGMENT_MAGIC, 0, VERSION, *header)[_SEGMENT_COVERED:]
    return SEGMENT_MAGIC + crc32(covered).to_bytes(4, "little") + covered


def unpack_segment(octets: Buffer) -> SegmentHeader | None:
    """:returns: None if *octets* do not start with a valid header."""
    if len(octets) < SEGMENT_OCTETS:
        return None
    magic, crc, version, *fields = _SEGMENT.unpack_from(octets)
    if magic != SEGMENT_MAGIC or version != VERSION or crc32(octets[_SEGMENT_COVERED:SEGMENT_OCTETS]) != crc:
        return None
    return SegmentHeader(*fields)


def segment_seed(spool_id: bytes, number: int) -> int:
    """What the CRC of every record of a segment starts from.  Two numbers less than 2**32 apart never share one."""
    return crc32(spool_id + number.to_bytes(8, "little"))


# Records


class RecordHeader(NamedTuple):
    """A record's header that has validated; see the table above."""

    magic: bytes
    crc: int
    header_crc: int
    length: int
    packets: int
    flags: int
    packets_before: int
    octets_before: int
    received_ns: int


def seal(
    seed: int, pieces: Sequence[Buffer], octets: int, packets: int, flags: int, before: Position, received_ns: int
) -> bytes:
    """
    Hot, once per batch.  The header of the record whose body is *pieces*.

    :param seed: see `segment_seed`.
    :param octets: length of all pieces.
    :param before: where the record will stand; only its counters go into the header.
    """
    fields = _FIELDS.pack(octets, packets, flags, before[2], before[3], received_ns)
    crc = header_crc = crc32(fields, seed)
    for piece in pieces:
        crc = crc32(piece, crc)
    return _PREFIX.pack(RECORD_MAGIC, crc, header_crc) + fields


def unseal(octets: Buffer, at: int, seed: int) -> RecordHeader | None:
    """
    Hot, once per record read.  The record header at *at*, of which all octets are there.

    :returns: None if it does not validate.
    """
    header = RecordHeader._make(_RECORD.unpack_from(octets, at))
    if (
        header.magic != RECORD_MAGIC
        or crc32(octets[at + _RECORD_COVERED : at + RECORD_OCTETS], seed) != header.header_crc
        or header.length > MOST_BODY_OCTETS
    ):
        return None
    return header


def sound(header: RecordHeader, body: Buffer) -> bool:
    """Hot, once per record read.  Whether *body* is the one that *header* was sealed with."""
    return crc32(body, header.header_crc) == header.crc


def end_record(seed: int, before: Position) -> bytes:
    """The END record that stands at *before*."""
    return seal(seed, (), 0, 0, FLAG_END, before, 0)


# Slots


class Slot(NamedTuple):
    """A slot that has validated."""

    generation: int
    payload: bytes


def pack_slot(seed: int, slot: Slot) -> bytes:
    """The `SLOT_OCTETS` octets of *slot*."""
    covered = _SLOT.pack(SLOT_MAGIC, 0, len(slot.payload), slot.generation)[_SLOT_COVERED:] + slot.payload
    return (SLOT_MAGIC + crc32(covered, seed).to_bytes(4, "little") + covered).ljust(SLOT_OCTETS, b"\0")


def unpack_slot(seed: int, octets: Buffer) -> Slot | None:
    """:returns: None if *octets* are not a valid slot."""
    if len(octets) < SLOT_OCTETS:
        return None
    magic, crc, length, generation = _SLOT.unpack_from(octets)
    end = _SLOT.size + length
    if magic != SLOT_MAGIC or end > SLOT_OCTETS or crc32(octets[_SLOT_COVERED:end], seed) != crc:
        return None
    return Slot(generation, bytes(octets[_SLOT.size : end]))


class Identity(NamedTuple):
    """What makes a directory one spool, and not another."""

    version: int
    life: int
    spool_id: bytes
    made_ns: int


def pack_identity(identity: Identity) -> bytes:
    """The payload of *identity*'s slot."""
    return _IDENTITY.pack(*identity)


def unpack_identity(payload: bytes) -> Identity | None:
    """:returns: None if *payload* is of a size that no version has."""
    return Identity._make(_IDENTITY.unpack(payload[: _IDENTITY.size])) if len(payload) >= _IDENTITY.size else None


def cursor_seed(spool_id: bytes) -> int:
    """What the CRC of every cursor's slot starts from."""
    return crc32(spool_id)


def pack_cursor(name: str, position: Position) -> bytes:
    """The payload of a cursor's slot."""
    return _CURSOR.pack(*position) + name.encode("utf-8")


def unpack_cursor(payload: bytes) -> tuple[str, Position] | None:
    """:returns: None if *payload* cannot be a cursor's."""
    try:
        return payload[_CURSOR.size :].decode("utf-8"), Position._make(_CURSOR.unpack_from(payload))
    except (UnicodeDecodeError, struct.error):
        return None
