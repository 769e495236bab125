"""
The programs of the tests and of the demonstration, as real processes: hfp, collectors and senders.

Each :class:`Program` can be started, killed, waited for and started again.  Each process is in a session of its own and
dies when the process that started it does, however that ends.  Who starts one kills it: ``harness`` does so for tests.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import hfp
from hfp.test.peers.ledger import Event, Reading
from hfp.test.peers.traffic import Traffic

HOST = "127.0.0.1"

_POLL_S = 0.02

# Below the range of ports that the kernel gives to outgoing connections, so that none of those takes a port
# between the moment when it is found free and the one when it is listened on.
# Each once, in an order of its own for each process that runs tests: two programs of one test never get the same.
_PORTS = range(20_000, 32_000)
_ports = cycle(random.sample(_PORTS, len(_PORTS)))

#: What must never stand in a log.
TRACEBACK = "Traceback (most recent call last)"

_PR_SET_PDEATHSIG = 1

#: The state of a connection, as ``/proc/net/tcp`` writes it.
_ESTABLISHED = "01"

_libc = ctypes.CDLL(None, use_errno=True)

#: The directory that the ``hfp`` package is imported from: a checkout, or where it is installed.
ROOT = Path(hfp.__file__).resolve().parent.parent


def free_port() -> int:
    """A port that nobody listens on, neither TCP nor UDP, and that was not given before."""
    for port in islice(_ports, 100):
        with socket.socket() as probe, socket.socket(type=socket.SOCK_DGRAM) as other:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
                other.bind(("", port))
            except OSError:
                continue
        return port
    raise OSError("no free port found")


def octets_underway(port: int) -> int:
    """
    Of the connections to this port on this machine: octets written by one side and not yet read by the other.

    Both ends are of this machine, so they are in the queues that ``/proc/net/tcp`` shows: not acknowledged at the
    sending end, not read at the receiving end.
    """
    octets = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
        sending, receiving = (int(queue, 16) for queue in fields[4].split(":"))
        if fields[3] == _ESTABLISHED:
            octets += sending * (remote == port) + receiving * (local == port)
    return octets


def twistd() -> list[str]:
    """The command that runs the ``twistd`` of this interpreter."""
    beside = Path(sys.executable).parent / "twistd"
    if beside.exists():
        return [str(beside)]
    return [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


def environment() -> dict[str, str]:
    """This process's environment, with ``hfp`` importable from wherever this process imports it."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def is_root() -> bool:
    """Whether namespaces, mounts and other users' processes are ours to make."""
    return os.geteuid() == 0


