"""A generator, a relay and a collector in a row; and what one sending through them cost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import attrs

from bench.children import Child, free_port
from bench.errors import BenchError
from bench.figures import DIRECT
from bench.layout import APART, Layout
from bench.load import Arrivals, Collector, Generator, LoadKit, Sent
from bench.meters import cpu_ns, machine_cpu_ns, metric, peak_rss_bytes
from bench.relays import PLAIN, Setup, connect_when_ready, start_relay
from bench.session import Session

__all__ = ["Passage", "Rig", "others_share", "rig"]

_SETTLE_S = 0.3
"""What a relay still does after the last packet is its cost too: syncing, confirming."""

_TIMEOUT_S = 45.0
_LOSSY_TIMEOUT_S = 5.0
"""How long after the last datagram one that is still missing is waited for."""

_KERNEL_DROPS = "hfp_udp_kernel_drops_total"


@attrs.frozen
class Passage:
    """
    What one sending cost.

    :ivar packets: how many were sent.
    :ivar cpu_ns: CPU time of the relay's process; 0 without one.
    :ivar elapsed_ns: from the first write to the arrival of the last packet.
    :ivar others_share: CPU time that all others on the machine took meanwhile, of one CPU: they disturb.
    :ivar peak_rss_bytes: the most memory that the relay had so far; 0 without one.
    :ivar kernel_drops: datagrams that the kernel dropped, as hfp's metric says; 0 where it serves none.
    """

    packets: int
    cpu_ns: int
    elapsed_ns: int
    others_share: float
    peak_rss_bytes: int
    kernel_drops: int
    sent: Sent
    arrivals: Arrivals

    @property
    def cpu_ns_per_packet(self) -> float:
        """CPU time of the relay for one packet, in ns."""
        return self.cpu_ns / self.packets

    @property
    def lost(self) -> int:
        """Packets that never arrived."""
        return self.packets - self.arrivals.unique

    @property
    def packets_per_s(self) -> float:
        """Throughput."""
        return self.packets / self.elapsed_ns * 1e9


def others_share(passage: Passage) -> float:
    """How much a passage was disturbed, for :meth:`bench.quiet.Quiet.measure`."""
    return passage.others_share


@attrs.frozen
class Rig:
    """
    The row, ready to be sent through.

    :ivar relay: ``None`` when the generator is connected to the collector.
    :ivar metrics_port: hfp's; ``None`` when it serves none.
    """

    session: Session
    name: str
    connections: int
    generator: Generator
    relay: Child | None
    collector: Collector
    metrics_port: int | None = None

    def send(self, packets: int, per_write: int, rate: float = 0, lossy: bool = False, first: int = 0) -> Passage:
        """
        Send packets through, and wait for their arrival.

        :param rate: packets per second; 0: as fast as it goes.
        :param lossy: that not all arrive is a result: see :attr:`Passage.lost`.
        :param first: the sequence number of the first; with the same as before, the same packets are sent again.
        :raises BenchError: when not all arrive; what arrives in another way than it was sent is noted as a fault.
        """
        drops_before = self._kernel_drops()
        self.collector.expect(packets, per_write, self.connections, first)
        machine_before, since_ns = machine_cpu_ns(), time.monotonic_ns()
        before = cpu_ns(self.relay.pid) if self.relay else 0
        sent = self.generator.send(packets, per_write, rate, _TIMEOUT_S, first)
        completed_ns = self.collector.wait_complete(_LOSSY_TIMEOUT_S if lossy else _TIMEOUT_S)
        if self.relay:
            time.sleep(_SETTLE_S)
        used_ns = cpu_ns(self.relay.pid) - before if self.relay else 0
        machine_ns, whole_ns = machine_cpu_ns() - machine_before, time.monotonic_ns() - since_ns
        drops = self._kernel_drops() - drops_before
        arrivals = self.collector.report()
        faults = arrivals.faults(arrivals.unique if lossy else packets)
        if completed_ns is None and not lossy:
            last_line = self.relay.last_line() if self.relay else "none"
            raise BenchError(f"of {packets} packets: {', '.join(faults)}; the relay's last log line: {last_line}")
        if faults:
            self.session.fault(f"{self.name}: of {packets} packets: " + ", ".join(faults))
        return Passage(
            packets=packets,
            cpu_ns=used_ns,
            elapsed_ns=(completed_ns or arrivals.last_ns) - sent.started_ns,
            others_share=max(0, machine_ns - used_ns - sent.cpu_ns - arrivals.cpu_ns) / whole_ns,
            peak_rss_bytes=peak_rss_bytes(self.relay.pid) if self.relay else 0,
            kernel_drops=drops,
            sent=sent,
            arrivals=arrivals,
        )

    def _kernel_drops(self) -> int:
        # It costs hfp CPU time to tell: not while that is taken.
        return int(metric(self.metrics_port, _KERNEL_DROPS)) if self.metrics_port else 0


@contextlib.contextmanager
def rig(
    session: Session,
    relay_name: str,
    connections: int,
    layout: Layout = APART,
    setup: Setup = PLAIN,
    kit: LoadKit | None = None,
) -> Iterator[Rig]:
    """
    Set up a row with fresh processes and an empty spool, and take it down again.

    :param kit: what is sent and with which programs; ``None``: the session's.
    """
    kit = kit or session.kit
    with contextlib.ExitStack() as stack:
        collector_port = free_port()
        collector = stack.enter_context(Collector(kit, collector_port, layout, setup.certificate))
        port = collector_port
        metrics_port = free_port() if setup.transport == "udp" else None
        relay: Child | None = None
        if relay_name != DIRECT:
            directory = stack.enter_context(session.scratch())
            port = free_port()
            relay = stack.enter_context(
                start_relay(relay_name, directory, port, collector_port, setup, layout, metrics_port)
            )
            for open_port in (port, metrics_port):
                if open_port:
                    connect_when_ready(relay, open_port)[0].close()
        generator = stack.enter_context(Generator(kit, port, connections, layout, setup.transport))
        yield Rig(session, relay_name, connections, generator, relay, collector, metrics_port)
