"""
A connector over an endpoint, so that a ``ReconnectingClientFactory`` can use names that are resolved again at every
attempt, IPv4 and IPv6 alike (``reactor.connectTCP`` resolves to IPv4 only).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IAddress, IConnector, IProtocol, IStreamClientEndpoint
from twisted.internet.protocol import ClientFactory, Factory
from twisted.python.failure import Failure
from zope.interface import implementer

#: Seconds for one attempt: the name's resolution, all its addresses, and a TLS handshake.
ATTEMPT_S = 15.0


class _Attempt(Factory):
    """Builds the outer factory's protocol when an endpoint connects."""

    noisy = False

    def __init__(self, factory: ClientFactory) -> None:
        self._factory = factory

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._factory.buildProtocol(addr)


@implementer(IConnector)
class EndpointConnector:
    """
    Connects a client factory by way of an endpoint.

    :param endpoint: what to connect to; asked anew at each attempt.
    :param factory: makes connections (`IUplinkConnection`); is told of attempts that fail.  Of a lost connection that
        itself tells it.
    :param clock: provides IReactorTime.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, factory: ClientFactory, clock: Any) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._clock = clock
        self._attempt: Deferred[Any] | None = None
        self._transport: Any = None

    def connect(self) -> None:
        """Try once."""
        self._factory.startedConnecting(self)
        attempt: Deferred[Any] = self._endpoint.connect(_Attempt(self._factory))
        self._attempt = attempt
        attempt.addCallback(self._begun)
        attempt.addTimeout(ATTEMPT_S, self._clock, self._too_late)
        attempt.addCallbacks(self._connected, self._failed)

    def stopConnecting(self) -> None:
        """Give up the attempt under way, if there is one."""
        if self._attempt is not None:
            self._attempt.cancel()

    def disconnect(self) -> None:
        """Stop connecting, or close the connection."""
        self.stopConnecting()
        if self._transport is not None:
            self._transport.loseConnection()

    def getDestination(self) -> Any:
        return self._endpoint

    def _begun(self, protocol: IProtocol) -> Deferred[Any]:
        self._transport = protocol.transport  # type: ignore[attr-defined]
        up: Deferred[Any] = protocol.up  # type: ignore[attr-defined]
        return up

    def _connected(self, _: object) -> None:
        self._attempt = None

    def _failed(self, reason: Failure) -> None:
        self._attempt = None
        self._factory.clientConnectionFailed(self, reason)

    @staticmethod
    def _too_late(result: Any, timeout: float) -> Any:
        if isinstance(result, Failure) and result.check(CancelledError):
            return Failure(ConnectTimeout(string=f"no connection within {timeout:g} s"))
        return result
