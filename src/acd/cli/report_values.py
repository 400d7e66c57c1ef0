"""How a report's values look to people: durations as m:ss, shares in percent, moments as local time, nothing as nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from acd.cli import text as say
from acd.domain.states import AgentState
from acd.reports.cuts import comes_twice, offset_of, shown
from acd.reports.model import Column, Kind, Report

NUMBERS = frozenset({Kind.COUNT, Kind.SHARE, Kind.SECONDS})
_STATE_WORDS = {state.value: state.value.lower().replace("_", " ") for state in AgentState} | {
    AgentState.WRAP_UP.value: "wrap-up"
}


def percent(share: float) -> str:
    """``81.5 %``; never ``100.0`` unless it is all, never ``0.0`` unless it is nothing."""
    tenths = int(share * 1000 + 0.5)
    if tenths == 1000 and share < 1:
        tenths = 999
    if tenths == 0 and share > 0:
        tenths = 1
    return f"{tenths // 10}.{tenths % 10} %"


def length(seconds: float) -> str:
    """``0:07``, ``12:05``, ``51:31:20``: hours are not made days of, for people are paid by the hour."""
    whole = int(max(seconds, 0.0) + 0.5)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def moment(at: float, zone: ZoneInfo) -> str:
    """``2026-11-21 10:15:03`` in the report's zone, with its offset if the clock shows that twice."""
    return _clock(datetime.fromtimestamp(at, zone), "%Y-%m-%d %H:%M:%S")


def _clock(at: datetime, how: str) -> str:
    text = at.strftime(how)
    return f"{text} {offset_of(at)}" if comes_twice(at) else text


def value_text(value: Any, column: Column, zone: ZoneInfo) -> str:
    """A value as text; empty where there is none. Texts are harmless on a terminal, not yet in HTML."""
    if value is None:
        return ""
    match column.kind:
        case Kind.SHARE:
            return percent(value)
        case Kind.SECONDS:
            return length(value)
        case Kind.COUNT:
            return f"{value:,}".replace(",", "\u202f")
        case Kind.MOMENT:
            return moment(value, zone)
        case Kind.FLAG:
            return "yes" if value else "no"
        case Kind.INTERVAL:
            return shown(value, column.name, zone)
    return say.clean(_STATE_WORDS.get(value, value) if column.name == "state" else value)


def key_text(value: Any, column: Column, zone: ZoneInfo) -> str:
    """The same for what tells rows apart: none is a dash, for a row must have a name."""
    return value_text(value, column, zone) or "–"


def range_text(report: Report) -> str:
    """``Mon 2026-11-16 00:00 to Sun 2026-11-22 14:05, Europe/Berlin``; a whole day is just its name."""
    heading = report.heading
    zone = ZoneInfo(heading.zone)
    begin, end = (datetime.fromtimestamp(at, zone) for at in (heading.from_s, heading.to_s))
    midnight = begin.time() == end.time() == datetime.min.time()
    if midnight and (end.date() - begin.date()).days == 1:
        return f"{begin:%a %Y-%m-%d}, {heading.zone}"
    if midnight:
        last = datetime.fromtimestamp(heading.to_s - 1, zone)
        return f"{begin:%a %Y-%m-%d} to {last:%a %Y-%m-%d}, {heading.zone}"
    return f"{_clock(begin, '%a %Y-%m-%d %H:%M')} to {_clock(end, '%a %Y-%m-%d %H:%M')}, {heading.zone}"


def about(report: Report) -> list[str]:
    """What it was asked for besides the range, a line each."""
    heading = report.heading
    lines = [f"only {name} {', '.join(map(say.clean, values))}" for name, values in heading.filters]
    return lines + [f"{name}: {say.clean(text)}" for name, text in heading.settings]
