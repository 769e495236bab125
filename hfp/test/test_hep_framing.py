"""
Tests for `hfp.hep.framing`, `hfp.hep.wire` and `hfp.hep.junk`.
"""

from __future__ import annotations

import itertools

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.hep import FAULT_KINDS, Chunk, Framer, build, classify, plausible
from hfp.hep.framing import RESYNC_LIMIT, STRIKES

SMALL = build([(0, Chunk.FAMILY, b"\2"), (0, Chunk.PAYLOAD, b"OPTIONS sip:a SIP/2.0\r\n\r\n")])
OTHER = build([(0, Chunk.PAYLOAD, b"x" * 500), (4661, 3, b"vendor")])
EMPTY = b"HEP3\0\6"
LARGEST = build([(0, Chunk.PAYLOAD, bytes(65535 - 12))])
EEP = b"EEP3" + OTHER[4:]
MIXED = SMALL + OTHER + EMPTY + EEP + LARGEST + SMALL


class Stream:
    """A framer and all that came out of it."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.samples: list[bytes] = []
        self.framer = Framer(self._fault)
        self.out: list[bytes | bytearray | memoryview] = []
        self.packets = 0

    def _fault(self, kind: str, sample: bytes) -> None:
        self.faults.append(kind)
        self.samples.append(sample)

    def feed(self, *reads: bytes) -> Stream:
        for data in reads:
            before = len(self.out)
            count = self.framer.feed(data, self.out)
            self.packets += count
            assert (count > 0) == (len(self.out) > before)
        return self

    @property
    def octets(self) -> bytes:
        return b"".join(self.out)


def count(octets: bytes) -> int:
    """How many packets stand in *octets*, found the slow way."""
    packets = 0
    while octets:
        octets = octets[int.from_bytes(octets[4:6], "big") :]
        packets += 1
    return packets


class GoodStreamTests(SynchronousTestCase):
    """Streams that are HEP3 throughout come out as they went in."""

    def test_whole(self) -> None:
        """Packets that arrive in one read come out of it, all of them."""
        stream = Stream().feed(MIXED)
        self.assertEqual((stream.octets, stream.packets), (MIXED, 6))
        self.assertEqual(stream.faults, [])

    def test_untouched_when_aligned(self) -> None:
        """A read of whole packets is handed on itself, without a copy."""
        stream = Stream().feed(SMALL + OTHER)
        self.assertIsInstance(stream.out[0], bytes)
        self.assertEqual(len(stream.out), 1)

    def test_byte_by_byte(self) -> None:
        """Reads of one octet give the same packets, each as soon as its last octet is there."""
        octets = SMALL + EMPTY + EEP + OTHER
        stream = Stream()
        ends = []
        for place in range(len(octets)):
            before = stream.packets
            stream.feed(octets[place : place + 1])
            if stream.packets > before:
                ends.append(place + 1)
        self.assertEqual(stream.octets, octets)
        self.assertEqual(ends, [len(SMALL), len(SMALL) + 6, len(SMALL) + 6 + len(EEP), len(octets)])

    def test_cut_everywhere(self) -> None:
        """Two reads cut at any octet give the same packets as one."""
        octets = SMALL + EMPTY + OTHER + EEP + SMALL
        for cut in range(len(octets) + 1):
            stream = Stream().feed(octets[:cut], octets[cut:])
            self.assertEqual((stream.octets, stream.packets), (octets, 5), cut)
            self.assertEqual(stream.faults, [], cut)

    def test_tail_is_kept_back(self) -> None:
        """What is incomplete is never handed on, at whatever octet it ends."""
        for cut in range(1, len(OTHER)):
            stream = Stream().feed(SMALL + OTHER[:cut])
            self.assertEqual((stream.octets, stream.packets), (SMALL, 1), cut)

    def test_small_header_pieces_then_many(self) -> None:
        """A header in pieces, then a read with the rest and many packets more."""
        stream = Stream().feed(SMALL[:3], SMALL[3:5], SMALL[5:] + MIXED + OTHER[:9], OTHER[9:])
        self.assertEqual((stream.octets, stream.packets), (SMALL + MIXED + OTHER, 8))

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), min_size=1, max_size=30),
        st.lists(st.integers(0, 9000), max_size=40),
    )
    def test_any_cut(self, payloads: list[tuple[bool, bytes]], cuts: list[int]) -> None:
        """Any packets, cut into any reads, give the same packets: all at once is the same as bit by bit."""
        packets = [build([(0, Chunk.PAYLOAD, body)]) for _, body in payloads]
        packets = [b"EEP3" + p[4:] if eep else p for (eep, _), p in zip(payloads, packets, strict=True)]
        octets = b"".join(packets)
        places = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
        stream = Stream()
        for start, end in itertools.pairwise(places):
            stream.feed(octets[start:end])
        self.assertEqual((stream.octets, stream.packets), (octets, len(packets)))
        self.assertEqual(stream.faults, [])


class LostFrameTests(SynchronousTestCase):
    """Streams that are not HEP3 at some place."""

    def assert_found(self, junk: bytes, kind: str) -> None:
        """Whatever the cut, junk between packets is named once, thrown away, and the packets around it come out."""
        octets = SMALL + junk + OTHER + SMALL
        for cut in range(len(octets) + 1):
            stream = Stream().feed(octets[:cut], octets[cut:])
            self.assertEqual(stream.octets, SMALL + OTHER + SMALL, (kind, cut))
            self.assertEqual(stream.packets, 3)
            self.assertEqual(stream.faults, [kind], cut)
            self.assertEqual(stream.framer.skipped, len(junk))
            self.assertFalse(stream.framer.lost)

    def test_raw_sip(self) -> None:
        """SIP that nobody wrapped is skipped."""
        self.assert_found(b"INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n", "sip")

    def test_sip_that_speaks_of_hep(self) -> None:
        """The protocol's id inside junk is not taken for a packet."""
        self.assert_found(b"MESSAGE sip:bob@example.org SIP/2.0\r\nSubject: HEP3 and EEP3\r\n\r\nHEP3\0\7.", "sip")

    def test_lying_lengths(self) -> None:
        """Lengths under 6 are impossible."""
        for length in range(6):
            self.assert_found(b"HEP3\0" + bytes([length]) + b"." * 30, "length")

    def test_old_versions(self) -> None:
        """HEP2 over TCP has no length; it is named, and skipped."""
        self.assert_found(bytes([2, 16, 2, 17]) + bytes(24) + b"SIP", "hep2")

    def test_gzip(self) -> None:
        """A packet that was compressed as a whole is named."""
        self.assert_found(b"\x1f\x8b\x08\0" + bytes(30), "gzip")

    def test_other(self) -> None:
        """Anything else."""
        self.assert_found(b"\xff" * 40, "other")

    def test_hopeless(self) -> None:
        """TLS and HTTP end the stream at once, however few octets came; what stood before them is handed on."""
        for junk, kind in (
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "tls"),
            (b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "http"),
            (b"OPTIONS * HTTP/1.1\r\nHost: example.org\r\n\r\n", "http"),
        ):
            stream = Stream().feed(SMALL + junk, OTHER)
            self.assertTrue(stream.framer.lost)
            self.assertEqual((stream.octets, stream.faults), (SMALL, [kind]))

    def test_given_up(self) -> None:
        """Junk without end is given up within the bound, and memory stays small on the way."""
        stream = Stream()
        fed = 0
        while not stream.framer.lost:
            stream.feed(b"\xaa" * 5000)
            fed += 5000
            self.assertLess(len(stream.framer._tail), 70_000)
            self.assertLessEqual(fed, RESYNC_LIMIT + 10_000)
        self.assertEqual((stream.packets, stream.faults), (0, ["other"]))
        self.assertEqual(stream.framer.skipped, fed)

    def test_found_again_after_long_junk(self) -> None:
        """One wrong length swallows at most one largest packet; the stream goes on behind it."""
        stream = Stream().feed(SMALL, b"\xaa" * 65_000, b"HEP3\xff", LARGEST, OTHER)
        self.assertEqual(stream.octets, SMALL + LARGEST + OTHER)

    def test_false_start_is_searched_again(self) -> None:
        """A header in the junk whose chunks do not fit does not hide the packet behind it."""
        false = b"HEP3\x01\x00" + b"\0\0\0\1\0\7\2" + b"\0\0\0\2\0\7\2" + b"\0\0\0\x0f\0\x03"
        stream = Stream().feed(b"\xaa" * 30 + false + OTHER)
        self.assertEqual(stream.octets, OTHER)

    def test_strikes(self) -> None:
        """A peer that mixes junk and packets costs a bounded number of searches, then its stream ends."""
        stream = Stream().feed((b"\xbb" * 30 + SMALL) * (STRIKES + 50))
        self.assertTrue(stream.framer.lost)
        self.assertEqual(len(stream.faults), STRIKES + 1)
        self.assertEqual(stream.octets, SMALL * STRIKES)

    def test_greeting(self) -> None:
        """The Go HFP's greeting is tolerated, in pieces too, and is no fault."""
        octets = b"HELLO HFP" + SMALL + OTHER
        for cut in range(len(octets) + 1):
            stream = Stream().feed(octets[:cut], octets[cut:])
            self.assertEqual((stream.octets, stream.faults), (SMALL + OTHER, []), cut)
            self.assertEqual((stream.framer.greetings, stream.framer.skipped), (1, 0))

    def test_greeting_alone(self) -> None:
        """A greeting and then nothing for a while."""
        stream = Stream().feed(b"HELLO HFP")
        stream.framer.close()
        self.assertEqual(stream.faults, [])

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.binary(max_size=400), max_size=10), st.integers(1, 50))
    def test_nothing_else_comes_out(self, reads: list[bytes], times: int) -> None:
        """Whatever arrives, only whole packets by magic and length are handed on, and nothing is raised."""
        stream = Stream()
        for data in reads:
            stream.feed(data, SMALL * times)
        stream.framer.close()
        for piece in stream.out:
            rest = bytes(piece)
            while rest:
                self.assertIn(rest[:4], (b"HEP3", b"EEP3"))
                length = int.from_bytes(rest[4:6], "big")
                self.assertTrue(6 <= length <= len(rest))
                rest = rest[length:]
        self.assertTrue(set(stream.faults) <= set(FAULT_KINDS))
        total = sum(map(len, reads)) + len(reads) * times * len(SMALL)
        if not stream.framer.greetings and not stream.framer.lost:
            self.assertEqual(len(stream.octets) + stream.framer.skipped, total)


