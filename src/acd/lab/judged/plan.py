"""What a judged campaign is: agents, people, times, rules, and what is on the list that must not be dialled. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Final

from acd.domain.values import valueclass
from acd.lab.behaviours import parse_phone_behaviour
from acd.lab.customer_words import Chooser, parse_customer
from acd.lab.phones import Phone

CAMPAIGN: Final = "judged"
LIST: Final = "people"
CALLER_ID: Final = "+4930555000"
TRUNK: Final = "carrier"
ALWAYS_BUSY: Final = "+4930129"
FIRST_PHONE: Final = 1001
NOBODY_AT_NIGHT, NOT_TO_BE_CALLED, BUSY = 20, 20, 8
"""So many on the list live where it is night, asked not to be called, or are always busy."""


@valueclass(frozen=True, slots=True)
class JudgePlan:
    """``length_s``: for so long lines are placed; ``mix``: what people do, with weights. Whoever answers hangs up himself,
    so that how long he talks is known beforehand; agents' phones answer as soon as they ring. Lines ring for ``ring_s``,
    some seconds more than the law asks: Asterisk counts from its own decision, the law from the ring."""

    agents: int = 30
    length_s: float = 120.0
    connect_s: float = 2.0
    cap: float = 0.05
    wrap_s: float = 1.0
    ring_s: float = 18.0
    busy_again_s: float = 2.0
    people: int = 2400
    seed: int = 1
    replications: int = 8
    mix: Mapping[str, float] = field(
        default_factory=lambda: {
            "answer-after:lognormal(1.5,0.8)+talk:lognormal(8,5)": 0.36,
            "answer-after:uniform(1.5,2.5)+machine+talk:lognormal(3,1)": 0.06,
            "answer-after:uniform(0.5,2)+talk:0.2": 0.03,
            "busy-after:uniform(0.2,0.6)": 0.2,
            "never": 0.1,
            "congestion": 0.03,
            "decline-after:uniform(0.5,2)": 0.12,
            "invalid": 0.1,
        }
    )

    def chooser(self) -> Chooser:
        """Who is called, fresh: the same number, called for the same time, does the same."""
        return Chooser(
            {parse_customer(text): weight for text, weight in self.mix.items()},
            {f"{ALWAYS_BUSY}*": parse_customer("busy-after:0.2")},
            seed=self.seed,
        )

    def phones(self) -> list[Phone]:
        """The agents', which wait for the customer to hang up."""
        behaviour = parse_phone_behaviour("answer")
        return [Phone(str(FIRST_PHONE + index), behaviour) for index in range(self.agents)]

    def floor(self) -> dict[str, Any]:
        """floor.yaml: one queue, one trunk, the campaign. Of the US profile only the cap may be another."""
        return {
            "queues": {"sales": {"wrap_up": self.wrap_s, "ring_timeout": 10}},
            "agents": {
                f"a{index + 1}": {
                    "number": str(2001 + index),
                    "phones": [f"PJSIP/{FIRST_PHONE + index}"],
                    "queues": ["sales"],
                    "auto_answer": True,
                }
                for index in range(self.agents)
            },
            "entry_points": {"100": "sales"},
            "trunks": {TRUNK: {"dial": f"PJSIP/{{number}}@{TRUNK}", "lines": 250, "calls_per_s": 50, "plus": False}},
            "caller_ids": {"own": {"numbers": [CALLER_ID], "verified": "2026-03-01"}},
            "campaigns": {
                CAMPAIGN: {
                    "mode": "predictive",
                    "queue": "sales",
                    "trunk": TRUNK,
                    "caller_ids": "own",
                    "profile": "us",
                    "rules": {"caps": {"days30": self.cap}},
                    "lists": [LIST],
                    "time_zone": "UTC",
                    "message": "demo-thanks",
                    "connect": f"{self.connect_s:g}s",
                    "ring": f"{self.ring_s:g}s",
                    "attempts": 10,
                    "number_attempts": 10,
                    "retry": {
                        "busy": {"after": f"{self.busy_again_s:g}s", "most": 8, "number": "same"},
                        **dict.fromkeys(("no_answer", "congestion", "declined", "invalid", "abandoned"), "never"),
                        **dict.fromkeys(("failed", "unknown", "machine", "fax"), "never"),
                    },
                }
            },
        }

    def contacts(self, now: datetime) -> list[tuple[str, str, int]]:
        """``(number, zone, rank)``; those that must not be dialled, or not often, come first."""
        day, night = zone_at(now, 13), zone_at(now, 2)
        return [
            *((f"{ALWAYS_BUSY}{index:04d}", day, 1) for index in range(BUSY)),
            *((number, night, 1) for number in night_numbers()),
            *((number, day, 1) for number in barred_numbers()),
            *((f"+4930123{index:05d}", day, 2) for index in range(self.people)),
        ]


def long_plan() -> JudgePlan:
    """Twenty minutes, and a cap of 3 %."""
    return JudgePlan(
        length_s=1200.0,
        cap=0.03,
        wrap_s=4.0,
        people=6000,
        replications=6,
        busy_again_s=20.0,
        mix={
            "answer-after:lognormal(4,2)+talk:lognormal(20,15)": 0.3,
            "answer-after:uniform(5,8)+machine+talk:lognormal(6,2)": 0.07,
            "answer-after:uniform(1,5)+talk:0.2": 0.03,
            "busy-after:uniform(0.5,2)": 0.15,
            "never": 0.2,
            "congestion": 0.03,
            "decline-after:uniform(1,6)": 0.12,
            "invalid": 0.1,
        },
    )


def night_numbers() -> list[str]:
    """Of people where it is night."""
    return [f"+4930128{index:04d}" for index in range(NOBODY_AT_NIGHT)]


def barred_numbers() -> list[str]:
    """Of people who are not to be called."""
    return [f"+4930127{index:04d}" for index in range(NOT_TO_BE_CALLED)]


def zone_at(now: datetime, hour: int) -> str:
    """A zone in which the clock shows ``hour`` now."""
    # Etc/GMT+3 is three hours behind
    behind = now.astimezone(UTC).hour - hour
    behind += 24 if behind < -14 else -24 if behind > 12 else 0
    return f"Etc/GMT{behind:+d}" if behind else "UTC"
