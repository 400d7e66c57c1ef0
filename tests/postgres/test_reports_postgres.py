"""The cases of report_cases.py on PostgreSQL."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from acd.lab.postgres import LabPostgres
from acd.store import upgrade

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "reports"))
from report_cases import *  # noqa: F403


@pytest.fixture(scope="module")
def report_url(server: LabPostgres) -> str:
    """A database of our own, emptied and filled by each example."""
    url = server.create_database("reports")
    upgrade(url)
    return url
