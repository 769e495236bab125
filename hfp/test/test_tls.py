"""
Tests for `hfp.tls`, `hfp.certificates` and `hfp.verification`.
"""

from __future__ import annotations

import ast
import datetime
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import hfp
from hfp.errors import UsageProblem
from hfp.test.tlsfakes import Authority, Identity, MemoryPeer
from hfp.tls import PORTION_OCTETS, Channel, TlsFault, client_creator, expiry, is_exposed, require, server_creator


class TlsTestCase(SynchronousTestCase):
    """Two authorities, of which one signs the server's certificate."""

    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.authority = Authority(self.directory)
        self.stranger = Authority(self.directory, "another CA")
        self.identity = self.authority.issue("a.example", "192.0.2.1", "2001:db8::1")

    def server(self, identity: Identity | None = None, ca: str | None = None) -> Any:
        identity = identity or self.identity
        return server_creator(identity.key, identity.certificate, ca)

    def client(self, host: str = "a.example", **options: Any) -> Any:
        return client_creator(host, **{"ca_file": self.authority.certificate, **options})

    def meet(self, client: Any, server: Any) -> tuple[Channel, MemoryPeer]:
        """Run the handshake, and whatever follows it by itself."""
        channel = Channel(client)
        peer = self.peer = MemoryPeer(server)
        up = False
        data = b""
        try:
            for _ in range(6):
                if up:
                    channel.receive(data)
                else:
                    up = channel.handshake(data)
                data = peer.take(channel.outgoing())
        except TlsFault:
            peer.take(channel.outgoing())
            raise
        self.assertTrue(up)
        return channel, peer

    def refusal(self, client: Any, server: Any) -> str:
        return str(self.assertRaises(TlsFault, self.meet, client, server))

    def problem(self, function: Any, *arguments: Any, **options: Any) -> str:
        return str(self.assertRaises(UsageProblem, function, *arguments, **options))


class VerifyingTests(TlsTestCase):
    """A server's certificate is verified, chain and name."""

    def test_interfaces(self) -> None:
        """The creators are what they say."""
        verifyObject(IOpenSSLClientConnectionCreator, self.client())
        verifyObject(IOpenSSLServerConnectionCreator, self.server())

    def test_good(self) -> None:
        """A certificate for the name or the address, signed by a trusted CA."""
        for host in ("a.example", "a.example.", "192.0.2.1", "2001:db8::1", "2001:db8::1%eth0"):
            _, peer = self.meet(self.client(host), self.server())
            self.assertTrue(peer.complete, host)

    def test_server_name(self) -> None:
        """Another name to ask for and to find, also for an address; an address is never asked for."""
        _, peer = self.meet(self.client("192.0.2.77", server_name="a.example"), self.server())
        self.assertEqual(peer.connection.get_servername(), b"a.example")
        _, peer = self.meet(self.client("192.0.2.1"), self.server())
        self.assertIsNone(peer.connection.get_servername())

    def test_wrong_name(self) -> None:
        """The message says for whom it is, and the server is told."""
        for host in ("b.example", "192.0.2.2", "2001:db8::2"):
            text = self.refusal(self.client(host), self.server())
            self.assertEqual(
                text,
                f"its certificate is for a.example, 192.0.2.1, 2001:db8::1, not for {host}; "
                "give the right one as serverName=NAME",
            )
            self.assertFalse(self.peer.complete)
            self.assertIsNotNone(self.peer.problem)

    def test_no_name(self) -> None:
        """A certificate with a common name only is for nobody."""
        text = self.refusal(self.client("a.example"), self.server(self.authority.issue(label="a.example")))
        self.assertIn("for no name at all", text)

    def test_long_names(self) -> None:
        """What a peer's certificate says is repeated in part only."""
        identity = self.authority.issue(*(f"host{number}.example" for number in range(100)))
        self.assertLess(len(self.refusal(self.client(), self.server(identity))), 300)

    def test_expired(self) -> None:
        """One that has expired, or is not valid yet."""
        text = self.refusal(self.client(), self.server(self.authority.issue("a.example", starts=-9, ends=-1)))
        self.assertIn("its certificate (CN=a.example) has expired", text)
        text = self.refusal(self.client(), self.server(self.authority.issue("a.example", starts=1)))
        self.assertIn("is not valid yet; check the clocks", text)

    def test_self_signed(self) -> None:
        """One that is self-signed; trusted by itself it is good."""
        identity = self.authority.issue("a.example", self_signed=True)
        self.assertIn("is self-signed", self.refusal(self.client(), self.server(identity)))
        self.meet(self.client(ca_file=identity.certificate), self.server(identity))

    def test_unknown_authority(self) -> None:
        """One that is signed by a stranger: with a CA file only that counts, without one what the system trusts."""
        for ca_file in (self.stranger.certificate, None):
            text = self.refusal(self.client(ca_file=ca_file), self.server())
            self.assertIn("signed by a CA that is not trusted here; give that CA's certificate with caFile=FILE", text)

    def test_system_trust(self) -> None:
        """Without a CA file, what the platform trusts."""
        before = os.environ.get("SSL_CERT_FILE")
        self.addCleanup(lambda: os.environ.update(SSL_CERT_FILE=before) if before else os.environ.pop("SSL_CERT_FILE"))
        os.environ["SSL_CERT_FILE"] = self.authority.certificate
        self.meet(self.client(ca_file=None), self.server())

    def test_chain(self) -> None:
        """A server shows the chain in its certificate's file."""
        between = Authority(self.directory, "between", above=self.authority)
        bare = between.issue("a.example")
        self.refusal(self.client(), self.server(bare))
        self.meet(self.client(), self.server(between.issue("a.example", chain=[between.x509])))

    def test_insecure(self) -> None:
        """Only when told so any certificate is taken."""
        self.meet(self.client("b.example", insecure=True, ca_file=None), self.server())

    def test_no_doubt(self) -> None:
        """Whatever goes wrong while the name is looked at is a refusal."""
        import service_identity.pyopenssl

        self.patch(service_identity.pyopenssl, "extract_patterns", lambda certificate: 1 / 0)
        self.assertIn("cannot be read (ZeroDivisionError)", self.refusal(self.client(), self.server()))

    def test_versions(self) -> None:
        """Nothing older than TLS 1.2 is spoken, by neither side."""
        old = self.server()
        old._context.set_min_proto_version(SSL.TLS1_VERSION)
        old._context.set_max_proto_version(SSL.TLS1_1_VERSION)
        self.assertIn("neither TLS 1.2 nor 1.3", self.refusal(self.client(), old))
        old = self.client()
        old._context.set_min_proto_version(SSL.TLS1_VERSION)
        old._context.set_max_proto_version(SSL.TLS1_1_VERSION)
        self.assertRaises(TlsFault, self.meet, old, self.server())
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            server = self.server()
            server._context.set_max_proto_version(version)
            _, peer = self.meet(self.client(), server)
            self.assertEqual(peer.connection.get_protocol_version(), version)


