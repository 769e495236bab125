"""
Tests for `hfp.filters.chain`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given, settings, strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogPublisher, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from hfp.filters.captured import CapturedPacket
from hfp.filters.chain import VERDICTS, FilterChain
from hfp.hep import Framer, Packet
from hfp.interfaces import IBatchFilter, IFilter, IScreen, Verdict
from hfp.logs import Logger, Repeats
from hfp.testing import NOW_NS, SENDER, make_packet

ONE, TWO, THREE = (make_packet(agent_id=number) for number in (1, 2, 3))


@implementer(IFilter)
class Told:
    """Decides as a function says; remembers what it was asked."""

    def __init__(self, decide: Callable[[CapturedPacket], Any]) -> None:
        self._decide = decide
        self.asked: list[int | None] = []

    def decide(self, packet: CapturedPacket) -> Any:
        self.asked.append(packet.agent_id)
        return self._decide(packet)


@implementer(IBatchFilter)
class ToldBatch(Told):
    """Likewise, for batches."""

    def __init__(
        self, decide: Callable[[CapturedPacket], Any], decide_batch: Callable[[list[CapturedPacket]], Sequence[Any]]
    ) -> None:
        super().__init__(decide)
        self.decide_batch = decide_batch


def fail(packet: Any) -> Any:
    raise KeyError("broken")


def only(*numbers: int) -> Told:
    """Passes some agents."""
    return Told(lambda packet: Verdict.PASS if packet.agent_id in numbers else Verdict.REJECT)


class ChainTests(SynchronousTestCase):
    """`FilterChain`."""

    def chain(self, *filters: Any, rejects_errors: bool = False) -> FilterChain:
        self.logged: list[str] = []
        observer: Any = lambda event: self.logged.append(formatEvent(event))  # noqa: E731
        self.clock = Clock()
        repeats = Repeats(Logger(observer=LogPublisher(observer)), self.clock)
        self.addCleanup(repeats.stop)
        named = [(f"f{at}", each) for at, each in enumerate(filters)]
        return FilterChain(named, repeats, rejects_errors, lambda: NOW_NS)

    def counts(self, chain: FilterChain, at: int = 0) -> dict[str, int]:
        """The verdicts that there were."""
        packets = chain.status()[at].packets
        self.assertEqual(tuple(packets), VERDICTS)
        return {verdict: count for verdict, count in packets.items() if count}

    def test_interfaces(self) -> None:
        """It is a screen; what it is tried with are filters."""
        verifyObject(IScreen, self.chain())
        verifyObject(IFilter, only(1))
        verifyObject(IBatchFilter, ToldBatch(fail, lambda packets: []))

    def test_all_pass(self) -> None:
        """What nobody held back or changed leaves as the very objects that came."""
        pieces: list[Any] = [ONE + TWO, memoryview(THREE)]
        chain = self.chain(only(1, 2, 3))
        going, count = chain.screen(pieces, 3, SENDER)
        self.assertIs(going, pieces)
        self.assertEqual(count, 3)
        self.assertEqual(self.counts(chain), {"pass": 3})

    def test_some_pass(self) -> None:
        """What is rejected is left out, the rest keeps its order, over all pieces and whatever they are."""
        going, count = self.chain(only(1, 3)).screen([bytearray(ONE), memoryview(TWO + THREE)], 3, SENDER)
        self.assertEqual((b"".join(going), count), (ONE + THREE, 2))

    def test_none_pass(self) -> None:
        """Nothing is nothing."""
        chain = self.chain(only())
        self.assertEqual(chain.screen([ONE + TWO], 2, SENDER), ([], 0))
        self.assertEqual(self.counts(chain), {"reject": 2})

    def test_order(self) -> None:
        """Filters are asked in their order, each only about what the one before it let through."""
        first, second = only(1, 3), only(3)
        chain = self.chain(first, second)
        self.assertEqual(chain.screen([ONE + TWO + THREE], 3, SENDER), ([THREE], 1))
        self.assertEqual((first.asked, second.asked), ([1, 2, 3], [1, 3]))
        self.assertEqual(self.counts(chain, 0), {"pass": 2, "reject": 1})
        self.assertEqual(self.counts(chain, 1), {"pass": 1, "reject": 1})

    def test_nobody_left(self) -> None:
        """A filter is not asked about nothing."""
        second = only(1)
        self.chain(only(), second).screen([ONE], 1, SENDER)
        self.assertEqual(second.asked, [])

    def test_what_it_knows(self) -> None:
        """A packet has its sender and the time of receipt."""
        told = Told(lambda packet: Verdict.PASS if (packet.sender, packet.received_ns) == (SENDER, NOW_NS) else None)
        chain = self.chain(told)
        chain.screen([ONE], 1, SENDER)
        self.assertEqual(self.counts(chain), {"pass": 1})

    def test_rewrite(self) -> None:
        """What stands in a packet's place goes on, to the next filter too."""
        for make in (
            lambda packet: packet.replace(agent_id=7),
            lambda packet: packet.replace(agent_id=7).octets,
            lambda packet: bytearray(packet.replace(agent_id=7).octets),
        ):
            second = only(7)
            chain = self.chain(Told(make), second)
            going, count = chain.screen([ONE + TWO], 2, SENDER)
            self.assertEqual(b"".join(going), 2 * Packet(ONE).replace(agent_id=7).octets)
            self.assertEqual((count, second.asked, self.counts(chain)), (2, [7, 7], {"rewrite": 2}))

    def test_bad_rewrite(self) -> None:
        """What is no packet never goes on: the packet itself does, or is rejected if errors are."""
        for made in (None, True, "text", b"", b"HEP3", ONE[:-1], ONE + TWO, Packet(b"junk"), b"\0DGM" + ONE[4:]):
            chain = self.chain(Told(lambda packet, made=made: made))  # type: ignore[misc]
            self.assertEqual(b"".join(chain.screen([ONE], 1, SENDER)[0]), ONE)
            self.assertEqual(self.counts(chain), {"error": 1})
            chain = self.chain(Told(lambda packet, made=made: made), rejects_errors=True)  # type: ignore[misc]
            self.assertEqual(chain.screen([ONE], 1, SENDER), ([], 0))

    def test_raise(self) -> None:
        """A filter that raises loses no packet; it is counted, logged once, and summarised."""
        chain = self.chain(Told(lambda packet: fail(packet) if packet.agent_id == 2 else Verdict.PASS))
        for _ in range(5):
            going, count = chain.screen([ONE + TWO + THREE], 3, SENDER)
            self.assertEqual((b"".join(going), count), (ONE + TWO + THREE, 3))
        self.assertEqual(self.counts(chain), {"pass": 10, "error": 5})
        line = "filter f0 failed on a packet (KeyError: 'broken'); such packets pass"
        self.assertEqual(self.logged, [line])
        self.clock.advance(61)
        self.assertEqual(self.logged[1:], [line + " (4 more like this in the last 60 s)"])

    def test_raise_rejects(self) -> None:
        """Unless the operator wants such packets rejected."""
        chain = self.chain(Told(fail), rejects_errors=True)
        self.assertEqual(chain.screen([ONE], 1, SENDER), ([], 0))
        self.assertEqual(self.counts(chain), {"error": 1})
        self.assertEqual(self.logged, ["filter f0 failed on a packet (KeyError: 'broken'); such packets are rejected"])

    def test_batch(self) -> None:
        """What decides on batches is asked so."""
        told = ToldBatch(fail, lambda packets: [Verdict.REJECT, *[Verdict.PASS] * (len(packets) - 1)])
        chain = self.chain(told)
        self.assertEqual(chain.screen([ONE + TWO], 2, SENDER), ([TWO], 1))
        self.assertEqual(told.asked, [])

    def test_batch_raises(self) -> None:
        """If that fails, each packet is asked about; those that fail there are told, else the failure itself is."""
        chain = self.chain(ToldBatch(lambda packet: Verdict.PASS, fail))
        self.assertEqual(chain.screen([ONE + TWO], 2, SENDER)[1], 2)
        self.assertEqual(self.counts(chain), {"pass": 2})
        self.assertEqual(len(self.logged), 1)

        def fail_otherwise(packets: Any) -> Any:
            raise OSError("otherwise")

        chain = self.chain(ToldBatch(fail, fail_otherwise))
        self.assertEqual(chain.screen([ONE], 1, SENDER)[1], 1)
        self.assertEqual(self.counts(chain), {"error": 1})
        self.assertEqual(self.logged, ["filter f0 failed on a packet (KeyError: 'broken'); such packets pass"])

    def test_batch_kinds(self) -> None:
        """Whatever has a length and can be gone through will do."""
        results: list[Any] = [(Verdict.REJECT, Verdict.PASS), {1: Verdict.REJECT, 2: Verdict.PASS}.values()]
        for result in results:
            chain = self.chain(ToldBatch(fail, lambda packets, result=result: result))  # type: ignore[misc]
            self.assertEqual(chain.screen([ONE + TWO], 2, SENDER), ([TWO], 1))

    def test_batch_miscounts(self) -> None:
        """Likewise if there are not as many verdicts as packets, or none at all."""
        results: list[Any] = [[], [Verdict.REJECT] * 3, None, 7, iter([Verdict.REJECT])]
        for result in results:
            chain = self.chain(ToldBatch(lambda packet: Verdict.PASS, lambda packets, result=result: result))  # type: ignore[misc]
            self.assertEqual(chain.screen([ONE + TWO], 2, SENDER)[1], 2)
            self.assertEqual(len(self.logged), 1, result)

    def test_seconds(self) -> None:
        """The time spent in a filter is its own."""
        chain = self.chain(only(1), Told(lambda packet: sum(range(20_000)) and Verdict.PASS))
        chain.screen([ONE], 1, SENDER)
        first, second = chain.status()
        self.assertGreater(second.seconds, first.seconds)
        self.assertGreater(first.seconds, 0)

    @given(st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=40)), max_size=12), st.data())
    @settings(max_examples=100, deadline=None)
    def test_split_reads(self, contents: list[tuple[int, bytes]], data: st.DataObject) -> None:
        """Packets that are split over reads anywhere are decided about one by one."""
        packets = [make_packet(agent_id=number, payload=payload) for number, payload in contents]
        stream = b"".join(packets)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
        chain = self.chain(only(0, 2, 4, 6, 8))
        framer = Framer(lambda kind, octets: self.fail(kind))
        out = b""
        count = 0
        for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            pieces: list[bytes | bytearray | memoryview] = []
            found = framer.feed(stream[start:stop], pieces)
            if found:
                going, passed = chain.screen(pieces, found, SENDER)
                out += b"".join(going)
                count += passed
        wanted = [packet for packet, (number, _) in zip(packets, contents, strict=True) if number % 2 == 0]
        self.assertEqual((out, count), (b"".join(wanted), len(wanted)))
