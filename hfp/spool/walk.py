"""
Going through the records of one segment: `stretch`, a pure function on octets, and `Walker`, which feeds it from a file
and finds its way around damage.

Readers go on from segment to segment with it, the start reads the last segment with it.  It never returns a record
that does not validate.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from hfp.spool.files import IFile
from hfp.spool.format import FLAG_END, RECORD_MAGIC, RECORD_OCTETS, sound, unseal

#: Octets looked through at a time for the next record behind damage.
_WINDOW_OCTETS = 1024 * 1024

#: Records in one stretch at most: as many buffers go into one ``sendmsg`` (IOV_MAX is 1024).
MOST_PIECES = 1000


class Why(Enum):
    """Why a stretch goes no further."""

    MORE = auto()  #: the next record is not all there
    FULL = auto()  #: as many records as asked for
    END = auto()  #: the segment ends here
    GAP = auto()  #: the next record is valid, but not the one that follows
    HEADER = auto()  #: the next header does not validate
    BODY = auto()  #: the next header does, its body does not


class Stretch(NamedTuple):
    """
    Records that follow each other without a gap.

    :param pieces: their bodies; none if ``why`` applies to the first one.
    :param packets_before: counter of the spool at the first one; without any, of the next header if it is valid.
    :param octets_before: likewise.
    :param packets: in all of them.
    :param octets: in all of them.
    :param received_ns: of the first one.
    :param length: octets of the records, headers included.
    :param next_octets: of the next record, header included, if its header is valid; else of a header.
    """

    why: Why
    pieces: list[memoryview]
    packets_before: int
    octets_before: int
    packets: int
    octets: int
    received_ns: int
    length: int
    next_octets: int


def stretch(view: memoryview, seed: int) -> Stretch:
    """
    Hot, once per read from the disk; the loop's body once per record.

    :param view: octets of a segment, from the start of a record on.
    :param seed: the segment's.
    """
    pieces: list[memoryview] = []
    size = len(view)
    at = packets = octets = received_ns = 0
    first_packets = first_octets = -1
    next_octets = RECORD_OCTETS
    while True:
        if at + RECORD_OCTETS > size:
            why = Why.MORE
            break
        header = unseal(view, at, seed)
        if header is None:
            why = Why.HEADER
            break
        _, _, _, length, count, flags, packets_before, octets_before, newest_ns = header
        if first_packets < 0:
            first_packets, first_octets, received_ns = packets_before, octets_before, newest_ns
        elif packets_before != first_packets + packets or octets_before != first_octets + octets:
            why = Why.GAP
            break
        if flags & FLAG_END:
            why = Why.END
            break
        if len(pieces) == MOST_PIECES:
            why = Why.FULL
            break
        body_at = at + RECORD_OCTETS
        end = body_at + length
        if end > size:
            next_octets = end - at
            why = Why.MORE
            break
        body = view[body_at:end]
        if not sound(header, body):
            next_octets = end - at
            why = Why.BODY
            break
        pieces.append(body)
        packets += count
        octets += length
        at = end
    return Stretch(why, pieces, first_packets, first_octets, packets, octets, received_ns, at, next_octets)


class Walker:
    """
    A place in one segment, and a buffer.

    :param buffer_octets: size of the buffer; it grows when a record does not fit.

    :ivar offset: of the record that comes next.
    :ivar damaged: something in this segment did not validate.
    :ivar torn: the last record that was found was begun, but is not all there.
    :ivar ended: the END record was reached.
    """

    def __init__(self, buffer_octets: int) -> None:
        self._buffer = bytearray(buffer_octets)
        self.begin(0)

    def begin(self, offset: int, packets: int = 0) -> None:
        """
        Go on from another place.

        :param offset: where a record starts.
        :param packets: counter of the spool there, or 0: records that were appended earlier are not believed.
        """
        self.offset = offset
        self._packets = packets
        self.damaged = self.torn = self.ended = False

    def step(self, file: IFile, seed: int, stop: int) -> Stretch | None:
        """
        The records that come next; damage before them is passed over.

        :param stop: offset where reading must stop: what is behind is not written yet, or not for us.
        :returns: never one without records; None if there are no more, now or (if `ended`, or a file that nobody
            writes to any more) for good.  Its buffers are valid until the next step.
        :raises OSError: the disk refuses.
        """
        while not self.ended:
            view = self._fill(file, stop)
            found = stretch(view, seed)
            if found.pieces:
                if found.packets_before >= self._packets:
                    self._packets = found.packets_before + found.packets
                    self.offset += found.length
                    self.torn = False
                    return found
                found = found._replace(why=Why.HEADER)  # older than what came before: not of this place
            if found.why is Why.END and found.packets_before >= self._packets:
                self.ended = True
            elif found.why is Why.MORE and found.next_octets > len(view) == len(self._buffer):
                self._buffer = bytearray(found.next_octets)
            elif not self._pass_over(file, seed, stop, found, len(view)):
                return None
        return None

    def _fill(self, file: IFile, stop: int) -> memoryview:
        view = memoryview(self._buffer)[: max(0, stop - self.offset)]
        return view[: file.read([view], self.offset)] if len(view) else view

    def _pass_over(self, file: IFile, seed: int, stop: int, found: Stretch, available: int) -> bool:
        """Go behind what does not validate.  :returns: False if nothing valid follows."""
        if found.why is Why.MORE:
            if available == 0:
                return False
            # The file ends within a record.
            self.damaged = self.torn = True
            return False
        self.damaged = True
        if found.why is Why.BODY:
            self.torn = True
            self.offset += found.next_octets
            return True
        offset = find_record(file, seed, self.offset + 1, stop, self._packets)
        if offset is None:
            return False
        self.offset = offset
        return True


def find_record(file: IFile, seed: int, start: int, stop: int, packets: int) -> int | None:
    """
    The next place where a record's header validates.

    :param start: offset to look from.
    :param stop: offset to look up to.
    :param packets: counter of the spool that it must have reached.
    :raises OSError: the disk refuses.
    """
    window = bytearray(_WINDOW_OCTETS)
    while start + RECORD_OCTETS <= stop:
        view = memoryview(window)[: stop - start]
        length = file.read([view], start)
        at = window.find(RECORD_MAGIC, 0, length)
        while 0 <= at <= length - RECORD_OCTETS:
            header = unseal(view, at, seed)
            if header is not None and header.packets_before >= packets:
                return start + at
            at = window.find(RECORD_MAGIC, at + 1, length)
        if length < len(view) or length < RECORD_OCTETS:
            return None
        # A header may straddle two windows.
        start += length - RECORD_OCTETS + 1
    return None
