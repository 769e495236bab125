"""What is compared: hfp and haproxy, each started and stopped in the same way, on the same CPUs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import attrs

from bench.children import Child
from bench.errors import BenchError
from bench.figures import HAPROXY, HFP
from bench.layout import APART, Layout

__all__ = ["PLAIN", "Setup", "check_installed", "connect_when_ready", "haproxy_program", "start_relay"]

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
  bind 127.0.0.1:{listen_port} {bind_tls}
  server collector 127.0.0.1:{collector_port} {server_tls}
"""


@attrs.frozen
class Setup:
    """
    How a relay is set up.

    :ivar transport: of the senders: ``tcp``; ``udp``, which hfp alone can do, and does beside TCP on the same port; or
        ``tls``.
    :ivar certificate: for ``tls``, which then is the transport to the collector too: what the relay shows and trusts.
    :ivar options: more of hfp's.
    :ivar without_tls: hfp runs as where its extra for TLS is not installed: Twisted imports OpenSSL whenever it can,
        which takes 12 MB.
    """

    transport: str = "tcp"
    certificate: Path | None = None
    options: tuple[str, ...] = ()
    without_tls: bool = False


PLAIN = Setup()
"""From TCP to TCP."""


def _twistd() -> Path:
    return Path(sys.executable).with_name("twistd")


def haproxy_program() -> str | None:
    """Where haproxy is; ``None`` when it is not installed."""
    return shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def _environment(*before: Path) -> dict[str, str]:
    """
    Ours, with hfp importable from the checkout, and compiled modules kept as they are in any installation.

    :param before: where modules are looked for first.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONPATH": os.pathsep.join(map(str, [*before, _ROOT]))}


def _hide_tls(directory: Path) -> Path:
    """Where to look for modules first so that pyOpenSSL cannot be imported."""
    hidden = directory / "hidden"
    hidden.mkdir(exist_ok=True)
    (hidden / "OpenSSL.py").write_text("raise ModuleNotFoundError('hidden by the bench')\n")
    return hidden


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
    setup: Setup = PLAIN,
    layout: Layout = APART,
    metrics_port: int | None = None,
) -> Child:
    """
    Start a relay from one port to another; it need not be ready yet on return.

    :param relay: :data:`~bench.figures.HFP` or :data:`~bench.figures.HAPROXY`.
    :param directory: for its files; hfp's spool in it is used if there is one.
    :param metrics_port: where hfp serves its metrics; ``None``: nowhere.
    """
    directory.mkdir(exist_ok=True)
    make = _hfp_command if relay == HFP else _haproxy_command
    command = make(setup, directory, listen_port, collector_port, metrics_port)
    environment = _environment(*([_hide_tls(directory)] if setup.without_tls else []))
    return Child(relay, command, layout.relay, directory / "log", directory, environment)


def _hfp_command(
    setup: Setup, directory: Path, listen_port: int, collector_port: int, metrics_port: int | None
) -> list[str]:
    pem = setup.certificate
    if pem:
        senders = [f"tls:{listen_port}:privateKey={pem}:certKey={pem}"]
        remote = f"tls:127.0.0.1:{collector_port}:caFile={pem}"
    else:
        senders, remote = [f"tcp:{listen_port}"], f"tcp:127.0.0.1:{collector_port}"
    if setup.transport == "udp":
        senders.insert(0, f"udp:{listen_port}")  # first: whoever can connect finds it open as well
    command = [str(_twistd()), "-n", "--pidfile=", "hfp"]
    command += ["--max-connections", "10000", "--max-connections-per-host", "10000"]
    for sender in senders:
        command += ["--listen", f"{sender}:interface=127.0.0.1"]
    command += ["--remote", remote, "--spool", str(directory / "spool")]
    return [*command, "--prom", f"tcp:{metrics_port}:interface=127.0.0.1" if metrics_port else "off", *setup.options]


def _haproxy_command(
    setup: Setup, directory: Path, listen_port: int, collector_port: int, _metrics_port: int | None
) -> list[str]:
    if setup.transport == "udp" or setup.options:
        raise BenchError("haproxy cannot do that")
    pem = setup.certificate
    configuration = directory / "haproxy.cfg"
    configuration.write_text(
        _HAPROXY_CONFIGURATION.format(
            listen_port=listen_port,
            collector_port=collector_port,
            bind_tls=f"ssl crt {pem}" if pem else "",
            server_tls=f"ssl verify required ca-file {pem}" if pem else "",
        )
    )
    return [str(haproxy_program()), "-db", "-f", str(configuration)]


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
