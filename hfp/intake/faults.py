"""
What senders do wrong, by kind: counted, logged once for each host and kind with what to do about it, then summarised.
"""

from __future__ import annotations

from collections.abc import Mapping

from hfp.hep import DATAGRAM_FAULTS, FAULT_KINDS
from hfp.logs import Repeats

#: What the operator can do about each kind of fault of a stream.
CURES = {
    "tls": "the sender speaks TLS to a plain TCP port; switch TLS off there, or let it send to a tls listener",
    "http": "something sends HTTP to the HEP port; check which program or health check that is",
    "sip": "the sender sends plain SIP, not HEP; check its capture settings (Kamailio: trace_mode)",
    "hep2": "HEP version 1 or 2 cannot be framed over TCP; set the sender to HEP version 3, or to UDP",
    "gzip": "the sender compresses whole packets (heplify: payload_zip); switch that off",
    "length": "the sender states an impossible packet length",
    "other": "what the sender sends is not HEP",
    "truncated": "the connection ended in the middle of a packet; the sender closed it, or hfp was stopped",
}

#: ... and of a datagram.
DATAGRAM_CURES = {
    "tls": "the sender speaks TLS over UDP, which hfp does not; let it send to a tls listener over TCP",
    "http": "something sends HTTP to the HEP port; check which program that is",
    "sip": "the sender sends plain SIP, not HEP; check its capture settings (Kamailio: trace_mode)",
    "gzip": "the sender compresses whole packets (heplify: payload_zip); switch that off",
    "length": "the HEP length does not agree with the datagram's; the sender may put several packets into one",
    "other": "what the sender sends is not HEP",
    "truncated": "the packet was longer than the datagram; the sender cuts its packets, let it send over TCP",
    "empty": "the sender sends datagrams without content; harmless if it is a health check",
    "family": "the packet's addresses are neither IPv4 nor IPv6; check the sender's version",
    "greeting": "a Go HFP's greeting, harmless",
    "too-big": "the packet does not fit into HEP version 3; set the sender to HEP version 3 over TCP",
    "surplus": "octets stand behind the packet in its datagram: the packet goes on, they do not; the sender may put "
    "several packets into one",
    "error": "hfp could not read the packet, for an error of its own; please report it with this line",
}

#: ... and of a TLS connection, which is over then.
TLS_CURES = {
    "plain": "the sender does not speak TLS; switch TLS on there, or let it send to a tcp listener",
    "no-certificate": "the sender shows no certificate, and caCertsFile asks for one; give the sender one",
    "bad-certificate": "the sender's certificate has expired, is not valid yet, signs itself, or is signed by none of "
    "caCertsFile; give the sender another, or add its authority there",
    "distrust": "the sender does not accept hfp's certificate; let it trust the authority that signed certKey, and "
    "check the name and the dates in it",
    "version": "the two have no TLS version or cipher in common; hfp wants TLS 1.2 or newer, update the sender",
    "handshake": "the sender ended or spoilt the TLS handshake; check its TLS settings, or which program that is",
    "record": "what came in after the handshake does not decrypt; something on the way changes it, or the sender is "
    "faulty",
}

#: Every kind of fault of streams and datagrams, and every kind of TLS failure.
KINDS = tuple(dict.fromkeys((*FAULT_KINDS, *DATAGRAM_FAULTS, "surplus", "error")))
TLS_KINDS = tuple(TLS_CURES)


class Faults:
    """
    Counts and tells of faults.

    :param repeats: keeps the log lines few.

    :ivar invalid: by kind, how often a stream or a datagram was not HEP.
    :ivar tls: by kind, how many connections ended because of TLS.
    """

    def __init__(self, repeats: Repeats) -> None:
        self._repeats = repeats
        self.invalid = dict.fromkeys(KINDS, 0)
        self.tls = dict.fromkeys(TLS_KINDS, 0)

    def stream(self, kind: str, host: str, sample: bytes) -> None:
        """A sender's stream was not HEP at some place, where it began with *sample*."""
        self.invalid[kind] += 1
        self._tell(CURES, kind, host, sample)

    def datagram(self, kind: str, host: str, sample: bytes) -> None:
        """A datagram was not HEP; it begins with *sample*."""
        self.invalid[kind] += 1
        if kind != "greeting":
            self._tell(DATAGRAM_CURES, kind, host, sample)

    def tls_failure(self, kind: str, host: str, detail: str) -> None:
        """A connection ended because of TLS."""
        self.tls[kind] += 1
        self._repeats.warn(
            (host, "tls", kind),
            "TLS with sender {host} failed ({kind}: {detail}): {cure}",
            host=host,
            kind=kind,
            detail=detail,
            cure=TLS_CURES[kind],
        )

    def _tell(self, cures: Mapping[str, str], kind: str, host: str, sample: bytes) -> None:
        self._repeats.warn(
            (host, kind),
            "sender {host} sent what is not HEP ({kind}): {cure}; it began with {sample!r}",
            host=host,
            kind=kind,
            cure=cures[kind],
            sample=sample[:16],
        )
