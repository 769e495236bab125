"""
The SIP filter language: s-expressions that say which SIP messages are meant, after nextcaller/sip-capture's.

A library of its own: text in, a function on octets out.  Knows no Twisted, no HEP and no other room; the ``sip`` filter
calls it.  ``docs/sip-filter-language.rst`` is the reference for those who write expressions.

``reading``
    text to words, strings and lists, each with its place.
``functions``, ``expression``
    those to closures, which are what runs for each message.
``message``
    a SIP message as octets, read only as far as it is asked.
``patterns``, ``backtracking``
    regular expressions that strangers' text cannot stop.
``problem``
    what is wrong with an expression, and where.
"""

from hfp.filters.sip.expression import Expression, compile_expression
from hfp.filters.sip.message import SipMessage
from hfp.filters.sip.problem import ExpressionProblem
from hfp.filters.sip.subject import Subject

__all__ = ["Expression", "ExpressionProblem", "SipMessage", "Subject", "compile_expression"]
