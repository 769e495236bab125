"""
A cursor: one remote's place in the log.  How it outlives the process is for `Cursors` to see to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hfp.spool.position import Position
from hfp.status import Amount

if TYPE_CHECKING:
    from hfp.spool.reader import Reader

#: Why a remote will never get what was appended for it: the spool was full; it was damaged on disk; it was in memory,
#: because the disk refused, and had to go.
DROP_REASONS = ("spool-full", "corrupt", "forgotten-memory")

#: Packets and octets appended to the spool before some place in it.
Counters = tuple[int, int]

#: Octets of a reader's buffer: four batches of a busy intake and a little.
READ_OCTETS = 512 * 1024


class Owner(Protocol):
    """What a cursor belongs to."""

    def moved(self, cursor: Cursor) -> None:
        """Its position has moved."""

    def rewound(self, cursor: Cursor) -> None:
        """What it had acknowledged is at risk again."""

    def make_reader(self, cursor: Cursor, buffer_octets: int) -> Reader:
        """See `Cursor.reader`."""


class Cursor:
    """
    One remote's place in the log.

    :param name: the remote's.
    :param position: see below.
    :param owner: is told what becomes of it.

    :ivar position: confirmed: everything before it is done with.
    :ivar acknowledged: the furthest that the collector's kernel has taken: needs no sync.  Never before ``position``.
    :ivar configured: somebody asked for it since the start.
    """

    def __init__(self, name: str, position: Position, owner: Owner) -> None:
        self.name = name
        self.position = position
        self.acknowledged = position
        self.configured = False
        self._owner = owner
        self._dropped = {reason: [0, 0] for reason in DROP_REASONS}
        self._lost: list[tuple[Counters, Counters]] = []  # what is in `_dropped`, and not confirmed away

    def acknowledge(self, position: Position) -> None:
        """
        The collector's kernel has everything before *position*.

        :param position: where a record ends; one that was passed already is ignored.
        """
        if position > self.acknowledged:
            self.acknowledged = position

    def rewind(self) -> None:
        """What was acknowledged but not confirmed may be lost after all: the connection is gone."""
        self.acknowledged = self.position
        self._owner.rewound(self)

    def confirm(self, position: Position) -> None:
        """
        Everything before *position* is done with; the spool may forget it.

        :param position: where a record ends; one that was passed already is ignored.
        """
        if position > self.position:
            self.position = position
            if position > self.acknowledged:
                self.acknowledged = position
            self._owner.moved(self)

    def reader(self, buffer_octets: int = READ_OCTETS) -> Reader:
        """
        A reader that starts at ``position``.

        :param buffer_octets: how much it reads at a time; it takes that much memory, or as much as the largest record.
        """
        return self._owner.make_reader(self, buffer_octets)

    def lose(self, reason: str, start: Counters, end: Counters) -> None:
        """
        Count what this remote will never get; what it has acknowledged, or what was counted before, is left out.

        :param reason: one of `DROP_REASONS`.
        :param start: where the loss starts.
        :param end: where it ends.
        """
        first = max(start, self.acknowledged.counters)
        if end <= first:
            return
        packets, octets = end[0] - first[0], end[1] - first[1]
        apart = []  # from the new loss, and from each other
        together = (first, end)
        for lost in self._lost:
            low, high = max(first, lost[0]), min(end, lost[1])
            if low < high:
                packets -= high[0] - low[0]
                octets -= high[1] - low[1]
                together = (min(together[0], lost[0]), max(together[1], lost[1]))
            elif lost[1] > self.position.counters:
                apart.append(lost)
        self._lost = [*apart, together]
        dropped = self._dropped[reason]
        dropped[0] += packets
        dropped[1] += octets

    def dropped(self) -> dict[str, Amount]:
        """What this remote will never get, by reason."""
        return {reason: Amount(packets=it[0], octets=it[1]) for reason, it in self._dropped.items()}
