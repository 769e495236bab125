"""
Tests for what users install: a wheel and an editable install, each in a virtual environment of its own, each used from
another directory.  They need pip's usual package index, or what ``PIP_*`` variables name instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import hfp
from hfp import __version__

CHECKOUT = Path(hfp.__file__).resolve().parents[1]
SOURCES = ("hfp", "twisted", "setup.cfg", "pyproject.toml", "MANIFEST.in", "README.rst", "LICENSE")

#: Seconds for one command; installing takes some, where the network is slow.
WITHIN_S = 300

FIND_PLUGIN = """
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
print([plugin.name for plugin in getPlugins(IServiceMaker) if plugin.tapname == "hfp"])
"""

#: Runs the relay with the example between a sender and a collector, and says how many of two calls came through.
RELAY_THROUGH_EXAMPLE = """
import os, signal, socket, subprocess, sys, time
from hfp.testing import make_packet, make_sip
collector = socket.create_server(("127.0.0.1", 0))
collector.settimeout(60)
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
command = [twistd, "-n", "--pidfile=", "hfp", "-l", f"127.0.0.1:{port}", "--prom", "off", "--spool", "spool-example"]
command += ["-r", "127.0.0.1:%d" % collector.getsockname()[1], "--filter", "example:prefix=+49"]
relay = subprocess.Popen(command, stdout=subprocess.DEVNULL)
calls = [make_packet(payload=make_sip(headers={"From": f"<sip:{number}@example.com>", "To": "<sip:0@example.com>"}))
         for number in ("+4420123", "+4930123")]
connection, _ = collector.accept()
connection.settimeout(60)
with socket.create_connection(("127.0.0.1", port), 60) as sender:
    sender.sendall(b"".join(calls))
    arrived = b""
    while len(arrived) < len(calls[1]):
        arrived += connection.recv(65536)
relay.send_signal(signal.SIGTERM)
while octets := connection.recv(65536):
    arrived += octets
connection.close()
relay.wait(60)
print("1 of 2" if arrived == calls[1] else f"{len(arrived)} octets")
"""


def checkout() -> Path:
    """The checkout that these tests run from."""
    if not (CHECKOUT / "setup.cfg").exists():
        raise SkipTest("hfp is installed from a wheel, and there is no checkout to package")
    return CHECKOUT


class InstalledTests(SynchronousTestCase):
    """hfp as it is installed."""

    def setUp(self) -> None:
        source = checkout()
        base = Path(self.mktemp()).absolute()
        # A copy, so that building leaves nothing in the checkout.
        self.source = base / "source"
        self.source.mkdir(parents=True)
        ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "dropin.cache", "*.egg-info")
        for name in SOURCES:
            if (source / name).is_dir():
                shutil.copytree(source / name, self.source / name, ignore=ignore)
            else:
                shutil.copy(source / name, self.source / name)
        self.elsewhere = base / "elsewhere"
        self.elsewhere.mkdir()
        self.bin = base / "venv" / "bin"
        self.run_command(sys.executable, "-m", "venv", str(base / "venv"))

    def run_command(self, *command: str) -> str:
        """Run a command in a directory that has nothing to do with hfp; what it printed."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            command,
            check=False,
            cwd=self.elsewhere,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WITHIN_S,
        )
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}\n{done.stdout}")
        return done.stdout

    def run_here(self, program: str, *arguments: str) -> str:
        """Run a program of the virtual environment."""
        return self.run_command(str(self.bin / program), *arguments)

    def pip(self, *arguments: str) -> None:
        """Run the virtual environment's pip."""
        self.run_here("python", "-m", "pip", "--disable-pip-version-check", *arguments)

    def assert_works(self) -> None:
        """Twisted finds the plugin, and its command answers."""
        self.assertEqual(self.run_here("python", "-c", FIND_PLUGIN), "['hfp']\n")
        self.assertIn("--remote SPEC", self.run_here("twistd", "hfp", "--help"))
        self.assertIn(f"hfp {__version__}, Twisted ", self.run_here("twistd", "hfp", "--version"))

    def test_wheel(self) -> None:
        """A wheel holds all that is needed, the tests included, and nothing more."""
        self.pip("wheel", "--no-deps", "--wheel-dir", str(self.elsewhere), str(self.source))
        (wheel,) = self.elsewhere.glob("hfp-*.whl")
        with ZipFile(wheel) as archive:
            names = {name for name in archive.namelist() if ".dist-info/" not in name}
        expected = {
            path.relative_to(self.source).as_posix()
            for folder in ("hfp", "twisted")
            for path in (self.source / folder).rglob("*.py")
        }
        self.assertEqual(names, expected | {"hfp/py.typed"})
        self.pip("install", str(wheel))
        self.assert_works()
        self.assert_no_tls()
        self.assert_third_party_filter()
        self.pip("install", f"{wheel}[test]")
        tests = "hfp.test.test_options", "hfp.test.test_metrics", "hfp.test.test_layout"
        self.assertIn("PASSED", self.run_here("trial", *tests))

    def assert_no_tls(self) -> None:
        """Without the extra everything but TLS works, and one line says how to get it."""
        command = [str(self.bin / "twistd"), "-n", "hfp", "-r", "tls:192.0.2.1:9060", "-l", "tcp:0", "--prom", "off"]
        done = subprocess.run(
            command, check=False, cwd=self.elsewhere, capture_output=True, text=True, timeout=WITHIN_S
        )
        self.assertNotEqual(done.returncode, 0)
        line = "hfp: --remote tls:192.0.2.1:9060: TLS needs the extra; install it with: pip install 'hfp[tls]'"
        self.assertEqual(done.stderr.splitlines()[-1:], [line])

    def assert_third_party_filter(self) -> None:
        """The example of a filter in a package of its own works beside the wheel, and its tests pass."""
        example = self.elsewhere.parent / "example"
        ignore = shutil.ignore_patterns("build", "__pycache__", "dropin.cache", "*.egg-info")
        shutil.copytree(checkout() / "examples" / "hfp-filter-example", example, ignore=ignore)
        self.assertNotIn("\nexample ", self.run_here("twistd", "hfp", "--help-filters"))
        self.pip("install", str(example))
        self.assertIn("\nexample ", self.run_here("twistd", "hfp", "--help-filters"))
        self.assertIn("PASSED", self.run_here("trial", str(example / "tests" / "test_example.py")))
        self.assertIn("1 of 2", self.run_here("python", "-c", RELAY_THROUGH_EXAMPLE))

    def test_editable(self) -> None:
        """An editable install finds the plugin too, and follows the sources."""
        self.pip("install", "--editable", str(self.source))
        self.assert_works()
        package = self.source / "hfp" / "__init__.py"
        package.write_text(package.read_text().replace(f'"{__version__}"', '"9.9.9"'))
        self.assertIn("hfp 9.9.9, Twisted ", self.run_here("twistd", "hfp", "--version"))


