"""The little that definitions work out themselves."""

from __future__ import annotations

import pytest

from acd.domain.definition import (
    AgentDefinition,
    Cause,
    FloorDefinition,
    HangUp,
    KnownCaller,
    QueueDefinition,
    SkillRequirement,
    Stage,
    ToCallback,
    ToDialplan,
    ToMessage,
    ToQueue,
    ToVoicemail,
    number_key,
)
from acd.domain.expression import at_least, parse


def test_the_shorthand_is_one_stage() -> None:
    queue = QueueDefinition("q", requirements=(SkillRequirement("nl", 4), SkillRequirement("en", 0)))
    assert queue.stages == (Stage(0.0, parse("nl >= 4 and en >= 0", ("nl", "en"))),)
    own = Stage(0.0, parse("nl", ("nl",)))
    assert QueueDefinition("q", requirements=queue.requirements, stages=(own,)).stages == (own,)
    assert QueueDefinition("q").stages == ()
    assert own.expression.bind({}, ()) == at_least("nl", 1)


def test_where_calls_go() -> None:
    plain = QueueDefinition("q", overflow=ToQueue("a"))
    assert {plain.destination(cause) for cause in Cause if cause is not Cause.NOBODY} == {ToQueue("a")}
    assert plain.destination(Cause.NOBODY) is None
    rich = QueueDefinition(
        "q",
        overflow=ToQueue("a"),
        on_full=ToQueue("b"),
        on_long_wait=ToCallback("c", "s"),
        on_nobody=ToVoicemail("d", "s", box="e"),
        on_closed=ToMessage("f"),
        on_unsatisfiable=HangUp(),
    )
    assert [rich.destination(cause) for cause in Cause] == [
        ToQueue("a"),
        ToQueue("b"),
        ToCallback("c", "s"),
        ToVoicemail("d", "s", 1, "e"),
        ToMessage("f"),
        HangUp(),
    ]


def test_what_can_be_carried_out_as_a_place_is_one() -> None:
    assert isinstance(ToVoicemail("a", "b"), ToDialplan)
    assert isinstance(ToCallback("a", "b"), ToDialplan)
    assert isinstance(ToMessage("a"), HangUp)
    assert ToVoicemail("a", "b") != ToDialplan("a", "b")
    assert ToMessage() != HangUp()


def test_skills_hold_for_a_time() -> None:
    agent = AgentDefinition(
        "a", "1", (), (), {"nl": 1, "en": 2, "de": 3}, skill_validity={"nl": (100.0, 200.0), "en": (None, 150.0)}
    )
    assert [sorted(agent.skills_at(at)) for at in (99, 100, 149.9, 150, 199.9, 200)] == [
        ["de", "en"],
        ["de", "en", "nl"],
        ["de", "en", "nl"],
        ["de", "nl"],
        ["de", "nl"],
        ["de"],
    ]
    assert [agent.next_skill_change(at) for at in (0, 100, 150, 200)] == [100.0, 150.0, 200.0, None]
    assert AgentDefinition("a", "1", (), ()).next_skill_change(0) is None


@pytest.mark.parametrize(
    ("number", "key"),
    [
        ("+49 (30) 555-100", "4930555100"),
        ("004930555100", "4930555100"),
        ("4930555100", "4930555100"),
        ("030 555.100", "030555100"),
        ("Info", "info"),
        ("+0030", "0030"),
        ("00", "00"),
        ("", ""),
    ],
)
def test_one_number_written_in_many_ways(number: str, key: str) -> None:
    assert number_key(number) == key


def test_known_callers() -> None:
    anna = KnownCaller(priority=5, owner="anna")
    floor = FloorDefinition({}, {}, {}, callers={"4930555100": anna, "": anna})
    assert floor.known_caller("+4930555100") is anna
    assert floor.known_caller("030555100") is None
    assert floor.known_caller("") is None
