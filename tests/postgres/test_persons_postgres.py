"""Persons in the records, on PostgreSQL."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "records"))
pytest.register_assert_rewrite("lawful", "person_cases")

from person_cases import *  # noqa: E402, F403
