"""
Who runs on which CPU: it decides more than one would think, so it is fixed, stated, and varied in one case.

With the relay alone on its CPU, each of its writes wakes the collector on another, which is what costs a relay that
writes often; with the collector beside it, waking is cheap, but the relay has to share; with the generator beside it,
the kernel's socket buffers do the relay's coalescing for it. The first is nearest to what a relay meets in the field,
where senders and collector are other machines, and therefore the one that is judged.

The ``layouts`` case shows two others, because the difference is large: with one packet per write, haproxy took 5.1 us
of CPU time per packet in the first and 2.6 us in the two others (AMD EPYC, two virtual CPUs).
"""

from __future__ import annotations

import os

import attrs

__all__ = ["APART", "BESIDE", "FREE", "Layout"]

_ALL = tuple(sorted(os.sched_getaffinity(0)))
_LAST, _OTHERS = _ALL[-1:], _ALL[:-1] or _ALL


@attrs.frozen
class Layout:
    """
    The CPUs of each.

    :ivar words: for the report.
    """

    words: str
    relay: tuple[int, ...]
    generator: tuple[int, ...]
    collector: tuple[int, ...]


APART = Layout("the relay alone on one CPU, generator and collector on the others", _LAST, _OTHERS, _OTHERS)
BESIDE = Layout("relay and collector on one CPU, the generator on the others", _LAST, _OTHERS, _LAST)
FREE = Layout("nothing pinned", _ALL, _ALL, _ALL)
