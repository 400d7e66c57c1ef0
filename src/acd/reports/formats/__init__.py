"""A report written down for programs: JSON, CSV, Parquet. Each takes its rows one by one, so that as little of a long report
is in memory as of a short one."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from acd.reports.formats.csv import write_csv
from acd.reports.formats.json import write_json
from acd.reports.formats.parquet import write_parquet
from acd.reports.model import Report

Tick = Callable[[int], None]
"""Told how many rows are written so far, now and then."""

WRITERS: dict[str, Callable[[Report, BinaryIO, Tick], None]] = {
    "json": write_json,
    "csv": write_csv,
    "parquet": write_parquet,
}
