"""
Tests for the filters ``time``, ``key`` and ``name``.
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings, strategies as st

from hfp.filters.loading import parse_filter
from hfp.hep import Packet, build
from hfp.interfaces import Sender
from hfp.test.filtercase import FilterCase, shuffled
from hfp.testing import NOW_NS, FilterBench, make_packet

_S = 10**9
_DAY = 86_400
_NOW = NOW_NS // _S
_NTP = 2_208_988_800


def swap(number: int) -> int:
    return int.from_bytes(number.to_bytes(4, "big"), "little")


def stamped(seconds: int, microseconds: int = 123_456) -> bytes:
    return make_packet(without=("time_ns",), seconds=seconds, microseconds=microseconds)


class TimeTests(FilterCase):
    """``time``."""

    def repaired(self, packet: bytes, received_ns: int = NOW_NS, text: str = "time") -> tuple[int | None, int | None]:
        """Seconds and microseconds behind the filter; all else must be as it was."""
        bench = self.bench(text)
        bench.received_ns = received_ns
        (going,) = bench.screen(packet)
        old, new = Packet(packet), Packet(going)
        times = (9, 10)
        self.assertEqual(
            [chunk for chunk in old.chunks if chunk[1] not in times],
            [chunk for chunk in new.chunks if chunk[1] not in times],
        )
        self.assertEqual(bench.counts["rewrite"], int(going != packet))
        return new.seconds, new.microseconds

    def same(self, packet: bytes, **kwargs: Any) -> None:
        old = Packet(packet)
        self.assertEqual(self.repaired(packet, **kwargs), (old.seconds, old.microseconds))

    def test_right(self) -> None:
        """A time that can be right stays, octet for octet."""
        for seconds in (_NOW, _NOW - 7 * _DAY, _NOW - 3650 * _DAY, _NOW + _DAY - 1):
            self.same(stamped(seconds))

    def test_swapped(self) -> None:
        """A time in the wrong byte order is that of the captured message, exactly; these two are real ones."""
        homer = stamped(2608623722, 1059783936)
        self.assertEqual(self.repaired(homer, 1785756828 * _S), (1785756827, 338751))
        rtpengine = stamped(2976689512, swap(500_000))
        self.assertEqual(self.repaired(rtpengine, 1756196018 * _S), (1756196017, 500_000))

    def test_swapped_also_plausible(self) -> None:
        """Also where the stated time is not absurd, only far from that of receipt."""
        meant = next(_NOW - at for at in range(_DAY) if _NOW - 3000 * _DAY < swap(_NOW - at) < _NOW - 2 * _DAY)
        self.assertEqual(self.repaired(stamped(swap(meant), swap(5))), (meant, 5))

    def test_not_swapped(self) -> None:
        """A time is not swapped where it is near, nor where the swapped microseconds would be none."""
        self.same(stamped(_NOW, 0))
        palindrome = stamped(swap(_NOW), 0x00000FFF)
        self.assertEqual(self.repaired(palindrome), (_NOW, 0))

    def test_ntp(self) -> None:
        """A time that counts from 1900, with microseconds or with NTP's fraction."""
        self.assertEqual(self.repaired(stamped(_NOW + _NTP, 5)), (_NOW, 5))
        self.assertEqual(self.repaired(stamped(_NOW + _NTP, 1 << 31)), (_NOW, 500_000))
        self.assertEqual(self.repaired(stamped(_NOW + _NTP - 900 * _DAY, 5)), (_NOW - 900 * _DAY, 5))

    def test_no_clock(self) -> None:
        """A machine without a clock, in 1970, is no reason to fail."""
        self.assertEqual(self.repaired(stamped(1_893_456_000, 0), 5_000), (0, 5))

    def test_microseconds(self) -> None:
        """Of a million microseconds and more only the second is believed."""
        self.assertEqual(self.repaired(stamped(_NOW, 1_000_000)), (_NOW, 999_999))
        self.same(stamped(_NOW, 999_999))

    def test_absurd(self) -> None:
        """What is absurd becomes the time of receipt, to the microsecond."""
        for seconds in (0, 42, _NOW - 3653 * _DAY, _NOW + _DAY + 1, 4294967295):
            self.assertEqual(self.repaired(stamped(seconds, 0), NOW_NS + 7_000), (_NOW, 7))

    def test_parameters(self) -> None:
        """What is absurd can be said."""
        self.same(stamped(42, 0), text="time:past=40000d")
        self.assertEqual(self.repaired(stamped(_NOW - 120, 0), text="time:past=1m"), (_NOW, 0))
        self.assertEqual(self.repaired(stamped(_NOW + 10, 0), text="time:future=9s"), (_NOW, 0))
        self.same(stamped(_NOW + 10, 0), text="time:future=10s")

    def test_missing(self) -> None:
        """No time becomes that of receipt; seconds without microseconds stay so."""
        self.assertEqual(self.repaired(make_packet(without=("time_ns",)), NOW_NS + 9_000), (_NOW, 9))
        self.same(make_packet(without=("time_ns",), seconds=_NOW))

    def test_malformed(self) -> None:
        """A time of another width is an error."""
        for chunk in ((0, 9, b"12345678"), (0, 10, b"1")):
            bench = self.bench("time")
            octets = build([chunk, (0, 9, _NOW.to_bytes(4, "big"))])
            self.assertEqual(bench.screen(octets), [octets])
            self.assertEqual(bench.counts["error"], 1)

    @given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**33) | st.just(_NOW))
    @settings(max_examples=300, deadline=None)
    def test_any(self, seconds: int, microseconds: int, now_s: int) -> None:
        """Whatever is stated, the result is believable, and is not changed again."""
        bench = self.bench("time")
        bench.received_ns = now_s * _S
        (going,) = bench.screen(stamped(seconds, microseconds))
        packet = Packet(going)
        assert packet.seconds is not None and packet.microseconds is not None
        self.assertLess(packet.microseconds, 1_000_000)
        if now_s < 2**32:
            self.assertTrue(-3652 * _DAY <= packet.seconds - now_s <= _DAY)
            self.assertEqual(bench.screen(going), [going])
        self.assertEqual(bench.counts["error"], 0)

    def test_refused(self) -> None:
        """Every slip is one line."""
        cure = "write 1 to 4.32e+09 seconds, or a time such as 500ms, 2s, 5m, 24h or 7d"
        self.refused("time:past=0", f"past=0: {cure}")
        self.refused("time:future=1y", f"future=1y: {cure}")
        self.refused("time:fast", "'fast' means nothing here; did you mean past=?")


