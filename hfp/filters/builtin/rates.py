"""
``rate``: so many packets per second, and no more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from zope.interface import implementer

from hfp.filters.arguments import Arguments, number, one_of, whole
from hfp.filters.captured import CapturedPacket
from hfp.hep import Chunk
from hfp.interfaces import FilterContext, IFilter, Verdict

_PASS = Verdict.PASS
_REJECT = Verdict.REJECT

_AGENT_ID = int(Chunk.AGENT_ID)

#: Senders or agents whose rate is known at once.
MOST_BUCKETS = 4096

_KEYS: dict[str, Callable[[CapturedPacket], Hashable]] = {
    "all": lambda packet: None,
    "sender": lambda packet: packet.sender.host,
    "agent": lambda packet: packet.get(_AGENT_ID),
}


@implementer(IFilter)
class Rate:
    """
    A bucket of tokens for each key: each packet takes one, time brings new ones.

    :param per_s: tokens per second.
    :param burst: tokens that a bucket holds, 1 or more.
    :param key: of a packet.
    :param most: buckets.
    """

    # No `decide_batch`: after an error in it the packets would be shown, and counted, once more.

    def __init__(
        self, per_s: float, burst: int, key: Callable[[CapturedPacket], Hashable], most: int = MOST_BUCKETS
    ) -> None:
        # In nanoseconds that one token takes: integers only, and no error grows.
        self._token_ns = round(1e9 / per_s)
        self._full_ns = self._token_ns * burst
        self._key = key
        self._most = most
        self._buckets: OrderedDict[Hashable, tuple[int, int]] = OrderedDict()  # what is in it, when that was so

    def __len__(self) -> int:
        return len(self._buckets)

    def decide(self, packet: CapturedPacket) -> Verdict:
        """See `hfp.interfaces.IFilter`."""
        key = self._key(packet)
        now_ns = packet.received_ns
        buckets = self._buckets
        bucket = buckets.get(key)
        if bucket is None:
            if len(buckets) >= self._most:
                buckets.popitem(last=False)  # the one that was not used for longest
            tokens = self._full_ns
        else:
            buckets.move_to_end(key)
            tokens, then_ns = bucket
            if now_ns > then_ns:  # not after the clock was set back
                tokens = min(self._full_ns, tokens + now_ns - then_ns)
        if tokens < self._token_ns:
            buckets[key] = (tokens, now_ns)
            return _REJECT
        buckets[key] = (tokens - self._token_ns, now_ns)
        return _PASS


def build(arguments: str, context: FilterContext) -> Rate:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/rate.rst`` has the grammar."""
    parsed = Arguments(arguments)
    per = parsed.value("per", one_of("sender", "agent", "all"), "sender")
    burst = parsed.value("burst", whole(1, 100_000_000), 0)
    rates = parsed.bare(number(0.001, 10_000_000))
    parsed.end()
    if len(rates) != 1:
        raise ValueError("wants one number of packets per second; write for example rate:500")
    return Rate(rates[0], burst or max(1, round(rates[0])), _KEYS[per])
