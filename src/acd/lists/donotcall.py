"""Numbers that are not to be called, read from files: a number a line, or CSV with a column of them; plain, or as their
SHA-256 as registers hand them out.

A file is taken piece by piece, each in its own transaction; taken again, it changes nothing. A line that cannot be
understood is told of by its number, and keeps no other from being taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from acd.domain.dialable import Dialable, Fault, dialable
from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass
from acd.lists.columns import columns_of, refuse_no_names
from acd.lists.rows import Row, Rows, delimiter_of
from acd.lists.source import Progress, Source, look
from acd.store.beside import writing
from acd.store.outbound import donotcall
from acd.store.outbound.donotcall import SHA256, Entry, Sealed
from acd.store.sealing import PREFIX

PIECE = 2000
"""Rows in one transaction."""
SHOWN_MAX = 60
_HEAD = 60
_DIGEST = re.compile(r"(?:sha-?256:)?([0-9a-fA-F]{64})", re.ASCII)
_OWN = re.compile(rf"{PREFIX}[0-9a-f]{{32}}", re.ASCII)
_HASHES = ("sha256", "sha-256", "hash", "numberhash", "phonehash", "number_sha256", "phone_sha256")


@valueclass(frozen=True, slots=True)
class How:
    """``country``: of numbers without ``+``. ``column``: by its name, or its place from 1. ``own_hashes``: ``hmac:`` in the
    file was made with this installation's key."""

    country: str | None = None
    column: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    own_hashes: bool = False


class Bad(NamedTuple):
    """A row that holds nobody. ``reason``: a word; ``detail``: a sentence; ``text``: what stands there, its beginning."""

    line: int
    reason: str
    detail: str
    text: str


@dataclass(slots=True)
class Report:
    """``rows == taken + bad``; ``numbers``: in the rows taken; ``added``: of these, how many are new, or hold longer now;
    ``hashed``: came as hashes; ``both``: cells that can be read as two numbers, both of which were taken."""

    rows: int = 0
    taken: int = 0
    bad: int = 0
    numbers: int = 0
    hashed: int = 0
    added: int = 0
    both: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Opened:
    """A file whose column is known. ``columns``: places in a row; ``named``: its first row is their names."""

    source: Source
    delimiter: str
    columns: tuple[int, ...]
    named: bool
    how: How

    def rows(self, tell: Progress | None = None) -> Iterator[Row]:
        """Its rows without the head."""
        rows = iter(Rows(self.source.lines(tell), self.delimiter))
        if self.named:
            next(rows, None)
        return rows


def read_entries(text: str, country: str | None, *, own_hashes: bool = False) -> list[str] | tuple[str, str]:
    """What do-not-call keeps of a cell: E.164, ``sha256:`` or ``hmac:``; or why nothing, as reason and sentence. Of what can
    be read as two numbers both are kept, and of words and numbers all of these: one entry too many harms nobody."""
    text = text.strip().removeprefix("\ufeff")
    digest = _DIGEST.fullmatch(text)
    if digest is not None:
        return [SHA256 + digest[1].lower()]
    if text.startswith(PREFIX):
        if own_hashes and _OWN.fullmatch(text):
            return [text]
        return "foreign_hash", "it was hashed with a key: only --own-hashes takes it, and only of this installation"
    found = dialable(text, country, allow=frozenset({Fault.PREMIUM}))
    if isinstance(found, Dialable):
        return [found.number]
    return [one.number for one in found.either] or (found.fault.value, str(found))


def open_file(path: Path, how: How, tell: Progress | None = None) -> Opened:
    """Look a file through. Raises ConfigurationError naming what is wrong."""
    source = look(path, how.encoding, how.country, tell)
    first = list(islice(source.lines(), _HEAD))
    delimiter = how.delimiter or delimiter_of(first)
    if len(delimiter) != 1 or delimiter in '"\r\n\0 ':
        raise ConfigurationError(f"{delimiter!r} cannot be a delimiter: write one character, such as ; or ,")
    head = next(iter(Rows(first, delimiter)), None)
    if head is None:
        few = "has nothing but empty lines" if len(first) < _HEAD else f"begins with {_HEAD} empty lines"
        raise ConfigurationError(f"{path} is empty" if not source.bytes else f"{path} {few}")
    holds = [place for place, cell in enumerate(head.cells) if isinstance(read_entries(cell, how.country), list)]
    named = not holds and not any(map(str.isdigit, "".join(head.cells)))
    names = [" ".join(cell.replace("\ufeff", "").split()) for cell in head.cells]
    if how.column is not None:
        columns, named = _said(how.column, names, named)
    elif len(names) == 1:
        columns = (0,)
    elif holds:
        columns = tuple(holds)
    else:
        columns, named = _guessed(head.cells, names, how.country), True
    return Opened(source, delimiter, columns, named, how)


