"""
Tests for the filters ``sample``, ``dedup`` and ``rate``.
"""

from __future__ import annotations

import zlib
from typing import Any

from hypothesis import given, settings, strategies as st

from hfp.filters.builtin.rates import MOST_BUCKETS
from hfp.hep import build, to_hep3
from hfp.interfaces import Sender
from hfp.test.filtercase import FilterCase
from hfp.testing import NOW_NS, FilterBench, make_packet, make_sip

_MS = 1_000_000
LOG = make_packet(protocol_type=100, payload=b"log")


def message(call_id: str, method: str = "INVITE", **fields: Any) -> bytes:
    return make_packet(payload=make_sip(method, call_id=call_id), **fields)


def at(ms: float, agent: int = 1, **fields: Any) -> bytes:
    """The usual packet, captured so many milliseconds after the beginning."""
    return make_packet(time_ns=NOW_NS + round(ms * _MS), agent_id=agent, **fields)


class SampleTests(FilterCase):
    """``sample``."""

    def test_share(self) -> None:
        """So many percent, within what chance allows."""
        packets = [message(f"{number}@host") for number in range(4000)]
        for percent, lowest, highest in (("10", 310, 490), ("50%", 1850, 2150), ("0", 0, 0), ("100", 4000, 4000)):
            passed = sum(self.passes(f"sample:{percent}", *packets))
            self.assertTrue(lowest <= passed <= highest, (percent, passed))

    def test_whole(self) -> None:
        """A call is whole or absent: all its messages, and RTCP with its Call-ID as correlation id."""
        kept = set()
        for number in range(200):
            call = [message(f"{number}@host", method) for method in ("INVITE", "ACK", "BYE")]
            call.append(make_packet(payload=make_sip("INVITE", status=200, call_id=f"{number}@host")))
            call.append(make_packet(payload=b"{}", protocol_type=5, correlation_id=f"{number}@host"))
            call.append(make_packet(compressed_payload=zlib.compress(make_sip(call_id=f"{number}@host"))))
            verdicts = set(self.passes("sample:50", *call))
            self.assertEqual(len(verdicts), 1)
            kept |= verdicts
        self.assertEqual(kept, {True, False})

    def test_legs(self) -> None:
        """Legs with one correlation id stay together; by call-id each is on its own."""
        legs = [message(f"leg{number}", correlation_id=b"call") for number in range(40)]
        self.assertEqual(len(set(self.passes("sample:50", *legs))), 1)
        self.assertEqual(len(set(self.passes("sample:50:by=call-id", *legs))), 2)

    def test_by_call_id(self) -> None:
        """By call-id a call is whole even if only some of its packets have a correlation id."""
        for number in range(50):
            bare = message(f"{number}@host")
            some = message(f"{number}@host", correlation_id=f"corr-{number}")
            rtcp = make_packet(payload=b"{}", protocol_type=5, correlation_id=f"{number}@host")
            self.assertEqual(len(set(self.passes("sample:50:by=call-id", bare, some, rtcp))), 1)

    def test_stable(self) -> None:
        """Which calls are kept is a promise: the same today, after a restart, and by every other hfp."""
        packets = [message(f"{number}@host") for number in range(24)]
        kept = [number for number, passed in enumerate(self.passes("sample:50", *packets)) if passed]
        self.assertEqual(kept, KEPT)
        kept = [number for number, passed in enumerate(self.passes("sample:50:seed=other", *packets)) if passed]
        self.assertEqual(kept, KEPT_WITH_SEED)

    def test_more(self) -> None:
        """Who is kept at a lower percentage is kept at every higher one."""
        packets = [message(f"{number}@host") for number in range(300)]
        few = self.passes("sample:10", *packets)
        many = self.passes("sample:30", *packets)
        self.assertTrue(all(many[place] for place, passed in enumerate(few) if passed))
        self.assertNotEqual(few, many)

    def test_neither(self) -> None:
        """What belongs to no call passes, or not."""
        nothing = make_packet(payload=b"INVITE sip:a SIP/2.0\r\n\r\n")
        self.assertEqual(self.passes("sample:0", LOG, nothing), [True, True])
        self.assertEqual(self.passes("sample:100:other=reject", LOG, nothing, message("1")), [False, False, True])

    def test_refused(self) -> None:
        """Every slip is one line."""
        cure = "write a percentage from 0 to 100, such as 10 or 0.5"
        self.refused("sample", "wants one percentage; write for example sample:10")
        self.refused("sample:10,20", "wants one percentage; write for example sample:10")
        for text in ("101", "-1", "x", "1/2", "1e1"):
            self.refused(f"sample:{text}", f"{text}: {cure}")
        self.refused("sample:10:seed=", "seed=: write 1 to 64 octets")
        self.refused("sample:10:by=id", "by=id: write correlation-id or call-id")
        self.refused("sample:10:other=x", "other=x: write pass or reject")


