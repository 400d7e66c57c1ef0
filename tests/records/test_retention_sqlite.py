"""Retention, on SQLite."""

from retention_cases import *  # noqa: F403
