"""
What a collector has taken: a file that is appended to as packets are read, and what a reader makes of it.

A packet counts as delivered only when it stands in the ledger.  The collector appends after every read of a socket
with one unbuffered ``write`` to a file opened ``O_APPEND``: what is written survives the SIGKILL of the collector,
and a later life of it goes on in the same file.  The collector writes (:class:`Ledger`), tests and the demonstration
read (:class:`Reading`), in other processes and while it grows.

The file: entries of 8 octets in the machine's own byte order, in the order of reading.  The upper 32 bits are the
capture agent id of a stamped packet and the lower 32 its number; or the upper 32 bits are an :class:`Event` and the
lower 32 its figure.
"""

from __future__ import annotations

import enum
import os
from array import array
from collections import Counter
from pathlib import Path


class Event(enum.IntEnum):
    """What happens at a collector besides stamped packets: never a sender's id."""

    #: A connection was accepted; the figure counts them in this life of the collector.
    OPENED = 0xFFFFFF01
    #: A connection's peer closed it on a packet's boundary; the figure is the connection's.
    ENDED = 0xFFFFFF02
    #: A connection was reset by its peer; the figure is the connection's.
    RESET = 0xFFFFFF03
    #: A connection ended inside a packet; the figure counts the octets there were of it.
    CUT = 0xFFFFFF04
    #: What came was no HEP packet: the collector closed the connection; the figure is the connection's.
    DAMAGED = 0xFFFFFF05
    #: A stamped packet's CRC is wrong: the collector closed the connection; the figure is the connection's.
    ALTERED = 0xFFFFFF06
    #: A packet without a stamp; the figure is its length.
    UNSTAMPED = 0xFFFFFF07


class Ledger:
    """
    The writing end.

    :param path: appended to; made when it is not there.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self, entries: array[int]) -> None:
        """Write these entries; when this returns they outlive the process."""
        octets = memoryview(entries.tobytes())
        while octets:
            octets = octets[os.write(self._file, octets) :]

    def note(self, event: Event, figure: int) -> None:
        """Write one event."""
        self.append(array("Q", [event << 32 | figure]))


class Sender:
    """
    What has arrived of one sender's packets.

    :ivar highest: the highest number that has arrived; -1 before the first.
    :ivar missing: the numbers below it that have not.
    :ivar duplicates: arrivals of a number that had arrived before.
    :ivar reordered: first arrivals of a number after the first arrival of a higher one.
    """

    def __init__(self) -> None:
        self.highest = -1
        self.missing: set[int] = set()
        self.duplicates = 0
        self.reordered = 0

    @property
    def arrived(self) -> int:
        """How many different packets have arrived."""
        return self.highest + 1 - len(self.missing)

    def lost(self, sent: int) -> int:
        """How many of the numbers below ``sent`` have not arrived."""
        if self.highest < sent:
            return sent - self.arrived
        return sum(number < sent for number in self.missing)

    def take(self, number: int) -> None:
        """One packet has arrived that is not simply the next one."""
        if number > self.highest:
            self.missing.update(range(self.highest + 1, number))
            self.highest = number
        elif number in self.missing:
            self.missing.remove(number)
            self.reordered += 1
        else:
            self.duplicates += 1


class Reading:
    """
    The reading end: call :meth:`update`, then look.

    :ivar senders: by capture agent id.
    :ivar events: how often each event has been written.
    :ivar figures: the figures of the events, in their order.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self.senders: dict[int, Sender] = {}
        self.events: Counter[Event] = Counter()
        self.figures: dict[Event, list[int]] = {event: [] for event in Event}

    def update(self) -> None:
        """Read what has been appended since the last time."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                octets = file.read()
        except FileNotFoundError:
            return
        entries = array("Q", octets[: len(octets) & ~7])
        self._at += 8 * len(entries)
        agent, sender = 0, Sender()
        for entry in entries:
            if entry >> 32 != agent:
                agent = entry >> 32
                if agent >= Event.OPENED:
                    event = Event(agent)
                    self.events[event] += 1
                    self.figures[event].append(entry & 0xFFFFFFFF)
                    agent = 0
                    continue
                sender = self.senders.setdefault(agent, Sender())
            number = entry & 0xFFFFFFFF
            if number == sender.highest + 1:
                sender.highest = number
            else:
                sender.take(number)

    def arrived(self, agent: int | None = None) -> int:
        """How many different packets have arrived, of one sender or of all."""
        return sum(sender.arrived for known, sender in self.senders.items() if agent in (None, known))

    def duplicates(self) -> int:
        """Arrivals of packets that had arrived before, of all senders."""
        return sum(sender.duplicates for sender in self.senders.values())

    def reordered(self) -> int:
        """First arrivals out of order, of all senders."""
        return sum(sender.reordered for sender in self.senders.values())