class DedupTests(FilterCase):
    """``dedup``."""

    def verdicts(self, text: str, *packets: bytes) -> list[bool]:
        return self.passes(text, *packets)

    def test_window(self) -> None:
        """What was there less than a window before, or after, is a duplicate; the window begins with what passed."""
        self.assertEqual(self.verdicts("dedup", at(0), at(0), at(499.999), at(500)), [True, False, False, True])
        self.assertEqual(self.verdicts("dedup", at(0), at(400), at(600), at(900)), [True, False, True, False])
        self.assertEqual(self.verdicts("dedup", at(0), at(-499), at(-500)), [True, False, True])
        self.assertEqual(self.verdicts("dedup:window=20ms", at(0), at(19), at(20)), [True, False, True])

    def test_hep_time(self) -> None:
        """Only the stated time counts, not that of receipt."""
        bench = self.bench("dedup")
        self.assertEqual(bench.screen(at(0)), [at(0)])
        bench.received_ns += 3600 * 10**9
        self.assertEqual(bench.screen(at(0), at(1000)), [at(1000)])

    def test_what_differs(self) -> None:
        """Payload, addresses, ports and type, and the agent unless it is ignored."""
        others: list[dict[str, Any]] = [
            {"payload": b"INVITE other"},
            {"source_address": "192.0.2.9"},
            {"destination_address": "192.0.2.9"},
            {"source_address": "2001:db8::1", "destination_address": "2001:db8::2"},
            {"source_port": 5070},
            {"destination_port": 5060},
            {"protocol_type": 100},
        ]
        for fields in others:
            for text in ("dedup", "dedup:ignore=node", "dedup:keep=retransmissions"):
                self.assertEqual(self.verdicts(text, at(0), at(0, **fields)), [True, True], fields)
        for fields in ({"agent": 2}, {"agent_name": b"x"}):
            other = at(0, **fields)
            self.assertEqual(self.verdicts("dedup", at(0), other), [True, True])
            self.assertEqual(self.verdicts("dedup:ignore=node", at(0), other), [True, False])

    def test_what_does_not(self) -> None:
        """Not the order of chunks, other chunks, or whether the payload is compressed."""
        compressed = at(0, compressed_payload=zlib.compress(make_sip()))
        other = at(0, chunks=[(0, 0x11, b"correlation"), (0, 0x12, b"\0\0")])
        self.assertEqual(self.verdicts("dedup", at(0), compressed, other), [True, False, False])

    def test_retransmissions(self) -> None:
        """What one agent reports again is another transmission; what another reports as well is the same."""
        text = "dedup:keep=retransmissions"
        self.assertEqual(self.verdicts(text, at(0), at(200), at(600)), [True] * 3)
        self.assertEqual(self.verdicts(text, at(0, 1), at(1, 2), at(2, 3)), [True, False, False])
        # Two agents, two transmissions, in whatever order they arrive.
        self.assertEqual(self.verdicts(text, at(0, 1), at(1, 2), at(200, 1), at(201, 2)), [True, False, True, False])
        self.assertEqual(self.verdicts(text, at(0, 1), at(200, 1), at(1, 2), at(201, 2)), [True, True, False, False])
        self.assertEqual(self.verdicts(text, at(0, 1), at(200, 1), at(201, 2), at(1, 2)), [True, True, False, False])
        # The very same again: sent once more by a relay that was not sure.
        self.assertEqual(self.verdicts(text, at(0, 1), at(200, 1), at(0, 1), at(200, 1)), [True, True, False, False])
        # The nearest transmission is the one that was meant.
        self.assertEqual(self.verdicts(text, at(0, 1), at(450, 1), at(1, 2), at(501, 2)), [True, True, False, False])
        # Not within the window.
        self.assertEqual(self.verdicts(text, at(0, 1), at(501, 2)), [True, True])

    def test_senders(self) -> None:
        """Agents that give themselves the same id, or none, are told apart by their address."""
        bench = self.bench("dedup:keep=retransmissions")
        self.assertEqual(len(bench.screen(at(0), sender=Sender("udp", "192.0.2.5", 1))), 1)
        self.assertEqual(len(bench.screen(at(1), sender=Sender("udp", "192.0.2.6", 1))), 0)
        self.assertEqual(len(bench.screen(at(2), sender=Sender("udp", "192.0.2.5", 2))), 1)

    def test_twice_real(self) -> None:
        """Two messages that are the same and both real: HEP1 has no time, so both get that of receipt."""
        datagram = (
            bytes([1, 16, 2, 17]) + bytes.fromhex("13c413ce") + bytes([192, 0, 2, 1, 192, 0, 2, 2]) + make_sip("ACK")
        )
        first, second = to_hep3(datagram, NOW_NS), to_hep3(datagram, NOW_NS + 3 * _MS)
        self.assertEqual(self.verdicts("dedup", first, second), [True, False])
        self.assertEqual(self.verdicts("dedup:keep=retransmissions", first, second), [True, True])

    def test_nothing_to_compare(self) -> None:
        """What has no payload, or no time, passes."""
        for field in ("payload", "time_ns"):
            packet = make_packet(without=(field,))
            self.assertEqual(self.verdicts("dedup", packet, packet), [True, True])
            self.assertEqual(self.verdicts("dedup:keep=retransmissions", packet, packet), [True, True])

    def test_malformed(self) -> None:
        """A packet that is malformed where it looks is an error, and the others of its read are decided about once."""
        malformed = build([(0, 1, b"\2"), (0, 11, b"ab"), (0, 15, b"x"), (0, 9, b"abcd"), (0, 10, b"abcd")])
        for text in ("dedup", "dedup:keep=retransmissions"):
            bench = self.bench(text)
            self.assertEqual(bench.screen(at(0), malformed, at(1000)), [at(0), malformed, at(1000)])
            self.assertEqual(bench.counts, {"pass": 2, "reject": 0, "rewrite": 0, "error": 1})

    def test_ambiguous_lengths(self) -> None:
        """Octets cannot be moved from one field to another to look the same."""
        first = build([(0, 15, b"x"), (0, 9, b"abcd"), (0, 7, b"ab"), (0, 8, b"c")])
        second = build([(0, 15, b"x"), (0, 9, b"abcd"), (0, 7, b"a"), (0, 8, b"bc")])
        third = build([(0, 15, b"xabc"), (0, 9, b"abcd")])
        self.assertEqual(self.verdicts("dedup", first, second, third), [True, True, True])

    def test_bounded(self) -> None:
        """No more is remembered than it says: what was seen longest ago is forgotten first."""
        for text in ("dedup:entries=10", "dedup:entries=10:keep=retransmissions"):
            bench = self.bench(text)
            packets = [at(0, payload=b"%d" % number) for number in range(25)]
            for packet in packets:
                self.assertEqual(bench.screen(packet), [packet])
                self.assertLessEqual(len(bench.filter), 10)
            self.assertEqual(bench.screen(*packets[15:]), [])
            self.assertEqual(bench.screen(packets[14]), [packets[14]])
            self.assertEqual(bench.screen(packets[15]), [packets[15]])

    def test_last_used(self) -> None:
        """What passes again counts as seen last."""
        bench = self.bench("dedup:entries=2")
        first, second, third = b"1", b"2", b"3"
        bench.screen(at(0, payload=first), at(0, payload=second), at(600, payload=first), at(600, payload=third))
        self.assertEqual(bench.screen(at(601, payload=first)), [])

    def test_bounded_transmissions(self) -> None:
        """Nor is more remembered of one packet."""
        bench = self.bench("dedup:window=1h:keep=retransmissions")
        for number in range(500):
            bench.screen(at(number), at(0, agent=number + 2))
        (transmissions,) = bench.filter._seen.values()
        self.assertLessEqual(len(transmissions), 16)
        self.assertLessEqual(max(len(agents) for _, agents in transmissions), 16)
        bench = self.bench("dedup:keep=retransmissions")
        bench.screen(*(at(0, agent=number) for number in range(500)))
        (transmissions,) = bench.filter._seen.values()
        self.assertLessEqual(len(transmissions), 16)
        self.assertLessEqual(max(len(agents) for _, agents in transmissions), 16)

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2000)), max_size=30))
    @settings(max_examples=100, deadline=None)
    def test_model(self, packets: list[tuple[int, int]]) -> None:
        """As a list of all that passed would decide."""
        kept: dict[int, int] = {}
        wanted = []
        for content, ms in packets:
            passed = content not in kept or abs(ms - kept[content]) >= 500
            if passed:
                kept[content] = ms
            wanted.append(passed)
        self.assertEqual(self.verdicts("dedup", *(at(ms, payload=b"%d" % content) for content, ms in packets)), wanted)

    def test_refused(self) -> None:
        """Every slip is one line."""
        window = "write 0.001 to 3600 seconds, or a time such as 500ms, 2s, 5m, 24h or 7d"
        self.refused("dedup:window=0", f"window=0: {window}")
        self.refused("dedup:window=2h", f"window=2h: {window}")
        self.refused("dedup:ignore=id", "ignore=id: write nothing or node")
        self.refused("dedup:keep=all", "keep=all: write nothing or retransmissions")
        self.refused("dedup:entries=0", "entries=0: write a whole number from 1 to 10000000")
        self.refused("dedup:windw=1", "'windw=' means nothing here; did you mean window=?")


