"""
``sip``: by an expression of the SIP filter language (`hfp.filters.sip`).
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from zope.interface import implementer

from hfp.filters.builtin.files import read_file
from hfp.filters.captured import CapturedPacket
from hfp.filters.sip import Expression, ExpressionProblem, Subject, compile_expression
from hfp.interfaces import FilterContext, IBatchFilter, Verdict
from hfp.logs import Logger

_PASS = Verdict.PASS
_REJECT = Verdict.REJECT

#: ``other=VALUE`` or ``file=PATH`` before an expression, which never begins so.
_OPTION = re.compile(r"\s*([a-z_-]+)=")
_OTHER = re.compile(r"([^:]*)(?::|\Z)")


@implementer(IBatchFilter)
class SipFilter:
    """
    Passes SIP messages that an expression means.

    :param rejects_other: whether what is not SIP is rejected.
    """

    def __init__(self, expression: Expression, rejects_other: bool) -> None:
        self._matches = expression.matches
        self._other = _REJECT if rejects_other else _PASS

    def decide(self, packet: CapturedPacket) -> Verdict:
        """See `hfp.interfaces.IFilter`."""
        return self.decide_batch([packet])[0]

    def decide_batch(self, packets: list[CapturedPacket]) -> list[Verdict]:
        """See `hfp.interfaces.IBatchFilter`."""
        matches = self._matches
        other = self._other
        subject = Subject(None)
        verdicts = []
        for packet in packets:
            message = packet.sip
            if message is None:
                verdicts.append(other)
                continue
            subject.message = message
            subject.source = packet.source
            subject.destination = packet.destination
            verdicts.append(_PASS if matches(subject) else _REJECT)
        return verdicts


def build(arguments: str, context: FilterContext) -> SipFilter:
    """See `hfp.interfaces.IFilterFactory`; ``docs/filters/sip.rst`` has the grammar."""
    rejects_other = False
    path = None
    text = arguments
    while path is None:
        option = _OPTION.match(text)
        if option is None:
            break
        text = text[option.end() :]
        if option[1] == "other":
            value = _OTHER.match(text)
            if value is None or value[1] not in ("pass", "reject"):
                raise ValueError(f"other={value[1] if value else text}: write pass or reject")
            rejects_other = value[1] == "reject"
            text = text[value.end() :]
        elif option[1] == "file":
            path = text
        else:
            close = get_close_matches(option[1], ("other", "file"), 1)
            meant = f"did you mean {close[0]}=?" if close else "it takes other=, file= and an expression"
            raise ValueError(f"'{option[1]}=' means nothing here; {meant}")
    if path is not None:
        text = _text(path)
    try:
        expression = compile_expression(text)
    except ExpressionProblem as problem:
        shown = str(problem)[len(problem.message) :]
        place = f"file={path}: " if path is not None else ""
        raise ValueError(f"{place}{problem.line}{shown}") from None
    log = Logger()
    for note in expression.notes:
        log.info("filter {name}: {note}", name=context.name, note=note)
    return SipFilter(expression, rejects_other)


def _text(path: str) -> str:
    try:
        return read_file(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"file={path}: is not UTF-8 at octet {error.start}; save it as UTF-8") from None
