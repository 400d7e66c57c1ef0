"""Short words for tests with real calls: who calls, who answers, what is waited for and what was written down."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from acd.lab.behaviours import parse_caller_behaviour, parse_phone_behaviour
from acd.lab.calls import Call, CallGenerator
from acd.lab.phones import Phone
from acd.lab.rig import Rig, RigPlan

PATIENT_S = 30.0
"""How long a test waits for what must come: for a busy machine, not for a slow service."""

ELSEWHERE = """
[sorry]
exten => s,1,Answer()
 same => n,Wait(300)
"""
"""A place of the operator's own, sorry,s,1, where a caller stays."""


def caller(to: str = "100", behaviour: str = "until-bye", *, number: str = "5550001", name: str = "") -> Call:
    """Somebody calls ``to`` and behaves as the lab's words say."""
    return Call.drawn(to, parse_caller_behaviour(behaviour), random.Random(1), number=number, name=name)


def phone(name: str, behaviour: str = "answer", *, registers: bool = False) -> Phone:
    """A phone of an agent."""
    return Phone(name, parse_phone_behaviour(behaviour), registers, f"secret-{name}" if registers else "")


def dials(from_phone: Phone, to: str, behaviour: str = "until-bye") -> Call:
    """An agent dials ``to`` on his phone."""
    return Call.from_phone(from_phone, to, parse_caller_behaviour(behaviour))


def agents(phones: Mapping[str, Sequence[str] | str], **common: Any) -> dict[str, dict[str, Any]]:
    """Agents by name with their phones; all of them in the queue ``main`` unless ``common`` says otherwise."""
    return {
        name: {
            "number": str(2001 + index),
            "phones": [f"PJSIP/{one}" for one in ([given] if isinstance(given, str) else given)],
            "queues": ["main"],
            **common,
        }
        for index, (name, given) in enumerate(phones.items())
    }


def floor(who: Mapping[str, Any], *, queues: Mapping[str, Any] | None = None, **rest: Any) -> dict[str, Any]:
    """A floor of agents ``who`` with the queue ``main``, which is reached at 100, unless told otherwise."""
    usual = {"wrap_up": 0, "ring_timeout": 15}
    given = {"main": {}} if queues is None else queues
    return {
        "queues": {name: {**usual, **queue} for name, queue in given.items()},
        "agents": dict(who),
        "entry_points": {"100": "main"},
        **rest,
    }


def plan(phones: Sequence[Phone], on: Mapping[str, Any], **rest: Any) -> RigPlan:
    """A rig's plan."""
    return RigPlan(phones, on, **rest)


async def dial(rig: Rig, *calls: Call, rate: float = 100.0) -> CallGenerator:
    """Place ``calls``; they go on while the test does."""
    callers = rig.callers(calls, rate)
    await callers.start()
    return callers


async def finish(callers: CallGenerator, timeout_s: float = 40.0) -> Any:
    """Wait for the end of calls, all of which end as their callers mean to."""
    result = await callers.wait(timeout_s)
    assert result.lost == 0, (result.counts, result.errors)
    return result


async def placed(callers: CallGenerator, rig: Rig, kind: str, count: int) -> None:
    """Wait until SIPp has counted ``count`` of ``kind`` (answered, placed...)."""

    async def counted() -> bool:
        return callers.counts().outcomes.get(kind, 0) >= count

    await rig.until(counted, PATIENT_S, f"{count} callers {kind}")


async def until(rig: Rig, what: str, condition: Callable[[dict[str, Any]], bool]) -> None:
    """Wait for a status of the floor."""
    await rig.until_status(what, condition, PATIENT_S)


async def until_agent(rig: Rig, name: str, state: str, **also: Any) -> dict[str, Any]:
    """Wait until an agent is in ``state``, with what else is asked for (``reason="rona"``; ``phones``: their names do)."""
    wanted = {"state": state, **also}

    async def seen() -> dict[str, Any] | None:
        row = dict(await rig.api(f"agents/{name}"))
        is_so = (row[key] == value or (key == "phones" and list(row[key]) == value) for key, value in wanted.items())
        return row if all(is_so) else None

    found = await rig.until(seen, PATIENT_S, f"agent {name} to be {wanted}")
    assert found is not None
    return found


async def until_done(rig: Rig, name: str) -> None:
    """Wait until an agent does not talk any more: wraps up, or has done so by now."""

    async def done() -> bool:
        return (await rig.api(f"agents/{name}"))["state"] in ("WRAP_UP", "AVAILABLE")

    await rig.until(done, PATIENT_S, f"agent {name} to have done with a call")


async def live(rig: Rig) -> list[dict[str, Any]]:
    """The calls on the floor."""
    return list((await rig.api("calls?live=1&limit=1000"))["calls"])


