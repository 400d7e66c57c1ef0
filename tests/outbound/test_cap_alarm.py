"""A campaign that goes far beyond its cap, as when its agents' phones are dead, is told to whoever answers for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acd.domain.campaigns import Mode
from acd.domain.dialrules import Rule
from acd.outbound import aloft
from outbound.dialkit import World, campaign, terms


def test_an_alarm_is_raised_once_until_it_is_within_its_cap_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nor does it rest for that before
    monkeypatch.setattr(aloft, "_in_vain", lambda runner: False)
    rules = replace(campaign().rules, caps=(Rule("campaign", 0.2),))
    world = World(terms(campaign(mode=Mode.PROGRESSIVE, rules=rules)), contacts=2_000, answers=1.0, connect_delay_s=5.0)
    said = 0
    for s in range(1, 200):
        world.run(float(s))
        ledger = world.core.runners["win"].book.slack(world.now.utc)
        said = world.alarms.count("campaign_beyond_cap")
        if said:
            break
        assert ledger.charged <= max(0.2 * ledger.answered + 3.0, 0.4 * ledger.answered)
    assert said == 1
    world.run(s + 60.0)
    assert world.alarms.count("campaign_beyond_cap") == 1, "once"
    world.connect_delay_s = 0.2
    ledger = world.core.runners["win"].book.slack(world.now.utc)
    while ledger.slack < 0.0:
        world.run(world.s + 10.0)
        ledger = world.core.runners["win"].book.slack(world.now.utc)
    world.connect_delay_s = 5.0
    world.run(world.s + 300.0)
    assert world.alarms.count("campaign_beyond_cap") == 2, "and again when it goes beyond it again"
