"""Tests for `hfp.web`."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hfp.web import site
from hfp.web.page import IDLE_S, MOST_CONNECTIONS

ADDRESS = IPv4Address("TCP", "127.0.0.1", 12345)


class Broken(Collector):
    """A collector that cannot."""

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> list[Metric]:
        raise RuntimeError("no spool")


class SiteTests(SynchronousTestCase):
    """The page, over a transport in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.registry = CollectorRegistry()
        Counter("answers", "How many.", registry=self.registry).inc(42)
        self.factory = site(self.registry, self.clock)
        self.factory.doStart()
        self.addCleanup(self.factory.doStop)
        self.logged: list[str] = []

        @implementer(ILogObserver)
        class Observer:
            def __call__(_, event: LogEvent) -> None:
                self.logged.append(formatEvent(event))

        observer = Observer()
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def connected(self) -> tuple[Any, StringTransport]:
        """A connection that has just been made."""
        protocol: Any = self.factory.buildProtocol(ADDRESS)
        transport = StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    def answer(self, request: bytes) -> tuple[int, bytes, bytes]:
        """Status, header and body that a request gets."""
        protocol, transport = self.connected()
        protocol.dataReceived(request)
        header, _, body = transport.value().partition(b"\r\n\r\n")
        return int(header.split(b" ", 2)[1]), header.lower(), body

    def get(self, path: bytes) -> tuple[int, bytes, bytes]:
        """What a GET gets."""
        return self.answer(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    def test_interface(self) -> None:
        """It can be listened with."""
        verifyObject(IProtocolFactory, self.factory)

    def test_metrics(self) -> None:
        """``/metrics`` is the registry in Prometheus's text format, with its content type; a query changes nothing."""
        for path in (b"/metrics", b"/metrics?name[]=x"):
            code, header, body = self.get(path)
            self.assertEqual(code, 200)
            self.assertIn(b"content-type: text/plain; version=0.0.4; charset=utf-8", header)
            self.assertIn(b"\nanswers_total 42.0\n", body)

    def test_collected_each_time(self) -> None:
        """Nothing is kept from one scrape to the next."""
        self.get(b"/metrics")
        Counter("later", "Later.", registry=self.registry).inc()
        self.assertIn(b"later_total 1.0", self.get(b"/metrics")[2])

    def test_root(self) -> None:
        """``/`` is one line that says where to look."""
        code, header, body = self.get(b"/")
        self.assertEqual((code, body), (200, b"hfp; see /metrics\n"))
        self.assertIn(b"content-type: text/plain", header)

    def test_elsewhere(self) -> None:
        """Everything else is 404."""
        for path in (b"/x", b"/metrics/x", b"/x/y", b"/METRICS"):
            code, _, body = self.get(path)
            self.assertEqual(code, 404, path)
            self.assertEqual(body.count(b"\n"), 1)

    def test_head(self) -> None:
        """HEAD gets the header alone, any other method is refused."""
        code, _, body = self.answer(b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((code, body), (200, b""))
        self.assertEqual(self.answer(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")[0], 405)
        self.assertEqual(self.answer(b"DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n")[0], 501)

    def test_broken(self) -> None:
        """When the metrics cannot be read the answer is 500, without a traceback, and the log has one line."""
        self.registry.register(Broken())
        code, _, body = self.get(b"/metrics")
        self.assertEqual((code, body), (500, b"the metrics cannot be read; hfp's log says why\n"))
        self.assertEqual(
            self.logged, ["/metrics answers 500, because the metrics cannot be read: RuntimeError('no spool')"]
        )

    def test_no_request_log(self) -> None:
        """Requests that succeed leave no trace in the log, and no timer runs to date such lines."""
        self.get(b"/metrics")
        self.get(b"/x")
        self.assertEqual(self.logged, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """A connection that says nothing is closed after a while."""
        _, transport = self.connected()
        self.clock.advance(IDLE_S - 1)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(2)
        self.assertTrue(transport.disconnecting)

    def test_body_is_thrown_away(self) -> None:
        """What a request brings along is not kept, however much it is."""
        protocol, transport = self.connected()
        protocol.dataReceived(b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        (request,) = protocol.wrappedProtocol._channel.requests
        for _ in range(99):
            protocol.dataReceived(b"x" * 1_000_000)
        self.assertEqual(request.content.getvalue(), b"")
        protocol.dataReceived(b"x" * 1_000_000)
        self.assertIn(b"answers_total", transport.value())

    def test_connections_are_bounded(self) -> None:
        """Beyond the most connections no more are let in, until one ends."""
        protocols = [self.connected()[0] for _ in range(MOST_CONNECTIONS)]
        self.assertIs(self.factory.buildProtocol(ADDRESS), None)
        protocols[0].connectionLost(None)
        self.assertIsNot(self.factory.buildProtocol(ADDRESS), None)
