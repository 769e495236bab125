"""
All errors that hfp raises itself, in three families: wrong use by the operator, a damaged or full disk, and bad input
from a peer.  Each docstring is the sentence that the operator needs.
"""

__all__ = ["HfpError", "MalformedPacket", "SpoolError", "SpoolFull", "SpoolLocked", "SpoolUnusable", "UsageProblem"]


class HfpError(Exception):
    """Something that hfp foresees went wrong."""


class UsageProblem(HfpError):
    """An option cannot be used as it was given; the message names the option, its value and the cure."""


class MalformedPacket(HfpError):
    """
    What a peer sent is not the HEP that it claims to be.

    :ivar kind: what is wrong with it, a word that it is counted by.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class SpoolError(HfpError):
    """The spool cannot do what was asked of it."""


class SpoolUnusable(SpoolError):
    """The spool's directory cannot be created, read or written; the message names the path and the cure."""


class SpoolLocked(SpoolError):
    """Another process uses this spool; two proxies can never share one."""


class SpoolFull(SpoolError):
    """The spool has reached its limit and its policy refuses what is new."""
