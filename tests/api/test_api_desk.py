"""What is said of calls, revisions, the audit log and masking, over a real Unix socket."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fakedesk import FakeDesk
from fakefloor import FakeFloor, FakeRecords

from acd.api import ApiServer, make_app, peer
from acd.api.desk import MASK_HEADER
from acd.cli import client
from acd.domain.annotations import NOTES_MAX

OTHER_UID, OTHER_GID = 4_000_001, 4_000_002


class OTHER:
    """The kernel's word for another user."""

    size = 12

    @staticmethod
    def unpack(data: bytes) -> tuple[int, int, int]:
        return (1, OTHER_UID, OTHER_GID)


ME = f"user:{getpass.getuser()}"


@pytest.fixture
def desk(records: FakeRecords) -> FakeDesk:
    return FakeDesk(records.rows)


@pytest.fixture
async def http(
    floor: FakeFloor, records: FakeRecords, desk: FakeDesk, socket_path: Path
) -> AsyncIterator[aiohttp.ClientSession]:
    server = ApiServer(make_app(floor, records, version="9.9", desk=desk), socket_path)
    await server.start()
    async with aiohttp.ClientSession("http://acd", connector=aiohttp.UnixConnector(str(socket_path))) as session:
        yield session
    await server.close()


async def post(http: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    async with http.post(path, json=body) as response:
        return response.status, await response.json()


async def get(http: aiohttp.ClientSession, path: str) -> tuple[int, dict[str, Any]]:
    async with http.get(path) as response:
        return response.status, await response.json()


@pytest.fixture
def somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket's other end is another user than the service's."""
    monkeypatch.setattr(peer.os, "getuid", lambda: 4_000_000)
    monkeypatch.setattr(peer, "_UCRED", OTHER)


async def test_a_call_is_annotated_and_shown_so(http: aiohttp.ClientSession, desk: FakeDesk) -> None:
    wish = {"disposition": "sold", "notes": "one\r\ntwo", "tags": {"add": ["vip", "late"]}}
    status, answer = await post(http, "/v1/calls/r1/annotations", wish)
    assert (status, answer["disposition"], answer["notes"], answer["tags"]) == (
        200,
        "sold",
        "one\ntwo",
        ["vip", "late"],
    )
    status, answer = await post(
        http,
        "/v1/calls/r1/annotations",
        {"notes": "three", "append": True, "tags": {"add": ["new"], "remove": ["late"]}},
    )
    assert (answer["notes"], answer["tags"]) == ("one\ntwo\nthree", ["vip", "new"])
    _, shown = await get(http, "/v1/calls/r1")
    assert shown["call"]["disposition"] == "sold"
    first, second = desk.entries
    assert (first["who"], first["action"], first["subject"]) == (ME, "call_annotations", "call:r1")
    assert first["detail"] == {"disposition": "sold", "tags_added": ("vip", "late"), "notes_length": 7}
    assert second["detail"] == {"tags_added": ("new",), "tags_removed": ("late",), "notes_length": 5}


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ({}, "body"),
        ({"tags": {}}, "body"),
        ({"disposition": "x" * 61}, "disposition"),
        ({"disposition": "a\x07b"}, "disposition"),
        ({"disposition": " sold"}, "disposition"),
        ({"disposition": 5}, "disposition"),
        ({"notes": "x" * (NOTES_MAX + 1)}, "notes"),
        ({"notes": "a\x1b[2Jb"}, "notes"),
        ({"tags": {"add": ["two words"]}}, "tags"),
        ({"tags": {"add": ["-x"]}}, "tags"),
        ({"tags": {"add": ["a,b"]}}, "tags"),
        ({"tags": {"add": ["x" * 41]}}, "tags"),
        ({"tags": {"add": ["t"] * 31}}, "tags.add"),
        ({"tags": {"add": ["t"], "remove": ["t"]}}, "tags"),
        ({"note": "x"}, "note"),
    ],
)
async def test_what_cannot_be_said_is_refused_by_name(
    http: aiohttp.ClientSession, desk: FakeDesk, wish: dict[str, Any], name: str
) -> None:
    before = dict(desk.rows[0])
    status, answer = await post(http, "/v1/calls/r1/annotations", wish)
    assert (status, answer["error"]["kind"]) == (400, "bad_parameter")
    assert answer["error"]["problems"][0]["name"] == name
    assert (desk.entries, desk.rows[0]) == ([], before)


@pytest.mark.parametrize(
    ("call", "wish", "nearest"),
    [
        ("r9", {"disposition": "sold"}, None),
        ("r1", {"disposition": "Wrong nummber"}, "wrong number"),
        ("r1", {"tags": {"remove": ["vip"]}}, None),
    ],
)
async def test_what_is_unknown_is_an_error_with_the_nearest_word(
    http: aiohttp.ClientSession, desk: FakeDesk, call: str, wish: dict[str, Any], nearest: str | None
) -> None:
    status, answer = await post(http, f"/v1/calls/{call}/annotations", wish)
    assert (status, answer["error"]["kind"], answer["error"]["nearest"]) == (404, "unknown_name", nearest)
    assert desk.entries == []


async def test_every_change_leaves_an_entry(http: aiohttp.ClientSession, desk: FakeDesk, floor: FakeFloor) -> None:
    assert (await post(http, "/v1/agents/1001/pause", {"reason": "lunch"}))[0] == 200
    assert (await post(http, "/v1/agents/anna/pause", {"reason": "holiday"}))[0] == 409
    assert (await post(http, "/v1/calls/c1/escalate", {"queue": "sales"}))[0] == 200
    assert (await post(http, "/v1/calls/c1/attributes", {"attributes": {"phone": "+4917112345"}}))[0] == 200
    assert (await post(http, "/v1/floor/reload", {}))[0] == 200
    assert (await get(http, "/v1/status"))[0] == 200
    assert [(one["who"], one["action"], one["subject"], one["detail"]) for one in desk.entries] == [
        (ME, "agent_pause", "agent:1001", {"reason": "lunch"}),
        (ME, "call_escalate", "call:c1", {"queue": "sales"}),
        (ME, "call_attributes", "call:c1", {"names": ["phone"]}),
        (
            ME,
            "floor_reload",
            "floor",
            {"from": "ab12cd34", "to": "ef56ab78", "summary": "1 queue changed, 2 agents added"},
        ),
    ]


async def test_what_may_have_been_done_is_said_so(
    http: aiohttp.ClientSession, desk: FakeDesk, floor: FakeFloor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: Any, **how: Any) -> Any:
        raise TimeoutError

    monkeypatch.setattr(floor, "request_call", away)
    assert (await post(http, "/v1/calls/c1/escalate", {}))[0] == 504
    assert [one["detail"] for one in desk.entries] == [{"outcome": "unknown"}]


async def test_a_reload_that_changes_nothing_leaves_none(
    http: aiohttp.ClientSession, desk: FakeDesk, floor: FakeFloor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def same(who: str = "") -> dict[str, Any]:
        return await floor.compare_floor() | {"message": "nothing changed", "reloaded": False}

    monkeypatch.setattr(floor, "reload_floor", same)
    assert (await post(http, "/v1/floor/reload", {}))[0] == 200
    assert desk.entries == []


async def test_the_audit_log_is_filtered(http: aiohttp.ClientSession, desk: FakeDesk) -> None:
    desk.audited("user:x", "agent_login", "agent:anna", {})
    status, answer = await get(http, "/v1/audit?who=user&action=agent&since=5&limit=3")
    assert (status, [row["who"] for row in answer["audit"]]) == (200, ["user:x"])
    assert desk.filters == {"since": 5.0, "until": None, "who": "user", "action": "agent"}
    assert (await get(http, "/v1/audit?limit=1001"))[0] == 400


async def test_revisions_are_listed_and_shown(http: aiohttp.ClientSession) -> None:
    _, answer = await get(http, "/v1/floor/revisions?limit=1")
    assert [row["revision"] for row in answer["revisions"]] == ["bbbb22223333"]
    _, answer = await get(http, "/v1/floor/revisions/aaaa11112222")
    assert answer["detail"] == {"definition": {}}
    status, answer = await get(http, "/v1/floor/revisions/aaaa")
    assert (status, answer["error"]["nearest"]) == (404, "aaaa11112222")


async def test_numbers_are_masked_for_others(
    http: aiohttp.ClientSession, desk: FakeDesk, floor: FakeFloor, somebody_else: None
) -> None:
    desk.rows[0]["notes"] = "ring +4930123456"
    floor.call_list[0]["attributes"] = {"number": "+4930123000", "tier": "gold"}
    for path in ("/v1/calls/r1", "/v1/calls/r1/explain", "/v1/calls", "/v1/calls?live=1", "/v1/queues/support"):
        status, answer = await get(http, path)
        assert status == 200
        text = str(answer)
        assert "30123" not in text
        assert "Bob" not in text
    _, live = await get(http, "/v1/calls?live=1")
    assert live["calls"][0]["attributes"] == {"number": "+493•••3000", "tier": "gold"}
    _, agents = await get(http, "/v1/agents/anna")
    assert agents["number"] == "1001"
    desk.operators = {OTHER_UID}
    _, answer = await get(http, "/v1/calls/r1")
    assert answer["call"]["caller_number"] == "+4930123456"
    desk.operators, desk.operators_groups = set(), {OTHER_GID}
    _, answer = await get(http, "/v1/calls/r1")
    assert answer["call"]["caller_number"] == "+4930123456"
    desk.operators_groups = {OTHER_GID + 1}
    _, answer = await get(http, "/v1/calls/r1")
    assert answer["call"]["caller_number"] == "+493•••3456"
    desk.operators, desk.mask = {OTHER_UID + 1}, False
    _, answer = await get(http, "/v1/calls/r1")
    assert answer["call"]["caller_number"] == "+4930123456"


async def test_whoever_asks_for_it_gets_numbers_masked(http: aiohttp.ClientSession, desk: FakeDesk) -> None:
    assert client.MASK_HEADER == MASK_HEADER
    for desk.mask in (True, False):
        async with http.get("/v1/calls/r1", headers={MASK_HEADER: "1"}) as response:
            answer = await response.json()
        assert answer["call"]["caller_number"] == "+493•••3456"
    async with http.get("/v1/calls/r1", headers={MASK_HEADER: "0"}) as response:
        assert (await response.json())["call"]["caller_number"] == "+4930123456"


async def test_the_service_s_own_user_sees_all(http: aiohttp.ClientSession) -> None:
    _, answer = await get(http, "/v1/calls/r1")
    assert answer["call"]["caller_number"] == "+4930123456"


async def test_only_the_service_s_own_user_has_a_person_forgotten(
    http: aiohttp.ClientSession, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, answer = await post(http, "/v1/persons/forget", {"number": "+4930123456"})
    assert (status, answer["forgotten"], desk.forgotten) == (200, True, ["+4930123456"])
    monkeypatch.setattr(peer.os, "getuid", lambda: 4_000_000)
    monkeypatch.setattr(peer, "_UCRED", OTHER)
    status, answer = await post(http, "/v1/persons/forget", {"number": "+4930123456"})
    assert (status, answer["error"]["kind"], len(desk.forgotten)) == (403, "forbidden", 1)
    assert desk.entries == []
