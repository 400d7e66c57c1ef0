"""CSV (RFC 4180), UTF-8, fit to be opened in a spreadsheet: no text from outside can become a formula there."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from acd.domain.cells import harmless
from acd.reports.formats.values import makers, ticking
from acd.reports.model import Kind, Report

_TEXTS = (Kind.TEXT, Kind.INTERVAL)


def cell(value: Any) -> Any:
    """A value of any kind: texts made harmless, flags as true and false, nothing for None; numbers stay."""
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    return harmless(value.replace("\0", "")) if isinstance(value, str) else value


def write_csv(report: Report, file: BinaryIO, tick: Callable[[int], None]) -> None:
    """The columns' names, then a line a row. The total is not among them."""
    make = makers(report.columns, ZoneInfo(report.heading.zone))
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    writer = csv.writer(text)
    writer.writerow([column.name for column in report.columns])
    for row in ticking(iter(report), tick):
        writer.writerow([cell(value if how is None else how(value)) for value, how in zip(row, make, strict=True)])
    text.flush()
    text.detach()