class RateTests(FilterCase):
    """``rate``."""

    def flood(self, bench: FilterBench, count: int, **fields: Any) -> int:
        host = fields.pop("host", "192.0.2.5")
        return len(bench.screen(*[make_packet(**fields)] * count, sender=Sender("udp", host, 1)))

    def test_rate(self) -> None:
        """A burst at once, then as many as time allows; no more is saved up."""
        bench = self.bench("rate:100:burst=10")
        self.assertEqual(self.flood(bench, 50), 10)
        bench.received_ns += 50 * _MS
        self.assertEqual(self.flood(bench, 50), 5)
        bench.received_ns += 3600 * 10**9
        self.assertEqual(self.flood(bench, 50), 10)
        self.assertEqual(bench.counts, {"pass": 25, "reject": 125, "rewrite": 0, "error": 0})

    def test_steady(self) -> None:
        """Over a long time it is the rate, whatever the steps."""
        bench = self.bench("rate:300")
        passed = 0
        for _ in range(3000):
            bench.received_ns += 3_333_333
            passed += self.flood(bench, 2)
        self.assertTrue(3000 <= passed <= 3302, passed)

    def test_default_burst(self) -> None:
        """A second's worth, one packet at least."""
        self.assertEqual(self.flood(self.bench("rate:30"), 50), 30)
        self.assertEqual(self.flood(self.bench("rate:0.5"), 50), 1)

    def test_per(self) -> None:
        """Each sender, each agent, or all together."""
        wanted = {
            "rate:5": (5, 5, 0),
            "rate:5:per=sender": (5, 5, 0),
            "rate:5:per=agent": (5, 0, 5),
            "rate:5:per=all": (5, 0, 0),
        }
        for text, counts in wanted.items():
            bench = self.bench(text)
            first = self.flood(bench, 9, host="192.0.2.5", agent_id=1)
            second = self.flood(bench, 9, host="192.0.2.6", agent_id=1)
            third = self.flood(bench, 9, host="192.0.2.5", agent_id=2)
            self.assertEqual((first, second, third), counts, text)

    def test_clock_set_back(self) -> None:
        """A clock that is set back gives nothing and takes nothing."""
        bench = self.bench("rate:10:burst=10")
        self.assertEqual(self.flood(bench, 5), 5)
        bench.received_ns -= 3600 * 10**9
        self.assertEqual(self.flood(bench, 10), 5)
        bench.received_ns += 100 * _MS
        self.assertEqual(self.flood(bench, 10), 1)
        bench.received_ns -= 3600 * 10**9
        self.assertEqual(self.flood(bench, 10), 0)
        bench.received_ns += 100 * _MS
        self.assertEqual(self.flood(bench, 10), 1)

    def test_bounded(self) -> None:
        """Any number of senders takes a bounded memory; one that goes on sending is not forgotten."""
        bench = self.bench("rate:0.001:burst=1")
        self.assertEqual(self.flood(bench, 1, host="192.0.2.1"), 1)
        for number in range(2 * MOST_BUCKETS):
            self.flood(bench, 1, host=f"10.0.{number >> 8}.{number & 255}")
            if number % 1000 == 0:
                self.assertEqual(self.flood(bench, 1, host="192.0.2.1"), 0)
            self.assertLessEqual(len(bench.filter), MOST_BUCKETS)

    def test_refused(self) -> None:
        """Every slip is one line."""
        self.refused("rate", "wants one number of packets per second; write for example rate:500")
        self.refused("rate:0", "0: write a number from 0.001 to 1e+07")
        self.refused("rate:x", "x: write a number from 0.001 to 1e+07")
        self.refused("rate:5:per=host", "per=host: write sender, agent or all")
        self.refused("rate:5:burst=0", "burst=0: write a whole number from 1 to 100000000")


#: Of calls 0@host to 23@host, those that ``sample:50`` keeps.
KEPT = [1, 5, 6, 7, 8, 9, 10, 12, 14, 15, 17, 20, 21]
KEPT_WITH_SEED = [1, 2, 5, 6, 8, 10, 13, 19, 20]
