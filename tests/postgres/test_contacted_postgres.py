"""Persons among contacts, on PostgreSQL."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "records"))
pytest.register_assert_rewrite("contacted_cases")

from contacted_cases import *  # noqa: E402, F403
