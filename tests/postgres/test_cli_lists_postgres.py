"""``acd list``, ``acd contact``, ``acd dnc`` on PostgreSQL: what test_cli_lists.py asks where the database matters."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from test_cli_lists import (  # noqa: F401
    Desk,
    test_a_callback_is_promised_replaced_and_taken_back,
    test_a_contact_is_added_changed_and_found,
    test_a_list_from_file_to_its_end,
    test_a_list_that_is_dialled_now_is_not_taken_away,
    test_bad_lines_are_bounded_and_no_formulas,
    test_do_not_call_from_a_number_to_none,
    test_names_and_arguments_of_any_bytes_are_kept,
    test_numbers_are_kept_hashed_where_records_are,
    test_rejected_rows_are_no_formulas_in_the_file,
    test_replacing_asks_and_takes_the_others_away,
    test_what_lists_say_reaches_no_terminal,
    test_who_opts_out_to_an_agent_is_called_at_no_number,
    test_who_was_erased_stays_away_unless_somebody_says_otherwise,
)

from acd.lab.postgres import LabPostgres
from acd.store import upgrade
from acd.store.beside import writing
from acd.store.tables import metadata


@pytest.fixture(scope="module")
def url(server: LabPostgres) -> Iterator[str]:
    """It sorts as people do, not as SQLite does."""
    if not server.running:
        server.start()
    with psycopg.connect(server.url(driver="postgresql"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE desk TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
    upgrade(server.url("desk"))
    yield server.url("desk")
    with psycopg.connect(server.url(driver="postgresql"), autocommit=True) as connection:
        connection.execute("DROP DATABASE desk WITH (FORCE)")


@pytest.fixture
def desk(tmp_path: Path, url: str) -> Desk:
    with writing(url) as connection, connection.begin():
        names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
        connection.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY"))
    return Desk(tmp_path, url)


def test_names_are_sorted_alike_and_odd_characters_are_kept(desk: Desk) -> None:
    """Collations and encodings are the server's; what is shown is not."""
    for name in ("b", "A", "a_1", "a-2", "B"):
        desk.acd("list", "import", desk.file("name;phone\n\u00c4nne \U0001f600;030 1234567\n"), "--list", name)
    assert [row["list"] for row in desk.json("list", "list")["lists"]] == ["A", "B", "a-2", "a_1", "b"]
    assert desk.json("contact", "show", "1")["name"] == "\u00c4nne \U0001f600"
    rows = desk.file(b"name;phone\nA\0n;030 1234567\n\0;\0\n")
    assert desk.json("list", "import", rows, "--list", "nul")["reasons"] == {"unreadable": 2}
