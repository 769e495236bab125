"""
Compiles the load generator and the collector into ``bench/bin/``, when their sources are newer.

Each of them twice where TLS is measured: what has TLS needs OpenSSL's headers, and everything else shall not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import attrs

from bench.errors import BenchError, Missing

__all__ = ["Programs", "build"]

_HERE = Path(__file__).parent
_FLAGS = ["-O2", "-std=c11", "-Wall", "-Wextra", "-Werror"]
_TLS_FLAGS = ["-DTLS"]
_TLS_LIBRARIES = ["-lssl", "-lcrypto"]
_OPENSSL = "#include <openssl/ssl.h>\n"
_TIMEOUT_S = 60


@attrs.frozen
class Programs:
    """Where the compiled programs are."""

    generator: Path
    collector: Path


def build(tls: bool = False) -> Programs:
    """
    Compile what is missing or out of date.

    :param tls: the programs that speak TLS.
    :raises Missing: when there is no C compiler, or there are no headers of OpenSSL.
    :raises BenchError: when the compiler refuses the sources.
    """
    return Programs(generator=_compile("generator", tls), collector=_compile("collector", tls))


def _compile(name: str, tls: bool) -> Path:
    source = _HERE / "src" / f"{name}.c"
    program = _HERE / "bin" / (f"{name}-tls" if tls else name)
    sources = [source, *source.parent.glob("*.h")]
    if program.exists() and all(program.stat().st_mtime > s.stat().st_mtime for s in sources):
        return program
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise Missing("no C compiler: install one (Debian: apt install gcc libc6-dev), or name it in CC")
    if tls and _run([compiler, "-E", "-x", "c", "-"], _OPENSSL).returncode:
        raise Missing("no headers of OpenSSL: install them (Debian: apt install libssl-dev), or leave this case out")
    program.parent.mkdir(exist_ok=True)
    options, libraries = (_TLS_FLAGS, _TLS_LIBRARIES) if tls else ([], [])
    done = _run([compiler, *_FLAGS, *options, "-o", str(program), str(source), *libraries])
    if done.returncode:
        raise BenchError(f"{compiler} refused {source.name}: {done.stderr.strip()}")
    return program


def _run(command: list[str], said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, input=said, capture_output=True, text=True, timeout=_TIMEOUT_S)
