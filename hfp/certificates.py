"""
Certificates and private keys in files, PEM: whether they are what they should be, and what to do if they are not.

Takes them apart with ``cryptography``, which the extra ``hfp[tls]`` brings; so it is imported inside functions, and
`hfp.tls.require` comes first.  What is done with them is up to `hfp.tls`.
"""

from __future__ import annotations

import os
import stat
from datetime import datetime, timezone
from typing import Any

from hfp.errors import UsageProblem


def expiry(path: str) -> datetime:
    """
    When the first certificate of a file expires.

    :raises UsageProblem: if the file is of no use; the message starts with its path.
    """
    certificate = read_certificates(path)[0]
    aware: datetime | None = getattr(certificate, "not_valid_after_utc", None)  # since cryptography 42
    if aware is not None:
        return aware
    naive: datetime = certificate.not_valid_after
    return naive.replace(tzinfo=timezone.utc)


def is_exposed(path: str) -> bool:
    """
    Whether everybody on this machine may read a file, which a private key should not allow.

    :returns: False as well if the file cannot be looked at.
    """
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False


def read_certificates(path: str) -> list[Any]:
    """
    All certificates of a file, one at least.

    :raises UsageProblem: if the file is of no use; the message starts with its path.
    """
    from cryptography import x509

    octets = _read(path)
    try:
        found = x509.load_pem_x509_certificates(octets)
    except ValueError:
        found = []
    if not found:
        if octets[:1] == b"\x30":
            raise UsageProblem(f"{path}: is in DER form; convert it: openssl x509 -inform der -in {path} -out FILE.pem")
        raise UsageProblem(f"{path}: holds no certificate that can be read; give a file in PEM form")
    return found


def check_key(path: str) -> None:
    """
    See that a file holds a private key that needs no passphrase.

    :raises UsageProblem: if it does not; the message starts with its path.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    octets = _read(path)
    try:
        load_pem_private_key(octets, None)
    except TypeError:
        raise UsageProblem(
            f"{path}: is protected by a passphrase, which nobody can type in here; take it off: "
            f"openssl pkey -in {path} -out FILE.pem"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        if octets[:1] == b"\x30":
            raise UsageProblem(
                f"{path}: is in DER form; convert it: openssl pkey -inform der -in {path} -out FILE.pem"
            ) from None
        raise UsageProblem(f"{path}: holds no private key that can be read; give a file in PEM form") from None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageProblem(
            f"{path}: cannot be read ({error.strerror}); check the path, and that hfp's user may read it"
        ) from None
