"""The rules of dialling, on SQLite."""

from attempt_cases import *  # noqa: F403
