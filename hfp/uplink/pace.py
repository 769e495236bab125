"""
How fast a backlog goes: at the operator's ``--replay-rate``, or as fast as a receiver over UDP can take it.
"""

from __future__ import annotations

#: Packets older than this when they are sent are a backlog: the replay rate applies to them, seconds.
BACKLOG_AGE_S = 2.0

#: A datagram counts as this many octets at least: in a receiver's buffer, and for its program, small ones are hardly
#: cheaper than large ones.
DATAGRAM_OCTETS = 600

#: Seconds between two bursts: of a backlog, and of one that grows faster than it would go that way.
SPREAD_S = 0.004
FAST_SPREAD_S = 0.001

#: Packets, and the octets in them.
Counters = tuple[int, int]


class Pace:
    """
    Every packet that is old when it is sent counts; what came in a moment ago goes at once.

    :param rate: octets per second; 0 for no limit.

    :ivar spread_s: seconds between two bursts that a chunk is sent in, where it is sent in bursts.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.spread_s = SPREAD_S
        self._next = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next chunk may go; 0 or less for at once."""
        return self._next - now

    def begin(self, appended: Counters) -> None:
        """
        Sending from the log begins.

        :param appended: what was appended to it so far.
        """

    def sent(self, chunk: Counters, age_s: float, appended: Counters, now: float) -> None:
        """
        A chunk was sent from the log.

        :param age_s: how long ago its oldest packet came in, seconds.
        :param appended: what was appended to the log so far.
        """
        if self._rate and age_s > BACKLOG_AGE_S:
            self._next = max(now, self._next) + chunk[1] / self._rate


class Drip(Pace):
    """
    Everything that is sent from the log counts, however young: over UDP nothing else keeps a burst from being lost.

    What is appended meanwhile is not counted, or a backlog would never end where more comes in than the rate.
    """

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self._appended: Counters = (0, 0)
        self._free = 0

    def begin(self, appended: Counters) -> None:
        """See `Pace.begin`."""
        self._appended = appended
        self._free = 0

    def sent(self, chunk: Counters, age_s: float, appended: Counters, now: float) -> None:
        """See `Pace.sent`."""
        before, self._appended = self._appended, appended
        self._free += _cost(appended[0] - before[0], appended[1] - before[1])
        cost = _cost(*chunk)
        free = min(self._free, cost)
        self._free -= free
        self._next = max(now, self._next) + (cost - free) / self._rate
        self.spread_s = SPREAD_S if free < cost else FAST_SPREAD_S


def _cost(packets: int, octets: int) -> int:
    return max(octets, packets * DATAGRAM_OCTETS)
