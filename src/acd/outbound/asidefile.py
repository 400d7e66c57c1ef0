"""What the database refuses for good of what was dialled, kept for a person to look at: a line of JSON each, in a file
beside the spill that its owner alone may read.

Erasures and retention treat it as what the spill set aside. Numbers stand in it as ``[records] numbers`` says. Attempts that
could not be settled stand in it once more as soon as their ledger has durably charged them: the next life reads that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Final

from acd.outbound.words import Batch, Made

FILE: Final = "outbound-refused.jsonl"
CHARGED: Final = "charged"
MOST_BYTES: Final = 16 * 1024 * 1024


class AsideFile:
    """``sealed``: numbers are kept as these hashes (None: as they are)."""

    def __init__(self, path: Path, sealed: Callable[[str], str] | None = None) -> None:
        self.path, self._sealed = path, sealed

    def add(self, refused: Batch, why: str, at_s: float) -> None:
        """Forced to the disk when it returns; blocks. Raises OSError, also when the file has grown too large: then there is
        nothing of it in the file."""
        self._append({"at": at_s, "what": what, "why": why, "row": row} for what, row in self._rows(refused))

    def charge(self, attempts: Sequence[str], at_s: float) -> None:
        """Note attempts that were set aside as durably charged. As `add`."""
        self._append({"at": at_s, "what": CHARGED, "row": {"attempt": attempt}} for attempt in attempts)

    def charged(self) -> frozenset[str]:
        """The attempts that `charge` was told of; blocks. Raises OSError; none where there is no file. Lines that cannot be
        read say nothing."""
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return frozenset()
        found = set()
        with open(file, "rb") as opened:
            for line in opened:
                with suppress(ValueError, KeyError, TypeError):
                    said = json.loads(line)
                    if said["what"] == CHARGED:
                        found.add(str(said["row"]["attempt"]))
        return frozenset(found)

    def _append(self, lines: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(f"{json.dumps(line, default=str)}\n" for line in lines).encode()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        with open(os.open(self.path, flags, 0o600), "ab", buffering=0) as opened:
            size = os.fstat(opened.fileno()).st_size
            if size + len(text) > MOST_BYTES:
                raise OSError(f"{self.path} holds {MOST_BYTES} bytes: take it away")
            try:
                if opened.write(text) != len(text):
                    raise OSError(f"{self.path} cannot be written: the disk is full")
                os.fsync(opened.fileno())
            except OSError:
                os.ftruncate(opened.fileno(), size)
                raise

    def _rows(self, refused: Batch) -> Iterator[tuple[str, Any]]:
        for field in fields(refused):
            if field.name in ("ledgers", "charged", "refused"):
                continue  # counts, which are kept and said again, and what belongs to others of these
            for one in getattr(refused, field.name):
                # Whom the gate judged stands in the contact's own row
                said = replace(one, judged=None) if isinstance(one, Made) else one
                row = list(said) if isinstance(said, tuple) else asdict(said)
                if isinstance(row, dict) and self._sealed is not None and str(row.get("number") or "").startswith("+"):
                    row["number"] = self._sealed(row["number"])
                yield field.name, row