class EndTests(SynchronousTestCase):
    """What is said when a stream ends."""

    def test_truncated(self) -> None:
        """A packet that is cut short by the end is reported, from its first octet on."""
        for cut in range(1, len(SMALL)):
            stream = Stream().feed(OTHER + SMALL[:cut])
            stream.framer.close()
            self.assertEqual((stream.octets, stream.faults), (OTHER, ["truncated"]), cut)
            self.assertEqual(stream.framer.skipped, cut)

    def test_clean(self) -> None:
        """An end between two packets is no fault."""
        stream = Stream().feed(MIXED)
        stream.framer.close()
        self.assertEqual(stream.faults, [])

    def test_few_octets_of_junk(self) -> None:
        """Junk too short to be judged while the stream lived is named at its end."""
        stream = Stream().feed(b"GET / \r\n")
        self.assertEqual(stream.faults, [])
        stream.framer.close()
        self.assertEqual(stream.faults, ["http"])


class PlausibleTests(SynchronousTestCase):
    """`plausible`."""

    def test_prefixes(self) -> None:
        """Every prefix of a good packet is undecided, the packet itself is good."""
        for cut in range(len(OTHER)):
            self.assertIsNone(plausible(OTHER[:cut], 0))
        self.assertIs(plausible(b"zz" + OTHER + b"zz", 2), True)

    def test_overrun(self) -> None:
        """Chunks that reach past the packet's end, or stop short of it, are no packet."""
        self.assertIs(plausible(b"HEP3\0\x10" + b"\0\0\0\x0f\0\x0b" + b"12345", 0), False)
        self.assertIs(plausible(b"HEP3\0\x10" + b"\0\0\0\x0f\0\x09" + b"1234567", 0), False)


class ClassifyTests(SynchronousTestCase):
    """`classify`."""

    def test_kinds(self) -> None:
        """What typically arrives by mistake has a name."""
        for octets, kind in (
            (b"\x16\x03\x01", "tls"),
            (b"POST /hep HTTP/1.1", "http"),
            (b"OPTIONS sip:a@b SIP/2.0", "sip"),
            (b"SIP/2.0 200 OK\r\n", "sip"),
            (b'{"jsonrpc":"2.0"}', "other"),
            (b"\x01\x10\x02\x11" + bytes(12), "hep2"),
            (b"", "other"),
        ):
            self.assertEqual(classify(octets), kind)
