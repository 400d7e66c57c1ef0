"""Alembic's entry into the migrations: from ``acd db upgrade`` (which hands over its connection) and from Alembic's
own command line (which gives a URL by ``-x url=...`` or ACD_DATABASE__URL).
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from acd.domain.errors import ConfigurationError
from acd.store.outbound import tables as _outbound  # noqa: F401 (adds its own to the metadata)
from acd.store.schema import migration_connection
from acd.store.tables import compared_on, metadata


def _url() -> str:
    url = context.get_x_argument(as_dictionary=True).get("url") or os.environ.get("ACD_DATABASE__URL")
    if not url:
        raise ConfigurationError("which database? Give -x url=..., or set ACD_DATABASE__URL")
    return url


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_server_default=True,
        include_object=compared_on(connection.dialect.name),
        render_as_batch=connection.dialect.name == "sqlite",
        # Both databases can take a schema change back, so one that fails half-way leaves nothing.
        transactional_ddl=True,
        transaction_per_migration=True,
        on_version_apply=context.config.attributes.get("on_version_apply"),
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    context.configure(url=_url(), target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif (given := context.config.attributes.get("connection")) is not None:
    _run(given)
else:
    with migration_connection(_url()) as connection:
        _run(connection)
