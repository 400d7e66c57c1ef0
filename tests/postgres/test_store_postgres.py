"""The cases of store_cases.py on PostgreSQL."""

from store_cases import *  # noqa: F403
