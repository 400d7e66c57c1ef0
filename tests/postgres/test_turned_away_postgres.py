"""Rows of lists that were turned away, on PostgreSQL."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "records"))
from turned_away_cases import *  # noqa: F403
