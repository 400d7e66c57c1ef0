"""Persons in the records, on PostgreSQL."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "records"))
from person_cases import *  # noqa: F403
