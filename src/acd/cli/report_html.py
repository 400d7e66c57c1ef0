"""A report as one page that needs nothing else: figures at the top, charts, the table, what the columns mean.

Everything from outside is escaped, and the page forbids itself scripts and any address but its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from html import escape
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from acd.cli.report_charts import Series, Stretch, lane, legend, share_line, stacked_bars
from acd.cli.report_style import SHEET
from acd.cli.report_values import NUMBERS, about, key_text, length, moment, percent, range_text, value_text
from acd.reports.catalogue import REPORTS
from acd.reports.cuts import order
from acd.reports.model import Column, Kind, Report, Row

ROWS_MAX = 5_000
"""A page with more rows is none that anybody reads; a file has them all."""

LANES_MAX = 40
CHARTS_MAX = 9
_LONG = 32
"""Texts that are longer may go over several lines."""

_TILES = (
    *("offered", "answered", "abandoned", "service_level", "asa_s", "logged_in_s", "occupancy", "shrinkage"),
    *("conversations", "aht_s", "ronas", "transfers", "came_back", "judged", "repeated", "first_contact_rate"),
)
_WORDS = {"ASA", "AHT", "ATA", "RONA", "DID", "P50", "P80", "P90", "P95"}
_STATES = {
    "AVAILABLE": ("available", "h"), "PREVIEW": ("preview", "i"), "RESERVED": ("reserved", "c"), "RINGING": ("ringing", "f"),
    "TALKING": ("talking", "a"), "WRAP_UP": ("wrap-up", "d"), "PAUSED": ("paused", "b"),
    "LOGGED_OUT": ("logged out", "g"), "not recorded": ("not recorded", "e"),
}  # fmt: skip


def page(report: Report) -> str:
    """The whole page."""
    rows = list(islice(report, ROWS_MAX + 1))
    cut, rows = len(rows) > ROWS_MAX, rows[:ROWS_MAX]
    zone = ZoneInfo(report.heading.zone)
    title = f"{report.heading.title}, {range_text(report)}"
    notes = list(report.notes)
    if cut:
        many = f" of {report.expected:,}" if report.expected else ""
        notes.append(
            f"Only the first {ROWS_MAX:,} rows{many} are on this page; as CSV or Parquet all of them are written."
        )
    body = "".join((*_charts(report, rows, zone), _body(report, rows, zone), _notes(notes), _meanings(report)))
    lines = f'<p class="about">{escape("; ".join(about(report)))}</p>'
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{escape(title)}</title><style>{SHEET}</style></head><body><main><header>"
        f'<h1>{escape(report.heading.title)}</h1><p class="range">{escape(range_text(report))}</p>{lines}</header>'
        f"{_tiles(report, zone)}{body}"
        f"<footer>Made by acd on {moment(report.heading.made_at, zone)}: acd report {escape(report.heading.report)}. "
        "Formulas: docs/reports.md.</footer></main></body></html>\n"
    )


def label(column: Column) -> str:
    """A column's head: ``Level net``, but ``ASA``."""
    return " ".join(
        word if word in _WORDS else word.capitalize() if n == 0 else word.lower()
        for n, word in enumerate(column.title.split())
    )


def _tiles(report: Report, zone: ZoneInfo) -> str:
    if report.total is None:
        return ""
    values = dict(zip((column.name for column in report.columns), report.total, strict=True))
    of = {column.name: column for column in report.columns}
    chosen = [name for name in _TILES if values.get(name) is not None][:6]
    items = "".join(
        f"<li><b>{escape(value_text(values[name], of[name], zone))}</b>"
        f'<span title="{escape(of[name].meaning)}">{escape(_long(of[name]))}</span></li>'
        for name in chosen
    )
    return f'<ul class="tiles">{items}</ul>' if items else ""


# -- charts ------------------------------------------------------------------------------------------------------------


