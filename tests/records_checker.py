"""What must hold in any database of records once the service has stopped, whatever calls were made.

Plain SQL over SQLite: nothing of the service is imported, so nothing of it can agree with itself. Times are compared
as the fixed-width text they are stored as, so equal means equal to the microsecond.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

MAX_SHOWN = 20
OUTCOMES = {"answered", "abandoned", "overflowed", "transferred", "fallback", "lost_track"}
ENDERS = {"caller", "agent", "system", "unknown"}
TALKED = {"answered", "transferred", "lost_track"}
"""How a call may end in which somebody talked."""


def check_records(path: Path) -> None:
    """Raise AssertionError with everything that is wrong with the records in the SQLite database at ``path``."""
    wrong = list(problems_of(path))
    more = f"\n... and {len(wrong) - MAX_SHOWN} more" if len(wrong) > MAX_SHOWN else ""
    assert not wrong, f"{path} contradicts itself:\n" + "\n".join(wrong[:MAX_SHOWN]) + more


def problems_of(path: Path) -> Iterator[str]:
    """Every contradiction, in words."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        tables = {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY {order}").fetchall()
            for name, order in (
                ("calls", "entered_at, call"),
                ("segments", "call, serial"),
                ("agent_states", "agent, serial"),
                ("agents", "agent"),
                ("decisions", "call, serial"),
            )
        }
    segments: dict[str, list[sqlite3.Row]] = defaultdict(list)
    for row in tables["segments"]:
        segments[row["call"]].append(row)
    known = {row["call"] for row in tables["calls"]}
    for orphan in sorted(segments.keys() - known):
        yield f"segments of {orphan}, which is no call"
    for call in tables["calls"]:
        yield from _call(call, segments[call["call"]])
    yield from _channels(tables["calls"])
    yield from _wraps(tables["segments"], tables["agents"])
    yield from _agents(tables["agent_states"], tables["agents"])
    yield from _conversations(tables["segments"], tables["agent_states"])
    yield from _decisions(tables["segments"], tables["decisions"])


def _call(call: sqlite3.Row, segments: list[sqlite3.Row]) -> Iterator[str]:
    """Ended once, and its segments lie end to end from the entry to the end."""
    name = f"call {call['call']}"
    if call["ended_at"] is None:
        yield f"{name} never ended"
        return
    if call["outcome"] not in OUTCOMES or call["ended_by"] not in ENDERS:
        yield f"{name} ended as {call['outcome']!r} by {call['ended_by']!r}"
    if call["ended_at"] < call["entered_at"]:
        yield f"{name} ended at {call['ended_at']}, before it entered at {call['entered_at']}"
    line = [row for row in segments if row["kind"] != "wrapped"]
    if not line:
        if call["entered_at"] != call["ended_at"]:
            yield f"{name} has no segments, and lasted from {call['entered_at']} to {call['ended_at']}"
    else:
        moments = [call["entered_at"], *(row["ended_at"] for row in line)]
        begins = [*(row["started_at"] for row in line), call["ended_at"]]
        if moments != begins:
            shown = [(row["kind"], row["started_at"], row["ended_at"]) for row in line]
            yield f"segments of {name} do not lie end to end from {call['entered_at']} to {call['ended_at']}: {shown}"
        if line[0]["kind"] != "entered":
            yield f"{name} begins with {line[0]['kind']}"
    for row in segments:
        if row["ended_at"] is not None and row["ended_at"] < row["started_at"]:
            yield f"{name}: {row['kind']} ends before it starts"
    talked = [row for row in line if row["kind"] == "talked"]
    if bool(talked) != (call["answered_at"] is not None):
        yield f"{name} was answered at {call['answered_at']} and has {len(talked)} conversations"
    elif talked and talked[0]["started_at"] != call["answered_at"]:
        yield f"{name} was answered at {call['answered_at']}, and they talk from {talked[0]['started_at']}"
    elif talked and talked[0]["agent"] != call["agent"]:
        yield f"{name} was answered by {call['agent']}, and {talked[0]['agent']} talks"
    if talked and call["outcome"] not in TALKED:
        yield f"{name} is {call['outcome']}, and somebody talked"
    if call["outcome"] in ("answered", "transferred") and not talked:
        yield f"{name} is {call['outcome']}, and nobody talked"


def _channels(calls: list[sqlite3.Row]) -> Iterator[str]:
    """A channel is one call at a time."""
    of_channel: dict[tuple[str, str], list[sqlite3.Row]] = defaultdict(list)
    for call in calls:
        of_channel[call["node"], call["channel"]].append(call)
    for (_, channel), mine in of_channel.items():
        for before, after in pairwise(mine):
            if before["ended_at"] is not None and after["entered_at"] < before["ended_at"]:
                yield f"channel {channel} is in calls {before['call']} and {after['call']} at the same time"


