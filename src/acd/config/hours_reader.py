"""The opening hours of floor.yaml -> OpeningHours: days, ranges of time, dates that differ, all checked for sense."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from acd.config.fields import MAX_LIST_ITEMS, Section, described
from acd.config.problems import Problems, show
from acd.config.yaml_lines import Node, Scalar, Sequence
from acd.domain.hours import MINUTES_A_DAY, WEEKDAYS, OpeningHours, Range

HOURS_KEYS = ("time_zone", "week", "exceptions")
CLOSED = "closed"

_MAX_RANGES_A_DAY = 10
_RANGE = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})", re.ASCII)
_DATE = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", re.ASCII)


def read_hours(problems: Problems, key: Scalar, node: Node) -> OpeningHours:
    """The opening hours that ``node`` says, under the name at ``key``. Notes what is wrong."""
    section = Section(problems, node, f"hours {show(key.text)}", HOURS_KEYS, at=key)
    errors = problems.errors
    zone = read_zone(section)
    week = read_week(section, "week")
    exceptions = _exceptions(section)
    if problems.errors == errors and not any(week) and not any(exceptions.values()):
        section.wrong(
            section.key("week") or key, f"{section.label} are never open; a queue can be closed: true instead"
        )
    elif (
        problems.errors == errors and not any(week) and max(day for day in exceptions if exceptions[day]) < _today(zone)
    ):
        place = section.key("week") or key
        problems.warning(
            place.line,
            place.column,
            f"{section.label} never open again: the week is empty, and its exceptions are over",
        )
    return OpeningHours(zone, week, MappingProxyType(exceptions))


def _today(zone: tzinfo) -> date:
    return datetime.now(zone).date()


def read_zone(section: Section) -> tzinfo:
    """The time zone at ``time_zone``, which must be there; UTC after noting what is wrong."""
    node = section.require("time_zone", "where the clock hangs, such as Europe/Berlin")
    name = section.text_of(node, "time_zone") if node is not None else None
    if node is None or name is None:
        return UTC
    try:
        # the name becomes that of a file
        if _ZONE.fullmatch(name):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    hint = section.hint(name, _zones()) if _zones() else "; this machine knows no time zones: install tzdata"
    section.wrong(node, f"time_zone of {section.label}: there is no {show(name)}{hint}")
    return UTC


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def read_week(section: Section, at: str) -> tuple[tuple[Range, ...], ...]:
    """The ranges of the days of the week in the map at key ``at``, which must be there."""
    days: dict[str, tuple[Range, ...]] = {}
    lines: dict[str, int] = {}
    if section.require(at, "the days and times, such as {mon-fri: 08:00-18:00}") is None:
        return ((),) * len(WEEKDAYS)
    for key, node in section.entries_of(at):
        ranges = read_ranges(section, key.text, node)
        for day in _days(section, key, at):
            if day in days:
                section.wrong(key, f"{day} stands twice in {at} of {section.label}; first in line {lines[day]}")
            days.setdefault(day, ranges)
            lines.setdefault(day, key.line)
    return tuple(days.get(day, ()) for day in WEEKDAYS)


def _days(section: Section, key: Scalar, at: str) -> list[str]:
    """``mon``, ``mon-fri`` or ``mon,wed`` as days."""
    found: list[str] = []
    for part in key.text.lower().split(","):
        first, dash, last = (word.strip()[:3] for word in part.partition("-"))
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            section.wrong(
                key, f"{show(key.text)} in {at} of {section.label} is no day; write mon, mon-fri or mon,wed,sat"
            )
            return []
        start, end = WEEKDAYS.index(first), WEEKDAYS.index(last if dash else first)
        # sat-mon goes through the end of the week
        span = (end - start) % len(WEEKDAYS) + 1
        found += [WEEKDAYS[(start + n) % len(WEEKDAYS)] for n in range(span)]
    return found


def _exceptions(section: Section) -> dict[date, tuple[Range, ...]]:
    found: dict[date, tuple[Range, ...]] = {}
    for key, node in section.entries_of("exceptions"):
        try:
            day = date.fromisoformat(key.text) if _DATE.fullmatch(key.text) else None
        except ValueError:
            day = None
        ranges = read_ranges(section, key.text, node)
        if day is None:
            section.wrong(key, f"{show(key.text)} in exceptions of {section.label} is no date; write it as 2026-12-24")
        elif len(found) == MAX_LIST_ITEMS:
            section.wrong(key, f"exceptions of {section.label} has more than {MAX_LIST_ITEMS} dates")
            break
        else:
            found[day] = ranges
    return found


def read_ranges(section: Section, what: str, node: Node) -> tuple[Range, ...]:
    """``08:00-18:00``, a list of such, or ``closed``."""
    if isinstance(node, Scalar) and node.text == CLOSED:
        return ()
    items = node.items if isinstance(node, Sequence) else [node]
    if len(items) > _MAX_RANGES_A_DAY:
        section.wrong(node, f"{show(what)} of {section.label} has more than {_MAX_RANGES_A_DAY} ranges")
        return ()
    found: list[tuple[Range, Node]] = []
    for item in items:
        match = _RANGE.fullmatch(item.text) if isinstance(item, Scalar) else None
        if match is None:
            section.wrong(
                item, f"{show(what)} of {section.label} must be such as 08:00-18:00, or closed, not {described(item)}"
            )
            continue
        hour, minute, to_hour, to_minute = map(int, match.groups())
        start, end = hour * 60 + minute, to_hour * 60 + to_minute
        if minute > 59 or to_minute > 59 or start >= MINUTES_A_DAY or end > MINUTES_A_DAY:
            section.wrong(
                item, f"{show(what)} of {section.label}: {described(item)} is no time of day (00:00 to 24:00)"
            )
        elif start >= end:
            section.wrong(
                item,
                f"{show(what)} of {section.label}: {described(item)} ends before it begins; what goes through midnight is "
                "written as two, up to 24:00 and from 00:00 of the next day",
            )
        else:
            found.append(((start, end), item))
    found.sort(key=lambda pair: pair[0])
    for ((_, end), _), ((start, _), item) in pairwise(found):
        if start < end:
            section.wrong(item, f"{show(what)} of {section.label}: {described(item)} overlaps another range of the day")
    return tuple(span for span, _ in found)
