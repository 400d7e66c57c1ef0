"""A row of cells as a contact, or why it is none. Pure, so that it can be done in other processes: numbers are what costs.

A number that cannot be dialled stays with the contact as a field under its column's name, if another one can; a row without
any is turned away, and so is one with words beside a number that may say not to call. Values of a known kind (times, zones,
countries) are turned away when they are wrong: nobody is called at three in the morning for a misread cell.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping, Sequence, Set
from dataclasses import field
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import NamedTuple

from acd.domain.cells import as_it_was
from acd.domain.dialable import NOWHERE, Dialable, Fault, dialable, is_country
from acd.domain.values import valueclass
from acd.lists.columns import PASSED_OVER, Columns
from acd.lists.rows import Row
from acd.store.outbound.contacts import KINDS, NewContact, NewNumber
from acd.store.outbound.listed import CELL_KEPT_MAX

CELL_MAX = 4000
NAME_MAX = 200
NUMBERS_MAX = 10
CELLS_KEPT_MAX = 100
RANK_MAX = 2_000_000_000
_ELSEWHERE = frozenset({"number", PASSED_OVER})
_PREMIUM: Set[Fault] = frozenset({Fault.PREMIUM})
_NOTHING: Set[Fault] = frozenset()
_DMY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", re.ASCII)
_BEST = re.compile(r"(\d{1,2})[:.h]?(\d{2})?\s*(?:-|–|to|bis)\s*(\d{1,2})[:.h]?(\d{2})?", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*", re.ASCII)


@valueclass(frozen=True, slots=True)
class Terms:
    """``country``: of numbers written without +. ``premium``: premium-rate numbers are taken."""

    columns: Columns
    country: str | None = None
    premium: bool = False
    places: tuple[tuple[str, str], ...] = field(init=False)
    """Of each column its name, and what it is."""
    of_rejects: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "of_rejects", self.columns.of_rejects)
        object.__setattr__(self, "places", tuple((one.name, one.place) for one in self.columns.columns))


class Reject(NamedTuple):
    """A row that is no contact. ``reason``: a word; ``detail``: a sentence."""

    line: int
    reason: str
    detail: str
    cells: tuple[str, ...]


class _WrongError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def prepared(row: Row, terms: Terms) -> NewContact | Reject:
    """The contact that a row is. Never raises, whatever is in it."""
    try:
        return _contact(row, terms)
    except _WrongError as wrong:
        return Reject(row.line, wrong.reason, wrong.detail, kept(row.cells))


def described(values: Mapping[str, str]) -> NewContact | Reject:
    """A contact without numbers, of what somebody says of it: by the places of columns, but for the names' parts."""
    found = NewContact(())
    try:
        for place, value in values.items():
            text = value.strip()
            if len(text) > CELL_MAX:
                raise _WrongError("too_long", f"{place} has more than {CELL_MAX} characters")
            if text:
                _set(found, place, place.replace("_", " "), _clean(text))
    except _WrongError as wrong:
        return Reject(0, wrong.reason, wrong.detail, ())
    return found


def kept(cells: Sequence[str]) -> tuple[str, ...]:
    """What is kept of a rejected row's cells."""
    return tuple(_clean(cell[:CELL_KEPT_MAX]) for cell in cells[:CELLS_KEPT_MAX])


def _clean(text: str) -> str:
    """Without what a database cannot hold."""
    if text.isascii():
        return text.replace("\0", "\ufffd")
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _is_fit(cells: Sequence[str]) -> bool:
    """Whether no cell of a row has to be cleaned or is too long: nearly always, and found out at once."""
    text = "".join(cells)
    if len(text) > CELL_MAX or "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _contact(row: Row, terms: Terms) -> NewContact:
    if row.fault:
        raise _WrongError("unreadable", row.fault)
    columns, cells = terms.columns.columns, row.cells
    if terms.of_rejects:
        cells = [as_it_was(cell) for cell in cells]
    if len(cells) > len(columns):
        if any(cell.strip() for cell in cells[len(columns) :]):
            raise _WrongError("columns", f"it has {len(cells)} cells, the list has {len(columns)} columns")
        cells = cells[: len(columns)]
    found = NewContact(())
    fields: dict[str, str] = {}
    first = last = ""
    is_fit = _is_fit(cells)
    for (name, place), cell in zip(terms.places, cells, strict=False):
        text = cell.strip()
        if not text or place in _ELSEWHERE:
            continue
        if not is_fit:
            if len(text) > CELL_MAX:
                raise _WrongError("too_long", f"{name} has more than {CELL_MAX} characters")
            text = _clean(text)
        if place == "":
            fields[name] = text
        elif place == "first_name":
            first = text
        elif place == "last_name":
            last = text
        else:
            _set(found, place, name, text)
    if not found.name:
        found.name = " ".join(filter(None, (first, last)))[:NAME_MAX]
    elif first or last:
        fields |= {name: text for name, text in (("first_name", first), ("last_name", last)) if text}
    found.numbers = _numbers(cells, terms, found, fields)
    found.fields = fields
    found.line = row.line
    return found


