"""One JSON object: what was asked, what the columns mean, the rows as objects, the total, the notes. ASCII, so that nothing
in it can reach a terminal as a control character."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from acd.reports.formats.values import makers, moment, ticking
from acd.reports.model import Report, Row


def about(report: Report) -> dict[str, Any]:
    """What was asked, and the columns."""
    heading, zone = report.heading, ZoneInfo(report.heading.zone)
    return {
        "report": heading.report,
        "title": heading.title,
        "from": moment(heading.from_s, zone),
        "to": moment(heading.to_s, zone),
        "zone": heading.zone,
        "made_at": moment(heading.made_at, zone),
        "by": list(heading.by),
        "filters": {name: list(values) for name, values in heading.filters},
        "settings": dict(heading.settings),
        "columns": [
            {"name": column.name, "kind": column.kind.value, "meaning": column.meaning} for column in report.columns
        ],
    }


def write_json(report: Report, file: BinaryIO, tick: Callable[[int], None]) -> None:
    """The object, a line a row."""
    make = makers(report.columns, ZoneInfo(report.heading.zone))
    names = [column.name for column in report.columns]

    def row_object(row: Row) -> dict[str, Any]:
        return {name: value if how is None else how(value) for name, value, how in zip(names, row, make, strict=True)}

    head = json.dumps(about(report), indent=2)
    file.write(head.removesuffix("\n}").encode() + b',\n  "rows": [')
    for n, row in enumerate(ticking(iter(report), tick)):
        file.write((",\n    " if n else "\n    ").encode() + json.dumps(row_object(row)).encode())
    total = None if report.total is None else row_object(report.total)
    taken = {kind: moment(at, ZoneInfo(report.heading.zone)) for kind, at in report.taken.items()}
    tail = (
        f'\n  ],\n  "total": {json.dumps(total)},\n  "notes": {json.dumps(report.notes)},'
        f'\n  "taken_before": {json.dumps(taken)}\n}}\n'
    )
    file.write(tail.encode())
