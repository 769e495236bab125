"""
``mask``: hides the bodies of some SIP messages, or who speaks in all of them.

Whatever is hidden keeps its length, so every length in message and packet stays right.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Callable
from hashlib import blake2b

from zope.interface import implementer

from hfp.errors import MalformedPacket
from hfp.filters.arguments import Arguments, one_of
from hfp.filters.builtin.choice import Memo
from hfp.filters.builtin.files import read_key
from hfp.filters.captured import CapturedPacket
from hfp.filters.sip import SipMessage
from hfp.hep import Chunk, Packet, ProtocolType
from hfp.interfaces import FilterContext, IFilter, Verdict

_PAYLOAD = int(Chunk.PAYLOAD)
_COMPRESSED_PAYLOAD = int(Chunk.COMPRESSED_PAYLOAD)
_SIP = int(ProtocolType.SIP)

_PASS = Verdict.PASS
_REJECT = Verdict.REJECT

#: What a hidden octet becomes.
FILLER = b"*"

#: Octets that the key must have at least: the users of a system can be tried one after the other, the key must not.
_SHORTEST_KEY = 16

#: Users whose hash is kept, and the octets of the longest of them.
_MOST_USERS = 8192
_LONGEST_USER = 256

_METHOD = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,32}", re.ASCII)

# Each takes linear time, whatever a stranger wrote: what may be long cannot contain what its pattern begins with, save
# for quoted text, all of which is matched, so that no two matches look at the same.  And each begins with an octet that
# has no case, which is searched for at memchr's pace.
#: The user of a URI (group 1), its parameters (2), which are kept, and its password (3).  Source: RFC 3261, 25.1,
#: userinfo.
_USER = re.compile(
    rb":(?:(?<=\bsip:)|(?<=\bsips:))([^\s<>\"@:;]+)(;[^\s<>\"@:]*)?(?::([^\s<>\"@:]*))?(?=@)", re.IGNORECASE
)
#: The number of a tel URI.  Source: RFC 3966, section 3.
_NUMBER = re.compile(rb"(:(?<=\btel:))([^\s<>\"@:;,?&]+)", re.IGNORECASE)
#: A display name in quotes, and one without.  Source: RFC 3261, 25.1, name-addr.
_QUOTED_NAME = re.compile(rb"\"((?:[^\"\\\r\n]|\\[^\r\n])+)(\"\s*<(?:sips?|tel):)?", re.IGNORECASE)
_PLAIN_NAME = re.compile(rb"([:,]\s*)([^\s\"<>:,;@][^\r\n\"<>:,;@]*)(?=<(?:sips?|tel):)", re.IGNORECASE)
#: Who answers a challenge.  Source: RFC 3261, section 20.7.
_ACCOUNT = re.compile(rb"(=\"(?<=\busername=\"))([^\"\r\n]+)", re.IGNORECASE)


class UserHider:
    """
    Replaces users by their hash.

    :param key: makes the hash one that nobody else can make.
    """

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key).digest()
        self._hashes = Memo(self._hashed, _MOST_USERS)

    def hide(self, octets: bytes) -> bytes:
        """The same text with every user, number, display name and account hidden; of the same length."""
        octets = _USER.sub(self._uri, octets)
        octets = _NUMBER.sub(self._replace, octets)
        octets = _QUOTED_NAME.sub(self._quoted, octets)
        octets = _PLAIN_NAME.sub(self._replace, octets)
        return _ACCOUNT.sub(self._replace, octets)

    def hashed(self, user: bytes) -> bytes:
        """What stands in a user's place: letters and digits, as many octets, always the same."""
        return self._hashes[user] if len(user) <= _LONGEST_USER else self._hashed(user)

    def _hashed(self, user: bytes) -> bytes:
        digest = blake2b(user, key=self._key).digest()
        text = b32encode(digest).rstrip(b"=").lower()
        return (text * (len(user) // len(text) + 1))[: len(user)]

    def _uri(self, found: re.Match[bytes]) -> bytes:
        password = b"" if found[3] is None else b":" + FILLER * len(found[3])
        return b":" + self.hashed(found[1]) + (found[2] or b"") + password

    def _quoted(self, found: re.Match[bytes]) -> bytes:
        return found[0] if found[2] is None else b'"' + self.hashed(found[1]) + found[2]

    def _replace(self, found: re.Match[bytes]) -> bytes:
        name = found[2].rstrip(b" \t")
        return found[1] + self.hashed(name) + found[2][len(name) :]


@implementer(IFilter)
class Mask:
    """
    Hides what must not reach the collector.

    :param methods: bodies of requests with these methods, and of the responses to them, are hidden.
    :param users: hides users; None: they are not hidden.
    :param rejects_unread: whether a packet is rejected that says to be SIP and cannot be read or masked.
    """

    def __init__(self, methods: frozenset[bytes], users: UserHider | None, rejects_unread: bool) -> None:
        self._methods = methods
        self._hide: Callable[[bytes], bytes] | None = users.hide if users is not None else None
        self._rejects_unread = rejects_unread

    def decide(self, packet: CapturedPacket) -> Verdict | Packet:
        """See `hfp.interfaces.IFilter`."""
        try:
            return self._masked_packet(packet)
        except MalformedPacket:
            if self._rejects_unread:
                return _REJECT
            raise

    def _masked_packet(self, packet: CapturedPacket) -> Verdict | Packet:
        if packet.protocol_type != _SIP:
            return _PASS
        message = packet.sip
        if message is None:
            nothing = not (packet.payload or b"").strip(b"\r\n\0")  # a keep-alive of SIP's own
            return _PASS if nothing or not self._rejects_unread else _REJECT
        masked = self._masked(message)
        both = packet.get(_PAYLOAD) is not None and packet.get(_COMPRESSED_PAYLOAD) is not None
        if masked == message.octets and not both:
            return _PASS
        # A packet with both has said the same twice; `replace` leaves the compressed one out.
        return packet.replace(payload=masked)

    def _masked(self, message: SipMessage) -> bytes:
        octets = message.octets
        if self._methods and message.method in self._methods:
            body = len(message.body)
            octets = octets[: len(octets) - body] + FILLER * body
        return octets if self._hide is None else self._hide(octets)


def build(arguments: str, context: FilterContext) -> Mask:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/mask.rst`` has the grammar."""
    parsed = Arguments(arguments)
    methods = parsed.values("bodies", _method)
    if parsed.word("bodies"):
        methods = methods or [b"MESSAGE"]
    hides_users = parsed.word("users") is not None
    path = parsed.value("key-file", str, "")
    rejects_unread = parsed.value("other", one_of("pass", "reject"), "reject") == "reject"
    parsed.end()
    if not methods and not hides_users:
        raise ValueError("says not what to hide; write bodies, bodies=MESSAGE,INFO, users:key-file=PATH, or both")
    if hides_users and not path:
        raise ValueError("users wants a key; write users:key-file=PATH")
    if path and not hides_users:
        raise ValueError("key-file= is for users; write users:key-file=PATH, or leave it out")
    return Mask(frozenset(methods), UserHider(_key(path)) if path else None, rejects_unread)


def _method(text: str) -> bytes:
    if _METHOD.fullmatch(text) is None:
        raise ValueError("is no method; write for example MESSAGE,INFO")
    return text.upper().encode()


def _key(path: str) -> bytes:
    key = read_key(path, "key-file")
    if len(key) < _SHORTEST_KEY:
        raise ValueError(
            f"key-file={path}: its key has {len(key)} octets, and {_SHORTEST_KEY} are the least; "
            "make one with: openssl rand -hex 32"
        )
    return key