def _said(column: str, names: Sequence[str], named: bool) -> tuple[tuple[int, ...], bool]:
    """The column that was said, and whether the first row is names."""
    for place, name in enumerate(names):
        if name.casefold() == column.strip().casefold():
            return (place,), True
    if column.isascii() and column.isdigit() and 0 < int(column) <= len(names):
        return (int(column) - 1,), named
    near = get_close_matches(column, names, 1)
    hint = f" (nearest: {near[0]})" if near else ""
    raise ConfigurationError(f"the file has no column {column[:60]!r}{hint}: it has {', '.join(names[:20])}")


def _guessed(cells: Sequence[str], names: Sequence[str], country: str | None) -> tuple[int, ...]:
    hashes = tuple(place for place, name in enumerate(names) if name.casefold().replace(" ", "") in _HASHES)
    if hashes:
        return hashes
    try:
        return columns_of(cells, (), named=True, region=country).numbers
    except ConfigurationError as error:
        refuse_no_names(names)
        raise ConfigurationError(
            f"no column is a telephone number by its name ({', '.join(names[:10])}): write --column NAME"
        ) from error


def run(
    url: str,
    opened: Opened,
    entry: Callable[[str], Entry],
    sealed: Sealed,
    *,
    bad: Callable[[Bad], None],
    tell: Progress | None = None,
    report: Report | None = None,
) -> Report:
    """Take a file's numbers. ``entry`` makes an entry of what `read_entries` gives; ``bad`` is told of every row that holds
    nobody. ``report``: is kept up to date, for whoever wants to know how far it came. Raises SchemaError, StoreError."""
    report = report or Report()
    rows = opened.rows(tell)
    with writing(url) as connection:
        with connection.begin():
            donotcall.check_seal(connection, sealed)
        while piece := list(islice(rows, PIECE)):
            part, found, turned_away = _read(piece, opened)
            with connection.begin():
                added = donotcall.add(connection, [entry(one) for one in found], sealed)
            for one in turned_away:
                report.reasons[one.reason] = report.reasons.get(one.reason, 0) + 1
                bad(one)
            report.rows += len(piece)
            report.taken += len(piece) - len(turned_away)
            report.bad += len(turned_away)
            report.numbers += len(found)
            report.hashed += part["hashed"]
            report.both += part["both"]
            report.added += added
    return report


def _read(piece: Sequence[Row], opened: Opened) -> tuple[Mapping[str, int], list[str], list[Bad]]:
    found: list[str] = []
    turned_away: list[Bad] = []
    hashed = both = 0
    for row in piece:
        cells = [row.cells[place] for place in opened.columns if place < len(row.cells)]
        text = " ".join(cell.strip() for cell in cells)[:SHOWN_MAX]
        if row.fault:
            turned_away.append(Bad(row.line, "unreadable", row.fault, " ".join(row.cells)[:SHOWN_MAX]))
            continue
        given = [cell for cell in cells if cell.strip()]
        if not given:
            turned_away.append(Bad(row.line, "empty", "there is no number", text))
            continue
        read = [read_entries(cell, opened.how.country, own_hashes=opened.how.own_hashes) for cell in given]
        fault = next((one for one in read if isinstance(one, tuple)), None)
        # What can be read is not called, though another cell of the row be wrong
        mine = [one for one in read if isinstance(one, list)]
        found += chain.from_iterable(mine)
        hashed += sum(not one[0].startswith("+") for one in mine)
        both += sum(len(one) > 1 for one in mine)
        if fault is not None:
            turned_away.append(Bad(row.line, *fault, text))
    return {"hashed": hashed, "both": both}, found, turned_away
