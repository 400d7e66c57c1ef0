"""What people are told of why a campaign dials nobody: the true reason first, and no other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from acd.domain import outbound as wire
from acd.domain.campaigns import AttemptOutcome, CampaignState, Mode, Retry
from acd.outbound import views
from acd.outbound import words as say
from outbound.dialkit import NODE, World, campaign, terms


def why(world: World, name: str = "win") -> tuple[str, str]:
    first = views.explain(world.core, name, world.now)["why"][0]
    return first["what"], first["detail"]


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.PREDICTIVE])
def test_a_list_that_is_done_is_told_whoever_is_there(mode: Mode) -> None:
    retries = {outcome: Retry(0.0, 0) for outcome in AttemptOutcome}
    first = terms(campaign(mode=mode, retries=retries))
    other = terms(campaign("other", mode=mode, queue="none", retries=retries))
    world = World(first, other, contacts=6, agents=3)
    world.run(300.0)
    assert len(world.placed) == 6
    said = why(world)
    assert said[0] == "contacts"
    assert said[1].startswith("no contact of its lists (a) is due now, and none will be")
    status = views.status(world.core, "win", world.now)
    assert (status["because"], status["because_detail"]) == said


def test_when_the_next_contact_is_due_is_told() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), contacts=2, agents=2, answers=0.0, others=("busy",))
    world.run(120.0)
    due_s = min(row.due_s for row in world.kept.rows.values() if row.due_s is not None)
    said = datetime.fromtimestamp(due_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
    assert why(world) == ("contacts", f"no contact of its lists (a) is due now; the next is at {said} UTC")


def test_lists_that_are_not_there_are_named() -> None:
    world = World(terms(campaign(lists=("a", "b", "c"))), contacts=0, agents=2)
    world.run(5.0)
    world.core.handle(say.Claimed("win", (), False, missing=("b", "c")), world.now)
    assert why(world) == (
        "contacts", "there is no list b and no list c, and no contact of the others is due now",
    )  # fmt: skip
    world.core.handle(say.Claimed("win", (), False, missing=("a", "b", "c")), world.now)
    assert why(world)[1] == "there is no list a and no list b and no list c"


def test_why_a_trunk_is_left_alone_is_told_and_not_whom_it_was_to_reach() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), agents=3, answers=0.0, others=("no channel",))
    gone = world._gone

    def said(attempt: str, outcome: AttemptOutcome | None, cause: int | None, **_: bool) -> None:
        if world.lines.pop(attempt, None) is not None:
            detail = "Asterisk has no such endpoint as PJSIP/+49301000001"
            world.tell(wire.AttemptOver(world.now.utc, NODE, attempt, outcome, cause, detail))

    world._gone = said  # type: ignore[method-assign]
    while "trunk_rests" not in world.alarms:
        world.run(world.s + 0.1)
    what, detail = why(world)
    reason = "no call can be made: Asterisk has no such endpoint as PJSIP/..."
    assert (what, detail.partition(" more: ")[2]) == ("trunk_rests", reason)
    assert views.explain(world.core, "win", world.now)["trunk"]["why"] == reason
    world._gone, world.others = gone, ("busy",)  # type: ignore[method-assign]
    world.run(world.s + 60.0)
    assert views.explain(world.core, "win", world.now)["trunk"]["why"] is None


def test_agents_of_a_campaign_of_higher_priority_are_told() -> None:
    first = terms(campaign("first", mode=Mode.PROGRESSIVE, priority=1))
    world = World(first, terms(campaign("later", mode=Mode.PROGRESSIVE)), contacts=2_000, agents=5)
    world.run(100.0)
    assert why(world, "later") == ("agents", "its agents work for other campaigns now: 5 for first")


def test_of_a_campaign_that_does_not_run_nothing_else_is_told() -> None:
    world = World(terms(campaign()), contacts=5, agents=0)
    world.run(5.0)
    assert why(world) == (
        "agents",
        "no agent who serves win is there: logged in, not paused, and with a phone that can be called",
    )
    world.tell(say.StateSet("win", CampaignState.STOPPED, "me", ""))
    told = views.explain(world.core, "win", world.now)["why"]
    assert [one["what"] for one in told] == ["state"]
