"""
Certificates for the tests with TLS, made anew for each of them: an authority and what it has signed, as PEM files.
"""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.trial.unittest import SkipTest

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID
except ImportError:  # the extra hfp[tls] is not installed
    x509 = None  # type: ignore[assignment]

_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
_DAY = datetime.timedelta(days=1)


@frozen
class Identity:
    """A certificate and its key, by the paths of their files."""

    certificate: Path
    key: Path


class Authority:
    """
    Signs certificates.

    :ivar file: its own certificate.
    """

    def __init__(self, directory: Path, name: str = "authority") -> None:
        if x509 is None:
            raise SkipTest("needs cryptography, which comes with hfp[tls]")
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(name)
        self.file = directory / f"{name}.pem"
        extensions = [
            (x509.BasicConstraints(ca=True, path_length=None), True),
            # Python 3.13 verifies as strictly as RFC 5280 says, which wants this.
            (x509.KeyUsage(**{use: use in ("key_cert_sign", "crl_sign") for use in _USES}), True),
            (x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), False),
        ]
        self._write(self.file, self._certificate(self._name, self._key.public_key(), extensions, 30))

    def issue(self, name: str, *names: str, days: int = 30) -> Identity:
        """
        A certificate for a server or a client.

        :param name: of the files.
        :param names: host names and IP addresses.
        :param days: until it expires; negative for one that has.
        """
        return self._issue(name, names, days, self)

    def self_signed(self, name: str, *names: str) -> Identity:
        """A certificate that nobody has signed but its own key."""
        return self._issue(name, names, 30, None)

    def _issue(self, name: str, names: tuple[str, ...], days: int, issuer: Authority | None) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general(each) for each in names])
        signer = issuer._key if issuer else key
        extensions = [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (alternatives, False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
        ]
        files = Identity(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        subject = _named(name)
        made = self._certificate(
            subject, key.public_key(), extensions, days, signer=signer, issuer=self._name if issuer else subject
        )
        self._write(files.certificate, made)
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        files.key.chmod(0o600)
        return files

    def _certificate(
        self, subject: Any, public: Any, extensions: list[Any], days: int, signer: Any = None, issuer: Any = None
    ) -> Any:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 400 * _DAY)
            .not_valid_after(now + days * _DAY)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer or self._key, hashes.SHA256())

    def _write(self, path: Path, certificate: Any) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _named(name: str) -> Any:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
