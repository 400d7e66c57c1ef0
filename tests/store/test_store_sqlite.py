"""The cases of store_cases.py on SQLite."""

from store_cases import *  # noqa: F403
