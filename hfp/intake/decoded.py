"""
Logging packets as text, for ``--hepdecode on``: so many a second, and how many more there were.

A screen (`hfp.interfaces.IScreen`) that lets everything pass; not used at all where decoding is off.
"""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from hfp.hep import HEADER, describe
from hfp.interfaces import IScreen, Sender
from hfp.logs import Logger

#: Packets logged per second.
RATE = 10


@implementer(IScreen)
class DecodeScreen:
    """
    Logs packets.

    :param clock: IReactorTime.
    :param rate: packets per second that are logged; 1 or more.
    """

    _log = Logger()

    def __init__(self, clock: Any, rate: int = RATE) -> None:
        self._clock = clock
        self._rate = rate
        self._logged = 0  # in this second
        self._held = 0
        self._call: Any = None  # ends this second

    def screen(
        self, pieces: list[bytes | bytearray | memoryview], packets: int, sender: Sender
    ) -> tuple[list[bytes | bytearray | memoryview], int]:
        show = min(packets, self._rate - self._logged)
        if show > 0:
            self._show(pieces, show, sender)
            self._logged += show
        self._held += packets - max(show, 0)
        if self._call is None:
            self._call = self._clock.callLater(1.0, self._end_second)
        return pieces, packets

    def stop(self) -> None:
        """Say what was held back, and forget the timer."""
        if self._call is not None:
            self._call.cancel()
            self._end_second()

    def _show(self, pieces: list[bytes | bytearray | memoryview], show: int, sender: Sender) -> None:
        for piece in pieces:
            at = 0
            while at < len(piece):
                if not show:
                    return
                show -= 1
                end = at + HEADER.unpack_from(piece, at)[1]
                self._log.info(
                    "{transport} {host}:{port}: {packet}",
                    transport=sender.transport,
                    host=f"[{sender.host}]" if ":" in sender.host else sender.host,
                    port=sender.port,
                    packet=describe(memoryview(piece)[at:end]),
                )
                at = end

    def _end_second(self) -> None:
        self._call = None
        self._logged = 0
        held, self._held = self._held, 0
        if held:
            self._log.info("{held} more packets in this second are not shown (--hepdecode)", held=held)
