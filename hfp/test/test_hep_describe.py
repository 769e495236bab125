"""
Tests for `hfp.hep.describe` and `hfp.hep.masking`.
"""

from __future__ import annotations

import time
import zlib
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hfp.hep import Chunk, build, describe, encode, mask
from hfp.hep.masking import WINDOW

PACKET: dict[str, Any] = {
    "protocol": 17,
    "source_address": "192.0.2.1",
    "destination_address": "198.51.100.2",
    "source_port": 5060,
    "destination_port": 15060,
    "seconds": 1_313_440_459,
    "microseconds": 120_000,
    "protocol_type": 1,
    "agent_id": 228,
}


class DescribeTests(SynchronousTestCase):
    """`describe`."""

    def test_whole(self) -> None:
        """Everything that there is, in one line."""
        octets = encode(
            **PACKET, agent_name="pbx", correlation_id="a@b", authentication_key="s3cret", payload=b"INVITE sip:bob\r\n"
        )
        self.assertEqual(
            describe(octets),
            "192.0.2.1:5060 -> 198.51.100.2:15060 UDP sip at 2011-08-15T20:34:19.120000Z agent 228 "
            'name "pbx" correlation "a@b" key present, 16 octets: INVITE sip:bob\\r\\n',
        )

    def test_secrets(self) -> None:
        """Secrets are hidden in the payload, a compressed one too, in the name and in the correlation id."""
        secret = b"REGISTER sip:bob:s3cret@example.net SIP/2.0\r\nAuthorization: Basic s3cret\r\n"
        for field, value in (
            ("payload", secret),
            ("compressed_payload", zlib.compress(secret)),
            ("agent_name", b"token=s3cret"),
            ("correlation_id", b"sip:bob:s3cret@example.net"),
        ):
            fields: dict[str, Any] = {field: value}
            self.assertNotIn("s3cret", describe(encode(**fields)))
            self.assertIn("***", describe(encode(**fields)))

    def test_ipv6(self) -> None:
        """IPv6 addresses stand in brackets."""
        octets = encode(source_address="2001:db8::1", source_port=1, destination_address="::", destination_port=2)
        self.assertIn("[2001:db8::1]:1 -> [::]:2", describe(octets))

    def test_nothing(self) -> None:
        """A packet without chunks has a line as well."""
        self.assertEqual(describe(b"HEP3\0\x06"), "?:? -> ?:? no type at no time, no payload")

    def test_wrong_widths(self) -> None:
        """A field that cannot be read does not hide the others."""
        octets = build([(0, kind, b"abc") for kind in Chunk])
        self.assertEqual(
            describe(octets),
            "malformed:malformed -> malformed:malformed malformed type malformed at malformed time agent malformed "
            'name "abc" correlation "abc" key present, 3 octets: abc',
        )

    def test_latest_time(self) -> None:
        """The last second that fits, with more microseconds than a second has, is no trouble."""
        self.assertIn("at 2106-02-07T", describe(encode(seconds=0xFFFFFFFF, microseconds=0xFFFFFFFF)))

    def test_unknown_numbers(self) -> None:
        """What has no name is a number."""
        self.assertIn(" IP protocol 200 201 at ", describe(encode(protocol=200, protocol_type=201)))

    def test_compressed(self) -> None:
        """A compressed payload is shown inflated, a damaged one is said to be so."""
        self.assertIn("6 octets: INVITE", describe(encode(compressed_payload=zlib.compress(b"INVITE"))))
        self.assertIn("the compressed payload is damaged", describe(encode(compressed_payload=b"INVITE")))

    def test_malformed(self) -> None:
        """What is malformed is said to be so, and nothing of it is shown: it might be the key."""
        octets = encode(authentication_key="s3cret", payload="INVITE")
        for bad in (octets[:-1], octets[:4] + b"\xff\xff" + octets[6:], b"s3cret", b"HEP3\0\x10\0\0\0\x0e\xff\xffs3cr"):
            self.assertTrue(describe(bad).startswith("malformed HEP3 of "), bad)
            self.assertNotIn("s3cr", describe(bad))

    def test_bounds(self) -> None:
        """No line is longer than it may be."""
        octets = encode(
            **PACKET, agent_name=b"\xff" * 9000, correlation_id=b"\n" * 9000, geo_location=b"x", payload=b"\0" * 40_000
        )
        self.assertEqual(len(describe(octets)), 600)
        self.assertTrue(describe(octets).endswith("..."))
        self.assertIn("40000 octets", describe(octets))
        for most in range(300):
            self.assertLessEqual(len(describe(octets, most)), most)

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=80), st.binary(max_size=300), st.binary(max_size=80), st.binary(max_size=80))
    def test_any_octets(self, junk: bytes, payload: bytes, name: bytes, field: bytes) -> None:
        """One line of printable ASCII, whatever the octets."""
        packet = build(
            [(0, 0x13, name), (0, 0x11, field), (0, 0x09, field[:4]), (0, 0x0B, field[:1]), (0, 15, payload)]
        )
        for octets in (junk, b"HEP3" + junk, packet, bytearray(packet), packet[: len(junk)]):
            line = describe(octets)
            self.assertTrue(line.isascii() and line.isprintable(), line)
            self.assertLessEqual(len(line), 600)


