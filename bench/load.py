"""The load generator and the collector in ``src/`` as Python objects: their sources say what each command means."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import attrs

from bench.build import Programs
from bench.children import Child
from bench.errors import BenchError
from bench.layout import APART, Layout
from bench.packet import PACKET_OCTETS, Load, build_ping, stamp_offset

__all__ = ["Arrivals", "Collector", "Generator", "LoadKit", "PacketFile", "Sent"]

_ANSWER_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 30.0


@attrs.frozen
class PacketFile:
    """A packet in a file, and the offset of the stamp in it."""

    path: Path
    stamp_offset: int

    @classmethod
    def write(cls, path: Path, octets: bytes) -> PacketFile:
        """Make the file."""
        path.write_bytes(octets)
        return cls(path, stamp_offset(octets))

    @property
    def arguments(self) -> list[str]:
        """How the programs are told."""
        return [str(self.path), str(self.stamp_offset)]


@attrs.frozen
class LoadKit:
    """
    The compiled programs, and the packet.

    :ivar sent: as the generator sends it.
    :ivar arriving: as the collector must get it.
    """

    programs: Programs
    sent: PacketFile
    arriving: PacketFile

    @classmethod
    def prepare(cls, programs: Programs, directory: Path, load: Load | None = None) -> LoadKit:
        """
        Write the packet into *directory*.

        :param load: which; ``None``: the one that most cases send.
        """
        load = load or build_ping()
        return cls(
            programs,
            PacketFile.write(directory / load.name, load.sent),
            PacketFile.write(directory / f"{load.name}-arriving", load.arriving),
        )


@attrs.frozen
class Sent:
    """One sending, as the generator saw it. Times are ``CLOCK_MONOTONIC``; *lag_ns* is the worst delay of a write."""

    started_ns: int
    ended_ns: int
    lag_ns: int
    cpu_ns: int


@attrs.frozen
class Arrivals:
    """One sending, as the collector saw it; the fields are explained in ``src/collector.c``."""

    octets: int
    packets: int
    unique: int
    duplicates: int
    disordered: int
    altered: int
    broken_octets: int
    unfinished_octets: int
    connections: int
    accepted_ns: int
    first_ns: int
    last_ns: int
    cpu_ns: int
    latency_ns: dict[str, int]

    def faults(self, sent: int) -> list[str]:
        """What did not arrive as it was sent: every whole packet once, in its sender's order, and nothing else."""
        counts = {
            "packets missing": sent - self.unique,
            "packets more than once": self.duplicates,
            "packets out of order": self.disordered,
            "packets altered": self.altered,
            "octets outside any packet": self.broken_octets,
            "octets of unfinished packets": self.unfinished_octets,
        }
        faults = [f"{count} {what}" for what, count in counts.items() if count]
        if not faults and self.octets != sent * PACKET_OCTETS:
            faults.append(f"{self.octets} octets instead of {sent * PACKET_OCTETS}")
        return faults


class Generator(Child):
    """
    The sender of the packets, connected on return.

    :param port: where it sends.
    :param connections: over how many connections.
    :param transport: ``tcp``, ``udp`` or ``tls``.
    """

    def __init__(
        self, kit: LoadKit, port: int, connections: int, layout: Layout = APART, transport: str = "tcp"
    ) -> None:
        command = [str(kit.programs.generator), transport, str(port), str(connections), *kit.sent.arguments]
        super().__init__("generator", command, layout.generator)
        try:
            self.read_line(_CONNECT_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise

    def send(self, count: int, per_write: int, rate: float, timeout_s: float, first: int = 0) -> Sent:
        """
        Send packets, and return when all are written.

        :param rate: packets per second; 0: as fast as it goes.
        :param first: the sequence number of the first.
        """
        self.write_line(f"send {count} {per_write} {rate} {first}")
        word, *numbers = self.read_line(timeout_s).split()
        if word != "sent":
            raise BenchError(f"generator said {word}")
        return Sent(*map(int, numbers))


class Collector(Child):
    """
    The receiver of the packets, listening on return.

    :param certificate: it speaks TLS, and shows this.
    """

    def __init__(self, kit: LoadKit, port: int, layout: Layout = APART, certificate: Path | None = None) -> None:
        command = [str(kit.programs.collector), str(port), *kit.arriving.arguments]
        super().__init__("collector", command + ([str(certificate)] if certificate else []), layout.collector)
        try:
            self.read_line(_ANSWER_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise

    def expect(self, count: int, per_write: int, connections: int, first: int = 0) -> None:
        """Count from now, for a sending with these properties."""
        self.write_line(f"expect {count} {per_write} {connections} {first}")
        self._answer("expecting")

    def wait_complete(self, timeout_s: float) -> int | None:
        """
        Wait until every packet has arrived at least once.

        :returns: when the last came (ns, ``CLOCK_MONOTONIC``); ``None`` when the time ran out.
        """
        deadline = time.monotonic() + timeout_s
        try:
            return int(self._answer("complete", deadline - time.monotonic()).split()[1])
        except BenchError:
            self.check_running()
            return None

    def report(self) -> Arrivals:
        """What has arrived since :meth:`expect`."""
        self.write_line("report")
        values: dict[str, Any] = json.loads(self._answer("{"))
        return Arrivals(**values)

    def _answer(self, beginning: str, timeout_s: float = _ANSWER_TIMEOUT_S) -> str:
        """The next line that begins so: a belated ``complete`` of a sending that was given up is passed over."""
        while not (line := self.read_line(timeout_s)).startswith(beginning):
            pass
        return line
