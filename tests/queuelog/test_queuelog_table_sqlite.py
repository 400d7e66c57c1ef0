"""The table a log is written to, on SQLite."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "store"))
from queuelog_table_cases import *  # noqa: F403
from storekit import Database

from acd.store import upgrade


@pytest.fixture
def database(tmp_path: Path) -> Database:
    found = Database(f"sqlite:///{tmp_path}/db/acd.db")
    upgrade(found.url)
    return found
