"""What the service tells of campaigns, beside what it dials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from acd.cli.outbound import DiallingDesk
from acd.dialer.rules import PROFILES
from acd.domain.campaigns import Campaign, CampaignState, Mode, Trunk
from acd.domain.definition import FloorDefinition
from acd.domain.errors import AmiDisconnectedError, UnknownNameError
from acd.store import upgrade
from acd.store.outbound.outbound import Outbound

WIN = Campaign("win", Mode.POWER, "sales", "out", "own", PROFILES["us"].rules)


async def test_evidence_is_given_of_a_campaign_that_is_no_longer_defined(tmp_path: Path) -> None:
    """As `acd campaign evidence` does, also by a floor without any campaign."""
    url = f"sqlite:///{tmp_path}/acd.db"
    upgrade(url)

    def store() -> Outbound:
        return Outbound(url, str)

    first = store()
    await first.set_state("spring", CampaignState.STOPPED, "test", "", 5.0)
    await first.close()
    for campaigns in ((WIN,), ()):
        desk = DiallingDesk(_floor(*campaigns), {}, store, str, tmp_path)
        assert (await desk.evidence("spring", 0.0, 9.0))["campaign"] == "spring"
        with pytest.raises(UnknownNameError) as told:
            await desk.evidence("sprnig", 0.0, 9.0)
        assert told.value.nearest == "spring"
    assert (await DiallingDesk(_floor(WIN), {}, store, str, tmp_path).evidence("win", 0.0, 9.0))["attempts"] == 0


KNOWN = {"PJSIP/carrier": "NOT_INUSE"}


class FakeNode:
    """Lacks every sound; or does not answer. ``states``: of the endpoints it has."""

    def __init__(self, fails: bool = False, states: dict[str, str] = KNOWN) -> None:
        self.fails = fails
        self.states = states

    async def state_of(self, device: str) -> str:
        return self.states.get(device, "INVALID")

    async def lacks(self, sounds: Iterable[str]) -> tuple[list[str], str]:
        if self.fails:
            raise AmiDisconnectedError("away")
        return list(sounds), "/sounds"


async def test_a_start_is_told_of_sounds_that_are_missing_where_that_is_known(tmp_path: Path) -> None:
    talks = replace(WIN, name="talks", message="who", machine_message="call-us")
    one, two, away = {"pbx": FakeNode()}, {"pbx": FakeNode(), "other": FakeNode()}, {"pbx": FakeNode(fails=True)}

    async def told(nodes: Any, name: str = "talks", **trunk: Any) -> list[str]:
        desk = DiallingDesk(_floor(WIN, talks, **trunk), nodes, lambda: None, str, tmp_path)  # type: ignore[arg-type, return-value]
        return await desk.start_warnings(name)

    both = [
        "Asterisk pbx has no sound who under /sounds: who gets no agent hears no message",
        "Asterisk pbx has no sound call-us under /sounds: no message is left on machines",
    ]
    assert await told(one) == await told(two, node="pbx") == both
    assert await told(one, "win") == await told(one, "gone") == await told(two) == await told(away) == []


@pytest.mark.parametrize(
    ("dial", "state", "warning"),
    [
        ("PJSIP/{number}@nosuch", "", "Asterisk pbx has no endpoint PJSIP/nosuch: no call of trunk out can go out"),
        (
            "pjsip/nosuch/sip:{number}@host",
            "",
            "Asterisk pbx has no endpoint PJSIP/nosuch: no call of trunk out can go out",
        ),
        (
            "PJSIP/{number}@carrier",
            "UNAVAILABLE",
            "trunk out: PJSIP/carrier of Asterisk pbx cannot be reached at the moment",
        ),
        ("PJSIP/carrier/sip:{number}@host", "UNAVAILABLE", None),
        ("PJSIP/{number}@carrier", "NOT_INUSE", None),
        ("PJSIP/{number}@carrier", "INUSE", None),
        ("DAHDI/g1/{number}", "", None),
    ],
)
async def test_a_start_is_told_of_a_trunk_that_is_not_there(
    tmp_path: Path, dial: str, state: str, warning: str
) -> None:
    node = FakeNode(states={"PJSIP/carrier": state} if state else {})
    desk = DiallingDesk(_floor(WIN, dial=dial), {"pbx": node}, lambda: None, str, tmp_path)
    assert await desk.start_warnings("win") == ([] if warning is None else [warning])


def _floor(*campaigns: Campaign, dial: str = "PJSIP/{number}@carrier", **trunk: Any) -> Any:
    trunks = {"out": Trunk("out", dial, **trunk)}
    defined = FloorDefinition({}, {}, {}, campaigns={one.name: one for one in campaigns}, trunks=trunks)
    return SimpleNamespace(floor=SimpleNamespace(definition=defined))
