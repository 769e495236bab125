"""Tests for `hfp.preflight`, on real directories and sockets: what the kernel answers is the point."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import Any, NoReturn

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

import hfp.preflight
from hfp.addresses import ListenSpec, RemoteSpec
from hfp.errors import HfpError, SpoolLocked, SpoolUnusable, UsageProblem
from hfp.options import Options
from hfp.preflight import preflight
from hfp.settings import Settings


class PreflightTests(SynchronousTestCase):
    """What the preflight finds, and what it leaves behind."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        options = Options()
        options.parseOptions(["-r", "homer.example:9060", "-l", "0", "--prom", "off"])
        self.settings = evolve(options.settings, spool=str(self.directory / "spool"))

    def refused(self, settings: Settings, error: type[HfpError]) -> str:
        """What the preflight says against these settings."""
        line = str(self.assertRaises(error, preflight, settings))
        self.assertNotIn("\n", line)
        self.assertIn("; ", line)
        return line

    def listening(self, host: str = "127.0.0.1") -> int:
        """A port on which somebody listens."""
        other = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.addCleanup(other.close)
        return int(other.getsockname()[1])

    def test_leaves_nothing(self) -> None:
        """A directory that is not there yet can be made, with those above it; none of them is there afterwards."""
        preflight(evolve(self.settings, spool=str(self.directory / "a" / "b" / "c")))
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_loop(self) -> None:
        """A remote that is one of our own listeners, by its address or by a name."""
        for host in ("127.0.0.1", "localhost", "0.0.0.0"):
            with socket.create_server(("127.0.0.1", 0)) as other:
                port = other.getsockname()[1]
            settings = evolve(
                self.settings, listen=(ListenSpec("tcp", port),), remotes=(RemoteSpec("tcp", host, port),)
            )
            line = self.refused(settings, UsageProblem)
            self.assertTrue(line.startswith(f"--remote tcp:{host}:{port}: is this hfp's own --listen tcp:{port}"), line)

    def test_existing_spool(self) -> None:
        """A spool from an earlier run is fine, and is left as it is."""
        spool = Path(self.settings.spool)
        spool.mkdir()
        (spool / "lock").touch()
        (spool / "identity").write_text("x")
        preflight(self.settings)
        self.assertEqual(sorted(path.name for path in spool.iterdir()), ["identity", "lock"])

    def test_spool_below_a_file(self) -> None:
        """A file stands where a directory should."""
        (self.directory / "spool").write_text("x")
        path = self.settings.spool
        line = self.refused(self.settings, SpoolUnusable)
        self.assertIn(f"--spool {path}: cannot be made ({path} is not a directory)", line)
        line = self.refused(evolve(self.settings, spool=path + "/deeper/still"), SpoolUnusable)
        self.assertIn(f"{path} is not a directory", line)

    def test_spool_cannot_be_made(self) -> None:
        """Where not even root may make a directory, none of those above it stays behind either."""
        line = self.refused(evolve(self.settings, spool="/proc/hfp-spool"), SpoolUnusable)
        self.assertIn("--spool /proc/hfp-spool: cannot be made", line)
        name_too_long = "x" * 300
        line = self.refused(evolve(self.settings, spool=str(self.directory / "a" / name_too_long)), SpoolUnusable)
        self.assertIn("File name too long", line)
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_spool_cannot_be_written(self) -> None:
        """A directory that exists, and takes no files."""
        line = self.refused(evolve(self.settings, spool="/proc/self"), SpoolUnusable)
        self.assertIn("--spool /proc/self: cannot be written", line)

    def test_full_disk(self) -> None:
        """A spool that is there already is opened on a full disk too, or it would never get empty; a new one is not."""

        def full(**_: Any) -> NoReturn:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(hfp.preflight, "TemporaryFile", full)
        line = self.refused(self.settings, SpoolUnusable)
        self.assertIn("cannot be written (No space left on device)", line)
        Path(self.settings.spool).mkdir()
        preflight(self.settings)

    def test_spool_in_use(self) -> None:
        """A spool that another process has locked; the lock is not disturbed."""
        spool = Path(self.settings.spool)
        spool.mkdir()
        with open(spool / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn(f"--spool {spool}: is in use by another process", self.refused(self.settings, SpoolLocked))
            self.refused(self.settings, SpoolLocked)
        preflight(self.settings)

    def test_port_in_use(self) -> None:
        """A port on which somebody listens, on this or on all interfaces, for senders or for Prometheus."""
        port = self.listening()
        line = self.refused(evolve(self.settings, listen=(ListenSpec("tcp", port),)), UsageProblem)
        self.assertIn(f"--listen tcp:{port}: the port is in use; choose another", line)
        line = self.refused(evolve(self.settings, prom=ListenSpec("tcp", port, "127.0.0.1")), UsageProblem)
        self.assertIn(f"--prom tcp:{port}:interface=127.0.0.1: the port is in use", line)

    def test_port_free_again(self) -> None:
        """A port whose old connections are in TIME_WAIT is free, and stays so while it is looked at."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as client:
                server.accept()[0].close()
                client.recv(1)
        spec = ListenSpec("tcp", port, "127.0.0.1")
        preflight(evolve(self.settings, listen=(spec,)))
        preflight(evolve(self.settings, listen=(spec,), prom=ListenSpec("tcp", 0)))

    def test_ipv6(self) -> None:
        """IPv6 addresses are looked at as such."""
        preflight(evolve(self.settings, listen=(ListenSpec("tcp", 0, "::1"),)))
        port = self.listening("::1")
        line = self.refused(evolve(self.settings, listen=(ListenSpec("tcp", port, "::1"),)), UsageProblem)
        self.assertIn(f"--listen tcp:{port}:interface=[::1]: the port is in use", line)

    test_ipv6.skip = None if os.path.exists("/proc/net/if_inet6") else "this machine has no IPv6"  # type: ignore[attr-defined]

    def test_address_of_another(self) -> None:
        """An address that this machine does not have."""
        line = self.refused(evolve(self.settings, listen=(ListenSpec("tcp", 0, "192.0.2.1"),)), UsageProblem)
        self.assertIn("--listen tcp:0:interface=192.0.2.1: this machine has no such address", line)

    def test_spool_left_out(self) -> None:
        """Where twistd changes root or user first, only the ports are looked at."""
        preflight(evolve(self.settings, spool="/proc/hfp-spool"), spool=False)
