"""Tests for `hfp.addresses`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import lists, one_of, sampled_from, text
from twisted.trial.unittest import SynchronousTestCase

from hfp.addresses import ListenSpec, RemoteSpec, TlsFiles, parse_listen, parse_remote

_PIECES = [
    "tcp",
    "udp",
    "tls",
    "caFile=",
    ":",
    "[",
    "]",
    "::1",
    "9060",
    "interface=",
    "\\",
    "=",
    "a",
    ".",
    "-",
    "%lo",
    "%",
    "192.0.2.1",
    "localhost",
]


class ListenTests(SynchronousTestCase):
    """Where to listen."""

    def test_forms(self) -> None:
        """All forms that the help names, and Twisted's escaped one, mean what they say."""
        for text_, port, interface in (
            ("tcp:9060", 9060, ""),
            ("TCP:9060", 9060, ""),
            ("9060", 9060, ""),
            (":9060", 9060, ""),
            ("0", 0, ""),
            ("tcp:9060:interface=127.0.0.1", 9060, "127.0.0.1"),
            ("127.0.0.1:9060", 9060, "127.0.0.1"),
            ("localhost:9060", 9060, "127.0.0.1"),
            ("[::1]:9060", 9060, "::1"),
            ("[0:0:0::1]:9060", 9060, "::1"),
            ("tcp:9060:interface=[::1]", 9060, "::1"),
            (r"tcp:9060:interface=\:\:1", 9060, "::1"),
            ("[fe80::1%lo]:9060", 9060, "fe80::1%lo"),
        ):
            self.assertEqual(parse_listen(text_), ListenSpec("tcp", port, interface), text_)

    def test_name_is_read_back(self) -> None:
        """The canonical name, which is also the text, makes the same record again."""
        for text_ in ("tcp:9060", "127.0.0.1:9060", "[::1]:9060"):
            spec = parse_listen(text_)
            self.assertEqual(parse_listen(spec.name), spec)
            self.assertEqual(str(spec), spec.name)
        self.assertEqual(parse_listen("[::1]:9060").name, "tcp:9060:interface=[::1]")

    def test_refused(self) -> None:
        """What is no such address is refused with the reason and a cure."""
        for text_, reason in (
            ("", "is empty"),
            ("tcp:", "has no port"),
            ("tcp", "has no port"),
            ("tcp:http", "'http' is not a port"),
            ("65536", "'65536' is not a port; give a number from 0 to 65535"),
            ("-1", "'-1' is not a port"),
            ("٩٠٦٠", "is not a port"),
            ("sctp:9060:interface=::1", "sctp is not a transport that hfp has; write tcp, tls or udp"),
            ("tcp:9060:backlog=5", "'backlog=5' means nothing here"),
            ("udp:9060:certKey=a", "'certKey=a' means nothing here"),
            ("tcp:127.0.0.1:9060", "write tcp:PORT"),
            ("tls:9061", "has no privateKey; write tls:9061:privateKey=FILE:certKey=FILE"),
            ("tls:9061:privateKey=a.pem", "has no certKey"),
            ("tls:9061:privateKey=a.pem:certKey=", "certKey is empty"),
            ("tls:9061:privateKey=a:certKey=b:certKey=c", "certKey is given twice"),
            ("homer.example:9060", "'homer.example' is not an IP address"),
            ("tcp:9060:interface=[1.2.3.4]", "'1.2.3.4' is not an IPv6 address"),
            ("::1:9060", "an IPv6 address stands in brackets; write [::1]:9060"),
            ("fe80::1", "stands in brackets; write [fe80::1]:PORT"),
            ("a:b:c", "has 3 parts"),
            ("9060\\", "is not an address"),
        ):
            with self.assertRaises(ValueError) as caught:
                parse_listen(text_)
            self.assertIn(reason, str(caught.exception), text_)

    def test_transports(self) -> None:
        """Each transport has its own keys; a colon in a file's name is escaped."""
        for text_, spec in (
            ("udp:9060", ListenSpec("udp", 9060)),
            ("udp:9060:interface=[::]", ListenSpec("udp", 9060, "::")),
            (
                r"tls:9061:privateKey=k.pem:certKey=/a\:b/c.pem:interface=127.0.0.1",
                ListenSpec("tls", 9061, "127.0.0.1", TlsFiles(private_key="k.pem", certificate="/a:b/c.pem")),
            ),
            (
                "tls:9061:privateKey=k:certKey=c:caCertsFile=ca",
                ListenSpec("tls", 9061, "", TlsFiles(private_key="k", certificate="c", ca_file="ca")),
            ),
        ):
            self.assertEqual(parse_listen(text_), spec, text_)
        self.assertEqual(parse_listen("tls:9061:privateKey=k:certKey=c").name, "tls:9061")

    def test_overlaps(self) -> None:
        """Two listeners overlap when the kernel would refuse the second."""
        for one, other, overlap in (
            ("9060", "9060", True),
            ("9060", "9061", False),
            ("9060", "127.0.0.1:9060", True),
            ("127.0.0.1:9060", "127.0.0.1:9060", True),
            ("127.0.0.1:9060", "127.0.0.2:9060", False),
            ("[::]:9060", "127.0.0.1:9060", True),
            ("[::1]:9060", "127.0.0.1:9060", False),
            ("0", "0", False),
            ("tcp:9060", "udp:9060", False),
            ("udp:9060", "udp:9060:interface=[::]", True),
            ("tcp:9060", "tls:9060:privateKey=k:certKey=c", True),
        ):
            first, second = parse_listen(one), parse_listen(other)
            self.assertEqual(first.overlaps(second), overlap, (one, other))
            self.assertEqual(second.overlaps(first), overlap, (other, one))


