"""What the records hold of a person, known by a telephone number: found in every table, told, or taken away.

A person is whoever called from the number. Of these calls number, name, notes and sound go, and explanations are rid of
both; elsewhere the number itself goes wherever it is mentioned. Rows stay, and so does what is counted: in the number's
place stands a word made by chance, the same for all of a person's calls, from which nobody can get back to the number.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from acd.records.mentions import Mention
from acd.records.recordings import recording_file, remove_recording
from acd.records.rows import reading, writing
from acd.records.seal import Seal
from acd.records.trail import entry, insert
from acd.store.tables import audit, calls, decisions, revisions, segments

PAGE = 2000
PIECE = 200
REST_S = 0.005
TEXTS = ("target", "disposition", "notes")
"""Of a call, what may mention a number."""

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
    """Table -> keys of the rows, other than his calls, that mention the number."""

    def counts(self) -> dict[str, int]:
        """``{"calls", "recordings", "mentions in TABLE"...}``."""
        found = {"calls": len(self.own), "recordings": len(self.recordings)}
        return found | {f"mentions in {table}": len(keys) for table, keys in self.mentions.items()}


class Person:
    """The person behind ``number`` in one database. Raises ConfigurationError on what is no number."""

    def __init__(self, url: str, number: str, seal: Seal, recordings: Path, progress: Progress | None = None) -> None:
        self._url, self._recordings = url, recordings
        self.sealed = seal.of(number)
        self.mention = Mention(number, seal.numbering)
        self._sealed_too = Mention(number, seal.numbering, self.sealed)
        self._progress = progress or (lambda what, done, total: None)

    # -- finding -----------------------------------------------------------------------------------------------------

    def find(self) -> Found:
        """Everything, in looks of their own. Raises SchemaError, StoreError."""
        found = Found()
        with reading(self._url) as connection:
            self._find_calls(connection, found)
            own = set(found.own)
            for table, column in ((segments, segments.c.target), (decisions, decisions.c.detail)):
                keys = [key for key, value in self._texts(connection, table, column) if key[0] not in own]
                found.mentions[table.name] = keys
            for table in (revisions, audit):
                columns = [column for column in table.c if column.name in ("detail", "who", "subject")]
                rows = {key: None for column in columns for key, _ in self._texts(connection, table, column)}
                found.mentions[table.name] = list(rows)
        return found

    def _find_calls(self, connection: sa.Connection, found: Found) -> None:
        columns = (calls.c.call, calls.c.caller_number, calls.c.caller_name, calls.c.ended_at, calls.c.recording)
        query = sa.select(*columns, *(calls.c[name] for name in TEXTS), calls.c.tags).order_by(calls.c.call).limit(PAGE)
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
                elif any(map(self._sealed_too.in_text, (row.target, row.disposition, row.notes, *(row.tags or ())))):
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

    # -- telling -----------------------------------------------------------------------------------------------------

    def calls(self, found: Found) -> Iterator[dict[str, Any]]:
        """His calls, each with ``"segments"`` and ``"decisions"``."""
        with reading(self._url) as connection:
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
        with reading(self._url) as connection:
            for name, keys in found.mentions.items():
                table = _TABLES[name]
                for key in keys:
                    with connection.begin():
                        row = connection.execute(sa.select(table).where(*_of(table, key))).first()
                    if row is not None:
                        yield {"table": name, "row": dict(row._mapping)}

    def sound(self, found: Found) -> Iterator[tuple[str, Path]]:
        """Calls and the files with their sound, as far as they are there."""
        for call, name in found.recordings.items():
            path = recording_file(self._recordings, name)
            if path is not None and path.is_file():
                yield call, path

    # -- taking away -------------------------------------------------------------------------------------------------

    def erase(self, found: Found, who: str) -> dict[str, int]:
        """Take away what was found, and note it in the audit log by the number's hash alone: what went, and
        ``"undeleted"`` recordings. Raises SchemaError, StoreError."""
        done = dict.fromkeys(
            ("calls", "recordings", "undeleted", *(f"mentions in {name}" for name in found.mentions)), 0
        )
        token = f"erased:{secrets.token_hex(6)}"
        with writing(self._url) as connection:
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
                            done[f"mentions in {name}"] += self._scrub(connection, _TABLES[name], key)
                    time.sleep(REST_S)
            with connection.begin():
                insert(connection, entry(who, "person_erased", self.sealed, {"rows": dict(done)}))
        return done

    def _of_table(self, table: sa.Table) -> Mention:
        """Who did what to whom stays told by the hash, as do known callers of former configurations."""
        return self.mention if table in (revisions, audit) else self._sealed_too

    def _delete(self, name: str) -> bool:
        return remove_recording(self._recordings, name)

    def _erase_calls(
        self, connection: sa.Connection, names: list[str], gone: list[str], token: str, known: frozenset[str]
    ) -> None:
        for name in names:
            self._scrub(connection, calls, (name,))
        for table in (segments, decisions):
            key = list(table.primary_key)
            for row in connection.execute(sa.select(*key).where(table.c.call.in_(names))).all():
                self._scrub(connection, table, tuple(row), known)
        blank = {"caller_number": token, "caller_name": "", "notes": None}
        connection.execute(sa.update(calls).where(calls.c.call.in_(names)).values(blank))
        connection.execute(sa.update(calls).where(calls.c.call.in_(gone)).values(recording=None))

    def _scrub(
        self, connection: sa.Connection, table: sa.Table, key: tuple[Any, ...], names: frozenset[str] = frozenset()
    ) -> int:
        """Rid one row of the number; 1 if it had it."""
        texts = [column for column in table.c if column.name in _MENTIONING[table.name]]
        row = connection.execute(sa.select(*texts).where(*_of(table, key))).first()
        if row is None:
            return 0
        old = dict(row._mapping)
        mention = self._of_table(table)
        new = {name: mention.scrubbed(value, names) for name, value in old.items()}
        changed = {name: value for name, value in new.items() if value != old[name]}
        if changed:
            connection.execute(sa.update(table).where(*_of(table, key)).values(changed))
        return int(bool(changed))


_TABLES = {table.name: table for table in (calls, segments, decisions, revisions, audit)}
_MENTIONING = {
    "calls": (*TEXTS, "tags"),
    "segments": ("target",),
    "decisions": ("detail",),
    "revisions": ("detail", "who"),
    "audit": ("detail", "who", "subject"),
}


def _of(table: sa.Table, key: tuple[Any, ...]) -> list[sa.ColumnElement[bool]]:
    return [column == value for column, value in zip(table.primary_key, key, strict=True)]
