"""Tests for `hfp.tap`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.application.service import IService, IServiceMaker, Service
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

import hfp.service
from hfp.logs import Logger, show_debug
from hfp.tap import Options, makeService


class FakeRelay(Service):
    """Keeps what a relay is made of."""

    def __init__(self, settings: Any, reactor: Any) -> None:
        self.made_of = settings, reactor


class MakeServiceTests(SynchronousTestCase):
    """From parsed options to a service."""

    def setUp(self) -> None:
        self.spool = Path(self.mktemp()).absolute()
        self.addCleanup(show_debug, False)

    def options(self, *words: str) -> Options:
        """Parsed options that need no fixed port."""
        options = Options()
        options.parseOptions(
            ["-r", "homer.example:9060", "-l", "0", "--prom", "off", "--spool", str(self.spool), *words]
        )
        return options

    def test_real(self) -> None:
        """It makes the relay, which touches nothing until it is started."""
        service = makeService(self.options())
        self.assertIsInstance(service, hfp.service.RelayService)
        self.assertTrue(IService.providedBy(service))
        self.assertFalse(self.spool.exists())

    def test_made_of(self) -> None:
        """The relay gets the settings and the global reactor."""
        from twisted.internet import reactor

        self.patch(hfp.service, "RelayService", FakeRelay)
        options = self.options()
        service: Any = makeService(options)
        self.assertEqual(service.made_of, (options.settings, reactor))

    def test_debug(self) -> None:
        """``--debug on`` lets debug events through, and nothing else does."""
        self.patch(hfp.service, "RelayService", FakeRelay)
        makeService(self.options())
        self.assertFalse(Logger._debug_shown)
        makeService(self.options("--debug", "on"))
        self.assertTrue(Logger._debug_shown)

    def test_refused(self) -> None:
        """What the preflight finds ends the process with one line, before a relay is made."""
        self.patch(hfp.service, "RelayService", None)
        self.spool.touch()
        stop = self.assertRaises(SystemExit, makeService, self.options())
        self.assertIn(f"hfp: --spool {self.spool}: cannot be made", stop.code)

    def test_other_root_or_user(self) -> None:
        """Where twistd changes its root or user first, the spool is not judged by what is seen before."""
        self.spool.touch()
        for key, value in (("chroot", "/jail"), ("uid", 1), ("gid", 1)):
            options = self.options()
            options.parent = usage.Options()
            options.parent[key] = value
            makeService(options)


class PluginTests(SynchronousTestCase):
    """What twistd sees."""

    def test_named_hfp(self) -> None:
        """There is one command ``hfp``, with our options and our makeService."""
        plugins: Any = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "hfp"]
        self.assertEqual([plugin.name for plugin in plugins], ["hfp"])
        self.assertIs(plugins[0].options, Options)
        self.assertIs(plugins[0].makeService, makeService)