async def until_live(rig: Rig, count: int) -> list[dict[str, Any]]:
    """Wait until there are ``count`` calls on the floor; the calls."""

    async def there() -> list[dict[str, Any]]:
        calls = await live(rig)
        return calls if len(calls) == count else []

    return await rig.until(there, PATIENT_S, f"{count} calls to be on the floor")


async def until_waiting(rig: Rig, count: int) -> list[dict[str, Any]]:
    """Wait until ``count`` calls wait on the floor; the live calls."""
    await until(rig, f"{count} waiting", lambda s: s["waiting"] == count)
    return await live(rig)


async def until_idle(rig: Rig) -> None:
    """Wait until no call is left, neither on the floor nor in Asterisk."""

    async def idle() -> bool:
        return not await live(rig) and not channels(rig)

    await rig.until(idle, PATIENT_S, "all calls to be over")


def channels(rig: Rig) -> list[dict[str, str]]:
    """Asterisk's own list of channels."""
    told = "name context exten priority state application data caller account peer_account ama age bridge identity"
    names = told.split()
    lines = rig.asterisk.cli("core show channels concise").splitlines()
    return [dict(zip(names, line.split("!"), strict=False)) for line in lines if "!" in line]


def held(count: int) -> Callable[[list[dict[str, str]]], bool]:
    """Whether so many callers, and nobody else, hear music."""
    return lambda rows: len(rows) == count and all(row["application"] == "MusicOnHold" for row in rows)


async def talk_out(rig: Rig) -> None:
    """End every conversation, those that follow from it as well, until no call is left."""
    while calls := await live(rig):
        for call in calls:
            if call["state"] == "TALKING":
                await asyncio.to_thread(rig.asterisk.cli, f"channel request hangup {call['channel']}")


async def until_channels(rig: Rig, what: str, condition: Callable[[list[dict[str, str]]], bool]) -> None:
    """Wait until Asterisk's own list of channels is as told."""

    async def holds() -> bool:
        return condition(await asyncio.to_thread(channels, rig))

    await rig.until(holds, PATIENT_S, what)


async def until_logged(rig: Rig, words: str) -> None:
    """Wait until Asterisk, whose log has a thread of its own, has written ``words``."""

    async def said() -> bool:
        return any(words in line for line in rig.asterisk.log_tail(1_000))

    await rig.until(said, PATIENT_S, f"Asterisk to log {words!r}")


async def hang_up(rig: Rig, number: str) -> None:
    """End the call of the caller with ``number`` from Asterisk's side: he gets a BYE."""
    (name,) = [row["name"] for row in await asyncio.to_thread(channels, rig) if row["caller"] == number]
    await asyncio.to_thread(rig.asterisk.cli, f"channel request hangup {name}")


async def recorded(rig: Rig, number: str) -> list[dict[str, Any]]:
    """The finished calls of the caller with ``number``, the first one first, with their segments."""

    async def all_written() -> list[dict[str, Any]]:
        rows = (await rig.api(f"calls?number={number}"))["calls"]
        return rows if rows and all(row["ended_at"] for row in rows) else []

    rows = await rig.until(all_written, PATIENT_S, f"the calls of {number} to be written down")
    rows.sort(key=lambda row: (row["entered_at"], row["call"]))
    return [(await rig.api(f"calls/{row['call']}"))["call"] for row in rows]


async def record(rig: Rig, number: str) -> dict[str, Any]:
    """The one finished call of the caller with ``number``."""
    rows = await recorded(rig, number)
    assert len(rows) == 1, rows
    return rows[0]


def kinds(call: Mapping[str, Any]) -> list[str]:
    """The kinds of a call's segments from the entry to the end, in their order."""
    return [segment["kind"] for segment in call["segments"] if segment["kind"] != "wrapped"]


async def decisions(rig: Rig, call: str) -> list[dict[str, Any]]:
    """What was decided on a call, as the API tells it."""
    return list((await rig.api(f"calls/{call}/explain"))["decisions"])


async def failed_offers(rig: Rig, call: str) -> list[tuple[str, str, str]]:
    """The offers of a call that failed: agent, outcome and consequence."""
    made = await decisions(rig, call)
    return [
        (row["agent"], row["detail"]["outcome"], row["detail"]["consequence"])
        for row in made
        if row["kind"] == "offer_failed"
    ]


async def explained(rig: Rig, call: str) -> str:
    """What ``acd call explain`` prints, white space folded."""
    return re.sub(r"\s+", " ", await rig.acd("call", "explain", call))


async def together(*parts: Any) -> None:
    """Wait for several at once."""
    await asyncio.gather(*parts)
