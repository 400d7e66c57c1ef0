"""The demonstration's outbound part: a predictive campaign with agents of its own, and the people whom it calls.

Times are short, so that a minute shows much. This module says what is dialled and adds up; the rig is the demo's.
"""

from __future__ import annotations

import contextlib
import csv
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from acd.lab.customer_words import Chooser, parse_customer
from acd.lab.customers import CustomerCall, Customers, carrier_conf
from acd.lab.judged.plan import zone_at
from acd.lab.rig import Rig

CAMPAIGN, QUEUE, LIST = "spring-offer", "outreach", "people"
CALLER_ID: Final = "+4930555000"
CAP: Final = 0.05
RING_S: Final = 16.0
PEOPLE: Final = 600
NAMES: Final = ("mina", "noah", "olga", "piet", "rosa", "sami")
"""Agents who serve the campaign, and no caller."""
NOT_DIALLED: Final = "not_dialled"
CUSTOMERS: Final = {
    "answer-after:uniform(1,4)+talk:uniform(3,7)": 0.4,
    "answer-after:uniform(0.5,2)+talk:0.5": 0.04,
    "answer-after:uniform(2,3)+machine+talk:uniform(2,4)": 0.05,
    "busy-after:uniform(0.2,0.6)": 0.2,
    "decline-after:uniform(1,3)": 0.1,
    "invalid": 0.09,
    "congestion": 0.02,
    "never": 0.1,
}
"""Whoever answers hangs up himself; a few at once. Machines pass for people: nobody listens for them."""


def floor_parts(first_number: int) -> dict[str, dict[str, Any]]:
    """What floor.yaml needs besides, by section; the agents' phones have their numbers."""
    return {
        "queues": {QUEUE: {"ring_timeout": 8, "wrap_up": 1}},
        "agents": {
            name: {
                "name": name.title(),
                "number": str(first_number + index),
                "phones": [f"PJSIP/{first_number + index}"],
                "queues": [QUEUE],
                "auto_answer": True,
            }
            for index, name in enumerate(NAMES)
        },
        "trunks": {
            "carrier": {"dial": "PJSIP/{number}@carrier", "lines": 40, "calls_per_s": 20, "plus": False},
        },
        "caller_ids": {"own": {"numbers": [CALLER_ID], "verified": "2026-03-01"}},
        "campaigns": {
            CAMPAIGN: {
                "mode": "predictive",
                "queue": QUEUE,
                "trunk": "carrier",
                "caller_ids": "own",
                "profile": "us",
                "rules": {"caps": {"campaign": CAP}},
                "lists": [LIST],
                "time_zone": "UTC",
                "message": "demo-thanks",
                "ring": f"{RING_S:g}s",
            }
        },
    }


