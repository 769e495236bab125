"""
How one metric of the catalogue is read from a status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import frozen
from prometheus_client.metrics_core import Metric

from hfp.status import Amount, CursorStatus, RelayStatus, UplinkStatus

#: One series' label values, in the order of its labels, and its number.
Reading = tuple[tuple[str, ...], float]


@frozen(kw_only=True)
class Series:
    """
    One metric of the catalogue.

    :param name: as Prometheus sees it, unit and ``_total`` included.
    :param kind: ``counter``, ``gauge``, or ``untyped`` for a counter whose name may not have ``_total``.
    :param help: one sentence, with the unit.
    :param read: gives the readings at the time of a status.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    read: Callable[[RelayStatus], Iterable[Reading]]

    def family(self) -> Metric:
        """An empty family, to be filled with readings."""
        # prometheus_client adds the _total of a counter back to the family's name by itself.
        stem = self.name.removesuffix("_total") if self.kind == "counter" else self.name
        return Metric(stem, self.help, self.kind)


def counter(name: str, text: str, read: Callable[[RelayStatus], float]) -> Series:
    """One counter for the whole relay."""
    return Series(name=name, kind="counter", help=text, read=_single(read))


def gauge(name: str, text: str, read: Callable[[RelayStatus], float]) -> Series:
    """One gauge for the whole relay."""
    return Series(name=name, kind="gauge", help=text, read=_single(read))


def untyped(name: str, text: str, read: Callable[[RelayStatus], float]) -> Series:
    """One series for the whole relay, with a name that Prometheus would not take for its true type."""
    return Series(name=name, kind="untyped", help=text, read=_single(read))


def _single(read: Callable[[RelayStatus], float]) -> Callable[[RelayStatus], Iterable[Reading]]:
    return lambda status: [((), read(status))]


def breakdown(
    label: str, name: str, text: str, read: Callable[[RelayStatus], Mapping[str, int]], kind: str = "counter"
) -> Series:
    """One series for the whole relay and each value of a label."""
    return Series(
        name=name,
        kind=kind,
        help=text,
        labels=(label,),
        read=lambda status: [((value,), number) for value, number in read(status).items()],
    )


def uplinks(name: str, kind: str, text: str, read: Callable[[UplinkStatus], float]) -> Series:
    """One series for each configured remote."""
    return Series(
        name=name,
        kind=kind,
        help=text,
        labels=("remote",),
        read=lambda status: [((uplink.name,), read(uplink)) for uplink in status.uplinks],
    )


def uplinks_by(label: str, name: str, text: str, read: Callable[[UplinkStatus], Mapping[str, int]]) -> Series:
    """One counter for each configured remote and each value of a label."""
    return Series(
        name=name,
        kind="counter",
        help=text,
        labels=("remote", label),
        read=lambda status: [
            ((uplink.name, value), count) for uplink in status.uplinks for value, count in read(uplink).items()
        ],
    )


def cursors(name: str, text: str, read: Callable[[CursorStatus], float]) -> Series:
    """One gauge for each remote that has a place in the spool, configured or kept."""
    return Series(
        name=name,
        kind="gauge",
        help=text,
        labels=("remote",),
        read=lambda status: [((cursor.name,), read(cursor)) for cursor in status.spool.cursors],
    )


def dropped(name: str, text: str, read: Callable[[Amount], float]) -> Series:
    """One counter for each remote and each reason, and one for what the spool refused."""

    def readings(status: RelayStatus) -> Iterator[Reading]:
        # What the spool never took belongs to no remote: all of them lose it.
        yield ("", "refused"), read(status.spool.refused)
        for cursor in status.spool.cursors:
            for reason, amount in cursor.dropped.items():
                yield (cursor.name, reason), read(amount)
        for uplink in status.uplinks:
            for reason, amount in uplink.dropped.items():
                yield (uplink.name, reason), read(amount)

    return Series(name=name, kind="counter", help=text, labels=("remote", "reason"), read=readings)
