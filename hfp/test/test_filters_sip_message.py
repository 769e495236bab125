"""Tests for `hfp.filters.sip.message`."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from hypothesis import given, settings
from hypothesis.strategies import binary, lists, one_of, sampled_from
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import hfp
from hfp.filters.sip.message import COMPACT, MOST_INSTANCES, SipMessage

_CAPTURES = Path(os.environ.get("HFP_CAPTURES") or Path(hfp.__file__).parents[2] / "shared" / "data" / "hep")

INVITE = (
    b"INVITE sip:bob@biloxi.example SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP one.example;branch=z9hG4bK1\r\n"
    b"v: SIP/2.0/UDP two.example;branch=z9hG4bK2\r\n"
    b"Max-Forwards: 70\r\n"
    b"To: Bob <sip:bob@biloxi.example>\r\n"
    b"From: Alice <sip:alice@atlanta.example>;tag=1928301774\r\n"
    b"Call-ID: a84b4c76e66710\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Contact: <sip:alice@pc33.atlanta.example>\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"v=0\r\n"
)

#: Pieces that headers and start lines are made of, so that random octets come close to SIP.
_PIECES = [
    b"INVITE sip:a@b SIP/2.0\r\n",
    b"SIP/2.0 200 OK\r\n",
    b"CSeq: 1 BYE",
    b"i: 1",
    b"To",
    b":",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\xff",
    b"\x00",
]


def parsed(payload: bytes | bytearray | memoryview) -> SipMessage:
    """The message in a payload that has one."""
    message = SipMessage.parse(payload)
    assert message is not None, bytes(payload)
    return message


def with_headers(*lines: bytes) -> SipMessage:
    """A response with these header lines."""
    return parsed(b"\r\n".join((b"SIP/2.0 200 OK", *lines, b"", b"")))


class StartLineTests(SynchronousTestCase):
    """What the start line says."""

    def test_request(self) -> None:
        """Of a request: that it is one, its method and URI; it has no status."""
        message = parsed(INVITE)
        self.assertTrue(message.is_request)
        self.assertFalse(message.is_response)
        self.assertEqual(message.method, b"INVITE")
        self.assertEqual(message.uri, b"sip:bob@biloxi.example")
        self.assertEqual(message.status, 0)

    def test_response(self) -> None:
        """Of a response: that it is one and its status; it has no URI, and its method is that of its CSeq."""
        message = with_headers(b"CSeq: 4711 OPTIONS")
        self.assertTrue(message.is_response)
        self.assertFalse(message.is_request)
        self.assertEqual(message.status, 200)
        self.assertEqual(message.uri, b"")
        self.assertEqual(message.method, b"OPTIONS")

    def test_other_forms(self) -> None:
        """Other than textbook start lines that are taken."""
        for payload, method, status in (
            (b"\r\n\r\nBYE sip:a SIP/2.0\r\n", b"BYE", 0),
            (b"\n\nBYE sip:a SIP/2.0\n", b"BYE", 0),
            (b"BYE sip:a SIP/2.0", b"BYE", 0),
            (b"bye sip:a sip/2.0\r\n", b"BYE", 0),
            (b"BYE  sip:a  SIP/2.0 \r\n", b"BYE", 0),
            (
                b"!interesting-Method0123456789_*+`.%indeed'~ sip:a SIP/2.0",
                b"!INTERESTING-METHOD0123456789_*+`.%INDEED'~",
                0,
            ),
            (b"BYE sip:\xff\x00\xc3\xa4 SIP/2.0\r\n", b"BYE", 0),
            (b"SIP/2.0 100\r\n", b"", 100),
            (b"SIP/2.0 404", b"", 404),
            (b"SIP/2.0 486 \xd0\x97\xd0\xb0\xd0\xbd\xd1\x8f\xd1\x82\xd0\xbe\r\n", b"", 486),
            (b"sip/2.0  200 OK\r\n", b"", 200),
        ):
            message = parsed(payload)
            self.assertEqual((message.method, message.status), (method, status), payload)
            self.assertEqual(message.is_request, not status, payload)

    def test_no_sip(self) -> None:
        """What has no such start line is no SIP."""
        for payload in (
            b"",
            b"\r\n\r\n",
            b"HEP PING",
            b"GET / HTTP/1.1\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b'{"a": 1}',
            b"\x80\xc8\x00\x06",
            b"INVITE sip:a SIP/2.00\r\n",
            b"INVITE sip:a SIP/1.0\r\n",
            b"INVITE SIP/2.0\r\n",
            b"INVITE\tsip:a SIP/2.0\r\n",
            b"INV(ITE sip:a SIP/2.0\r\n",
            b"INVITE sip:a SI",
            b"SIP/2.0 20\r\n",
            b"SIP/2.0 2000\r\n",
            b"SIP/2.0 OK\r\n",
            b"SIP/2.0\r\n 200 OK\r\n",
            b" INVITE sip:a SIP/2.0\r\n",
        ):
            self.assertIsNone(SipMessage.parse(payload), payload)

    def test_no_sip_has_nothing(self) -> None:
        """Asked all the same, it says that it has nothing."""
        message = SipMessage(b"HEP PING")
        self.assertFalse(message.is_request or message.is_response)
        self.assertEqual((message.method, message.uri, message.status, message.body), (b"", b"", 0, b""))
        self.assertIsNone(message.call_id)

    def test_buffers(self) -> None:
        """Views and byte arrays are taken; what becomes of them later is no matter."""
        buffer = bytearray(INVITE)
        messages = [parsed(buffer), parsed(memoryview(buffer))]
        buffer[:6] = b"CANCEL"
        for message in messages:
            self.assertEqual(message.method, b"INVITE")
            self.assertEqual(message.octets, INVITE)


class HeaderTests(SynchronousTestCase):
    """What the headers say."""

    def test_name(self) -> None:
        """Names are found in any case, as text or octets; one that begins or ends with another is another."""
        message = with_headers(b"X-To: 1", b"TO: 2", b"To-X: 3", b"to : 4", b"tO\t:5")
        for name in ("To", "to", b"TO"):
            self.assertEqual(message.values(name), [b"2", b"4", b"5"], name)
        self.assertEqual(message.values("X-To"), [b"1"])
        self.assertEqual(message.values("o"), [])
        self.assertEqual(message.values("."), [])

    def test_compact_forms(self) -> None:
        """Each compact form is found by the long name, and the other way round."""
        self.assertEqual("".join(sorted(COMPACT_NAMES)), "abcdefijklmnorstuvxy")
        for compact, long in COMPACT_NAMES.items():
            self.assertEqual(COMPACT[compact.encode()], long.lower().encode())
            message = with_headers(f"{compact}: 1".encode(), f"{long}: 2".encode(), f"{compact.upper()}: 3".encode())
            for name in (compact, long, compact.upper(), long.lower()):
                self.assertEqual(message.values(name), [b"1", b"2", b"3"], name)

    def test_value(self) -> None:
        """Values have no white space at either end, and are else as they came."""
        message = with_headers(b"A-A:1", b"A-A: \t 2 \t ", b"A-A:", b"A-A: a, b", b"A-A: \xff\x00:\r")
        self.assertEqual(message.values("A-A"), [b"1", b"2", b"", b"a, b", b"\xff\x00:"])

    def test_folded(self) -> None:
        """A value goes on in lines that begin with white space, which becomes one space."""
        for folded in (
            b"Subject: I know\r\n  you're\r\n\t there",
            b"Subject: I know\n you're\n there",
            b"Subject:\r\n I know \r\n you're\r\n there",
            b"s: I know\r\n you're\r\n \r\n there\r\n ",
        ):
            message = with_headers(b"To: a", folded, b"From: b")
            self.assertEqual(message.values("Subject"), [b"I know you're there"], folded)
            self.assertEqual(message.values("From"), [b"b"], folded)

    def test_folded_is_no_header(self) -> None:
        """What looks like a header in a folded line is none."""
        self.assertEqual(with_headers(b"Subject: x", b" To: y").values("To"), [])

    def test_many(self) -> None:
        """Of a header that comes very often the first ones are taken."""
        message = with_headers(*(b"Via: %d" % number for number in range(MOST_INSTANCES + 5)))
        self.assertEqual(message.values("Via"), [b"%d" % number for number in range(MOST_INSTANCES)])

    def test_not_in_the_body(self) -> None:
        """What is behind the empty line is no header, and what is in the start line is none."""
        for end in (b"\r\n", b"\n"):
            message = parsed(b"BYE To:x SIP/2.0%bA: b%b%bTo: c%bCSeq: 1 ACK%bi: 1%b%bTo: d" % ((end,) * 7))
            self.assertEqual((message.values("To"), message.cseq_method, message.call_id), ([], b"", None))

    def test_not_in_the_start_line(self) -> None:
        """A start line that looks like a header is none."""
        self.assertEqual(parsed(b"\r\nTo : SIP/2.0\r\nA: b\r\n\r\n").values("To"), [])

    def test_cseq(self) -> None:
        """The method in CSeq, however it is written."""
        for line, method in (
            (b"CSeq: 1 INVITE", b"INVITE"),
            (b"cseq:1 invite", b"INVITE"),
            (b"CSEQ :  0009 \t Invite  ", b"INVITE"),
            (b"CSeq: 1\r\n INVITE", b"INVITE"),
            (b"CSeq:\r\n\t1 \n \r\n  INVITE", b"INVITE"),
            (b"CSeq: 1 foo-bar", b"FOO-BAR"),
            (b"CSeq: 1", b""),
            (b"CSeq: 1INVITE", b""),
            (b"CSeq: INVITE", b""),
            (b"CSeq: 1\r\nINVITE: x", b""),
            (b"X-CSeq: 1 INVITE", b""),
        ):
            message = with_headers(b"To: a", line)
            self.assertEqual(message.cseq_method, method, line)
            self.assertEqual(message.method, method, line)

    def test_request_has_its_own_method(self) -> None:
        """A request's method is that of its request line, whatever its CSeq says."""
        message = parsed(b"BYE sip:a SIP/2.0\r\nCSeq: 1 ACK\r\n\r\n")
        self.assertEqual((message.method, message.cseq_method), (b"BYE", b"ACK"))

    def test_call_id(self) -> None:
        """The first Call-ID; an empty one is none."""
        self.assertEqual(with_headers(b"i: a@b", b"Call-ID: c").call_id, b"a@b")
        self.assertIsNone(with_headers(b"Call-ID: ").call_id)
        self.assertIsNone(with_headers(b"To: a").call_id)


