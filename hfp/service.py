"""
The relay: the only place that joins the rooms.

    listeners -> read pool -> `RelayService.take` -> spool -> uplinks
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from hfp import __version__
from hfp.addresses import ListenSpec, RemoteSpec
from hfp.errors import SpoolError, SpoolFull
from hfp.intake import HepReceiverFactory, ReadPool
from hfp.interfaces import IBatchSink
from hfp.logs import Logger, Repeats
from hfp.metrics import make_registry
from hfp.settings import Settings
from hfp.spool import FullPolicy, Spool
from hfp.status import Amount, IntakeStatus, RelayStatus
from hfp.uplink import Uplink, UplinkSettings
from hfp.web import site

#: Seconds that the uplinks have to hand over what is there when the relay stops; the rest of the ten that a stop may
#: take is for the spool.
STOP_S = 8.0

#: Connections that may wait to be accepted.
BACKLOG = 1024

#: Descriptors that the relay asks for: one per sender, and some.
DESCRIPTORS = 65_536


@implementer(IBatchSink)
class RelayService(Service):
    """
    Listens, journals, relays.

    :param settings: what the operator asked for.
    :param reactor: provides IReactorTime, IReactorTCP, IReactorFDSet, IReactorThreads.
    """

    name = "hfp"
    _log = Logger()

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self._settings = settings
        self._reactor = reactor
        self._repeats = Repeats(self._log, reactor)
        self._pool = ReadPool(reactor, self)
        self._senders = HepReceiverFactory(self._pool, reactor, self._repeats)
        self._ports: list[Any] = []
        self._spool: Spool
        self._uplinks: list[Uplink] = []
        self._threads = ThreadPool(minthreads=1, maxthreads=1, name="hfp-spool")
        self._held: tuple[list[Any], int] | None = None  # a batch that a full spool did not take (policy `block`)
        self._last_packet_ns = 0
        self._started_at = time.time()

    # The way of the data

    def take(self, pieces: list[Any], packets: int) -> None:
        """
        Hot, once per batch (`IBatchSink`): append to the log, hand over to every uplink that keeps up.
        """
        octets = sum(map(len, pieces))
        now_ns = self._last_packet_ns = time.time_ns()
        try:
            end = self._spool.append(pieces, octets, packets, now_ns)
        except SpoolFull:
            if self._settings.spool_full is FullPolicy.BLOCK:
                self._hold(pieces, packets)
            return
        for uplink in self._uplinks:
            uplink.offer(pieces, octets, packets, end)

    def _hold(self, pieces: list[Any], packets: int) -> None:
        """The spool is full and must not lose anything: keep this batch, read no more until there is room."""
        self._held = (pieces, packets)
        self._pool.pause()
        self._spool.when_writable().addCallback(self._retry)

    def _retry(self, _: object = None) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        self.take(*held)
        if self._held is None:
            self._pool.resume()

    def _append_held(self) -> None:
        """hfp stops: what a full spool has kept waiting goes into it, one batch beyond its limit."""
        held, self._held = self._held, None
        if held is None:
            return
        pieces, packets = held
        try:
            self._spool.append_last(pieces, sum(map(len, pieces)), packets, self._last_packet_ns)
        except SpoolFull:
            self._log.critical(
                "{packets} packets are lost: hfp was told to stop, and the disk does not take what it has read",
                packets=packets,
            )

    # What it says of itself

    def status(self) -> RelayStatus:
        """Everything, as of now."""
        pool, senders = self._pool, self._senders
        return RelayStatus(
            now=time.time(),
            started_at=self._started_at,
            intake=IntakeStatus(
                received=Amount(packets=pool.received_packets, octets=pool.received_octets),
                connects=senders.connects,
                connected=senders.connected,
                reads=pool.reads,
                invalid=dict(senders.invalid),
                skipped_octets=senders.skipped,
                last_packet_at=self._last_packet_ns / 1e9,
                last_connect_at=senders.last_connect_at,
                paused=pool.paused,
            ),
            spool=self._spool.status(),
            uplinks=tuple(uplink.status() for uplink in self._uplinks),
        )

    # Start

    def privilegedStartService(self) -> None:
        """Take the ports, before twistd gives up root's rights."""
        super().privilegedStartService()
        _raise_descriptor_limit()
        for spec in self._settings.listen:
            self._listen("--listen", spec, self._senders)

    def startService(self) -> None:
        """Open the spool, connect to the remotes."""
        super().startService()
        self._threads.start()
        try:
            self._start()
        except BaseException:
            self._threads.stop()  # they would keep the process from ending
            raise

    def _start(self) -> None:
        settings = self._settings
        try:
            self._spool = Spool.open(
                settings.spool,
                clock=self._reactor,
                in_thread=self._in_thread,
                limit_octets=settings.spool_limit_octets,
                full=settings.spool_full,
                sync_s=settings.sync_s,
            )
        except SpoolError as problem:
            self._refuse(f"--spool {settings.spool}: {problem}")
        for name in settings.forget:
            if self._spool.forget(name):
                self._log.info("forgot remote {name} and what the spool still held for it", name=name)
            else:
                self._log.warn("--forget {name}: the spool holds nothing for such a remote", name=name)
        self._uplinks = [self._uplink(spec) for spec in settings.remotes]
        for kept in self._spool.kept():
            self._log.warn(
                "the spool still holds {packets} packets ({octets} octets) for remote {name}, which is not configured "
                "any more; they yield first when space is needed; --forget {name} lets them go",
                name=kept.name,
                packets=kept.unconfirmed.packets,
                octets=kept.unconfirmed.octets,
            )
        if settings.prom is not None:
            self._listen("--prom", settings.prom, site(make_registry(self.status), self._reactor))
        for uplink in self._uplinks:
            uplink.start()
        self._log.info(
            "hfp {version} relays from {listen} to {remotes}; spool {spool}",
            version=__version__,
            listen=", ".join(map(str, settings.listen)),
            remotes=", ".join(spec.name for spec in settings.remotes),
            spool=settings.spool,
        )

    def _uplink(self, spec: RemoteSpec) -> Uplink:
        settings = self._settings
        return Uplink(
            self._spool.cursor(spec.name),
            self._spool,
            HostnameEndpoint(self._reactor, spec.host, spec.port),
            UplinkSettings(
                resend_window_s=settings.resend_window_s,
                replay_rate_octets=settings.replay_rate_octets,
                reconnect_s=settings.reconnect_s,
                keepalive_s=settings.keepalive_s,
                nodelay=settings.nodelay,
            ),
            self._reactor,
            self._repeats,
        )

    def _listen(self, option: str, spec: ListenSpec, factory: Any) -> None:
        try:
            port = self._reactor.listenTCP(spec.port, factory, backlog=BACKLOG, interface=spec.interface)
        except CannotListenError as problem:
            self._refuse(f"{option} {spec}: cannot listen there ({problem.socketError}); choose another")
        self._ports.append(port)

    def _in_thread(self, function: Any, *arguments: Any) -> defer.Deferred[Any]:
        return deferToThreadPool(self._reactor, self._threads, function, *arguments)

    def _refuse(self, line: str) -> NoReturn:
        """Say in one line why hfp cannot start, and end."""
        self._log.critical("{line}", line=line)
        stderr = sys.__stderr__
        if stderr is not None:
            print(f"hfp: {line}", file=stderr)
        raise SystemExit(1)

    # Stop

    def stopService(self) -> defer.Deferred[None]:
        """Stop listening, hand over what is there, persist the cursors: ten seconds at most."""
        super().stopService()
        return defer.Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for port in self._ports:
            await defer.maybeDeferred(port.stopListening)
        self._pool.stop()
        self._senders.close_all()
        await defer.gatherResults([defer.Deferred.fromCoroutine(uplink.stop(STOP_S)) for uplink in self._uplinks])
        self._append_held()
        status = self.status()
        await self._spool.close()
        self._threads.stop()
        self._repeats.stop()
        for uplink in status.uplinks:
            self._log.info(
                "remote {name}: {confirmed} packets confirmed; {left} stay in the spool for the next start",
                name=uplink.name,
                confirmed=uplink.confirmed.packets,
                left=next(c.unconfirmed.packets for c in status.spool.cursors if c.name == uplink.name),
            )


def _raise_descriptor_limit() -> None:
    """Each sender takes a descriptor, and many systems start a program with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


__all__ = ["RelayService"]
