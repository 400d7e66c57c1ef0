"""A private PostgreSQL: the machine's or the lab's own, up, frozen, killed and back, removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from acd.domain.errors import LabError
from acd.lab import postgres
from acd.lab.parts import POSTGRESQL, ensure
from acd.lab.postgres import OLDEST_MAJOR, LabPostgres, find_server


def plain(url: str) -> str:
    return url.replace("postgresql+psycopg:", "postgresql:")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabPostgres]:
    made = LabPostgres(tmp_path / "pg", settings={"fsync": "off"}, die_with_parent=True)
    yield made
    made.remove()


def test_databases_are_made_anew_and_survive_a_kill(server: LabPostgres) -> None:
    server.start()
    url = plain(server.create_database("calls"))
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE t (n int)")
        connection.execute("INSERT INTO t VALUES (7)")
        assert connection.info.server_version >= OLDEST_MAJOR * 10_000
    server.kill()
    assert not server.running
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=5)
    server.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(7,)]
    with psycopg.connect(plain(server.create_database("calls"))) as connection:
        assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)
    server.stop()
    assert server.pid is None


def test_it_wants_the_password(server: LabPostgres) -> None:
    server.start()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(plain(server.url()).replace(server.password, "guess"), connect_timeout=5)


def test_frozen_it_answers_nobody_and_thawed_it_goes_on(server: LabPostgres) -> None:
    server.start()
    with psycopg.connect(plain(server.url()), autocommit=True) as connection:
        connection.execute("SET statement_timeout = 0")
        server.freeze()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(plain(server.url()), connect_timeout=2)
        server.thaw()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_settings_reach_the_server_and_a_wrong_one_is_told(server: LabPostgres, tmp_path: Path) -> None:
    server.start()
    with psycopg.connect(plain(server.url())) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("off",)
    wrong = LabPostgres(tmp_path / "wrong", settings={"no_such_setting": "1"}, die_with_parent=True)
    try:
        with pytest.raises(LabError, match="no_such_setting"):
            wrong.start()
        assert not wrong.running
    finally:
        wrong.remove()


def test_removed_it_leaves_nothing(server: LabPostgres) -> None:
    server.start()
    server.remove()
    assert not server.running
    assert list(server.directory.iterdir()) == []
    assert server.home == server.directory or not server.home.exists()


def test_the_lab_s_own_serves_where_the_machine_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "SYSTEM_FOLDERS", tmp_path)
    folders = [folder for folder in os.environ["PATH"].split(":") if not (Path(folder) / "postgres").exists()]
    monkeypatch.setenv("PATH", ":".join(folders))
    program = find_server()
    assert program.bin.is_relative_to(ensure(POSTGRESQL).root)
    own = LabPostgres(tmp_path / "own", program, die_with_parent=True)
    try:
        own.start()
        with psycopg.connect(plain(own.create_database("x"))) as connection:
            assert connection.info.server_version // 10_000 == own.program.major
    finally:
        own.remove()


def test_a_server_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("postgres", "postgres (PostgreSQL) 13.9"), ("initdb", "initdb")):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{text}"\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin:/usr/sbin:/sbin")
    found = find_server()
    assert found.bin != tmp_path
    assert found.major >= OLDEST_MAJOR
