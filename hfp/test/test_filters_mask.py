"""
Tests for the filter ``mask``.
"""

from __future__ import annotations

import gzip
import time
import zlib

from hypothesis import given, settings, strategies as st

from hfp.filters.builtin.privacy import UserHider
from hfp.hep import Packet, build
from hfp.test.filtercase import FilterCase
from hfp.testing import make_packet, make_sip

KEY = b"0123456789abcdef"
HIDER = UserHider(KEY)
MESSAGE = make_sip("MESSAGE", body=b"secret words", headers={"Content-Type": "text/plain"})


class MaskCase(FilterCase):
    """With a key in a file."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        with open(self.path, "wb") as file:
            file.write(KEY + b"\n")
        self.users = f"mask:users:key-file={self.path}"

    def masked(self, text: str, packet: bytes) -> bytes | None:
        """The payload behind the filter; all else must be as it was."""
        (going,) = self.bench(text).screen(packet)
        others = [[chunk for chunk in Packet(octets).chunks if chunk[1] not in (15, 16)] for octets in (packet, going)]
        self.assertEqual(*others)
        return Packet(going).payload


class BodyTests(MaskCase):
    """``mask:bodies``."""

    def test_message(self) -> None:
        """The body of a MESSAGE is hidden, with its length; and that of a response to one."""
        hidden = self.masked("mask:bodies", make_packet(payload=MESSAGE))
        self.assertEqual(hidden, MESSAGE.replace(b"secret words", b"*" * 12))
        response = make_sip("MESSAGE", status=200, body=b"secret words")
        self.assertEqual(self.masked("mask:bodies", make_packet(payload=response)), response[:-12] + b"*" * 12)

    def test_others(self) -> None:
        """Bodies of other methods stay, and what is not SIP."""
        for packet in (
            make_packet(payload=make_sip("INVITE", body=b"v=0")),
            make_packet(payload=MESSAGE, protocol_type=100),
            make_packet(payload=make_sip("MESSAGE")),
        ):
            self.assertEqual(self.bench("mask:bodies").screen(packet), [packet])

    def test_methods(self) -> None:
        """Methods can be named, in any case."""
        info = make_sip("INFO", body=b"Signal=5")
        self.assertEqual(self.masked("mask:bodies=info,UPDATE", make_packet(payload=info)), info[:-8] + b"*" * 8)
        self.assertEqual(self.masked("mask:bodies=info", make_packet(payload=MESSAGE)), MESSAGE)

    def test_compressed(self) -> None:
        """A compressed payload is written back as it is when inflated."""
        for compress in (gzip.compress, zlib.compress):
            packet = make_packet(compressed_payload=compress(MESSAGE), correlation_id=b"c")
            (going,) = self.bench("mask:bodies").screen(packet)
            self.assertIsNone(Packet(going).compressed_payload)
            self.assertEqual(Packet(going).payload, MESSAGE.replace(b"secret words", b"*" * 12))

    def test_both(self) -> None:
        """Where a packet has the payload twice, the second copy does not get through."""
        for order in (1, -1):
            copies = [(0, 15, MESSAGE), (0, 16, zlib.compress(MESSAGE))][::order]
            (going,) = self.bench("mask:bodies").screen(build([(0, 11, b"\1"), *copies]))
            self.assertEqual([chunk[1] for chunk in Packet(going).chunks], [11, 15])
            self.assertNotIn(b"secret", going)
        clean = make_sip("INVITE")
        (going,) = self.bench("mask:bodies").screen(
            build([(0, 11, b"\1"), (0, 15, clean), (0, 16, zlib.compress(MESSAGE))])
        )
        self.assertEqual([chunk[1] for chunk in Packet(going).chunks], [11, 15])

    def test_unread(self) -> None:
        """What says to be SIP and cannot be read or masked does not get through, unless the operator says so."""
        fragment = make_packet(payload=b"rest of a message: secret words")
        damaged = make_packet(compressed_payload=zlib.compress(MESSAGE)[:-5])
        large = make_packet(compressed_payload=zlib.compress(MESSAGE + b"x" * 66_000))
        for packet in (fragment, damaged, large):
            bench = self.bench("mask:bodies")
            self.assertEqual(bench.screen(packet), [])
            self.assertEqual(bench.counts["reject"], 1)
            self.assertEqual(self.bench("mask:bodies:other=pass").screen(packet), [packet])

    def test_keep_alives(self) -> None:
        """SIP's own keep-alives, and packets without payload, pass."""
        for packet in (make_packet(payload=b"\r\n\r\n"), make_packet(payload=b"\0"), make_packet(without=("payload",))):
            self.assertEqual(self.bench("mask:bodies").screen(packet), [packet])


