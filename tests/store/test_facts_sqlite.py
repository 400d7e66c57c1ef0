"""The cases of facts_cases.py on SQLite."""

from facts_cases import *  # noqa: F403
