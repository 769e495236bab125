"""
From ``--filter NAME[:ARGUMENTS]`` to filters at work: finds the factories that are installed, and builds.

Called by `hfp.service`, and by `hfp.options` for ``--help-filters``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from attrs import field, frozen
from twisted.plugin import getPlugins
from zope.interface import Invalid
from zope.interface.verify import verifyObject

import hfp.plugins
from hfp.errors import UsageProblem
from hfp.filters.chain import FilterChain
from hfp.interfaces import FilterContext, IFilter, IFilterFactory
from hfp.logs import Logger, Repeats

_log = Logger()

#: Arguments whose values are never shown, by their key.
_SECRET = re.compile(r"((?:^|:)(?:set|replace|key|secret|password|token)=)(?:\[[^\[\]]*\]|\\.|[^:\\])+", re.DOTALL)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)


@frozen
class FilterSpec:
    """
    One ``--filter``.

    :param name: the factory's.
    :param arguments: what stands behind the first colon.
    """

    name: str
    arguments: str = field(default="", repr=False)  # may hold a key

    def __str__(self) -> str:
        """As it was written, but without what must stay secret."""
        shown = _SECRET.sub(r"\1***", self.arguments)
        return f"{self.name}:{shown}" if shown else self.name


def parse_filter(text: str) -> FilterSpec:
    """
    Read ``NAME`` or ``NAME:ARGUMENTS``.

    :raises ValueError: with what is wrong and the cure.
    """
    name, _, arguments = text.partition(":")
    if not _NAME.fullmatch(name):
        raise ValueError("does not begin with a filter's name; see twistd hfp --help-filters")
    return FilterSpec(name, arguments)


def installed() -> list[Any]:
    """
    Every filter factory that there is, by name.

    One that does not keep to the interface is left out, with a line in the log: it must not stand in the way of others.
    """
    found = []
    for factory in getPlugins(IFilterFactory, hfp.plugins):
        try:
            verifyObject(IFilterFactory, factory)
            if not _NAME.fullmatch(str(factory.name)):
                raise ValueError(f"the name {str(factory.name)[:60]!r} is not lower case letters, digits, - and _")
        except (Invalid, ValueError) as problem:
            _log.warn(
                "plugin {kind} is no usable filter, hfp leaves it out: {problem}",
                kind=_home(factory),
                problem=" ".join(str(problem).split()),
            )
        else:
            found.append(factory)
    return sorted(found, key=lambda factory: str(factory.name))


def describe_installed(factories: Iterable[Any]) -> str:
    """What ``--help-filters`` prints: a line for each."""
    rows = [(factory.name, " ".join(str(factory.help).split())) for factory in factories]
    width = max((len(name) for name, _ in rows), default=0)
    return "".join(f"{name.ljust(width)}  {text}\n" for name, text in rows)


def build_filters(
    specs: Sequence[FilterSpec], factories: Iterable[Any], clock: Any, repeats: Repeats
) -> list[tuple[str, IFilter]]:
    """
    Build what the command line asks for.

    :param factories: those that are installed.
    :returns: for each, in order, its name in metrics and log lines, and the filter.
    :raises UsageProblem: with the option, its value, what is wrong and the cure.
    """
    by_name: dict[str, list[Any]] = {}
    for factory in factories:
        by_name.setdefault(str(factory.name), []).append(factory)
    used: Counter[str] = Counter()
    filters = []
    for at, spec in enumerate(specs):
        if spec in specs[:at]:
            raise UsageProblem(f"--filter {spec}: is given twice; once decides the same")
        factory = _only(spec, by_name)
        used[spec.name] += 1
        name = spec.name if used[spec.name] == 1 else f"{spec.name}#{used[spec.name]}"
        context = FilterContext(name=name, clock=clock, repeats=repeats)
        try:
            made = factory.build(spec.arguments, context)
        except (ValueError, UsageProblem) as problem:
            raise UsageProblem(f"--filter {spec}: {problem}") from None
        except (ImportError, OSError) as problem:
            raise UsageProblem(f"--filter {spec}: {problem}; install or repair what {_home(factory)} needs") from None
        except Exception as problem:
            kind = type(problem).__name__
            raise UsageProblem(
                f"--filter {spec}: {_home(factory)} failed to build it ({kind}: {problem}); tell its author"
            ) from None
        if not IFilter.providedBy(made):
            raise UsageProblem(f"--filter {spec}: {_home(factory)} built no filter; tell its author, or leave it out")
        filters.append((name, made))
    return filters


def make_chain(specs: Sequence[FilterSpec], clock: Any, repeats: Repeats, rejects_errors: bool) -> FilterChain | None:
    """
    The chain of the command line; None where there is nothing to filter.

    :raises UsageProblem: see `build_filters`.
    """
    if not specs:
        return None
    return FilterChain(build_filters(specs, installed(), clock, repeats), repeats, rejects_errors)


def _only(spec: FilterSpec, by_name: dict[str, list[Any]]) -> Any:
    found = by_name.get(spec.name, [])
    if len(found) == 1:
        return found[0]
    if found:
        homes = " and ".join(sorted(map(_home, found)))
        raise UsageProblem(f"--filter {spec}: {len(found)} filters have that name ({homes}); remove all but one")
    close = get_close_matches(spec.name, by_name, 1)
    meant = f"did you mean {close[0]}? " if close else ""
    raise UsageProblem(f"--filter {spec}: no such filter; {meant}there are {', '.join(sorted(by_name)) or 'none'}")


def _home(factory: Any) -> str:
    return f"{type(factory).__module__}.{type(factory).__name__}"
