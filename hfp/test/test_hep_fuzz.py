"""
The properties of `hfp.test.fuzz`, for a moment each: the same inputs every time.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hfp.test import fuzz


class FuzzTests(SynchronousTestCase):
    """`hfp.hep` among strangers."""

    def test_decoding(self) -> None:
        """Whatever the octets, only our own errors come out, and text that can be logged."""
        fuzz.run(fuzz.decodes, fuzz.anything, 300, 1)

    def test_framing(self) -> None:
        """Any cut of a stream into reads gives the same packets."""
        fuzz.run(fuzz.frames, fuzz.streams, 150, 1)