class UserTests(MaskCase):
    """``mask:users``."""

    def test_everywhere(self) -> None:
        """Users are hidden wherever they stand, with all lengths, and hosts, parameters and the rest as they were."""
        cases = {
            b"sip:%s@example.com": b"alice",
            b"SIPS:%s@[2001:db8::1]:5061": b"+4930123456",
            b"<sip:%s;phone-context=example.com@host;user=phone>": b"+4930123456",
            b"<tel:%s;phone-context=+1>": b"+1-201-555-0123",
            b"sip:a%%20%s@h": None,
            b'"%s" <sip:x.invalid>': b"Alice Smith",
            b'"%s" <sips:x.invalid>': b'Al \\"ice\\"',
            b"From: %s <sip:x.invalid>": b"Alice Smith",
            b"From:\r\n %s\t<tel:>": b"Alice",
            b'username="%s", realm="x"': b"alice",
        }
        for form, user in cases.items():
            if user is None:
                continue
            octets = form % user
            hidden = HIDER.hide(octets)
            self.assertEqual(hidden, form % HIDER.hashed(user), octets)
            self.assertEqual(len(hidden), len(octets))

    def test_message(self) -> None:
        """A whole message: the users are gone, all lengths are the same, the lines too."""
        sip = make_sip(
            from_='"Alice Smith" <sip:alice@example.com>;tag=1',
            headers={
                "Contact": "<sip:alice:password@192.0.2.7:5062;transport=tcp>",
                "P-Asserted-Identity": '"+49301" <sip:+49301@example.com>, <tel:+49301>',
                "Proxy-Authorization": 'Digest username="alice", realm="r", uri="sip:bob@example.com", response="00"',
            },
            body=b"<presence entity='sip:alice@example.com'>",
        )
        hidden = self.masked(self.users, make_packet(payload=sip, correlation_id=b"alice"))
        assert hidden is not None
        self.assertEqual([len(line) for line in hidden.split(b"\r\n")], [len(line) for line in sip.split(b"\r\n")])
        for secret in (b"alice", b"Alice", b"bob", b"49301", b"password"):
            self.assertNotIn(secret, hidden)
        self.assertEqual(hidden.count(HIDER.hashed(b"alice") + b"@example.com"), 2)
        self.assertIn(b"<sip:" + HIDER.hashed(b"alice") + b":********@192.0.2.7:5062;transport=tcp>", hidden)
        self.assertIn(b"INVITE sip:" + HIDER.hashed(b"bob") + b"@example.com SIP/2.0\r\n", hidden)
        self.assertIn(b"Call-ID: 1@example.com", hidden)

    def test_alike(self) -> None:
        """The same user always becomes the same, another another; with another key it is another again."""
        self.assertEqual(UserHider(KEY).hashed(b"alice"), HIDER.hashed(b"alice"))
        self.assertNotEqual(HIDER.hashed(b"alicf"), HIDER.hashed(b"alice"))
        self.assertNotEqual(UserHider(KEY + b"x").hashed(b"alice"), HIDER.hashed(b"alice"))
        self.assertEqual(HIDER.hashed(b"alice"), b"qmwbv")

    def test_any_length(self) -> None:
        """Users of any length keep it; only letters and digits come."""
        for length in (1, 2, 50, 102, 103, 104, 300, 5000):
            hashed = HIDER.hashed(b"u" * length)
            self.assertEqual(len(hashed), length)
            self.assertRegex(hashed.decode(), r"\A[a-z2-7]+\Z")

    def test_bounded(self) -> None:
        """Any number of users takes a bounded memory."""
        hider = UserHider(KEY)
        for number in range(20_000):
            hider.hide(b"sip:%d@h sip:%s@h" % (number, b"x" * 300))
        self.assertLessEqual(len(hider._hashes), 8192)
        self.assertLessEqual(max(map(len, hider._hashes)), 256)

    def test_linear(self) -> None:
        """Strangers cannot stop it: the longest payload of the worst kind takes no longer than others."""
        for piece in (
            b"sip:",
            b"sip:a",
            b"sip:;",
            b"sip:a;",
            b"sip:a:",
            b'"',
            b'\\"',
            b'"\\',
            b"a <",
            b":",
            b": a",
            b",",
            b'username="',
        ):
            for ends in (b"", b"\r\n", b"<sip:"):
                octets = (b"sip:" + piece * 65_000)[:65_000] + ends
                start = time.process_time()
                self.assertEqual(len(HIDER.hide(octets)), len(octets))
                self.assertLess(time.process_time() - start, 1, piece)

    @given(
        st.lists(
            st.sampled_from([b"sip:", b"tel:", b"@", b'"', b"<", b":", b";", b"a", b"\\", b"\r\n", b" ", b",", b"\xff"])
        )
    )
    @settings(max_examples=300, deadline=None)
    def test_any_octets(self, parts: list[bytes]) -> None:
        """Whatever stands there, the length stays, and no URI keeps its user."""
        octets = b"".join(parts)
        self.assertEqual(len(HIDER.hide(octets)), len(octets))

    def test_with_bodies(self) -> None:
        """Both at once."""
        hidden = self.masked(f"mask:bodies:users:key-file={self.path}", make_packet(payload=MESSAGE))
        assert hidden is not None
        for secret in (b"alice", b"secret"):
            self.assertNotIn(secret, hidden)

    def test_refused(self) -> None:
        """Every slip is one line."""
        what = "says not what to hide; write bodies, bodies=MESSAGE,INFO, users:key-file=PATH, or both"
        self.refused("mask", what)
        self.refused("mask:users", "users wants a key; write users:key-file=PATH")
        needless = "key-file= is for users; write users:key-file=PATH, or leave it out"
        self.refused("mask:bodies:key-file=x", needless)
        self.refused("mask:bodies=IN FO", "bodies=IN FO: is no method; write for example MESSAGE,INFO")
        self.refused("mask:bodies=", "bodies=: is no method; write for example MESSAGE,INFO")
        with open(self.path, "wb") as file:
            file.write(b"SECRET\n")
        short = "its key has 6 octets, and 16 are the least; make one with: openssl rand -hex 32"
        self.refused(self.users, f"key-file={self.path}: {short}")
