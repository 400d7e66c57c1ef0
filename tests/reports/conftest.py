"""The database of these tests: a SQLite file."""

from __future__ import annotations

import pytest

from acd.store import upgrade


@pytest.fixture(scope="session")
def report_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of our own, emptied and filled by each example."""
    url = f"sqlite:///{tmp_path_factory.mktemp('reports')}/acd.db"
    upgrade(url)
    return url
