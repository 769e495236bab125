"""
A certificate for 127.0.0.1, made anew for each run: its own authority, with its key in the same file.

Relays show it to the generator, the collector shows it to relays, and these verify it.
"""

from __future__ import annotations

import datetime
import os
from ipaddress import IPv4Address
from pathlib import Path

from bench.errors import Missing

__all__ = ["make_certificate"]

_VALID = datetime.timedelta(days=1)


def make_certificate(directory: Path) -> Path:
    """
    Make one.

    :param directory: for the file.
    :returns: the file, PEM, for our eyes only.
    :raises Missing: when what hfp needs for TLS is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError:
        raise Missing("TLS needs the extra: pip install 'hfp[tls]', or leave this case out") from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hfp bench")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = directory / "certificate.pem"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(certificate.public_bytes(pem) + key.private_bytes(pem, *plain))
    return path
