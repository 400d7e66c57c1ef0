"""What must hold of the schema on both databases. Collected by test_schema_sqlite.py and test_schema_postgres.py."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from storekit import Database, new_store, write_all

from acd.domain.errors import RefusedError, SchemaError, StoreError
from acd.reports.stays import AMID
from acd.store import current, downgrade, head, occupied, schema, upgrade
from acd.store.generated import Traffic
from acd.store.location import locate
from acd.store.outbound import tables as outbound
from acd.store.tables import compared_on, metadata
from acd.store.times import UtcTime


def tables_of(database: Database) -> set[str]:
    engine = locate(database.url).engine()
    try:
        return set(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_the_migrations_make_the_tables(database: Database) -> None:
    engine = locate(database.url).engine()
    try:
        with engine.connect() as connection:
            options = {
                "compare_server_default": True,
                "target_metadata": metadata,
                "include_object": compared_on(engine.dialect.name),
            }
            differences = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    finally:
        engine.dispose()
    assert differences == []


def test_the_comparison_sees_a_difference(database: Database) -> None:
    other = sa.MetaData()
    for table in metadata.tables.values():
        table.to_metadata(other)
    other.tables["calls"].append_column(sa.Column("extra", sa.Text))
    sa.Index("ix_extra", other.tables["calls"].c.did)
    engine = locate(database.url).engine()
    try:
        with engine.connect() as connection:
            differences = compare_metadata(MigrationContext.configure(connection), other)
    finally:
        engine.dispose()
    assert {difference[0] for difference in differences} == {"add_column", "add_index"}


def test_the_revision_written_down_is_the_last_migration() -> None:
    scripts = ScriptDirectory(str(schema.migrations_path()))
    assert scripts.get_heads() == [head()]
    assert all(script.revision.startswith("acd_") for script in scripts.walk_revisions())


def test_steps_are_told_and_an_upgrade_is_done_once(empty_database: Database) -> None:
    steps: list[tuple[str, str]] = []
    assert current(empty_database.url) is None
    upgrade(empty_database.url, on_step=lambda revision, what: steps.append((revision, what)))
    assert steps == [
        ("acd_0001", "Calls with their segments and decisions, agents with their states, starts"),
        ("acd_0002", "What people say of a call, its sums, configuration revisions, an audit log"),
        ("acd_0003", "Lists, contacts, do-not-call, attempts, callbacks, what campaigns are doing"),
        ("acd_0004", "Conferences among the stretches that interrupt a talk"),
        ("acd_0005", "Attempts by the time at which they were committed"),
        ("acd_0006", "Whether a call was in several queues, among its sums"),
        ("acd_0007", "The queue_log as a table"),
        ("acd_0008", "What machine detection and agents say of attempts"),
        ("acd_0009", "Why a contact is put off or blocked, if the gate said so"),
    ]
    assert current(empty_database.url) == head()
    upgrade(empty_database.url, on_step=lambda revision, what: steps.append((revision, what)))
    assert len(steps) == 9


def test_what_interrupts_a_talk_is_found_by_one_index_and_goes_down_as_talk(database: Database) -> None:
    """Alembic's comparison does not see an index's condition."""

    def condition() -> str:
        engine = locate(database.url).engine()
        try:
            (found,) = [one for one in sa.inspect(engine).get_indexes("segments") if one["name"] == "ix_segments_held"]
        finally:
            engine.dispose()
        options: dict[str, object] = found.get("dialect_options", {})
        return next(str(value) for name, value in options.items() if name.endswith("_where"))

    assert set(re.findall(r"'(\w+)'", condition())) == set(AMID)
    for serial, kind in enumerate(("talked", "held", "conferenced")):
        database.execute(
            "INSERT INTO segments (call, serial, kind, started_at) "
            f"VALUES ('c', {serial}, '{kind}', '2026-11-21T12:00:00.000000+00:00')"
        )
    downgrade(database.url, "acd_0003")
    assert set(re.findall(r"'(\w+)'", condition())) == {"held", "consulted"}
    assert [row["kind"] for row in database.rows(metadata.tables["segments"])] == ["talked", "held", "talked"]
    upgrade(database.url)
    assert set(re.findall(r"'(\w+)'", condition())) == set(AMID)


async def test_down_and_up_again_with_records_in_it(database: Database, tmp_path: Path) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    await write_all(store, Traffic().call())
    await store.close()
    steps: list[str] = []
    downgrade(database.url, "base", on_step=lambda revision, _: steps.append(revision))
    assert steps == [
        "acd_0009",
        "acd_0008",
        "acd_0007",
        "acd_0006",
        "acd_0005",
        "acd_0004",
        "acd_0003",
        "acd_0002",
        "acd_0001",
    ]
    assert tables_of(database) == {"alembic_version"}
    assert current(database.url) is None
    upgrade(database.url)
    assert database.contents()["calls"] == []
    with pytest.raises(SchemaError, match="acd_9999"):
        upgrade(database.url, "acd_9999")
    assert current(database.url) == head()


async def test_what_a_service_has_open_is_not_taken_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(database, tmp_path)
    await store.open()
    await write_all(store, Traffic().call())
    with monkeypatch.context() as patched:
        patched.setattr(occupied, "LINGERS_S", 0.0)
        with pytest.raises(RefusedError, match="is in use: stop the service first; nothing was changed"):
            downgrade(database.url, "acd_0006")
    assert current(database.url) == head()
    await write_all(store, Traffic(prefix="later").call())
    await store.close()
    downgrade(database.url, "acd_0006")
    assert current(database.url) == "acd_0006"
    upgrade(database.url)
    assert len(database.contents()["calls"]) == 2


def test_there_is_nothing_to_take_back_in_an_empty_database(empty_database: Database) -> None:
    with pytest.raises(SchemaError, match="nothing to take back"):
        downgrade(empty_database.url, "base")


async def test_an_older_schema_is_refused_with_the_command(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "REVISION", "acd_0010")
    assert schema.advice("acd_0009") == "needed: acd_0010; run `acd db upgrade`"
    with pytest.raises(SchemaError) as caught:
        await new_store(database, tmp_path / "state").open()
    assert str(caught.value) == ("the database's schema is at acd_0009, this acd needs acd_0010: run `acd db upgrade`")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("revision", "said"), [("acd_7777", "made by a newer acd"), ("f00", "belongs to another program")]
)
async def test_a_newer_or_foreign_schema_is_refused_and_untouched(
    database: Database, tmp_path: Path, revision: str, said: str
) -> None:
    database.execute(f"UPDATE alembic_version SET version_num = '{revision}'")
    with pytest.raises(SchemaError, match=said):
        await new_store(database, tmp_path / "state").open()
    with pytest.raises(SchemaError, match=said):
        upgrade(database.url)
    with pytest.raises(SchemaError, match=said):
        downgrade(database.url, "base")
    assert current(database.url) == revision
    assert said.removeprefix("made by ").removeprefix("belongs to ") in schema.advice(revision)
    assert "upgrade" not in schema.advice(revision)
    assert "calls" in tables_of(database)


async def test_other_peoples_tables_are_refused_and_untouched(database: Database, tmp_path: Path) -> None:
    downgrade(database.url, "base")
    database.execute("DROP TABLE alembic_version", "CREATE TABLE invoices (id integer)")
    for act in (lambda: upgrade(database.url), lambda: current(database.url), lambda: downgrade(database.url, "base")):
        with pytest.raises(SchemaError, match=r"not acd's \(invoices\)"):
            act()
    with pytest.raises(SchemaError, match="not acd's"):
        await new_store(database, tmp_path / "state").open()
    assert tables_of(database) == {"invoices"}


def test_a_migration_that_fails_half_way_leaves_nothing(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic.operations import Operations

    create = Operations.create_table

    def fail_at_agents(self: Operations, name: str, *columns: object, **options: object) -> object:
        if name == "agents":
            raise StoreError("the disk is on fire")
        return create(self, name, *columns, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Operations, "create_table", fail_at_agents)
    with pytest.raises(StoreError, match="on fire"):
        upgrade(empty_database.url)
    assert tables_of(empty_database) <= {"alembic_version"}
    assert current(empty_database.url) is None
    monkeypatch.undo()
    upgrade(empty_database.url)
    assert current(empty_database.url) == head()


def test_alembics_own_command_line_works_too(empty_database: Database, tmp_path: Path) -> None:
    locate(empty_database.url).create()

    def alembic(*arguments: str, **environment: str) -> str:
        command = [sys.executable, "-m", "alembic", "-c", str(schema.migrations_path() / "alembic.ini"), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    alembic("-x", f"url={empty_database.url}", "upgrade", "head")
    assert "acd_0009 (head)" in alembic("current", ACD_DATABASE__URL=empty_database.url)
    assert "No new upgrade operations detected" in alembic("check", ACD_DATABASE__URL=empty_database.url)
    assert "CREATE TABLE calls" in alembic("upgrade", "head", "--sql", ACD_DATABASE__URL=empty_database.url)
    assert current(empty_database.url) == head()


async def test_the_facts_of_calls_that_were_there_are_filled_in(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as need several goes, some of them still going on; and back again, which keeps the calls."""
    store = new_store(database, tmp_path)
    await store.open()
    traffic = Traffic()
    for _ in range(30):
        await write_all(store, traffic.call())
    steps = list(traffic.call())
    await write_all(store, steps[:2])
    await store.close()
    wanted = database.rows(metadata.tables["calls"])
    assert [row["wait_us"] for row in wanted] == [*[6_000_000] * 30, None]
    assert [row["wrap_us"] for row in wanted] == [*[10_000_000] * 30, None]
    downgrade(database.url, "acd_0001")
    told: list[tuple[int, int]] = []
    few = shutil.copytree(schema.migrations_path(), tmp_path / "few")
    for number in (2, 6):
        (script,) = few.glob(f"versions/acd_000{number}*.py")
        script.write_text(script.read_text().replace("AT_ONCE = 5000", "AT_ONCE = 7"))
    monkeypatch.setattr(schema, "migrations_path", lambda: few)
    upgrade(database.url, on_progress=lambda done, total: told.append((done, total)))
    assert told == 2 * [(done, 31) for done in (7, 14, 21, 28, 31)]
    assert database.rows(metadata.tables["calls"]) == wanted


def test_taking_outbound_back_leaves_the_calls(database: Database) -> None:
    """With a row in every table of it; and up again, empty."""
    kinds = {sa.Text: "x", sa.JSON: {}, sa.Integer: 1, sa.BigInteger: 1, sa.Float: 0.5, UtcTime: 1_790_000_000.25}
    engine = locate(database.url).engine()
    try:
        with engine.begin() as connection:
            for table in outbound.TABLES:
                row = {column.name: kinds[type(column.type)] for column in table.c}
                connection.execute(sa.insert(table), row)
    finally:
        engine.dispose()
    database.execute("INSERT INTO writers (writer, batch) VALUES ('w', 1)")
    before = {table.name: database.rows(table) for table in outbound.TABLES}
    assert all(len(rows) == 1 for rows in before.values())
    assert before["contacts"][0]["due_at"] == 1_790_000_000.25
    there = tables_of(database)
    downgrade(database.url, "acd_0002")
    assert tables_of(database).isdisjoint(before)
    assert database.rows(metadata.tables["writers"]) == [{"writer": "w", "batch": 1}]
    upgrade(database.url)
    assert tables_of(database) == there
    assert {table.name: database.rows(table) for table in outbound.TABLES} == {name: [] for name in before}
