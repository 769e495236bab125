"""
Tests that the documentation names what there is: options and metrics.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import hfp
from hfp.options import Options

ROOT = Path(hfp.__file__).parents[1]


class DocumentationTests(SynchronousTestCase):
    """README and ``docs/``, where there is a checkout."""

    def read(self, name: str) -> str:
        page = ROOT / name
        if not page.exists():
            raise SkipTest("no checkout, so no docs")
        return page.read_text()

    def test_options(self) -> None:
        """``docs/options.rst`` explains every option that ``--help`` has, and no other."""
        page = set(re.findall(r"^``.*``.*$", self.read("docs/options.rst"), re.MULTILINE))
        told = {name for line in page for name in re.findall(r"``(--[a-z-]+)", line)}
        told |= {"--help", "--maxbuffer"}
        known = {"--" + re.sub(r"[= ].*", "", name) for name in Options().longOpt}
        self.assertEqual(told, known)

    def test_metrics(self) -> None:
        """Every metric that a page speaks of is in the catalogue."""
        known = set(re.findall(r"hfp_[a-z_]+", self.read("docs/metrics.rst")))
        for name in self.pages():
            used = set(
                re.findall(r"\bhfp_[a-z_]+(?:_total|_seconds|_bytes|_packets|_up|_connected|_info)\b", self.read(name))
            )
            self.assertEqual(used - known, set(), name)

    def test_options_exist(self) -> None:
        """In every command line of ``twistd hfp`` that a page shows, the options are hfp's."""
        known = {"--" + re.sub(r"[= ].*", "", name) for name in Options().longOpt}
        for name in self.pages():
            text = re.sub(r"\\\n *", " ", self.read(name))
            for line in re.findall(r"twistd\b[^\n]*? hfp (.*)", text):
                used = set(re.findall(r"(?:^|\s)(--[a-z][a-z-]+)", line))
                self.assertEqual(used - known, set(), f"{name}: {line}")

    def pages(self) -> list[str]:
        self.read("README.rst")
        return ["README.rst", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.rst"))]
