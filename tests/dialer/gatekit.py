"""What tests of the gate need: contacts, campaigns, facts that are permitted as they stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from acd.dialer.gate import Facts, Permit, Refusal, Terms, TrunkState, permit
from acd.dialer.ledger import Slack
from acd.dialer.rules import PROFILES
from acd.dialer.windows import Holidays
from acd.domain.campaigns import CallerIds, Campaign, CampaignState, Contact, ContactNumber, Mode, Trunk
from acd.domain.dialrules import Rules
from acd.domain.hours import OpeningHours

NUMBER = "+4930555100"
HOUR_S, DAY_S = 3_600.0, 86_400.0


def at(text: str, zone: str = "Europe/Berlin") -> float:
    """UTC seconds of a time on a wall."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


NOON = at("2026-06-10T12:00")
"""A Wednesday without any holiday."""


def contact(**changes: Any) -> Contact:
    given = {
        "contact": 1,
        "list": "spring",
        "key": "1",
        "name": "Ida",
        "numbers": (ContactNumber(NUMBER),),
        "country": "DE",
    }
    return Contact(**(given | changes))


def campaign(profile: str = "us", rules: Rules | None = None, **changes: Any) -> Campaign:
    figures = PROFILES[profile].rules if rules is None else rules
    return Campaign("spring", Mode.PREDICTIVE, "sales", "carrier", "shown", figures, profile=profile, **changes)


def terms(
    profile: str = "us", rules: Rules | None = None, schedule: OpeningHours | None = None, **changes: Any
) -> Terms:
    return Terms(
        campaign(profile, rules, **changes),
        Trunk("carrier", "PJSIP/{number}@carrier", calls_per_s=5.0, lines=30),
        CallerIds("shown", ("+4930555000", "+4989555000", "+12125550100")),
        schedule,
    )


ROOM = Slack("day", 0.03, 1_000.0, 0.0, 30.0)
NO_ROOM = replace(ROOM, charged=30.0, slack=0.0)

FACTS = Facts(
    contact=contact(),
    number=ContactNumber(NUMBER),
    zones=("Europe/Berlin",),
    state=CampaignState.RUNNING,
    number_s=(),
    contact_s=(),
    number_attempts=0,
    contact_attempts=0,
    latest_s=None,
    do_not_call=(),
    opted_out_s=None,
    in_progress=False,
    due_s=None,
    abandoned_s=None,
    served_s=None,
    trunk=TrunkState(),
    agent_held=False,
    slack=ROOM,
    exceeded=0.0005,
)


def no_holidays(day: object) -> bool:
    return False


def ask(
    by: Terms | None = None, now_s: float = NOON, holidays: Holidays = no_holidays, facts: Facts = FACTS, **changes: Any
) -> Permit | Refusal:
    return permit(replace(facts, **changes), by or terms(), holidays, now_s)


def refused(answer: Permit | Refusal) -> tuple[str, float | None]:
    assert isinstance(answer, Refusal), answer
    assert answer.detail
    return answer.reason.value, answer.until_s
