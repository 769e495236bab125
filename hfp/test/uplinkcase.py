"""
What the tests of uplinks share: a real spool on a simulated disk, a clock, and sockets that take
as much as they are told to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hfp.batch import pack_datagrams
from hfp.logs import Logger, Repeats
from hfp.test.spoolfakes import SimulatedFiles, body, clock, open_spool
from hfp.test.uplinkfakes import ListedEndpoint, TakingTransport
from hfp.uplink import Uplink, UplinkSettings
from hfp.uplink.kinds import TCP, Kind
from hfp.uplink.uplink import LOOK_S

OCTETS = 100


class UplinkTestCase(SynchronousTestCase):
    """A spool, and an uplink with a list of transports that its attempts to connect bring."""

    resend_window_s = 2.0
    replay_rate_octets = 0
    sync_s = 0.2
    segment_octets = 2048
    kind: Kind = TCP
    own: tuple[str, str, int] | None = None  # where hfp itself listens
    hello: Callable[[], bytes] | None = None

    def setUp(self) -> None:
        self.clock: Any = self.make_clock()
        self.spool = open_spool(
            SimulatedFiles(), clock=self.clock, sync_s=self.sync_s, segment_octets=self.segment_octets
        )
        self.next = 0
        self.cursor = self.spool.cursor("tcp:192.0.2.9:9060")

    def make_clock(self) -> Any:
        return clock()

    def time_ns(self) -> int:
        return int(self.clock.seconds() * 1e9)

    def make(self, *results: Any) -> Uplink:
        for result in results:
            if isinstance(result, TakingTransport):
                self.patch_info(result)
        self.endpoint = self.make_endpoint(*results)
        self.uplink = Uplink(
            self.cursor,
            self.spool,
            self.endpoint,
            UplinkSettings(
                resend_window_s=self.resend_window_s, replay_rate_octets=self.replay_rate_octets, hello=self.hello
            ),
            self.clock,
            Repeats(Logger(), self.clock),
            self.kind,
            lambda *listener: listener == self.own,
        )
        return self.uplink

    def make_endpoint(self, *results: Any) -> Any:
        return ListedEndpoint(*results)

    def patch_info(self, transport: TakingTransport) -> None:
        from hfp.uplink import stream

        self.patch(stream, "tcp_info", lambda socket: socket.info())

    def start(self, *results: Any) -> Uplink:
        uplink = self.make(*results)
        uplink.start()
        return uplink

    def take(self, count: int = 1) -> bytes:
        """What the relay does with a batch of *count* packets; returns its octets."""
        octets = b"".join(body(self.next + number, OCTETS) for number in range(count))
        self.next += count
        end = self.spool.append([octets[:30], octets[30:]], len(octets), count, self.time_ns())
        self.uplink.offer([octets[:30], octets[30:]], len(octets), count, end)
        return octets

    def sent(self, first: int, behind: int) -> bytes:
        """Packets *first* up to, but without, *behind*."""
        return b"".join(body(number, OCTETS) for number in range(first, behind))

    def take_datagrams(self, *datagrams: bytes) -> None:
        """What the relay does with a batch of datagrams that are no HEP3."""
        piece = pack_datagrams(datagrams)
        end = self.spool.append([piece], len(piece), len(datagrams), self.time_ns())
        self.uplink.offer([piece], len(piece), len(datagrams), end)

    @contextmanager
    def lines(self) -> Iterator[list[str]]:
        """The lines logged meanwhile, levels first."""
        lines: list[str] = []

        @implementer(ILogObserver)
        def observe(event: Any) -> None:
            if event["log_namespace"].startswith("hfp."):
                lines.append(f"{event['log_level'].name}: {formatEvent(event)}")

        globalLogPublisher.addObserver(observe)
        try:
            yield lines
        finally:
            globalLogPublisher.removeObserver(observe)

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([LOOK_S / 2] * int(2 * seconds / LOOK_S + 2))
