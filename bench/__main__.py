"""The command line: ``python -m bench``, from the checkout's root, with the Python that hfp is installed for."""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import attrs

from bench.build import build
from bench.cases import CASES, NEEDS_HFP
from bench.errors import BenchError
from bench.figures import HAPROXY, HFP, Row
from bench.layout import APART
from bench.load import LoadKit
from bench.machine import describe_machine
from bench.plan import FULL, QUICK, Plan
from bench.quiet import Quiet
from bench.relays import check_installed
from bench.report import as_json, as_rst, as_text
from bench.session import Session

_PERSISTENT = Path("/var/tmp")  # noqa: S108 - mkdtemp makes a private directory in it
"""Temporary files on a disk; ``/tmp`` is in memory on many systems, and a spool there would prove nothing."""

_EPILOG = """\
exit status: 0 when all was measured, targets met or not; 1 with --strict when one is missed; 2 when something could not
be measured, or a relay did not deliver what it was given."""


def _names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in CASES:
            raise argparse.ArgumentTypeError(f"no case {name!r}; there are {', '.join(CASES)}")
    return names


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure hfp beside haproxy in TCP mode, and beside its own targets.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=_count, metavar="N", help="runs of each relay, alternating (default 5)")
    parser.add_argument("--only", type=_names, metavar="NAME[,NAME]", help=f"of {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="small and few: to see that it works, not to publish")
    parser.add_argument("--relay", choices=[HFP, HAPROXY], help="measure only this one")
    parser.add_argument("--directory", type=Path, metavar="DIR", help=f"for the spools (default {_PERSISTENT})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run's figures there as well")
    parser.add_argument("--rst", type=Path, metavar="FILE", help="write the table there as reST as well")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    return parser.parse_args(arguments)


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else FULL
    return attrs.evolve(plan, runs=options.runs) if options.runs else plan


def _remark(plan: Plan) -> str:
    text = (
        f"Packets of 600 octets; medians of {plan.runs} alternating runs (least-greatest); journalling always on. "
        "CPU time: the relay's own process, all its threads, starting and warming excluded. Ratio: hfp to haproxy."
    )
    return text + (" A QUICK run: indicative only." if plan.single_packets < FULL.single_packets else "")


def _measure(session: Session, names: list[str]) -> list[Row]:
    rows: list[Row] = []
    for name in names:
        if name in NEEDS_HFP and HFP not in session.relays:
            continue
        try:
            rows += CASES[name](session)
        except BenchError as error:
            session.fault(f"{name}: {error}")
    return rows


def _prepare_process() -> None:
    """Descriptors for 500 connections; our own work away from the relay's CPU; a SIGTERM that cleans up as ^C does."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, APART.generator)

    def stop(_signal: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


def main(arguments: list[str]) -> int:
    """
    Run the bench.

    :returns: the exit status.
    """
    options = _options(arguments)
    plan = _plan(options)
    relays = (options.relay,) if options.relay else (HFP, HAPROXY)
    directory = options.directory or (_PERSISTENT if _PERSISTENT.is_dir() else Path(tempfile.gettempdir()))
    try:
        for relay in relays:
            check_installed(relay)
        programs = build()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    machine = describe_machine(directory.resolve())
    _prepare_process()
    try:
        with tempfile.TemporaryDirectory(prefix="hfp-bench-", dir=directory, ignore_cleanup_errors=True) as work:
            session = Session(
                plan, LoadKit.prepare(programs, Path(work)), Path(work), relays, Quiet(plan.waiting_s, plan.again)
            )
            rows = _measure(session, options.only or list(CASES))
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 130
    result = (machine, rows, session.faults, _remark(plan))
    print(as_text(*result), end="")
    if options.json:
        options.json.write_text(as_json(*result))
    if options.rst:
        options.rst.write_text(as_rst(*result))
    if session.faults:
        return 2
    return 1 if options.strict and any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
