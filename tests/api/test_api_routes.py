"""What each route answers, over a real Unix socket."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import aiohttp
import pytest
from fakefloor import FakeFloor, FakeRecords
from fakesamples import CHANGES, HOSTILE, NOW, PROBLEMS, ROUTED

from acd.domain.definition import ToDialplan
from acd.domain.errors import AmiDisconnectedError
from acd.domain.events import AgentAction, CallAction


async def ask(http: aiohttp.ClientSession, path: str, method: str = "GET", **more: Any) -> tuple[int, Any]:
    async with http.request(method, path, **more) as response:
        assert response.content_type == "application/json"
        text = await response.text()
        assert text.isascii()
        return response.status, json.loads(text)


async def test_status_is_the_floors_with_the_version(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    status, body = await ask(http, "/v1/status")
    assert status == 200
    assert body == {"version": "9.9", **floor.status()}


async def test_lists_and_single_things(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    assert await ask(http, "/v1/queues") == (200, {"queues": floor.queues()})
    assert await ask(http, "/v1/queues/support") == (200, floor.queue("support"))
    assert await ask(http, "/v1/agents") == (200, {"agents": floor.agents()})
    assert await ask(http, "/v1/agents/anna") == (200, floor.agent("anna"))
    assert await ask(http, "/v1/agents/1001") == (200, floor.agent("anna"))


@pytest.mark.parametrize(
    ("path", "kind", "near"),
    [
        ("/v1/queues/suport", "queue", "support"),
        ("/v1/queues/SALES", "queue", "sales"),
        ("/v1/queues/%ff%00", "queue", None),
        ("/v1/agents/ana", "agent", "anna"),
        ("/v1/agents/zzzzzzzz", "agent", None),
        ("/v1/calls/zzzzzzzz", "call", None),
        ("/v1/calls/zzzzzzzz/explain", "call", None),
        ("/v1/agents/ana/explain", "agent", "anna"),
    ],
)
async def test_an_unknown_name_is_404_with_the_nearest(
    http: aiohttp.ClientSession, path: str, kind: str, near: str | None
) -> None:
    status, body = await ask(http, path)
    assert status == 404
    assert (body["error"]["kind"], body["error"]["nearest"]) == ("unknown_name", near)
    assert f"no {kind} named" in body["error"]["message"]


async def test_an_agents_request_reaches_the_floor_by_name_and_number(
    http: aiohttp.ClientSession, floor: FakeFloor
) -> None:
    status, body = await ask(http, "/v1/agents/1002/pause", "POST", json={"reason": "lunch"})
    assert (status, body["ok"], body["message"]) == (200, True, "bert is PAUSED")
    assert await ask(http, "/v1/agents/bert/resume", "POST") == (
        200,
        {"ok": True, "message": "bert is AVAILABLE", "data": {"state": "AVAILABLE", "pending": None}},
    )
    status, _ = await ask(http, "/v1/agents/bert/login", "POST", json={"phone": "PJSIP/77"})
    assert status == 200
    status, _ = await ask(http, "/v1/agents/bert/logout", "POST", json={})
    assert status == 200
    assert floor.requests == [
        ("bert", AgentAction.PAUSE, "lunch", None),
        ("bert", AgentAction.RESUME, None, None),
        ("bert", AgentAction.LOGIN, None, "PJSIP/77"),
        ("bert", AgentAction.LOGOUT, None, None),
    ]


async def test_a_refusal_is_409_whether_raised_or_answered(http: aiohttp.ClientSession) -> None:
    status, body = await ask(http, "/v1/agents/bert/pause", "POST", json={"reason": "holiday"})
    assert (status, body["error"]["kind"]) == (409, "refused")
    assert "the reasons are" in body["error"]["message"]
    status, body = await ask(http, "/v1/agents/hanna/resume", "POST")
    assert (status, body["error"]["kind"]) == (409, "refused")
    assert body["error"]["message"] == "hanna is logged out: log in first"


@pytest.mark.parametrize(
    ("payload", "status", "kind", "word"),
    [
        (b"{", 400, "bad_request", "JSON"),
        (b"[1]", 400, "bad_request", "object"),
        (b'{"reason": "\xff"}', 400, "bad_request", "UTF-8"),
        (b"[" * 50_000, 400, "bad_request", "JSON"),
        (b'{"reason": 5}', 400, "bad_parameter", "reason"),
        (b'{"reason": ""}', 400, "bad_parameter", "reason"),
        (b'{"reason": "a\\u0000b"}', 400, "bad_parameter", "control"),
        (b'{"resaon": "x"}', 400, "bad_parameter", "nearest: reason"),
        (b'{"reason": "%s"}' % (b"x" * 101), 400, "bad_parameter", "reason"),
        (b" " * 65_537, 413, "too_large", "65536"),
    ],
)
async def test_a_bad_body_is_answered_with_what_is_wrong(
    http: aiohttp.ClientSession, floor: FakeFloor, payload: bytes, status: int, kind: str, word: str
) -> None:
    headers = {"Content-Type": "application/json"}
    got, body = await ask(http, "/v1/agents/bert/pause", "POST", data=payload, headers=headers)
    assert (got, body["error"]["kind"]) == (status, kind)
    assert word in body["error"]["message"]
    assert floor.requests == []


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Type": "application/json", "Content-Encoding": "gzip"}],
)
async def test_another_content_type_is_415(http: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    status, body = await ask(http, "/v1/agents/bert/pause", "POST", data=b"{}", headers=headers)
    assert (status, body["error"]["kind"]) == (415, "unsupported_media")


@pytest.mark.parametrize(
    ("query", "name", "expected"),
    [
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=1001", "limit", "less than or equal to 1000"),
        ("limit=many", "limit", "integer"),
        ("since=yesterday", "since", "number"),
        ("since=nan", "since", "finite"),
        ("until=-1", "until", "greater than or equal to 0"),
        ("outcome=answred", "outcome", "'answered'"),
        ("queue=", "queue", "at least 1"),
        ("queue=a%0ab", "queue", "control"),
        ("quue=a", "quue", "nearest: queue"),
        ("limit=1&limit=2", "limit", "given once"),
    ],
)
async def test_a_bad_parameter_is_named_with_what_is_expected(
    http: aiohttp.ClientSession, records: FakeRecords, query: str, name: str, expected: str
) -> None:
    status, body = await ask(http, f"/v1/calls?{query}")
    assert (status, body["error"]["kind"]) == (400, "bad_parameter")
    (problem,) = body["error"]["problems"]
    assert problem["name"] == name
    assert expected in problem["expected"]
    assert records.asked == []


async def test_all_bad_parameters_are_named_at_once(http: aiohttp.ClientSession) -> None:
    _, body = await ask(http, "/v1/calls?limit=0&since=x&foo=1")
    assert {problem["name"] for problem in body["error"]["problems"]} == {"limit", "since", "foo"}


async def test_calls_pass_the_filters_on(http: aiohttp.ClientSession, records: FakeRecords) -> None:
    path = f"/v1/calls?limit=7&since={NOW - 200}&until={NOW}&queue=support&agent=1001&outcome=answered&number=%2B4930123456"
    status, body = await ask(http, path)
    assert status == 200
    assert [call["call"] for call in body["calls"]] == ["r1"]
    assert body["calls"][0]["caller_name"] == HOSTILE
    assert records.asked == [
        {"limit": 7, "since": NOW - 200, "until": NOW, "queue": "support", "agent": "anna", "outcome": "answered",
         "number": "+4930123456"}
    ]  # fmt: skip
    await ask(http, "/v1/calls?agent=gone")
    assert records.asked[-1]["agent"] == "gone"


async def test_live_calls_are_the_floors(http: aiohttp.ClientSession, floor: FakeFloor, records: FakeRecords) -> None:
    assert await ask(http, "/v1/calls?live=1") == (200, {"calls": floor.calls()})
    _, body = await ask(http, "/v1/calls?live=1&agent=1005")
    assert [call["call"] for call in body["calls"]] == ["c4"]
    _, body = await ask(http, "/v1/calls?live=1&limit=1&number=%2B4930123002")
    assert [call["call"] for call in body["calls"]] == ["c2"]
    status, body = await ask(http, "/v1/calls?live=1&since=5")
    assert (status, body["error"]["kind"]) == (400, "bad_parameter")
    assert records.asked == []


async def test_a_call_is_its_row_and_its_live_part(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    _, body = await ask(http, "/v1/calls/r1")
    assert body["live"] is None
    assert [segment["kind"] for segment in body["call"]["segments"]][:2] == ["entered", "waited"]
    assert await ask(http, "/v1/calls/c1") == (200, {"call": None, "live": floor.calls()[0]})
    _, body = await ask(http, "/v1/calls/r1/explain")
    assert [decision["kind"] for decision in body["decisions"]][:2] == ["waits", "offered"]


async def test_few_digits_are_a_call_of_this_life(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    floor.call_list = [{**floor.calls()[0], "call": call} for call in ("00000600000012", "00000700000012")]
    for digits in ("12", "012", "00000012", "00000700000012"):
        assert await ask(http, f"/v1/calls/{digits}") == (200, {"call": None, "live": floor.calls()[1]})
        assert (await ask(http, f"/v1/calls/{digits}/explain"))[1]["live"] == floor.calls()[1]
    for digits in ("2", "700000012"):
        assert (await ask(http, f"/v1/calls/{digits}"))[0] == 404
    assert (await ask(http, "/v1/calls/12/escalate", "POST"))[0] == 404, "only who looks"


async def test_why_an_agent_has_no_call_is_the_floors_word(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    assert await ask(http, "/v1/agents/1001/explain") == (200, floor.agent_explanation("anna"))
    _, body = await ask(http, "/v1/calls/r2/explain")
    assert body["decisions"] == ROUTED


async def test_a_request_about_a_call_reaches_the_floor(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    assert await ask(http, "/v1/calls/c1/escalate", "POST") == (
        200,
        {"ok": True, "message": "passed on to sales", "data": {"queue": "sales"}},
    )
    status, _ = await ask(http, "/v1/calls/c2/escalate", "POST", json={"queue": "billing"})
    assert status == 200
    attributes = {"tier": "gold", "n": 10**15 - 1, "share": -0.5, "vip": True, "empty": ""}
    status, body = await ask(http, "/v1/calls/c2/attributes", "POST", json={"attributes": attributes})
    assert (status, body["data"]) == (200, {"attributes": attributes})
    assert floor.call_requests == [
        ("c1", CallAction.ESCALATE, None, {}),
        ("c2", CallAction.ESCALATE, "billing", {}),
        ("c2", CallAction.SET_ATTRIBUTES, None, attributes),
    ]
    assert [type(value) for value in floor.call_requests[2][3].values()] == [str, int, float, bool, str]
    status, body = await ask(http, "/v1/calls/c4/escalate", "POST")
    assert (status, body["error"]["kind"]) == (409, "refused")


async def test_a_call_is_transferred(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    for payload, message in (
        ({"queue": "billing"}, "waits in billing"),
        ({"to": "+4420155"}, "sent to acd-transfer,+4420155,1"),
        ({"to": "from-internal, 100"}, "sent to from-internal,100,1"),
        ({"to": "from-internal,100,3"}, "sent to from-internal,100,3"),
    ):
        status, body = await ask(http, "/v1/calls/c1/transfer", "POST", json=payload)
        assert (status, body["message"]) == (200, message)
    assert [request[2] for request in floor.call_requests] == ["billing", None, None, None]
    assert floor.sent_to[1:] == [
        ToDialplan("acd-transfer", "+4420155"),
        ToDialplan("from-internal", "100"),
        ToDialplan("from-internal", "100", 3),
    ]


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        ({}, "say one of them"),
        ({"queue": "billing", "to": "600"}, "say one of them"),
        ({"to": "somebody"}, "is no place"),
        ({"to": "a,b,c"}, "is no place"),
        ({"to": "a,b,1,2"}, "is no place"),
        ({"to": "600)}${SHELL(id)"}, "is no place"),
        ({"to": "a,1\r\nAction: Originate"}, "to"),
        ({"to": ""}, "to"),
        ({"queues": "billing"}, "no such parameter"),
    ],
)
async def test_a_transfer_to_nowhere_is_told(
    http: aiohttp.ClientSession, floor: FakeFloor, payload: Any, word: str
) -> None:
    status, body = await ask(http, "/v1/calls/c1/transfer", "POST", json=payload)
    assert (status, body["error"]["kind"]) == (400, "bad_parameter")
    assert word in body["error"]["message"]
    assert floor.call_requests == []


async def test_a_call_that_is_over_cannot_be_changed(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    status, body = await ask(http, "/v1/calls/r1/attributes", "POST", json={"attributes": {"a": 1}})
    assert (status, body["error"]["kind"]) == (409, "refused")
    assert body["error"]["message"].startswith("call r1 is over")
    assert floor.call_requests == []


@pytest.mark.parametrize(
    ("path", "payload", "kind", "near"),
    [
        ("/v1/calls/c9/escalate", {}, "call", "c"),
        ("/v1/calls/c1/escalate", {"queue": "SALES"}, "queue", "sales"),
        ("/v1/calls/zzzzzzzz/attributes", {"attributes": {"a": 1}}, "call", None),
    ],
)
async def test_an_unknown_call_or_queue_of_a_request_is_404(
    http: aiohttp.ClientSession, floor: FakeFloor, path: str, payload: Any, kind: str, near: str | None
) -> None:
    status, body = await ask(http, path, "POST", json=payload)
    assert (status, body["error"]["kind"]) == (404, "unknown_name")
    assert f"no {kind} named" in body["error"]["message"]
    nearest = body["error"]["nearest"]
    assert nearest is None if near is None else nearest.startswith(near)
    assert floor.call_requests == []


@pytest.mark.parametrize(
    ("payload", "problems"),
    [
        (b"{}", {"attributes": "required"}),
        (b'{"attributes": {}}', {"attributes": "at least 1"}),
        (b'{"attributes": [1]}', {"attributes": "dictionary"}),
        (b'{"attributes": {"A": 1, "b": "ok", "c d": "x"}}', {"attributes.A": "has a name", "attributes.c d": "has a name"}),
        (b'{"attributes": {"": 1}}', {"attributes.": "has a name"}),
        (b'{"attributes": {"a": null, "b": [], "c": {}}}',
         {f"attributes.{name}": "should be a text, a number, true or false" for name in "abc"}),
        (b'{"attributes": {"a": "%s"}}' % (b"x" * 201), {"attributes.a": "is longer than 200"}),
        (b'{"attributes": {"a": "x\\u0000"}}', {"attributes.a": "cannot be printed"}),
        (b'{"attributes": {"a": NaN, "b": Infinity}}', {"attributes.a": "no finite", "attributes.b": "15 digits"}),
        (b'{"attributes": {"a": 1000000000000000}}', {"attributes.a": "15 digits"}),
        (b'{"attributes": {"a": -1e300}}', {"attributes.a": "15 digits"}),
        (b'{"attributes": {%s}}' % b", ".join(b'"a%d": 1' % n for n in range(51)), {"attributes": "at most 50"}),
        (b'{"attributes": {"a": 1}, "more": 1}', {"more": "no such parameter"}),
    ],
)  # fmt: skip
async def test_a_bad_attribute_is_named_with_what_is_wrong(
    http: aiohttp.ClientSession, floor: FakeFloor, payload: bytes, problems: dict[str, str]
) -> None:
    headers = {"Content-Type": "application/json"}
    status, body = await ask(http, "/v1/calls/c1/attributes", "POST", data=payload, headers=headers)
    assert (status, body["error"]["kind"]) == (400, "bad_parameter")
    said = {problem["name"]: problem["expected"] for problem in body["error"]["problems"]}
    assert said.keys() == problems.keys()
    assert [name for name, word in problems.items() if word not in said[name]] == [], said
    assert floor.call_requests == []


async def test_the_floor_in_force_is_compared_and_reloaded(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    assert await ask(http, "/v1/floor") == (200, floor.floor_in_force())
    _, body = await ask(http, "/v1/floor/diff")
    assert (body["new_revision"], body["changes"], floor.reloads) == ("ef56ab78", CHANGES, 0)
    status, body = await ask(http, "/v1/floor/reload", "POST")
    assert (status, body["ok"], body["reloaded"], floor.reloads) == (200, True, True, 1)
    status, body = await ask(http, "/v1/floor/reload", "POST", json={"force": True})
    assert (status, body["error"]["kind"], floor.reloads) == (400, "bad_parameter", 1)


@pytest.mark.parametrize(("path", "method"), [("/v1/floor/diff", "GET"), ("/v1/floor/reload", "POST")])
async def test_a_floor_that_cannot_be_used_is_409_with_all_that_is_wrong(
    http: aiohttp.ClientSession, floor: FakeFloor, path: str, method: str
) -> None:
    floor.floor_problems = PROBLEMS
    status, body = await ask(http, path, method)
    assert (status, body["error"]["kind"]) == (409, "bad_floor")
    assert body["error"]["problems"] == PROBLEMS
    assert floor.reloads == 0


async def test_unknown_paths_and_methods(http: aiohttp.ClientSession) -> None:
    status, body = await ask(http, "/v1/queue")
    assert (status, body["error"]["kind"]) == (404, "not_found")
    async with http.delete("/v1/agents/anna/login") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "POST"
        assert (await response.json())["error"]["kind"] == "method_not_allowed"
    status, body = await ask(http, "/v1/agents/anna/dismiss", "POST")
    assert status == 404
    status, body = await ask(http, "/v1/queues/..%2f..%2fetc")
    assert status == 404


async def test_what_cannot_be_asked_is_503(http: aiohttp.ClientSession, floor: FakeFloor, records: FakeRecords) -> None:
    records.away = True
    status, body = await ask(http, "/v1/calls")
    assert (status, body["error"]["kind"]) == (503, "unavailable")
    assert "disk full" in body["error"]["message"]
    floor.broken = AmiDisconnectedError("pbx1 is away")
    status, body = await ask(http, "/v1/status")
    assert (status, body["error"]["kind"]) == (503, "unavailable")


async def test_a_defect_is_500_with_an_id_and_without_a_traceback(
    http: aiohttp.ClientSession, floor: FakeFloor, caplog: pytest.LogCaptureFixture
) -> None:
    floor.broken = KeyError("secret-detail")
    with caplog.at_level(logging.ERROR, "acd.api"):
        status, body = await ask(http, "/v1/status")
    assert (status, body["error"]["kind"]) == (500, "internal")
    assert "secret-detail" not in json.dumps(body)
    (record,) = caplog.records
    assert body["error"]["id"] in record.getMessage()
    assert record.exc_info is not None


async def test_a_floor_that_does_not_answer_is_504(
    http: aiohttp.ClientSession, floor: FakeFloor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acd.api.app.ANSWER_TIMEOUT_S", 0.05)
    floor.hang = asyncio.Event()
    status, body = await ask(http, "/v1/agents/bert/pause", "POST")
    assert (status, body["error"]["kind"]) == (504, "no_answer")


async def test_a_read_that_is_not_answered_has_changed_nothing(
    http: aiohttp.ClientSession, floor: FakeFloor, records: FakeRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acd.api.app.ANSWER_TIMEOUT_S", 0.05)
    floor.hang, records.hang = asyncio.Event(), asyncio.Event()
    said = {
        (await ask(http, path, method))[1]["error"]["message"].partition("; ")[2]
        for path, method in (("/v1/calls", "GET"), ("/v1/agents/bert/pause", "POST"))
    }
    assert said == {
        "nothing was changed: ask again later",
        "what was asked for may still take effect, so look before you ask again",
    }


async def test_health_says_so_by_its_status(http: aiohttp.ClientSession, floor: FakeFloor) -> None:
    status, body = await ask(http, "/health")
    assert (status, body["ok"], body["database"]) == (200, True, "ok")
    floor.healthy = False
    status, body = await ask(http, "/health")
    assert (status, body["ok"]) == (503, False)
