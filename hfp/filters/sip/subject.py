"""
What an expression is asked about.  Made by the ``sip`` filter, once per packet.
"""

from __future__ import annotations

from attrs import define

from hfp.filters.sip.message import SipMessage


@define(eq=False)
class Subject:
    """
    One captured message and whom it went between.

    Not frozen, because a frozen record takes three times as long to make (0.7 against 0.2 µs), and so that its owner
    can use one for many packets: nothing in an expression keeps it.

    :param message: the payload as SIP; ``None``: it is no SIP, and no expression matches it.
    :param source: the packed address that it came from, 4 or 16 octets; ``None``: unknown, ``(src ...)`` is false.
    :param destination: the packed address that it went to, likewise.
    """

    message: SipMessage | None
    source: bytes | None = None
    destination: bytes | None = None
