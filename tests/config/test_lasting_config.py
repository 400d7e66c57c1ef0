"""Lasting lines in floor.yaml, and what `acd check` says of what they need elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from acd.cli.main import cli
from acd.config import load_floor
from acd.config.floor_checks import too_many_nodes

FLOOR = """
queues: {sales: {}}
agents:
  anna: {number: 1001, phones: [PJSIP/1001], queues: [sales], lasting_line: true}
  bob: {number: 1002, phones: [PJSIP/1002], queues: [sales], lasting_line: "music:jazz"}
  cid: {number: 1003, phones: [PJSIP/1003], queues: [sales], lasting_line: no}
  dan: {number: 1004, phones: [PJSIP/1004], queues: [sales]}
entry_points: {"100": sales}
"""
NONE = re.sub(r", lasting_line: [^}]*", "", FLOOR)


def written(folder: Path, floor: str, nodes: int) -> Path:
    (folder / "floor.yaml").write_text(floor)
    (folder / "secret").touch(mode=0o600)
    (folder / "secret").write_text("secret\n")
    tables = [
        f'[asterisk.pbx{n}]\nami_port = {5037 + n}\ncall_secret_file = "secret"\nlook_secret_file = "secret"\n'
        for n in range(1, nodes + 1)
    ]
    (folder / "acd.toml").write_text("".join(tables))
    return folder / "acd.toml"


def checked(config: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["--config", str(config), "check", *more])
    return result.exit_code, result.stdout


def test_silence_music_or_none(tmp_path: Path) -> None:
    written(tmp_path, FLOOR, 1)
    agents = load_floor(tmp_path / "floor.yaml").definition.agents
    assert {name: agent.lasting_line for name, agent in agents.items()} == {
        "anna": "silence",
        "bob": "jazz",
        "cid": None,
        "dan": None,
    }


@pytest.mark.parametrize(("floor", "notes"), [(FLOOR, 1), (NONE, 0)])
def test_what_the_manager_user_must_be_allowed_to_is_said(tmp_path: Path, floor: str, notes: int) -> None:
    config = written(tmp_path, floor, 1)
    code, out = checked(config, "--json")
    told = json.loads(out)
    assert (code, told["ok"], len(told["notes"])) == (0, True, notes)
    _, plain = checked(config)
    assert ("write = call,originate" in plain) is bool(notes)


def test_a_line_is_for_a_single_asterisk(tmp_path: Path) -> None:
    config = written(tmp_path, FLOOR, 2)
    code, out = checked(config)
    assert code == 1
    assert "agent 'anna' and 1 more: lasting_line is for a single Asterisk" in " ".join(out.split())
    floor = load_floor(tmp_path / "floor.yaml").definition
    assert too_many_nodes(floor, ["pbx1"]) == []
