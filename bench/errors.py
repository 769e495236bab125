"""What can go wrong in a measurement, as opposed to what can turn out slow."""

from __future__ import annotations

__all__ = ["BenchError", "Missing"]


class BenchError(Exception):
    """This could not be measured; the message says why, in one line."""


class Missing(BenchError):
    """Something that this needs is not installed; the message says how to get it."""
