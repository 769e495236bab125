"""
``time``: repairs the times that agents state.

Facts: RTPEngine mr13.4.1.1 to mr13.4.1.6 write seconds and microseconds little-endian (its issue 1995); some agents
count from NTP's epoch, 1900; others have no clock.
"""

from __future__ import annotations

from zope.interface import implementer

from hfp.filters.arguments import Arguments, duration
from hfp.filters.builtin.choice import wide
from hfp.filters.captured import CapturedPacket
from hfp.hep import Chunk, Packet
from hfp.interfaces import FilterContext, IFilter, Verdict

_SECONDS = int(Chunk.SECONDS)
_MICROSECONDS = int(Chunk.MICROSECONDS)

_DAY_S = 86_400
_MILLION = 1_000_000
_BILLION = 1_000_000_000
_HIGHEST_S = 0xFFFFFFFF

#: A swapped time this near to that of receipt is the one that was meant: by accident it is once in 25,000 times, and
#: with microseconds below a million once in a hundred million.
_NEAR_S = _DAY_S

#: Seconds from 1900 to 1970.  Source: RFC 5905, section 6.
_NTP_EPOCH_S = 2_208_988_800


@implementer(IFilter)
class TimeRepair:
    """
    Gives packets whose time cannot be right the one that was meant, else that of receipt.

    :param past_s: seconds before the time of receipt that a time may be.
    :param future_s: likewise behind it.
    """

    def __init__(self, past_s: float, future_s: float) -> None:
        self._past_s = past_s
        self._future_s = future_s

    def decide(self, packet: CapturedPacket) -> Verdict | Packet:
        """See `hfp.interfaces.IFilter`."""
        octets = packet.get(_SECONDS)
        if octets is None:
            return self._receipt(packet)
        seconds = wide(octets, 4, _SECONDS)
        octets = packet.get(_MICROSECONDS)
        microseconds = wide(octets, 4, _MICROSECONDS) if octets is not None else 0
        now_s = packet.received_ns // _BILLION
        if -_NEAR_S <= seconds - now_s <= _NEAR_S:
            if microseconds < _MILLION and -self._past_s <= seconds - now_s <= self._future_s:
                return Verdict.PASS
            new_s = seconds
        else:
            swapped = _swapped(seconds), _swapped(microseconds)
            if -_NEAR_S <= swapped[0] - now_s <= _NEAR_S and swapped[1] < _MILLION:
                return packet.replace(seconds=swapped[0], microseconds=swapped[1])
            new_s = seconds
            ntp_s = seconds - _NTP_EPOCH_S
            if ntp_s >= 0 and seconds > now_s + self._future_s and self._believable(ntp_s, now_s):
                new_s = ntp_s
                if microseconds >= _MILLION:
                    # NTP's fraction: units of 2^-32 s.  Source: RFC 5905, section 6.
                    return packet.replace(seconds=new_s, microseconds=microseconds * _MILLION >> 32)
        if not self._believable(new_s, now_s):
            return self._receipt(packet)
        if microseconds >= _MILLION:
            return packet.replace(seconds=new_s, microseconds=_MILLION - 1)  # only the second can be believed
        return Verdict.PASS if new_s == seconds else packet.replace(seconds=new_s)

    def _believable(self, seconds: int, now_s: int) -> bool:
        return -self._past_s <= seconds - now_s <= self._future_s

    def _receipt(self, packet: CapturedPacket) -> Packet:
        seconds, rest_ns = divmod(packet.received_ns, _BILLION)
        return packet.replace(seconds=min(seconds, _HIGHEST_S), microseconds=rest_ns // 1_000)


def _swapped(number: int) -> int:
    return int.from_bytes(number.to_bytes(4, "little"), "big")


def build(arguments: str, context: FilterContext) -> TimeRepair:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/time.rst`` has the grammar."""
    parsed = Arguments(arguments)
    past_s = parsed.value("past", duration(1, 50_000 * _DAY_S), 3_652.0 * _DAY_S)
    future_s = parsed.value("future", duration(1, 50_000 * _DAY_S), float(_DAY_S))
    parsed.end()
    return TimeRepair(past_s, future_s)
