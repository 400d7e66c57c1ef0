"""The cases of log_cases.py on PostgreSQL."""

from log_cases import *  # noqa: F403
