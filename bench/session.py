"""What all cases of one run of the bench share: the plan, the tools, a directory, and what went wrong on the way."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import attrs

from bench.errors import BenchError
from bench.load import LoadKit
from bench.plan import Plan
from bench.quiet import Quiet

__all__ = ["Session"]

T = TypeVar("T")


@attrs.define(eq=False)
class Session:
    """
    One run of the bench.

    :ivar plan: how much is measured.
    :ivar kit: generator and collector.
    :ivar directory: for spools and logs, on the disk that is measured.
    :ivar relays: which relays are measured, in this order.
    :ivar quiet: the patience with what else runs on the machine.
    :ivar faults: what was lost, altered or could not be measured, in a sentence each.
    """

    plan: Plan
    kit: LoadKit
    directory: Path
    relays: tuple[str, ...]
    quiet: Quiet
    faults: list[str] = attrs.Factory(list)
    _started_s: float = attrs.Factory(time.monotonic)

    def say(self, text: str) -> None:
        """Tell whoever waits what is being done (on standard error: the table alone is on standard output)."""
        print(f"[{time.monotonic() - self._started_s:4.0f} s] {text}", file=sys.stderr, flush=True)

    def fault(self, text: str) -> None:
        """Note something that must not be overlooked."""
        self.say(f"FAULT: {text}")
        self.faults.append(text)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A fresh directory for one relay's files, deleted afterwards."""
        path = Path(tempfile.mkdtemp(dir=self.directory))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def check_disk_space(self, needed_bytes: int) -> None:
        """:raises BenchError: when the disk has no room for this and a reserve."""
        free = shutil.disk_usage(self.directory).free
        if free < needed_bytes * 1.25 + 1_000_000_000:
            raise BenchError(f"needs {needed_bytes / 1e9:.1f} GB of disk and some room; {free / 1e9:.1f} GB are free")

    def alternate(
        self,
        case: str,
        relays: tuple[str, ...],
        runs: int,
        measure: Callable[[str], T],
        others_share: Callable[[T], float] = lambda _result: 0.0,
    ) -> dict[str, list[T]]:
        """
        Measure each relay in turn, again and again, so that whatever drifts on the machine drifts for all.

        :param relays: their names, or those of several set-ups of one.
        :param measure: does one run of one relay. One that fails is noted, and that relay is left out from then on.
        :param others_share: tells how much of a CPU others took meanwhile; a run with too much of that is repeated.
        :returns: by relay: the results of its runs.
        """
        results: dict[str, list[T]] = {relay: [] for relay in relays}
        failed: set[str] = set()
        for run in range(runs):
            self.say(f"{case}: run {run + 1} of {runs}")
            for relay in relays:
                if relay in failed:
                    continue
                try:
                    results[relay].append(self.quiet.measure(functools.partial(measure, relay), others_share))
                except BenchError as error:
                    failed.add(relay)
                    self.fault(f"{case}, {relay}: {error}")
        return results
