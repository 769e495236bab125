"""
What an uplink and its connections know of each other, whatever the transport.

`StreamUplink` (TCP, TLS) and `UdpUplink` are connections; `Uplink` is what owns them.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface

from hfp.uplink.liveness import Life


class LinkFault(Exception):
    """
    hfp itself found that a connection, or an attempt at one, is of no use; the message says why, and the cure.

    :ivar kind: what the failed attempt, or the loss, is counted as.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@frozen
class Look:
    """
    What is known of a connection at some moment.

    :param acknowledged: of the octets given to it, how many the peer's kernel has acknowledged.
    :param window: octets that the peer is ready to take; negative if unknown.
    :param life: whether the peer is alive.
    """

    acknowledged: int
    window: int
    life: Life


class IUplinkOwner(Interface):
    """What a connection belongs to; called in the reactor thread."""

    keepalive_s = Attribute("Seconds of silence before the kernel probes an idle connection; 0 for never.")
    nodelay = Attribute("Whether small segments always go at once, those of a backlog included.")
    spread_s = Attribute("Seconds between two bursts of a backlog, where a connection sends it in bursts.")

    def greeting() -> bytes:
        """What a new connection sends first, before anything is given to it; empty for nothing."""

    def is_own(transport: str, peer: Any, host: Any) -> bool:
        """
        Whether a connection leads back into this hfp.

        :param transport: ``tcp`` (TLS too) or ``udp``.
        :param peer: the other end's address.
        :param host: our end's address.
        """

    def connected(connection: IUplinkConnection) -> None:
        """The connection is up, as far as its transport can tell; nothing has been given to it yet."""

    def ready(connection: IUplinkConnection) -> None:
        """The connection took all it was given and can take more."""

    def spoke_tls(connection: IUplinkConnection) -> None:
        """The peer answered in TLS on a connection that is plain."""

    def dropped(connection: IUplinkConnection, reason: str, octets: int, behind: int) -> None:
        """
        A packet that was given will not be sent, now or ever.

        :param octets: in it.
        :param behind: octets of the same `IUplinkConnection.give` that come after it.
        """

    def lost(connection: IUplinkConnection, reason: Failure) -> None:
        """A connection that was up has ended; `IUplinkConnection.look` works until this returns."""

    def unreachable(result: str, reason: Failure) -> None:
        """An attempt to connect has failed."""


class IUplinkConnection(Interface):
    """
    One connection, for as long as it lasts, from the attempt on; used by one uplink in the reactor thread.
    """

    given = Attribute("Octets taken over so far, those that still wait for the socket included.")
    packets = Attribute("Packets in them.")
    full = Attribute("Whether the socket has not taken all it was given yet.")
    consumed = Attribute("The peer's program has read everything, or there is no way of ever knowing more.")
    closed_by_peer = Attribute("The peer ended it first, in an orderly way.")
    fault = Attribute("The `LinkFault` that ended it, or None.")
    confirms = Attribute("Whether what `look` says of acknowledgement comes from the peer.")
    takes_datagrams = Attribute("Whether it can send batches of datagrams (see `hfp.batch`).")
    up = Attribute("Deferred: fires with the connection when it is up, or with why it will not be; may be cancelled.")

    def give(pieces: list[Any], octets: int, packets: int) -> bool:
        """
        Hot, once per batch: send whole packets.  Not to be called while `full`, nor after `half_close`.

        :param pieces: buffers that do not change before the owner is told that it may give more.
        :returns: whether the socket took it all; if not, the owner's `ready` is called when it has.
        """

    def hurry(on: bool) -> None:
        """Whether small amounts go at once, or may wait to be sent with others."""

    def ask() -> None:
        """Have `ready` called when the socket can take more."""

    def look() -> Look | None:
        """The connection's state, also just after it has ended; None if there is no knowing."""

    def half_close() -> None:
        """Send nothing more and tell the peer; `IUplinkOwner.lost` follows when it is known what the peer has."""

    def abort() -> None:
        """End the connection at once."""
