"""
What the tests with TLS have in common: an authority, its certificate for this machine, and a collector behind TLS.
"""

from __future__ import annotations

from typing import Any

from hfp.test.integration.certificates import Authority, Identity
from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import HOST, Collector, free_port


class TlsCollector(Collector):
    """A collector behind TLS."""

    module = "hfp.test.peers.tls_collector"
    kind = "tls"


class TlsTestCase(ProcessTestCase):
    """With an authority, and a certificate of it for this machine."""

    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(self.directory)
        self.ours = self.authority.issue("ours", "localhost", HOST)

    def tls_collector(self, identity: Identity | None = None, **options: Any) -> TlsCollector:
        """A collector that listens, with this certificate; and ``client_ca`` if it wants one of hfp."""
        identity = identity or self.ours
        arguments = ["--certificate", str(identity.certificate), "--key", str(identity.key)]
        client_ca = options.pop("client_ca", None)
        if client_ca is not None:
            arguments += ["--client-ca", str(client_ca)]
        collector = TlsCollector("collector", self.directory, free_port(), arguments=arguments, **options)
        self._programs.append(collector)
        self.start(collector)
        return collector

    def trusting(self, collector: Collector, *more: str, authority: Authority | None = None) -> str:
        """The remote with our authority, and what else there is to say of it."""
        return ":".join([f"tls:{HOST}:{collector.port}:caFile={(authority or self.authority).file}", *more])
