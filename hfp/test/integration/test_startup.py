"""
What hfp says when it cannot start: one clear line that names the option, the value and the cure; never a traceback.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SkipTest

from hfp.options import OPTIONS
from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import HOST, Program, environment, free_port, is_root, twistd

_USUAL = {
    "--listen": f"tcp:0:interface={HOST}",
    "--remote": "tcp:127.0.0.1:9",
    "--spool": "spool",
    "--prom": "off",
}


class StartupErrorTests(ProcessTestCase):
    """hfp with something wrong in its command line or around it."""

    timeout = 30.0

    def refusal(self, *more: str, changed: Mapping[str, str | None] | None = None, prefix: tuple[str, ...] = ()) -> str:
        """
        What hfp says when it refuses to start, without twistd's own lines around it.

        :param more: arguments behind the usual ones.
        :param changed: other values for the usual options; ``None`` leaves one out.
        """
        options = {**_USUAL, **(changed or {})}
        given = [word for option, value in options.items() if value is not None for word in (option, value)]
        command = [*prefix, *twistd(), "-n", "--pidfile=", "hfp", *given, *more]
        try:
            done = subprocess.run(
                command,
                check=False,
                cwd=self.directory,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=15,
                text=True,
            )
        except subprocess.TimeoutExpired as expired:
            self.fail(f"it started: {expired.stdout!r}")
        self.assertGreater(done.returncode, 0, done.stdout)
        self.assertNotIn("Traceback", done.stdout)
        self.assertNotIn("Unhandled", done.stdout)
        return done.stdout

    def assert_one_line(self, said: str, option: str, value: str) -> None:
        """Exactly one line names both, and it says more than that."""
        lines = [line for line in said.splitlines() if option in line and value in line]
        self.assertEqual(len(lines), 1, f"lines with {option} and {value!r} in:\n{said}")
        self.assertGreater(len(lines[0]), len(option) + len(value) + 15, "the cure is missing")

    def test_unknown_option(self) -> None:
        """An option that there is not."""
        self.assertIn("--remotes", self.refusal("--remotes", "x:1"))

    def test_surplus_argument(self) -> None:
        """A word that belongs to no option."""
        self.assertIn("homer.example", self.refusal("homer.example:9060"))

    def test_no_remote(self) -> None:
        """``--remote`` is required."""
        self.assertIn("--remote", self.refusal(changed={"--remote": None}))

    def test_wrong_values(self) -> None:
        """Each option with values that it cannot take."""
        for option, value in [
            ("--listen", "tcp:http"),
            ("--listen", "tcp:70000"),
            ("--listen", "sctp:9060:interface=127.0.0.1"),
            ("--remote", "homer.example"),
            ("--remote", "homer.example:70000"),
            ("--remote", "tls:h:1:ca=x"),
            ("--protocol", "sctp"),
            ("--allow", "homer.example"),
            ("--auth-key-file", "/nowhere/key"),
            ("--hello-key-file", "/nowhere/key"),
            ("--max-connections", "0"),
            ("--packet-deadline", "0"),
            ("--convert", "maybe"),
            ("--hepdecode", "maybe"),
            ("--filter", "nosuchfilter"),
            ("--filter", "ip:src=nowhere"),
            ("--filter-errors", "maybe"),
            ("--ipf", "homer.example"),
            ("--ipfa", "maybe"),
            ("--spool-limit", "lots"),
            ("--maxbuffer", "10XB"),
            ("--spool-full", "drop-all"),
            ("--sync", "nan"),
            ("--resend-window", "-2"),
            ("--replay-rate", "fast"),
            ("--reconnect", "never"),
            ("--keepalive", "-1"),
            ("--prom", "tcp:99999"),
            ("--debug", "maybe"),
            ("--forget", "homer.example"),
        ]:
            said = self.refusal(changed={option: value}) if option in _USUAL else self.refusal(option, value)
            self.assert_one_line(said, option, value)
            self.assertEqual(len(said.splitlines()), 1, said)

    def test_tls_files(self) -> None:
        """Files of TLS that are not there are named, with the option and the address."""
        for option, value, address in [
            ("--remote", "tls:h:1:caFile=/nowhere.pem", "tls:h:1"),
            ("--listen", "tls:0:privateKey=/nowhere.pem:certKey=/nowhere.pem", "tls:0"),
        ]:
            said = self.refusal(changed={option: value})
            self.assert_one_line(said, option, address)
            self.assert_one_line(said, option, "/nowhere.pem")

    def test_spool_is_a_file(self) -> None:
        """A file where the spool's directory should be."""
        (self.directory / "spool").write_text("no directory")
        self.assert_one_line(self.refusal(), "--spool", "spool")

    def test_spool_is_not_writable(self) -> None:
        """A directory that belongs to somebody else."""
        locked = self.directory / "locked"
        locked.mkdir(mode=0o755)
        prefix: tuple[str, ...] = ()
        if is_root():
            if shutil.which("setpriv") is None:
                raise SkipTest("needs setpriv to run without root's rights")
            prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
            probe = [*prefix, *twistd(), "--version"]
            if subprocess.run(probe, check=False, cwd="/", env=environment(), capture_output=True).returncode:
                raise SkipTest("another user cannot run twistd from here")
        else:
            locked.chmod(0o555)
        try:
            said = self.refusal(changed={"--spool": str(locked / "spool")}, prefix=prefix)
        finally:
            locked.chmod(0o755)
        self.assert_one_line(said, "--spool", str(locked / "spool"))

    def test_spool_is_on_a_read_only_file_system(self) -> None:
        """Nobody may write there, root neither."""
        if not Path("/proc/self").exists():
            raise SkipTest("needs /proc")
        self.assert_one_line(self.refusal(changed={"--spool": "/proc/hfp-spool"}), "--spool", "/proc/hfp-spool")

    def test_spool_is_in_use(self) -> None:
        """Another hfp has this spool; it is none the worse."""
        relay = self.relay("tcp:127.0.0.1:9")
        self.assert_one_line(self.refusal(changed={"--spool": str(relay.spool)}), "--spool", str(relay.spool))
        self.send(relay, count=10)

    def test_port_is_in_use(self) -> None:
        """Somebody listens there already."""
        with socket.create_server((HOST, free_port())) as other:
            port = str(other.getsockname()[1])
            spec = f"tcp:{port}:interface={HOST}"
            self.assert_one_line(self.refusal(changed={"--listen": spec}), "--listen", port)
            self.assert_one_line(self.refusal(changed={"--prom": spec}), "--prom", port)

    def test_the_same_port_twice(self) -> None:
        """``--listen`` and ``--prom`` cannot both have it."""
        spec = f"tcp:{free_port()}:interface={HOST}"
        self.assert_one_line(self.refusal(changed={"--listen": spec, "--prom": spec}), "--prom", spec.split(":")[1])

    def test_address_is_not_ours(self) -> None:
        """An interface of another machine."""
        said = self.refusal(changed={"--listen": f"tcp:{free_port()}:interface=192.0.2.1"})
        self.assert_one_line(said, "--listen", "192.0.2.1")


