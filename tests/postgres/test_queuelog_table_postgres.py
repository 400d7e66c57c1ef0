"""The table a log is written to, on PostgreSQL."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "queuelog"))
from queuelog_table_cases import *  # noqa: F403
