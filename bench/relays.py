"""What is compared: hfp and haproxy, each started and stopped in the same way, on the same CPUs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench.children import Child
from bench.errors import BenchError
from bench.figures import HAPROXY, HFP
from bench.layout import APART, Layout

__all__ = ["check_installed", "connect_when_ready", "haproxy_program", "start_relay"]

_READY_TIMEOUT_S = 60.0
_PROBE_PAUSE_S = 0.0005
_ROOT = Path(__file__).parent.parent

_HAPROXY_CONFIGURATION = """\
global
  nbthread 1
  maxconn 4000
defaults
  mode tcp
  timeout connect 5s
  timeout client 10m
  timeout server 10m
listen relay
  bind 127.0.0.1:{listen_port}
  server collector 127.0.0.1:{collector_port}
"""


def _twistd() -> Path:
    return Path(sys.executable).with_name("twistd")


def haproxy_program() -> str | None:
    """Where haproxy is; ``None`` when it is not installed."""
    return shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def _environment() -> dict[str, str]:
    """Ours, with hfp importable from the checkout, and compiled modules kept as they are in any installation."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(_ROOT)}


def check_installed(relay: str) -> None:
    """:raises BenchError: saying what to install, when *relay* cannot be run."""
    if relay == HAPROXY:
        if haproxy_program() is None:
            raise BenchError("no haproxy: install it (Debian: apt install haproxy), or measure with --relay hfp")
        return
    if not _twistd().exists():
        raise BenchError(f"no twistd beside {sys.executable}: run this with the Python that hfp is installed for")
    done = subprocess.run(
        [str(_twistd()), "hfp", "--help"],
        check=False,
        env=_environment(),
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise BenchError(f"`twistd hfp` does not run: {lines[-1] if lines else 'no output'}")


def start_relay(
    relay: str,
    directory: Path,
    listen_port: int,
    collector_port: int,
    spool_limit: str | None = None,
    layout: Layout = APART,
) -> Child:
    """
    Start a relay from one port to another; it need not be ready yet on return.

    :param relay: :data:`~bench.figures.HFP` or :data:`~bench.figures.HAPROXY`.
    :param directory: for its files; hfp's spool in it is used if there is one.
    :param spool_limit: hfp's ``--spool-limit``; ``None``: its default.
    """
    directory.mkdir(exist_ok=True)
    if relay == HFP:
        command = [str(_twistd()), "-n", "--pidfile=", "hfp"]
        command += ["--listen", f"tcp:{listen_port}:interface=127.0.0.1", "--remote", f"tcp:127.0.0.1:{collector_port}"]
        command += ["--spool", str(directory / "spool"), "--prom", "off"]
        if spool_limit:
            command += ["--spool-limit", spool_limit]
    else:
        configuration = directory / "haproxy.cfg"
        configuration.write_text(_HAPROXY_CONFIGURATION.format(listen_port=listen_port, collector_port=collector_port))
        command = [str(haproxy_program()), "-db", "-f", str(configuration)]
    return Child(relay, command, layout.relay, directory / "log", directory, _environment())


def connect_when_ready(relay: Child, port: int) -> tuple[socket.socket, int]:
    """
    Connect to a relay as soon as it accepts.

    :returns: the connection, and the time of it (ns, ``CLOCK_MONOTONIC``).
    :raises BenchError: when it ends, or is not ready within a minute.
    """
    deadline = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            relay.check_running()
            time.sleep(_PROBE_PAUSE_S)
        else:
            return connection, time.monotonic_ns()
    raise BenchError(f"{relay.name} does not accept connections after {_READY_TIMEOUT_S:.0f} s")
