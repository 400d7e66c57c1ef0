"""What a journal looks like on disk: names of files, lines and their seals. The writer and the reader share it.

A **life** is one run of the controller, from its first event on. Its journal is cut into **parts**, files named
``acd-<began, UTC>-e<epoch>-p<part>.jsonl`` (their names sort by age), each a JSON object a line:

- first the header: ``{"journal": 1, "acd", "life", "part", "n", "digest", "epoch", "started_at", "revision",
  "definition", "checkpoint", "crc"}``. ``n`` is the number of the part's first event. A part after the first holds the
  floor's state at its begin in ``checkpoint`` (see ``checkpoint``; null if it could not be written), so that a life can
  be replayed from any such part;
- then an event a line: ``{"n", "now": [mono, utc], "event", "digest", "out", "crc"}``. ``out`` is what the floor gave,
  ``{"commands", "records"}`` and ``"failed"``, the class of the exception if it raised one; it may be left out.
  ``digest`` runs over every ``out`` of the life;
- last, unless the process was killed: ``{"end": "closed" | "stopped" | "continued", "n", "why", "crc"}``.

``crc`` is the CRC-32 of the line before it: half a line, or one that was changed, is told from a whole one.
"""

from __future__ import annotations

import json
import re
import zlib
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from acd.domain.errors import AcdError
from acd.domain.values import valueclass

FORMAT = 1

_SEAL = re.compile(rb',"crc":"([0-9a-f]{8})"\}\n')
_SEAL_LENGTH = len(b',"crc":"00000000"}\n')
_NAME = re.compile(r"acd-(\d{8}T\d{6}\.\d{6}Z-e\d+)-p(\d{4,})\.jsonl", re.ASCII)


class JournalError(AcdError):
    """A journal cannot be written, or what was given is none that can be replayed; the message says why."""


def seal(text: str) -> bytes:
    """A line of the journal: the JSON object ``text`` (ASCII, one line), sealed."""
    body = text[:-1].encode("ascii")
    return b'%b,"crc":"%08x"}\n' % (body, zlib.crc32(body))


def unseal(line: bytes) -> dict[str, Any] | None:
    """The object on a line, without its seal; None if the line is not whole."""
    found = _SEAL.fullmatch(line, max(0, len(line) - _SEAL_LENGTH))
    if found is None or int(found[1], 16) != zlib.crc32(memoryview(line)[:-_SEAL_LENGTH]):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None  # sealed, but by nobody who writes journals
    if not isinstance(value, dict):
        return None
    del value["crc"]
    return value


def chain(digest: str, out: str) -> str:
    """The running digest after one more output."""
    return blake2b((digest + out).encode("ascii"), digest_size=8).hexdigest()


def life_name(began_at: float, epoch: int) -> str:
    """The name of a life that began at ``began_at`` (UTC s)."""
    return f"{datetime.fromtimestamp(began_at, UTC):%Y%m%dT%H%M%S.%fZ}-e{epoch}"


@valueclass(frozen=True, slots=True, order=True)
class Part:
    """One file of a journal. Sorts by age."""

    life: str
    number: int
    path: Path

    @classmethod
    def of(cls, path: Path) -> Part | None:
        """The part that a file is, by its name; None if it is none."""
        found = _NAME.fullmatch(path.name)
        return None if found is None else cls(found[1], int(found[2]), path)

    @classmethod
    def named(cls, directory: Path, life: str, number: int) -> Part:
        """The part of that life and number."""
        return cls(life, number, directory / f"acd-{life}-p{number:04d}.jsonl")


def parts_in(directory: Path) -> list[Part]:
    """All parts of all lives in a directory, the oldest first. Raises OSError."""
    return sorted(part for path in directory.iterdir() if (part := Part.of(path)) is not None)