class BodyTests(SynchronousTestCase):
    """What is behind the headers."""

    def test_empty_line(self) -> None:
        """The body is all behind the first empty line, of whichever kind."""
        for head, body in (
            (b"BYE a SIP/2.0\r\nTo: b\r\n\r\n", b"x\r\n\r\ny"),
            (b"BYE a SIP/2.0\nTo: b\n\n", b"x\r\n\r\ny"),
            (b"BYE a SIP/2.0\r\nTo: b\n\r\n", b"\n\n"),
            (b"BYE a SIP/2.0\nTo: b\r\n\n", b"\r\n\r\n"),
            (b"\r\n\r\nBYE a SIP/2.0\r\n\r\n", b"\x00\xff"),
            (b"BYE a SIP/2.0\r\nTo: b\r\n \r\n\r\n", b"z"),
        ):
            message = parsed(head + body)
            self.assertEqual(message.body, body, head)
            self.assertEqual(message.values("To"), [b"b"] if b"To" in head else [], head)

    def test_none(self) -> None:
        """Without an empty line there is no body."""
        for payload in (
            b"BYE a SIP/2.0",
            b"BYE a SIP/2.0\r\n",
            b"BYE a SIP/2.0\r\nTo: b",
            b"BYE a SIP/2.0\r\nTo: b\r\n",
        ):
            self.assertEqual(parsed(payload).body, b"", payload)


