"""The database of these tests: a SQLite file, which another connection can lock and whose disk can run full."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from storekit import Away, Database, options  # noqa: F401

from acd.store import upgrade


@pytest.fixture
def empty_database(tmp_path: Path) -> Database:
    """One that ``upgrade`` has not seen: not even a file yet."""
    return Database(f"sqlite:///{tmp_path}/db/acd.db")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[bool]:
    """``tmp_path/db`` is a disk of its own, if this user may have one."""
    directory = tmp_path / "db"
    directory.mkdir(mode=0o700)
    settings = ["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs"]
    may = os.getuid() == 0 and not subprocess.run(["mount", *settings, directory], check=False).returncode
    yield may
    if may:
        subprocess.run(["umount", "--lazy", directory], check=True)


@pytest.fixture
def small_disk(tmp_path: Path, mounted: bool) -> Away:
    """The disk of ``tmp_path/db``, full while in the context. Who may not mount one gets a limit on the size of all
    files instead: the journal cannot grow, and nothing else beyond its size."""
    directory = tmp_path / "db"

    @contextmanager
    def full() -> Iterator[None]:
        filler = directory / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        yield
        filler.unlink()

    @contextmanager
    def limited() -> Iterator[None]:
        before, journal = resource.getrlimit(resource.RLIMIT_FSIZE), directory / "acd.db-wal"
        # Between two connections there is none.
        size = journal.stat().st_size if journal.exists() else 1_000_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return full if mounted else limited


def grow_journal(path: Path) -> None:
    """Make the journal larger than a segment of the spill, so that a limit at its size leaves room for the spill."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE filler (content)")
    connection.execute("INSERT INTO filler VALUES (zeroblob(1000000))")
    connection.execute("COMMIT")
    connection.execute("DROP TABLE filler")
    connection.close()


def after(first: Callable[[], None], way: Away) -> Away:
    @contextmanager
    def both() -> Iterator[None]:
        first()
        with way():
            yield

    return both


@pytest.fixture
def database(empty_database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    ways: dict[str, Away] = {}
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and callspec.params.get("way") == "full":
        ways["full"] = request.getfixturevalue("small_disk")
        if not request.getfixturevalue("mounted"):
            ways["full"] = after(lambda: grow_journal(tmp_path / "db" / "acd.db"), ways["full"])
    upgrade(empty_database.url)
    path = tmp_path / "db" / "acd.db"

    @contextmanager
    def locked() -> Iterator[None]:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    empty_database.away = {"locked": locked, **ways}
    return empty_database
