"""The cases of store_chaos.py on PostgreSQL, which can be stopped, killed and frozen."""

from store_chaos import *  # noqa: F403

WAYS = ["stopped", "killed", "frozen"]