class CutTests(SynchronousTestCase):
    """Messages that were cut off."""

    def test_cut_everywhere(self) -> None:
        """Cut at any place, a message still says what is left of it, and nothing else."""
        whole = parsed(INVITE)
        head = INVITE.index(b"\r\n\r\n")
        start_line = len(b"INVITE sip:bob@biloxi.example SIP/2.0")
        for at in range(len(INVITE) + 1):
            message = SipMessage.parse(INVITE[:at])
            if at < start_line:
                self.assertIsNone(message, at)
                continue
            assert message is not None
            self.assertEqual((message.method, message.uri), (whole.method, whole.uri))
            for name in ("Via", "To", "From", "Call-ID", "Content-Length"):
                values = message.values(name)
                for value, expected in zip(values, whole.values(name), strict=False):
                    self.assertTrue(expected.startswith(value), (at, name))
                if at >= head:
                    self.assertEqual(values, whole.values(name), (at, name))
            self.assertTrue(whole.body.startswith(message.body))


class HostileTests(SynchronousTestCase):
    """Octets that nobody sends by mistake."""

    @given(one_of(binary(max_size=300), lists(sampled_from(_PIECES), max_size=20).map(b"".join)))
    @settings(max_examples=300, deadline=None)
    def test_any_octets(self, payload: bytes) -> None:
        """Nothing raises, whatever the octets, and what is said of them is consistent."""
        message = SipMessage(payload)
        self.assertEqual(SipMessage.parse(payload) is None, not (message.is_request or message.is_response))
        self.assertFalse(message.is_request and message.is_response)
        self.assertTrue(0 <= message.status <= 999)
        self.assertTrue(payload.endswith(message.body))
        for name in ("To", "Call-ID", "CSeq", "x-y"):
            for value in message.values(name):
                self.assertEqual(value, value.strip())
                self.assertNotIn(b"\n", value)
        self.assertEqual(message.method, message.method.upper())
        self.assertEqual(message.call_id, (message.values("i") or [b""])[0] or None)

    def test_linear_time(self) -> None:
        """
        64 KB that would keep a careless pattern busy for minutes are read within a tenth of a second.

        The worst takes 5 ms; the limit is far from it, because the machine may have other things to do.
        """
        start = b"BYE a SIP/2.0\r\n"
        for payload in (
            b"\r\n" * 32_000,
            b"A" * 64_000,
            b"A " + b"b" * 64_000,
            b"A b" + b" " * 64_000,
            start + b"t:\n" * 21_000,
            start + b"To" + b" " * 64_000,
            start + b"To:" + b" " * 64_000,
            start + b"To:" + b"\n " * 32_000,
            start + b"CSeq:" + b" " * 64_000,
            start + b"CSeq: 1" + b" " * 64_000,
            start + b"CSeq: 1" + b"\n " * 32_000,
            start + b"CSeq:\n 1\n " * 6_000,
            start + b"\r" * 64_000,
        ):
            began = process_time()
            message = SipMessage(payload)
            for _ in range(10):
                self.assertLessEqual(len(message.values("To")), MOST_INSTANCES)
                self.assertLess(len(message.cseq_method), 9)
                self.assertLess(len(message.body), len(payload))
            self.assertLess(process_time() - began, 1, payload[:30])


