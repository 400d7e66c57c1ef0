"""Persons in the records, on SQLite."""

from person_cases import *  # noqa: F403
