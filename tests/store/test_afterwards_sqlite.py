"""The cases of afterwards_cases.py on SQLite."""

from afterwards_cases import *  # noqa: F403
