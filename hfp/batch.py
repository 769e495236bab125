"""
The two forms of a batch: whole HEP3 packets one after the other, which is what nearly all are, and datagrams that are
no HEP3 (HEP1 and HEP2 with ``--convert off``), which have no length of their own and so get one here.

A batch never mixes the two.  The spool keeps both as opaque octets; `hfp.intake` packs, `hfp.uplink` unpacks or passes
over.

======  =====  ==========================================================
offset  size   batch of datagrams (all integers big-endian)
======  =====  ==========================================================
0       4      ``00`` and ``DGM``: never the start of a HEP3 packet
4       rest   for each datagram: 2 length in octets, then the datagram
======  =====  ==========================================================
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

_MAGIC = b"\0DGM"
_LENGTH = struct.Struct(">H")


def pack_datagrams(datagrams: Iterable[bytes]) -> bytes:
    """
    One batch of datagrams.

    :param datagrams: of 0 to 65535 octets each.
    """
    parts = [_MAGIC]
    for datagram in datagrams:
        parts += (_LENGTH.pack(len(datagram)), datagram)
    return b"".join(parts)


def is_datagrams(piece: bytes | bytearray | memoryview) -> bool:
    """Whether a batch is one of datagrams; asked once per batch."""
    return piece[:4] == _MAGIC


def unpack_datagrams(piece: bytes | bytearray | memoryview) -> Iterator[memoryview]:
    """The datagrams of a batch, in order."""
    view = memoryview(piece)
    at = len(_MAGIC)
    while at < len(view):
        (length,) = _LENGTH.unpack_from(view, at)
        at += _LENGTH.size
        yield view[at : at + length]
        at += length
