"""
TLS, for listeners and uplinks: contexts made of the operator's files, and one connection's end without any I/O.

The only module that imports OpenSSL and what comes with it, and it does so inside functions: without the extra
``hfp[tls]`` everything but TLS works.  `hfp.preflight` and `hfp.service` make creators, `hfp.uplink` runs a `Channel`.

Contexts are made here and not by ``twisted.internet.ssl``, for two reasons: its options take pyOpenSSL's own
certificate objects, which new releases of pyOpenSSL warn about and old ones demand; and its check of a server's
certificate says that it failed, not why.  The checking itself is OpenSSL's (the chain) and service_identity's (the
name), as it is there.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from zope.interface import implementer

from hfp.certificates import check_key, expiry, is_exposed, read_certificates
from hfp.errors import HfpError, UsageProblem
from hfp.verification import Verdict, is_address, name_check, verifier

#: Octets that are encrypted before the result is taken out: four records.  Larger portions gain nothing, and from
#: malloc's 128 KiB mmap threshold on each would pay for fresh pages (measured: 160 ns per 600-byte packet with 64 or
#: 128 KiB, 195 with 32, 257 with 16).
PORTION_OCTETS = 64 * 1024

#: What a portion grows by, at most, with room to spare: 22 octets for each record.
_GROWTH_OCTETS = 1024

#: Ciphers of TLS 1.2: forward secrecy and authenticated encryption only.  Those of 1.3 are all so.
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20"

_NEEDED = ("OpenSSL", "service_identity")

# Source: RFC 8446, section 6; the names are OpenSSL's
_ALERTS = {
    "certificate required": "it wants a client certificate; give one with clientCert=FILE:clientKey=FILE",
    "bad certificate": "it does not accept our client certificate; check clientCert=FILE",
    "unknown ca": "it does not know the CA of our client certificate; check clientCert=FILE, or its list of CAs",
    "certificate expired": "our client certificate has expired; renew clientCert=FILE",
    "certificate revoked": "our client certificate was revoked; renew clientCert=FILE",
    "access denied": "it does not let our client certificate in",
    "protocol version": "it speaks neither TLS 1.2 nor 1.3; hfp speaks nothing older",
    "handshake failure": "there is no cipher that both know, or it wants a client certificate (clientCert=FILE)",
    "unrecognized name": "it does not know the name that we ask for; check serverName=NAME",
}


class TlsFault(HfpError):
    """TLS with a peer failed; the message says how, and the cure."""


def require() -> None:
    """
    :raises UsageProblem: if TLS cannot be had because the extra is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise UsageProblem("TLS needs the extra; install it with: pip install 'hfp[tls]'")


# Creators


def server_creator(private_key: str, certificate: str, ca: str | None = None) -> Any:
    """
    What a TLS listener makes its connections with.

    :param private_key: path of the key, PEM.
    :param certificate: path of the certificate and what of its chain is to be shown, PEM.
    :param ca: path of the CA certificates one of which must have signed a client's; None if clients need none.
    :returns: a provider of ``IOpenSSLServerConnectionCreator``.
    :raises UsageProblem: if a file is of no use; the message starts with its path.
    """
    require()
    from OpenSSL import SSL

    context = _context(private_key, certificate)
    context.set_session_id(os.urandom(16))  # without one, clients that show certificates cannot resume
    if ca is not None:
        _load_authorities(context, ca)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accept_what_openssl_does)
    return _ServerCreator(context)


def client_creator(
    host: str,
    *,
    server_name: str | None = None,
    ca_file: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    insecure: bool = False,
) -> Any:
    """
    What a TLS uplink makes its connections with.

    :param host: whom the server's certificate must name: a DNS name, or an IP address.
    :param server_name: the name to ask for, and to find in the certificate, instead.
    :param ca_file: path of the CA certificates to trust, PEM; None for those that the system trusts.
    :param certificate: path of the certificate (and chain) to show if asked for one, PEM; with *key* only.
    :param key: path of its key, PEM.
    :param insecure: take any certificate whatever.
    :returns: a provider of ``IOpenSSLClientConnectionCreator``.
    :raises UsageProblem: if a file, or the name, is of no use; the message starts with it.
    """
    require()
    from OpenSSL import SSL

    if (certificate is None) != (key is None):
        raise UsageProblem(
            f"{certificate or key}: a client certificate and its key go together; give both clientCert and clientKey"
        )
    context = _context(key, certificate)
    name = (server_name or host).partition("%")[0].removesuffix(".")
    if not insecure:
        check = name_check(name)
        if ca_file is None:
            context.set_default_verify_paths()
        else:
            _load_authorities(context, ca_file)
        context.set_verify(SSL.VERIFY_PEER, verifier(name, check))
    return _ClientCreator(context, b"" if is_address(name) else name.encode("ascii"))


@implementer(IOpenSSLServerConnectionCreator)
class _ServerCreator:
    def __init__(self, context: Any) -> None:
        self._context = context

    def serverConnectionForTLS(self, tlsProtocol: Any) -> Any:
        from OpenSSL import SSL

        return SSL.Connection(self._context)