class SummaryTests(SynchronousTestCase):
    """The last line of what CI prints, and its exit status."""

    def summary(self, printed: str, status: int = 0) -> tuple[str, int]:
        """The line and the status that follow from what trial printed."""
        script = checkout() / ".ci" / "summary"
        done = subprocess.run(
            [sys.executable, str(script), str(status)],
            check=False,
            input=printed,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
        )
        return done.stdout, done.returncode

    def test_counts(self) -> None:
        """Trial's counts in our words; what was expected to fail has passed."""
        for printed, status, line, ends in (
            ("Ran 3 tests in 0.1s\n\nPASSED (successes=3)\n", 0, "3 passed, 0 failed, 0 skipped\n", 0),
            ("PASSED (skips=2, expectedFailures=1, successes=3)\n", 0, "4 passed, 0 failed, 2 skipped\n", 0),
            (
                "FAILED (skips=1, failures=2, errors=3, unexpectedSuccesses=1, successes=9)\nmake: *** Error 1\n",
                2,
                "9 passed, 6 failed, 1 skipped\n",
                2,
            ),
        ):
            self.assertEqual(self.summary(printed, status), (line, ends))

    def test_never_green_by_accident(self) -> None:
        """It fails when make did, when tests did, and when no test was run."""
        self.assertEqual(self.summary("PASSED (successes=3)\n", 2), ("3 passed, 1 failed, 0 skipped\n", 2))
        self.assertEqual(self.summary("FAILED (errors=1, successes=2)\n", 0), ("2 passed, 1 failed, 0 skipped\n", 1))
        self.assertEqual(self.summary("PASSED\n", 0), ("0 passed, 1 failed, 0 skipped\n", 1))
        self.assertEqual(self.summary("pip cannot reach the network\n", 2), ("0 passed, 1 failed, 0 skipped\n", 2))
        self.assertEqual(self.summary("FAILED (errors=1)\n", 2), ("0 passed, 1 failed, 0 skipped\n", 2))
        self.assertEqual(self.summary("", 0), ("0 passed, 1 failed, 0 skipped\n", 1))
