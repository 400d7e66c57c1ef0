"""A campaign's own hours are the campaign's: nobody on its lists keeps it shut, and while it is shut it keeps no agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date
from typing import Any

import pytest

from acd.dialer.gate import Reason, Refusal, Terms
from acd.domain.campaigns import Mode
from acd.domain.hours import OpeningHours, Range
from acd.domain.instant import Instant
from acd.outbound import views
from acd.outbound.runner import NEVER_S, Runner
from outbound.dialkit import UTC_0, World, campaign, terms

TEN = 600
"""`UTC_0` is ten o'clock, in minutes after midnight."""


def keeping(
    day: tuple[Range, ...],
    name: str = "win",
    exceptions: Mapping[date, tuple[Range, ...]] | None = None,
    **changes: Any,
) -> Terms:
    """A campaign with hours of its own, the same every day."""
    found = terms(campaign(name, mode=Mode.PROGRESSIVE, hours="own", **changes))
    return replace(found, schedule=OpeningHours(UTC, (day,) * 7, exceptions or {}))


def until(minute: int, one: Terms) -> Terms:
    """People may be called from eight to that minute of their day."""
    rules = one.campaign.rules
    hours = replace(rules.hours, week=(((480, minute),),) * 7)
    return replace(one, campaign=replace(one.campaign, rules=replace(rules, hours=hours)))


def put(world: World, contact: int, zone: str) -> None:
    """Have somebody live elsewhere."""
    row = world.kept.rows[contact]
    row.contact = replace(row.contact, zone=zone)


def why(world: World, name: str) -> dict[str, str]:
    first: dict[str, str] = views.explain(world.core, name, world.now)["why"][0]
    return first


def test_one_who_may_not_be_called_when_the_campaign_opens_keeps_nobody_else_waiting() -> None:
    """Called at ten o'clock, the first could: it is 20:00 there. From two minutes past ten on not before the evening."""
    world = World(until(1_202, keeping(((TEN + 5, 1_200),))), contacts=6, agents=2)
    put(world, 1, "Etc/GMT-10")
    world.run(290.0)
    assert not world.placed
    assert why(world, "win") == {"what": "gate:schedule", "detail": "outside the hours of campaign win"}
    shut = world.core.runners["win"].shut
    assert shut is not None
    assert shut.until_s == UTC_0 + 300.0
    world.run(310.0)
    assert 2 in world.by_contact
    assert 1 not in world.by_contact
    assert world.core.runners["win"].refusals["schedule"] == 1, "once, not as often as it was looked"


def test_a_break_at_noon_begins_and_ends_by_the_campaigns_clock() -> None:
    world = World(keeping(((480, TEN + 1), (TEN + 3, 1_200))), contacts=400, agents=2, answers=0.0, others=("busy",))
    world.run(60.1)
    before = sum(world.by_contact.values())
    assert before > 5
    world.run(179.0)
    assert sum(world.by_contact.values()) == before
    assert not world.core.runners["win"].ready
    world.run(200.0)
    assert sum(world.by_contact.values()) > before + 2


@pytest.mark.parametrize("exceptions", [{}, {date(2024, 1, 1): ((TEN, 720),)}])
def test_hours_that_never_begin_take_nobodys_agents_and_are_told(
    exceptions: Mapping[date, tuple[Range, ...]],
) -> None:
    shut = keeping((), "shut", exceptions, priority=1)
    world = World(shut, terms(campaign(mode=Mode.PROGRESSIVE)), contacts=300, agents=3)
    world.run(2.0)
    assert len(world.talking) + len(world.lines) >= 3
    world.run(600.0)
    assert {made.campaign for made in world.kept.attempts.values()} == {"win"}
    assert why(world, "shut") == {
        "what": "gate:schedule",
        "detail": "outside the hours of campaign shut; they never begin",
    }
    assert world.core.runners["shut"].refusals["schedule"] == 1


def test_hours_that_are_edited_hold_at_once() -> None:
    one = keeping((), "win")
    world = World(one, contacts=20, agents=2)
    world.run(5.0)
    assert not world.placed
    other = replace(one, schedule=OpeningHours(UTC, (((0, 1_440),),) * 7, {}))
    world.core.runners["win"].redefine(other)
    world.run(7.0)
    assert world.placed


def test_one_whose_hours_and_the_campaigns_never_meet_is_put_off_and_not_given_up() -> None:
    world = World(until(540, keeping(((TEN, TEN + 30),))), contacts=3, agents=2)
    world.run(5.0)
    assert not world.placed
    rows = world.kept.rows.values()
    assert {row.state for row in rows} == {"due"}
    assert all(row.due_s is not None and 0.0 <= row.due_s - UTC_0 - NEVER_S < 5.0 for row in rows)


def test_a_wait_that_a_wrong_clock_began_ends_when_the_clock_is_set_right() -> None:
    one = Runner(terms(campaign(mode=Mode.PROGRESSIVE)), UTC_0)
    ahead = Instant(1_000.0, UTC_0 + 32_400.0)
    one.wait(Refusal(Reason.SHORT_CALLS, ahead.utc + 600.0, "too many"), ahead.utc + 600.0, ahead)
    assert one.waits(Instant(1_001.0, ahead.utc + 1.0)) is not None
    assert one.waits(Instant(1_002.0, UTC_0)) is None
