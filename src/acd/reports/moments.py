"""Words for time -> stretches of it: ``today``, ``-7d``, ``2026-11``, ``2026-11-21 14:05``, in a time zone.

A word names a stretch, from its beginning up to (not including) its end. ``--from`` takes the beginning, ``--to`` the
end; so ``--from 2026-11-01 --to 2026-11-30`` is all of November. Nothing here reads a clock.
"""

from __future__ import annotations

import difflib
import os
import re
import zoneinfo
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from acd.domain.errors import ReportError
from acd.domain.values import valueclass

WORDS = (
    *("today", "yesterday", "this-week", "last-week", "this-month", "last-month", "this-year", "last-year", "now"),
)
_HELP = "write today, yesterday, last-week, -7d (days), -4h, 2026-11-21, 2026-11-21 14:05, 2026-W47, 2026-11 or 2026"
_BACK = re.compile(r"-(\d{1,5})([smhdw])", re.ASCII)
_MINUTE = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:\d\d)?", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600}
YEARS = (1970, 9000)


@valueclass(frozen=True, slots=True)
class Period:
    """[``from_s``, ``to_s``), UTC seconds."""

    from_s: float
    to_s: float


def find_zone(name: str) -> ZoneInfo:
    """The IANA time zone. Raises ReportError with the nearest name there is."""
    try:
        return ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = zoneinfo.available_timezones()
        by_folded = {zone.casefold(): zone for zone in known} | {
            zone.rpartition("/")[2].casefold(): zone for zone in sorted(known) if "/" in zone
        }
        near = difflib.get_close_matches(name.strip().replace(" ", "_").casefold(), by_folded, 1, 0.6)
        hint = f" (nearest: {by_folded[near[0]]})" if near else "; write one such as Europe/Berlin"
        raise ReportError(f"there is no time zone {name!r}{hint}") from error


def machine_zone(environ: Mapping[str, str] = os.environ, localtime: Path = Path("/etc/localtime")) -> ZoneInfo:
    """The zone this machine's clock goes by, UTC where it does not say."""
    candidates = [environ.get("TZ", "").lstrip(":")]
    with suppress(OSError):
        candidates.append(str(localtime.resolve(strict=True)).partition("zoneinfo/")[2])
    for name in candidates:
        try:
            return ZoneInfo(name.removeprefix("posix/"))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")


def begin_of(day: date, zone: ZoneInfo) -> float:
    """The first moment of a day, UTC seconds: 00:00, or what the clock jumped to where there was none that day."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
    low, high = int(noon.timestamp()) - 2 * 86_400, int(noon.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if datetime.fromtimestamp(middle, zone).date() < day else (low, middle)
    return float(high)


def _days(first: date, last: date, zone: ZoneInfo) -> Period:
    """From ``first`` up to and without ``last``."""
    return Period(begin_of(first, zone), begin_of(last, zone))


def _month_after(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _named(word: str, today: date, zone: ZoneInfo) -> Period | None:
    monday = today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    new_year = today.replace(month=1, day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    spans = {
        "today": (today, today + timedelta(days=1)),
        "yesterday": (today - timedelta(days=1), today),
        "this-week": (monday, monday + timedelta(days=7)),
        "last-week": (monday - timedelta(days=7), monday),
        "this-month": (first, _month_after(first)),
        "last-month": (before, first),
        "this-year": (new_year, new_year.replace(year=today.year + 1)),
        "last-year": (new_year.replace(year=today.year - 1), new_year),
    }
    return _days(*spans[word], zone) if word in spans else None


def _dated(word: str, zone: ZoneInfo) -> Period | None:
    """A date, week, month or year by number. Raises ValueError on one the calendar does not have."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", word, re.ASCII):
        day = date.fromisoformat(word)
        return _days(day, day + timedelta(days=1), zone)
    if found := re.fullmatch(r"(\d{4})-?[Ww](\d\d)", word, re.ASCII):
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1)
        return _days(monday, monday + timedelta(days=7), zone)
    if re.fullmatch(r"\d{4}-\d\d", word, re.ASCII):
        first = date.fromisoformat(f"{word}-01")
        return _days(first, _month_after(first), zone)
    if re.fullmatch(r"\d{4}", word, re.ASCII):
        return _days(date(int(word), 1, 1), date(int(word) + 1, 1, 1), zone)
    if found := _MINUTE.fullmatch(word):
        local = datetime.fromisoformat(f"{found[1]} {found[2]}")
        offset = found[3]
        if offset:
            at = datetime.fromisoformat(f"{found[1]}T{found[2]}{offset.replace('Z', '+00:00')}").timestamp()
        else:
            at = local.replace(tzinfo=zone).timestamp()
        return Period(at, at)
    return None


def _found(text: str, zone: ZoneInfo, now: float) -> Period | None:
    today = datetime.fromtimestamp(now, zone).date()
    if text == "now":
        return Period(now, now)
    back = _BACK.fullmatch(text)
    if back is None:
        return _named(text, today, zone) or _dated(text, zone)
    number, unit = int(back[1]), back[2]
    if unit in _UNITS_S:
        return Period(now - number * _UNITS_S[unit], now - number * _UNITS_S[unit])
    day = today - timedelta(days=number * (7 if unit == "w" else 1))
    return _days(day, day + timedelta(days=1), zone)


def span(word: str, zone: ZoneInfo, now: float) -> Period:
    """The stretch a word names; a moment (``-4h``, ``now``, a time of day) is one without length. Raises ReportError."""
    text = word.strip()
    try:
        period = _found(text, zone, now)
        if period is not None and not YEARS[0] <= datetime.fromtimestamp(period.from_s, UTC).year <= YEARS[1]:
            raise ReportError(f"{word!r} lies outside the years {YEARS[0]} to {YEARS[1]}")
    except (ValueError, OverflowError, OSError) as error:
        raise ReportError(f"{word!r} is no time that there is: {_HELP}") from error
    if period is not None:
        return period
    near = difflib.get_close_matches(text.lower().replace("_", "-").replace(" ", "-"), WORDS, 1, 0.7)
    raise ReportError(f"{word!r} is no time" + (f" (nearest: {near[0]})" if near else "") + f": {_HELP}")


def period(since: str | None, until: str | None, zone: ZoneInfo, now: float, *, on: str | None = None) -> Period:
    """From the beginning of ``since`` (today if not given) to the end of ``until`` (now if not given); ``on`` is both.

    Raises ReportError on words that are no time, a range that is empty or the wrong way round, and one that begins in
    the future. An end in the future stays: intervals are whole.
    """
    if on is not None:
        if since is not None or until is not None:
            raise ReportError("--on stands for --from and --to: leave these away, or it")
        since = until = on
    begin = span(since or "today", zone, now).from_s
    end = span(until, zone, now).to_s if until is not None else now
    if begin > now:
        raise ReportError(f"{since!r} is in the future: there are no records yet (now is {_shown(now, zone)})")
    if begin >= end:
        what = "ends before it begins" if begin > end else "is empty"
        raise ReportError(f"the range {what}: from {_shown(begin, zone)} to {_shown(end, zone)}")
    return Period(begin, end)


def _shown(at: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at, zone).isoformat(" ", "seconds")
