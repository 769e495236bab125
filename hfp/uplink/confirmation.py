"""
From what the collector's kernel has acknowledged to what need not be sent again.

Pure bookkeeping on octet counts, positions and times: no sockets, no timers.  Collectors never answer, so there are
three levels of knowing:

acknowledged
    the peer's kernel has it (``tcpi_bytes_acked``).  Its program may never read it: it can be killed, and then up to
    a receive buffer full of acknowledged packets is gone.
confirmed
    acknowledged, and the connection has lived on for the resend window since.  That is where sending starts again
    after a loss.
consumed
    the peer closed its side cleanly after we had closed ours: its program has read everything.

The clock of the resend window stands still while the peer's receive window is closed: what a collector's kernel took
before the collector stopped reading does not become more certain by waiting.
"""

from __future__ import annotations

from collections import deque

from hfp.spool import Position

#: Octets that are resent after a loss, at most, of what had been acknowledged (plus what one look brings): the largest
#: receive buffer that Linux gives a socket by itself is ``tcp_rmem[2]``, 6 MiB by default and 32 MiB on tuned hosts.
RESEND_LIMIT = 32 * 1024 * 1024

#: How much the largest window seen counts a little less at each look (a half-life of about a minute at ten looks per
#: second), so that a peer which keeps a smaller window from some time on is not taken for a stalled one for ever.
_FADE = 0.999


class Confirmation:
    """
    What one connection has sent, and how sure of it we are.

    :param start: the position of the first octet that this connection sends.
    :param window_s: the resend window, seconds.
    :param now: the time, seconds.

    :ivar sent: to be called with ``(octets, packets, position)`` after each batch that was given to the socket: octets
        given to this connection so far, packets in them, and the position in the log behind them.  Hot, so there is no
        method around it (measured: 60 ns).
    """

    def __init__(self, start: Position, window_s: float, now: float) -> None:
        self._window_s = window_s
        self._unacknowledged: deque[tuple[int, int, Position]] = deque()
        self.sent = self._unacknowledged.append
        self._aging: deque[tuple[float, tuple[int, int, Position]]] = deque()
        self._acknowledged: tuple[int, int, Position] = (0, 0, start)
        self._confirmed = self._acknowledged
        self._taken = self._acknowledged
        self._open_s = 0.0  # how long the peer's window has been open
        self._looked_at = now
        self._widest = 0.0

    @property
    def acknowledged(self) -> Position:
        """Everything before it has arrived in the peer's kernel."""
        return self._acknowledged[2]

    @property
    def confirmed(self) -> Position:
        """Everything before it need not be sent again after a loss."""
        return self._confirmed[2]

    @property
    def waiting(self) -> bool:
        """Whether anything sent is not confirmed yet."""
        return bool(self._unacknowledged or self._aging)

    @property
    def all_acknowledged(self) -> bool:
        """Whether the peer's kernel has everything that was sent."""
        return not self._unacknowledged

    @property
    def barren(self) -> bool:
        """Whether something was acknowledged, and nothing confirmed."""
        return self._acknowledged[0] > 0 and self._confirmed[0] == 0

    @property
    def fruitless(self) -> bool:
        """Whether nothing was confirmed."""
        return self._confirmed[0] == 0

    @property
    def unconfirmed_octets(self) -> int:
        """Octets sent that may have to be sent again."""
        last = self._unacknowledged[-1] if self._unacknowledged else self._acknowledged
        return last[0] - self._confirmed[0]

    def look(self, acknowledged: int, window: int, now: float) -> None:
        """
        Take notice of the connection's state.

        :param acknowledged: octets of the stream that the peer's kernel has acknowledged.
        :param window: octets that the peer is ready to take; negative if unknown.
        :param now: the time, seconds.
        """
        self._widest = max(float(window), self._widest * _FADE)
        if window < 0 or (window > 0 and 2 * window >= self._widest):
            self._open_s += max(0.0, now - self._looked_at)
        self._looked_at = now
        waiting = self._unacknowledged
        before = self._acknowledged
        while waiting and waiting[0][0] <= acknowledged:
            self._acknowledged = waiting.popleft()
        aging = self._aging
        if self._acknowledged is not before:
            aging.append((self._open_s, self._acknowledged))
        while aging and (
            aging[0][0] <= self._open_s - self._window_s or self._acknowledged[0] - aging[0][1][0] > RESEND_LIMIT
        ):
            self._confirmed = aging.popleft()[1]

    def consume(self) -> None:
        """The peer's program has read everything that it was sent."""
        if self._unacknowledged:
            self._acknowledged = self._unacknowledged[-1]
        self._unacknowledged.clear()
        self._aging.clear()
        self._confirmed = self._acknowledged

    def take_confirmed(self) -> tuple[int, int]:
        """Packets and octets that were confirmed since this was last asked."""
        before, self._taken = self._taken, self._confirmed
        return self._taken[1] - before[1], self._taken[0] - before[0]
