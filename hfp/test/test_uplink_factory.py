"""
Tests for `hfp.uplink.factory` and `hfp.uplink.connector`.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import IConnector
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hfp.test.uplinkfakes import ListedEndpoint, TakingTransport
from hfp.uplink.connection import IUplinkConnection, IUplinkOwner
from hfp.uplink.connector import ATTEMPT_S, EndpointConnector
from hfp.uplink.factory import CONNECT_RESULTS, FIRST_DELAY_S, LASTED_S, UplinkFactory, result_of


@implementer(IUplinkOwner)
class Owner:
    """Passes losses on to the factory, as an uplink does, and notes what it is told."""

    keepalive_s = 5.0
    nodelay = False
    spread_s = 0.0

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.factory: UplinkFactory
        self.connector: EndpointConnector

    def greeting(self) -> bytes:
        return b""

    def is_own(self, transport: str, peer: Any, host: Any) -> bool:
        return False

    def connected(self, connection: IUplinkConnection) -> None:
        pass

    def spoke_tls(self, connection: IUplinkConnection) -> None:
        pass

    def dropped(self, connection: IUplinkConnection, reason: str, octets: int, behind: int) -> None:
        pass

    def ready(self, connection: IUplinkConnection) -> None:
        pass

    def lost(self, connection: IUplinkConnection, reason: Failure) -> None:
        self.factory.clientConnectionLost(self.connector, reason)

    def unreachable(self, result: str, reason: Failure) -> None:
        self.failures.append(result)


class UplinkFactoryTests(SynchronousTestCase):
    """Connecting again, and again."""

    def start(self, *results: Exception | TakingTransport, longest_s: float = 5.0) -> ListedEndpoint:
        self.clock = Clock()
        self.clock.advance(1000)
        self.owner = Owner()
        self.owner.factory = self.factory = UplinkFactory(self.owner, self.clock, longest_s)
        endpoint = ListedEndpoint(*results)
        self.owner.connector = EndpointConnector(endpoint, self.factory, self.clock)
        self.owner.connector.connect()
        return endpoint

    def pause(self) -> float:
        """Wait for the next attempt, and say how long that took."""
        soon = self.clock.seconds() + ATTEMPT_S - 1
        [call] = [call for call in self.clock.getDelayedCalls() if call.getTime() < soon]
        seconds: float = call.getTime() - self.clock.seconds()
        self.clock.advance(seconds)
        return seconds

    def test_interfaces(self) -> None:
        """The stand-in and the connector are what they say."""
        self.start()
        verifyObject(IUplinkOwner, self.owner)
        verifyObject(IConnector, self.owner.connector)

    def test_pauses_grow_to_the_longest(self) -> None:
        """The first pause is short; pauses grow, and none is longer than the longest, jitter included."""
        endpoint = self.start(*[error.ConnectionRefusedError()] * 300)
        pauses = [self.pause() for _ in range(299)]
        self.assertLess(pauses[0], 4 * FIRST_DELAY_S)
        self.assertLessEqual(max(pauses), 5.0)
        self.assertGreater(min(pauses[50:]), 2.0)
        self.assertEqual(endpoint.attempts, 300)
        self.assertGreater(len(set(pauses[50:])), 100)

    def test_tiny_longest_pause(self) -> None:
        """A longest pause shorter than the usual first one is kept to as well."""
        self.start(*[error.ConnectionRefusedError()] * 50, longest_s=0.05)
        self.assertLessEqual(max(self.pause() for _ in range(49)), 0.05)

    def test_results_are_counted(self) -> None:
        """Each attempt counts by its result; every result is there from the start."""
        self.start(
            error.ConnectionRefusedError(), error.TimeoutError(), error.NoRouteError(), error.DNSLookupError(),
            ZeroDivisionError(), TakingTransport(),
        )  # fmt: skip
        for _ in range(5):
            self.pause()
        self.assertEqual(self.factory.connects, dict.fromkeys(self.factory.connects, 1) | {"tls": 0, "loop": 0})
        self.assertEqual(set(self.factory.connects), set(CONNECT_RESULTS))
        self.assertEqual(self.owner.failures, ["refused", "timeout", "unreachable", "dns", "other"])

    def test_every_result_has_its_name(self) -> None:
        """`result_of` covers what endpoints fail with."""
        self.assertEqual(result_of(Failure(error.UnknownHostError())), "dns")
        self.assertEqual(result_of(Failure(OSError())), "other")

    def test_lost_soon(self) -> None:
        """A collector that accepts and closes at once is not tried ten times a second."""
        transports = [TakingTransport() for _ in range(40)]
        self.start(*transports)
        pauses = []
        for transport in transports[:-1]:
            transport.reset()
            pauses.append(self.pause())
        self.assertGreater(min(pauses[20:]), 2.0)

    def test_lost_late(self) -> None:
        """After a connection that lasted, the first pause is short again."""
        transport = TakingTransport()
        self.start(*[error.ConnectionRefusedError()] * 30, transport)
        for _ in range(30):
            self.pause()
        self.clock.advance(LASTED_S)
        transport.reset()
        self.assertLess(self.pause(), 4 * FIRST_DELAY_S)

    def test_no_answer(self) -> None:
        """An attempt that nobody answers ends in time, and the next one follows."""
        endpoint = self.start()
        self.clock.advance(ATTEMPT_S)
        self.assertEqual((endpoint.cancelled, self.owner.failures), (1, ["timeout"]))
        self.pause()
        self.assertEqual(endpoint.attempts, 2)

    def test_stop(self) -> None:
        """After ``stopTrying`` no attempt follows, and one under way is given up."""
        endpoint = self.start(error.ConnectionRefusedError())
        self.factory.stopTrying()
        self.clock.advance(100)
        self.assertEqual(endpoint.attempts, 1)
        endpoint = self.start()
        self.factory.stopTrying()
        self.owner.connector.stopConnecting()
        self.assertEqual(endpoint.cancelled, 1)
        self.clock.advance(100)
        self.assertEqual(endpoint.attempts, 1)


class EndpointConnectorTests(SynchronousTestCase):
    """`EndpointConnector`."""

    def test_disconnect(self) -> None:
        """Disconnecting closes the connection there is."""
        clock: Any = Clock()
        owner = Owner()
        owner.factory = UplinkFactory(owner, clock, 5.0)
        transport = TakingTransport()
        owner.connector = EndpointConnector(ListedEndpoint(transport), owner.factory, clock)
        owner.connector.connect()
        owner.factory.stopTrying()
        owner.connector.disconnect()
        self.assertTrue(transport.ended)
