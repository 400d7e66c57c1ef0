"""``acd status`` of a floor with campaigns, and of one without."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cliservice import Service, serve_in_thread
from rich.console import Console
from test_cli_screen import floor_of, screen

from acd.cli import cli
from acd.cli.campaign import _table as campaigns_table
from acd.cli.console import emit_table
from acd.cli.floorview import Floor
from acd.cli.status import one_line
from acd.domain.errors import StoreError

ROW = {
    "name": "win", "mode": "predictive", "state": "running", "agents": {"idle": 2, "talking": 5, "wrapping": 1},
    "ringing": 7, "waiting": 0, "connected": 5, "outcomes": {"answered": 40, "abandoned": 1, "no_answer": 60},
    "settled": 101, "because": "pacer:risk",
    "ledger": {"window": "campaign", "cap": 0.03, "answered": 41.0, "charged": 1.0, "share": 0.02439},
}  # fmt: skip


class FakeCampaigns:
    """``CampaignsPort``, of which ``acd status`` asks one thing."""

    fails: Exception | None = None
    rows = (ROW,)

    def campaigns(self) -> list[dict[str, Any]]:
        if self.fails is not None:
            raise self.fails
        return list(self.rows)


def campaign(**changes: Any) -> dict[str, Any]:
    return {**ROW, **changes}


def with_campaigns(*campaigns: dict[str, Any]) -> Floor:
    floor = floor_of()
    return Floor(floor.status, floor.queues, floor.agents, list(campaigns))


def test_campaigns_stand_behind_the_queues() -> None:
    stopped = campaign(name="=evil\x1b[2J", state="stopped", because="state", ledger={**ROW["ledger"], "share": None})
    shown = screen(with_campaigns(ROW, stopped, campaign(name="shut", because="gate:schedule")), 120, 40)
    head = next(at for at, line in enumerate(shown) if line.startswith("CAMPAIGN"))
    assert head > next(at for at, line in enumerate(shown) if line.startswith("billing"))
    words = shown[head].split()
    assert words == [
        "CAMPAIGN",
        "MODE",
        "STATE",
        "AGENTS",
        "DIALLED",
        "LINES",
        "RING",
        "TALK",
        "ANSW",
        "ABAND",
        "CAP",
        "WHY",
    ]
    first = dict(zip(words, shown[head + 1].removesuffix(" reached").split(), strict=True))
    assert first == {
        "CAMPAIGN": "win", "MODE": "predictive", "STATE": "running", "AGENTS": "8", "DIALLED": "113", "LINES": "12",
        "RING": "7", "TALK": "5", "ANSW": "40", "ABAND": "2.4%", "CAP": "3%", "WHY": "risk",
    }  # fmt: skip
    assert "\x1b[2J" not in "\n".join(shown)
    assert shown[head + 3].endswith("gate: schedule")


def test_what_holds_a_campaign_back_stays_on_a_narrow_screen_and_none_of_it_is_there_without_campaigns() -> None:
    shown = screen(with_campaigns(campaign(because="database")), 80, 40)
    assert max(len(line) for line in shown) <= 80
    assert any(line.startswith("win") and line.endswith("database away") for line in shown)
    assert not any("CAMPAIGN" in line for line in screen(floor_of(), 120, 40))
    used = with_campaigns(campaign(utilisation=0.93), campaign(name="other"))
    assert any(line.startswith("win") and line.endswith("93%") for line in screen(used, 140, 40))


def test_one_line_has_them_too() -> None:
    assert one_line(with_campaigns(ROW)).endswith(" win=running,lines=12,answered=41,abandoned=1")
    assert "lines=" not in one_line(floor_of())


@pytest.mark.parametrize("state", ["there", "none", "away"])
def test_json_has_campaigns_where_there_are_any_and_a_status_always(
    service: Service, tmp_path: Path, state: str
) -> None:
    campaigns = FakeCampaigns()
    campaigns.fails = StoreError("what campaigns did before is not known yet") if state == "away" else None
    campaigns.rows = () if state == "none" else campaigns.rows
    path = tmp_path / "with.sock"
    stop = serve_in_thread(service.floor, service.records, path, campaigns=campaigns)  # type: ignore[arg-type]
    found = CliRunner().invoke(cli, ["--socket", str(path), "--json", "status"])
    watched = CliRunner().invoke(cli, ["--socket", str(path), "status"])
    stop()
    assert (found.exit_code, watched.exit_code) == (0, 0), found.output + watched.output
    assert json.loads(found.stdout).get("campaigns") == ([ROW] if state == "there" else None)
    assert ("CAMPAIGN" in watched.stdout) == (state == "there")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_of_campaigns_fits_and_keeps_what_is_needed_most(width: int) -> None:
    console = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO())
    busy = campaign(name="winter-2026-north", state="running", ledger={**ROW["ledger"], "share": 0.05})
    emit_table(console, campaigns_table([busy], console), "none")
    head, row = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(len(head), len(row)) <= width
    assert row.split()[0] == "winter-2026-north"
    for name, value in (
        ("CAMPAIGN", "winter-2026-north"),
        ("STATE", "running"),
        ("RATE", "5.00%"),
        ("WHY", "risk reached"),
    ):
        assert name in head
        assert value in row
    more = ["ANSWERED", "CHARGED"] if width >= 80 else []
    assert [name in head for name in more] == [True] * len(more)
    assert ("SETTLED" in head) is (width == 200)
    assert "ABANDONED" not in head
    if more:
        # Of the window whose rate it is, not since the service began
        cells = dict(zip(head.replace("WHY NOT MORE", "WHY").split(), row.split(), strict=False))
        assert (cells["ANSWERED"], cells["CHARGED"]) == ("41", "1")
