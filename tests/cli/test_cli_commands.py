"""What each command prints and how it exits, against a fake floor behind the real API."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from cliservice import Run, Service
from fakesamples import DECISIONS, HOSTILE, NOW

from acd.cli import cli
from acd.cli.text import clean
from acd.domain.errors import AmiDisconnectedError
from acd.domain.events import AgentAction, CallAction

READING = [
    ["status"],
    ["queue", "list"],
    ["queue", "show", "support"],
    ["agent", "list"],
    ["agent", "show", "emil"],
    ["agent", "explain", "emil"],
    ["call", "list"],
    ["call", "list", "--live"],
    ["call", "show", "r1"],
    ["call", "show", "c1"],
    ["call", "explain", "r1"],
    ["call", "explain", "r2"],
    ["call", "explain", "c1"],
    ["floor", "show"],
    ["floor", "diff"],
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_output_is_harmless_plain_text(run: Run, service: Service, command: list[str]) -> None:
    for agent in service.floor.agent_list:
        agent["display_name"] = agent["reason"] = HOSTILE
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", result.stdout)
    assert result.stderr == ""
    assert all(line == line.rstrip() for line in result.stdout.splitlines())


@pytest.mark.parametrize("command", [["call", "list"], ["call", "show", "r1"], ["queue", "show", "support"]])
def test_a_hostile_name_is_shown_whole(run: Run, command: list[str]) -> None:
    assert clean(HOSTILE) in run(*command).stdout
    assert "[red]Eve" in run(*command).stdout


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_json_before_and_after_is_the_same_and_ascii(run: Run, command: list[str]) -> None:
    before, after = run("--json", *command), run(*command, "--json")
    between = run(command[0], "--json", *command[1:])
    assert before.exit_code == after.exit_code == 0
    assert json.loads(before.stdout) == json.loads(after.stdout) == json.loads(between.stdout)
    assert before.stdout.isascii()
    assert "\x1b" not in before.stdout


def test_json_is_what_the_service_says(run: Run, service: Service) -> None:
    floor = service.floor
    assert json.loads(run("queue", "list", "--json").stdout) == {"queues": floor.queues()}
    assert json.loads(run("agent", "show", "1005", "--json").stdout) == floor.agent("emil")
    status = json.loads(run("status", "--json").stdout)
    assert set(status) == {"status", "queues", "agents"}
    assert status["status"] == {"version": "9.9", **floor.status()}
    explain = json.loads(run("call", "explain", "r1", "--json").stdout)
    assert explain["decisions"] == DECISIONS
    assert explain["call"]["caller_name"] == HOSTILE


def test_the_socket_may_be_named_anywhere(service: Service) -> None:
    path = str(service.socket)
    lines = (
        ["--socket", path, "queue", "list"],
        ["queue", "--socket", path, "list"],
        ["queue", "list", "--socket", path],
        ["--socket", "/nowhere", "queue", "list", "--socket", path],
    )
    for line in lines:
        result = CliRunner().invoke(cli, line)
        assert result.exit_code == 0, result.output
        assert "support" in result.stdout


def test_status_tells_what_matters(run: Run) -> None:
    shown = run("status").stdout
    for part in ("acd 9.9", "pbx2 lost 0:12", "pbx1 up", "waiting 3", "longest 0:29", "service level 86%",
                 "abandoned 9 (6%)", "node lost x2: pbx2: no answer to ping", "4 talking", "2 paused"):  # fmt: skip
        assert part in shown
    queue = next(line for line in shown.splitlines() if line.startswith("support"))
    assert queue.split() == ["support", "2", "0:29", "82%", "3", "2", "120", "101", "9", "1", "11s", "3:23", "20s"]
    emil = next(line for line in shown.splitlines() if line.startswith("emil"))
    assert "talking > logout" in emil


def test_queue_show_lists_callers_in_serving_order(run: Run) -> None:
    shown = run("queue", "show", "support").stdout
    assert "300 s, then queue sales" in shown
    assert "needs           english >= 50" in shown
    assert shown.index("+4930123001") < shown.index("+4930123002")


def test_queue_show_tells_stages_estimates_and_whatever_else_is_said(run: Run, service: Service) -> None:
    service.floor.queue_list[0] |= {
        "agent_selection": "most_proficient",
        "stages": [{"after_s": 0.0, "needs": "english >= 80"}, {"after_s": 20.0, "needs": "anyone"}],
        "open": False,
        "oddity": {"low_s": 30.0},
    }
    shown = run("queue", "show", "support").stdout
    for part in (
        "strategy        most proficient\n",
        "needs           english >= 80\n",
        "needs from 20 s anyone\n",
        "expected wait   45s, likely 20s to 1:50, if nobody is free\n",
        "estimates were  off by 23%, 90% within the range, of 120 waits by head of line\n",
        "open            no\n",
        "oddity          low 30.0 s\n",
    ):
        assert part in shown
    assert "max length" not in shown
    shown = run("queue", "show", "sales").stdout
    assert "expected wait   unknown" in shown
    assert "estimates were" not in shown


def test_a_journal_is_seen_and_seen_to_have_stopped(run: Run, service: Service) -> None:
    assert "journal" not in run("status").stdout
    service.floor.journal = {"state": "writing", "file": "f", "events": 7, "waiting": 1, "detail": ""}
    assert "journal writing" in run("status").stdout
    service.floor.journal = {"state": "stopped", "file": "f", "events": 7, "waiting": 0, "detail": "disk full"}
    assert "journal stopped" in run("status").stdout


def test_agents_are_asked_and_told(run: Run, service: Service) -> None:
    assert run("agent", "pause", "1002", "--reason", "lunch").stdout == "1002: bert is PAUSED\n"
    assert run("agent", "resume", "bert").stdout == "bert is AVAILABLE\n"
    assert run("agent", "login", "bert", "--phone", "PJSIP/9").exit_code == 0
    assert run("agent", "logout", "bert").exit_code == 0
    assert json.loads(run("--json", "agent", "pause", "anna", "--reason", "lunch").stdout) == {
        "ok": True, "message": "anna: after this call", "data": {"state": "TALKING", "pending": "pause:lunch"}
    }  # fmt: skip
    assert service.floor.requests == [
        ("bert", AgentAction.PAUSE, "lunch", None),
        ("bert", AgentAction.RESUME, None, None),
        ("bert", AgentAction.LOGIN, None, "PJSIP/9"),
        ("bert", AgentAction.LOGOUT, None, None),
        ("anna", AgentAction.PAUSE, "lunch", None),
    ]


def test_calls_are_passed_on_and_told_more(run: Run, service: Service) -> None:
    assert run("call", "escalate", "c1").stdout == "c1: passed on to sales\n"
    assert run("call", "escalate", "c2", "--to", "billing").stdout == "c2: passed on to billing\n"
    assert run("call", "escalate", "c2", "--queue", "billing").stdout == "c2: passed on to billing\n"
    assert run("call", "transfer", "c2", "--queue", "sales").stdout == "c2: waits in sales\n"
    assert run("call", "transfer", "c2", "--to", "600").stdout == "c2: sent to acd-transfer,600,1\n"
    assert run("call", "set", "c2", "tier=gold", "note=a=b c", "n=5", "empty=").stdout == "c2: 4 set\n"
    assert json.loads(run("call", "set", "c1", "tier=gold", "--json").stdout) == {
        "ok": True, "message": "1 set", "data": {"attributes": {"tier": "gold"}}
    }  # fmt: skip
    assert service.floor.call_requests == [
        ("c1", CallAction.ESCALATE, None, {}),
        ("c2", CallAction.ESCALATE, "billing", {}),
        ("c2", CallAction.ESCALATE, "billing", {}),
        ("c2", CallAction.TRANSFER, "sales", {}),
        ("c2", CallAction.TRANSFER, None, {}),
        ("c2", CallAction.SET_ATTRIBUTES, None, {"tier": "gold", "note": "a=b c", "n": "5", "empty": ""}),
        ("c1", CallAction.SET_ATTRIBUTES, None, {"tier": "gold"}),
    ]


@pytest.mark.parametrize("given", [[], ["--queue", "sales", "--to", "600"]])
def test_a_transfer_goes_to_one_place(run: Run, service: Service, given: list[str]) -> None:
    result = run("call", "transfer", "c1", *given)
    assert result.exit_code == 2
    assert "say --queue QUEUE or --to PLACE" in result.stderr
    assert service.floor.call_requests == []


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (("call", "list", "--limti", "3", "--json"), "No such option"),
        (("--json", "call", "list", "--limit", "0"), "0 is not in the range"),
        (("cal", "list", "--json"), "No such command"),
        (("queue", "--json", "shw"), "No such command"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_as_json_too(run: Run, line: tuple[str, ...], word: str) -> None:
    result = run(*line)
    assert result.exit_code == 2
    error = json.loads(result.stderr)["error"]
    assert error["kind"] == "usage"
    assert word in error["message"]
    assert result.stdout == ""


@pytest.mark.parametrize("given", [["tier"], ["tier=a", "tier=b"], []])
def test_what_is_no_attribute_is_wrong_usage(run: Run, service: Service, given: list[str]) -> None:
    assert run("call", "set", "c1", *given).exit_code == 2
    assert service.floor.call_requests == []


@pytest.mark.parametrize(
    ("command", "code", "kind", "word"),
    [
        (["call", "escalate", "c9"], 4, "unknown_name", "no call named 'c9' (nearest: c"),
        (["call", "escalate", "c1", "--to", "sails"], 4, "unknown_name", "no queue named 'sails' (nearest: sales"),
        (["call", "escalate", "c4"], 5, "refused", "escalates to no other"),
        (["call", "transfer", "c1", "--queue", "sails"], 4, "unknown_name", "no queue named 'sails' (nearest: sales"),
        (["call", "transfer", "c1", "--to", "not there"], 1, "failed", "is no place to send a caller to"),
        (["call", "set", "c1", "Tier=gold"], 1, "failed", "attributes.Tier: has a name"),
        (["call", "set", "c1", "tier=" + "x" * 201], 1, "failed", "attributes.tier: is longer than 200"),
        (["call", "set", "c1", "tier=\x1b[2J"], 1, "failed", "cannot be printed"),
        (["agent", "explain", "ana"], 4, "unknown_name", "nearest: anna"),
        (["queue", "show", "suport"], 4, "unknown_name", "nearest: support"),
        (["agent", "pause", "ana"], 4, "unknown_name", "nearest: anna"),
        (["agent", "show", "../status"], 4, "unknown_name", "no agent named"),
        (["agent", "show", "\udcff\x1b[31m"], 4, "unknown_name", "no agent named"),
        (["call", "show", "a/b?c=d#e"], 4, "unknown_name", "no call named"),
        (["agent", "pause", "bert", "--reason", "holiday"], 5, "refused", "the reasons are"),
        (["agent", "pause", "bert", "--reason", "x" * 101], 1, "failed", "reason"),
    ],
)
def test_failures_have_a_code_and_a_message(run: Run, command: list[str], code: int, kind: str, word: str) -> None:
    plain, as_json = run(*command), run("--json", *command)
    assert (plain.exit_code, plain.stdout) == (code, "")
    assert word in plain.stderr
    assert "\x1b" not in plain.stderr
    assert (as_json.exit_code, as_json.stdout) == (code, "")
    error = json.loads(as_json.stderr)["error"]
    assert error["kind"] == kind
    assert word in error["message"]


def test_a_service_in_trouble_says_so(run: Run, service: Service) -> None:
    service.records.away = True
    result = run("call", "list")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "is its disk full?" in result.stderr
    service.floor.broken = AmiDisconnectedError("pbx1 is away")
    assert "pbx1 is away" in run("status").stderr


def test_calls_are_filtered_by_the_service(run: Run, service: Service) -> None:
    began = time.time()
    line = "call list --since 1h30m --queue support --agent 1001 --outcome answered --number +4930123456 --limit 7"
    assert run(*line.split()).exit_code == 0
    (asked,) = service.records.asked
    assert asked["since"] == pytest.approx(began - 5400, abs=30)
    del asked["since"]
    assert asked == {"until": None, "queue": "support", "agent": "anna", "outcome": "answered",
                     "number": "+4930123456", "limit": 7}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "at"), [("2025-11-21 16:00", NOW), ("2025-11-21T16:00:00+00:00", NOW), ("2025-11-21", NOW - 16 * 3600)]
)
def test_a_time_may_be_a_date(run: Run, service: Service, text: str, at: float) -> None:
    assert run("call", "list", "--until", text).exit_code == 0
    assert service.records.asked[0]["until"] == at


@pytest.mark.parametrize("text", ["yesterday", "1", "5x", "1h30", "25:61", "-1h", "", "99999999999999w1"])
def test_a_bad_time_is_wrong_usage(run: Run, text: str) -> None:
    result = run("call", "list", f"--since={text}")
    assert result.exit_code == 2
    assert "is no time" in result.stderr


def test_wrong_usage_is_2(run: Run) -> None:
    assert run("call", "list", "--live", "--since", "1h").exit_code == 2
    assert run("call", "list", "--outcome", "nice").exit_code == 2
    assert run("call", "list", "--limit", "0").exit_code == 2
    result = run("statsu")
    assert result.exit_code == 2
    assert "status" in result.stderr


def test_nothing_is_said_in_words(run: Run, service: Service) -> None:
    assert run("call", "list", "--queue", "billing").stdout == "no calls\n"
    service.floor.queue_list.clear()
    service.floor.agent_list.clear()
    assert run("queue", "list").stdout == "no queues\n"
    assert run("agent", "list").stdout == "no agents\n"
    assert run("status").exit_code == 0


def test_a_full_list_says_that_there_may_be_more(run: Run) -> None:
    assert "there may be more" in run("call", "list", "--limit", "2").stderr
    assert run("call", "list", "--limit", "3").stderr == ""


def test_call_show_adds_up(run: Run, service: Service) -> None:
    shown = run("call", "show", "r1").stdout
    assert "answered by anna, ended by caller" in shown
    assert "1:35.0 in all, the call's length" in shown
    rows = [
        line.split() for line in shown.splitlines() if re.search(r" (entered|waited|offered|rang|talked|after) ", line)
    ]
    percents = [int(word[:-1]) for row in rows for word in row if re.fullmatch(r"\d+%", word)]
    assert len(percents) == 6
    assert sum(percents) == 100
    (bar,) = [line.strip() for line in shown.splitlines() if re.fullmatch(r"  [.\-o%#a]+", line)]
    assert len(bar) == 76
    assert 40 < bar.count("#") < 55
    service.records.rows[0]["length_s"] = 90.0
    assert "but the call lasted 1:30.0: +5.000 s unaccounted for" in run("call", "show", "r1").stdout


def test_call_explain_tells_a_story(run: Run) -> None:
    shown = run("call", "explain", "r1").stdout
    for part in (
        "waits in support", "needs english 50 or better",
        "none of 12 agents could take it: 7 talking, 3 paused, 2 without the skills needed", "number 4 in the queue",
        "offered to bert", "the caller had waited 20.0 s; decided because: agent free",
        "bert: idle the longest, 3.2 s; skills: english 70", "considered 12 agents; passed over: 9 talking",
        "the best: bert idle 3.2 s, anna idle 1.0 s", "the offer to bert failed: no answer", "rang 20 s",
        "consequence: agent paused (rona)", "overflowed to queue sales", "found again after a restart",
        "blessed (anna)", "by: moon", "revision ab12cd34",
    ):  # fmt: skip
        assert part in shown
    assert "no decision was recorded" in run("call", "explain", "c1").stdout


def test_not_running_says_how_to_start(tmp_path: Path) -> None:
    for options, kind in (([], False), (["--json"], True)):
        result = CliRunner().invoke(cli, [*options, "--socket", str(tmp_path / "none.sock"), "status"])
        assert (result.exit_code, result.stdout) == (3, "")
        message = json.loads(result.stderr)["error"]["message"] if kind else result.stderr
        assert f"acd is not running (no socket at {tmp_path}/none.sock): start it with `acd serve --config" in message


def test_piped_watching_is_a_line_each_time(run: Run, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    naps = iter([None, None])

    def nap(seconds: float) -> None:
        try:
            next(naps)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("acd.cli.status.time.sleep", nap)
    result = run("status", "--watch")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert "waiting=3 longest_s=29 talking=4 level=86%" in lines[0]
    naps = iter([None])
    result = run("--json", "status", "--watch")
    assert [set(json.loads(line)) for line in result.stdout.splitlines()] == [{"status", "queues", "agents"}] * 2


def test_a_call_that_was_dialled_is_told_with_whom_it_was_for(run: Run, service: Service) -> None:
    row = service.records.rows[0]
    row |= {"direction": "outbound", "campaign": "win", "queue": "win"}
    ident = row["call"]
    assert f"to {row['caller_number']}" in run("call", "list").stdout
    shown = " ".join(run("call", "show", ident).stdout.split())
    assert f"to {row['caller_number']}" in shown
    assert f"(campaign win, showing {row['did']}), entered" in shown
    row["queue"] = "support"
    assert f"showing {row['did']}), queue support, entered" in " ".join(run("call", "show", ident).stdout.split())
