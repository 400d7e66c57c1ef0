"""Callers who withhold their number are not one caller: nobody is remembered as having talked to them."""

from __future__ import annotations

import pytest

from acd.floor import Floor, callers
from core.floorkit import Clock, define


@pytest.mark.parametrize("hashed", [False, True])
@pytest.mark.parametrize(("number", "known"), [("", False), ("anonymous", False), ("Unknown", False), ("+49171", True)])
def test_only_who_has_a_number_is_known_again(number: str, known: bool, hashed: bool) -> None:
    floor = Floor(define("queue sales\nagent ann 101 sales\n"), epoch=1, started_at=Clock().now.utc)
    floor.caller_key = (lambda text: f"hmac:{text}") if hashed else None
    callers.talked(floor, number, "ann")
    assert callers.last_agent(floor, number) == ("ann" if known else None)
    assert len(floor.last_agents) == int(known)
    # As a life before this one has left it
    floor.last_agents[f"hmac:{number}" if hashed else number] = "ann"
    assert callers.last_agent(floor, number) == ("ann" if known else None)
