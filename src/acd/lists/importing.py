"""The import of a list of contacts: piece by piece, each with its figures in one transaction.

Why not all or nothing: a transaction over a million rows would keep the service from writing for a minute, and a row that
is good is good without those behind it. So an import that was cut off, by whatever, has done its first so many rows and
no other: begun again with the same file in the same way, it goes on with the next. Memory is bounded by the pieces on
their way; what is a duplicate is asked of the database's index, not remembered.
"""

from __future__ import annotations

import gc
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from acd.domain.cells import as_it_was
from acd.domain.errors import AcdError, ConfigurationError, RefusedError
from acd.domain.values import valueclass
from acd.lists.columns import OURS, Columns, columns_of
from acd.lists.prepare import Reject, Terms, kept, prepared
from acd.lists.rows import Row, Rows, delimiter_of
from acd.lists.source import Progress, Source, look
from acd.lists.workers import GARBAGE, pack_rows, ready, unpack, work
from acd.store.beside import reading, writing
from acd.store.outbound import contacts as of
from acd.store.outbound import donotcall, listed, replacing
from acd.store.outbound.bulk import expect_many
from acd.store.outbound.contacts import NewContact, State
from acd.store.outbound.donotcall import Sealed
from acd.store.outbound.tables import contact_numbers, contacts

PIECE = 2000
"""Rows in one transaction."""
ALONE_BYTES = 1_000_000
"""Smaller files are done without other processes, which take longer to start."""
REST_MAX_S = 0.02
NAME_RULE = "letters, digits, - _ and . , at most 60 characters"
_HEAD = 60
_ERASED = "the person was erased: nothing of the row is kept"

Within = Literal["skip", "keep", "update"]
Across = Literal["keep", "skip", "move"]


@valueclass(frozen=True, slots=True)
class How:
    """How a file is to be read. ``within``: what becomes of rows whose first number, or key, a contact of the list has;
    ``across``: of those that a contact of another list of the same client has. ``said``: as `columns.said_of`."""

    country: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    header: bool = True
    said: tuple[tuple[str, str], ...] = ()
    within: Within = "skip"
    across: Across = "keep"
    premium: bool = False
    replace: bool = False
    allow_erased: bool = False


@dataclass(slots=True)
class Opened:
    """A file whose columns are known."""

    source: Source
    delimiter: str
    columns: Columns
    terms: Terms
    how: How

    def rows(self, tell: Progress | None = None) -> Iterator[Row]:
        """Its rows without the head."""
        rows = self._rows(tell)
        if self.how.header:
            next(rows, None)
        return rows

    def _rows(self, tell: Progress | None = None) -> Iterator[Row]:
        lines = self.source.lines(tell)
        found = Rows((line for line in lines if line.number > 1 or not _is_hint(line.text)), self.delimiter)
        found.width = len(self.columns.columns) if self.columns.columns else None
        return iter(found)

    def as_json(self) -> dict[str, Any]:
        """What tells whether two imports of one file are the same."""
        how = self.how
        return {
            "encoding": self.source.told, "delimiter": self.delimiter, "columns": self.columns.as_json(),
            "country": how.country, "header": how.header, "within": how.within, "across": how.across,
            "premium": how.premium, "replace": how.replace, "allow_erased": how.allow_erased,
        }  # fmt: skip


def _is_hint(text: str) -> bool:
    return text.lower().startswith("sep=") and len(text.strip()) == 5


def open_file(path: Path, how: How, tell: Progress | None = None) -> Opened:
    """Look a file through: its encoding, delimiter and columns. Raises ConfigurationError."""
    source = look(path, how.encoding, how.country, tell)
    first = list(islice(source.lines(), _HEAD))
    if not any(line.text.strip("\ufeff \t\r\n") for line in first):
        few = "has nothing but empty lines" if len(first) < _HEAD else f"begins with {_HEAD} empty lines"
        raise ConfigurationError(f"{path} is empty" if not source.bytes else f"{path} {few}")
    delimiter = how.delimiter or delimiter_of(first)
    if len(delimiter) != 1 or delimiter in '"\r\n\0 ':
        raise ConfigurationError(f"{delimiter!r} cannot be a delimiter: write one character, such as ; or ,")
    head = next(iter(Rows((line for line in first if line.number > 1 or not _is_hint(line.text)), delimiter)), None)
    if head is None or head.fault:
        fault = "it has no row" if head is None else head.fault
        raise ConfigurationError(f"the first row of {path} cannot be read: {fault}")
    cells = [as_it_was(cell) for cell in head.cells] if set(OURS) & set(head.cells) else head.cells
    columns = columns_of(cells, how.said, named=how.header, region=how.country)
    return Opened(source, delimiter, columns, Terms(columns, how.country, how.premium), how)


