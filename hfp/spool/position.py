"""
A place in the spool's log.  Knows nothing of files: the log and its readers give positions their meaning.
"""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """
    Where a record starts (or where the next one will).  Positions of one spool order as the log does.

    :param segment: sequence number of the segment, from 1.
    :param offset: octets from the start of that segment's file to the record's header.
    :param packets: packets that were appended to this spool before this position, ever.
    :param octets: octets of packets that were appended before this position, ever (record headers not counted).
    """

    segment: int
    offset: int
    packets: int
    octets: int

    @property
    def counters(self) -> tuple[int, int]:
        """Packets and octets before it."""
        return self.packets, self.octets