class ClientCertificateTests(TlsTestCase):
    """With a CA given, whoever connects must show a certificate signed by it."""

    def shown(self, identity: Identity) -> Any:
        return self.client(certificate=identity.certificate, key=identity.key)

    def test_good(self) -> None:
        """One that it signed."""
        _, peer = self.meet(self.shown(self.authority.issue("me")), self.server(ca=self.authority.certificate))
        self.assertTrue(peer.complete)

    def test_not_asked_for(self) -> None:
        """Without a CA nobody needs one."""
        self.meet(self.shown(self.stranger.issue("me")), self.server())

    def test_bad(self) -> None:
        """None, one of a stranger's, an expired one: the alert is told with its cure, in TLS 1.2 and 1.3."""
        expired = self.authority.issue("old", starts=-9, ends=-1)
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            for client, cure in (
                (self.client(), "clientCert=FILE"),
                (self.shown(self.stranger.issue("me")), "does not know the CA of our client certificate"),
                (self.shown(expired), "our client certificate has expired"),
            ):
                server = self.server(ca=self.authority.certificate)
                server._context.set_max_proto_version(version)
                text = self.refusal(client, server)
                self.assertIn("ended TLS with the alert", text)
                self.assertIn(cure, text)
                self.assertFalse(self.peer.complete)

    def test_pair(self) -> None:
        """A certificate without its key is no use."""
        self.assertIn("go together", self.problem(self.client, certificate=self.identity.certificate))
        self.assertIn("go together", self.problem(self.client, key=self.identity.key))