@dataclass(slots=True)
class Report:
    """What became of a file's rows: ``rows == imported + duplicates + rejected``. ``updated`` and ``moved`` are among the
    duplicates, ``carried`` (contacts that the list had and that stay who they are) among the imported. ``removed``, and
    ``in_calls``: blocked where they could not be, for they talk. ``resumed``: so many rows were done before."""

    imported_as: int
    rows: int = 0
    imported: int = 0
    duplicates: int = 0
    rejected: int = 0
    updated: int = 0
    moved: int = 0
    removed: int = 0
    carried: int = 0
    in_calls: int = 0
    resumed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def figures(self) -> dict[str, int]:
        """What is kept of them."""
        return {name: getattr(self, name) for name in listed.FIGURES}


def check_name(name: str) -> str:
    """A list's name. Raises ConfigurationError."""
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if not 0 < len(name) <= 60 or not name.isascii() or not plain.isalnum() or name[0] in "-.":
        raise ConfigurationError(f"{name!r} cannot be a list's name: {NAME_RULE}")
    return name


def look_only(opened: Opened, shown: int = 10) -> tuple[Report, list[NewContact], list[Reject]]:
    """What an import would do, but for duplicates, with the first few contacts and rejections. Changes nothing."""
    report = Report(0)
    good: list[NewContact] = []
    bad: list[Reject] = []
    for row in opened.rows():
        one = prepared(row, opened.terms)
        report.rows += 1
        if isinstance(one, Reject):
            report.rejected += 1
            report.reasons[one.reason] = report.reasons.get(one.reason, 0) + 1
            bad += [one] if len(bad) < shown else []
        else:
            report.imported += 1
            good += [one] if len(good) < shown else []
    return report, good, bad


