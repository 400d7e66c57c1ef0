"""The predictive dialler judged on real calls: as the simulator says of the same people, and nobody outside the rules."""

from __future__ import annotations

import pytest

from acd.lab.judged.plan import ALWAYS_BUSY, BUSY, JudgePlan
from acd.lab.judged.real import campaign
from acd.lab.judged.verdict import judge


@pytest.mark.timeout(400)
async def test_thirty_agents_do_as_simulated_under_the_cap_and_within_the_rules(tmp_path):
    """As both sides meet the same people, the simulator's own runs deviate by 0.2 points of utilisation, 0.6 of abandonment:
    three points are no chance. A line for each idle agent alone would be 25 points away."""
    plan = JudgePlan()
    real = await campaign(tmp_path, plan)
    verdict = judge(plan, real)
    assert not verdict.faults, verdict.table()
    assert real.utilisation > 0.7, "more than one line for each idle agent could give"
    # Those who are always busy were tried as often as a day allows, and not once more
    tries = [sum(number == one for number in real.dialled) for one in busy_numbers()]
    assert tries == [3] * BUSY


def busy_numbers() -> list[str]:
    return [f"{ALWAYS_BUSY}{index:04d}" for index in range(BUSY)]
