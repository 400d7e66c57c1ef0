"""Array literals through a real server: what goes in comes out, whatever it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.lab.postgres import LabPostgres
from acd.store.postgres import array

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

texts = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
tricky = st.none() | st.text("\"\\{},;\n\r\t\x01 NULnul'", max_size=8) | st.sampled_from(["NULL", "null", "\\N", ""])


@pytest.fixture(scope="module")
def connection(server: LabPostgres) -> Iterator[Connection]:
    with psycopg.connect(server.url(driver="postgresql"), autocommit=True) as connection:
        yield connection


@settings(max_examples=200, deadline=None)
@given(st.lists(texts | tricky, max_size=30))
def test_texts(connection: Connection, values: list[str | None]) -> None:
    assert connection.execute("SELECT %s::text[]", [array(values)]).fetchone() == (values,)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.integers(-(2**31), 2**31 - 1)))
def test_numbers(connection: Connection, values: list[int | None]) -> None:
    assert connection.execute("SELECT %s::int[]", [array(values)]).fetchone() == (values,)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.none() | st.integers(0, 4_000_000_000_000_000), min_size=1))
def test_times_keep_their_microseconds(connection: Connection, values: list[int | None]) -> None:
    seconds = [None if value is None else value / 1_000_000 for value in values]
    query = (
        "SELECT array_agg((extract(epoch FROM to_timestamp(s)) * 1000000)::bigint) FROM unnest(%s::float8[]) AS p (s)"
    )
    assert connection.execute(query, [array(seconds)]).fetchone() == (values,)
