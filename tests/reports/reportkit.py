"""Worlds of records made by chance, whole enough for every report, and how they are put into a database.

A world is lists of rows, as the tables have them. Times are whole microseconds, many of them on borders of intervals and
at changes of clocks, so that what is off by one shows.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from acd.store.location import locate
from acd.store.tables import agent_states, agents, calls, decisions, segments

Row = dict[str, Any]

ZONES = {
    # name: a date whose neighbourhood holds a change of clocks (or none at all)
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),
    "Asia/Kolkata": ("2026-06-01", "2026-12-31"),
}
QUEUES = ("sales", "support", "billing")
AGENTS = ("anna", "bob", "carla", "dora")
CLIENTS = (None, "acme", "globex")
DIDS = ("4930555100", "4930555200", "")
SEALED = "hmac:00112233445566778899aabbccddeeff"
"""What older records have for `anonymous`, where numbers are hashed."""
NUMBERS = ("+491711", "+491712", "+491713", "hmac:ffeeddccbbaa99887766554433221100", "Anonymous", SEALED, "")
TAGS = (None, [], ["vip"], ["vip", "complaint"], ["=cmd|' /C calc'!A0"], ["vip", "vip"])
DISPOSITIONS = (None, "sold", "call back", "", "@SUM(1)")
REQUIREMENTS = (None, "anyone", "billing >= 60", "billing >= 60 and english >= 50", "german or english >= 80")
STATES = ("LOGGED_OUT", "AVAILABLE", "PREVIEW", "RESERVED", "RINGING", "TALKING", "WRAP_UP", "PAUSED")
US = 1_000_000


@dataclass
class World:
    """Everything that was recorded, and the zone and the stretch of time that it is about (UTC s)."""

    zone: ZoneInfo
    from_s: float
    to_s: float
    now: float
    calls: list[Row] = field(default_factory=list)
    segments: list[Row] = field(default_factory=list)
    decisions: list[Row] = field(default_factory=list)
    states: list[Row] = field(default_factory=list)


def _interesting(chance: random.Random, begin: int, end: int, marks: Sequence[int]) -> int:
    """A microsecond within [begin, end): anywhere, or at or beside a full quarter hour or a mark."""
    how = chance.random()
    if how < 0.5:
        at = chance.randrange(begin, end)
    elif how < 0.75:
        at = chance.randrange(begin, end) // (900 * US) * (900 * US) + chance.choice((-1, 0, 1))
    else:
        at = chance.choice(marks) + chance.choice((-1, 0, 0, 1, 1_800 * US, -1_800 * US))
    return min(max(at, begin), end - 1)


def make_world(seed: int, *, size: int = 60) -> World:
    """A few days around a change of clocks."""
    chance = random.Random(seed)
    name = chance.choice(list(ZONES))
    zone = ZoneInfo(name)
    day = datetime.fromisoformat(chance.choice(ZONES[name])).replace(tzinfo=zone)
    begin = day - timedelta(days=chance.randrange(3))
    end = (day + timedelta(days=chance.randrange(1, 4))).replace(hour=0)
    from_us, to_us = round(begin.timestamp()) * US, round(end.timestamp()) * US
    world = World(zone, from_us / US, to_us / US, (to_us + chance.choice((-6 * 3600, 0, 86_400)) * US) / US)
    marks = [from_us, to_us, *(round((day + timedelta(hours=h)).timestamp()) * US for h in range(5))]
    spread = (from_us - 86_400 * US, min(to_us + 86_400 * US, round(world.now * US)))
    for n in range(size):
        _add_call(world, chance, n, _interesting(chance, *spread, marks))
    for agent in AGENTS:
        _add_states(world, chance, agent, spread, marks)
    return world


def _add_call(world: World, chance: random.Random, n: int, at: int) -> None:
    call, queue = f"c{n:04}", chance.choice(QUEUES)
    row: Row = {column.name: None for column in calls.c}
    row |= {
        "call": call, "node": "pbx1", "channel": f"1.{n}", "linkedid": f"1.{n}", "did": chance.choice(DIDS),
        "caller_number": chance.choice(NUMBERS), "caller_name": chance.choice(("Bär", '=1+1', "a,b\"c\n", "")),
        "queue": queue, "priority": 0, "entered_at": at / US, "client": chance.choice(CLIENTS),
        "tags": chance.choice(TAGS), "disposition": chance.choice(DISPOSITIONS),
    }  # fmt: skip
    mine: list[Row] = []

    def segment(kind: str, length: int | None, **more: Any) -> None:
        nonlocal at
        begin, at = at, at + (length or 0)
        mine.append(
            {"call": call, "serial": len(mine), "kind": kind, "queue": queue, "agent": None, "offer": None,
             "started_at": begin / US, "ended_at": None if length is None else at / US, "outcome": None, "target": None,
             **more}
        )  # fmt: skip

    def lasting(most_s: int) -> int:
        return chance.choice((0, 1, 5 * US, 20 * US, 20 * US + 1, chance.randrange(most_s * US)))

    ends = chance.random() > 0.08
    # Waits that are just as long as a threshold
    exact = chance.choice((None, None, None, 5 * US, 20 * US, 30 * US))
    segment("entered", 0 if exact else lasting(2))

    def elsewhere() -> str:
        return chance.choice([name for name in QUEUES if name != queue])

    def line(moves: float) -> None:
        """Waits, rings in vain, and comes into other queues, which is said of the segment before or not."""
        nonlocal queue
        for number in range(chance.choice((0, 0, 0, 1, 2))):
            if chance.random() < moves:
                queue = elsewhere()
            if chance.random() < 0.6:
                moved = chance.choice((None, "overflowed", "escalated", "transferred", "moved"))
                segment("waited", lasting(40), outcome=moved)
                queue = elsewhere() if moved else queue
                continue
            who = {"agent": chance.choice(AGENTS), "offer": f"{call}o{len(mine)}n{number}"}
            segment("offered", lasting(1), **who)
            segment("rang", lasting(20), **who, outcome=chance.choice(("no_answer", "no_answer", "declined", "busy")))

    if not exact:
        line(0.4)
    segment("waited", lasting(60))
    outcome = chance.choice(
        ("answered",) * 6 + ("abandoned", "abandoned", "transferred", "overflowed", "fallback", "lost_track", "own")
    )
    by, target = chance.choice(("caller", "agent", "system")), None
    if outcome == "own":
        # An agent's own call, whose place the caller took with whom he joined it (or that caller is nobody we know)
        outcome, by, target = "transferred", "agent", f"call c{chance.randrange(n + 1):04}"
        if chance.random() < 0.5:
            # Somebody had answered it
            whose = {"agent": chance.choice(AGENTS), "offer": f"{call}last"}
            segment("rang", lasting(5), **whose, outcome="answered")
            row |= {"answered_at": at / US, "agent": whose["agent"]}
            segment("talked", lasting(100), **whose)
        mine[-1]["outcome"] = "joined"
    elif outcome in ("answered", "transferred") or (outcome == "lost_track" and chance.random() < 0.5):
        agent, offer = chance.choice(AGENTS), f"{call}last"
        whose = {"agent": agent, "offer": offer}
        segment("rang", 0 if exact else lasting(10), **whose, outcome="answered")
        row |= {"answered_at": at / US, "agent": agent}
        for _ in range(chance.choice((0, 0, 0, 1, 2))):
            segment("talked", lasting(200), **whose)
            segment(chance.choice(("held", "consulted")), lasting(60), **whose)
            if chance.random() < 0.3:
                segment("conferenced", lasting(60), **whose, target="602")
        gone = False
        for turn in range(chance.choice((0, 0, 1, 1, 2))):
            # Passed on within our queues: another wait, perhaps with the same agent or in the same queue; or none
            how = chance.choice(("escalated", "transferred", "joined"))
            if chance.random() < 0.3:
                # The agent was heard leaving before it was heard why
                segment("talked", lasting(100), **whose, outcome="agent")
                segment("after", lasting(3), outcome=how)
            else:
                segment("talked", lasting(100), **whose, outcome=how, target="queue:support")
            queue = chance.choice(QUEUES)
            whose = {"agent": chance.choice(AGENTS), "offer": f"{call}again{turn}"}
            if how == "joined" and chance.random() < 0.5:
                continue
            line(0.0)
            segment("waited", lasting(30))
            gone = ends and outcome in ("answered", "lost_track") and chance.random() < 0.4
            if gone:
                # Not taken again
                last = chance.choice(("abandoned", "abandoned", "caller_gone", "overflowed", "fallback", "transferred"))
                last = outcome if outcome == "lost_track" else last
                if last == "caller_gone":
                    segment("rang", lasting(5), **whose, outcome=last)
                mine[-1]["outcome"] = last
                by = {
                    "lost_track": "unknown",
                    "overflowed": "system",
                    "fallback": "system",
                    "transferred": "agent",
                }.get(last, "caller")
                if last == "transferred" or (by == "system" and chance.random() < 0.5):
                    outcome, target = "transferred", "sorry,s,1"
                break
            segment("rang", lasting(5), **whose, outcome="answered")
        if ends and not gone:
            transferred = outcome == "transferred"
            # Records of old did not have every transfer said of the conversation, and some came to nothing
            how = chance.choice(
                ("transfer", "transfer", "agent", "caller") if transferred else ("caller",) * 9 + ("transfer",)
            )
            target = chance.choice(("queue:support", "1002", "+4930=1", "call c0003")) if transferred else None
            segment("talked", lasting(400), **whose, outcome=how, target=target)
            segment("after", lasting(3))
        elif not gone:
            segment("talked", None, **whose)
    elif outcome in ("abandoned", "overflowed", "fallback", "lost_track") and ends:
        mine[-1]["outcome"] = outcome
    row |= {"queue": queue, "target": target}
    if ends:
        row |= {"ended_at": at / US, "outcome": outcome, "ended_by": by}
        if row["agent"] and chance.random() < 0.8:
            wrapping = chance.random() < 0.1
            segment("wrapped", None if wrapping else lasting(30), agent=row["agent"], offer=f"{call}last")
        row |= facts(mine, queue)
    world.calls.append(row)
    world.segments += mine
    for serial, text in enumerate(chance.choice(REQUIREMENTS) for _ in range(chance.randrange(3))):
        detail = {"rule": "longest_idle"} | ({} if text is None else {"requirement": text})
        world.decisions.append(
            {"call": call, "serial": serial, "at": row["entered_at"], "kind": "waits", "agent": None, "offer": None,
             "revision": "r", "detail": detail}
        )  # fmt: skip


def us(at: float) -> int:
    """As whole microseconds."""
    return round(at * US)


def facts(of: Sequence[Row], queue: str) -> Row:
    """A call's facts, from its segments; ``queue``: where it was last."""
    on = ("escalated", "transferred", "joined", "overflowed", "moved")

    talked = [row["serial"] for row in of if row["kind"] == "talked"]
    first_talk = min(talked) if talked else None

    def total(*kinds: str, again: bool = False) -> int | None:
        chosen = [row for row in of if row["kind"] in kinds]
        if kinds[0] == "entered":
            chosen = [row for row in chosen if (first_talk is not None and row["serial"] > first_talk) is again]
        if any(row["ended_at"] is None for row in chosen):
            return None
        return sum(us(row["ended_at"]) - us(row["started_at"]) for row in chosen)

    return {
        "wait_us": total("entered", "waited", "offered", "rang"),
        "rewait_us": total("entered", "waited", "offered", "rang", again=True),
        "talk_us": total("talked", "conferenced"),
        "hold_us": total("held", "consulted"),
        "after_us": total("after"),
        "wrap_us": total("wrapped"),
        "offers": len({row["offer"] for row in of if row["offer"]}),
        "ronas": len({(row["offer"], row["agent"]) for row in of if row["outcome"] == "no_answer"}),
        "talks": len({(row["offer"], row["agent"]) for row in of if row["kind"] == "talked"}),
        "passages": sum(row["kind"] != "wrapped" and (row["queue"] != queue or row["outcome"] in on) for row in of),
    }