@implementer(IOpenSSLClientConnectionCreator)
class _ClientCreator:
    """:param name: for SNI; empty for an address, which RFC 6066, section 3, keeps out of it."""

    def __init__(self, context: Any, name: bytes) -> None:
        self._context = context
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        from OpenSSL import SSL

        connection = SSL.Connection(self._context)
        connection.set_app_data(Verdict())
        if self._name:
            connection.set_tlsext_host_name(self._name)
        return connection


def _context(key: str | None, certificate: str | None) -> Any:
    from OpenSSL import SSL

    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    if key is not None and certificate is not None:
        read_certificates(certificate)
        check_key(key)
        try:
            context.use_certificate_chain_file(certificate)
        except SSL.Error as error:
            raise UsageProblem(f"{certificate}: cannot be used ({_reason(error)}); give another certificate") from None
        try:
            context.use_privatekey_file(key)
            context.check_privatekey()
        except SSL.Error:
            raise UsageProblem(
                f"{key}: is not the key of the certificate in {certificate}; give the key that it was made with"
            ) from None
    context.set_cipher_list(_CIPHERS)
    return context


def _accept_what_openssl_does(connection: Any, certificate: Any, code: int, depth: int, accepted: int) -> bool:
    return bool(accepted)


def _load_authorities(context: Any, path: str) -> None:
    from OpenSSL import SSL

    read_certificates(path)
    try:
        context.load_verify_locations(path)
    except SSL.Error as error:
        raise UsageProblem(f"{path}: cannot be used ({_reason(error)}); give CA certificates in PEM form") from None


def _reason(error: Any) -> str:
    """What OpenSSL says, without its numbers."""
    queue = error.args[0] if error.args else ()
    if queue and isinstance(queue, list):
        return str(queue[-1][2]) or "without a reason"
    return "the connection ended in the middle of it"


# One connection


class Channel:
    """
    The client's end of one TLS connection: octets in, octets out, no I/O.

    Whatever was called, what is to go to the peer is there in `outgoing` afterwards.

    :param creator: from `client_creator`.
    """

    def __init__(self, creator: Any) -> None:
        from OpenSSL import SSL

        self._connection = creator.clientConnectionForTLS(None)
        self._connection.set_connect_state()
        self._error = SSL.Error
        self._want_read = SSL.WantReadError
        self._closed = SSL.ZeroReturnError

    def handshake(self, data: bytes = b"") -> bool:
        """
        Begin the handshake, or go on with it.

        :param data: what the peer has sent.
        :returns: whether it is complete, and the peer's certificate good.
        :raises TlsFault: if it has failed.
        """
        try:
            if data:
                self._connection.bio_write(data)
            self._connection.do_handshake()
        except self._want_read:
            return False
        except self._error as error:
            raise self._fault(error) from None
        return True

    def protect(self, pieces: list[Any]) -> list[bytes]:
        """
        Hot, once per batch: encrypt.  Only after the handshake.

        :param pieces: buffers of 1 octet or more.
        :returns: what is to be sent, in order.
        :raises TlsFault: if the connection is of no use any more.
        """
        # One buffer for all pieces costs 13 ns per packet; a record of its own for each piece would cost a microsecond
        # each, and 22 octets on the wire.
        view = memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        size = len(view)
        connection = self._connection
        out = []
        try:
            for at in range(0, size, PORTION_OCTETS):
                part = view[at : at + PORTION_OCTETS]
                room = len(part) + _GROWTH_OCTETS
                while part:  # each call takes one record's worth
                    part = part[connection.send(part) :]
                out.append(connection.bio_read(room))
        except self._error as error:
            raise self._fault(error) from None
        return out

    def receive(self, data: bytes) -> bool:
        """
        Take notice of what the peer sends after the handshake, and drop what is in it.

        :returns: whether the peer has said that it will send no more (``close_notify``).
        :raises TlsFault: if it sent an alert, or what is no TLS.
        """
        try:
            if data:
                self._connection.bio_write(data)
            while True:
                self._connection.recv(PORTION_OCTETS)
        except self._want_read:
            return False
        except self._closed:
            return True
        except self._error as error:
            raise self._fault(error) from None

    def close(self) -> None:
        """Say that nothing more will be sent (``close_notify``)."""
        try:
            self._connection.shutdown()
        except self._error:
            pass  # it is broken already, and so the peer will see no proper end

    def outgoing(self) -> bytes:
        """What is to be sent; empty if there is nothing."""
        parts = []
        try:
            while True:
                parts.append(self._connection.bio_read(PORTION_OCTETS))
        except self._error:  # there is no more
            return b"".join(parts)

    def _fault(self, error: Any) -> TlsFault:
        verdict = self._connection.get_app_data()
        if verdict is not None and verdict.reason:
            return TlsFault(verdict.reason)
        reason = _reason(error)
        _, alert, name = reason.partition("alert ")
        if alert:
            cure = _ALERTS.get(name, "see its log")
            return TlsFault(f"it ended TLS with the alert {name!r}: {cure}")
        return TlsFault(f"it does not keep to TLS ({reason})")


__all__ = ["Channel", "TlsFault", "client_creator", "expiry", "is_exposed", "require", "server_creator"]
