"""
Real telephony programs, for tests with them: Kamailio as SIP proxy and as HEP receiver, sipp, sngrep, rtpengine.

None belongs to the project; a test is skipped where its programs are missing (:func:`needs`).  All are bound to
127.0.0.1 or ::1 and to free ports, and end with the test.  What they are told is in ``configurations``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from twisted.trial.unittest import SkipTest

from hfp.test.integration import configurations
from hfp.test.integration.programs import HOST, Peer, Program, free_port

_PACKAGES = {
    "kamailio": "kamailio",
    "sipp": "sip-tester",
    "sngrep": "sngrep",
    "rtpengine": "rtpengine-daemon",
}
_MODULE_PACKAGES = {"tls.so": "kamailio-tls-modules", "sipcapture.so": "kamailio-extra-modules"}
#: What a trace says of one message, as far as sipp can tell: from where to where, and the message.
Traced = tuple[tuple[str, int, str, int], bytes]

_MODULES = ("/usr/lib/*/kamailio/modules", "/usr/lib*/kamailio/modules", "/usr/local/lib*/kamailio/modules")


def where(name: str) -> str | None:
    """The path of a program, if it is here."""
    # Debian has Kamailio where only root's PATH looks.
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def needs(*programs: str, modules: Iterable[str] = ()) -> None:
    """
    Skip the test unless these are here.

    :param modules: of Kamailio.
    :raises SkipTest: with what to install.
    """
    for name in programs:
        if where(name) is None:
            raise SkipTest(f"needs {name} (Debian: {_PACKAGES[name]})")
    for module in modules:
        if not any(found for pattern in _MODULES for found in Path("/").glob(f"{pattern[1:]}/{module}")):
            raise SkipTest(f"needs Kamailio's {module} (Debian: {_MODULE_PACKAGES.get(module, 'kamailio')})")


def is_bound(kind: str, port: int) -> bool:
    """Whether a program of this machine listens on this port: ``tcp`` or ``udp``, IPv4 or IPv6."""
    # The first lines of both files are headings.  0A: listening; a UDP socket has no such state.
    for family in ("", "6"):
        for line in Path(f"/proc/net/{kind}{family}").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port and (kind == "udp" or fields[3] == "0A"):
                return True
    return False


class Kamailio(Program):
    """
    Kamailio with one of our configurations; it is several processes, which end together.

    :ivar port: where it listens, UDP and TCP.
    """

    # When the tests are killed it has to end its children, which it cannot when it is killed itself.
    death_signal = signal.SIGTERM

    def __init__(self, name: str, directory: Path, configuration: str, port: int) -> None:
        self.port = port
        here = directory / f"{name}-run"
        here.mkdir()
        file = here / "kamailio.cfg"
        file.write_text(configuration)
        command = [where("kamailio") or "kamailio", "-DD", "-E", "-f", str(file), "-P", str(here / "pid")]
        super().__init__(name, [*command, "-Y", str(here), "-m", "32", "-M", "8"], directory)

    def ready(self) -> bool:
        """Whether it listens."""
        assert self.ended() is None, f"{self.name} ended with {self.ended()} at its start:\n{self.log()[-3000:]}"
        return is_bound("udp", self.port) and is_bound("tcp", self.port)

    def kill(self) -> None:
        """SIGKILL to all its processes, and wait for their end."""
        if self.process is not None:
            self.should_run = False
            os.killpg(self.pid, signal.SIGKILL)
            self.wait(10)

    def freeze(self) -> None:
        """Have none of its processes read any more; the kernel takes what comes for them."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        os.killpg(self.pid, signal.SIGCONT)


class Proxy(Kamailio):
    """
    Kamailio as SIP proxy that traces with HEP.

    :param collector: the port that it sends HEP to, on its own address.
    :param answering: where calls go: ADDRESS:PORT.
    :param version: of HEP.
    :param transport: of HEP: ``udp``, ``tcp`` or ``tls``.
    :param tls: what `configurations.tls` makes.
    """

    def __init__(
        self,
        directory: Path,
        *,
        collector: int,
        answering: str,
        version: int,
        transport: str = "udp",
        agent: int,
        host: str = HOST,
        tls: str = "",
    ) -> None:
        port = free_port()
        configuration = configurations.PROXY.format(
            host=bracketed(host),
            port=port,
            tls=tls,
            collector=collector,
            answering=answering,
            version=version,
            transport=transport,
            agent=agent,
        )
        super().__init__("kamailio", directory, configuration, port)


