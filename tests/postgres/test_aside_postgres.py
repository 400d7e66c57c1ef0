"""The cases of aside_cases.py on PostgreSQL."""

from aside_cases import *  # noqa: F403
