"""
Expressions: what the ``sip`` filter compiles once and asks about each message.
"""

from __future__ import annotations

from hfp.filters.sip.functions import Compiler, Test
from hfp.filters.sip.patterns import Machine
from hfp.filters.sip.reading import read
from hfp.filters.sip.subject import Subject


class Expression:
    """
    Which messages are meant.

    Made by `compile_expression`.  Keeps nothing of what it was asked about.

    :ivar text: as it was written.
    :ivar notes: what the operator should be told of it, a line each: patterns that are not searched to the end.
    """

    __slots__ = ("_test", "notes", "text")

    def __init__(self, text: str, test: Test | None, notes: tuple[str, ...]) -> None:
        self.text = text
        self.notes = notes
        self._test = test

    def matches(self, subject: Subject) -> bool:
        """
        Whether a message is meant.  On the hot path; never raises.

        :returns: always ``False`` for what is no SIP, whatever the expression.
        """
        message = subject.message
        if message is None:
            return False
        return self._test is None or self._test(message, subject)

    def __repr__(self) -> str:
        return f"<Expression {self.text!r}>"


def compile_expression(text: str, machine: Machine | None = None) -> Expression:
    """
    Make an expression of its text.

    :param text: an expression, see ``docs/sip-filter-language.rst``; nothing but white space means every message.
    :param machine: what searches for regular expressions; ``None`` for RE2 where it is installed, else `re`.
    :raises ExpressionProblem: it is no valid expression.
    """
    node = read(text)
    if node is None:
        return Expression(text, None, ())
    compiler = Compiler(text, machine)
    test = compiler.test(node)
    return Expression(text, test, tuple(compiler.notes))