SECRET = b"hunter2"

#: Before and after the secret; None is where a line ends with it.
PLACES = (
    (b'Authorization: Digest username="bob", response="', b'", uri="sip:x"\r\nCSeq: 1'),
    (b"authorization:Basic ", b"\r\nCSeq: 1"),
    (b"Proxy-Authorization :  \t", b"\r\nCSeq: 1"),
    (b'Authorization: Digest username="bob",\r\n\tresponse="', b'"\r\nCSeq: 1'),
    (b"Authorization:\r\n Digest\r\n ", b"\r\nCSeq: 1"),
    (b"Authorization: ", b""),
    (b'Authentication-Info: rspauth="', b'"\r\n'),
    (b"Cookie: session=", b"\r\n"),
    (b"INVITE sip:bob:", b"@example.net SIP/2.0\r\n"),
    (b"Contact: <sips:bob:x:", b"@example.net;transport=tcp>\r\n"),
    (b"http://bob:", b"@example.net/"),
    (b"INVITE sip:bob:", b"x" * WINDOW + b"@example.net SIP/2.0\r\n"),
    (b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:", b"|2^20|1:32\r\na=ptime:20"),
    (b"a=key-mgmt:mikey ", b"\r\n"),
    (b"a=ice-pwd:", b"\r\na=ice-ufrag:x"),
    (b"v=0\r\nk=clear:", b"\r\nt=0 0"),
    (b"k=base64:", b"\n"),
    (b'{"user":"bob","password":"', b'","x":1}'),
    (b'{"password" : "a\\"', b'","x":1}'),
    (b'{"log":"{\\"api_key\\":\\"', b'\\",\\"x\\":1}"}'),
    (b'{"sip":"REGISTER sip:x SIP/2.0\\r\\nAuthorization: Digest response=\\"', b'\\"\\r\\n"}'),
    (b'{"sdp":"v=0\\r\\na=crypto:1 X inline:', b'\\r\\n"}'),
    (b'{"sdp":"v=0\\nk=clear:', b'"}'),
    (b'{"headers":{"Authorization":"Bearer ', b'"}}'),
    (b"user=bob&passwd=", b"&x=1"),
    (b"password='x ", b"' x=1"),
    (b"db_pass: ", b" x"),
    (b"client_secret=", b""),
    (b"X-Auth-Token: ", b"\r\n"),
    (b"<password>", b"</password>"),
    (b"passphrase = ", b"\n"),
)


class MaskTests(SynchronousTestCase):
    """`mask`."""

    def test_secrets(self) -> None:
        """No secret is left, wherever it stands, in any case."""
        for before, after in PLACES:
            for octets in (
                before + SECRET + after,
                b"x\r\n" + before + SECRET + after,
                (before + SECRET + after).upper(),
                b" " * (WINDOW - len(before) - 6) + b"\r\n" + before + SECRET + after,
            ):
                self.assertNotIn(SECRET[:4].lower(), mask(octets).lower(), octets)
                self.assertIn(b"***", mask(octets))

    def test_rest_is_kept(self) -> None:
        """Around the secret, what is useful is kept."""
        for octets, masked in (
            (
                b'REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username="bob", response="1"\r\nCSeq: 1 REGISTER\r\n',
                b"REGISTER sip:x SIP/2.0\r\nAuthorization: Digest ***\r\nCSeq: 1 REGISTER\r\n",
            ),
            (b"Authorization: dXNlcjpwYXNz\r\n", b"Authorization:  ***\r\n"),
            (b"INVITE sip:bob:x@example.net SIP/2.0", b"INVITE sip:bob:***@example.net SIP/2.0"),
            (b"a=crypto:1 X inline:y\r\na=ptime:20\r\n", b"a=crypto:***\r\na=ptime:20\r\n"),
            (b'{"password":"x","user":"bob"}', b'{"password":***","user":"bob"}'),
        ):
            self.assertEqual(mask(octets), masked)

    def test_no_secrets(self) -> None:
        """What has none stays as it is."""
        for octets in (
            b"INVITE sip:bob@192.0.2.1:5060;transport=udp SIP/2.0\r\nMax-Forwards: 70\r\n",
            b"\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1@x;rport\r\nCall-ID: 1@192.0.2.1\r\n",
            b"\r\nFrom: <sip:alice@[2001:db8::1]:5060>;tag=1\r\n",
            b"\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\na=rtpmap:0 PCMU/8000\r\n",
            b'SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="x", nonce="y"\r\n',
            b'{"ssrc":1,"type":200,"sender_information":{"packets":5}}',
            bytes(range(256)),
        ):
            self.assertEqual(mask(octets), octets)

    def test_bounded(self) -> None:
        """Only the first octets are looked at, and no octets take long."""
        self.assertEqual(len(mask(bytes(60_000))), WINDOW)
        for unit in (
            b":",
            b":a",
            b"a:b:c@",
            b"password:",
            b'password:"\\',
            b"authorization:\n ",
            b"\n ",
            b"inline:",
            b"\\",
        ):
            started = time.perf_counter()
            mask(unit * WINDOW)
            self.assertLess(time.perf_counter() - started, 0.5, unit)
