"""The cases of afterwards_cases.py on PostgreSQL."""

from afterwards_cases import *  # noqa: F403
