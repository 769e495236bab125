"""Tests for `hfp.secrets`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hfp.errors import UsageProblem
from hfp.secrets import Secret, given_key, key_file, secret_places

OPTIONS = ("--auth-key", "--hello-key", "--hp")


class SecretTests(SynchronousTestCase):
    """Keys, given or in a file."""

    def file(self, content: bytes, mode: int = 0o600) -> str:
        path = str(self.mktemp())
        Path(path).write_bytes(content)
        os.chmod(path, mode)
        return path

    def test_given(self) -> None:
        """A key that was given is itself, whatever octets it has, and does not show."""
        secret = given_key("--auth-key")("hush\udcff")
        self.assertEqual(secret.read(), [b"hush\xff"])
        self.assertNotIn("hush", repr(secret))
        self.assertFalse(secret.exposed)

    def test_file(self) -> None:
        """Each line of a file that is not empty is a key; blanks belong to it."""
        secret = key_file("--auth-key-file")(self.file(b"one\n\n two \r\nthree"))
        self.assertEqual(secret.read(), [b"one", b" two ", b"three"])

    def test_unusable(self) -> None:
        """A file that is not there or holds nothing is refused with option, path and cure."""
        for path, reason in (
            ("/nowhere/key", "cannot be read (No such file"),
            (self.file(b"\n\n"), "holds no key; write"),
        ):
            problem = self.assertRaises(UsageProblem, key_file("--auth-key-file")(path).read)
            self.assertTrue(str(problem).startswith(f"--auth-key-file {path}: {reason}"), problem)

    def test_exposed(self) -> None:
        """A file that everybody may read is told from one that only its owner and group may."""
        self.assertTrue(Secret("", path=self.file(b"a", 0o644)).exposed)
        self.assertFalse(Secret("", path=self.file(b"a", 0o640)).exposed)

    def test_empty(self) -> None:
        """Empty values are refused."""
        for make in (given_key, key_file):
            self.assertRaises(ValueError, make("--auth-key"), "")


class ConcealTests(SynchronousTestCase):
    """Keys on the command line."""

    def test_places(self) -> None:
        """Every spelling that getopt takes is found, and nothing else."""
        for line, secrets in (
            (b"twistd\0hfp\0--auth-key\0hush\0-r\0a:1\0", [b"hush"]),
            (b"twistd\0hfp\0--auth-key=hush\0--hp\0sh\0", [b"hush", b"sh"]),
            (b"--auth-k\0hush\0--hello-key=\0", [b"hush", b""]),
            (b"--auth-key-file\0/path\0--auth-keyring\0a\0", []),
            (b"--auth-key\0--hello-key\0b\0", [b"--hello-key"]),
            (b"--auth-key\0", [b""]),
            (b"", []),
        ):
            found = [line[at : at + length] for at, length in secret_places(line, OPTIONS)]
            self.assertEqual(found, secrets, line)

    def test_process_list(self) -> None:
        """A process that conceals its arguments shows x in their place, and still knows them itself."""
        if not os.path.exists("/proc/self/cmdline"):
            raise SkipTest("no /proc here")
        script = (
            "import sys; from hfp.secrets import conceal_arguments; n = conceal_arguments(['--auth-key']);"
            "print(n, sys.argv[-1], open('/proc/self/cmdline').read().split(chr(0))[-2])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, "--auth-key", "hush"],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
        self.assertEqual(done.stdout.split(), ["1", "hush", "xxxx"], done.stderr)
