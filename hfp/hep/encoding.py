"""
A packet from values, for whoever makes HEP: tests, the demonstration, a greeting, an agent.
"""

from __future__ import annotations

from collections.abc import Iterable

from hfp.hep.chunks import Chunk
from hfp.hep.fields import IPV6_FAMILY, written
from hfp.hep.packet import RawChunk, build
from hfp.hep.wire import HEP3

_IPV4_FAMILY = 2
_LAST = (Chunk.PAYLOAD, Chunk.COMPRESSED_PAYLOAD)


def encode(*, chunks: Iterable[RawChunk] = (), identity: bytes = HEP3, **fields: int | str | bytes) -> bytes:
    """
    One HEP3 packet: ``encode(source_address="192.0.2.1", source_port=5060, payload=b"...")``.

    :param chunks: (vendor id, type id, payload) of chunks to stand behind all others.
    :param identity: the first four octets, ``HEP3`` or ``EEP3``.
    :param fields: any of `hfp.hep.fields.FIELDS`.  The family follows from the addresses unless it is given.
    :returns: the packet, its chunks in the order of their types, the payload after them.
    :raises TypeError: if there is no such field, or the value has the wrong type.
    :raises ValueError: if a number does not fit, an address is none, or the packet would exceed 65535 octets.
    """
    types = written(fields)
    if Chunk.FAMILY not in types:
        if Chunk.SOURCE_IPV6 in types or Chunk.DESTINATION_IPV6 in types:
            types[Chunk.FAMILY] = bytes([IPV6_FAMILY])
        elif Chunk.SOURCE_IPV4 in types or Chunk.DESTINATION_IPV4 in types:
            types[Chunk.FAMILY] = bytes([_IPV4_FAMILY])
    ordered = sorted(types, key=lambda kind: (kind in _LAST, kind))
    return build([*((0, kind, types[kind]) for kind in ordered), *chunks], identity)
