"""What is known of a person as a folder or a zip file, for the person: files of the service's user alone."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from acd.domain.errors import ConfigurationError

README = """What the records of this call centre hold of a telephone number.

person.json      what was looked for, when, in what, and how much was found
calls.jsonl      the calls from the number, one a line: number, name, times, notes, stretches, explanations
dialling.jsonl   what is kept for calling the number: contacts with it, callbacks, attempts, rows of lists, do-not-call
mentions.jsonl   where else the number is mentioned
recordings/      the sound of the calls, by their ids

Times are seconds since 1970-01-01 00:00 UTC. JSON lines: each line is a JSON object in UTF-8.
"""
_ODD = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)


class Target:
    """A folder that is made, or a zip file (``.zip``). Nothing that is there is overwritten; what was begun and not
    ended is taken away. Use it in ``with``. Raises ConfigurationError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_zip = path.suffix.lower() == ".zip"
        self._folder = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        self._done = False

    def __enter__(self) -> Target:
        if self.path.exists() or self.path.is_symlink():
            raise ConfigurationError(f"{self.path} is there already and is not overwritten: choose another place")
        try:
            self._folder.mkdir(mode=0o700)
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be made: {error.strerror}") from error
        return self

    def __exit__(self, *error: object) -> None:
        if not self._done:
            shutil.rmtree(self._folder, ignore_errors=True)

    def text(self, name: str, text: str) -> None:
        """Write a small file."""
        with self._open(name) as file:
            file.write(text.encode("utf-8", "replace"))

    def lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> int:
        """Write rows as JSON lines; how many."""
        count = 0
        with self._open(name) as file:
            for row in rows:
                count += 1
                file.write(json.dumps(row, ensure_ascii=True, default=str).encode("ascii") + b"\n")
        return count

    def copy(self, call: str, source: Path) -> None:
        """Copy a recording, named after its call."""
        folder = self._folder / "recordings"
        folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{_ODD.sub('_', call)[:80]}{_ODD.sub('_', source.suffix)[:10]}"
        with source.open("rb") as old, self._open(f"recordings/{name}") as new:
            shutil.copyfileobj(old, new)

    def finish(self) -> None:
        """Put everything in its place."""
        try:
            if not self._is_zip:
                self._folder.rename(self.path)
            else:
                self._pack()
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be made: {error.strerror}") from error
        self._done = True

    def _pack(self) -> None:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with open(file, "w+b") as opened, zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED) as packed:
                for path in sorted(self._folder.rglob("*")):
                    if path.is_file():
                        packed.write(path, str(path.relative_to(self._folder)))
        except BaseException:
            with suppress(OSError):
                self.path.unlink()
            raise
        shutil.rmtree(self._folder, ignore_errors=True)

    def _open(self, name: str) -> Any:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        return open(os.open(self._folder / name, flags, 0o600), "wb")
