"""Tests of hfp, for ``trial hfp``: in memory and on a fake clock; with real processes in `hfp.test.integration`."""
