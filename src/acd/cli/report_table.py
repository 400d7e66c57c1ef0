"""A report on a terminal: a table with small bars, a grid of shades for hours of the week, what to know below it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from acd.cli.console import cell, emit, emit_table, has_colour, level_style, make_table
from acd.cli.report_values import NUMBERS, about, key_text, range_text, value_text
from acd.reports import catalogue
from acd.reports.model import Column, Kind, Report, Row

ROWS_MAX = 1_000
"""More rows are for a file."""

_BAR = 12
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def show(report: Report, console: Console) -> None:
    """Print it."""
    zone = ZoneInfo(report.heading.zone)
    heading = Text(report.heading.title, style="bold")
    heading.append(f"  {range_text(report)}", style="default")
    emit(console, heading)
    if lines := about(report):
        emit(console, Text("; ".join(lines), style="dim"))
    rows = list(islice(report, ROWS_MAX + 1))
    grid = catalogue.REPORTS[report.heading.report].grid if report.heading.report in catalogue.REPORTS else False
    if grid and report.keys == 2:
        _grids(report, rows, console, zone)
    else:
        _table(report, rows[:ROWS_MAX], console, zone)
    if len(rows) > ROWS_MAX:
        emit(console, Text(f"Only the first {ROWS_MAX} rows: write a file (-o FILE.csv) for all", style="yellow"))
    for note in report.notes:
        emit(console, Text(f"Note: {note}", style="dim"))


def _table(report: Report, rows: Sequence[Row], console: Console, zone: ZoneInfo) -> None:
    barred = _barred(report, rows)
    columns: list[tuple[str, Any]] = []
    for n, column in enumerate(report.columns):
        columns.append((column.title, "right" if column.kind in NUMBERS else "left"))
        if n == barred:
            columns.append(("", "left"))
    table = make_table(columns)
    most = max((row[barred] or 0 for row in rows), default=0) if barred is not None else 0
    for row in rows:
        table.add_row(*_cells(report, row, barred, most, console, zone))
    if report.total is not None and report.keys and len(rows) > 1:
        total = _cells(report, report.total, barred, 0, console, zone)
        table.add_section()
        table.add_row(Text("all", style="bold"), *total[1:], style="bold")
    emit_table(console, table, "nothing in this time")


def _cells(report: Report, row: Row, barred: int | None, most: float, console: Console, zone: ZoneInfo) -> list[Text]:
    cells: list[Text] = []
    for n, (value, column) in enumerate(zip(row, report.columns, strict=True)):
        if n < report.keys:
            cells.append(cell(key_text(value, column, zone)))
        elif column.kind in NUMBERS:
            style = level_style(value) if column.name.startswith("service_level") else ""
            cells.append(Text(value_text(value, column, zone), style=style, justify="right"))
        else:
            cells.append(cell(value_text(value, column, zone)))
        if n == barred:
            cells.append(Text(_bar(value or 0, most, console), style="cyan"))
    return cells


def _barred(report: Report, rows: Sequence[Row]) -> int | None:
    """The first count or length, if there is more than one row to compare."""
    if not report.keys or len(rows) < 2:
        return None
    kinds = (Kind.COUNT, Kind.SECONDS)
    return next((n for n, column in enumerate(report.columns) if n >= report.keys and column.kind in kinds), None)


def _bar(value: float, most: float, console: Console) -> str:
    if not most or not console.is_terminal:
        return ""
    if not console.encoding.lower().startswith("utf"):
        return "#" * round(value / most * _BAR)
    whole, eighths = divmod(round(value / most * _BAR * 8), 8)
    return "█" * whole + (_EIGHTHS[eighths] if eighths else "")


def _grids(report: Report, rows: Sequence[Row], console: Console, zone: ZoneInfo) -> None:
    """One grid for each figure: the first key down, the second across."""
    down = list(dict.fromkeys(row[0] for row in rows))
    across = sorted({row[1] for row in rows}, key=lambda value: (value is None, value))
    of = {(row[0], row[1]): row for row in rows}
    for n in range(report.keys, len(report.columns)):
        column = report.columns[n]
        values = [row[n] for row in rows if row[n] is not None]
        most = max(values, default=0)
        heads: list[tuple[str, Any]] = [(column.title, "left")]
        heads += [(_short(key, report.columns[1], zone), "right") for key in across]
        table = make_table(heads)
        table.padding = (0, 1, 0, 0)
        for key in down:
            cells = [cell(key_text(key, report.columns[0], zone))]
            for other in across:
                row = of.get((key, other))
                cells.append(_grid_cell(None if row is None else row[n], column, most, console, zone))
            table.add_row(*cells)
        emit_table(console, table, "nothing in this time")


def _short(value: Any, column: Column, zone: ZoneInfo) -> str:
    return str(value) if column.name == "hour_of_day" else key_text(value, column, zone)


def _grid_cell(value: Any, column: Column, most: float, console: Console, zone: ZoneInfo) -> Text:
    if value is None or (column.kind is Kind.COUNT and not value):
        return Text("·", style="dim", justify="right")
    text = f"{value * 100:.0f}" if column.kind is Kind.SHARE else value_text(value, column, zone)
    if not has_colour(console):
        return Text(text, justify="right")
    if column.name.startswith("service_level"):
        return Text(text, style=level_style(value), justify="right")
    shades = ("grey50", "cyan", "bright_cyan", "yellow", "bright_red")
    return Text(
        text, style=shades[min(int(value / most * len(shades)), len(shades) - 1)] if most else "", justify="right"
    )