def _charts(report: Report, rows: Sequence[Row], zone: ZoneInfo) -> Iterator[str]:
    kinds = [column.kind for column in report.columns[: report.keys]]
    if not rows or _grid(report):
        return
    if report.heading.report == "timeline":
        yield from _lanes(report, rows, zone)
    elif report.heading.report == "states":
        yield from _state_bars(report, rows)
    elif kinds == [Kind.INTERVAL]:
        yield from _over_time(report, rows, zone, "")
    elif sorted(kinds) == sorted([Kind.INTERVAL, Kind.TEXT]):
        place = kinds.index(Kind.TEXT)
        of: dict[Any, list[Row]] = defaultdict(list)
        for row in rows:
            of[row[place]].append(row)
        if len(of) <= CHARTS_MAX:
            unit = report.columns[1 - place].name
            times = sorted({row[1 - place] for row in rows}, key=lambda text: order(text, unit))
            most = max(_height(report, row) for row in rows)
            drawn = (
                _over_time(
                    report,
                    _filled(mine, times, 1 - place),
                    zone,
                    key_text(key, report.columns[place], zone),
                    1 - place,
                    most=most,
                )
                for key, mine in of.items()
            )
            yield f'<div class="several">{"".join(figure for figures in drawn for figure in figures)}</div>'


def _filled(rows: Sequence[Row], times: Sequence[str], place: int) -> list[Row]:
    """A row for each interval that any of the charts has, so that their bars stand below each other."""
    of = {row[place]: row for row in rows}
    nothing = (None,) * len(rows[0])
    return [of.get(time, (*nothing[:place], time, *nothing[place + 1 :])) for time in times]


def _height(report: Report, row: Row) -> float:
    """Of a row's bar: its first count."""
    first = next((n for n, c in enumerate(report.columns) if n >= report.keys and c.kind is Kind.COUNT), None)
    return 0.0 if first is None else float(row[first] or 0)


def _over_time(
    report: Report, rows: Sequence[Row], zone: ZoneInfo, of: str, place: int = 0, *, most: float | None = None
) -> Iterator[str]:
    """Calls as bars and the first share as a line; where there are ``most``, one of several charts of the same height."""
    names = [key_text(row[place], report.columns[place], zone) for row in rows]
    labels = [_tick(row[place], report.columns[place], names[n]) for n, row in enumerate(rows)]
    at = {column.name: n for n, column in enumerate(report.columns)}
    unit = label(report.columns[place]).lower()
    series: list[Series] = []
    if {"offered", "answered", "abandoned"} <= at.keys():
        answered, abandoned = ([row[at[name]] or 0 for row in rows] for name in ("answered", "abandoned"))
        rest = [(row[at["offered"]] or 0) - a - b for row, a, b in zip(rows, answered, abandoned, strict=True)]
        series = [Series("answered", "a", answered), Series("abandoned", "b", abandoned)]
        series += [Series("other", "c", rest)] if any(rest) else []
        what = "Calls"
    else:
        first = next((n for n, c in enumerate(report.columns) if n >= report.keys and c.kind is Kind.COUNT), None)
        if first is not None:
            what = label(report.columns[first])
            series = [Series(what.lower(), "a", [row[first] for row in rows])]
    heading = f"{of}: " if of else ""
    if series:
        says = f"{heading}{what.lower()} by {unit}, {len(rows)} intervals; the table below has the figures"
        height, width = (210, 960) if most is None else (170, 540)
        drawing = stacked_bars(series, labels, names, says, height=height, width=width, most=most)
        yield _figure(of or f"{what} by {unit}", legend(series), drawing)
    shares = [n for n, c in enumerate(report.columns) if c.kind is Kind.SHARE]
    if shares and most is None:
        column = report.columns[shares[0]]
        one = Series(label(column).lower(), "d", [row[shares[0]] for row in rows])
        says = f"{heading}{label(column)} by {unit}: {column.meaning}; the table below has the figures"
        yield _figure(f"{heading}{_long(column)} by {unit}", "", share_line(one, labels, names, says))


def _long(column: Column) -> str:
    return "Service level" if column.name == "service_level" else label(column)


def _tick(value: Any, column: Column, name: str) -> str:
    """Below a bar, where there is little room."""
    if column.name in ("15min", "30min", "hour"):
        at = datetime.fromisoformat(value)
        return f"{at:%H:%M}" if at.hour or at.minute else f"{at:%a %-d}"
    return f"{datetime.fromisoformat(value):%-d %b}" if column.name == "day" else name


def _figure(title: str, key: str, drawing: str) -> str:
    return f'<figure><figcaption>{escape(title)} {key}</figcaption><div class="chart">{drawing}</div></figure>'


