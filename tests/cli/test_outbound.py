"""What the service tells of campaigns, beside what it dials."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from acd.cli.outbound import DiallingDesk
from acd.dialer.rules import PROFILES
from acd.domain.campaigns import Campaign, CampaignState, Mode
from acd.domain.definition import FloorDefinition
from acd.domain.errors import UnknownNameError
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


def _floor(*campaigns: Campaign) -> Any:
    defined = FloorDefinition({}, {}, {}, campaigns={one.name: one for one in campaigns})
    return SimpleNamespace(floor=SimpleNamespace(definition=defined))
