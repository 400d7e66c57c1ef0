"""Reading a journal back: which life, from which part, event by event, and how it ends. Nothing is replayed here.

Whatever a crash, a full disk or a person left in the files, reading ends with a word on it and never with a traceback.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from acd.domain.definition import FloorDefinition
from acd.domain.events import Event
from acd.domain.instant import Instant
from acd.domain.values import valueclass
from acd.engine.codec import CodecError, decode
from acd.engine.journal_lines import FORMAT, JournalError, Part, parts_in, unseal

CLOSED, STOPPED, UNFINISHED, DAMAGED = "closed", "stopped", "unfinished", "damaged"
_CONTINUED = "continued"


@valueclass(frozen=True, slots=True)
class Header:
    """The first line of a part. ``checkpoint``: the floor's state at its begin, if it has one."""

    acd: str
    life: str
    part: int
    n: int
    digest: str
    epoch: int
    started_at: float
    revision: str
    definition: FloorDefinition
    checkpoint: bytes | None


@valueclass(frozen=True, slots=True)
class Noted:
    """One event of the journal. ``out`` is what the floor gave then, ``None`` where the journal holds digests alone."""

    n: int
    now: Instant
    event: Event
    digest: str
    out: Mapping[str, Any] | None


class Recording:
    """The journal of one life, from the earliest part it can be replayed from.

    After ``events`` is exhausted, ``ended`` says how the journal ends and ``detail`` why: ``closed`` with the process,
    ``stopped`` before its time, ``unfinished`` (the process was killed or still runs; half a last line is left out) or
    ``damaged`` (what follows cannot be trusted and is not read).
    """

    def __init__(self, path: Path) -> None:
        """``path``: a part, or a directory, of which the latest life is taken. Raises JournalError."""
        try:
            self.parts = _parts_of(path)
            while True:
                self.header = _header_of(self.parts[0].path)
                if self.header.part == 1 or self.header.checkpoint is not None:
                    break
                before = Part.named(path.parent, self.header.life, self.header.part - 1)
                if path.is_dir():
                    self.parts = self.parts[1:]
                elif before.path.exists():
                    self.parts = [before, *self.parts]
                else:
                    self.parts = []
                if not self.parts:
                    raise JournalError(
                        f"{path} cannot be replayed: the part before it is gone and it has no checkpoint"
                    )
        except OSError as error:
            raise JournalError(f"{path} cannot be read: {error.strerror}") from error
        self.ended = UNFINISHED
        self.detail = ""

    def events(self) -> Iterator[Noted]:
        """The events in order. Raises JournalError for an event that this acd does not know."""
        n, digest = self.header.n, self.header.digest
        for index, part in enumerate(self.parts):
            if part.number != self.parts[0].number + index:
                self._end(DAMAGED, f"part {self.parts[0].number + index} is missing")
                return
            try:
                file = part.path.open("rb")
            except OSError as error:
                self._end(DAMAGED, f"{part.path} cannot be read: {error.strerror}")
                return
            with file:
                if index and (head := _header_line(file)) is not None and (head["n"], head["digest"]) != (n, digest):
                    self._end(DAMAGED, f"{part.path.name} does not continue the part before it")
                    return
                if not index:
                    file.readline()
                for noted in self._lines(file, part):
                    if noted.n != n:
                        self._end(DAMAGED, f"{part.path.name}: event {n} is missing")
                        return
                    n, digest = noted.n + 1, noted.digest
                    yield noted
            if self.ended != _CONTINUED:
                return
        self._end(UNFINISHED, "its next part is missing")

    def _lines(self, file: BinaryIO, part: Part) -> Iterator[Noted]:
        number = 1
        self._end(UNFINISHED, "the process was killed, or still runs")
        for line in file:
            number += 1
            value = unseal(line)
            if value is None:
                if file.read(1):
                    self._end(DAMAGED, f"{part.path.name}, line {number} was changed after it was written")
                else:
                    self._end(UNFINISHED, "the process was killed, or still runs; its last line is torn and left out")
                return
            if "end" in value:
                self._end(value["end"], value["why"])
                return
            yield _noted(value, f"{part.path.name}, line {number}")

    def _end(self, ended: str, detail: str) -> None:
        self.ended, self.detail = ended, detail


def _parts_of(path: Path) -> list[Part]:
    """The parts of the life that ``path`` means, from the one it names on."""
    first = 1
    if path.is_dir():
        found = parts_in(path)
        if not found:
            raise JournalError(f"{path} holds no journal (acd-*.jsonl)")
        life = found[-1].life
    else:
        part = Part.of(path)
        if part is None:
            # Somebody gave it another name: then it stands alone
            return [Part("", _header_of(path).part, path)]
        life, first, found = part.life, part.number, parts_in(path.parent)
        if part.path not in [other.path for other in found]:
            raise JournalError(f"{path} does not exist")
    return [part for part in found if part.life == life and part.number >= first]


def _header_line(file: BinaryIO) -> dict[str, Any] | None:
    value = unseal(file.readline())
    return value if value is not None and "journal" in value else None


def _header_of(path: Path) -> Header:
    with path.open("rb") as file:
        value = _header_line(file)
    if value is None:
        raise JournalError(f"{path} is no journal of acd, or its first line is damaged")
    if value.pop("journal") != FORMAT:
        raise JournalError(f"{path} was written by acd {value.get('acd')} in a form that this acd cannot read")
    try:
        packed = value.pop("checkpoint")
        checkpoint = None if packed is None else zlib.decompress(base64.b64decode(packed, validate=True))
        definition = decode(FloorDefinition, value.pop("definition"))
        return Header(**value, definition=definition, checkpoint=checkpoint)
    except CodecError as error:
        raise JournalError(f"the floor in {path}, of acd {value.get('acd')}, is not understood: {error}") from error
    except (KeyError, TypeError, binascii.Error, zlib.error) as error:
        raise JournalError(f"the first line of {path} is not understood: {error!r}") from error


def _noted(value: Mapping[str, Any], where: str) -> Noted:
    try:
        event: Event = decode(Event, value["event"])
        return Noted(value["n"], Instant(*value["now"]), event, value["digest"], value.get("out"))
    except CodecError as error:
        raise JournalError(f"{where}: the event is not understood by this acd: {error}") from error
    except (KeyError, TypeError) as error:
        raise JournalError(f"{where} is not understood: {error!r}") from error
