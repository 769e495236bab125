"""
The ``ReconnectingClientFactory`` that keeps an uplink up: driven by timers, never by traffic.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol, ReconnectingClientFactory
from twisted.python.failure import Failure

from hfp.logs import Logger
from hfp.uplink.connection import IUplinkOwner, LinkFault
from hfp.uplink.protocol import UplinkProtocol

#: The first pause between two attempts, seconds.
FIRST_DELAY_S = 0.1

#: Seconds that a connection must have lasted to start again with the first pause.
LASTED_S = 5.0

#: Every result that an attempt is counted by.
CONNECT_RESULTS = ("ok", "refused", "timeout", "unreachable", "dns", "tls", "loop", "other")


def result_of(reason: Failure) -> str:
    """Which of `CONNECT_RESULTS` a failed attempt counts as."""
    if isinstance(reason.value, LinkFault):
        return reason.value.kind
    if reason.check(error.ConnectionRefusedError):
        return "refused"
    if reason.check(error.TimeoutError):
        return "timeout"
    if reason.check(error.NoRouteError):
        return "unreachable"
    if reason.check(error.DNSLookupError, error.UnknownHostError):
        return "dns"
    return "other"


class UplinkFactory(ReconnectingClientFactory):
    """
    Makes one connection at a time, and has the connector try again after each loss.

    :param owner: the uplink.
    :param clock: provides IReactorTime.
    :param longest_pause_s: longest pause between two attempts, seconds, jitter included.
    :param make: makes a connection of owner and clock.
    """

    noisy = False
    _log = Logger()
    jitter: Any = None  # Twisted's is added after the longest pause was applied, and so exceeds it; see `retry`

    clock: Any
    delay: Any
    initialDelay: Any
    maxDelay: Any
    factor: Any

    def __init__(
        self,
        owner: IUplinkOwner,
        clock: Any,
        longest_pause_s: float,
        make: Callable[[Any, Any], Any] = UplinkProtocol,
    ) -> None:
        self._owner = owner
        self.clock = clock
        self._longest_pause_s = longest_pause_s
        self.initialDelay = self.delay = min(FIRST_DELAY_S, longest_pause_s)
        self._make = make
        self.connects = dict.fromkeys(CONNECT_RESULTS, 0)
        self._connected_at = 0.0

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        protocol: Protocol = self._make(self._owner, self.clock)
        protocol.factory = self
        protocol.up.addCallback(self._is_up)  # type: ignore[attr-defined]
        return protocol

    def _is_up(self, protocol: Protocol) -> Protocol:
        self.connects["ok"] += 1
        self._connected_at = self.clock.seconds()
        return protocol

    def retry(self, connector: Any = None) -> None:
        """Try again after a pause that grows, up to the longest, and that no two proxies have in step."""
        self.factor = random.uniform(1.4, 2.0)
        self.maxDelay = self._longest_pause_s * random.uniform(0.6, 1.0)
        super().retry(connector)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        result = result_of(reason)
        self.connects[result] += 1
        if self.continueTrying:
            self._owner.unreachable(result, reason)
        super().clientConnectionFailed(connector, reason)

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:
        # A peer that accepts and closes at once must not be tried ten times a second.
        if self.clock.seconds() - self._connected_at >= LASTED_S:
            self.resetDelay()
        super().clientConnectionLost(connector, reason)
