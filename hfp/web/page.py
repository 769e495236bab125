"""
``/metrics``, and a line at ``/`` that points there.

For one scraper, or a few: connections, idle time and what a request may bring along are bounded, and nothing is written
to disk or to the log for a request that succeeds.  Called by `hfp.service`.
"""

from __future__ import annotations

from io import BytesIO

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.http import INTERNAL_SERVER_ERROR, NOT_FOUND
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from hfp.logs import Logger

#: The text format that every Prometheus reads.
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
PLAIN = b"text/plain; charset=utf-8"

#: Connections at a time; what is beyond them is closed at once.
MOST_CONNECTIONS = 64
#: An idle connection is closed after this long, seconds.
IDLE_S = 60


class _Page(Resource):
    """A page with nothing below it."""

    def getChild(self, path: bytes, request: Request) -> IResource:
        return _Line(b"there is nothing here; see /metrics", NOT_FOUND)


class _Metrics(_Page):
    """``/metrics``: the whole registry, collected at each request."""

    _log = Logger()

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._registry = registry

    def render_GET(self, request: Request) -> bytes:
        try:
            text = generate_latest(self._registry)
        except Exception as problem:
            self._log.error("/metrics answers 500, because the metrics cannot be read: {problem!r}", problem=problem)
            self._log.debug("where the metrics failed", log_failure=Failure())
            request.setResponseCode(INTERNAL_SERVER_ERROR)
            request.setHeader(b"content-type", PLAIN)
            return b"the metrics cannot be read; hfp's log says why\n"
        request.setHeader(b"content-type", CONTENT_TYPE)
        return text


class _Line(_Page):
    """One line of text."""

    def __init__(self, line: bytes, code: int | None = None) -> None:
        super().__init__()
        self._line = line
        self._code = code

    def render_GET(self, request: Request) -> bytes:
        if self._code is not None:
            request.setResponseCode(self._code)
        request.setHeader(b"content-type", PLAIN)
        return self._line + b"\n"


class _Request(Request):
    """A request whose body is thrown away as it comes: twisted.web would keep it, in a file if it is large."""

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        pass


class _QuietSite(Site):
    """A site that logs no requests, and so needs no timer that each second writes the time for the next line."""

    def startFactory(self) -> None:
        pass

    def stopFactory(self) -> None:
        pass


# Without its parameter, which only newer versions of Twisted take.
class _Bounded(WrappingFactory):
    """Lets no more than `MOST_CONNECTIONS` in at a time."""

    noisy = False

    # Twisted says of itself that this never gives None; every factory may.
    def buildProtocol(self, addr: IAddress | None) -> ProtocolWrapper | None:  # type: ignore[override]
        if len(self.protocols) >= MOST_CONNECTIONS:
            return None
        return super().buildProtocol(addr)


def site(registry: CollectorRegistry, clock: IReactorTime | None = None) -> IProtocolFactory:
    """
    Make the factory to listen with.

    :param registry: what ``/metrics`` shows.
    :param clock: times out idle connections; ``None`` for what twisted.web takes by itself, the running reactor.
    """
    root = _Line(b"hfp; see /metrics")
    root.putChild(b"", root)
    root.putChild(b"metrics", _Metrics(registry))
    return _Bounded(_QuietSite(root, requestFactory=_Request, timeout=IDLE_S, reactor=clock))
