"""
Many senders, and senders that leave half packets hanging: each sender's packets stay whole and in order.
"""

from __future__ import annotations

from hfp.test.integration.harness import ProcessTestCase
from hfp.test.peers.traffic import LARGEST, Traffic, lengths


class SendersTests(ProcessTestCase):
    """Several senders at once."""

    def test_twenty_senders_flat_out(self) -> None:
        """400,000 packets of 20 senders, as fast as they go, a packet per write."""
        collector = self.collector()
        relay = self.relay(collector)
        sent = self.sender(relay, connections=20, count=20_000).finish(40)
        self.assertEqual(sum(sent.values()), 400_000)
        self.until_arrived(collector, sent, 30)
        self.assert_delivered(collector, sent, duplicates=0)
        self.assertEqual(relay.received(), 400_000)

    def test_twenty_senders_of_every_size(self) -> None:
        """From 36 to 65535 octets, 20 senders, many packets per write."""
        collector = self.collector()
        relay = self.relay(collector)
        sent = self.sender(relay, connections=20, count=2_000, mix="every-size", per_write=7).finish(40)
        self.until_arrived(collector, sent, 30)
        self.assert_delivered(collector, sent, duplicates=0)

    def test_a_sender_leaves_half_a_packet_hanging(self) -> None:
        """Half packets of one sender stay out of the way of another's; the packet goes on when its rest comes."""
        collector = self.collector()
        relay = self.relay(collector)
        halves = Traffic(900).batch(0, 11)
        cut = len(halves) - lengths(halves)[-1] // 2
        hanging = self.connect(relay)
        hanging.sendall(halves[:cut])
        sent = self.sender(relay, count=10_000, rate=5_000).finish(20)
        self.until_arrived(collector, {**sent, 900: 10}, 5)
        self.assertEqual(collector.reading.senders[900].highest, 9)
        hanging.sendall(halves[cut:])
        self.until_arrived(collector, {**sent, 900: 11}, 5)
        self.assert_delivered(collector, {**sent, 900: 11}, duplicates=0)

    def test_senders_leave_half_packets_for_ever(self) -> None:
        """Cut anywhere in its head, in the middle and before its end: nothing of it is passed on, not at the stop."""
        collector = self.collector()
        relay = self.relay(collector)
        large = Traffic(901, str(LARGEST)).batch(0, 1)
        connections = []
        for cut in [*range(1, 8), 36, len(large) // 2, len(large) - 1]:
            connection = self.connect(relay)
            connection.sendall(large[:cut])
            connections.append(connection)
        sent = self.sender(relay, count=5_000, rate=5_000).finish(20)
        self.until_arrived(collector, sent, 5)
        for connection in connections[::2]:
            connection.close()
        more = self.sender(relay, "sender-2", id=2, count=1_000, rate=5_000).finish(20)
        self.until_arrived(collector, {**sent, **more}, 5)
        relay.stop()
        self.until(lambda: collector.arrived() >= 0 and collector.reading.events, 5, "the collector has seen the end")
        self.assert_delivered(collector, {**sent, **more}, duplicates=0)
