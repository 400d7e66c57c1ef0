"""What people say of calls, the audit log and the revisions, on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))

from cliservice import serve_in_thread
from fakedesk import FakeDesk
from fakefloor import FakeFloor, FakeRecords
from fakesamples import HOSTILE

from acd.cli import cli
from acd.cli import revisiondetail as kept
from acd.domain.definition import AgentDefinition, FloorDefinition, KnownCaller, QueueDefinition
from acd.domain.errors import AcdError


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDesk]:
    records = FakeRecords()
    desk = FakeDesk(records.rows)
    stop = serve_in_thread(FakeFloor(), records, tmp_path / "acd.sock", desk)
    monkeypatch.setenv("ACD_HTTP__SOCKET", str(tmp_path / "acd.sock"))
    yield desk
    stop()


def acd(*arguments: str, **how: Any) -> Result:
    return CliRunner().invoke(cli, list(arguments), prog_name="acd", **how)


def test_note_disposition_and_tags_are_shown(desk: FakeDesk) -> None:
    assert acd("call", "note", "r1", "first\nline").stdout == "r1: notes first\nr1: line\n"
    assert acd("call", "note", "--append", "r1", "-", input="second\n").exit_code == 0
    assert acd("call", "disposition", "r1", "sold").exit_code == 0
    result = acd("call", "tag", "r1", "+vip", "+hot", "+old")
    assert result.exit_code == 0, result.output
    result = acd("call", "tag", "r1", "-hot", "-old", "+h")
    assert result.exit_code == 0, result.output
    shown = acd("call", "show", "r1").stdout
    assert "  came to sold\n  tags vip, h\n  notes first\n        line\n        second\n" in shown
    assert json.loads(acd("--json", "call", "show", "r1").stdout)["call"]["tags"] == ["vip", "h"]
    assert acd("call", "note", "r1", "").stdout.count("notes") == 0


def test_hostile_notes_reach_no_terminal(desk: FakeDesk) -> None:
    desk.rows[0]["notes"] = f"a\x1b[2J{HOSTILE}\u202e"
    shown = acd("call", "show", "r1").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_what_is_wrong_is_told(desk: FakeDesk) -> None:
    result = acd("call", "tag", "r1", "vip")
    assert (result.exit_code, "+vip" in result.stderr) == (2, True)
    result = acd("call", "disposition", "r1", "solt")
    assert (result.exit_code, "nearest: sold" in result.stderr) == (4, True)
    result = acd("call", "note", "nobody", "x")
    assert (result.exit_code, "no call named 'nobody'" in result.stderr) == (4, True)
    assert acd("call", "tag", "r1", "--help").exit_code == 0


def test_the_audit_log_says_who_did_what(desk: FakeDesk) -> None:
    desk.audited("user:x", "agent_login", "agent:anna", {"phone": "PJSIP/1"})
    desk.audited(f"phone:{HOSTILE}", "call_annotations", "call:r1", {"tags_added": ["a", "b"]})
    result = acd("audit", "--since", "1h", "--who", "user", "--action", "agent")
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert "user:x" in lines[2]
    assert "agent login" in lines[2]
    assert "phone PJSIP/1" in lines[2]
    assert "\x1b" not in result.stdout
    assert (desk.filters["who"], desk.filters["action"]) == ("user", "agent")
    assert len(json.loads(acd("audit", "--json", "--limit", "1").stdout)["audit"]) == 1


def floor(**changes: Any) -> FloorDefinition:
    found = FloorDefinition(
        queues={"main": QueueDefinition("main")},
        agents={"anna": AgentDefinition("anna", "1", ("PJSIP/1",), ("main",), pin_hash="scrypt$secret")},
        entry_points={},
        callers=MappingProxyType({"491711234567": KnownCaller(5)}),
    )
    return replace(found, **changes)


def test_revisions_are_listed_shown_and_compared(desk: FakeDesk) -> None:
    many = {f"queue{n}": QueueDefinition(f"queue{n}") for n in range(500)}
    desk.details["aaaa11112222"] = kept.detail_of(floor(), lambda number: "hmac:1")
    desk.details["bbbb22223333"] = kept.detail_of(floor(queues=many, cool_down_s=3.0), lambda number: "hmac:1")
    assert desk.details["bbbb22223333"].keys() == {"zlib"}
    listed = acd("floor", "revisions").stdout.splitlines()
    assert [line.split()[0] for line in listed[1:]] == ["bbbb22223333", "aaaa11112222"]
    shown = acd("floor", "revisions", "show", "aaaa11112222").stdout
    assert json.loads(shown)["definition"]["callers"].keys() == {"hmac:1"}
    assert "1711234567" not in shown
    assert "secret" not in shown
    compared = acd("floor", "revisions", "diff", "aaaa11112222", "bbbb22223333")
    assert "500 queues added, 1 queue removed, 1 setting changed" in compared.stdout, compared.output
    assert (
        "500 queues"
        in json.loads(acd("--json", "floor", "revisions", "diff", "aaaa11112222", "bbbb22223333").stdout)["summary"]
    )
    assert acd("floor", "revisions", "show", "cccc").exit_code == 4


def test_what_is_no_definition_is_an_error() -> None:
    for detail in ({}, {"zlib": "x"}, {"zlib": "AAAA"}, {"definition": 5}, {"definition": {"_": "Nothing"}}):
        with pytest.raises(AcdError):
            kept.definition_of(detail)
    assert kept.definition_of(kept.detail_of(floor(), lambda number: number)) == replace(
        floor(), agents={"anna": replace(floor().agents["anna"], pin_hash=None)}
    )