class Outreach:
    """``open`` before the rig is built, then ``fill``, ``start``, ``pause``, and ``figures`` once all is over."""

    def __init__(self, seed: int) -> None:
        self._chooser = Chooser({parse_customer(text): weight for text, weight in CUSTOMERS.items()}, seed=seed)
        self._customers: Customers | None = None

    async def open(self) -> None:
        """Have the customers listen."""
        self._customers = await Customers.open(self._chooser)

    def close(self) -> None:
        """They say nothing more."""
        if self._customers is not None:
            self._customers.close()

    @property
    def endpoints(self) -> str:
        """The trunk to them, as pjsip.conf has it."""
        return "" if self._customers is None else carrier_conf(self._customers.port)

    async def fill(self, rig: Rig) -> None:
        """Import the list, as an operator would."""
        file, zone = rig.directory / "people.csv", zone_at(datetime.now(UTC), 13)
        with file.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(("number", "name", "zone"))
            writer.writerows((f"+4930123{index:05d}", f"Person {index}", zone) for index in range(PEOPLE))
        await rig.acd("list", "import", str(file), "--list", LIST)

    async def start(self, rig: Rig) -> None:
        await rig.api(f"campaigns/{CAMPAIGN}/start", {"reason": "the demonstration"})

    async def pause(self, rig: Rig) -> None:
        """Place no more lines; those there are come to their ends."""
        await rig.api(f"campaigns/{CAMPAIGN}/pause", {"reason": "time is up"})

    def figures(self, rig: Rig | None, *, interrupted: bool) -> dict[str, Any]:
        """``attempts, answered, abandoned, abandonment, utilisation, by_outcome, lost, lost_why``, of the records.

        ``utilisation``: talking and wrapping up, of the time in which lines were placed. ``lost`` counts customers' dialogs
        that ended otherwise than they do by themselves, and attempts of which nobody knows what they came to.
        """
        rows: list[sqlite3.Row] = []
        work: list[sqlite3.Row] = []
        # Whoever interrupts early may do so before there is a database
        with contextlib.suppress(*((sqlite3.Error,) if interrupted else ())):
            if rig is not None:
                rows, work = _kept(rig)
        outcomes = Counter(_outcome(row) for row in rows)
        times = [_seconds(row["committed_at"]) for row in rows]
        calls = [] if self._customers is None else self._customers.calls
        lost = [] if interrupted else [*lost_customers(calls), *lost_attempts(outcomes)]
        answered, abandoned = outcomes["answered"], outcomes["abandoned"]
        return {
            "campaign": CAMPAIGN,
            "mode": "predictive",
            "agents": len(NAMES),
            "attempts": len(rows) - outcomes[NOT_DIALLED],
            "answered": answered,
            "abandoned": abandoned,
            "abandonment": round(abandoned / (answered + abandoned), 4) if answered + abandoned else None,
            "cap": CAP,
            "utilisation": _utilisation(
                [(_seconds(one["started_at"]), _seconds(one["ended_at"])) for one in work], times
            ),
            "by_outcome": dict(sorted(outcomes.items())),
            "lost": len(lost),
            "lost_why": lost[:20],
        }


def _kept(rig: Rig) -> tuple[list[sqlite3.Row], list[sqlite3.Row]]:
    """Attempts, and the agents' work on them."""
    attempts = rig.rows("SELECT outcome, committed_at, dialled_at FROM attempts ORDER BY committed_at")
    work = rig.rows(
        "SELECT segments.started_at, segments.ended_at FROM segments JOIN calls USING (call) "
        "WHERE calls.queue = ? AND segments.kind IN ('talked', 'wrapped') AND segments.ended_at IS NOT NULL",
        CAMPAIGN,
    )
    return attempts, work


def _outcome(row: sqlite3.Row) -> str:
    """As recorded; of one that was recorded in the moment in which the campaign was paused, that it was not dialled."""
    outcome = row["outcome"] or "unsettled"
    return NOT_DIALLED if outcome == "withdrawn" else str(outcome)


def lost_customers(calls: Iterable[CustomerCall]) -> list[str]:
    """Customers whose dialogs did not end as they do by themselves: a sentence each."""
    found = []
    for call in calls:
        behaviour = parse_customer(call.behaviour)
        if behaviour.answers:
            # The far end hangs up on whom no agent was free for
            right = call.ended == "answered" and call.by in ("customer", "far_end")
        elif behaviour.code is not None:
            right = call.ended == "refused"
        else:
            right = call.ended == "cancelled"
        if not right:
            found.append(f"customer {call.number} ({call.behaviour}): {call.ended or 'not ended'}")
    return found


def lost_attempts(outcomes: Counter[str]) -> list[str]:
    """Attempts that came to nothing that is known."""
    lost = ("unsettled", "unknown", "failed")
    return [f"an attempt is {outcome}" for outcome in lost for _ in range(outcomes[outcome])]


def live(campaigns: Sequence[dict[str, Any]], agents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Campaigns as the service says they are, each with the ``utilisation`` of its agents."""
    own = [one["occupancy"] for one in agents if one["name"] in NAMES and one["occupancy"] is not None]
    utilisation = sum(own) / len(own) if own else None
    return [{**one, "utilisation": utilisation} for one in campaigns]


def _utilisation(work: Sequence[tuple[float, float]], placed: Sequence[float]) -> float | None:
    """Of all agents, from the first line placed to the last."""
    if len(placed) < 2 or placed[-1] <= placed[0]:
        return None
    busy_s = sum(max(0.0, min(to, placed[-1]) - max(since, placed[0])) for since, to in work)
    return round(busy_s / (len(NAMES) * (placed[-1] - placed[0])), 4)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