def _state_bars(report: Report, rows: Sequence[Row]) -> Iterator[str]:
    """A bar for each agent, cut into states."""
    names = [column.name for column in report.columns]
    if names[0] != "agent" or "state" not in names or report.columns[1].kind is Kind.INTERVAL:
        return
    state_at, time_at = names.index("state"), names.index("time_s")
    spent: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        if row[state_at] != "LOGGED_OUT":
            spent[row[0]][row[state_at]] += row[time_at]
    shown = [state for state in _STATES if any(state in of for of in spent.values())]
    key = legend([Series(_STATES[state][0], _STATES[state][1], ()) for state in shown])
    drawn = []
    for agent, of in islice(spent.items(), LANES_MAX):
        whole, at, stretches = sum(of.values()), 0.0, []
        for state in shown:
            if of[state] and whole:
                word, style = _STATES[state]
                says = f"{agent}: {word} {length(of[state])}, {percent(of[state] / whole)}"
                stretches.append(Stretch(at, at + of[state] / whole, style, says))
                at += of[state] / whole
        drawing = lane(stretches, (), f"{agent}: time by state")
        drawn.append(f'<div class="lane"><p>{escape(agent)}</p><div class="chart">{drawing}</div></div>')
    if drawn:
        yield f"<figure><figcaption>Time logged in, by state {key}</figcaption>{''.join(drawn)}</figure>"


def _lanes(report: Report, rows: Sequence[Row], zone: ZoneInfo) -> Iterator[str]:
    """A line for each agent and day."""
    names = [column.name for column in report.columns]
    if names[:4] != ["agent", "from", "to", "state"]:
        return
    days: dict[tuple[Any, str], list[Row]] = defaultdict(list)
    for row in rows:
        for day in _days_of(row[1], row[2], zone):
            days[row[0], day].append(row)
    used = {row[3] for row in rows}
    key = legend([Series(word, style, ()) for state, (word, style) in _STATES.items() if state in used])
    drawn = []
    for (agent, day), mine in islice(days.items(), LANES_MAX):
        begin = datetime.fromisoformat(day).replace(tzinfo=zone)
        begin_s = begin.timestamp()
        whole_s = (begin + timedelta(days=1)).timestamp() - begin_s
        stretches = []
        for row in mine:
            word, style = _STATES.get(row[3], (row[3], "c"))
            says = f"{moment(row[1], zone)} {word} {row[4] or ''} {length(row[5])}"
            share = (max(row[1] - begin_s, 0) / whole_s, min(row[2] - begin_s, whole_s) / whole_s)
            stretches.append(Stretch(*share, style, says))
        ticks = [
            (((begin + timedelta(hours=hour)).timestamp() - begin_s) / whole_s, f"{hour}:00")
            for hour in range(2, 24, 2)
        ]
        drawing = lane(stretches, ticks, f"{agent} on {day}: states through the day; the table below has them")
        drawn.append(
            f'<div class="lane"><p>{escape(str(agent))}, {begin:%a %Y-%m-%d}</p><div class="chart">{drawing}</div></div>'
        )
    more = len(days) - len(drawn)
    rest = f"<p>{more} more days are in the table.</p>" if more > 0 else ""
    yield f"<figure><figcaption>Day by day {key}</figcaption>{''.join(drawn)}{rest}</figure>"


def _days_of(begin_s: float, end_s: float, zone: ZoneInfo) -> Iterable[str]:
    day = datetime.fromtimestamp(begin_s, zone).date()
    last = datetime.fromtimestamp(end_s, zone)
    while datetime(day.year, day.month, day.day, tzinfo=zone) < last:
        yield day.isoformat()
        day += timedelta(days=1)


# -- tables ------------------------------------------------------------------------------------------------------------


def _grid(report: Report) -> bool:
    definition = REPORTS.get(report.heading.report)
    return definition is not None and definition.grid and report.keys == 2


def _body(report: Report, rows: Sequence[Row], zone: ZoneInfo) -> str:
    if not rows:
        return '<p class="empty">There is nothing in this time.</p>'
    if _grid(report):
        return "".join(_heat(report, rows, n, zone) for n in range(2, len(report.columns)))
    return _table(report, rows, zone)


