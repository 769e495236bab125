"""
Connected UDP sockets for the reactor: an endpoint that makes them, and the transport that one connection writes with.

What is sent, and what a refusal means, is up to `hfp.uplink.udp`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IProtocolFactory,
    IReadWriteDescriptor,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from hfp.logs import Logger

# Source: linux/in.h, linux/in6.h.  Python's socket module does not have them all.
_IP_MTU_DISCOVER = 10
_IP_RECVERR = 11
_IPV6_MTU_DISCOVER = 23
_IPV6_RECVERR = 25
_PMTUDISC_DONT = 0

#: Octets that wait in the kernel to be sent: a batch of a busy intake, with what the kernel adds to each packet.
SEND_BUFFER_OCTETS = 1024 * 1024

#: Datagrams of a peer that are read and dropped before others have their turn.
_READS = 64


def open_socket(address: IAddress) -> socket.socket:
    """
    A connected, non-blocking UDP socket that is told of all that is refused on the way.

    :raises OSError: if there is no way to that address.
    """
    six = isinstance(address, IPv6Address)
    made = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        # Without it a connected socket only hears of closed ports, not of hosts and networks that cannot be reached.
        # And the path's MTU is not probed for: a large packet is fragmented on its way, not refused for its size.
        if six:
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT)
        else:
            made.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
            made.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_OCTETS)
        made.connect(_name(address))
    except OSError:
        made.close()
        raise
    return made


@implementer(IReadWriteDescriptor)
class DatagramTransport:
    """
    A connected UDP socket, registered with the reactor.

    :param reactor: provides IReactorFDSet and IReactorTime.
    :param sock: the socket; closed with the transport.
    :param protocol: is told when it may write (``writable``) and when all is over (``connectionLost``).
    """

    _log = Logger()

    def __init__(self, reactor: Any, sock: Any, protocol: Any) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._connected = True
        self.socket = sock

    def start(self) -> None:
        """Hand the transport to its protocol."""
        self._reactor.addReader(self)
        self._protocol.makeConnection(self)

    def getPeer(self) -> IAddress:
        return _address(self.socket.getpeername())

    def getHost(self) -> IAddress:
        return _address(self.socket.getsockname())

    def startWriting(self) -> None:
        """Have the protocol called when the socket can take more."""
        if self._connected:
            self._reactor.addWriter(self)

    def fail(self, problem: OSError) -> None:
        """The socket says that nothing can be sent: end the connection, though not within this call."""
        if self._connected:
            self._reactor.callLater(0, self.connectionLost, Failure(problem))

    def loseConnection(self) -> None:
        """End the connection."""
        self._reactor.callLater(0, self.connectionLost, Failure(error.ConnectionDone()))

    def abortConnection(self) -> None:
        """The same: there is nothing that could be waited for."""
        self.loseConnection()

    # IReadWriteDescriptor

    def fileno(self) -> int:
        return int(self.socket.fileno())

    def logPrefix(self) -> str:
        return "uplink"

    def doRead(self) -> Any:
        """Whatever a collector answers is dropped."""
        try:
            for _ in range(_READS):
                self.socket.recv(1)  # the rest of a datagram goes with it
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as problem:
            return problem
        return None

    def doWrite(self) -> None:
        self._reactor.removeWriter(self)
        self._protocol.writable()

    def connectionLost(self, reason: Failure) -> None:
        """Called by the reactor too: an error that waits on the socket shows as its end."""
        if not self._connected:
            return
        self._connected = False
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        try:
            waiting = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError:
            waiting = 0
        if waiting:
            reason = Failure(OSError(waiting, os.strerror(waiting)))
        self.socket.close()
        self._protocol.connectionLost(reason)


def _name(address: Any) -> tuple[Any, ...]:
    if isinstance(address, IPv6Address):
        return address.host, address.port, address.flowInfo, address.scopeID
    return address.host, address.port


def _address(name: tuple[Any, ...]) -> IAddress:
    if len(name) == 4:
        return IPv6Address("UDP", name[0].partition("%")[0], *name[1:])
    return IPv4Address("UDP", *name)


@implementer(IResolutionReceiver)
@define(eq=False)
class _Addresses:
    """Collects what a name resolves to."""

    done: Callable[[list[IAddress]], None]
    found: list[IAddress] = field(factory=list)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """It has begun."""

    def addressResolved(self, address: IAddress) -> None:
        self.found.append(address)

    def resolutionComplete(self) -> None:
        self.done(self.found)


@implementer(IStreamClientEndpoint)
class UdpEndpoint:
    """
    Connects protocols over UDP.  The name is resolved anew at each attempt; each starts with another of its addresses,
    because whether one is of use shows only later.

    :param reactor: provides IReactorFDSet, IReactorTime, IReactorPluggableNameResolver.
    :param open_socket: see the function of that name.
    """

    def __init__(
        self, reactor: Any, host: str, port: int, open_socket: Callable[[IAddress], Any] = open_socket
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._open_socket = open_socket
        self._turn = 0

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        connected: Deferred[Any] = Deferred(lambda _: None)

        def resolved(addresses: list[IAddress]) -> None:
            if connected.called:  # cancelled, or too late
                return
            try:
                protocol = self._connect(addresses, protocolFactory)
            except Exception:
                connected.errback()
            else:
                connected.callback(protocol)

        self._reactor.nameResolver.resolveHostName(
            _Addresses(resolved), self._host, self._port, transportSemantics="UDP"
        )
        return connected

    def _connect(self, addresses: list[IAddress], factory: IProtocolFactory) -> Any:
        if not addresses:
            raise error.DNSLookupError(f"no address for {self._host}")
        turn = self._turn % len(addresses)
        self._turn += 1
        problem: OSError | None = None
        for address in addresses[turn:] + addresses[:turn]:
            try:
                sock = self._open_socket(address)
            except OSError as refusal:
                problem = refusal
                continue
            protocol = factory.buildProtocol(address)
            DatagramTransport(self._reactor, sock, protocol).start()
            return protocol
        assert problem is not None
        raise error.getConnectError(problem)
