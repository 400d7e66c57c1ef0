"""The cases of dialling_cases.py on PostgreSQL."""

from dialling_cases import *  # noqa: F403
