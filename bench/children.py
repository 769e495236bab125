"""Child processes: pinned to their CPUs, read with timeouts, and never left behind; and ports for them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bench.errors import BenchError

__all__ = ["Child", "free_port"]

_PR_SET_PDEATHSIG = 1
_TERM_TIMEOUT_S = 15.0
"""How long a relay may take to stop: hfp hands over what it has."""

_CLOSE_TIMEOUT_S = 2.0
"""How long the generator and the collector may take after their standard input has ended."""

_libc = ctypes.CDLL(None)

_given: set[int] = set()

ChildT = TypeVar("ChildT", bound="Child")


def free_port() -> int:
    """
    A TCP port that nobody uses on 127.0.0.1, and that was not given before.

    Outside the range of ephemeral ports: a relay that calls in vain for its collector on one of those can happen to get
    the same as its own port, and then is connected to itself.
    """
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _attempt in range(100):
        port = random.randrange(min(10_000, ephemeral - 5_000), ephemeral)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise BenchError("no free TCP port on 127.0.0.1")


class Child:
    """
    A process that is spoken to in lines.

    :param name: what messages call it.
    :param command: the program and its arguments.
    :param cpus: where it may run.
    :param output: a file for its standard output and error; ``None``: its standard output is read with
        :meth:`read_line`.
    :param directory: its working directory.
    :param environment: its environment; ``None``: ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        cpus: Sequence[int],
        output: Path | None = None,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._output = output
        self._unread = b""

        def prepare() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # should the bench itself be killed
            os.sched_setaffinity(0, cpus)

        log = output.open("wb") if output else None
        try:
            self.started_ns = time.monotonic_ns()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if log else subprocess.PIPE,
                stdout=log or subprocess.PIPE,
                stderr=subprocess.STDOUT if log else None,
                cwd=directory,
                env=environment,
                preexec_fn=prepare,  # noqa: PLW1509 - we have no threads
            )
        except OSError as error:
            raise BenchError(f"{name} cannot be started: {error}") from error
        finally:
            if log:
                log.close()
        self.pid = self._process.pid

    def __enter__(self: ChildT) -> ChildT:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def write_line(self, line: str) -> None:
        """Say something to its standard input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise BenchError(f"{self.name} has ended: {error}") from error

    def read_line(self, timeout_s: float) -> str:
        """
        The next line of its standard output.

        :raises BenchError: when none comes in time, or the process ends.
        """
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(deadline - time.monotonic()):
                    raise BenchError(f"{self.name} said nothing for {timeout_s:.0f} s")
                octets = os.read(descriptor, 65536)
                if not octets:
                    raise BenchError(f"{self.name} has ended")
                self._unread += octets
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def check_running(self) -> None:
        """:raises BenchError: when the process has ended; with the last line that it wrote."""
        status = self._process.poll()
        if status is not None:
            raise BenchError(f"{self.name} ended with status {status}: {self.last_line()}")

    def last_line(self) -> str:
        """The last line that it wrote to its *output* file."""
        if self._output is None:
            return "no output"
        lines = self._output.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "no output"

    def stop(self, hard: bool = False) -> float:
        """
        End it, for good: when it does not go in time, it is killed.

        :param hard: with SIGKILL, at once.
        :returns: the seconds it took.
        """
        started = time.monotonic()
        patience_s = _TERM_TIMEOUT_S
        if self._process.stdin is not None:
            patience_s = _CLOSE_TIMEOUT_S
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        elif not hard:
            self._process.terminate()
        if hard:
            self._process.kill()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return time.monotonic() - started
