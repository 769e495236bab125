"""
The relay: the only place that joins the rooms.

    listeners -> read pool -> screens (keys, filters) -> `RelayService.take` -> spool -> uplinks
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from itertools import chain
from typing import Any, NoReturn

from attrs import evolve
from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from hfp import __version__
from hfp.addresses import ListenSpec, RemoteSpec
from hfp.errors import SpoolError, SpoolFull, UsageProblem
from hfp.filters.loading import make_chain
from hfp.hep import ping, split
from hfp.intake import Intake, IntakeSettings
from hfp.interfaces import IBatchSink
from hfp.links import client_side, describe_risks, server_side
from hfp.logs import Logger, Repeats
from hfp.metrics import make_registry
from hfp.settings import Settings
from hfp.spool import FullPolicy, Spool
from hfp.status import RelayStatus
from hfp.uplink import TCP, Kind, UdpEndpoint, Uplink, UplinkSettings, tls_kind, udp_kind
from hfp.web import site

#: Seconds that the uplinks have to hand over what is there when the relay stops; the rest of the ten that a stop may
#: take is for the spool.
STOP_S = 8.0

#: Octets in one batch from which on it is taken in parts of at most so many; reads alone never bring as much.
MOST_OCTETS = 768 * 1024
PART_OCTETS = 256 * 1024

#: Descriptors that the relay asks for: one per sender, and some.
DESCRIPTORS = 65_536


@implementer(IBatchSink)
class RelayService(Service):
    """
    Listens, journals, relays.

    :param settings: what the operator asked for.
    :param reactor: provides IReactorTime, IReactorTCP, IReactorFDSet, IReactorThreads.
    :raises UsageProblem: if a file that the settings name is of no use, or a filter cannot be made of its arguments.
    """

    name = "hfp"
    _log = Logger()

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self._settings = settings
        self._reactor = reactor
        self._repeats = Repeats(self._log, reactor)
        self._filters = make_chain(settings.filters, reactor, self._repeats, settings.filter_errors == "reject")
        self._intake = Intake(
            reactor,
            self,
            self._repeats,
            IntakeSettings(
                allow=settings.allow,
                auth_keys=[key for secret in settings.auth_keys for key in secret.read()],
                max_connections=settings.max_connections,
                max_connections_per_host=settings.max_connections_per_host,
                deadline_s=settings.packet_deadline_s,
                convert=settings.convert,
                hepdecode=settings.hepdecode,
            ),
            [self._filters] if self._filters else [],
        )
        # Files are read now: later twistd may have another root, and no rights.
        self._server_sides = {spec: server_side(spec) for spec in settings.listen if spec.kind == "tls"}
        self._client_sides = {spec: client_side(spec) for spec in settings.remotes if spec.kind == "tls"}
        self._hello = _hello(settings)
        self._risks = describe_risks(settings)
        self._listening: list[ListenSpec] = []  # with the ports that were taken
        self._ports: list[Any] = []
        self._spool: Spool
        self._uplinks: list[Uplink] = []
        self._threads = ThreadPool(minthreads=1, maxthreads=1, name="hfp-spool")
        self._held: list[tuple[list[Any], int]] = []  # batches that a full spool did not take (policy `block`)
        self._last_packet_ns = 0
        self._started_at = time.time()

    # The way of the data

    def take(self, pieces: list[Any], packets: int) -> None:
        """
        Hot, once per batch (`IBatchSink`): append to the log, hand over to every uplink that keeps up.
        """
        octets = sum(map(len, pieces))
        if octets > MOST_OCTETS:
            self._take_in_parts(pieces)
            return
        if self._held:
            self._held.append((pieces, packets))
            return
        now_ns = self._last_packet_ns = time.time_ns()
        try:
            end = self._spool.append(pieces, octets, packets, now_ns)
        except SpoolFull:
            if self._settings.spool_full is FullPolicy.BLOCK:
                self._hold(pieces, packets)
            return
        for uplink in self._uplinks:
            uplink.offer(pieces, octets, packets, end)

    def _take_in_parts(self, pieces: list[Any]) -> None:
        """A filter has made much of little (it may inflate payloads): several batches, none too large for a record."""
        part: list[Any] = []
        octets = 0
        for packet in chain.from_iterable(map(split, pieces)):
            if octets + len(packet) > PART_OCTETS:
                self.take([b"".join(part)], len(part))
                part, octets = [], 0
            part.append(packet)
            octets += len(packet)
        self.take([b"".join(part)], len(part))

    def _hold(self, pieces: list[Any], packets: int) -> None:
        """The spool is full and must not lose anything: keep this batch, read no more until there is room."""
        if not self._held:
            self._intake.pause()
            self._spool.when_writable().addCallback(self._retry)
        self._held.append((pieces, packets))

    def _retry(self, _: object = None) -> None:
        held, self._held = self._held, []
        for batch in held:
            self.take(*batch)
        if not self._held:
            self._intake.resume()

    def _append_held(self) -> None:
        """hfp stops: what a full spool has kept waiting goes into it, some batches beyond its limit."""
        held, self._held = self._held, []
        for pieces, packets in held:
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
        return RelayStatus(
            now=time.time(),
            started_at=self._started_at,
            intake=self._intake.status(self._last_packet_ns / 1e9),
            spool=self._spool.status(),
            uplinks=tuple(uplink.status() for uplink in self._uplinks),
            filters=self._filters.status() if self._filters else (),
        )

    # Start

    def privilegedStartService(self) -> None:
        """Take the ports, before twistd gives up root's rights."""
        super().privilegedStartService()
        _raise_descriptor_limit()
        for spec in self._settings.listen:
            self._listen(spec)

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
        for risk in self._risks:
            self._log.warn("{risk}", risk=risk)
        if settings.prom is not None:
            self._serve(settings.prom)
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
            (UdpEndpoint if spec.kind == "udp" else HostnameEndpoint)(self._reactor, spec.host, spec.port),
            UplinkSettings(
                resend_window_s=settings.resend_window_s,
                replay_rate_octets=settings.replay_rate_octets,
                reconnect_s=settings.reconnect_s,
                keepalive_s=settings.keepalive_s,
                nodelay=settings.nodelay,
                hello=self._hello,
            ),
            self._reactor,
            self._repeats,
            self._kind(spec),
            self._is_own,
        )

    def _kind(self, spec: RemoteSpec) -> Kind:
        if spec.kind == "udp":
            return udp_kind(split)
        return tls_kind(self._client_sides[spec]) if spec.kind == "tls" else TCP

    def _is_own(self, transport: str, host: str, port: int) -> bool:
        """Whether an address of this machine and a port are those of a listener of ours."""
        return any(spec.takes(transport, host, port) for spec in self._listening)

    def _listen(self, spec: ListenSpec) -> None:
        intake = self._intake
        try:
            if spec.kind == "udp":
                port: Any = intake.listen_udp(spec.name, spec.interface, spec.port)
            elif spec.kind == "tls":
                port = intake.listen_tls(self._server_sides[spec], spec.interface, spec.port)
            else:
                port = intake.listen_tcp(spec.interface, spec.port)
        except CannotListenError as problem:
            self._refuse(f"--listen {spec}: cannot listen there ({problem.socketError}); choose another")
        self._listening.append(evolve(spec, port=port.getHost().port))

    def _serve(self, spec: ListenSpec) -> None:
        page = site(make_registry(self.status), self._reactor)
        try:
            port = self._reactor.listenTCP(spec.port, page, interface=spec.interface)
        except CannotListenError as problem:
            self._refuse(f"--prom {spec}: cannot listen there ({problem.socketError}); choose another")
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
        await self._intake.stop()
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


def _hello(settings: Settings) -> Callable[[], bytes] | None:
    """
    What makes the packet that each connection to a collector begins with, if there is to be one.

    :raises UsageProblem: if the key is of no use.
    """
    if settings.hello_key is None:
        return None
    key = settings.hello_key.read()[0]
    try:
        ping(key, 0)
    except ValueError:
        raise UsageProblem(f"{settings.hello_key.option}: is too long for a packet; give a shorter key") from None
    return lambda: ping(key, time.time_ns())


def _raise_descriptor_limit() -> None:
    """Each sender takes a descriptor, and many systems start a program with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


__all__ = ["RelayService"]
