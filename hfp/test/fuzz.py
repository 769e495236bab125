"""
Throwing rubbish at the codec: only our own errors come out, and how a stream was cut into reads does not matter.

``hfp.test.test_hep_fuzz`` runs each property for a moment; for longer, with a new seed each round::

    python -m hfp.test.fuzz --seconds 600

Ends with exit code 1 and the smallest input found that breaks a property; ``--seed`` repeats a run.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings, strategies as st

from hfp.errors import MalformedPacket
from hfp.hep import (
    DATAGRAM_FAULTS,
    EEP3,
    FAULT_KINDS,
    FIELDS,
    HEP3,
    Chunk,
    Framer,
    Packet,
    build,
    classify,
    describe,
    from_datagram,
    inflate,
    mask,
    parse_legacy,
    plausible,
    to_hep3,
)
from hfp.hep.framing import GREETING, STRIKES

NOW_NS = 1_795_223_436_123_456_789

#: Every kind that `hfp.hep` may give an error.
KINDS = {*DATAGRAM_FAULTS, *FAULT_KINDS, "chunk", "inflate"}

_payloads = (
    st.binary(max_size=60)
    | st.sampled_from((b"INVITE sip:bob:x@example.net SIP/2.0\r\nAuthorization: Digest x\r\n\r\n", b"\xff\xfe", b"{}"))
    | st.binary(max_size=200).map(zlib.compress)
)
_chunks = st.tuples(
    st.sampled_from((0, 0, 0, 0, 2, 4661, 0xFFFF)),
    st.sampled_from(list(map(int, Chunk))) | st.integers(0, 0xFFFF),
    st.sampled_from((b"\x02", b"\x0a", bytes(2), bytes(4), bytes(8), bytes(16))) | _payloads,
)
packets = st.builds(build, st.lists(_chunks, max_size=14), st.sampled_from((HEP3, HEP3, EEP3)))


@st.composite
def legacy(draw: st.DrawFn) -> bytes:
    """HEP1 or HEP2, right or nearly."""
    version = draw(st.sampled_from((1, 2, 2)))
    family = draw(st.sampled_from((2, 10, 0)))
    head = struct.pack(">BBBBHH", version, draw(st.integers(0, 255)), family, 17, 5060, 5061)
    seconds = draw(st.sampled_from((NOW_NS // 10**9, 0, 0xFFFFFFFF)) | st.integers(0, 0xFFFFFFFF))
    part = struct.pack(draw(st.sampled_from("<>")) + "IIH", seconds, draw(st.integers(0, 0xFFFFFFFF)), 2001)
    addresses = bytes(8 if family == 2 else 32)
    padding = draw(st.sampled_from((b"", b"\0\0", b"IN", b"\xff\x01")))
    return head + addresses + (part + padding if version == 2 else b"") + draw(_payloads)


@st.composite
def damaged(draw: st.DrawFn, of: st.SearchStrategy[bytes]) -> bytes:
    """Octets that were right before some were overwritten, taken out, put in, or cut off."""
    octets = bytearray(draw(of))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(octets)))
        match draw(st.integers(0, 4)):
            case 0:
                octets[at : at + 2] = draw(st.sampled_from((b"\0\0", b"\0\x05", b"\0\x06", b"\xff\xff")))
            case 1:
                del octets[at : at + draw(st.integers(1, 8))]
            case 2:
                octets[at:at] = draw(st.binary(min_size=1, max_size=8))
            case 3:
                octets[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case _:
                del octets[at:]
    return bytes(octets)


anything = damaged(packets) | damaged(legacy()) | st.binary(max_size=120)

_junk = (
    damaged(packets)
    | st.binary(max_size=40)
    | st.sampled_from((GREETING, b"HEP", b"HEP3", b"HEP3\0\x05", b"EEP3\0\xff"))
)
#: A stream and where it is cut.  Fewer pieces of junk than would end it in any case: that is counted by reads.
streams = st.tuples(
    st.lists(packets | packets | _junk, max_size=STRIKES // 4).map(b"".join), st.lists(st.integers(1, 200), max_size=30)
)


def decodes(octets: bytes) -> None:
    """Whatever the octets, looking at them gives values or our own error, and text that can be logged."""
    assert plausible(octets, 0) in (True, False, None)
    assert classify(octets) in FAULT_KINDS
    line = describe(octets)
    assert line.isascii() and line.isprintable() and len(line) <= 600, line
    mask(octets)
    packet = Packet(octets)
    for look in (
        *(lambda name=name: getattr(packet, name) for name in FIELDS),
        lambda: packet.get(0xFFFF, 0xFFFF),
        lambda: packet.all(0x0F),
        lambda: packet.without(0x0F, 0x0E).chunks,
        lambda: packet.replace(payload=b"x", agent_id=5).chunks,
        lambda: inflate(octets),
        lambda: parse_legacy(octets, NOW_NS),
        lambda: Packet(to_hep3(octets, NOW_NS)).chunks,
    ):
        _ours(look)
    chunks = _ours(lambda: packet.chunks)
    assert (chunks is not None) == (plausible(octets, 0) is True and len(octets) == int.from_bytes(octets[4:6], "big"))
    if chunks is not None:
        assert build(chunks, octets[:4]) == octets
        for vendor, kind, payload in chunks[::-1]:
            assert Packet(octets).get(kind, vendor) == packet.get(kind, vendor)
            assert payload in packet.all(kind, vendor)
    converted = _ours(lambda: from_datagram(octets, NOW_NS))
    if converted is not None and converted is not octets:
        assert plausible(converted, 0) is True


def frames(stream: tuple[bytes, list[int]]) -> None:
    """However a stream is cut, the same packets come out of it, each of them whole and each of them from the stream."""
    octets, cuts = stream
    whole = _framed([octets])
    pieces = []
    at = 0
    for size in cuts:
        pieces.append(octets[at : at + size])
        at += size
    pieces.append(octets[at:])
    for cut in (pieces, [octets[place : place + 1] for place in range(len(octets))]):
        assert _framed(cut) == whole, (whole, _framed(cut))
    at = 0
    for packet in whole:
        at = octets.index(packet, at) + len(packet)


PROPERTIES: tuple[tuple[Callable[[Any], None], st.SearchStrategy[Any]], ...] = ((decodes, anything), (frames, streams))


def run(check: Callable[[Any], None], inputs: st.SearchStrategy[Any], examples: int, number: int) -> None:
    """
    Try one property.

    :param number: the seed.
    :raises Exception: whatever the check raises, on the smallest input that makes it.
    """

    def tried(value: Any) -> None:
        check(value)

    limits = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=False
    )
    seed(number)(limits(given(inputs)(tried)))()


def main() -> int:
    """Try all properties again and again until the time is over."""
    parser = argparse.ArgumentParser(description="Fuzz hfp.hep.")
    parser.add_argument("--seconds", type=float, default=60, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="seed of the first round")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    rounds = 0
    while time.monotonic() < end:
        for check, inputs in PROPERTIES:
            try:
                run(check, inputs, 500, options.seed + rounds)
            except Exception:
                traceback.print_exc()
                print(f"{check.__name__} is broken; again with --seed {options.seed + rounds}", file=sys.stderr)
                return 1
        rounds += 1
    print(
        f"{rounds} rounds of 500 inputs for each of {len(PROPERTIES)} properties, from seed {options.seed}: none broken"
    )
    return 0


def _ours(look: Callable[[], Any]) -> Any:
    """What *look* gives, or None if it raised as it may."""
    try:
        return look()
    except MalformedPacket as error:
        assert error.kind in KINDS, error.kind
        assert str(error).isascii() and str(error).isprintable(), error
        return None


def _framed(reads: list[bytes]) -> list[bytes]:
    """The packets of a stream, one by one."""
    kinds: list[str] = []
    framer = Framer(lambda kind, _: kinds.append(kind))
    out: list[bytes | bytearray | memoryview] = []
    told = sum(framer.feed(read, out) for read in reads)
    framer.close()
    octets = b"".join(out)
    packets = []
    at = 0
    while at < len(octets):
        size = int.from_bytes(octets[at + 4 : at + 6], "big")
        packets.append(octets[at : at + size])
        at += size
    assert at == len(octets) and told == len(packets), "what is counted is what comes out"
    assert set(kinds) <= set(FAULT_KINDS)
    return packets


if __name__ == "__main__":
    sys.exit(main())
