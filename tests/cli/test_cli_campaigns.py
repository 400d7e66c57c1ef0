"""``acd campaign``: what is written into files without a service, and what it says of a service's answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cliservice import Service, serve_in_thread

from acd.cli import cli
from acd.domain.campaigns import CampaignState
from acd.store import upgrade

FLOOR = """
queues: {sales: {}}
agents: {ann: {number: 101, phones: [PJSIP/101], queues: [sales]}}
entry_points: {"1": sales}
trunks: {carrier: {dial: "PJSIP/{number}@carrier"}}
caller_ids: {own: {numbers: ["+4930555100"], verified: 2026-03-01}}
campaigns: {win: {mode: manual, queue: sales, trunk: carrier, caller_ids: own, time_zone: Europe/Berlin}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("campaigns")
    upgrade(f"sqlite:///{folder}/acd.db")
    config = folder / "acd.toml"
    config.touch(mode=0o600)
    config.write_text(f'[database]\nurl = "sqlite:///acd.db"\n[service]\nstate_dir = "{folder}"\n')
    (folder / "floor.yaml").write_text(FLOOR)
    return folder


class Port:
    """Campaigns of a service. ``lasting``: whether agents have lasting lines."""

    lasting = False

    def campaigns(self) -> list[dict[str, Any]]:
        return []

    def campaign(self, name: str) -> dict[str, Any]:
        return {"name": name}

    def agent_of(self, name: str) -> str:
        return name

    async def set_campaign(self, name: str, state: CampaignState, *given: Any, **also: Any) -> dict[str, Any]:
        return {"name": name, "state": state.value, "ringing": 0}

    async def start_warnings(self, name: str) -> list[str]:
        return ["Asterisk pbx has no sound who-\x1b[2J under /sounds: who gets no agent hears no message"]

    async def dial(self, campaign: str, number: str, agent: str, by: str, **also: Any) -> dict[str, Any]:
        return {"agent": agent, "number": number, "lasting_line": self.lasting}


@pytest.fixture
def port(service: Service, tmp_path: Path) -> Iterator[tuple[Port, Callable[..., Result]]]:
    port, path = Port(), tmp_path / "with.sock"
    stop = serve_in_thread(service.floor, service.records, path, campaigns=port)  # type: ignore[arg-type]
    yield port, lambda *arguments: CliRunner().invoke(cli, ["--socket", str(path), *arguments])
    stop()


def acd(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(folder / "acd.toml"), *arguments], prog_name="acd")


@pytest.mark.parametrize(
    ("name", "said"),
    [("gone/x.csv", "cannot be written: No such file or directory"), (".", "is a directory")],
)
def test_evidence_that_cannot_be_written_is_told_in_a_line(folder: Path, name: str, said: str) -> None:
    found = acd(folder, "campaign", "evidence", "win", "--format", "csv", "-o", str(folder / name))
    assert found.exit_code in (1, 2)
    assert said in found.stderr
    assert found.exception is None or isinstance(found.exception, SystemExit)


def test_evidence_takes_the_place_of_the_file_that_was_there(folder: Path) -> None:
    file = folder / "evidence.json"
    file.write_text("old")
    assert acd(folder, "campaign", "evidence", "win", "--format", "json", "-o", str(file)).exit_code == 0
    assert json.loads(file.read_text())["campaign"] == "win"


@pytest.mark.parametrize(
    ("lasting", "said"),
    [
        (False, "ann's phone rings, then +49301230001 is dialled\n"),
        (True, "+49301230001 is dialled on ann's lasting line: no phone rings first\n"),
    ],
)
def test_it_says_whether_the_agents_phone_rings(
    port: tuple[Port, Callable[..., Result]], lasting: bool, said: str
) -> None:
    served, run = port
    served.lasting = lasting
    assert run("campaign", "dial", "win", "+49301230001", "--agent", "ann").stdout == said


def test_a_start_warns_of_what_is_missing_and_goes_on(port: tuple[Port, Callable[..., Result]]) -> None:
    _, run = port
    started = run("campaign", "start", "win")
    assert (started.exit_code, started.stdout) == (0, "win is running\n")
    assert started.stderr.startswith("acd: warning: Asterisk pbx has no sound who-")
    assert "\x1b" not in started.stderr
    assert len(json.loads(run("--json", "campaign", "start", "win").stdout)["warnings"]) == 1
    stopped = run("campaign", "stop", "win")
    assert (stopped.exit_code, stopped.stderr) == (0, "")
