"""
Tests for the shape of the project: which room may know which, who takes the reactor, what is public.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import hfp

PACKAGE = Path(hfp.__file__).parent

# What joins the rooms, or is joined to them: they know nothing of it.
_JOINING = (
    "hfp.service",
    "hfp.tap",
    "hfp.options",
    "hfp.optiontable",
    "hfp.optionvalues",
    "hfp.addresses",
    "hfp.secrets",
    "hfp.settings",
    "hfp.preflight",
    "hfp.metrics",
    "hfp.web",
)

#: What each room may not import, by prefix; see ``docs/architecture.rst``.
FORBIDDEN = {
    "hep": ("hfp.intake", "hfp.spool", "hfp.uplink", "hfp.status", "hfp.logs", "twisted", *_JOINING),
    "intake": ("hfp.spool", "hfp.uplink", *_JOINING),
    "spool": ("hfp.hep", "hfp.intake", "hfp.uplink", "twisted.internet.protocol", "socket", *_JOINING),
    "uplink": ("hfp.hep", "hfp.intake", *_JOINING),
    "filters": ("hfp.intake", "hfp.spool", "hfp.uplink", "socket", "twisted.internet", *_JOINING),
    "plugins": ("hfp.intake", "hfp.spool", "hfp.uplink", "hfp.filters", "twisted.internet", *_JOINING),
    "web": ("hfp.hep", "hfp.intake", "hfp.spool", "hfp.uplink", "hfp.status"),
}

#: What third parties may rely on.
PUBLIC = {
    "hfp.errors": {
        "HfpError",
        "MalformedPacket",
        "SpoolError",
        "SpoolFull",
        "SpoolLocked",
        "SpoolUnusable",
        "UsageProblem",
    },
    "hfp.hep": {
        "DATAGRAM_FAULTS",
        "EEP3",
        "FAULT_KINDS",
        "FIELDS",
        "HEADER",
        "HEP3",
        "LARGEST_PACKET",
        "LARGEST_PAYLOAD",
        "SMALLEST_PACKET",
        "Chunk",
        "Framer",
        "LegacyPacket",
        "Packet",
        "ProtocolType",
        "RawChunk",
        "Vendor",
        "build",
        "classify",
        "describe",
        "encode",
        "from_datagram",
        "inflate",
        "mask",
        "parse_legacy",
        "ping",
        "plausible",
        "protocol_type_name",
        "protocol_type_number",
        "split",
        "to_hep3",
    },
    "hfp.filters": {"Arguments", "CapturedPacket", "duration", "number", "one_of", "whole"},
    "hfp.filters.sip": {"Expression", "ExpressionProblem", "SipMessage", "Subject", "compile_expression"},
    "hfp.interfaces": {
        "FilterContext",
        "IBatchFilter",
        "IBatchSink",
        "IFilter",
        "IFilterFactory",
        "IScreen",
        "Sender",
        "Verdict",
    },
    "hfp.testing": {
        "NOW_NS",
        "SENDER",
        "FilterBench",
        "make_captured",
        "make_context",
        "make_packet",
        "make_sip",
    },
}


def modules(directory: Path) -> Iterator[tuple[str, ast.Module]]:
    """Name and syntax tree of each module of ours below a directory, the tests left out."""
    for path in sorted(directory.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if not name.startswith("hfp.test"):
            yield name.removesuffix(".__init__"), ast.parse(path.read_text(), str(path))


def imports(tree: ast.Module) -> Iterator[str]:
    """Every name that a module imports, wherever in it, as ``module`` and ``module.name``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, prefix: str) -> bool:
    """Whether a name is a module, or something in it."""
    return name == prefix or name.startswith(prefix + ".")


class RoomTests(SynchronousTestCase):
    """The walls between the rooms."""

    def test_forbidden_imports(self) -> None:
        """No room imports what it must not know."""
        broken = [
            f"{module} imports {name}"
            for room, forbidden in FORBIDDEN.items()
            for module, tree in modules(PACKAGE / room)
            for name in imports(tree)
            if any(within(name, prefix) for prefix in forbidden)
        ]
        self.assertEqual(broken, [])

    def test_rooms_are_there(self) -> None:
        """The test above looks at something."""
        for room in FORBIDDEN:
            self.assertTrue(list(modules(PACKAGE / room)), room)

    def test_global_reactor(self) -> None:
        """The global reactor is taken in one module only."""
        takers = {
            module
            for module, tree in modules(PACKAGE)
            for name in imports(tree)
            if within(name, "twisted.internet.reactor")
        }
        self.assertEqual(takers, {"hfp.tap"})

    def test_loggers(self) -> None:
        """Every logger is ours, because Twisted's does not obey ``--debug``."""
        others = {
            module for module, tree in modules(PACKAGE) for name in imports(tree) if name == "twisted.logger.Logger"
        }
        self.assertEqual(others - {"hfp.logs"}, set())

    def test_settings(self) -> None:
        """Nothing but the options reads the command line."""
        readers = {
            module
            for module, tree in modules(PACKAGE)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr in ("argv", "orig_argv")
        }
        self.assertEqual(readers, set())


class PublicTests(SynchronousTestCase):
    """What others rely on."""

    def test_names(self) -> None:
        """The public names are exactly these: adding one is a promise, taking one away breaks one."""
        for module, names in PUBLIC.items():
            self.assertEqual(set(importlib.import_module(module).__all__), names, module)

    def test_names_exist(self) -> None:
        """Whatever a module names in its ``__all__`` is there."""
        for name, tree in modules(PACKAGE):
            if any(isinstance(node, ast.Name) and node.id == "__all__" for node in ast.walk(tree)):
                module = importlib.import_module(name)
                self.assertEqual([missing for missing in module.__all__ if not hasattr(module, missing)], [], name)

    def test_public_things_are_told(self) -> None:
        """Each public thing has a docstring."""
        for module in PUBLIC:
            for name in importlib.import_module(module).__all__:
                self.assertTrue(getattr(importlib.import_module(module), name).__doc__, f"{module}.{name}")


class PackageTests(SynchronousTestCase):
    """What would get lost in a wheel."""

    def test_packages(self) -> None:
        """Each folder with modules is a package, and each module says what it is for."""
        for path in PACKAGE.rglob("*.py"):
            self.assertTrue((path.parent / "__init__.py").exists(), path.parent)
            self.assertTrue(ast.get_docstring(ast.parse(path.read_text())), path)

    def test_plugin_folder(self) -> None:
        """Twisted's plugin folder must not be a package of ours."""
        for path in (PACKAGE.parent / "twisted", PACKAGE.parent / "twisted" / "plugins"):
            # Installed, the first of these is Twisted itself.
            if path.is_dir() and not (path / "internet").is_dir() and not (path.parent / "internet").is_dir():
                self.assertFalse((path / "__init__.py").exists(), path)
