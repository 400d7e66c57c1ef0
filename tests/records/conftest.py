"""The database of these tests: a SQLite file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "store"))
pytest.register_assert_rewrite(
    "storekit", "lawful", "verify_cases", "retention_cases", "person_cases", "contacted_cases"
)

from storekit import Database  # noqa: E402

from acd.store import upgrade  # noqa: E402


@pytest.fixture
def database(tmp_path: Path) -> Database:
    found = Database(f"sqlite:///{tmp_path}/db/acd.db")
    upgrade(found.url)
    return found