def allow_descriptors(count: int) -> bool:
    """Raise this process's limit of open files, which its children inherit; whether there are that many now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count and (count <= hard or hard == resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
        soft = count
    return soft >= count


def _own_session(death_signal: int) -> None:
    # Runs in the child before exec.  With PDEATHSIG nothing outlives a test run that is itself killed.
    os.setsid()
    _libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)


class Program:
    """
    A program, and the processes that it has been so far: it can be killed and started again.

    :ivar said: the file that its standard output and error go to, of all its lives.
    :cvar death_signal: what it gets when the process that started it dies.
    """

    death_signal = signal.SIGKILL

    def __init__(self, name: str, command: Sequence[str], directory: Path) -> None:
        self.name = name
        self.command = list(command)
        self.directory = directory
        self.said = directory / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.should_run = False
        self._begin = 0

    def start(self) -> None:
        """One more life."""
        assert self.process is None, f"{self.name} runs already"
        self._begin = self.said.stat().st_size if self.said.exists() else 0
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                preexec_fn=partial(_own_session, self.death_signal),  # noqa: PLW1509  # no threads here, and nothing else sets PDEATHSIG
            )
        self.should_run = True

    @property
    def pid(self) -> int:
        """Of the present life."""
        assert self.process is not None, f"{self.name} does not run"
        return self.process.pid

    def signal(self, number: int) -> None:
        """Send a signal to the present life."""
        assert self.process is not None, f"{self.name} does not run"
        if number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
            self.should_run = False
        self.process.send_signal(number)

    def ended(self) -> int | None:
        """The exit status of the present life, negative for a signal; ``None`` while it runs."""
        return None if self.process is None else self.process.poll()

    def wait(self, within_s: float) -> int:
        """
        Wait for the end of the present life.

        :returns: its exit status, negative for a signal.
        :raises AssertionError: when it still runs after that long.
        """
        assert self.process is not None, f"{self.name} does not run"
        self.should_run = False
        try:
            status = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {within_s} s") from None
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None
        return status

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.wait(10)

    def log(self, *, all_lives: bool = True) -> str:
        """All that it said, or what it said in its present (or last) life."""
        try:
            with self.said.open("rb") as said:
                said.seek(0 if all_lives else self._begin)
                return said.read().decode(errors="replace")
        except FileNotFoundError:
            return ""


class Peer(Program):
    """One of our own peers, which takes orders on its standard input."""

    def lines(self) -> list[str]:
        """Whole lines of the present (or last) life."""
        return self.log(all_lives=False).split("\n")[:-1]

    def order(self, order: str, within_s: float = 5) -> str:
        """
        Give an order and wait until it is obeyed.

        :returns: the answer's rest.
        """
        assert self.process is not None and self.process.stdin is not None, f"{self.name} does not run"
        answered = sum(line.startswith(f"ok {order}") for line in self.lines())
        self.process.stdin.write(order.encode() + b"\n")
        self.process.stdin.flush()
        deadline = time.monotonic() + within_s
        while True:
            answers = [line for line in self.lines() if line.startswith(f"ok {order}")]
            if len(answers) > answered:
                return answers[-1][len(f"ok {order}") :].strip()
            assert time.monotonic() < deadline, f"{self.name} did not obey {order!r}: {self.lines()[-5:]}"
            time.sleep(_POLL_S / 4)


class Collector(Peer):
    """
    A collector, what all its lives have taken, and what they have recorded of it.

    :ivar reading: of its ledger; :meth:`update` it first.
    """

    #: Its program, and what stands before its address in ``--remote``.
    module = "hfp.test.peers.collector"
    kind = "tcp"

    def __init__(
        self,
        name: str,
        directory: Path,
        port: int,
        *,
        host: str = HOST,
        dump: bool = False,
        prefix: Sequence[str] = (),
        arguments: Sequence[str] = (),
    ) -> None:
        self.host, self.port = host, port
        ledger = directory / f"{name}.ledger"
        self.dumped = directory / f"{name}.dump"
        command = [*prefix, sys.executable, "-m", self.module, *arguments]
        listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        command += ["--listen", listen, "--ledger", str(ledger)]
        if dump:
            command += ["--dump", str(self.dumped)]
        super().__init__(name, command, directory)
        self.reading = Reading(ledger)

    @property
    def remote(self) -> str:
        """Its address as ``--remote`` takes it."""
        return f"{self.kind}:{HOST if self.host == '0.0.0.0' else self.host}:{self.port}"

    def listening(self) -> bool:
        """Whether the present life listens already."""
        return "listening" in self.lines()

    def arrived(self, agent: int | None = None) -> int:
        """How many different packets have arrived so far."""
        self.reading.update()
        return self.reading.arrived(agent)

    def connections(self) -> int:
        """How many connections all its lives have accepted."""
        self.reading.update()
        return self.reading.events[Event.OPENED]


class Sender(Peer):
    """A sender, and how many packets it has given to its sockets."""

    def __init__(self, name: str, directory: Path, port: int, **options: Any) -> None:
        command = [sys.executable, "-m", "hfp.test.peers.sender", "--to", f"{HOST}:{port}", "--orders"]
        for option, value in options.items():
            flag = "--" + option.replace("_", "-")
            command += [flag] if value is True else [flag, str(value)]
        super().__init__(name, command, directory)
        self.mean_size = Traffic(options.get("id", 1), str(options.get("mix", "calls"))).mean_size()

    def given(self) -> int:
        """As of its last line that said so, at most 0.1 s ago."""
        for line in reversed(self.lines()):
            words = line.split()
            if words and words[0] in ("given", "done"):
                return int(words[1])
        return 0

    def account(self) -> dict[int, int]:
        """Packets given by each sender, once it is done."""
        done = [line for line in self.lines() if line.startswith("done ")]
        assert done, f"{self.name} is not done: {self.lines()[-5:]}"
        return {int(agent): given for agent, given in json.loads(done[-1].split(" ", 2)[2]).items()}

    def finish(self, within_s: float) -> dict[int, int]:
        """Wait for its end, and see :meth:`account`."""
        status = self.wait(within_s)
        assert status == 0, f"{self.name} ended with {status}: {self.log()[-2000:]}"
        return self.account()


class Relay(Program):
    """
    hfp.

    :ivar port: where it listens.
    :ivar metrics_port: where its metrics are.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        remotes: Sequence[str],
        options: Sequence[str],
        *,
        port: int,
        spool: Path | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.port = port
        self.metrics_port = free_port()
        self.spool = spool or directory / f"{name}-spool"
        self._front = [*prefix, *twistd(), "-n", "--pidfile=", "hfp"]
        self.options = list(options)
        self.remotes = list(remotes)
        super().__init__(name, [], directory)

    def start(self) -> None:
        """One more life; its options and remotes may have changed since the last."""
        self.command = [*self._front, "--listen", f"tcp:{self.port}:interface={HOST}"]
        for remote in self.remotes:
            self.command += ["--remote", remote]
        self.command += ["--spool", str(self.spool), "--prom", f"tcp:{self.metrics_port}:interface={HOST}"]
        self.command += self.options
        super().start()

    def accepting(self) -> bool:
        """Whether it takes connections."""
        log = self.log(all_lives=False)
        assert self.ended() is None, f"{self.name} ended with {self.ended()} at its start:\n{log[-3000:]}"
        assert TRACEBACK not in log, f"{self.name} has a traceback at its start:\n{log[-3000:]}"
        # The metrics are the last to listen.
        ports = [self.port] if "off" in self.options else [self.port, self.metrics_port]
        try:
            for port in ports:
                socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self, within_s: float = 10) -> float:
        """
        SIGTERM, and wait for the end, which must be an orderly one.

        :returns: how long it took, seconds.
        """
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        status = self.wait(within_s)
        took = time.monotonic() - began
        log = self.log(all_lives=False)
        # When all is done twistd sends itself the signal that it was told to stop with.
        assert status in (0, -signal.SIGTERM), f"{self.name} ended with {status}:\n{log[-3000:]}"
        assert "Server Shut Down" in log, f"{self.name} did not shut down:\n{log[-3000:]}"
        return took

    def scrape(self) -> str:
        """The text of its metrics."""
        with urllib.request.urlopen(f"http://{HOST}:{self.metrics_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def metrics(self) -> Metrics:
        """Its metrics as of now."""
        return Metrics(self.scrape())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series of this name with these labels."""
        return self.metrics().sum(name, **labels)

    def received(self) -> int:
        """Packets that it has taken in the present life."""
        return int(self.metric("hfp_packets_received_total"))


class Metrics:
    """One scrape, in the text format of Prometheus."""

    _SERIES = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
    _LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text: str) -> None:
        self._series = [
            (match[1], dict(self._LABEL.findall(match[2] or "")), float(match[3]))
            for match in self._SERIES.finditer(text)
        ]

    def names(self) -> set[str]:
        """Of all series."""
        return {name for name, _, _ in self._series}

    def sum(self, name: str, **labels: str) -> float:
        """
        Of the series of this name with these labels.

        :raises AssertionError: if there is none.
        """
        found = [
            value
            for known, has, value in self._series
            if known == name and all(has.get(label) == wanted for label, wanted in labels.items())
        ]
        assert found, f"no series {name} {labels or ''} among {sorted(self.names())}"
        return sum(found)

    def by(self, name: str, label: str) -> dict[str, float]:
        """The values of one name by one of its labels, summed over the others."""
        values: dict[str, float] = {}
        for known, has, value in self._series:
            if known == name:
                values[has.get(label, "")] = values.get(has.get(label, ""), 0.0) + value
        return values