def _add_states(world: World, chance: random.Random, agent: str, spread: tuple[int, int], marks: Sequence[int]) -> None:
    # Some states last no time at all
    borders = sorted(_interesting(chance, *spread, marks) for _ in range(chance.randrange(30)))
    for serial, begin in enumerate(borders):
        state = chance.choice(STATES)
        reasons = {"PAUSED": ("lunch", "rona", "break", "=2+2"), "PREVIEW": ("shown", "dialling")}
        reason = chance.choice(reasons[state]) if state in reasons else None
        end = borders[serial + 1] / US if serial + 1 < len(borders) else None
        world.states.append(
            {"agent": agent, "serial": serial, "started_at": begin / US, "ended_at": end, "state": state,
             "reason": reason, "call": None}
        )  # fmt: skip


def fill(url: str, world: World) -> None:
    """Make the world what the database holds, and all that it holds."""
    engine = locate(url).engine()
    latest = {row["agent"]: row for row in world.states}
    now = [
        {"agent": row["agent"], "serial": row["serial"], "state": row["state"], "reason": row["reason"], "call": None,
         "since": row["started_at"], "idle_since": row["started_at"]}
        for row in latest.values()
    ]  # fmt: skip
    with engine.begin() as connection:
        for table, rows in (
            (calls, world.calls), (segments, world.segments), (decisions, world.decisions),
            (agent_states, world.states), (agents, now),
        ):  # fmt: skip
            connection.execute(sa.delete(table))
            if rows:
                connection.execute(sa.insert(table), rows)
    engine.dispose()


def group_starts(borders: Sequence[float], at: float) -> int:
    """The place of the border at or before ``at``."""
    return bisect_right(borders, at) - 1