class KeyTests(FilterCase):
    """``key``."""

    with_key = make_packet(authentication_key=b"old")
    without_key = make_packet()

    def keys(self, text: str) -> list[bytes | None]:
        """The key that packets with and without one have behind the filter."""
        going = self.bench(text).screen(self.with_key, self.without_key)
        for before, after in zip((self.with_key, self.without_key), going, strict=True):
            others = [[chunk for chunk in Packet(octets).chunks if chunk[1] != 14] for octets in (before, after)]
            self.assertEqual(*others)
        return [Packet(octets).authentication_key for octets in going]

    def file(self, octets: bytes) -> str:
        path: str = self.mktemp()
        with open(path, "wb") as file:
            file.write(octets)
        return path

    def test_set(self) -> None:
        """Every packet has the key."""
        self.assertEqual(self.keys("key:set=new"), [b"new", b"new"])
        self.assertEqual(self.keys(r"key:set=n\:w"), [b"n:w", b"n:w"])
        self.assertEqual(self.keys(f"key:file={self.file(b'new')}"), [b"new", b"new"])
        self.assertEqual(self.keys(f"key:file={self.file(bytes([110, 13, 10]) + b'second')}"), [b"n", b"n"])

    def test_replace(self) -> None:
        """Only packets that have one."""
        self.assertEqual(self.keys("key:replace=new"), [b"new", None])
        self.assertEqual(self.keys(f"key:replace:file={self.file(b'new')}"), [b"new", None])

    def test_remove(self) -> None:
        """No packet has one, not even a second."""
        self.assertEqual(self.keys("key:remove"), [None, None])
        twice = make_packet(authentication_key=b"old", chunks=[(0, 14, b"second")])
        self.assertEqual(self.bench("key:remove").screen(twice), [self.without_key])

    def test_untouched(self) -> None:
        """What is right already is not rewritten."""
        bench = self.bench("key:set=old")
        bench.screen(self.with_key)
        self.assertEqual(bench.counts["pass"], 1)
        bench = self.bench("key:remove")
        bench.screen(self.without_key)
        self.assertEqual(bench.counts["pass"], 1)

    def test_every_order(self) -> None:
        """Whatever the order of the chunks, the others stay in it."""
        chance = random.Random(2)
        bench = self.bench("key:set=new")
        order = list(range(len(Packet(self.with_key).chunks)))
        for _ in range(100):
            chance.shuffle(order)
            octets = shuffled(self.with_key, order)
            (going,) = bench.screen(octets)
            self.assertEqual(Packet(going).authentication_key, b"new")
            kinds = [[chunk[1] for chunk in Packet(each).chunks] for each in (octets, going)]
            self.assertEqual(*kinds)

    def test_secret(self) -> None:
        """The key is in no message and no log line."""
        spec = parse_filter("key:set=SECRET:remove")
        problem = self.assertRaises(Exception, self.bench, "key:set=SECRET:remove")  # noqa: B017  # its text counts
        self.assertEqual(str(problem), "--filter key:set=***:remove: remove and set= exclude each other; leave one out")
        self.assertNotIn("SECRET", str(spec) + repr(spec))
        for text in ("key:set=SECRET:x", "key:sett=SECRET", "key:set=SECRET:set=SECRET", "key:set=" + "SECRET" * 300):
            problem = self.assertRaises(Exception, self.bench, text)  # noqa: B017
            self.assertNotIn("SECRET", str(problem).replace("key:sett=SECRET:", ""))
        bench = self.bench("key:set=SECRET")
        huge = build([(0, 15, bytes(65520))])
        self.assertEqual(bench.screen(huge), [huge])
        self.assertEqual(bench.counts["error"], 1)
        self.assertNotIn("SECRET", "".join(bench.logged))

    def test_refused(self) -> None:
        """Every slip is one line."""
        what = "says not what to do; write file=PATH, file=PATH:replace, set=KEY, replace=KEY or remove"
        self.refused("key", what)
        self.refused("key:replace", what)
        self.refused("key:remove:file=x", "remove and file= exclude each other; leave one out")
        empty = self.file(b"\nkey")
        self.refused(f"key:file={empty}", f"file={empty}: has no key in its first line; write it there")
        missing = "file=/nowhere/x: cannot be read (No such file or directory); name a file that hfp's user may read"
        self.refused("key:file=/nowhere/x", missing)
        self.refused("key:remove:replace", "remove and replace exclude each other; leave one out")


