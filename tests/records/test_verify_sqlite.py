"""The rules of the records, on SQLite."""

from verify_cases import *  # noqa: F403
