"""
The interfaces between rooms, and those that third parties implement, written as manual pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from attrs import frozen
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from hfp.filters.captured import CapturedPacket
    from hfp.hep import Packet
    from hfp.logs import Repeats

__all__ = [
    "FilterContext",
    "IBatchFilter",
    "IBatchSink",
    "IFilter",
    "IFilterFactory",
    "IScreen",
    "Sender",
    "Verdict",
]


class Verdict(Enum):
    """What a filter says of a packet."""

    PASS = "pass"  # noqa: S105 (no password)
    REJECT = "reject"


@frozen
class Sender:
    """
    Who sent a packet.

    :param transport: ``tcp``, ``tls`` or ``udp``.
    :param host: the peer's IP address, IPv6 without brackets, an IPv4 address that came in over IPv6 as plain IPv4.
    :param port: the peer's port.
    """

    transport: str
    host: str
    port: int


class IBatchSink(Interface):
    """Takes batches of whole packets: what stands behind the listeners."""

    def take(pieces: list[bytes | bytearray | memoryview], packets: int) -> None:
        """
        Take one batch.

        Called by the intake in the reactor thread, once per coalesced read (up to a few thousand times a second),
        never per packet.  Must not block.  May pause the intake, but has taken this batch even so.

        :param pieces: buffers of one or more whole packets each, in order; they never change later and may be kept.
        :param packets: how many packets they hold, 1 or more.
        """


class IScreen(Interface):
    """Looks at each sender's packets before they become part of a batch, and holds back what must not go on."""

    def screen(
        pieces: list[bytes | bytearray | memoryview], packets: int, sender: Sender
    ) -> tuple[list[bytes | bytearray | memoryview], int]:
        """
        Look at what one read of one sender brought.

        Called by the intake in the reactor thread, once per read, before the packets join the batch; not called at all
        where no screen is configured.  Must not block and must not raise.

        :param pieces: buffers of one or more whole HEP3 packets each, in order; they never change later.
        :param packets: how many packets they hold, 1 or more.
        :returns: the pieces that go on and the number of packets in them (both may be empty, 0); the same objects when
            nothing is held back.
        """


@frozen(kw_only=True)
class FilterContext:
    """
    What a filter may use, made by hfp for each ``--filter``.

    :param name: the filter's name in metrics and log lines: that of its factory, with ``#2`` and so on when it is used
        more than once.
    :param clock: provides IReactorTime; for what must happen later, and for nothing per packet.
    :param repeats: for log lines that packets can cause again and again: the first of a key is logged at once, those
        that follow are summarised once a minute.
    """

    name: str
    clock: Any
    repeats: Repeats


class IFilter(Interface):
    """
    One filter at work: says of each packet whether it goes on.

    Made by an `IFilterFactory`, once for each ``--filter`` of the command line, and used until hfp ends.
    """

    def decide(packet: CapturedPacket) -> Verdict | Packet | bytes:
        """
        Decide about one packet.

        Hot: called in the reactor thread for every packet that the filters before this one let through, 100,000 times
        a second on a busy relay.  So it must never block, and what it does costs that many times: compare octets, keep
        answers in a bounded table, and look into no more chunks than needed.  Packets of one sender come in their
        order, those of different senders in none.

        :param packet: a lazy view; nothing of it is taken apart before it is asked for.  It and its octets never
            change and may be kept, but whatever is kept must be bounded: packets come from strangers.
        :returns: `Verdict.PASS`, `Verdict.REJECT`, or the packet that goes on in its place: a `hfp.hep.Packet` or its
            octets, well-formed HEP3.
        :raises Exception: never loses the packet: it is counted, logged once and then summarised, and the packet
            passes unchanged (or is rejected, with ``--filter-errors reject``).  That is also what becomes of a packet
            that is malformed where the filter looks: `hfp.errors.MalformedPacket` need not be caught.
        """


class IBatchFilter(IFilter):
    """A filter that decides about many packets at a time more cheaply than about each."""

    def decide_batch(packets: list[CapturedPacket]) -> Sequence[Verdict | Packet | bytes]:
        """
        Decide about what one read of one sender brought.

        Called in place of ``decide``; if it raises, ``decide`` is called for each of the packets.

        :param packets: 1 or more, of one sender, in order.
        :returns: for each packet what ``decide`` would return; the same number.
        """


class IFilterFactory(IPlugin):
    """
    Makes filters of one kind.

    An instance is found by ``twisted.plugin.getPlugins`` in ``hfp.plugins``.  It is created each time that hfp looks
    for plugins, also when it is not used: so it imports and opens nothing before ``build``.  Twisted looks for objects
    that provide `IPlugin`; this interface is one, so a class that implements it need not name the other.
    """

    name = Attribute("What stands after ``--filter``: lower case letters, digits, - and _; unique among all installed.")
    help = Attribute("One line for ``--help-filters``: what it decides by; and its arguments, if it has any.")

    def build(arguments: str, context: FilterContext) -> IFilter:
        """
        Make a filter.

        Called once for each use on the command line, while hfp starts and the operator still sits at the terminal.

        :param arguments: what stands behind ``NAME:`` on the command line, as it is; empty if nothing does.
            `hfp.filters.Arguments` reads the usual ``key=value:key=value`` form.
        :raises ValueError: if they mean nothing; the text says what is wrong and the cure, and hfp ends with it after
            naming the option and the filter.
        """
