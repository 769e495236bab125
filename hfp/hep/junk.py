"""
What it is that arrives on a HEP port and is not HEP3.  Called only when a stream has lost its frame, never per packet.
"""

from __future__ import annotations

import re

#: Octets that `classify` wants to see; with fewer it may answer ``other`` too early.
ENOUGH = 24

_HTTP = re.compile(rb"(?:GET|POST|PUT|HEAD|DELETE|PATCH|CONNECT|TRACE|OPTIONS) (?:/|\*|https?:)|HTTP/\d|PRI \* HTTP")
_SIP = re.compile(rb"SIP/2\.0 |[A-Z]{3,16} (?:sips?|tel|urn):", re.IGNORECASE)


def classify(octets: bytes) -> str:
    """
    Name what *octets* look like.

    :param octets: the first ones that are not HEP, `ENOUGH` of them where there are as many.
    :returns: ``tls`` (a TLS record), ``http``, ``sip`` (SIP that nobody wrapped), ``hep2`` (HEP version 1 or 2, which
        has no length and so cannot be framed on a stream), ``gzip`` (a whole compressed packet, as heplify's
        ``payload_zip`` sends), or ``other``.
    """
    if octets[:2] == b"\x16\x03":
        return "tls"
    if octets[:2] == b"\x1f\x8b":
        return "gzip"
    if _HTTP.match(octets):
        return "http"
    if _SIP.match(octets):
        return "sip"
    if len(octets) >= 3 and octets[0] in (1, 2) and octets[2] in (2, 10) and octets[1] >= 8:
        return "hep2"
    return "other"