class FileTests(TlsTestCase):
    """Files that are no use are named, with the cure."""

    def write(self, octets: bytes) -> str:
        path = os.path.join(self.directory, f"file{len(os.listdir(self.directory))}")
        with open(path, "wb") as file:
            file.write(octets)
        return path

    def test_not_there(self) -> None:
        """No file, or a directory."""
        good = self.identity
        for bad in ("/nowhere/x.pem", self.directory):
            for text in (
                self.problem(server_creator, bad, good.certificate),
                self.problem(server_creator, good.key, bad),
                self.problem(server_creator, good.key, good.certificate, bad),
                self.problem(self.client, ca_file=bad),
                self.problem(self.client, certificate=bad, key=good.key),
                self.problem(self.client, certificate=good.certificate, key=bad),
                self.problem(expiry, bad),
            ):
                self.assertTrue(text.startswith(f"{bad}: cannot be read ("), text)

    def test_not_pem(self) -> None:
        """Something else than certificates and keys; DER has a cure of its own."""
        good = self.identity
        der = load_pem_x509_certificate(Path(good.certificate).read_bytes()).public_bytes(Encoding.DER)
        for octets, words in (
            (b"", "PEM form"),
            (b"junk", "PEM form"),
            (b"-----BEGIN CERTIFICATE-----\njunk\n-----END CERTIFICATE-----\n", "PEM form"),
            (der, "-inform der"),
        ):
            path = self.write(octets)
            for function, arguments in (
                (server_creator, (good.key, path)),
                (server_creator, (path, good.certificate)),
                (server_creator, (good.key, good.certificate, path)),
            ):
                text = self.problem(function, *arguments)
                self.assertTrue(text.startswith(f"{path}: "), text)
                self.assertIn(words, text)

    def test_passphrase(self) -> None:
        """A key that needs a passphrase is refused, and nobody is asked for it."""
        key = rsa.generate_private_key(65537, 2048)
        path = self.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
        text = self.problem(server_creator, path, self.identity.certificate)
        self.assertTrue(text.startswith(f"{path}: is protected by a passphrase"), text)

    def test_mismatch(self) -> None:
        """A key of another certificate's, also one of another type."""
        key = rsa.generate_private_key(65537, 2048)
        other = self.write(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        for path in (self.stranger.issue("b").key, other):
            text = self.problem(server_creator, path, self.identity.certificate)
            self.assertTrue(text.startswith(f"{path}: is not the key of"), text)

    def test_bad_name(self) -> None:
        """A name that no certificate can have."""
        self.assertIn("serverName=NAME", self.problem(self.client, server_name="a b"))

    def test_expiry(self) -> None:
        """When a certificate expires."""
        left = expiry(self.authority.issue("a", ends=3).certificate) - datetime.datetime.now(datetime.timezone.utc)
        self.assertTrue(2.9 < left.total_seconds() / 86400 < 3.1)

    def test_exposed(self) -> None:
        """A file that everybody may read."""
        self.assertFalse(is_exposed(self.identity.key))
        os.chmod(self.identity.key, 0o644)
        self.assertTrue(is_exposed(self.identity.key))
        self.assertFalse(is_exposed("/nowhere/x.key"))


class ChannelTests(TlsTestCase):
    """`Channel` after the handshake."""

    def test_octets(self) -> None:
        """What is given arrives octet for octet, whatever its pieces."""
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            server = self.server()
            server._context.set_max_proto_version(version)
            channel, peer = self.meet(self.client(), server)
            sent = b""
            for sizes in ((1,), (600,), (16384,), (16385,), (PORTION_OCTETS,), (3 * PORTION_OCTETS + 7,), (5, 70_000)):
                pieces: list[Any] = [os.urandom(size) for size in sizes]
                sent += b"".join(pieces)
                pieces[0] = memoryview(pieces[0])
                for part in channel.protect(pieces):
                    peer.take(part)
                self.assertEqual(channel.outgoing(), b"")
            self.assertEqual(peer.received, sent)

    def test_dropped(self) -> None:
        """What the peer says is dropped."""
        channel, peer = self.meet(self.client(), self.server())
        peer.connection.send(b"hello" * 1000)
        self.assertFalse(channel.receive(peer.outgoing()))

    def test_closed(self) -> None:
        """A peer that says it will send no more; and one that is told so."""
        channel, peer = self.meet(self.client(), self.server())
        channel.close()
        peer.take(channel.outgoing())
        self.assertTrue(peer.ended)
        self.assertTrue(channel.receive(peer.close()))

    def test_junk(self) -> None:
        """Octets that are no TLS, before and after the handshake: our own error."""
        for octets in (b"HTTP/1.1 400 Bad Request\r\n", b"\x16\x03\x01\x00\x04junk", b"\x15\x03\x03\x00\x02\x02\x28"):
            channel = Channel(self.client())
            channel.handshake()
            self.assertRaises(TlsFault, channel.handshake, octets)
            channel, _ = self.meet(self.client(), self.server())
            self.assertRaises(TlsFault, channel.receive, octets)
        self.assertRaises(TlsFault, channel.protect, [b"x"])


class WithoutTheExtraTests(SynchronousTestCase):
    """Without OpenSSL."""

    def test_require(self) -> None:
        """One line says what to install."""
        require()
        self.patch(importlib.util, "find_spec", lambda name: None)
        text = str(self.assertRaises(UsageProblem, require))
        self.assertEqual(text, "TLS needs the extra; install it with: pip install 'hfp[tls]'")
        self.assertRaises(UsageProblem, client_creator, "a.example")
        self.assertRaises(UsageProblem, server_creator, "a", "b")

    def test_imports(self) -> None:
        """Everything imports without it."""
        code = (
            "import sys\n"
            "for name in ('OpenSSL', 'service_identity', 'cryptography'): sys.modules[name] = None\n"
            "import hfp.tls, hfp.uplink, hfp.service\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(hfp.__file__).parent.parent)

    def test_one_place(self) -> None:
        """What the extra brings is imported inside functions; but for the TLS listener, which is imported so itself."""
        takers = set()
        package = Path(hfp.__file__).parent
        for path in package.rglob("*.py"):
            if "test" in path.relative_to(package).parts or path == package / "intake" / "tls.py":
                continue
            tree = ast.parse(path.read_text())
            for node in ast.walk(tree):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                for name in names:
                    if name.partition(".")[0] in ("OpenSSL", "service_identity", "cryptography"):
                        self.assertNotIn(node, tree.body, path)
                        if name == "OpenSSL":
                            takers.add(path.name)
        self.assertEqual(takers, {"tls.py"})
