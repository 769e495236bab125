"""
How much to risk on a collector whose connections end before anything sent on them was confirmed.

With the whole resend window such a collector would have the same packets sent for ever.  So each such *barren*
connection halves the window for the next one, and what may be sent unconfirmed; what is confirmed then doubles the
latter again, so that a collector that merely cannot keep a connection for long gets as much as it can take.
"""

from __future__ import annotations

#: What may be sent unconfirmed to such a collector, octets, at most; and at least, unless a record is larger.
MOST_OCTETS = 256 * 1024
LEAST_OCTETS = 4 * 1024

#: Times that the resend window is halved, at most.
MOST_HALVINGS = 6


class Caution:
    """
    :param window_s: the resend window, seconds.

    :ivar octets: what may be sent unconfirmed while `active`.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._halvings = 0
        self.octets = MOST_OCTETS

    @property
    def active(self) -> bool:
        """Whether the last connections were barren."""
        return self._halvings > 0

    @property
    def window_s(self) -> float:
        """The resend window of the next connection, seconds."""
        return self._window_s / (1 << self._halvings)

    def confirmed(self) -> None:
        """Something was confirmed: it can take more."""
        self.octets = min(MOST_OCTETS, 2 * self.octets)

    def lasted(self, seconds: float) -> bool:
        """
        A connection has lasted so long, or did until it ended.

        :returns: whether that has just ended the caution.
        """
        if seconds < self._window_s or not self._halvings:
            return False
        self._halvings = 0
        self.octets = MOST_OCTETS
        return True

    def barren(self) -> None:
        """A connection has ended before anything that its peer acknowledged was confirmed."""
        self._halvings = min(self._halvings + 1, MOST_HALVINGS)
        self.octets = max(LEAST_OCTETS, self.octets // 2)
