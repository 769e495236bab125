"""
The collector of ``hfp.test.peers.collector``, behind TLS.

It has the same orders and the same ledger; it takes TLS 1.2 and newer.  With ``--client-ca`` it wants a certificate of
the relay, signed by that authority.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import ssl
from typing import Any, cast

from hfp.test.peers.collector import Programme

_RECORD_OCTETS = 16_384


class _Decrypted:
    """
    A connection whose ``recv`` gives plain text.

    It empties OpenSSL's buffer: what is left there would not wake the selector.
    """

    def __init__(self, connection: ssl.SSLSocket) -> None:
        self._connection = connection
        self._abruptly = False

    def recv(self, most: int) -> bytes:
        """As of a socket that does not block; ``most`` may be exceeded by less than one TLS record."""
        octets = b""
        while len(octets) < most:
            try:
                some = self._connection.recv(_RECORD_OCTETS)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError:
                # The connection's end is found again with the next call.
                if not octets:
                    raise
                break
            if not some:
                return octets
            octets += some
        if not octets:
            raise BlockingIOError
        return octets

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Somebody who asks for ``SO_LINGER`` wants to end the connection with an RST and nothing else."""
        self._abruptly = self._abruptly or option == socket.SO_LINGER
        self._connection.setsockopt(level, option, value)

    def close(self) -> None:
        """Say so before, as TLS wants it."""
        if not self._abruptly:
            with contextlib.suppress(OSError, ValueError):
                self._connection.unwrap()
        self._connection.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Listener:
    """A listening socket whose connections do TLS."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        self._listener = listener
        self._context = context

    def accept(self) -> tuple[_Decrypted, object]:
        """The handshake is done while reading, so that one that does not begin keeps nobody waiting."""
        connection, address = self._listener.accept()
        connection.setblocking(False)
        secured = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return _Decrypted(secured), address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


class TlsProgramme(Programme):
    """The collector, behind TLS."""

    def _listen(self, address: str) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._arguments.certificate, self._arguments.key)
        if self._arguments.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self._arguments.client_ca)
        return cast(socket.socket, _Listener(super()._listen(address), context))

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        super().__init__(arguments)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="take HEP over TLS and write down what has arrived")
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--ledger", required=True, metavar="FILE", help="appended to after every read")
    parser.add_argument("--dump", metavar="FILE", help="append the octets of all packets to this file")
    parser.add_argument("--certificate", required=True, metavar="FILE")
    parser.add_argument("--key", required=True, metavar="FILE")
    parser.add_argument("--client-ca", metavar="FILE", help="want a certificate that this authority has signed")
    TlsProgramme(parser.parse_args()).run()


if __name__ == "__main__":
    main()
