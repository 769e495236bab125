"""
Certificates made for a test, and a TLS server without any socket.  Needs the extra ``hfp[tls]``.
"""

from __future__ import annotations

import datetime
import os
from ipaddress import ip_address
from typing import Any

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

DAY = datetime.timedelta(days=1)


@frozen
class Identity:
    """
    :param certificate: path of the certificate.
    :param key: path of its key.
    """

    certificate: str
    key: str


class Authority:
    """
    Signs certificates, and leaves them in files.

    :param directory: where.
    :param name: its own.
    :param above: the authority that signs its certificate; None for itself.

    :ivar certificate: path of its certificate.
    """

    def __init__(self, directory: str, name: str = "test CA", above: Authority | None = None) -> None:
        os.makedirs(directory, exist_ok=True)
        self._directory = directory
        self._issued = 0
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer, signer_name = (self.key, self.name) if above is None else (above.key, above.name)
        now = datetime.datetime.now(datetime.timezone.utc)
        self.x509 = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(signer_name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * DAY)
            .not_valid_after(now + 10 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer, hashes.SHA256())
        )
        self.certificate = self._write(f"{name}.pem", pem(self.x509))

    def issue(
        self, *names: str, starts: int = -1, ends: int = 5, self_signed: bool = False, chain: Any = (), label: str = ""
    ) -> Identity:
        """
        A certificate.

        :param names: DNS names and IP addresses that it is for.
        :param starts: when it becomes valid, days from now.
        :param ends: when it expires, days from now.
        :param chain: certificates that go with it in the file.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        self._issued += 1
        label = label or (names[0].replace(":", "_") if names else "nobody")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + starts * DAY)
            .not_valid_after(now + ends * DAY)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        made = builder.sign(key if self_signed else self.key, hashes.SHA256())
        return Identity(
            self._write(f"{label}-{self._issued}.crt", b"".join(map(pem, [made, *chain]))),
            self._write(
                f"{label}-{self._issued}.key",
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                ),
            ),
        )

    def _write(self, name: str, octets: bytes) -> str:
        path = os.path.join(self._directory, name)
        with open(path, "wb") as file:
            file.write(octets)
        os.chmod(path, 0o600)
        return path


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class MemoryPeer:
    """
    The server's end of a TLS connection.

    :param creator: from `hfp.tls.server_creator`.

    :ivar received: what it was sent, decrypted.
    :ivar ended: the other end has said that it sends no more.
    :ivar problem: what its TLS complains of.
    """

    def __init__(self, creator: Any) -> None:
        self.connection: SSL.Connection = creator.serverConnectionForTLS(None)
        self.connection.set_accept_state()
        self.received = bytearray()
        self.complete = False
        self.ended = False
        self.problem: Exception | None = None

    def take(self, octets: bytes) -> bytes:
        """Octets from the other end arrive; returns what goes back."""
        if octets:
            self.connection.bio_write(octets)
        try:
            if not self.complete:
                self.connection.do_handshake()
                self.complete = True
            while True:
                self.received += self.connection.recv(65536)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.ended = True
        except SSL.Error as problem:
            self.problem = problem
        return self.outgoing()

    def close(self) -> bytes:
        """Says that it sends no more; returns what goes out."""
        self.connection.shutdown()
        return self.outgoing()

    def outgoing(self) -> bytes:
        out = b""
        try:
            while True:
                out += self.connection.bio_read(65536)
        except SSL.Error:
            return out
