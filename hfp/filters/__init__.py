"""
What decides which packets go on: the built-in filters and the languages that they speak.

Knows no sockets, no spool and no uplinks.  ``docs/filters`` is the manual for operators, ``docs/writing-filters.rst``
the one for authors of filters; for these are the names below, `hfp.interfaces` and `hfp.testing`.

``loading``, ``chain``
    from the command line to the filters at work.
``captured``, ``layout``
    a packet as filters see it, and why that costs little.
``arguments``
    what a filter's arguments look like.
``builtin``, ``sip``
    the filters that hfp brings along, and their SIP language.
"""

from hfp.filters.arguments import Arguments, duration, number, one_of, whole
from hfp.filters.captured import CapturedPacket

__all__ = ["Arguments", "CapturedPacket", "duration", "number", "one_of", "whole"]
