"""
Letting only those packets pass that carry a key.

A screen (`hfp.interfaces.IScreen`); not used at all where no key is configured.
"""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest

from zope.interface import implementer

from hfp.hep import HEADER, Chunk
from hfp.hep.wire import CHUNK_HEADER
from hfp.interfaces import IScreen, Sender
from hfp.logs import Repeats

#: Hosts whose rejected packets are counted one by one; those of all further hosts are counted as `OTHERS`.
MOST_HOSTS = 100
OTHERS = "other"


@implementer(IScreen)
class KeyScreen:
    """
    Holds back packets that have no generic chunk 0x0e (authentication key) with one of the keys, or whose chunks don't
    fill their length.

    :param keys: one or more; never logged.
    :param repeats: keeps the log lines few.

    :ivar rejected: packets held back, since the start.
    :ivar by_host: the same by the host that sent them.
    """

    def __init__(self, keys: Sequence[bytes], repeats: Repeats) -> None:
        self._keys = tuple(keys)
        self._repeats = repeats
        self.rejected = 0
        self.by_host: dict[str, int] = {}

    def screen(
        self, pieces: list[bytes | bytearray | memoryview], packets: int, sender: Sender
    ) -> tuple[list[bytes | bytearray | memoryview], int]:
        passed: list[bytes | bytearray | memoryview] = []
        rejected = 0
        for piece in pieces:
            rejected += self._sift(piece, passed)
        if not rejected:
            return pieces, packets
        self._note(rejected, sender)
        return passed, packets - rejected

    def _sift(self, piece: bytes | bytearray | memoryview, passed: list[bytes | bytearray | memoryview]) -> int:
        """Append what is good of *piece*, in as few parts as can be; returns how many packets are not."""
        rejected = 0
        start = at = 0  # what is good and not appended yet
        size = len(piece)
        while at < size:
            end = at + HEADER.unpack_from(piece, at)[1]
            if not self._good(piece, at, end):
                rejected += 1
                if at > start:
                    passed.append(memoryview(piece)[start:at])
                start = end
            at = end
        if start == 0:
            passed.append(piece)
        elif start < size:
            passed.append(memoryview(piece)[start:])
        return rejected

    def _good(self, piece: bytes | bytearray | memoryview, at: int, end: int) -> bool:
        # Once per packet.
        unpack = CHUNK_HEADER.unpack_from
        place = at + HEADER.size
        good = False
        while place < end:
            if end - place < CHUNK_HEADER.size:
                return False
            vendor, kind, length = unpack(piece, place)
            if length < CHUNK_HEADER.size or place + length > end:
                return False
            if kind == Chunk.AUTHENTICATION_KEY and vendor == 0:
                key = bytes(piece[place + CHUNK_HEADER.size : place + length])
                for allowed in self._keys:
                    # All of them, so that the time does not tell which one it is or how much of it is right.
                    good |= compare_digest(allowed, key)
            place += length
        return good

    def _note(self, rejected: int, sender: Sender) -> None:
        self.rejected += rejected
        host = sender.host if sender.host in self.by_host or len(self.by_host) < MOST_HOSTS else OTHERS
        self.by_host[host] = self.by_host.get(host, 0) + rejected
        self._repeats.warn(
            ("unauthenticated", sender.host),
            "sender {host} sent packets without a valid authentication key, which are rejected; set its key (Kamailio: "
            "hep_auth_key; heplify: -hp) to one of hfp's --auth-key",
            host=sender.host,
        )
