"""Lists over their time, on SQLite."""

from listed_cases import *  # noqa: F403