class NameTests(FilterCase):
    """``name``."""

    def given(self, bench: FilterBench, octets: bytes, host: str) -> tuple[int | None, bytes | None]:
        (going,) = bench.screen(octets, sender=Sender("udp", host, 5060))
        packet = Packet(going)
        return packet.agent_id, packet.agent_name

    def test_senders(self) -> None:
        """Id, name or both by the sender's address; the first that has it counts; others stay."""
        bench = self.bench("name:192.0.2.1=2/sbc-1:192.0.2.0/24=3:[2001:db8::]/32=/six")
        packet = make_packet(agent_id=1)
        self.assertEqual(self.given(bench, packet, "192.0.2.1"), (2, b"sbc-1"))
        self.assertEqual(self.given(bench, packet, "192.0.2.2"), (3, None))
        self.assertEqual(self.given(bench, packet, "2001:db8::9"), (1, b"six"))
        self.assertEqual(self.given(bench, packet, "2001:db8::9%eth0"), (1, b"six"))
        self.assertEqual(self.given(bench, packet, "198.51.100.1"), (1, None))
        self.assertEqual(self.given(bench, packet, "no address"), (1, None))
        self.assertEqual(bench.counts["pass"], 2)

    def test_only_missing(self) -> None:
        """What a packet says of itself can be left; 0 is what HEP1 becomes, and says nothing."""
        bench = self.bench("name:0.0.0.0/0=2/sbc:only=missing")
        wanted: list[tuple[dict[str, Any], tuple[int, bytes]]] = [
            ({"agent_id": 7, "agent_name": b"own"}, (7, b"own")),
            ({"agent_id": 7}, (7, b"sbc")),
            ({"agent_id": 0, "agent_name": b""}, (2, b"sbc")),
            ({"without": ("agent_id",), "agent_name": b"own"}, (2, b"own")),
        ]
        for fields, result in wanted:
            self.assertEqual(self.given(bench, make_packet(**fields), "192.0.2.1"), result)

    def test_untouched(self) -> None:
        """What is right already is not rewritten; all else of a packet stays."""
        bench = self.bench("name:0.0.0.0/0=2/sbc")
        right = make_packet(agent_id=2, agent_name=b"sbc")
        self.assertEqual(bench.screen(right), [right])
        self.assertEqual(bench.counts["pass"], 1)
        (going,) = bench.screen(make_packet(agent_id=1, chunks=[(7, 0x13, b"vendor's")]))
        self.assertEqual(
            going, build([*Packet(make_packet(agent_id=2)).chunks, (7, 0x13, b"vendor's"), (0, 0x13, b"sbc")])
        )

    def test_bounded(self) -> None:
        """Any number of senders takes a bounded memory."""
        bench = self.bench("name:10.0.0.0/8=2")
        for number in range(20_000):
            bench.screen(
                make_packet(), sender=Sender("udp", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1)
            )
        self.assertLessEqual(len(bench.filter._nodes), 8192)

    def test_refused(self) -> None:
        """Every slip is one line."""
        node = "write ID, ID/NAME or /NAME; an ID is a number from 0 to 4294967295"
        self.refused("name", "names no sender; write for example name:192.0.2.1=2001/sbc-1")
        self.refused("name:192.0.2.1=", f"192.0.2.1=: {node}")
        self.refused("name:192.0.2.1=sbc", f"192.0.2.1=sbc: {node}")
        self.refused("name:192.0.2.1=4294967296", f"192.0.2.1=4294967296: {node}")
        host = "host: this is no IP address or network; write for example 10.0.0.0/8 or 2001:db8::/32"
        self.refused("name:host=1", host)
        self.refused("name:192.0.2.1=1:192.0.2.1=2", "192.0.2.1 is given twice; leave one out")
        self.refused("name:192.0.2.1=1:only=new", "only=new: write all or missing")
        self.refused("name:192.0.2.1=/" + "x" * 256, "192.0.2.1=/" + "x" * 256 + ": write a name of at most 255 octets")
