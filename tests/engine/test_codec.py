"""The domain's words as JSON and back: nothing is lost, and nothing strange is let in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, replace

import pytest
from floorkit import define
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import EVERYTHING

from acd.config.floor import parse_floor, revision_of
from acd.config.problems import Problems
from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain import records as rec
from acd.domain.definition import FloorDefinition
from acd.domain.errors import MisuseError
from acd.domain.hours import OpeningHours
from acd.domain.states import PhoneState
from acd.engine.codec import CodecError, decode, encode

EVENTS = [
    cls for cls in vars(ev).values() if isinstance(cls, type) and issubclass(cls, ev.Event) and cls is not ev.Event
]


def pinless(floor: FloorDefinition) -> FloorDefinition:
    """The floor as a journal holds it."""
    return replace(floor, agents={name: replace(agent, pin_hash=None) for name, agent in floor.agents.items()})


# One made up from its types would make no sense
st.register_type_strategy(
    FloorDefinition,
    st.sampled_from(
        (
            define("queue a needs=x:5 max=10 overflow=queue:b\nqueue b\nagent ann 1 a x=7\ndid 1 a"),
            pinless(parse_floor(EVERYTHING, Problems("floor.yaml")).definition),
        )
    ),
)


def back(cls: type, value: object) -> object:
    return decode(cls, json.loads(encode(value)))


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.__name__)
def test_every_event_comes_back(cls: type) -> None:
    @settings(deadline=None, max_examples=60)
    @given(st.from_type(cls))
    def check(event: ev.Event) -> None:
        text = encode(event)
        assert text.isascii()
        assert "\n" not in text
        again = back(ev.Event, event)
        assert type(again) is cls
        assert encode(again) == text
        # NaN is unequal to itself; a member of an enum and its value are equal, and must not be mistaken
        assert again == event or "NaN" in text
        assert kinds(again) == kinds(event)

    check()


def kinds(event: object) -> list[type]:
    values = [getattr(event, field.name) for field in fields(event)]  # type: ignore[arg-type]
    return [Mapping if isinstance(value, Mapping) else type(value) for value in values]


@pytest.mark.parametrize(
    "at",
    [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, math.nan, math.inf, -math.inf, 1_700_000_000.123_456_7, 3, -7],
)
def test_numbers_come_back_bit_for_bit(at: float) -> None:
    again = back(ev.Event, ev.DeadlinePassed(at))
    assert isinstance(again, ev.DeadlinePassed)
    assert repr(again.at) == repr(at)


@pytest.mark.parametrize("text", ["\ud800", '"\\\n\r\x00', "\u2028é😀", "x" * 100_000, '{"_":"Event"}'])
def test_texts_come_back(text: str) -> None:
    event = ev.CallArrived(1.0, "east", text, text, text, text, text, text, variables={text: text})
    assert back(ev.Event, event) == event


def test_the_order_of_a_mapping_is_kept() -> None:
    phones = {"b": PhoneState.IDLE, "a": PhoneState.BUSY, "c": PhoneState.IDLE}
    again = back(ev.Event, ev.NodeResynced(1.0, "east", (), phones))
    assert isinstance(again, ev.NodeResynced)
    assert list(again.phones) == ["b", "a", "c"]
    assert isinstance(again.phones["a"], PhoneState)


def test_a_floor_comes_back_without_its_secrets() -> None:
    floor = define(
        "queue a needs=x:5 max=10 overflow=queue:b\nqueue b overflow=dialplan:vm,s\nagent ann 1 a x=7\ndid 1 a"
    )
    secret = replace(floor.agents["ann"], pin_hash="scrypt$secret")
    text = encode(replace(floor, agents={"ann": secret}))
    assert "scrypt" not in text
    assert decode(FloorDefinition, json.loads(text)) == floor


def test_a_floor_that_uses_everything_comes_back() -> None:
    floor = parse_floor(EVERYTHING, Problems("floor.yaml")).definition
    text = encode(floor)
    assert "scrypt" not in text
    again = decode(FloorDefinition, json.loads(text))
    assert encode(again) == text
    assert again == pinless(floor)
    assert revision_of(again) == revision_of(pinless(floor))
    # It is not a picture of it: it works
    calls = {"language": "german", "tier": "gold"}
    for mine, theirs in zip(floor.queues["service"].stages, again.queues["service"].stages, strict=True):
        assert theirs.expression.bind(calls, again.skills) == mine.expression.bind(calls, floor.skills)
    friday_noon = 1_782_475_200.0
    for hour in range(24 * 14):
        at = friday_noon + hour * 3600
        assert again.hours["office"].is_open(at) == floor.hours["office"].is_open(at)


def test_a_time_zone_that_is_not_there_is_told() -> None:
    text = '{"_":"OpeningHours","time_zone":"Moon/Tranquility","week":[],"exceptions":{}}'
    with pytest.raises(CodecError, match="time_zone should be a time zone of this machine"):
        decode(OpeningHours, json.loads(text))
    text = '{"_":"OpeningHours","time_zone":"Europe/Berlin","week":[],"exceptions":{"tomorrow":[]}}'
    with pytest.raises(CodecError, match=r"exceptions\['tomorrow'\] should be a date"):
        decode(OpeningHours, json.loads(text))


def test_what_is_written_only_is_tagged_and_whole() -> None:
    command = do.Reply("r1", True, "done", {"agent": "ann", "list": (1, None, 2.5)})
    assert json.loads(encode(command)) == {
        "_": "Reply", "request": "r1", "ok": True, "message": "done", "data": {"agent": "ann", "list": [1, None, 2.5]},
    }  # fmt: skip
    assert json.loads(encode([rec.CallMoved("c", "q")])) == [{"_": "CallMoved", "call": "c", "queue": "q"}]


def test_a_set_is_written_the_same_in_every_process() -> None:
    assert encode({"b", "a", "c"}) == encode(frozenset("cba")) == '["a","b","c"]'


CALL_ENDED = '"_":"CallEnded","at":1.0,"node":"east","channel":"c1"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'{{{CALL_ENDED},"extra":1}}', "CallEnded has a field 'extra' that CallEnded does not know"),
        ('{"_":"CallEnded","at":1.0,"node":"east"}', "CallEnded lacks channel"),
        (f'{{{CALL_ENDED},"cause":"16"}}', "cause should be"),
        (f'{{{CALL_ENDED},"cause":true}}', "cause should be"),
        (f"{{{CALL_ENDED.replace('1.0', 'null')}}}", "at should be a number, not null"),
        ('{"_":"Event2","at":1.0}', "should be a Event, not a Event2"),
        ('{"_":"Place","queue":"q"}', "should be a Event, not a Place"),
        ('{"_":7}', "should be a Event, not an object"),
        ("[]", "should be a Event, not a list"),
        ("null", "should be a Event, not null"),
        ('{"_":"PhoneStateChanged","at":1,"device":"d","state":"ON"}', "state should be one of UNREACHABLE"),
        ('{"_":"PhoneStateChanged","at":1,"device":"d","state":[]}', "state should be one of UNREACHABLE"),
        ('{"_":"NodeResynced","at":1,"node":"n","calls":[{"_":"SeenCall"}],"phones":{}}', "calls[0].SeenCall lacks"),
        ('{"_":"NodeResynced","at":1,"node":"n","calls":[],"phones":{"d":"X"}}', "phones['d'] should be one of"),
        ('{"_":"NodeResynced","at":1,"node":"n","calls":{},"phones":{}}', "calls should be a list, not an object"),
    ],
)
def test_strange_things_are_refused_with_their_place(text: str, message: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(ev.Event, json.loads(text))
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [object(), {"x": object()}, {(1, 2): 3}, b"bytes", complex(1)])
def test_what_has_no_form_in_json_is_refused(value: object) -> None:
    with pytest.raises(MisuseError):
        encode(value)
