"""The cases of facts_cases.py on PostgreSQL."""

from facts_cases import *  # noqa: F403