class Receiver(Kamailio):
    """Kamailio as receiver of HEP 3, which logs what it takes."""

    def __init__(self, directory: Path, *, host: str = HOST, tls: str = "") -> None:
        port = free_port()
        tables = directory / "hep-tables"
        tables.mkdir()
        (tables / "version").write_text("table_name(string) table_version(int)\n")
        configuration = configurations.RECEIVER.format(host=bracketed(host), port=port, tls=tls, directory=tables)
        super().__init__("receiver", directory, configuration, port)

    def taken(self) -> list[Mapping[str, str]]:
        """What it says of each packet that all its lives have taken, in their order."""
        lines = self.log().split("\n")[:-1]
        return [
            dict(word.split("=", 1) for word in line.partition("HEPRX ")[2].split())
            for line in lines
            if "HEPRX " in line
        ]

    def refused(self) -> list[str]:
        """What it took for something else."""
        return [line for line in self.log().splitlines() if "NOTHEP" in line]


class Sipp(Program):
    """
    sipp, one side of calls.

    :ivar address: its own, ADDRESS:PORT.
    :ivar messages: the file with all that it sent and received.
    """

    def __init__(
        self, name: str, directory: Path, scenario: str, *arguments: str, calls: int, host: str = HOST
    ) -> None:
        file = directory / f"{name}.xml"
        file.write_text(scenario)
        self.messages = directory / f"{name}.messages"
        self.host, self.port = host, free_port()
        self.address = f"{bracketed(host)}:{self.port}"
        command = [where("sipp") or "sipp", *arguments, "-nostdin", "-skip_rlimit", "-sf", str(file)]
        command += ["-i", host, "-bind_local", "-p", str(self.port), "-m", str(calls), "-mp", str(free_port()), "-nd"]
        command += ["-trace_msg", "-message_file", str(self.messages), "-trace_err"]
        super().__init__(name, command, directory)

    _HEAD = re.compile(rb"-{47} (\S+ \S+)\n(?:UDP|TCP) message (sent|received) [\[(](\d+)\]? bytes\)? ?:\n\n")

    def saw(self) -> list[tuple[bool, bytes]]:
        """Each message, and whether this side sent it."""
        octets = self.messages.read_bytes()
        return [
            (head[2] == b"sent", octets[head.end() : head.end() + int(head[3])]) for head in self._HEAD.finditer(octets)
        ]

    def saw_as_traced(self, host: str, port: int) -> Counter[Traced]:
        """The messages with the ends that a trace of the proxy at this address shows."""
        ours, its = (self.host, self.port), (host, port)
        return Counter(((*ours, *its) if sent else (*its, *ours), message) for sent, message in self.saw())


class Tap(Peer):
    """What stands between a program and hfp and writes down what passes; see ``hfp/test/peers/tap.py``."""

    def __init__(self, directory: Path, kind: str, to: int) -> None:
        self.port = free_port()
        self.record = directory / "tap.record"
        self.back = directory / "tap.record.back"
        command = [sys.executable, "-m", "hfp.test.peers.tap", "--kind", kind, "--listen", str(self.port)]
        super().__init__("tap", [*command, "--to", str(to), "--record", str(self.record)], directory)

    def ready(self) -> bool:
        """Whether it listens."""
        return "listening" in self.lines()


def sngrep(*arguments: str) -> list[str]:
    """The command line of an sngrep without a screen."""
    return ["env", "TERM=xterm", where("sngrep") or "sngrep", "-N", "-q", *arguments]


def run(command: list[str], directory: Path, within_s: float) -> str:
    """Run a program to its end; what it said."""
    done = subprocess.run(
        command,
        check=False,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=within_s,
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{said[-2000:]}"
    return said


def bracketed(host: str) -> str:
    """An address as SIP URIs have it."""
    return f"[{host}]" if ":" in host else host
