"""Lists imported once more, on SQLite."""

from __future__ import annotations

import pytest
from replacing_cases import *  # noqa: F403

from acd.store import upgrade


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = f"sqlite:///{tmp_path_factory.mktemp('again')}/acd.db"
    upgrade(found)
    return found
