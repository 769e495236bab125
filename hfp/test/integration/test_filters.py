"""
Filters in the running relay: what goes on, what does not, and what is said of it.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from hfp.hep import Packet, build
from hfp.test.integration.harness import ProcessTestCase
from hfp.test.integration.programs import Collector, Relay
from hfp.testing import make_packet, make_sip

_VERDICTS = "hfp_filter_packets_total"


class FilterTests(ProcessTestCase):
    """``--filter`` and ``--ipf`` from the sender to the collector."""

    def begin(self, *options: str) -> tuple[Relay, Collector]:
        collector = self.collector(dump=True)
        return self.relay(collector, options=list(options)), collector

    def assert_arrives(self, collector: Collector, expected: list[bytes]) -> None:
        """Exactly these packets arrive, as they are and in this order."""
        octets = b"".join(expected)
        self.until(lambda: len(collector.dumped.read_bytes()) >= len(octets), 10, "all have arrived")
        self.assertTrue(collector.dumped.read_bytes() == octets, "other packets than these arrived")

    def test_packet_by_packet(self) -> None:
        """
        ``--ipf`` decides about each packet, however the stream is cut into reads.

        (The Go HFP passes or drops whatever a read brought by the first packet in it.)
        """
        relay, collector = self.begin("--ipf", "192.0.2.7,2001:db8::/32", "--ipfa", "reject")
        good, bad = [], []
        for number in range(3_000):
            payload = b"%d" % number
            good.append(make_packet(payload=payload))
            where = "192.0.2.7" if number % 2 else "2001:db8::7"
            end = "source_address" if number % 3 else "destination_address"
            other = {"2001:db8::7": "2001:db9::1", "192.0.2.7": "192.0.2.1"}[where]
            addresses: dict[str, Any] = {"source_address": other, "destination_address": other, end: where}
            bad.append(make_packet(payload=payload, **addresses))
        stream = b"".join(octets for pair in zip(good, bad, strict=True) for octets in pair)
        with self.connect(relay) as connection:
            for at in range(0, len(stream), 997):
                connection.sendall(stream[at : at + 997])
            self.assert_arrives(collector, good)
        self.assertEqual(relay.metric(_VERDICTS, filter="ip", verdict="pass"), 3_000)
        self.assertEqual(relay.metric(_VERDICTS, filter="ip", verdict="reject"), 3_000)
        self.assertGreater(relay.metric("hfp_filter_seconds_total", filter="ip"), 0)
        self.assertEqual(relay.received(), 3_000)

    def test_in_order(self) -> None:
        """Filters are asked one after the other; what one rejects the next never sees, what one rewrites it sees so."""
        relay, collector = self.begin(
            "--filter", "type:sip",
            "--filter", "sip:(not (cseq-method OPTIONS))",
            "--filter", "name:127.0.0.0/8=77/edge",
            "--filter", "node:77",
        )  # fmt: skip
        invite = make_packet(payload=make_sip("INVITE"))
        with self.connect(relay) as connection:
            for octets in (
                make_packet(protocol_type=5, payload=b"{}"),
                make_packet(payload=make_sip("OPTIONS")),
                make_packet(payload=make_sip("OPTIONS", status=200)),
                invite,
            ):
                connection.sendall(octets)
            self.until_equal(relay.received, 1, 5, "one goes on")
            self.until(collector.dumped.read_bytes, 5, "it arrives")
        arrived = Packet(collector.dumped.read_bytes())
        self.assertEqual((arrived.agent_id, arrived.agent_name), (77, b"edge"))
        self.assertEqual(arrived.payload, Packet(invite).payload)
        for name, verdict, number in (
            ("type", "reject", 1),
            ("sip", "reject", 2),
            ("name", "rewrite", 1),
            ("node", "pass", 1),
            ("node", "reject", 0),
        ):
            self.assertEqual(relay.metric(_VERDICTS, filter=name, verdict=verdict), number, (name, verdict))

    def test_a_packet_that_cannot_be_read(self) -> None:
        """A filter that fails on packets loses none of them, says so once, and counts each."""
        relay, collector = self.begin("--filter", "port:5060")
        broken = [build([(0, 7, b"12345"), (0, 15, b"%d" % number)]) for number in range(500)]
        with self.connect(relay) as connection:
            connection.sendall(b"".join(broken))
            self.assert_arrives(collector, broken)
        self.assertEqual(relay.metric(_VERDICTS, filter="port", verdict="error"), 500)
        self.assertEqual(len(re.findall("filter port failed on a packet", relay.log())), 1, relay.log())

    def test_errors_rejected(self) -> None:
        """``--filter-errors reject`` rejects them."""
        relay, collector = self.begin("--filter", "port:5060", "--filter-errors", "reject")
        good = make_packet()
        with self.connect(relay) as connection:
            connection.sendall(build([(0, 7, b"12345")]) + good)
            self.assert_arrives(collector, [good])
        self.until_equal(partial(relay.metric, _VERDICTS, filter="port", verdict="error"), 1, 5, "it is counted")
