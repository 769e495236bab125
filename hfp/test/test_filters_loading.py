"""
Tests for `hfp.filters.loading`, and for `hfp.plugins.hfp_builtin`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer
from zope.interface.verify import verifyObject

import hfp
from hfp.errors import UsageProblem
from hfp.filters import loading
from hfp.filters.chain import FilterChain
from hfp.filters.loading import FilterSpec, build_filters, describe_installed, installed, make_chain, parse_filter
from hfp.interfaces import IFilter, IFilterFactory, Verdict
from hfp.logs import Logger, Repeats
from hfp.test.test_filters_chain import Told

BUILTIN = ["dedup", "ip", "key", "mask", "name", "node", "port", "rate", "sample", "sip", "time", "type"]


@implementer(IFilterFactory)
class Factory:
    """Makes filters that pass everything, or fails as it is told."""

    def __init__(self, name: str = "mine", help: str = "passes  all\n packets", made: Any = None) -> None:  # noqa: A002
        self.name = name
        self.help = help
        self.made = made
        self.built: list[tuple[str, str]] = []

    def build(self, arguments: str, context: Any) -> Any:
        self.built.append((arguments, context.name))
        if isinstance(self.made, Exception):
            raise self.made
        return self.made or Told(lambda packet: Verdict.PASS)


class SpecTests(SynchronousTestCase):
    """What stands behind ``--filter``."""

    def test_parse(self) -> None:
        """A name, and whatever follows the first colon."""
        self.assertEqual(parse_filter("ip"), FilterSpec("ip"))
        self.assertEqual(parse_filter("sip:(a:b)"), FilterSpec("sip", "(a:b)"))
        self.assertEqual(str(parse_filter("sip:(a:b)")), "sip:(a:b)")
        self.assertEqual(str(parse_filter("ip:")), "ip")

    def test_wrong(self) -> None:
        """What does not begin with a name is refused."""
        for text in ("", ":x", "IP", "a b", "-a", "a" * 41):
            problem = self.assertRaises(ValueError, parse_filter, text)
            self.assertEqual(str(problem), "does not begin with a filter's name; see twistd hfp --help-filters")

    def test_secrets(self) -> None:
        """Keys are never shown."""
        for text in ("set=SECRET", "x:password=SECRET", "set=[SECRET:SECRET]", r"set=SEC\:SECRET:file=x", "key=SECRET"):
            spec = FilterSpec("key", text)
            self.assertNotIn("SECRET", str(spec))
            self.assertNotIn("SECRET", repr(spec))
            self.assertIn("=***", str(spec))
        self.assertEqual(str(FilterSpec("key", "set=SECRET:remove")), "key:set=***:remove")


class BuildTests(SynchronousTestCase):
    """`build_filters` and `make_chain`."""

    def setUp(self) -> None:
        clock = Clock()
        self.surroundings: Any = (clock, Repeats(Logger(), clock))

    def build(self, *texts: str, factories: Any) -> list[tuple[str, Any]]:
        return build_filters([parse_filter(text) for text in texts], factories, *self.surroundings)

    def refused(self, *texts: str, factories: Any, message: str) -> None:
        problem = self.assertRaises(UsageProblem, self.build, *texts, factories=factories)
        self.assertEqual(str(problem), message)

    def test_build(self) -> None:
        """Each is built with its arguments, in order, and with a name of its own."""
        mine, other = Factory(), Factory("other")
        built = self.build("mine:a", "other", "mine:b", factories=[other, mine])
        self.assertEqual([name for name, _ in built], ["mine", "other", "mine#2"])
        self.assertEqual(mine.built, [("a", "mine"), ("b", "mine#2")])
        self.assertEqual(other.built, [("", "other")])

    def test_unknown(self) -> None:
        """An unknown name is refused, with the nearest and all that there are."""
        message = "--filter mien: no such filter; did you mean mine? there are mine, other"
        self.refused("mien", factories=[Factory("other"), Factory()], message=message)
        self.refused("x:key=a", factories=[], message="--filter x:key=***: no such filter; there are none")

    def test_twice(self) -> None:
        """The same filter with the same arguments twice is a slip."""
        message = "--filter mine:a: is given twice; once decides the same"
        self.refused("mine:a", "mine:a", factories=[Factory()], message=message)

    def test_ambiguous(self) -> None:
        """Two filters of one name are refused, and only if they are asked for."""
        home = f"{__name__}.Factory"
        message = f"--filter mine: 2 filters have that name ({home} and {home}); remove all but one"
        self.refused("mine", factories=[Factory(), Factory()], message=message)
        self.assertEqual(len(self.build("other", factories=[Factory(), Factory(), Factory("other")])), 1)

    def test_arguments(self) -> None:
        """Wrong arguments end it with one line."""
        for made in (ValueError("says no"), UsageProblem("says no")):
            self.refused("mine:a", factories=[Factory(made=made)], message="--filter mine:a: says no")

    def test_broken(self) -> None:
        """So does a filter that lacks something, or is none."""
        home = f"{__name__}.Factory"
        message = f"--filter mine: No module named 'x'; install or repair what {home} needs"
        self.refused("mine", factories=[Factory(made=ImportError("No module named 'x'"))], message=message)
        message = f"--filter mine: {home} failed to build it (KeyError: 'x'); tell its author"
        self.refused("mine", factories=[Factory(made=KeyError("x"))], message=message)
        message = f"--filter mine: {home} built no filter; tell its author, or leave it out"
        self.refused("mine", factories=[Factory(made="text")], message=message)

    def test_chain(self) -> None:
        """Where there is nothing to filter there is no chain."""
        clock, repeats = self.surroundings
        self.assertIsNone(make_chain([], clock, repeats, False))
        chain = make_chain([parse_filter("type:sip")], clock, repeats, False)
        assert isinstance(chain, FilterChain)
        self.assertEqual([status.name for status in chain.status()], ["type"])


class InstalledTests(SynchronousTestCase):
    """`installed`, and the built-in filters."""

    def test_builtin(self) -> None:
        """All built-in filters are found, each in order with its interface and one line of help."""
        self.assertLessEqual(set(BUILTIN), {factory.name for factory in installed()})
        for factory in installed():
            verifyObject(IFilterFactory, factory)
            self.assertNotIn("\n", factory.help)

    def test_what_is_built(self) -> None:
        """What they build keeps to the interface."""
        clock = Clock()
        specs = [
            parse_filter(text) for text in ("ip:10.0.0.0/8", "sip", "dedup", "dedup:keep=retransmissions", "rate:1")
        ]
        specs += [
            parse_filter(text) for text in ("time", "key:remove", "key:set=x", "name:10.0.0.0/8=1", "mask:bodies")
        ]
        for _, made in build_filters(specs, installed(), clock, Repeats(Logger(), clock)):
            verifyObject(IFilter, made)

    def test_help(self) -> None:
        """A line for each, names below each other."""
        text = describe_installed([Factory(), Factory("longer", "x")])
        self.assertEqual(text, "mine    passes all packets\nlonger  x\n")
        self.assertEqual(describe_installed([]), "")

    def test_broken(self) -> None:
        """A factory that breaks the interface is left out and told of; the others are there."""

        class Broken:
            name = "broken"

        broken = Broken()
        directlyProvides(broken, IFilterFactory)
        logged: list[str] = []
        fakes: list[Any] = [broken, Factory("Bad Name"), Factory()]
        self.patch(loading, "getPlugins", lambda interface, package: fakes)
        self.patch(loading._log, "warn", lambda text, **fields: logged.append(text.format(**fields)))
        self.assertEqual(installed(), [fakes[2]])
        self.assertEqual(len(logged), 2)
        self.assertIn("Broken is no usable filter, hfp leaves it out: ", logged[0])
        self.assertIn("'Bad Name' is not lower case letters, digits, - and _", logged[1])

    def test_light(self) -> None:
        """Looking for filters imports none of them."""
        code = (
            "import sys; from hfp.plugins import hfp_builtin; heavy = 'hfp.filters', 'hfp.hep', 'twisted.internet'; "
            "print([name for name in sys.modules if name.startswith(heavy)])"
        )
        run = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(Path(hfp.__file__).parents[1])},
        )
        self.assertEqual((run.stderr, run.stdout.strip()), ("", "[]"))
