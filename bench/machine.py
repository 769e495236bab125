"""What the figures were measured on, and with what."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from bench.layout import APART
from bench.relays import haproxy_program

__all__ = ["describe_machine"]


def describe_machine(directory: Path) -> dict[str, str]:
    """
    Describe this machine.

    :param directory: where the spools will be.
    :returns: properties in the order in which to print them.
    """
    return {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} logical",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "file system of the spools": _file_system(directory),
        "pinned": APART.words,
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Twisted": _version("Twisted", "unknown"),
        "pyOpenSSL": _version("pyOpenSSL", "not installed"),
        "google-re2": _version("google-re2", "not installed, so filters use Python's re"),
        "hfp": _version("hfp", "from the checkout, not installed"),
        "haproxy": _haproxy_version(),
    }


def _cpu_model() -> str:
    names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0] if names else platform.machine()


def _file_system(directory: Path) -> str:
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _device, mount, kind, *_rest = line.split()
        if directory.is_relative_to(mount) and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def _version(distribution: str, otherwise: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return otherwise


def _haproxy_version() -> str:
    program = haproxy_program()
    if program is None:
        return "not installed"
    said = subprocess.run([program, "-v"], check=False, capture_output=True, text=True, timeout=10).stdout
    found = re.search(r"version (\S+)", said)
    return f"{found[1] if found else 'unknown'}, TCP mode, nbthread 1"
