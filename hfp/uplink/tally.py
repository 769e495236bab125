"""
What an uplink counts, for whoever asks.  Plain integers; nothing is decided by them but what counts as sent again.
"""

from __future__ import annotations

from hfp.spool import Position
from hfp.status import Amount
from hfp.uplink.losses import LOSS_CAUSES

#: Every reason that a packet which a remote will never get is counted by here; see `hfp.spool` for the log's own.
DROP_REASONS = ("not-hep3", "too-big")


class Tally:
    """
    :param start: where sending starts.

    :ivar high: the furthest position ever sent; what is sent before it is sent again.
    :ivar losses: connections lost, by cause.
    :ivar drains: how often a backlog was sent to its end.
    :ivar failed_drains: how often the connection was lost before that.
    """

    def __init__(self, start: Position) -> None:
        self.high = start
        self.losses = dict.fromkeys(LOSS_CAUSES, 0)
        self.drains = 0
        self.failed_drains = 0
        self._sent = [0, 0]
        self._resent = [0, 0]
        self._confirmed = [0, 0]
        self._dropped = {reason: [0, 0] for reason in DROP_REASONS}
        self._dropped_to = dict.fromkeys(DROP_REASONS, start.octets)

    def send_live(self, packets: int, octets: int, end: Position) -> None:
        """Hot, once per batch: something was sent as it was appended, so for the first time."""
        sent = self._sent
        sent[0] += packets
        sent[1] += octets
        self.high = end

    def send(self, packets: int, octets: int, end: Position) -> None:
        """Something from the log was sent: in part, perhaps, for the first time."""
        new = min(packets, max(0, end.packets - self.high.packets))
        new_octets = min(octets, max(0, end.octets - self.high.octets))
        self._sent[0] += new
        self._sent[1] += new_octets
        self._resent[0] += packets - new
        self._resent[1] += octets - new_octets
        self.high = max(self.high, end)

    def drop(self, reason: str, packets: int, octets: int, at: int) -> bool:
        """
        Packets were left out.

        :param at: octets of the log up to their end; whatever is left out again, when it is sent again, counts once.
        :returns: whether they count.
        """
        if at <= self._dropped_to[reason]:
            return False
        self._dropped_to[reason] = at
        dropped = self._dropped[reason]
        dropped[0] += packets
        dropped[1] += octets
        return True

    def take_back(self, octets: int, *, new: bool) -> None:
        """A packet that counts as sent, or as sent again, was not."""
        counted = self._sent if new else self._resent
        counted[0] -= 1
        counted[1] -= octets

    def confirm(self, packets: int, octets: int) -> None:
        """So much was confirmed."""
        self._confirmed[0] += packets
        self._confirmed[1] += octets

    @property
    def sent(self) -> Amount:
        """Given to the socket for the first time."""
        return Amount(packets=self._sent[0], octets=self._sent[1])

    @property
    def resent(self) -> Amount:
        """Given to the socket again."""
        return Amount(packets=self._resent[0], octets=self._resent[1])

    @property
    def confirmed(self) -> Amount:
        """Confirmed at the collector."""
        return Amount(packets=self._confirmed[0], octets=self._confirmed[1])

    @property
    def dropped(self) -> dict[str, Amount]:
        """Left out, by reason."""
        return {reason: Amount(packets=packets, octets=octets) for reason, (packets, octets) in self._dropped.items()}
