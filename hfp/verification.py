"""
Whether a server's certificate is good for the name that it was reached by, and if not, why, in the operator's words.

The chain is judged by OpenSSL, the name by service_identity, which the extra ``hfp[tls]`` brings; it is imported inside
functions.  `hfp.tls` hangs this into its contexts.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from hfp.errors import UsageProblem

#: Longest text of a peer's that a message repeats, characters.
_QUOTE = 120

# Source: X509_V_ERR_* in openssl/x509_vfy.h
_VERDICTS = {
    9: "is not valid yet; check the clocks, here and there",
    10: "has expired; renew it there, and check the clock here",
    18: "is self-signed; give that certificate with caFile=FILE if it is the right one",
    19: "is signed by a CA that is not trusted here; give that CA's certificate with caFile=FILE",
    20: "is signed by a CA that is not trusted here; give that CA's certificate with caFile=FILE",
    21: "is signed by a CA that is not trusted here; give that CA's certificate with caFile=FILE",
    23: "was revoked",
    26: "is not meant for a server",
    66: "has a key that is too short for today",
    67: "belongs to a CA with a key that is too short for today",
    68: "is signed with a digest that is too weak for today",
}


class Verdict:
    """Why a peer's certificate was refused, empty if it was not."""

    def __init__(self) -> None:
        self.reason = ""


def verifier(name: str, check: Any) -> Callable[[Any, Any, int, int, int], bool]:
    """
    OpenSSL calls this with its own verdict on each certificate of a chain, the root's first; what raises is a refusal.
    """
    from service_identity import VerificationError
    from service_identity.hazmat import verify_service_identity
    from service_identity.pyopenssl import extract_patterns

    def verify(connection: Any, certificate: Any, code: int, depth: int, accepted: int) -> bool:
        told = connection.get_app_data() or Verdict()
        if not accepted:
            whose = "its certificate" if depth == 0 else "a certificate of its chain"
            fault = _VERDICTS.get(code, f"is not accepted (OpenSSL's verification error {code})")
            told.reason = f"{whose} ({_quote(_subject(certificate))}) {fault}"
            return False
        if depth == 0:
            told.reason = misnamed(certificate)
        return not told.reason

    def misnamed(certificate: Any) -> str:
        try:
            patterns = extract_patterns(certificate)
            if not patterns:
                return "its certificate is for no name at all (it has no subjectAltName); have one made that is"
            verify_service_identity(patterns, [check], [])
        except VerificationError:
            names = ", ".join(map(_pattern, patterns))
            return f"its certificate is for {_quote(names)}, not for {name}; give the right one as serverName=NAME"
        except Exception as error:  # a hostile certificate may be anything, and this runs inside of OpenSSL
            return f"its certificate cannot be read ({type(error).__name__})"
        return ""

    return verify


def name_check(name: str) -> Any:
    from service_identity.hazmat import DNS_ID, IPAddress_ID

    try:
        return IPAddress_ID(name) if is_address(name) else DNS_ID(name)
    except ValueError:
        raise UsageProblem(f"{name}: is no name that a certificate can have; give serverName=NAME") from None


def is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _pattern(pattern: Any) -> str:
    found = pattern.pattern
    return found.decode("ascii", "replace") if isinstance(found, bytes) else str(found)


def _subject(certificate: Any) -> str:
    name: str = certificate.to_cryptography().subject.rfc4514_string()
    return name or "without a subject"


def _quote(text: str) -> str:
    """A peer's text, short and on one line."""
    plain = "".join(character if character.isprintable() else "?" for character in text)
    return plain if len(plain) <= _QUOTE else plain[:_QUOTE] + "..."
