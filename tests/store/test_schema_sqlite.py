"""The cases of schema_cases.py on SQLite, and what is SQLite's own: files and who may read them."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from schema_cases import *  # noqa: F403
from sqlalchemy import URL
from storekit import Database, new_store, write_all

import acd
from acd.domain.errors import ConfigurationError, SchemaError, StoreError
from acd.store import Store, current, head, schema, upgrade
from acd.store.generated import Traffic


def digests(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir() if path.is_file()}


async def test_files_are_for_the_services_user_alone(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path / "state")
    await store.open()
    await write_all(store, Traffic().call())
    files = [*(tmp_path / "db").glob("*"), *(tmp_path / "state" / "spill").glob("*")]
    assert {path.name for path in files} == {"acd.db", "acd.db-wal", "acd.db-shm", "lock", "spill-00000001.jsonl"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "db", tmp_path / "state" / "spill")} == {0o700}
    await store.close()


async def test_a_missing_file_is_not_made_by_a_start(tmp_path: Path) -> None:
    home = tmp_path / "none"
    store = Store(f"sqlite:///{home}/acd.db", home / "state")
    with pytest.raises(SchemaError, match=r"there is no database at .*none/acd.db: run `acd db upgrade`"):
        await store.open()
    assert current(f"sqlite:///{home}/acd.db") is None
    assert not home.exists()


async def test_a_foreign_file_keeps_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE invoices (id integer)")
    connection.commit()
    connection.close()
    before = digests(tmp_path)
    with pytest.raises(SchemaError, match="not acd's"):
        await Store(f"sqlite:///{path}", tmp_path / "state").open()
    with pytest.raises(SchemaError, match="not acd's"):
        upgrade(f"sqlite:///{path}")
    assert digests(tmp_path) == before


async def test_what_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(StoreError, match="not a database"):
        await Store(f"sqlite:///{path}", tmp_path / "state").open()
    with pytest.raises(StoreError, match="not a database"):
        upgrade(f"sqlite:///{path}")
    assert path.read_text() == "Dear Sir or Madam, " * 100


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "no database URL"),
        ("mysql://host/acd", "neither sqlite nor postgresql"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
        ("postgresql://host", "name the database"),
    ],
)
def test_urls_that_cannot_be_used(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Store(url, tmp_path)
    with pytest.raises(ConfigurationError, match=said):
        upgrade(url)


async def test_the_journal_is_a_wal(database: Database, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "db" / "acd.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_the_database_may_have_any_name(tmp_path: Path) -> None:
    url = URL.create("sqlite", database=f"{tmp_path}/a b/ä%41?#x.db").render_as_string()
    upgrade(url)
    assert [path.name for path in (tmp_path / "a b").iterdir()] == ["ä%41?#x.db"]
    assert current(url) is not None


def test_migrations_are_found_in_an_installed_package_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "acd"
    shutil.copytree(schema.migrations_path(), package / "_share" / "migrations")
    monkeypatch.setattr(acd, "__file__", str(package / "__init__.py"))
    assert schema.migrations_path() == package / "_share" / "migrations"
    upgrade(f"sqlite:///{tmp_path}/acd.db")
    assert current(f"sqlite:///{tmp_path}/acd.db") == head()
    shutil.rmtree(package / "_share")
    with pytest.raises(SchemaError, match="install acd again"):
        schema.migrations_path()
