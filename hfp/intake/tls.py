"""
HEP3 over TLS.  The pool reads the TCP transport and gives what it reads to Twisted's TLS protocol, which decrypts and
gives it to a `TlsReceiver`.

Imported only where a TLS listener is configured, because it needs pyOpenSSL.  Certificates and contexts are made
elsewhere; here a connection creator is a parameter.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IHandshakeListener
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from hfp.hep.junk import ENOUGH, classify
from hfp.intake.members import StreamMember
from hfp.intake.tcp import HepReceiver, HepReceiverFactory

#: The first octet of what a TLS client sends: a record of type handshake.  Source: RFC 8446, section 5.1.
_HANDSHAKE = b"\x16"

#: What OpenSSL says, in lower case and in part, and the kind of failure that it is (`hfp.intake.faults.TLS_CURES`).
_KINDS = (
    ("did not return a certificate", "no-certificate"),
    ("certificate verify failed", "bad-certificate"),
    ("alert unknown ca", "distrust"),
    ("alert bad certificate", "distrust"),
    ("alert certificate", "distrust"),
    ("alert unsupported certificate", "distrust"),
    ("unsupported protocol", "version"),
    ("version too low", "version"),
    ("alert protocol version", "version"),
    ("no shared cipher", "version"),
    ("no protocols available", "version"),
)


#: Octets that `_Reticent` holds back at most: two session tickets take 500.  What is beyond is never sent.
MOST_HELD_OCTETS = 16 * 1024


class _Reticent:
    """
    A TCP transport as TLS sees it, that holds back what TLS writes once the handshake is over, until the goodbye.

    With TLS 1.3 a server then sends session tickets.  A capture agent never reads, and a kernel whose program closes a
    socket with something unread in it resets the connection and throws away what it had not sent yet (measured over
    loopback: 2,000 to 6,000 packets of a sender that writes and closes).  So there must be nothing to read.

    :param raw: the transport.
    """

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.holding = False
        self._held = bytearray()
        self._room = MOST_HELD_OCTETS

    def write(self, data: bytes) -> None:
        """Send this, now or never."""
        if not self.holding:
            self.raw.write(data)
            return
        self._room -= len(data)
        if self._room >= 0:  # TLS counts its records: with one left out, those behind it are worth nothing
            self._held += data

    def loseConnection(self) -> None:
        """Send what was held back, and close."""
        if self._held:
            self.raw.write(bytes(self._held))
            self._held.clear()
        self.raw.loseConnection()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class _Tls(TLSMemoryBIOProtocol):
    """Twisted's TLS over a reticent transport."""

    def makeConnection(self, transport: Any) -> None:
        super().makeConnection(_Reticent(transport))


@implementer(IHandshakeListener)
class TlsReceiver(HepReceiver):
    """Frames what one sender sends through TLS."""

    kind = "tls"
    _established = False
    _heard = False
    _failed = False

    def connectionMade(self) -> None:
        tls: Any = self.transport
        self._outward: _Reticent = tls.transport
        self._begin(self._outward.raw)

    def handshakeCompleted(self) -> None:
        self._established = True
        # Up to TLS 1.2 the last words of a handshake are the server's.
        tls: Any = self.transport
        self._outward.holding = tls.getHandle().get_protocol_version() > SSL.TLS1_2_VERSION

    def close(self) -> None:
        self._pool.remove(self._fd)
        # The first says goodbye and would then wait for the sender's; the second does not.
        tls: Any = self.transport
        tls.loseConnection()
        self._outward.loseConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        if not self.was_cut and not self._failed:
            self._note(reason.value if reason is not None else None)
        super().connectionLost(reason)

    def _member(self, raw: Any) -> StreamMember:
        self._stream = StreamMember(raw, self._first_octets)
        return self._stream

    def _first_octets(self, data: bytes) -> None:
        self._heard = True
        if data.startswith(_HANDSHAKE):
            tls: Any = self.transport
            self._stream.deliver = tls.dataReceived
            tls.dataReceived(data)
            return
        kind = "hep" if data[1:4] == b"EP3" else classify(data[:ENOUGH])
        self._fail("plain", f"it speaks {kind}" if kind != "other" else repr(data[:16]))

    def _fail(self, kind: str, detail: str) -> None:
        self._failed = True
        self.factory.faults.tls_failure(kind, self.sender.host, detail)
        self.cut()

    def _note(self, problem: BaseException | None) -> None:
        """Count a connection that TLS has ended; one that ended in good order, or on which nothing came in, is none."""
        if isinstance(problem, SSL.Error):
            said = _words(problem)
            kind = "record" if self._established else "handshake"
            if not self._established:
                kind = next((kind for words, kind in _KINDS if words in said.lower()), kind)
        elif self._heard and not self._established:
            kind, said = "handshake", "the connection ended within the handshake"
        else:
            return
        self._failed = True
        self.factory.faults.tls_failure(kind, self.sender.host, said)


class TlsReceiverFactory(TLSMemoryBIOFactory):
    """
    What a port listens with where senders speak TLS; asks the access rules before TLS begins.

    :param receivers: counts and configures.
    :param creator: makes the server side's connections.
    """

    protocol = _Tls

    def __init__(self, receivers: HepReceiverFactory, creator: Any) -> None:
        super().__init__(creator, False, receivers, clock=receivers.clock)
        self._receivers = receivers

    def buildProtocol(self, addr: Any) -> Any:
        receiver = self._receivers.receiver(addr, TlsReceiver)
        return None if receiver is None else self.protocol(self, receiver)


def _words(problem: SSL.Error) -> str:
    """What OpenSSL says went wrong, in few words."""
    queue = problem.args[0] if problem.args else ()
    if isinstance(queue, list | tuple) and queue:
        return str(queue[-1][-1])[:80]
    return type(problem).__name__