def run(
    url: str,
    opened: Opened,
    name: str,
    by: str,
    *,
    client: str | None = None,
    description: str = "",
    sealed: Sealed | None = None,
    jobs: int = 2,
    tell: Progress | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Import a file into a list, which is made if there is none. ``sealed`` tells people who were erased. Raises
    SchemaError, StoreError, ConfigurationError, and RefusedError of a list that would be replaced by nothing."""
    check_name(name)
    with writing(url) as connection, _little_garbage():
        expect_many(connection)
        with connection.begin():
            listed.create(
                connection, name, by, clock(), description=description, client=client, country=opened.how.country
            )
            whose = listed.get(connection, name)["client"]
            # A file's name may be any bytes
            source = opened.source.path.name.encode("utf-8", "replace").decode()
            begun = listed.begin(connection, name, source, opened.source.digest, opened.as_json(), by, clock())
            others = listed.of_client(connection, whose, name) if opened.how.across != "keep" else []
        report = Report(begun["import"], **{figure: begun[figure] for figure in listed.FIGURES}, resumed=begun["rows"])
        target = _Target(connection, name, others, opened.how, report, clock, sealed)
        with _prepared(opened, report.resumed, jobs, tell) as pieces:
            for rows, piece in pieces:
                began = time.monotonic()
                target.take(rows, piece)
                sleep(min((time.monotonic() - began) / 4, REST_MAX_S))
        nobody = opened.how.replace and not listed.holds(connection, name, report.imported_as)
        if opened.how.replace and not nobody:
            _empty(connection, name, report, clock, sleep)
        with connection.begin():
            listed.end(connection, report.imported_as, clock())
            report.reasons = listed.reasons(connection, report.imported_as)
    if nobody:
        raise RefusedError(
            f"{source} holds no contact, so none of list {name} was taken away; `acd list delete {name}` takes away all"
        )
    return report


def _empty(
    connection: sa.Connection, name: str, report: Report, clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    """Take away what other imports brought into a list and this one does not hold."""
    after = 0
    while True:
        with connection.begin():
            ids = listed.others_than(connection, name, report.imported_as, after, PIECE)
            removed, blocked = replacing.take_away(connection, ids, clock())
        report.removed += removed
        report.in_calls += blocked
        if len(ids) < PIECE:
            return
        after = ids[-1]
        sleep(REST_MAX_S)


@contextmanager
def _little_garbage() -> Iterator[None]:
    """Rows come and go by the thousand, and none in circles: looking for those would take a sixth of the time."""
    before = gc.get_threshold()
    gc.set_threshold(GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)


Piece = tuple[list[Row], list[NewContact | Reject]]
"""Rows, and what each of them is."""


@contextmanager
def _prepared(opened: Opened, skip: int, jobs: int, tell: Progress | None) -> Iterator[Iterator[Piece]]:
    """What a file's rows are, from row ``skip`` on, piece by piece; by other processes if that pays."""
    rows = islice(opened.rows(tell), skip, None)
    chunks = iter(lambda: list(islice(rows, PIECE)), [])
    if jobs < 2 or opened.source.bytes < ALONE_BYTES:
        yield ((chunk, [prepared(row, opened.terms) for row in chunk]) for chunk in chunks)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=ready, initargs=(opened.terms,))
    try:
        yield _in_turn(pool, chunks, jobs)
    except BrokenProcessPool as error:
        raise AcdError(
            "a process that read numbers was ended: run the import again, it goes on where it stopped"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _in_turn(pool: ProcessPoolExecutor, chunks: Iterable[list[Row]], jobs: int) -> Iterator[Piece]:
    waiting: deque[tuple[list[Row], Future[bytes]]] = deque()
    for chunk in chunks:
        waiting.append((chunk, pool.submit(work, pack_rows(chunk))))
        if len(waiting) > 2 * jobs:
            rows, found = waiting.popleft()
            yield rows, unpack(found.result())
    for rows, found in waiting:
        yield rows, unpack(found.result())


def _place(of: int) -> int:
    """What stands for a row of the piece among contacts, and the row for which something stands."""
    return -1 - of


class _Holders:
    """Who has a number or a key, with what the rows of a piece have changed so far: contacts of the list, and rows of the
    piece (`_place`). ``fixed``: numbers that stay with their contacts, for these are being dialled. ``changes``: whether
    rows may change who they are."""

    def __init__(self, numbers: Mapping[str, int], keys: Mapping[str, int], fixed: Set[str], *, changes: bool) -> None:
        self._numbers, self._keys, self._fixed, self._changes = dict(numbers), dict(keys), fixed, changes
        self._has: defaultdict[int, list[str]] = defaultdict(list)
        self._named: defaultdict[int, list[str]] = defaultdict(list)
        if changes:
            for number, holder in numbers.items():
                self._has[holder].append(number)
            for key, holder in keys.items():
                self._named[holder].append(key)

    def find(self, one: NewContact) -> tuple[int | None, str]:
        """Who has its key, else its first number; and which of the two."""
        there = self._keys.get(one.key) if one.key else None
        return (self._numbers.get(one.numbers[0].number), "number") if there is None else (there, "key")

    def add(self, holder: int, one: NewContact) -> None:
        """A row becomes a contact. Whoever had one of its numbers before is still found by it."""
        for each in one.numbers:
            if each.number not in self._numbers:
                self._numbers[each.number] = holder
                if self._changes:
                    self._has[holder].append(each.number)
        if one.key and one.key not in self._keys:
            self._keys[one.key] = holder
            if self._changes:
                self._named[holder].append(one.key)

    def change(self, holder: int, one: NewContact, *, keeps_key: bool) -> None:
        """From now on it is what the row says, but for its key if the row has none (``keeps_key``)."""
        for number in self._has.pop(holder, ()):
            if number in self._fixed:
                self._has[holder].append(number)
            else:
                del self._numbers[number]
        if one.key or not keeps_key:
            for key in self._named.pop(holder, ()):
                del self._keys[key]
        self.add(holder, one)


class _Target:
    """The list that rows go into."""

    def __init__(
        self, connection: sa.Connection, name: str, others: Sequence[str], how: How, report: Report,
        clock: Callable[[], float], sealed: Sealed | None = None,
    ) -> None:  # fmt: skip
        self._sealed = sealed
        self._connection, self._name, self._others, self._how = connection, name, others, how
        self._report, self._clock = report, clock

    def take(self, rows: Sequence[Row], piece: Sequence[NewContact | Reject]) -> None:
        """Make contacts of what ``rows`` are, and note what became of each, in one transaction."""
        report = self._report
        before, figures = report.rows, (report.imported, report.duplicates, report.rejected)
        now = self._clock()
        with self._connection.begin():
            fresh, carried = self._sift(rows, piece, now)
            of.add(self._connection, self._name, fresh, now, imported=report.imported_as)
            replacing.carry(self._connection, carried, report.imported_as, now)
            report.rows += len(piece)
            report.imported += len(fresh) + len(carried)
            report.carried += len(carried)
            if not listed.advance(self._connection, report.imported_as, report.figures(), before):
                raise ConfigurationError(f"another process imports this file into {self._name} now: let it end")
        assert report.rows - before == report.imported + report.duplicates + report.rejected - sum(figures)

    def _sift(
        self, rows: Sequence[Row], piece: Sequence[NewContact | Reject], now: float
    ) -> tuple[list[NewContact], dict[int, NewContact]]:
        """The rows that become contacts, and those that are contacts of a list that is replaced; of the others it is noted
        why they do not."""
        piece = self._without_erased(piece)
        good = [one for one in piece if isinstance(one, NewContact)]
        numbers = list({one.numbers[0].number for one in good})
        taken = of.taken_numbers(self._connection, numbers, [self._name, *self._others])
        keys = of.taken_keys(self._connection, list({one.key for one in good if one.key}), self._name)
        mine: dict[str, int] = {number: found[0] for number, found in taken.items() if found[1] == self._name}
        if self._how.within == "update" or self._how.across == "move" or self._how.replace:
            # A campaign may work on them, too
            of.hold(self._connection, list({*keys.values(), *(contact for contact, _, _ in taken.values())}))
        before: set[int] = set()
        if self._how.replace:
            both = list({*keys.values(), *mine.values()})
            before = replacing.brought_before(self._connection, both, self._report.imported_as)
        carried: dict[int, NewContact] = {}
        fresh: list[NewContact] = []
        fixed = {number for number, found in taken.items() if found[2] == State.IN_FLIGHT}
        holders = _Holders(mine, keys, fixed, changes=self._how.within == "update" or bool(before))
        rejects: list[tuple[int, int, int, str, str, Sequence[str]]] = []
        first = self._report.rows + 1
        for row, one in enumerate(piece, first):
            if isinstance(one, Reject):
                self._report.rejected += 1
                rejects.append((self._report.imported_as, row, one.line, one.reason, one.detail, one.cells))
                continue
            number = one.numbers[0].number
            there, what = holders.find(one)
            if there is not None and there in before:
                if there not in carried:
                    carried[there] = one
                    holders.change(there, one, keeps_key=False)
                    continue
                why = self._row_above(one, there, what, carried)
            else:
                why = self._double(one, there, what, fresh, now)
            if there is not None and self._how.within == "update":
                holders.change(there, one, keeps_key=there not in carried)
            if why is None and number in taken and taken[number][1] != self._name:
                why = self._elsewhere(number, taken[number], now)
            if why is not None:
                self._report.duplicates += 1
                cells = kept(rows[row - first].cells)
                rejects.append((self._report.imported_as, row, one.line, "duplicate", why, cells))
                continue
            holders.add(_place(len(fresh)), one)
            fresh.append(one)
        listed.reject(self._connection, rejects)
        return fresh, carried

    def _without_erased(self, piece: Sequence[NewContact | Reject]) -> Sequence[NewContact | Reject]:
        """The rows without people who were erased, unless they have come back: by a consent since then, or as it is said."""
        if self._sealed is None:
            return piece
        numbers = {each.number for one in piece if isinstance(one, NewContact) for each in one.numbers}
        gone = donotcall.erased(self._connection, list(numbers), self._sealed)
        if not gone:
            return piece
        kept: list[NewContact | Reject] = []
        for one in piece:
            mine = [each.number for each in one.numbers if each.number in gone] if isinstance(one, NewContact) else []
            if isinstance(one, NewContact) and mine:
                since_s = max(gone[number] for number in mine)
                if not self._how.allow_erased and (one.consent_at is None or one.consent_at <= since_s):
                    kept.append(Reject(one.line, "erased", _ERASED, ()))
                    continue
                for number in mine:
                    donotcall.remove(self._connection, number, [donotcall.ERASED], self._sealed)
            kept.append(one)
        return kept

    def _double(self, one: NewContact, there: int | None, what: str, fresh: list[NewContact], now: float) -> str | None:
        """Why a row is no new contact of this list, where ``there`` is one, or a row of this piece; None if it is."""
        if there is None or self._how.within == "keep":
            return None
        if self._how.within == "skip":
            return f"a row above has this {what}" if there < 0 else f"contact {there} of this list has this {what}"
        self._report.updated += 1
        if there >= 0:
            of.update_from(self._connection, there, one, now)
            return f"contact {there} has this {what}, and was updated"
        fresh[_place(there)] = of.updated(fresh[_place(there)], one)
        return f"took the place of a row above with this {what}"

    def _row_above(self, one: NewContact, there: int, what: str, carried: dict[int, NewContact]) -> str | None:
        """As `_double`, of a row whose contact a row above in this piece has taken over."""
        if self._how.within == "keep":
            return None
        if self._how.within == "skip":
            return f"a row above has this {what}"
        self._report.updated += 1
        carried[there] = one
        return f"took the place of a row above with this {what}"

    def _elsewhere(self, number: str, found: tuple[int, str, str], now: float) -> str | None:
        contact, where, state = found
        if self._how.across == "skip":
            return f"contact {contact} of list {where} has this number"
        if state == State.IN_FLIGHT or not of.move(self._connection, [contact], self._name, now):
            return f"contact {contact} of list {where} has this number, and is being dialled now"
        if self._how.replace:
            replacing.take_over(self._connection, contact, self._report.imported_as)
        self._report.moved += 1
        return f"contact {contact} was moved here from list {where}"


def shared_with(url: str, report: Report, name: str, others: Sequence[str]) -> int:
    """How many contacts of an import have a first number that a contact of one of the ``others`` has, too. Raises
    StoreError."""
    mine, theirs = contact_numbers.alias(), contact_numbers.alias()
    here, there = contacts.alias(), contacts.alias()
    twin = sa.exists().where(
        theirs.c.number == mine.c.number, there.c.contact == theirs.c.contact, there.c.list.in_(others)
    )
    query = sa.select(sa.func.count()).where(here.c.list == name, here.c["import"] == report.imported_as)
    query = query.where(mine.c.contact == here.c.contact, mine.c.position == 0, twin)
    with reading(url) as connection, connection.begin():
        return int(connection.execute(query).scalar_one())


def rejects_of(url: str, name: str, imported: int | None) -> Iterator[dict[str, Any]]:
    """Rows of a list's import (the latest) that became no contact, as `listed.rejects`. Raises StoreError,
    UnknownNameError."""
    with reading(url) as connection:
        which = _import_of(connection, name, imported)
        after = 0
        while which is not None:
            with connection.begin():
                rows = listed.rejects(connection, which["import"], after)
            yield from rows
            if not rows:
                return
            after = rows[-1]["row"]


def head_of(url: str, name: str, imported: int | None) -> list[str]:
    """The names of the columns of a list's import (the latest). Raises as `rejects_of`."""
    with reading(url) as connection:
        which = _import_of(connection, name, imported)
    return [] if which is None else [column for column, *_ in which["how"].get("columns", ())]


def _import_of(connection: sa.Connection, name: str, imported: int | None) -> dict[str, Any] | None:
    with connection.begin():
        listed.get(connection, name)
        known = {one["import"]: one for one in listed.imports(connection, name)}
    if imported is not None and imported not in known:
        raise ConfigurationError(f"list {name} has no import {imported}: it has {', '.join(map(str, known)) or 'none'}")
    return known[imported] if imported is not None else next(iter(known.values()), None)