class StartTests(ProcessTestCase):
    """hfp that does start."""

    def test_ready_within_a_second_or_so(self) -> None:
        """It accepts connections soon after its start, a large spool or not."""
        relay = self.relay("tcp:127.0.0.1:9", start=False)
        relay.start()
        self.until(relay.accepting, 5, "it accepts")
        self.send(relay, count=60_000, mix="4000", per_write=10)
        relay.kill()
        began = time.monotonic()
        relay.start()
        self.until(relay.accepting, 5, "it accepts")
        # 1 s is what is promised for a quiet machine; here others are at work.
        self.assertLess(time.monotonic() - began, 3)

    def test_version_and_help(self) -> None:
        """``--version`` names hfp's, Twisted's and Python's; ``--help`` names every option."""
        program = Program("version", [*twistd(), "hfp", "--version"], self.directory)
        program.start()
        self.assertEqual(program.wait(15), 0)
        for word in ("hfp", "Twisted", "Python"):
            self.assertIn(word, program.log())
        program = Program("help", [*twistd(), "hfp", "--help"], self.directory)
        program.start()
        self.assertEqual(program.wait(15), 0)
        for option in OPTIONS:
            self.assertIn(f"--{option.name}", program.log())

    def test_several_listening_ports_and_short_forms(self) -> None:
        """``-l :PORT`` and ``-r HOST:PORT``, and more than one port."""
        collector = self.collector()
        second, third = free_port(), free_port()
        relay = self.relay(
            f"{HOST}:{collector.port}", options=["-l", f"{HOST}:{second}", "-l", f":{third}", "--maxbuffer", "100MB"]
        )
        sent: dict[int, int] = {}
        for agent, port in enumerate((relay.port, second, third), 1):
            sent |= self.sender(port, f"sender-{agent}", id=agent, count=1_000).finish(10)
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent)

    def test_debug_tells_more(self) -> None:
        """``--debug on`` logs what is else left out."""
        relay = self.relay("tcp:127.0.0.1:9", name="quiet")
        quiet = len(relay.log())
        relay = self.relay("tcp:127.0.0.1:9", name="talking", options=["--debug", "on"])
        self.until(lambda: len(relay.log()) > quiet + 40, 5, "it says more")

    def test_prom_off(self) -> None:
        """``--prom off`` listens for no scrape; the option stands behind the usual one and wins."""
        relay = self.relay("tcp:127.0.0.1:9", options=["--prom", "off"])
        with self.assertRaises(OSError):
            relay.scrape()

    def test_spool_in_the_working_directory(self) -> None:
        """Without ``--spool`` it is ``hfp-spool``, for nobody else to read."""
        port = free_port()
        command = [*twistd(), "-n", "--pidfile=", "hfp", "-l", f"{HOST}:{port}", "-r", "127.0.0.1:9", "--prom", "off"]
        program = Program("hfp", command, self.directory)
        self._programs.append(program)
        program.start()
        spool = self.directory / "hfp-spool"
        self.until(lambda: program.ended() is not None or any(spool.glob("*")), 10, "there is a spool")
        self.assertIsNone(program.ended(), program.log())
        self.assertEqual(spool.stat().st_mode & 0o777, 0o700)
        for path in spool.rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)
        self.assertEqual(os.listdir(self.directory).count("twistd.pid"), 0)
