"""
What the demonstration shows: a line that updates on a terminal, plain lines elsewhere.
"""

from __future__ import annotations

import shutil
import sys
import time

_EVERY_S = 0.1
_EVERY_S_PLAIN = 1.0


class Screen:
    """
    Says what happens, and under it how the figures stand.

    On a terminal the figures are one line that is written again and again; elsewhere they are a line a second.
    """

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._began = time.monotonic()
        self._shown = ""
        self._shown_at = 0.0

    def say(self, text: str) -> None:
        """What happens now; the figures of before stay above it."""
        self._leave_line()
        elapsed = time.monotonic() - self._began
        sys.stdout.write(f"{elapsed:5.1f} s  {text}\n")
        sys.stdout.flush()

    def show(self, figures: str, *, at_once: bool = False) -> None:
        """How the figures stand; left out when the last were shown a moment ago."""
        now = time.monotonic()
        if not at_once and now - self._shown_at < (_EVERY_S if self._live else _EVERY_S_PLAIN):
            return
        self._shown_at = now
        line = f"         {figures}"
        if not self._live:
            sys.stdout.write(line + "\n")
        else:
            width = shutil.get_terminal_size().columns - 1
            sys.stdout.write("\r" + line[:width].ljust(min(width, len(self._shown))))
            self._shown = line
        sys.stdout.flush()

    def finish(self, text: str) -> None:
        """The last words."""
        self._leave_line()
        sys.stdout.write(f"\n{text}\n")
        sys.stdout.flush()

    def _leave_line(self) -> None:
        if self._shown:
            sys.stdout.write("\n")
            self._shown = ""
