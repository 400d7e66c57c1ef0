"""The cases of dialling_cases.py on SQLite."""

from dialling_cases import *  # noqa: F403
