"""
Tests for the example, in memory: no sockets, no hfp that runs.
"""

from __future__ import annotations

import zlib

from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import hfp.plugins
from hfp.errors import UsageProblem
from hfp.interfaces import IFilter, IFilterFactory
from hfp.testing import FilterBench, make_packet, make_sip

# As hfp finds it, so that these tests fail too if it does not.
factory = {found.name: found for found in getPlugins(IFilterFactory, hfp.plugins)}["example"]

HOME = "<sip:+4930123@example.com>"
ABROAD = "<sip:+4420123@example.com;user=phone>"


class ExampleTests(SynchronousTestCase):
    """``--filter example``."""

    def passes(self, arguments: str, packet: bytes) -> bool:
        return FilterBench(factory, arguments).screen(packet) == [packet]

    def test_interfaces(self) -> None:
        """It keeps to the interfaces."""
        verifyObject(IFilterFactory, factory)
        verifyObject(IFilter, FilterBench(factory, "prefix=+49").filter)

    def test_prefixes(self) -> None:
        """Calls from or to a number with a prefix go on, others do not."""
        cases = {
            (HOME, ABROAD): True,
            (ABROAD, HOME): True,
            (ABROAD, ABROAD): False,
            ("junk", "<sip:example.com>"): False,
        }
        for (caller, called), wanted in cases.items():
            packet = make_packet(payload=make_sip(from_=caller, to=called))
            self.assertEqual(self.passes("prefix=0049,+49", packet), wanted, (caller, called))

    def test_compressed(self) -> None:
        """A compressed payload is no hindrance, nor is a packet with IPv6 addresses."""
        sip = zlib.compress(make_sip(from_=HOME))
        packet = make_packet(compressed_payload=sip, source_address="2001:db8::1", destination_address="2001:db8::2")
        self.assertTrue(self.passes("prefix=+49", packet))
        self.assertFalse(self.passes("prefix=+44", packet))

    def test_other(self) -> None:
        """What is not SIP passes, or does not."""
        log = make_packet(protocol_type=100, payload=b"a line")
        self.assertTrue(self.passes("prefix=+49", log))
        self.assertFalse(self.passes("prefix=+49:other=reject", log))

    def test_refused(self) -> None:
        """Wrong arguments are one line."""
        for arguments, message in {
            "": "--filter example: names no prefix; write for example example:prefix=+49,0049",
            "prefix=": "--filter example:prefix=: prefix=: write a number's first digits, such as +49",
            "prefx=+49": "--filter example:prefx=+49: 'prefx=' means nothing here; did you mean prefix=?",
        }.items():
            problem = self.assertRaises(UsageProblem, FilterBench, factory, arguments)
            self.assertEqual(str(problem), message)
