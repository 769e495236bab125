"""
Waiting for something, but not for ever.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred


async def at_most(clock: Any, waited: Deferred[None], seconds: float) -> None:
    """Wait until *waited* fires; it is made to after so many seconds."""
    timer = clock.callLater(seconds, fire, waited)
    await waited
    if timer.active():
        timer.cancel()


def fire(waited: Deferred[None] | None) -> None:
    """Have whoever waits go on, if anybody does."""
    if waited is not None and not waited.called:
        waited.callback(None)
