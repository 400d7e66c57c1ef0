"""The few things that SQLite and PostgreSQL say differently, as SQLAlchemy constructs that know both. No tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction


class micros(GenericFunction[int]):
    """A time as whole microseconds since 1970, exact."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(micros, "postgresql")
def _micros_postgres(element: Any, compiler: Any, **how: Any) -> str:
    (time,) = element.clauses
    return f"(extract(epoch FROM {compiler.process(time, **how)}) * 1000000)::bigint"


@compiles(micros, "sqlite")
def _micros_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    (time,) = element.clauses
    text = compiler.process(time, **how)
    # 2026-11-21T17:58:31.123456Z; SQLite's own fractions of a second end at milliseconds
    return (
        f"(CAST(strftime('%s', substr({text}, 1, 19)) AS INTEGER) * 1000000 + CAST(substr({text}, 21, 6) AS INTEGER))"
    )


class lasted(GenericFunction[int]):
    """From one time to another in whole microseconds, exact up to 40 years. On PostgreSQL several times as fast as the
    difference of two `micros`, which go through decimal numbers."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(lasted, "postgresql")
def _lasted_postgres(element: Any, compiler: Any, **how: Any) -> str:
    begin, end = (compiler.process(clause, **how) for clause in element.clauses)
    return f"(date_part('epoch', {end} - {begin}) * 1000000)::bigint"


@compiles(lasted, "sqlite")
def _lasted_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    begin, end = element.clauses
    return f"({compiler.process(micros(end), **how)} - {compiler.process(micros(begin), **how)})"


class earlier(GenericFunction[Any]):
    """The smaller of two values that are not null."""

    inherit_cache = True


class later(GenericFunction[Any]):
    """The greater of two values that are not null."""

    inherit_cache = True


def _two(name_postgres: str, name_sqlite: str, function: type[GenericFunction[Any]]) -> None:
    for dialect, name in (("postgresql", name_postgres), ("sqlite", name_sqlite)):

        @compiles(function, dialect)
        def _compile(element: Any, compiler: Any, name: str = name, **how: Any) -> str:
            return f"{name}({', '.join(compiler.process(clause, **how) for clause in element.clauses)})"


_two("least", "min", earlier)
_two("greatest", "max", later)


class elements(GenericFunction[Any]):
    """The texts of a JSON list, as rows with one column ``value``."""

    inherit_cache = True


_two("json_array_elements_text", "json_each", elements)


class member(GenericFunction[str]):
    """``member(json, name)``: the text under a name of a JSON object, or null."""

    type = sa.Text()
    inherit_cache = True


@compiles(member, "postgresql")
def _member_postgres(element: Any, compiler: Any, **how: Any) -> str:
    json, name = (compiler.process(clause, **how) for clause in element.clauses)
    return f"({json} ->> {name}::text)"


@compiles(member, "sqlite")
def _member_sqlite(element: Any, compiler: Any, **how: Any) -> str:
    json, name = (compiler.process(clause, **how) for clause in element.clauses)
    return f"json_extract({json}, '$.' || {name})"


class pick(GenericFunction[Any]):
    """PostgreSQL: ``pick(array, n)``, the n-th value from 1."""

    inherit_cache = True


@compiles(pick, "postgresql")
def _pick(element: Any, compiler: Any, **how: Any) -> str:
    array, n = (compiler.process(clause, **how) for clause in element.clauses)
    return f"({array})[{n}]"


def percent_rank_row(percent: int, count: Any) -> Any:
    """The number (from 1) of the row that percentile_disc takes of ``count`` sorted ones: the smallest that is not below
    ``percent`` percent of them."""
    return (count * percent + 99) // 100
