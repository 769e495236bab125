"""
How hfp speaks to the operator: a logger that keeps debug events back, and `Repeats`, which keeps a flood to a trickle.

Every room's ``_log`` is this module's `Logger`.  Where log lines go is ``twistd``'s business, not decided here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger as TwistedLogger, LogLevel

#: How long a key stays quiet after it was logged, and between two summaries.
EVERY_S = 60.0
#: How many keys are told apart at once; what is beyond them shares one more.
MOST_KEYS = 256

_OVERFLOW = object()


class Logger(TwistedLogger):
    """
    Twisted's logger, save that debug events go nowhere until `show_debug` was called.

    ``twistd``'s log observer takes every level, and cannot be reached or wrapped without taking over its ``--logfile``,
    ``--syslog`` and log rotation.  So the choice is made here, at the source, where it also costs least.
    """

    _debug_shown: ClassVar[bool] = False

    def emit(self, level: Any, format: str | None = None, **kwargs: object) -> None:  # noqa: A002 (Twisted's name)
        if level is not LogLevel.debug or Logger._debug_shown:
            super().emit(level, format, **kwargs)


def show_debug(shown: bool) -> None:
    """
    Let debug events of hfp's own loggers through, or hold them back.

    For the whole process, as the log itself is; called once, by `hfp.tap`.
    """
    Logger._debug_shown = shown


@define(eq=False)
class _Quiet:
    """A key that was logged a short while ago, and the newest of what was held back since."""

    wake: IDelayedCall
    held: int = 0
    level: Any = None
    format: str = ""
    fields: Mapping[str, Any] = field(factory=dict)


class Repeats:
    """
    Logs the first event of a key at once, and of those that follow only a summary: at most one each ``every_s``.

    A key that was quiet for ``every_s`` counts as new again.  No more than ``most`` keys are told apart at a time; all
    beyond them share one, so that a peer that makes up ever new keys fills neither memory nor log.

    :param log: where to.
    :param clock: gives the time.
    :param every_s: seconds, above 0.
    :param most: keys, 1 or more.
    """

    def __init__(
        self, log: TwistedLogger, clock: IReactorTime, every_s: float = EVERY_S, most: int = MOST_KEYS
    ) -> None:
        self._log = log
        self._clock = clock
        self._every_s = every_s
        self._most = most
        self._quiet: dict[Hashable, _Quiet] = {}
        self._stopped = False

    def info(self, key: Hashable, format: str, /, **fields: Any) -> None:  # noqa: A002 (as Twisted's loggers)
        """Something worth knowing happened, perhaps again."""
        self._emit(LogLevel.info, key, format, fields)

    def warn(self, key: Hashable, format: str, /, **fields: Any) -> None:  # noqa: A002 (as Twisted's loggers)
        """
        Something happened, perhaps again, that the operator may want to act upon.

        :param key: what counts as the same event; hashable and small.
        :param format: a constant, as for Twisted's loggers.
        :param fields: the values; kept until the next summary, so small ones that do not change.
        """
        self._emit(LogLevel.warn, key, format, fields)

    def critical(self, key: Hashable, format: str, /, **fields: Any) -> None:  # noqa: A002 (as Twisted's loggers)
        """Data was lost, perhaps again."""
        self._emit(LogLevel.critical, key, format, fields)

    def stop(self) -> None:
        """Write the outstanding summaries and forget the timers; what still comes is logged as it comes."""
        self._stopped = True
        for key in list(self._quiet):
            quiet = self._quiet.pop(key)
            quiet.wake.cancel()
            self._summarise(key, quiet)

    def _emit(self, level: Any, key: Hashable, format: str, fields: Mapping[str, Any]) -> None:  # noqa: A002 (likewise)
        if key not in self._quiet and len(self._quiet) >= self._most:
            key = _OVERFLOW
        quiet = self._quiet.get(key)
        if quiet is None:
            if not self._stopped:
                self._start(key)
            self._log.emit(level, format, **fields)
        else:
            quiet.held += 1
            quiet.level, quiet.format, quiet.fields = level, format, fields

    def _wake(self, key: Hashable) -> None:
        quiet = self._quiet.pop(key)
        if quiet.held:
            self._start(key)
            self._summarise(key, quiet)

    def _start(self, key: Hashable) -> None:
        self._quiet[key] = _Quiet(self._clock.callLater(self._every_s, self._wake, key))

    def _summarise(self, key: Hashable, quiet: _Quiet) -> None:
        if not quiet.held:
            return
        summary = {"held_back": quiet.held, "quiet_s": self._every_s}
        if key is _OVERFLOW:
            self._log.emit(
                quiet.level,
                "{held_back} more log lines, on more than {most} different things, held back in the last {quiet_s:g} s",
                most=self._most,
                **summary,
            )
        else:
            self._log.emit(
                quiet.level,
                quiet.format + " ({held_back} more like this in the last {quiet_s:g} s)",
                **{**quiet.fields, **summary},
            )
