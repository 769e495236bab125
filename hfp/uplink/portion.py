"""
Of what was read from the log, what a connection can take that only takes HEP3.
"""

from __future__ import annotations

from operator import itemgetter

from attrs import frozen

from hfp.batch import is_datagrams, unpack_datagrams
from hfp.spool import Chunk

_first = itemgetter(0)


@frozen
class Portion:
    """
    :param pieces: batches of HEP3.
    :param octets: in them.
    :param packets: in them.
    :param left_out: of each batch that is none: packets, octets, and octets of the log up to its end.
    """

    pieces: list[memoryview]
    octets: int
    packets: int
    left_out: tuple[tuple[int, int, int], ...] = ()


def hep3_of(chunk: Chunk) -> Portion:
    """What of a chunk is HEP3.  Once per chunk; a batch costs 25 ns, as long as all are HEP3."""
    if 0 not in map(_first, chunk.pieces):  # how a batch of datagrams starts, and HEP3 never does
        return Portion(chunk.pieces, chunk.octets, chunk.packets)
    pieces = []
    left_out = []
    at = chunk.start.octets
    for piece in chunk.pieces:
        at += len(piece)
        if is_datagrams(piece):
            left_out.append((sum(1 for _ in unpack_datagrams(piece)), len(piece), at))
        else:
            pieces.append(piece)
    return Portion(
        pieces,
        sum(map(len, pieces)),
        chunk.packets - sum(packets for packets, _, _ in left_out),
        tuple(left_out),
    )
