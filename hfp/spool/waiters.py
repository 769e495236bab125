"""
Deferreds that wait for the log to get somewhere.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from hfp.spool.position import Position


class Waiters:
    """
    :param beyond: a Deferred fires only when its position is passed; else when it is reached.
    """

    def __init__(self, beyond: bool) -> None:
        self._beyond = beyond
        self._waiting: dict[Deferred[None], Position] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def wait(self, position: Position, reached: Position) -> Deferred[None]:
        """
        A Deferred for *position*; cancelling it is all right.

        :param reached: where the log is now.
        """
        waiter: Deferred[None] = Deferred(self._waiting.pop)  # type: ignore[arg-type]
        self._waiting[waiter] = position
        self.advance(reached)
        return waiter

    def advance(self, reached: Position) -> None:
        """The log has got as far as *reached*."""
        due = [
            waiter
            for waiter, position in self._waiting.items()
            if position < reached or (position == reached and not self._beyond)
        ]
        for waiter in due:
            del self._waiting[waiter]
        for waiter in due:
            waiter.callback(None)
