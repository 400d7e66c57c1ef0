"""The benchmark of records, in its short form: every case runs, and nothing stays behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from acd.lab.bench.records import cases, main


@pytest.mark.timeout(360)  # a minute on a machine at rest, two on a busy one
def test_every_case_is_measured(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--json", "--short", "--dir", str(tmp_path / "bench")])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    expected = list(cases(short=True))
    assert [(row["database"], row["durable_in"]) for row in found["rows"]] == [
        (case.database, case.durable_in) for case in expected
    ]
    assert len(found["targets"]) == 4
    assert all(isinstance(target["met"], bool) for target in found["targets"])
    assert list((tmp_path / "bench").iterdir()) == []
