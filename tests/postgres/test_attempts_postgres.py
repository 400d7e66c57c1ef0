"""The rules of dialling, on PostgreSQL."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "records"))
from attempt_cases import *  # noqa: F403