class CapturedTests(SynchronousTestCase):
    """What real programs sent; see `hfp.test.integration.test_captured` for where it is."""

    def test_captured_sip(self) -> None:
        """Every captured SIP message says what a plain reading of its lines says."""
        count = 0
        for name, payload in captured_sip():
            message = SipMessage.parse(payload)
            head, _, body = payload.decode("latin-1").partition("\r\n\r\n")
            start, *lines = head.split("\r\n")
            words = start.split(" ")
            headers: dict[str, list[str]] = {}
            for line in lines:
                key, _, value = line.partition(":")
                headers.setdefault(COMPACT_NAMES.get(key.lower(), key).lower(), []).append(value.strip())
            if words[0] != "SIP/2.0" and words[-1] != "SIP/2.0":
                self.assertIsNone(message, name)
                continue
            assert message is not None, name
            count += 1
            self.assertEqual(message.is_response, words[0] == "SIP/2.0", name)
            self.assertEqual(message.status, int(words[1]) if message.is_response else 0, name)
            cseq = headers.get("cseq", [" "])[0].split(" ")[-1]
            self.assertEqual(message.cseq_method.decode(), cseq, name)
            self.assertEqual(message.method.decode(), cseq if message.is_response else words[0], name)
            self.assertEqual(message.uri.decode("latin-1"), "" if message.is_response else words[1], name)
            self.assertEqual(message.call_id, headers["call-id"][0].encode() if "call-id" in headers else None, name)
            self.assertEqual(message.body.decode("latin-1"), body, name)
            for key, values in headers.items():
                self.assertEqual([each.decode("latin-1") for each in message.values(key)], values, (name, key))
        self.assertGreater(count, 100)


def captured_sip() -> Iterator[tuple[str, bytes]]:
    """Every captured payload of type SIP, and which it is."""
    paths = sorted(_CAPTURES.glob("*.truth.jsonl"))
    if not paths:
        raise SkipTest(f"no captured HEP in {_CAPTURES}; HFP_CAPTURES can name another directory")
    for path in paths:
        packets = path.with_name(path.name.replace(".truth.jsonl", ".hepd")).read_bytes()
        at = 0
        for line in path.read_text().splitlines():
            truth = json.loads(line)
            (length,) = struct.unpack_from(">I", packets, at)
            packet = packets[at + 4 : at + 4 + length]
            at += 4 + length
            size = truth["payload_len"]
            if truth["proto_type"] not in (None, 1) or not size:
                continue
            ends = (end for end in range(len(packet), size - 1, -1))
            found = (packet[end - size : end] for end in ends)
            yield (
                f"{path.name} {truth['index']}",
                next(each for each in found if hashlib.sha256(each).hexdigest() == truth["payload_sha256"]),
            )


#: Compact forms as IANA's registry has them, written down a second time.
COMPACT_NAMES = {
    "a": "Accept-Contact",
    "u": "Allow-Events",
    "i": "Call-ID",
    "m": "Contact",
    "e": "Content-Encoding",
    "l": "Content-Length",
    "c": "Content-Type",
    "o": "Event",
    "f": "From",
    "y": "Identity",
    "n": "Identity-Info",
    "r": "Refer-To",
    "b": "Referred-By",
    "j": "Reject-Contact",
    "d": "Request-Disposition",
    "x": "Session-Expires",
    "s": "Subject",
    "k": "Supported",
    "t": "To",
    "v": "Via",
}
