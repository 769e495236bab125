"""
What happens when the spool is full.
"""

from __future__ import annotations

from enum import Enum


class FullPolicy(Enum):
    """The operator's choice; the values are what stands on the command line."""

    #: Remotes that lag lose the oldest packets.
    DROP_OLDEST = "drop-oldest"
    #: New packets are refused.
    DROP_NEWEST = "drop-newest"
    #: New packets wait: nothing more is read from the senders.
    BLOCK = "block"
