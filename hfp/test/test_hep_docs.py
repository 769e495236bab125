"""
Tests that what ``docs/codec.rst`` shows is what happens.
"""

from __future__ import annotations

import doctest
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import hfp
from hfp.hep import FIELDS, Chunk

PAGE = Path(hfp.__file__).parents[1] / "docs" / "codec.rst"


class CodecPageTests(SynchronousTestCase):
    """``docs/codec.rst``, where there is a checkout."""

    def setUp(self) -> None:
        if not PAGE.exists():
            raise SkipTest("no checkout, so no docs")

    def test_examples(self) -> None:
        """Every example gives what it says."""
        told: list[str] = []
        test = doctest.DocTestParser().get_doctest(PAGE.read_text(), {}, PAGE.name, str(PAGE), 0)
        result = doctest.DocTestRunner().run(test, out=told.append)
        self.assertEqual(result.failed, 0, "".join(told))
        self.assertGreater(result.attempted, 20)

    def test_fields(self) -> None:
        """Every field and every chunk is told."""
        page = PAGE.read_text()
        self.assertEqual([name for name in FIELDS if f"``{name}``" not in page], [])
        self.assertEqual([f"0x{chunk:02x}" for chunk in Chunk if f"0x{chunk:02x}" not in page], [])
