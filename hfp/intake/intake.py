"""
The whole intake: the one place that joins its parts, and says what they count.  `hfp.service` makes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from attrs import field, frozen
from twisted.internet import defer
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from hfp.intake.access import Access
from hfp.intake.authentication import KeyScreen
from hfp.intake.decoded import DecodeScreen
from hfp.intake.faults import Faults
from hfp.intake.pool import ReadPool
from hfp.intake.port import SenderPort
from hfp.intake.tcp import HepReceiverFactory
from hfp.intake.udp import DatagramReceiver
from hfp.interfaces import IBatchSink, IScreen
from hfp.logs import Repeats
from hfp.status import Amount, IntakeStatus


@frozen(kw_only=True)
class IntakeSettings:
    """
    What the operator chose for the intake.

    :param allow: networks that may send; none for everybody.
    :param auth_keys: each packet must carry one of these; none for no such rule.
    :param max_connections: senders connected at a time; 0 for no limit.
    :param max_connections_per_host: of one address; 0 for no limit.
    :param deadline_s: for a connection's first packet, and to complete one that has begun, seconds; 0 for none.
    :param convert: make HEP3 of HEP1 and HEP2.
    :param hepdecode: log packets, decoded.
    """

    allow: Sequence[IPv4Network | IPv6Network] = ()
    auth_keys: Sequence[bytes] = field(default=(), repr=False)
    max_connections: int = 1000
    max_connections_per_host: int = 100
    deadline_s: float = 30.0
    convert: bool = True
    hepdecode: bool = False


class Intake:
    """
    Listeners, and what stands between them and the sink.

    :param reactor: provides IReactorTime and IReactorFDSet.
    :param sink: takes the batches.
    :param repeats: keeps the log lines few.
    :param screens: look at each packet, in this order, after the keys are checked.

    :ivar pool: reads everything.
    :ivar tcp_factory: what a TCP port listens with.
    """

    def __init__(
        self,
        reactor: Any,
        sink: IBatchSink,
        repeats: Repeats,
        settings: IntakeSettings,
        screens: Sequence[IScreen] = (),
    ) -> None:
        self._reactor = reactor
        self._repeats = repeats
        self._settings = settings
        self._access = Access(settings.allow, settings.max_connections, settings.max_connections_per_host, repeats)
        self._faults = Faults(repeats)
        self._keys = KeyScreen(settings.auth_keys, repeats)
        self._decode = DecodeScreen(reactor)
        self._screens: tuple[IScreen, ...] = (
            *((self._keys,) if settings.auth_keys else ()),
            *((self._decode,) if settings.hepdecode else ()),
            *screens,
        )
        self._converted = {"1": 0, "2": 0}
        self._ports: list[SenderPort] = []
        self._datagram_receivers: list[DatagramReceiver] = []
        self.pool = ReadPool(reactor, sink)
        self.tcp_factory = HepReceiverFactory(
            self.pool, reactor, repeats, self._access, self._faults, self._screens, settings.deadline_s
        )

    # Listeners

    def tls_factory(self, creator: Any) -> IProtocolFactory:
        """
        What a port listens with where senders speak TLS.

        :param creator: IOpenSSLServerConnectionCreator, or what else Twisted takes as a context factory.
        """
        return self.tcp_factory.over_tls(creator)

    def listen_tcp(self, interface: str, port: int) -> IListeningPort:
        """
        Take HEP over TCP.

        :param interface: IP address of this machine; empty for all of IPv4, ``::`` for both.
        :raises CannotListenError: if the address or port can't be had.
        """
        return self._listen(self.tcp_factory, interface, port)

    def listen_tls(self, creator: Any, interface: str, port: int) -> IListeningPort:
        """Take HEP over TLS; as `listen_tcp` and `tls_factory`."""
        return self._listen(self.tls_factory(creator), interface, port)

    def listen_udp(self, name: str, interface: str, port: int) -> DatagramReceiver:
        """
        Take HEP over UDP; as `listen_tcp`.

        :param name: the listener's name in the log and the metrics.
        """
        receiver = DatagramReceiver(
            name,
            interface,
            port,
            self._access,
            self._faults,
            self._settings.convert,
            self._converted,
            self._screens,
        )
        self._datagram_receivers.append(receiver)
        self.pool.add(receiver)
        return receiver

    def _listen(self, factory: Any, interface: str, port: int) -> IListeningPort:
        listener = SenderPort(port, factory, interface, self._reactor, self._repeats)
        listener.startListening()
        self._ports.append(listener)
        return listener

    # Flow

    def pause(self) -> None:
        """Read nothing until `resume`: TCP senders wait, datagrams are dropped by the kernel and counted."""
        self.pool.pause()

    def resume(self) -> None:
        """Read again."""
        self.pool.resume()

    async def stop(self) -> None:
        """Stop listening, read what has already arrived, close every connection."""
        for port in self._ports:
            await defer.maybeDeferred(port.stopListening)
        self.pool.stop()
        self.tcp_factory.close_all()
        for receiver in self._datagram_receivers:
            receiver.close()
        self._decode.stop()

    # What it says of itself

    def status(self, last_packet_at: float = 0.0) -> IntakeStatus:
        """
        Everything, as of now.

        :param last_packet_at: Unix time of the newest packet, seconds, which only the sink knows.
        """
        pool, senders = self.pool, self.tcp_factory
        return IntakeStatus(
            received=Amount(packets=pool.received_packets, octets=pool.received_octets),
            connects=senders.connects,
            connected=senders.connected,
            reads=pool.reads,
            invalid=dict(self._faults.invalid),
            skipped_octets=senders.skipped,
            last_packet_at=last_packet_at,
            last_connect_at=senders.last_connect_at,
            paused=pool.paused,
            refused=dict(self._access.refused),
            refused_datagrams=self._access.refused_datagrams,
            deadlines=dict(senders.deadlines.missed),
            tls_failures=dict(self._faults.tls),
            datagrams=sum(receiver.received for receiver in self._datagram_receivers),
            converted=dict(self._converted),
            kernel_drops={receiver.name: receiver.drops for receiver in self._datagram_receivers},
            unauthenticated=self._keys.rejected,
            unauthenticated_by_host=dict(self._keys.by_host),
        )
