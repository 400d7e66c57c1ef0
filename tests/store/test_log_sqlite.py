"""The cases of log_cases.py on SQLite."""

from log_cases import *  # noqa: F403
