"""What can go wrong in a measurement, as opposed to what can turn out slow."""

from __future__ import annotations

__all__ = ["BenchError"]


class BenchError(Exception):
    """This could not be measured; the message says why, in one line."""
