"""Tests for `hfp.quantities`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hfp.quantities import parse_size, seconds, size, whole_seconds


class SizeTests(SynchronousTestCase):
    """Sizes."""

    def test_units(self) -> None:
        """Octets without a unit; KB to TB are powers of 1000, KiB to TiB of 1024; case does not matter."""
        for text, octets in (
            ("0", 0),
            ("65536", 65536),
            ("500B", 500),
            ("64KB", 64_000),
            ("64k", 64_000),
            ("64MB", 64_000_000),
            ("64mb", 64_000_000),
            ("10 GB", 10_000_000_000),
            ("1.5GB", 1_500_000_000),
            ("0.1TB", 100_000_000_000),
            ("64KiB", 65_536),
            ("1MiB", 1_048_576),
            ("2GiB", 2 * 1024**3),
            ("1TiB", 1024**4),
        ):
            self.assertEqual(parse_size(text), octets, text)

    def test_refused(self) -> None:
        """Anything else is refused with the forms that there are."""
        for text in ("", "x", "-1", "1e9", "4PB", "GB", "nan", "1,5GB", "1..5GB", "0x10", "1" * 19, "٤"):
            with self.assertRaises(ValueError) as caught:
                parse_size(text)
            self.assertIn("is not a size; write", str(caught.exception), text)

    def test_absurd(self) -> None:
        """More than an exabyte is a slip."""
        self.assertEqual(parse_size("1000000TB"), 10**18)
        self.assertRaises(ValueError, parse_size, "1000001TB")

    def test_lowest(self) -> None:
        """With a lower bound, 0 is still allowed, and the bound itself."""
        parse = size(4_000_000)
        self.assertEqual([parse("0"), parse("4MB")], [0, 4_000_000])
        with self.assertRaises(ValueError) as caught:
            parse("3999999")
        self.assertEqual(str(caught.exception), "is too small; write 4MB or more, or 0 for no limit")


class SecondsTests(SynchronousTestCase):
    """Times."""

    def test_range(self) -> None:
        """Both bounds belong to the range, with fractions between."""
        parse = seconds(0.1, 3600)
        self.assertEqual([parse("0.1"), parse("2"), parse("2.5"), parse("3600.0")], [0.1, 2, 2.5, 3600])
        for text in ("0", "0.09", "3601", "999999999"):
            with self.assertRaises(ValueError) as caught:
                parse(text)
            self.assertEqual(str(caught.exception), "is out of range; write 0.1 to 3600 seconds", text)

    def test_zero(self) -> None:
        """0 may be allowed beside the range."""
        parse = seconds(0.001, 60, zero=True)
        self.assertEqual(parse("0"), 0)
        with self.assertRaises(ValueError) as caught:
            parse("0.0001")
        self.assertEqual(str(caught.exception), "is out of range; write 0, or 0.001 to 60 seconds")

    def test_refused(self) -> None:
        """What float() takes and no operator means is refused."""
        parse = seconds(0, 3600)
        for text in ("", "x", "nan", "inf", "-1", "1e3", "1_0", "2s", " 2", ".", "٢"):
            with self.assertRaises(ValueError) as caught:
                parse(text)
            self.assertIn("is not a number of seconds; write", str(caught.exception), text)

    def test_whole(self) -> None:
        """Where the kernel takes whole seconds, a fraction is refused rather than cut off."""
        parse = whole_seconds(0, 32767)
        self.assertEqual([parse("0"), parse("5"), parse("5.0")], [0, 5, 5])
        self.assertIsInstance(parse("5.0"), int)
        self.assertRaises(ValueError, parse, "2.5")
        self.assertRaises(ValueError, parse, "32768")
