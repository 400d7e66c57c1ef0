"""The cases of report_cases.py on SQLite."""

from report_cases import *  # noqa: F403
