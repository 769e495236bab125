"""
Senders that come over TLS, with real sockets and certificates: who is let in, and that nobody else is disturbed.
"""

from __future__ import annotations

import socket
import ssl
import time
import warnings
from functools import partial
from typing import Any

from hfp.test.integration.certificates import Authority, Identity
from hfp.test.integration.programs import HOST, Collector, Relay, free_port
from hfp.test.integration.secured import TlsTestCase
from hfp.test.peers.traffic import Traffic


class TlsListenerTests(TlsTestCase):
    """Senders that come over TLS."""

    def relay_with_tls(self, collector: Collector, *options: str, clients: bool = False) -> tuple[Relay, int]:
        """hfp that listens for TLS as well, and where; with ``clients`` it wants certificates of them."""
        port = free_port()
        spec = f"tls:{port}:interface={HOST}:privateKey={self.ours.key}:certKey={self.ours.certificate}"
        if clients:
            spec += f":caCertsFile={self.authority.file}"
        return self.relay(collector, options=["--listen", spec, *options]), port

    def secure(self, port: int, identity: Identity | None = None, **options: Any) -> ssl.SSLSocket:
        """
        A connection over TLS that verifies hfp's certificate.

        :raises OSError: when hfp does not want it; TLS 1.3 tells that only when it is first read.
        """
        context = ssl.create_default_context(cafile=str(self.authority.file))
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.key)
        if "version" in options:
            context.minimum_version = context.maximum_version = options["version"]
        plain = socket.create_connection((HOST, port), timeout=10)
        self.addCleanup(plain.close)
        secured = context.wrap_socket(plain, server_hostname=HOST)
        self.addCleanup(secured.close)
        return secured

    def test_tls_1_2_and_1_3(self) -> None:
        """Both versions, small writes and large ones, beside a sender over plain TCP; the close is an orderly one."""
        collector = self.collector()
        relay, port = self.relay_with_tls(collector)
        sent = self.send(relay, id=9, count=1_000)
        for agent, version in ((1, ssl.TLSVersion.TLSv1_2), (2, ssl.TLSVersion.TLSv1_3)):
            octets = Traffic(agent, "every-size").batch(0, 400)
            connection = self.secure(port, version=version)
            self.assertEqual(connection.version(), version.name.replace("v1_", "v1."))
            for at in range(0, 40_000, 100):
                connection.sendall(octets[at : at + 100])
            connection.sendall(octets[40_000:])
            # Waits for hfp's close_notify.
            connection.unwrap().close()
            sent[agent] = 400
        self.until_arrived(collector, sent, 10)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(sum(relay.metrics().by("hfp_tls_failures_total", "kind").values()), 0)

    def test_old_versions(self) -> None:
        """TLS 1.1 is not spoken."""
        collector = self.collector()
        relay, port = self.relay_with_tls(collector)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with socket.create_connection((HOST, port), timeout=10) as plain, self.assertRaises(OSError):
            context.wrap_socket(plain)
        self.until_above(lambda: relay.metric("hfp_tls_failures_total", kind="version"), 0, 5, "it is counted")

    def test_certificates_of_senders(self) -> None:
        """With ``caCertsFile`` only a certificate of that authority that is still good lets a sender in."""
        collector = self.collector()
        relay, port = self.relay_with_tls(collector, clients=True)
        other = Authority(self.directory, "other")
        for name, identity, kind in (
            ("none", None, "no-certificate"),
            ("self-signed", self.authority.self_signed("self-signed", "sender"), "bad-certificate"),
            ("expired", self.authority.issue("expired", "sender", days=-1), "bad-certificate"),
            ("of another", other.issue("of-another", "sender"), "bad-certificate"),
        ):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                failures = partial(relay.metric, "hfp_tls_failures_total", kind=kind)
                before = failures()
                with self.assertRaises(OSError, msg=name):
                    connection = self.secure(port, identity, version=version)
                    connection.sendall(Traffic(7).batch(0, 3))
                    # Until hfp's alert is here.
                    self.assertEqual(connection.recv(1), b"", name)
                    raise OSError("closed without an alert")
                self.until_equal(failures, before + 1, 5, name)
        connection = self.secure(port, self.authority.issue("good", "sender"))
        connection.sendall(Traffic(1).batch(0, 500))
        self.until_arrived(collector, {1: 500}, 5)
        self.assert_delivered(collector, {1: 500}, duplicates=0)
        self.assertEqual(relay.received(), 500)
        for cure in ("caCertsFile", "expired"):
            self.assertIn(cure, relay.log())

    def test_no_tls_where_tls_is_spoken_and_the_reverse(self) -> None:
        """HEP in plain text at the TLS port, TLS at the plain port: counted by kind, with the cure in the log."""
        collector = self.collector()
        relay, port = self.relay_with_tls(collector)
        with socket.create_connection((HOST, port), timeout=10) as connection:
            connection.sendall(Traffic(7).batch(0, 10))
            self.assertEqual(_rest(connection)[:1] in (b"", b"\x15"), True, "hfp says nothing but an alert")
        self.until_equal(lambda: relay.metric("hfp_tls_failures_total", kind="plain"), 1, 5, "plain text is counted")
        with socket.create_connection((HOST, relay.port), timeout=10) as connection, self.assertRaises(OSError):
            ssl.create_default_context().wrap_socket(connection, server_hostname=HOST)
        self.until_above(lambda: relay.metric("hfp_invalid_total", kind="tls"), 0, 5, "TLS is counted")
        self.assertIn("let it send to a tcp listener", relay.log())
        self.assertIn("let it send to a tls listener", relay.log())
        sent = self.send(relay, count=100)
        self.until_arrived(collector, sent, 5)
        self.assert_delivered(collector, sent)

    def test_handshakes_that_never_end(self) -> None:
        """Connections that begin TLS and stop, or never begin: closed in time, while others are served."""
        collector = self.collector()
        relay, port = self.relay_with_tls(collector, "--packet-deadline", "1.5")
        hello = _client_hello()
        hanging = []
        for cut in (0, 1, 5, 20, len(hello) - 1, len(hello)):
            connection = socket.create_connection((HOST, port), timeout=10)
            self.addCleanup(connection.close)
            connection.sendall(hello[:cut])
            hanging.append(connection)
        self.until_equal(lambda: relay.metric("hfp_senders_connected"), len(hanging), 5, "all are connected")
        with self.secure(port) as connection:
            connection.sendall(Traffic(1).batch(0, 500))
            self.until_arrived(collector, {1: 500}, 5)
            self.until_equal(lambda: relay.metric("hfp_senders_connected"), 1, 5, "those are closed")
            for other in hanging:
                _rest(other)
        self.assert_delivered(collector, {1: 500})

    def test_sender_that_never_reads(self) -> None:
        """
        A sender that sends and closes, and has never read, as capture agents do: all that it sent arrives.

        Had hfp answered anything that is not read, the sender's kernel would reset the connection and throw away what
        it still has to send.
        """
        collector = self.collector()
        _, port = self.relay_with_tls(collector)
        sent = {}
        for agent in range(1, 6):
            connection = self.secure(port, version=ssl.TLSVersion.TLSv1_3)
            connection.sendall(Traffic(agent).batch(0, 2_000))
            connection.close()
            sent[agent] = 2_000
        self.until_arrived(collector, sent, 10)
        self.assert_delivered(collector, sent, duplicates=0)

    def test_sender_breaks_off(self) -> None:
        """The connection is reset in the middle of a record: what was whole before is delivered."""
        collector = self.collector()
        relay, port = self.relay_with_tls(collector)
        octets = Traffic(1).batch(0, 101)
        connection = self.secure(port)
        connection.sendall(octets[: len(octets) - 10])
        self.until_equal(relay.received, 100, 5, "whole packets are taken")
        with socket.socket(fileno=connection.detach()) as plain:
            plain.sendall(b"\x17\x03\x03\x40\x00half of a record")
        self.until_arrived(collector, {1: 100}, 5)
        self.until_equal(lambda: relay.metric("hfp_invalid_total", kind="truncated"), 1, 5, "the half is counted")
        self.assert_delivered(collector, {1: 100})


def _rest(connection: socket.socket) -> bytes:
    """What hfp says until it closes; it must close."""
    said = b""
    deadline = time.monotonic() + 10
    try:
        while time.monotonic() < deadline:
            some = connection.recv(4096)
            if not some:
                return said
            said += some
    except ConnectionResetError:
        return said
    raise AssertionError("hfp has not closed the connection")


def _client_hello() -> bytes:
    """What a client of TLS says first."""
    said = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return said.read()