def _wraps(segments: list[sqlite3.Row], agents: list[sqlite3.Row]) -> Iterator[str]:
    """A wrap-up is open only while its agent is in it."""
    wrapping = {(row["agent"], row["call"]) for row in agents if row["state"] == "WRAP_UP"}
    for row in segments:
        if row["kind"] == "wrapped" and row["ended_at"] is None and (row["agent"], row["call"]) not in wrapping:
            yield f"the wrap-up of {row['agent']} after call {row['call']} never ended"


def _agents(states: list[sqlite3.Row], agents: list[sqlite3.Row]) -> Iterator[str]:
    """An agent's intervals follow each other without gap or overlap; the last is open and is the state in force."""
    now = {row["agent"]: row for row in agents}
    of_agent: dict[str, list[sqlite3.Row]] = defaultdict(list)
    for row in states:
        of_agent[row["agent"]].append(row)
    if now.keys() != of_agent.keys():
        yield f"agents {sorted(now)} have a state, {sorted(of_agent)} have intervals"
    for agent, mine in of_agent.items():
        for before, after in pairwise(mine):
            if after["serial"] != before["serial"] + 1 or before["ended_at"] != after["started_at"]:
                yield (
                    f"agent {agent}: {before['state']} ({before['serial']}) ends at {before['ended_at']}, and "
                    f"{after['state']} ({after['serial']}) starts at {after['started_at']}"
                )
            if before["ended_at"] is not None and before["ended_at"] < before["started_at"]:
                yield f"agent {agent}: {before['state']} ({before['serial']}) ends before it starts"
        last, state = mine[-1], now.get(agent)
        if last["ended_at"] is not None:
            yield f"agent {agent}: nothing follows {last['state']}, which ended at {last['ended_at']}"
        if state is not None and (state["serial"], state["state"]) != (last["serial"], last["state"]):
            yield f"agent {agent} is {state['state']} ({state['serial']}), the last interval says {last['state']}"
        if last["state"] in ("RESERVED", "RINGING", "TALKING"):
            yield f"agent {agent} is {last['state']} with call {last['call']} for ever"


def _conversations(segments: list[sqlite3.Row], states: list[sqlite3.Row]) -> Iterator[str]:
    """Nobody is on two calls at once, and agents' intervals say the same as the calls' segments."""
    of_agent: dict[str, list[sqlite3.Row]] = defaultdict(list)
    for row in segments:
        if row["kind"] in ("offered", "rang", "talked"):
            if row["agent"] is None or row["offer"] is None:
                yield f"call {row['call']}: {row['kind']} without an agent or an offer"
                continue
            of_agent[row["agent"]].append(row)
    for agent, mine in of_agent.items():
        mine.sort(key=lambda row: (row["started_at"], row["ended_at"] or ""))
        for before, after in pairwise(mine):
            if before["ended_at"] is None or after["started_at"] < before["ended_at"]:
                yield (
                    f"agent {agent}: {before['kind']} of call {before['call']} ends at {before['ended_at']}, "
                    f"{after['kind']} of call {after['call']} starts at {after['started_at']}"
                )
    talks = {(row["agent"], row["call"], row["started_at"]) for row in segments if row["kind"] == "talked"}
    talking = {(row["agent"], row["call"], row["started_at"]) for row in states if row["state"] == "TALKING"}
    for agent, call, at in sorted(talks ^ talking):
        where = "calls' segments" if (agent, call, at) in talks else "agents' intervals"
        yield f"only the {where} know that {agent} talked in call {call} from {at}"


def _decisions(segments: list[sqlite3.Row], decisions: list[sqlite3.Row]) -> Iterator[str]:
    """Every offer belongs to one call and one agent, and is explained."""
    owners: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in segments:
        if row["offer"] is not None:
            owners[row["offer"]].add((row["call"], row["agent"]))
    # An offer of an earlier life whose own explanation was not yet durable when it was killed is adopted
    explained = {(row["call"], row["offer"]) for row in decisions if row["kind"] in ("offered", "adopted")}
    rung: dict[str, set[str]] = defaultdict(set)
    for row in decisions:
        if row["offer"]:
            rung[row["offer"]] |= set(json.loads(row["detail"]).get("agents", ()))
    for offer, whose in owners.items():
        if len({call for call, _ in whose}) > 1 or (len(whose) > 1 and not {who for _, who in whose} <= rung[offer]):
            yield f"offer {offer} belongs to {sorted(whose)}"
        for call, agent in whose:
            if (call, offer) not in explained:
                yield f"offer {offer} of call {call} to {agent} is not explained"
