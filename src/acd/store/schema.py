"""The schema's versions: what ``acd db upgrade`` does, and what a start checks. A database that is not ours, or newer
than we are, is refused and never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

import acd
from acd.domain.errors import SchemaError, StoreError
from acd.store.location import Location, first_line, locate
from acd.store.occupied import refuse_occupied
from acd.store.tables import REVISION

if TYPE_CHECKING:
    # Loaded where it is needed: a start that finds the schema as it should be does without.
    from alembic.config import Config

_OURS = "acd_"
_LOCK = 0x6163_6420
"""Held while a PostgreSQL schema changes, so that two upgrades take turns."""

OnStep = Callable[[str, str], None]
"""Called with a revision and what it does, after each step."""

OnProgress = Callable[[int, int], None]
"""Called within a step that goes through records: how many calls are done, of how many."""


def migrations_path() -> Path:
    """Where the migrations are: in the installed package, or in the source tree above it. Raises SchemaError."""
    package = Path(acd.__file__).resolve().parent
    for directory in (package / "_share" / "migrations", *(parent / "migrations" for parent in package.parents)):
        if (directory / "env.py").is_file():
            return directory
    raise SchemaError(f"the migrations are neither in {package / '_share'} nor above it: install acd again")


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_path()).replace("%", "%%"))
    return config


def head() -> str:
    """The revision this acd needs."""
    return REVISION


def _known(revision: str) -> bool:
    from alembic.script import ScriptDirectory

    return any(script.revision == revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


@contextmanager
def migration_connection(url: str) -> Iterator[sa.Connection]:
    """A connection for migrations, alone with the schema, to a database that is ours or empty. A missing SQLite file is
    made. Raises SchemaError on anything else, StoreError if the database is away."""
    location = locate(url)
    location.create()
    engine = location.engine()
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
                connection.commit()
            revision = revision_of(connection)
            connection.rollback()
            if revision is not None and not _known(revision):
                raise SchemaError(_unknown(location, revision))
            if connection.dialect.name == "sqlite":
                _use_wal(connection)
            yield connection
    except SQLAlchemyError as error:
        raise StoreError(f"{location}: {first_line(error)}") from error
    finally:
        engine.dispose()


def _use_wal(connection: sa.Connection) -> None:
    raw: Any = connection.connection.dbapi_connection
    raw.isolation_level = None
    raw.execute("PRAGMA journal_mode = WAL").close()


def revision_of(connection: sa.Connection) -> str | None:
    """The revision of a database, None for an empty one. Raises SchemaError for one that holds others' tables."""
    names = set(sa.inspect(connection).get_table_names())
    if "alembic_version" in names:
        revisions = list(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars())
        if len(revisions) > 1:
            raise SchemaError(f"the database is at several revisions at once ({', '.join(revisions)}); not touched")
        if revisions:
            return str(revisions[0])
        names.discard("alembic_version")
    if names:
        some = ", ".join(sorted(names)[:3])
        raise SchemaError(
            f"the database holds tables that are not acd's ({some}): it was not touched; give acd a database of its own"
        )
    return None


def check(connection: sa.Connection, location: Location) -> None:
    """Raise SchemaError unless the database's schema is the one this acd needs. Changes nothing."""
    needed, found = head(), revision_of(connection)
    if found == needed:
        return
    if found is None:
        raise SchemaError(f"the database {location} is empty: run `acd db upgrade`")
    if not _known(found):
        raise SchemaError(_unknown(location, found))
    raise SchemaError(f"the database's schema is at {found}, this acd needs {needed}: run `acd db upgrade`")


def missing(location: Location) -> SchemaError:
    """For a SQLite file that is not there."""
    return SchemaError(f"there is no database at {location}: run `acd db upgrade`")


def _unknown(location: Location, revision: str) -> str:
    if revision.startswith(_OURS):
        return (
            f"the database {location} was made by a newer acd (its schema is at {revision}, this one knows up to "
            f"{head()}): it was not touched; install that acd, or restore a backup"
        )
    return (
        f"the database {location} belongs to another program (its schema is at {revision}): it was not touched; give "
        "acd a database of its own"
    )


def advice(found: str | None) -> str:
    """What to do about a database at revision ``found`` (None: empty); nothing where it is as this acd needs it."""
    if found == head():
        return ""
    if found is None or _known(found):
        return f"needed: {head()}; run `acd db upgrade`"
    if found.startswith(_OURS):
        return f"of a newer acd; this one knows up to {head()}: install that acd, or restore a backup"
    return "of another program: give acd a database of its own"


def current(url: str) -> str | None:
    """The database's revision; None for an empty database or a missing SQLite file. Raises SchemaError, StoreError."""
    location = locate(url)
    if location.path is not None and not location.path.exists():
        return None
    engine = location.engine()
    try:
        with engine.connect() as connection:
            return revision_of(connection)
    except SQLAlchemyError as error:
        raise StoreError(f"{location}: {first_line(error)}") from error
    finally:
        engine.dispose()


def upgrade(
    url: str, revision: str = "head", on_step: OnStep | None = None, on_progress: OnProgress | None = None
) -> None:
    """Bring the schema up to ``revision``; an empty database, and a missing SQLite file, are made. Each step is one
    transaction. Raises SchemaError, StoreError, ConfigurationError."""
    from alembic import command

    _migrate(url, on_step, lambda config: command.upgrade(config, revision), on_progress)


def check_downgrade(url: str, revision: str) -> None:
    """Raise SchemaError unless the database can be brought back to ``revision``. Changes nothing."""
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionError

    found = current(url)
    if found is None:
        raise SchemaError("the database is empty: there is nothing to take back")
    if not _known(found):
        raise SchemaError(_unknown(locate(url), found))
    try:
        list(ScriptDirectory.from_config(_config()).iterate_revisions(found, revision))
    except RevisionError as error:
        raise SchemaError(f"the schema is at {found} and cannot be taken back to {revision!r}: {error}") from error


def downgrade(url: str, revision: str, on_step: OnStep | None = None) -> None:
    """Bring the schema back to ``revision`` ("base" drops every table, with all records). Raises as ``upgrade``, and
    RefusedError while a service has the database open."""
    from alembic import command

    found = current(url)
    if found is None:
        raise SchemaError("the database is empty: there is nothing to take back")
    if _known(found):
        refuse_occupied(locate(url))
    _migrate(url, on_step, lambda config: command.downgrade(config, revision))


def _migrate(
    url: str, on_step: OnStep | None, run: Callable[[Config], None], on_progress: OnProgress | None = None
) -> None:
    from alembic.util import CommandError

    def applied(*, step: Any, **_: Any) -> None:
        if on_step is not None:
            revision = step.up_revision
            on_step(revision.revision, (revision.doc or "").splitlines()[0])

    config = _config()
    config.attributes["on_version_apply"] = applied
    config.attributes["on_progress"] = on_progress
    with migration_connection(url) as connection:
        config.attributes["connection"] = connection
        try:
            run(config)
        except CommandError as error:
            raise SchemaError(str(error)) from error
