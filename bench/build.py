"""Compiles the load generator and the collector into ``bench/bin/``, when their sources are newer."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import attrs

from bench.errors import BenchError

__all__ = ["Programs", "build"]

_HERE = Path(__file__).parent
_FLAGS = ["-O2", "-std=c11", "-Wall", "-Wextra", "-Werror"]
_TIMEOUT_S = 60


@attrs.frozen
class Programs:
    """Where the compiled programs are."""

    generator: Path
    collector: Path


def build() -> Programs:
    """
    Compile what is missing or out of date.

    :raises BenchError: when there is no C compiler, or it refuses the sources.
    """
    return Programs(generator=_compile("generator"), collector=_compile("collector"))


def _compile(name: str) -> Path:
    source = _HERE / "src" / f"{name}.c"
    program = _HERE / "bin" / name
    sources = [source, _HERE / "src" / "stamp.h"]
    if program.exists() and all(program.stat().st_mtime > s.stat().st_mtime for s in sources):
        return program
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise BenchError("no C compiler: install one (Debian: apt install gcc libc6-dev), or name it in CC")
    program.parent.mkdir(exist_ok=True)
    done = subprocess.run(
        [compiler, *_FLAGS, "-o", str(program), str(source)],
        check=False,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )
    if done.returncode:
        raise BenchError(f"{compiler} refused {source.name}: {done.stderr.strip()}")
    return program
