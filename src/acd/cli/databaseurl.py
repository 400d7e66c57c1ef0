"""The settings that commands need which work on the database itself, beside the service or without it."""

from __future__ import annotations

from acd.cli.context import options
from acd.config.load import LoadedSettings, find_config, load_settings
from acd.config.settings import RecordsTable, RetentionTable
from acd.domain.numbers import Numbering
from acd.records.retention import Policy


def loaded_settings(*, database: bool = True) -> LoadedSettings:
    """acd.toml as the options mean it, which need say nothing of Asterisk; not ``database``: nor have that one's password.
    Raises ConfigurationError."""
    return load_settings(find_config(options().config), needed=("database",) if database else ())


def database_url() -> str:
    """The configured database, password included. Raises ConfigurationError."""
    url = loaded_settings().settings.database.url
    assert url is not None, "filled in by load_settings"
    return url.get_secret_value()


def numbering_of(table: RecordsTable) -> Numbering:
    """How numbers are written here."""
    return Numbering(table.country_code, table.national_prefix)


def policy_of(table: RetentionTable) -> Policy:
    """How long what is kept."""
    return Policy(**{key.removesuffix("_days"): days for key, days in table.model_dump().items()})