def _numbers(cells: Sequence[str], terms: Terms, found: NewContact, fields: dict[str, str]) -> list[NewNumber]:
    country = found.country or terms.country
    numbers: dict[str, NewNumber] = {}
    fault: tuple[str, str] | None = None
    allow = _PREMIUM if terms.premium else _NOTHING
    for index in terms.columns.numbers:
        text = cells[index].strip() if index < len(cells) else ""
        if not text:
            continue
        column = terms.columns.columns[index]
        one = dialable(text, country, allow=allow)
        if not isinstance(one, Dialable):
            if one.fault is Fault.WORDS:
                # They may say not to call this person: nobody is called at another number before they were read
                raise _WrongError(one.fault.value, f"{column.name}: {one}")
            fields[column.name] = _clean(text[:CELL_MAX])
            fault = fault or (one.fault.value, f"{column.name}: {one}")
            continue
        if len(numbers) == NUMBERS_MAX:
            fields[column.name] = _clean(text[:CELL_MAX])
            continue
        kind = column.kind or KINDS.get(one.kind, "other")
        numbers.setdefault(one.number, NewNumber(one.number, kind, one.zone, one.extension))
        if found.country is None and one.country != NOWHERE:
            found.country = one.country
    if not numbers:
        raise _WrongError(*(fault or ("empty", "there is no number")))
    return list(numbers.values())


def _set(found: NewContact, place: str, name: str, text: str) -> None:
    if place == "key":
        if len(text) > NAME_MAX:
            raise _WrongError("too_long", f"{name} has more than {NAME_MAX} characters")
        found.key = text
    elif place == "name":
        found.name = text[:NAME_MAX]
    elif place == "region":
        found.region = text[:NAME_MAX]
    elif place == "zone":
        found.zone = _zone(name, text)
    elif place == "country":
        found.country = _country(name, text)
    elif place == "language":
        if _LANGUAGE.fullmatch(text) is None or len(text) > 35:
            raise _WrongError("language", f"{name}: {text[:40]!r} is no language: write de, en-GB")
        found.language = text.replace("_", "-")
    elif place == "best":
        found.best = best_of(name, text)
    elif place == "rank":
        found.rank = _rank(name, text)
    else:
        setattr(found, place, time_of(name, text))


@lru_cache(maxsize=1024)
def _zone(name: str, text: str) -> str:
    if text not in _zone_names():
        raise _WrongError("zone", f"{name}: {text[:40]!r} is no time zone: write Europe/Berlin")
    return text


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _country(name: str, text: str) -> str:
    code = text.upper()
    if not is_country(code):
        raise _WrongError("country", f"{name}: {text[:40]!r} is no country: write its two letters, such as DE")
    return code


def _rank(name: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 10 or abs(int(text)) > RANK_MAX:
        raise _WrongError("rank", f"{name}: {text[:40]!r} is no whole number")
    return int(text)


@lru_cache(maxsize=4096)
def time_of(name: str, text: str) -> float:
    """A date or time as UTC s; without an offset, UTC. Raises what `prepared` makes a rejection of."""
    try:
        german = _DMY.fullmatch(text)
        if german is not None:
            day, month, year = map(int, german.groups())
            found = datetime.combine(date(year, month, day), time(), UTC)
        else:
            found = datetime.fromisoformat(text.replace("/", "-") if re.match(r"\d{4}/", text, re.ASCII) else text)
            found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        if not 1900 <= found.year <= 9000:
            raise ValueError
        return found.timestamp()
    except (ValueError, OverflowError):
        raise _WrongError(
            "time", f"{name}: {text[:40]!r} is no date: write 2026-11-21 or 2026-11-21T14:05+01:00"
        ) from None


@lru_cache(maxsize=1024)
def best_of(name: str, text: str) -> tuple[int, int]:
    """``18:00-20:30`` as minutes of the day. Raises what `prepared` makes a rejection of."""
    match = _BEST.fullmatch(text)
    if match is not None:
        hour, minute, to_hour, to_minute = (int(part or 0) for part in match.groups())
        begin, end = 60 * hour + minute, 60 * to_hour + to_minute
        if hour < 24 and minute < 60 and to_minute < 60 and begin < end <= 1440:
            return begin, end
    raise _WrongError("best", f"{name}: {text[:40]!r} is no time of day: write 18:00-20:00")
