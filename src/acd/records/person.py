"""What the records hold of a person, known by a telephone number: found in every table, told, or taken away.

A person is whoever called from the number, or stands with it in a list. Of these calls number, name, notes and sound go,
and explanations are rid of both; contacts go whole; elsewhere the number itself goes wherever it is mentioned. Rows of calls
and attempts stay, and so does what is counted: in the number's place stands a word made by chance, the same for all of a
person's calls and attempts, from which nobody can get back to the number. Do-not-call keeps the keyed hash.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from acd.records.contacted import KINDS, Contacted, Keys, refuse
from acd.records.mentions import Mention
from acd.records.places import CALL_TEXTS, HASH_STAYS, PLACES, TABLES, key_is
from acd.records.recordings import recording_file, remove_recording
from acd.records.seal import Seal
from acd.records.trail import entry, insert
from acd.store.beside import reading, writing
from acd.store.loglines import hide_callers, supersede
from acd.store.tables import calls, decisions, segments
from acd.store.unreadable import Unreadable

PAGE = 2000
PIECE = 200
REST_S = 0.005

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class Found:
    """Where a person stands in the records. ``own``: his calls; ``live``: those of them that have not ended."""

    own: list[str] = field(default_factory=list)
    live: list[str] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    recordings: dict[str, str] = field(default_factory=dict)
    mentions: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    """Table -> keys of the rows, other than his own, that mention the number."""
    dialling: Keys = field(default_factory=lambda: {name: [] for name in KINDS})
    """Table -> keys of his rows among what dialling keeps."""
    in_flight: list[str] = field(default_factory=list)
    """In words, what of it is being dialled: nothing can be erased then."""

    def counts(self) -> dict[str, int]:
        """``{"calls", "recordings", "contacts"..., "mentions in TABLE"...}``."""
        found = {"calls": len(self.own), "recordings": len(self.recordings)}
        found |= {table: len(keys) for table, keys in self.dialling.items()}
        return found | {f"mentions in {table}": len(keys) for table, keys in self.mentions.items()}


class Person:
    """The person behind ``number`` in one database. Raises ConfigurationError on what is no number."""

    def __init__(self, url: str, number: str, seal: Seal, recordings: Path, progress: Progress | None = None) -> None:
        self._url, self._recordings = url, recordings
        self.mention = Mention(number, seal.numbering)
        self.sealed = seal.of(f"+{self.mention.canonical}")
        self._sealed_too = Mention(number, seal.numbering, self.sealed)
        self._contacted = Contacted(self.mention, seal)
        self._progress = progress or (lambda what, done, total: None)

    # -- finding -----------------------------------------------------------------------------------------------------

    def find(self) -> Found:
        """Everything, in looks of their own. Raises SchemaError, StoreError."""
        found = Found()
        with reading(self._url, lenient=True) as connection:
            self._find_calls(connection, found)
            with connection.begin():
                found.dialling = self._contacted.find(connection)
                names, numbers = self._contacted.names(connection, found.dialling)
                found.in_flight = self._contacted.in_flight(connection, found.dialling)
            found.names |= names
            found.numbers |= numbers
            for name, columns in PLACES.items():
                if name != "calls":
                    found.mentions[name] = self._mentions(connection, TABLES[name], columns, found)
        return found

    def _mentions(
        self, connection: sa.Connection, table: sa.Table, columns: tuple[str, ...], found: Found
    ) -> list[tuple[Any, ...]]:
        """Keys of a table's rows, but for his own, that mention the number in one of ``columns``."""
        rows = {key: None for name in columns for key, _ in self._texts(connection, table, table.c[name])}
        calls_too = table in (segments, decisions)
        own = set(found.own) if calls_too else set(found.dialling.get(table.name, ()))
        return [key for key in rows if (key[0] if calls_too else key) not in own]

    def _find_calls(self, connection: sa.Connection, found: Found) -> None:
        columns = (calls.c.call, calls.c.caller_number, calls.c.caller_name, calls.c.ended_at, calls.c.recording)
        query = (
            sa.select(*columns, *(calls.c[name] for name in CALL_TEXTS), calls.c.tags)
            .order_by(calls.c.call)
            .limit(PAGE)
        )
        with connection.begin():
            total = connection.execute(sa.select(sa.func.count()).select_from(calls)).scalar_one()
        mentioned: list[tuple[Any, ...]] = []
        last, done = "", 0
        while True:
            with connection.begin():
                page = connection.execute(query.where(calls.c.call > last) if last else query).all()
            for row in page:
                if row.caller_number == self.sealed or self.mention.is_it(row.caller_number):
                    self._own(row, found)
                elif any(map(self._sealed_too.in_text, (row.target, row.disposition, row.notes, *_several(row.tags)))):
                    mentioned.append((row.call,))
            done += len(page)
            self._progress("calls", done, max(total, done))
            if len(page) < PAGE:
                break
            last = page[-1].call
        found.mentions["calls"] = mentioned

    @staticmethod
    def _own(row: Any, found: Found) -> None:
        found.own.append(row.call)
        found.numbers.add(row.caller_number)
        if row.ended_at is None:
            found.live.append(row.call)
        if row.caller_name:
            found.names.add(row.caller_name)
        if row.recording:
            found.recordings[row.call] = row.recording

    def _texts(
        self, connection: sa.Connection, table: sa.Table, column: sa.Column[Any]
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Keys and values of a column, text or JSON, that mention the number."""
        key = list(table.primary_key)
        text = sa.cast(column, sa.Text)
        like = "%" + "%".join(self.mention.core) + "%"
        with connection.begin():
            mention = self._of_table(table)
            wanted: list[sa.ColumnElement[bool]] = [text.like(like)]
            if mention.sealed:
                wanted.append(text.contains(mention.sealed, autoescape=True))
            rows = connection.execution_options(yield_per=PAGE).execute(sa.select(*key, column).where(sa.or_(*wanted)))
            with rows:
                for row in rows:
                    value = row[-1]
                    if mention.scrubbed(value) != value:
                        yield tuple(row[:-1]), value

    def would_go(self, found: Found) -> dict[str, int]:
        """What `erase` would take away: do-not-call entries that are hashes stay as they are."""
        return found.counts() | {"do_not_call": self._contacted.unsealed(found.dialling)}

    # -- telling -----------------------------------------------------------------------------------------------------

    def calls(self, found: Found) -> Iterator[dict[str, Any]]:
        """His calls, each with ``"segments"`` and ``"decisions"``."""
        with reading(self._url, lenient=True) as connection:
            for start in range(0, len(found.own), PIECE):
                names = found.own[start : start + PIECE]
                with connection.begin():
                    rows = connection.execute(
                        sa.select(calls).where(calls.c.call.in_(names)).order_by(calls.c.entered_at)
                    )
                    bodies = {row.call: {**row._mapping, "segments": [], "decisions": []} for row in rows}
                    for table in (segments, decisions):
                        query = sa.select(table).where(table.c.call.in_(names)).order_by(table.c.call, table.c.serial)
                        for row in connection.execute(query):
                            if row.call in bodies:
                                bodies[row.call][table.name].append(dict(row._mapping))
                yield from bodies.values()

    def others(self, found: Found) -> Iterator[dict[str, Any]]:
        """What mentions the number elsewhere: ``{"table", "row"}``."""
        return self._rows(found.mentions)

    def _rows(self, found: Keys) -> Iterator[dict[str, Any]]:
        with reading(self._url, lenient=True) as connection:
            for name, keys in found.items():
                table = TABLES[name]
                for key in keys:
                    with connection.begin():
                        row = connection.execute(sa.select(table).where(*key_is(table, key))).first()
                    if row is not None:
                        yield {"table": name, "row": dict(row._mapping)}

    def dialled(self, found: Found) -> Iterator[dict[str, Any]]:
        """What dialling keeps of him: ``{"table", "row"}``."""
        return self._rows(found.dialling)

    def sound(self, found: Found) -> Iterator[tuple[str, Path]]:
        """Calls and the files with their sound, as far as they are there."""
        for call, name in found.recordings.items():
            path = recording_file(self._recordings, name)
            if path is not None and path.is_file():
                yield call, path

    # -- taking away -------------------------------------------------------------------------------------------------

    def erase(self, found: Found, who: str, *, keep_away: bool = False) -> dict[str, int]:
        """Take away what was found, and note it in the audit log by the number's hash alone: what went, and
        ``"undeleted"`` recordings. ``keep_away``: the next list is not to bring the person back. Raises
        SchemaError, StoreError, and RefusedError, nothing done, while the person is being dialled."""
        refuse(found.in_flight)
        mentions = (f"mentions in {name}" for name in found.mentions)
        done = dict.fromkeys(("calls", "recordings", "undeleted", *KINDS, *mentions), 0)
        token = f"erased:{secrets.token_hex(6)}"
        with writing(self._url, lenient=True) as connection:
            with connection.begin():
                # Later they have other keys
                for key in found.dialling["do_not_call"]:
                    self._scrub(connection, TABLES["do_not_call"], key)
                done |= self._contacted.take(connection, found.dialling)
                if keep_away:
                    self._contacted.keep_away(connection, time.time(), who)
            self._strip(connection, found, token, done)
            for start in range(0, len(found.own), PIECE):
                names = found.own[start : start + PIECE]
                gone = [name for name in names if name in found.recordings and self._delete(found.recordings[name])]
                done["recordings"] += len(gone)
                done["undeleted"] += sum(name in found.recordings for name in names) - len(gone)
                with connection.begin():
                    self._erase_calls(connection, names, gone, token, frozenset(found.names))
                done["calls"] += len(names)
                self._progress("erasing", done["calls"], len(found.own))
                time.sleep(REST_S)
            for name, keys in found.mentions.items():
                for start in range(0, len(keys), PIECE):
                    with connection.begin():
                        for key in keys[start : start + PIECE]:
                            done[f"mentions in {name}"] += self._scrub(connection, TABLES[name], key)
                    time.sleep(REST_S)
            with connection.begin():
                supersede(connection)
                # Numbers that are masked, too, and what was written until now of what had been read before
                for start in range(0, len(found.own), PIECE):
                    hide_callers(connection, found.own[start : start + PIECE], token)
                insert(connection, entry(who, "person_erased", self.sealed, {"rows": dict(done)}))
        return done

    def _strip(self, connection: sa.Connection, found: Found, token: str, done: dict[str, int]) -> None:
        """Rid his attempts, and rows of lists, of who they were about."""
        names, numbering = frozenset(found.names), self.mention.numbering
        others = tuple(Mention(number, numbering) for number in sorted(found.numbers) if number.startswith("+"))
        for table in ("attempts", "list_rejects"):
            keys = found.dialling[table]
            for start in range(0, len(keys), PIECE):
                with connection.begin():
                    for key in keys[start : start + PIECE]:
                        if table == "attempts":
                            done[table] += self._contacted.strip_attempt(connection, key[0], token, others, names)
                        else:
                            done[table] += self._contacted.strip_reject(connection, key)
                time.sleep(REST_S)

    def _of_table(self, table: sa.Table) -> Mention:
        """Who did what to whom stays told by the hash, as do known callers of former configurations, and do-not-call."""
        return self.mention if table.name in HASH_STAYS else self._sealed_too

    def _delete(self, name: str) -> bool:
        return remove_recording(self._recordings, name)

    def _erase_calls(
        self, connection: sa.Connection, names: list[str], gone: list[str], token: str, known: frozenset[str]
    ) -> None:
        for name in names:
            self._scrub(connection, calls, (name,), own=True)
        for table in (segments, decisions):
            key = list(table.primary_key)
            for row in connection.execute(sa.select(*key).where(table.c.call.in_(names))).all():
                self._scrub(connection, table, tuple(row), known, own=True)
        blank = {"caller_number": token, "caller_name": "", "notes": None}
        connection.execute(sa.update(calls).where(calls.c.call.in_(names)).values(blank))
        connection.execute(sa.update(calls).where(calls.c.call.in_(gone)).values(recording=None))

    def _scrub(
        self,
        connection: sa.Connection,
        table: sa.Table,
        key: tuple[Any, ...],
        names: frozenset[str] = frozenset(),
        *,
        own: bool = False,
    ) -> int:
        """Rid one row of the number; 1 if it had it. What is no JSON goes whole if it has it, and in a row of his own."""
        texts = [column for column in table.c if column.name in PLACES[table.name]]
        row = connection.execute(sa.select(*texts).where(*key_is(table, key))).first()
        if row is None:
            return 0
        old = dict(row._mapping)
        mention = self._of_table(table)
        new = {name: mention.scrubbed(value, names) for name, value in old.items()}
        for column in texts:
            value = old[column.name]
            if isinstance(value, Unreadable) and (own or new[column.name] != value):
                new[column.name] = None if column.nullable else {}
        changed = {name: value for name, value in new.items() if value != old[name]}
        if changed.get("number"):
            # A promise to call at a number that is nobody's any more is one to call at the contact's first
            changed["number"] = None
        if changed:
            connection.execute(sa.update(table).where(*key_is(table, key)).values(changed))
        return int(bool(changed))


def _several(tags: Any) -> list[str]:
    """A call's tags; what cannot be read is one."""
    return [tags] if isinstance(tags, str) else list(map(str, tags or ()))
