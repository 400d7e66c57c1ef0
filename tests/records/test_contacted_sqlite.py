"""Persons among contacts, on SQLite."""

from contacted_cases import *  # noqa: F403
