"""Rows of lists that were turned away, on SQLite."""

from turned_away_cases import *  # noqa: F403