def _table(report: Report, rows: Sequence[Row], zone: ZoneInfo) -> str:
    heads = "".join(
        f'<th scope="col"{_numeric(column)} title="{escape(column.meaning)}">{escape(label(column))}</th>'
        for column in report.columns
    )
    barred = next((n for n, c in enumerate(report.columns) if n >= report.keys > 0 and c.kind is Kind.COUNT), None)
    most = max((row[barred] or 0 for row in rows), default=0) if barred is not None else 0
    body = "".join(f"<tr>{_row(report, row, zone, barred, most)}</tr>" for row in rows)
    foot = ""
    if report.total is not None and report.keys and len(rows) > 1:
        cells = _row(report, report.total, zone, None, 0, total=True)
        foot = f"<tfoot><tr>{cells}</tr></tfoot>"
    caption = f"<caption>{escape(report.heading.title)}</caption>"
    return (
        f'<div class="scroll" role="region" aria-label="Table" tabindex="0"><table>{caption}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody>{foot}</table></div>"
    )


def _row(report: Report, row: Row, zone: ZoneInfo, barred: int | None, most: float, *, total: bool = False) -> str:
    cells = []
    for n, (value, column) in enumerate(zip(row, report.columns, strict=True)):
        if n < report.keys:
            text = ("All" if n == 0 else "") if total else key_text(value, column, zone)
            cells.append(f'<th scope="row">{escape(text)}</th>')
        elif n == barred and most:
            wide = (value or 0) / most * 100
            text = escape(value_text(value, column, zone))
            cells.append(f'<td class="n bar"><i style="width:{wide:.1f}%"></i><b>{text}</b></td>')
        else:
            text = value_text(value, column, zone)
            kind = "n" if column.kind in NUMBERS else "t" if len(text) > _LONG else ""
            style = " ".join(filter(None, (kind, _level(value, column))))
            cells.append(f"<td{_class(style)}>{escape(text)}</td>")
    return "".join(cells)


def _numeric(column: Column) -> str:
    return _class("n" if column.kind in NUMBERS else "")


def _class(style: str) -> str:
    return f' class="{style}"' if style else ""


def _level(value: Any, column: Column) -> str:
    if value is None or not column.name.startswith("service_level"):
        return ""
    return "good" if value >= 0.8 else "fair" if value >= 0.6 else "bad"


def _heat(report: Report, rows: Sequence[Row], place: int, zone: ZoneInfo) -> str:
    """The first key down, the second across, the figure as a shade and a number."""
    column, down, across = report.columns[place], report.columns[0], report.columns[1]
    lines = list(dict.fromkeys(row[0] for row in rows))
    heads = sorted({row[1] for row in rows}, key=lambda value: (value is None, value))
    of = {(row[0], row[1]): row[place] for row in rows}
    values = [value for value in of.values() if value is not None]
    low, high = (min(values), max(values)) if values else (0, 0)
    if column.kind is not Kind.SHARE:
        low = 0

    def cell(value: Any) -> str:
        if value is None or (column.kind is Kind.COUNT and not value):
            return '<td class="none">·</td>'
        depth = (value - low) / (high - low) if high > low else 1.0
        text = f"{value * 100:.0f}" if column.kind is Kind.SHARE else value_text(value, column, zone)
        # Never so deep that the number could not be read on it
        return f'<td style="background:rgba(var(--heat),{0.05 + 0.73 * depth:.2f})">{escape(text)}</td>'

    hours = across.name == "hour_of_day"
    names = [escape(str(key) if hours else key_text(key, across, zone)) for key in heads]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = ""
    for key in lines:
        cells = "".join(cell(of.get((key, other))) for other in heads)
        body += f'<tr><th scope="row">{escape(key_text(key, down, zone))}</th>{cells}</tr>'
    said = escape(_long(column) + (", percent" if column.kind is Kind.SHARE else ""))
    return (
        f'<div class="scroll" role="region" aria-label="{said}" tabindex="0"><table class="heat"><caption>{said}</caption>'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _notes(notes: Sequence[str]) -> str:
    return f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>' if notes else ""


def _meanings(report: Report) -> str:
    items = "".join(
        f"<div><dt>{escape(label(column))}</dt><dd>{escape(column.meaning)}</dd></div>"
        for column in report.columns
        if column.meaning
    )
    return f"<section><h2>What the columns mean</h2><dl>{items}</dl></section>"
