"""``acd floor``: what is in force, what a reload would change, and what is said when it cannot be."""

from __future__ import annotations

import asyncio
import json

import pytest
from cliservice import Run, Service
from fakesamples import CHANGES, HOSTILE, NO_CHANGES, PROBLEMS, WARNING

from acd.cli.text import clean


def test_show_says_what_is_in_force_and_since_when(run: Run, service: Service) -> None:
    shown = run("floor", "show").stdout
    assert shown.splitlines()[0] == "revision ab12cd34"
    for part in (
        "in force       since 2025-11-21 15:00:00, the start of the service",
        "file           /etc/acd/floor.yaml",
        "agents         12",
        "skills         billing, english",
        "pause reasons  pause, lunch",
    ):
        assert part in shown
    assert run("floor", "reload").exit_code == 0
    shown = run("floor", "show").stdout
    assert shown.splitlines()[0] == "revision ef56ab78"
    assert "since 2025-11-21 15:00:00, instead of ab12cd34; 1 reload since the start" in shown
    assert json.loads(run("floor", "show", "--json").stdout) == service.floor.floor_in_force()


def test_diff_tells_every_part_and_nothing_that_is_secret(run: Run, service: Service) -> None:
    shown = run("floor", "diff").stdout.splitlines()
    assert shown == [
        "/etc/acd/floor.yaml:3:5: warning: nobody serves billing",
        "/etc/acd/floor.yaml has revision ef56ab78, in force is ab12cd34: 1 queue changed, 2 agents added",
        "skills",
        "  + dutch",
        "queues",
        "  - old",
        "  ~ sales",
        "      stages: after 0.0 s: english >= 50 -> after 0.0 s: english >= 60, after 20.0 s: anyone",
        "      overflow: hangup -> queue:support",
        "agents",
        "  + zoe",
        f"  + {clean(HOSTILE)}",
        "  ~ anna",
        "      skills: english 80 -> 90, german 20 -> none, dutch none -> 10",
        "      pin hash: the old one -> none",
        "callers",
        *(f"  + 4930555{n:04}" for n in range(20)),
        "  + and 10 more",
        "settings",
        "  ageing s: 60 -> 30",
    ]
    body = json.loads(run("floor", "diff", "--json").stdout)
    assert (body["changes"], body["warnings"]) == (CHANGES, [WARNING])
    assert service.floor.reloads == 0


def test_diff_says_when_nothing_differs(run: Run, service: Service) -> None:
    service.floor.changes = NO_CHANGES
    shown = run("floor", "diff").stdout.splitlines()
    assert shown[-1] == "/etc/acd/floor.yaml is as it is in force, revision ab12cd34"


def test_reload_tells_what_has_changed(run: Run, service: Service) -> None:
    shown = run("floor", "reload").stdout.splitlines()
    assert "  + zoe" in shown
    assert shown[-1] == "revision ef56ab78 is in force"
    assert service.floor.reloads == 1
    body = json.loads(run("--json", "floor", "reload").stdout)
    assert (body["ok"], body["reloaded"], body["changes"]) == (True, True, CHANGES)


@pytest.mark.parametrize("command", ["reload", "diff"])
def test_all_that_is_wrong_with_the_file_is_shown_at_once(run: Run, service: Service, command: str) -> None:
    service.floor.floor_problems = PROBLEMS
    plain, as_json = run("floor", command), run("--json", "floor", command)
    assert (plain.exit_code, plain.stderr) == (1, "")
    assert plain.stdout.splitlines() == [
        "/etc/acd/floor.yaml:12:7: there is no skill 'germna'",
        "        need: germna >= 60",
        "              ^",
        f"/etc/acd/floor.yaml:20:3: {clean(PROBLEMS[1]['message'])}",
        "/etc/acd/floor.yaml cannot be used (2 errors)",
    ]
    assert (as_json.exit_code, as_json.stderr) == (1, "")
    assert json.loads(as_json.stdout) == {
        "ok": False, "message": "/etc/acd/floor.yaml cannot be used (2 errors)", "problems": PROBLEMS
    }  # fmt: skip
    assert service.floor.reloads == 0


def test_a_floor_that_does_not_answer_is_no_success(
    run: Run, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acd.api.app.ANSWER_TIMEOUT_S", 0.05)
    service.floor.hang = asyncio.Event()
    result = run("floor", "reload")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "look before you ask again" in result.stderr
