"""
What the tests of the built-in filters have in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hfp.errors import UsageProblem
from hfp.filters.loading import installed
from hfp.hep import Packet, RawChunk, build
from hfp.testing import FilterBench

FACTORIES = {factory.name: factory for factory in installed()}


def shuffled(octets: bytes, order: Iterable[int]) -> bytes:
    """The same packet with its chunks in another order."""
    chunks: list[RawChunk] = Packet(octets).chunks
    return build([chunks[at] for at in order])


class FilterCase(SynchronousTestCase):
    """Tests of the filters that are installed."""

    def bench(self, text: str, rejects_errors: bool = False) -> FilterBench:
        """A filter at work, as ``--filter`` names it."""
        name, _, arguments = text.partition(":")
        return FilterBench(FACTORIES[name], arguments, rejects_errors)

    def passes(self, text: str, *packets: bytes) -> list[bool]:
        """Which of the packets a new filter passes, each unchanged."""
        bench = self.bench(text)
        verdicts = []
        for packet in packets:
            going = bench.screen(packet)
            self.assertIn(going, ([packet], []))
            verdicts.append(bool(going))
        return verdicts

    def refused(self, text: str, message: str) -> None:
        """A filter cannot be made; the operator reads exactly this behind ``--filter TEXT: ``."""
        problem: Any = self.assertRaises(UsageProblem, self.bench, text)
        self.assertEqual(str(problem), f"--filter {text}: {message}")
