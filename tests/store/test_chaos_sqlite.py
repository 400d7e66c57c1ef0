"""The cases of store_chaos.py on SQLite, whose file another process can lock."""

from store_chaos import *  # noqa: F403

WAYS = ["locked"]
