"""The benchmark of imports, in its short form: both databases take the same rows, and nothing stays behind."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from acd.lab.bench.lists import DATABASES, ROWS_SHORT, main


def test_both_databases_take_the_same(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--json", "--short", "--dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    first, second = found["rows"]
    assert (first["database"], second["database"]) == DATABASES
    for name in ("rows", "imported", "duplicates", "rejected"):
        assert first[name] == second[name], name
    assert first["imported"] + first["duplicates"] + first["rejected"] == ROWS_SHORT
    assert 0 < first["rejected"] < first["duplicates"] < first["imported"]
    assert all(target["met"] in (True, False) and target["value"] > 0 for target in found["targets"])
    assert list(tmp_path.iterdir()) == []