class RemoteTests(SynchronousTestCase):
    """Whom to send to."""

    def test_forms(self) -> None:
        """Each form has one canonical name, by which its cursor is known."""
        for text_, host, name in (
            ("tcp:homer.example:9060", "homer.example", "tcp:homer.example:9060"),
            ("Homer.Example:9060", "homer.example", "tcp:homer.example:9060"),
            ("homer_1:9060", "homer_1", "tcp:homer_1:9060"),
            ("homer.example.:9060", "homer.example.", "tcp:homer.example.:9060"),
            ("192.0.2.1:9060", "192.0.2.1", "tcp:192.0.2.1:9060"),
            ("[::1]:9060", "::1", "tcp:[::1]:9060"),
            ("tcp:[2001:DB8:0::1]:9060", "2001:db8::1", "tcp:[2001:db8::1]:9060"),
            (r"tcp:\:\:1:9060", "::1", "tcp:[::1]:9060"),
        ):
            spec = parse_remote(text_)
            self.assertEqual(spec.by("tcp"), RemoteSpec("tcp", host, 9060), text_)
            self.assertEqual(spec.name, name)
            self.assertEqual(parse_remote(spec.name), spec.by("tcp"))

    def test_transports(self) -> None:
        """A bare address leaves the transport open, one that names it keeps it, and tls takes its files."""
        self.assertEqual(parse_remote("a:1").by("tls"), RemoteSpec("tls", "a", 1))
        self.assertEqual(parse_remote("udp:a:1").by("tls"), RemoteSpec("udp", "a", 1))
        self.assertEqual(
            parse_remote("tls:a:1:caFile=ca.pem:clientCert=c.pem:clientKey=k.pem:serverName=Homer.Example"),
            RemoteSpec(
                "tls",
                "a",
                1,
                TlsFiles(ca_file="ca.pem", certificate="c.pem", private_key="k.pem"),
                "homer.example",
            ),
        )
        self.assertEqual(parse_remote("tls:a:1:insecure=yes"), RemoteSpec("tls", "a", 1, insecure=True))
        self.assertEqual(parse_remote("tls:a:1:caFile=ca.pem").name, "tls:a:1")

    def test_refused(self) -> None:
        """What is no such address is refused with the reason and a cure."""
        for text_, reason in (
            ("", "is empty"),
            ("homer.example", "has no port; write tcp:HOST:PORT"),
            ("tcp:9060", "has no host or no port"),
            ("tcp", "has no host or no port"),
            (":9060", "has no host"),
            ("homer.example:", "has no port"),
            ("homer.example:0", "'0' is not a port; give a number from 1 to 65535"),
            ("homer.example:http", "'http' is not a port"),
            ("ssl:homer.example:9060", "ssl is not a transport that hfp has; write tcp, tls or udp"),
            ("http://homer.example:9060", "http is not a transport"),
            ("udp:a:1:caFile=a", "'caFile=a' means nothing here; write udp:HOST:PORT (udp takes nothing more)"),
            ("tls:a:1:ca=a", "tls takes caFile, clientCert, clientKey, serverName, insecure"),
            ("tls:a:1:insecure=maybe", "insecure=maybe is neither yes nor no"),
            ("tls:a:1:insecure=yes:caFile=a", "insecure=yes checks no certificate"),
            ("tls:a:1:clientCert=c", "clientCert and clientKey belong together"),
            ("a:1:caFile=a", "has 3 parts"),
            ("999.0.0.1:9060", "'999.0.0.1' is neither"),
            ("a..b:9060", "'a..b' is neither"),
            ("-a:9060", "'-a' is neither"),
            ("h\u00f6mer:9060", "xn--"),
            ("a" * 64 + ":9060", "is neither"),
            (".".join(["a" * 60] * 5) + ":9060", "is neither"),
            ("::1:9060", "write [::1]:9060"),
            ("tcp:a:1:timeout=5", "'timeout=5' means nothing here"),
            ("[::1:9060", "has 4 parts"),
            (r"tcp:\:\:1%\]:9060", "is neither"),
        ):
            with self.assertRaises(ValueError) as caught:
                parse_remote(text_)
            self.assertIn(reason, str(caught.exception), text_)

    @settings(deadline=None)
    @given(one_of(text(max_size=40), lists(sampled_from(_PIECES), max_size=8).map("".join)))
    def test_any_text(self, text_: str) -> None:
        """Whatever the text: a record whose name is read back as itself, or a ValueError with something to read."""
        for parse in (parse_listen, parse_remote):
            try:
                spec = parse(text_)
            except ValueError as problem:
                self.assertTrue(str(problem))
            else:
                if spec.kind != "tls":
                    self.assertEqual(parse(spec.name), spec if isinstance(spec, ListenSpec) else spec.by("tcp"))
