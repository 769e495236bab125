"""Tests for `hfp.networks`."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from hfp.networks import read_network


class NetworkTests(SynchronousTestCase):
    """Networks as the operator writes them."""

    def test_forms(self) -> None:
        """Networks and single addresses, IPv6 with brackets or without."""
        for text, network in (
            ("192.0.2.0/24", "192.0.2.0/24"),
            (" 192.0.2.1 ", "192.0.2.1/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("[::1]", "::1/128"),
            ("[2001:db8::]/32", "2001:db8::/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ):
            self.assertEqual(read_network(text), ip_network(network), text)

    def test_refused(self) -> None:
        """What is none is refused with the cure; bits behind the prefix are no reason to guess."""
        for text, reason in (
            ("", "this is no IP address or network; write for example"),
            ("homer.example", "this is no IP address or network"),
            ("192.0.2.0/33", "this is no IP address or network"),
            ("192.0.2.1/24", "this has address bits beyond its prefix; write 192.0.2.0/24 or 192.0.2.1"),
        ):
            problem = self.assertRaises(ValueError, read_network, text)
            self.assertIn(reason, str(problem), text)
