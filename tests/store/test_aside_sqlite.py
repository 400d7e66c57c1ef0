"""The cases of aside_cases.py on SQLite."""

from aside_cases import *  # noqa: F403
