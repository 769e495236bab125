"""What a process has used: CPU time to the nanosecond, and memory; what the whole machine has used; hfp's metrics."""

from __future__ import annotations

import os
import time
import urllib.request
from pathlib import Path

from bench.errors import BenchError

__all__ = ["cpu_ns", "machine_cpu_ns", "metric", "peak_rss_bytes", "rss_bytes"]

_CPUCLOCK_SCHED = 2
_METRICS_TIMEOUT_S = 5


def cpu_ns(pid: int) -> int:
    """
    The CPU time that a process has used, user and system, all its threads, those that have ended included.

    The process's POSIX CPU clock is the scheduler's own account; ``/proc/PID/stat`` has the same sum in steps of 10 ms,
    and ``/proc/PID/task/*/schedstat`` lacks the ended threads.

    :returns: nanoseconds.
    """
    try:
        # clock_getcpuclockid(3), which Python does not offer for processes: the kernel's MAKE_PROCESS_CPUCLOCK.
        return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError as error:
        raise BenchError(f"process {pid} is gone") from error


def machine_cpu_ns() -> int:
    """
    The CPU time that everything on the machine has used, the kernel's own work and what a hypervisor took included.

    :returns: nanoseconds, in steps of the kernel's tick (10 ms, mostly).
    """
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    ticks = dict(zip(names, map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]), strict=False))
    busy = sum(count for name, count in ticks.items() if name not in ("idle", "iowait"))
    return busy * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """The memory that a process has resident now, in octets."""
    return _status(pid, "VmRSS")


def peak_rss_bytes(pid: int) -> int:
    """The most memory that a process ever had resident, in octets: the kernel's own mark, so no sample can miss it."""
    return _status(pid, "VmHWM")


def metric(port: int, name: str) -> float:
    """
    One of hfp's metrics now, the sum of all its labels.

    :raises BenchError: when it cannot be had.
    """
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_METRICS_TIMEOUT_S) as answer:
            lines = answer.read().decode().splitlines()
    except OSError as error:
        raise BenchError(f"hfp's metrics cannot be read: {error}") from error
    values = [line.rpartition(" ")[2] for line in lines if line.startswith((name + "{", name + " "))]
    if not values:
        raise BenchError(f"hfp has no metric {name}")
    return sum(map(float, values))


def _status(pid: int, field: str) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError as error:
        raise BenchError(f"process {pid} is gone") from error
    for line in status.splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"process {pid} has ended")
