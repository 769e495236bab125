"""The rows as a table for people, as reST for the documentation, and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bench.figures import DIRECT, HAPROXY, HFP, Row, Sample

__all__ = ["as_json", "as_rst", "as_text", "summary"]

_HEADINGS = ("measured", HFP, HAPROXY, "no relay", "ratio", "target", "verdict")


def _figure(row: Row, sample: Sample | None) -> str:
    if sample is None:
        return ""
    low, middle, high = (f"{v:,.{row.digits}f}" for v in (sample.low, sample.median, sample.high))
    return middle if low == high else f"{middle} ({low}-{high})"


def _verdict(row: Row) -> str:
    if row.target is None:
        return ""
    verdict = {True: "met", False: "MISSED", None: "not measured"}[row.met]
    return verdict + (", disturbed" if row.disturbance and row.met is not None else "")


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    return f"{row.target.sense} {row.target.limit:g}" + ("x" if row.target.of_ratio else "")


def _cells(row: Row) -> list[str]:
    figures = [_figure(row, row.samples.get(name)) for name in (HFP, HAPROXY, DIRECT)]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    return [f"{row.what}, {row.unit}", *figures, ratio, _target(row), _verdict(row)]


def _by_case(rows: Iterable[Row]) -> dict[str, list[Row]]:
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(row.case, []).append(row)
    return cases


def summary(rows: Sequence[Row]) -> str:
    """How many targets are met, in a line."""
    counts = Counter(_verdict(row).lower() for row in rows if row.target)
    named = [f"{count} {verdict}" for verdict, count in sorted(counts.items())]
    return f"{counts.total()} targets: " + "; ".join(named)


def _notes(row: Row) -> list[str]:
    return [note for note in (row.disturbance, row.note) if note]


def as_text(machine: Mapping[str, str], rows: Sequence[Row], faults: Sequence[str], remark: str) -> str:
    """The table for a terminal."""
    lines = [f"{name + ':':<28}{value}" for name, value in machine.items()]
    lines += ["", remark, ""]
    table = [(row, _cells(row)) for row in rows]
    widths = [max(len(cells[i]) for cells in [list(_HEADINGS), *(c for _, c in table)]) for i in range(len(_HEADINGS))]

    def line(cells: Sequence[str]) -> str:
        first = f"  {cells[0]:<{widths[0]}}"
        return "  ".join([first, *(f"{c:>{w}}" for c, w in zip(cells[1:], widths[1:], strict=True))]).rstrip()

    lines += [line(_HEADINGS), "-" * (sum(widths) + 2 * len(widths))]
    for case, members in _by_case(rows).items():
        lines.append(case)
        for row in members:
            lines.append(line(_cells(row)))
            lines += [f"    ({note})" for note in _notes(row)]
    lines += ["", summary(rows)]
    lines += [f"FAULT: {fault}" for fault in faults]
    return "\n".join(lines) + "\n"


def as_rst(machine: Mapping[str, str], rows: Sequence[Row], faults: Sequence[str], remark: str) -> str:
    """The same for the documentation: to be included, so it has no title of its own."""
    lines = [".. Written by ``python -m bench --rst``: do not edit.", ""]
    lines += [f":{name}: {value}" for name, value in machine.items()]
    lines += ["", remark, ""]
    for case, members in _by_case(rows).items():
        lines += [f".. list-table:: {case}", "   :header-rows: 1", "   :widths: 34 18 18 18 8 9 8", ""]
        for cells in [list(_HEADINGS), *map(_cells, members)]:
            lines += [f"   {'*' if i == 0 else ' '} - {cell}".rstrip() for i, cell in enumerate(cells)]
        lines.append("")
        for note in [note for row in members for note in _notes(row)]:
            lines += [note[0].upper() + note[1:] + ".", ""]
    lines += [summary(rows) + ".", ""]
    for fault in faults:
        lines += [f".. warning:: {fault}", ""]
    return "\n".join(lines)


def as_json(machine: Mapping[str, str], rows: Sequence[Row], faults: Sequence[str], remark: str) -> str:
    """Everything, every run of it."""
    figures = [
        {
            "case": row.case,
            "what": row.what,
            "unit": row.unit,
            "runs": {name: sample.values for name, sample in row.samples.items()},
            "medians": {name: sample.median for name, sample in row.samples.items()},
            "ratio": row.ratio,
            "target": _target(row) or None,
            "met": row.met,
            "note": row.note,
            "disturbance": row.disturbance,
        }
        for row in rows
    ]
    whole = {"machine": dict(machine), "remark": remark, "figures": figures, "faults": list(faults)}
    return json.dumps(whole, indent=2) + "\n"
