"""hfp with the collector away, for the cases that need a backlog. haproxy has no part in this: it keeps nothing."""

from __future__ import annotations

import time
from pathlib import Path

import attrs

from bench.children import Child
from bench.errors import BenchError
from bench.figures import HFP
from bench.load import Arrivals, Collector, Generator
from bench.meters import cpu_ns
from bench.packet import PACKET_OCTETS
from bench.relays import Setup, connect_when_ready, start_relay
from bench.session import Session

__all__ = ["Backlog", "drain", "fill", "start_hfp"]

_PER_WRITE = 20
_ROOMY = Setup(options=("--spool-limit", "8GB"))
_TIMEOUT_S = 120.0
_QUIET_SPAN_S = 0.3
_QUIET_SHARE = 0.03
_RECONNECT_TIMEOUT_S = 60.0


@attrs.frozen
class Backlog:
    """What a full spool holds, and how fast it was taken (MB/s, from the first write until hfp was quiet)."""

    packets: int
    intake_mb_per_s: float


@attrs.frozen
class Drained:
    """
    A backlog gone.

    :ivar waited_s: from the collector's start to hfp's connection: the reconnection delay, for the greater part.
    :ivar drained_s: from there to the last packet.
    """

    waited_s: float
    drained_s: float
    arrivals: Arrivals


def start_hfp(directory: Path, port: int, collector_port: int) -> Child:
    """Start hfp with room for the backlog."""
    return start_relay(HFP, directory, port, collector_port, _ROOMY)


def fill(session: Session, hfp: Child, port: int, packets: int, first: int = 0) -> Backlog:
    """
    Send so many packets over one connection to an hfp without a collector, and wait until it has dealt with them.

    :param first: how many there are already.
    :returns: the backlog with all that there are.
    """
    connect_when_ready(hfp, port)[0].close()
    with Generator(session.kit, port, 1) as generator:
        sent = generator.send(packets, _PER_WRITE, 0, _TIMEOUT_S, first)
        quiet_ns = _wait_quiet(hfp)
    return Backlog(first + packets, packets * PACKET_OCTETS / (quiet_ns - sent.started_ns) * 1e3)


def _wait_quiet(hfp: Child) -> int:
    """
    Wait until a process has nothing to do.

    :returns: when that began (ns, ``CLOCK_MONOTONIC``).
    """
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        since_ns, before = time.monotonic_ns(), cpu_ns(hfp.pid)
        time.sleep(_QUIET_SPAN_S)
        if cpu_ns(hfp.pid) - before < _QUIET_SHARE * (time.monotonic_ns() - since_ns):
            return since_ns
    raise BenchError(f"hfp is still busy {_TIMEOUT_S:.0f} s after the last packet was sent")


def drain(session: Session, hfp: Child, collector_port: int, backlog: Backlog) -> Drained:
    """
    Start the collector, and wait until the backlog has arrived, every packet of it.

    :raises BenchError: when not all arrives; what arrives in another way than it was sent is noted as a fault.
    """
    with Collector(session.kit, collector_port) as collector:
        collector.expect(backlog.packets, _PER_WRITE, 1)
        completed_ns = collector.wait_complete(_RECONNECT_TIMEOUT_S + _TIMEOUT_S)
        arrivals = collector.report()
        hfp.check_running()
    faults = arrivals.faults(backlog.packets)
    if completed_ns is None:
        what = f"of a backlog of {backlog.packets} packets: {', '.join(faults)}"
        raise BenchError(f"{what}; the relay's last log line: {hfp.last_line()}")
    if faults:
        session.fault(f"of a backlog of {backlog.packets} packets: " + ", ".join(faults))
    return Drained(
        waited_s=(arrivals.accepted_ns - collector.started_ns) / 1e9,
        drained_s=(completed_ns - arrivals.accepted_ns) / 1e9,
        arrivals=arrivals,
    )
