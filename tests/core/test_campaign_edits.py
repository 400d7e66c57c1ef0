"""A change of a campaign, a trunk or a set of caller IDs is in force at once, and disturbs nobody who waits."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from acd.dialer.rules import PROFILES
from acd.domain import events as ev
from acd.domain.campaignlines import with_lines
from acd.domain.campaigns import CallerIds, Campaign, Mode, Trunk
from acd.domain.definition import FloorDefinition
from acd.floor import Floor
from core.floorkit import Clock, define

CAMPAIGN = Campaign("win", Mode.PREDICTIVE, "sales", "out", "own", PROFILES["us"].rules)
PLAIN = define("queue sales max=600\nagent ann 101 sales\ndid * sales")
BEFORE = with_lines(
    replace(
        PLAIN,
        campaigns=MappingProxyType({"win": CAMPAIGN}),
        trunks=MappingProxyType({"out": Trunk("out", "PJSIP/{number}@out")}),
        caller_ids=MappingProxyType({"own": CallerIds("own", ("+4930555100",))}),
        revision="one",
    )
)
CHANGES = {
    "a figure of the law": {"campaigns": {"win": replace(CAMPAIGN, rules=PROFILES["it"].rules, profile="it")}},
    "mode and retries": {"campaigns": {"win": replace(CAMPAIGN, mode=Mode.PREVIEW, attempts=2, retries={})}},
    "another campaign": {"campaigns": {"win": CAMPAIGN, "lose": replace(CAMPAIGN, name="lose")}},
    "no campaign": {"campaigns": {}},
    "the trunk": {"trunks": {"out": Trunk("out", "PJSIP/{number}@other", lines=5)}},
    "the caller IDs": {"caller_ids": {"own": CallerIds("own", ("+4930555101",))}},
}


def waiting() -> tuple[Floor, Clock]:
    """Three callers in line, nobody logged in."""
    clock = Clock()
    floor = Floor(BEFORE, epoch=1, started_at=clock.now.utc)
    floor.handle(ev.MemoryRestored(clock.now.utc, (), ()), clock.now)
    floor.handle(ev.NodeResynced(clock.now.utc, "pbx", (), {}), clock.now)
    for number in range(3):
        call = f"0000010000000{number}"
        event = ev.CallArrived(clock.now.utc, "pbx", call, f"PJSIP/a-{number}", call, "+4930555100", "+4930123456")
        floor.handle(event, clock.now)
    return floor, clock


def places(floor: Floor) -> list[tuple[str, object, object, object]]:
    return [(name, call.state, call.place, call.stage) for name, call in floor.calls.items()]


@pytest.mark.parametrize("change", CHANGES)
def test_nobody_who_waits_is_disturbed(change: str) -> None:
    floor, clock = waiting()
    before = places(floor)
    assert len(before) == 3
    parts = {part: MappingProxyType(items) for part, items in CHANGES[change].items()}
    plain = replace(BEFORE, queues=PLAIN.queues, agents=PLAIN.agents, revision="two")
    after: FloorDefinition = with_lines(replace(plain, **parts))  # type: ignore[arg-type]
    step = floor.handle(ev.FloorEdited(clock.now.utc, after), clock.now)
    assert floor.definition.revision == "two"
    assert places(floor) == before
    assert step.commands == ()
