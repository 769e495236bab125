"""
Hiding secrets in what was captured, before any of it is shown.

HEP carries what SIP servers say to each other: answers to challenges, passwords in URIs, the keys of encrypted media.
This errs on the side of hiding too much.  It looks at the first octets only, because no more is ever shown, and because
strangers write them: the longest that some pattern takes grows with the square of their number.
"""

from __future__ import annotations

import re

#: Octets at the beginning of a payload that `mask` looks at and returns.
WINDOW = 512

_MASK = b"***"

#: To the end of a line, and of the lines that continue it.
_LINE = rb"[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*"

#: Between a name and its value; also where JSON, or JSON within JSON, has quotes around the name.
_IS = rb"\\*[\"']?[ \t]*[:=>]"

#: What is to be hidden; the first group is kept.  No pattern asks for a word's beginning: in JSON, a line begins behind
#: a ``\n`` that is a backslash and a letter.
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # SIP and HTTP.  Source: RFC 3261, 20.7, 20.28, 20.6; RFC 6265.
        (rb"((?:authorization)" + _IS + rb"[\s\\\"']*(?:digest\b|basic\b|bearer\b|ntlm\b)?)" + _LINE, rb"\1 " + _MASK),
        (rb"((?:authentication-info|cookie2?)" + _IS + rb")" + _LINE, rb"\1 " + _MASK),
        # SDP.  Source: RFC 4568 (crypto), 8839 (ICE), 4567 (key-mgmt), 4566 (k=).
        (rb"(a=crypto:|inline:|ice-pwd" + _IS + rb"|key-mgmt" + _IS + rb"|(?:^|[\r\n]|\\n)k=)" + _LINE, rb"\1" + _MASK),
        # URIs: sip:user:password@host, also where the octets end within the password.  Source: RFC 3261, 19.1.1.
        (rb"(:[^\s:@<>\"]*):[^\s@<>\"]*(@|\Z)", rb"\1:" + _MASK + rb"\2"),
        # Parameters of headers, logs and JSON, whatever stands before the word.
        (
            rb"((?:passw(?:or)?d|passphrase|passcode|pass|pwd|secret|token|credentials?|(?:api|auth|private)[-_]?key"
            rb"|ha1|rspauth|response)" + _IS + rb"[ \t]*)"
            rb"(?:\\\"(?:[^\"\\]|\\[^\"])*|\"(?:[^\"\\]|\\.)*|'[^']*|[^\s\"']*)",
            rb"\1" + _MASK,
        ),
    )
)


def mask(octets: bytes) -> bytes:
    """
    The first octets of a payload (`WINDOW`) with ``***`` in the place of secrets.

    Hidden are the values of ``Authorization`` and ``Proxy-Authorization`` (a known scheme is kept),
    ``Authentication-Info`` and cookies, passwords in URIs, SDP's ``a=crypto``, ``inline:`` keys, ICE passwords and
    ``k=``, and what follows a word like ``password``, ``secret``, ``token`` or ``api_key`` with ``:`` or ``=``, also in
    JSON.
    """
    masked = octets[:WINDOW]
    for pattern, replacement in _PATTERNS:
        masked = pattern.sub(replacement, masked)
    return masked
