"""What calls must outlive: the controller killed amid one, and restarted while one talks and two wait."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from acd.domain.errors import LabError

if TYPE_CHECKING:
    from stack import Stack

#: Leaves a slow machine time for a restart; it stays below the phones' rtp_timeout, for SIPp sends no media.
LONG_TALK_S = 45.0
#: The caller who talks and the two who wait. A waiting call is answered for SIP: all count from there.
RESTART_S = {"15550003": 30.0, "15550004": 50.0, "15550005": 65.0}
WAIT_S = 60.0

Floor = dict[str, tuple[str, str, float]]
"""Live calls by the caller's number: the call, its state (with its place in the queue, if it waits), when it came."""


async def killed_amid_a_call(stack: Stack) -> dict[str, Any]:
    """``kill -9`` of the controller while caller and agent talk: Asterisk keeps the call, the next controller finds it."""
    number = "15550002"
    await stack.ready()
    caller = stack.caller(number, LONG_TALK_S, 1)
    await caller.start()

    def talking() -> str:
        call, state, _ = _floor(stack).get(number, ("", "", 0.0))
        return call if state == "TALKING" else ""

    before = await stack.until("the second call to be answered", talking, WAIT_S)
    starts = len(_ups(stack))
    pid = int(stack.inspect("acd", "{{.State.Pid}}"))
    killed_at = time.time()
    os.kill(pid, signal.SIGKILL)
    _both_up(stack, "right after the kill")
    ups = await stack.until("acd to be up again", lambda: _ups(stack)[starts:], LONG_TALK_S)
    away_s = round(ups[0] - killed_at, 1)
    after = await stack.until("the call to be adopted", talking, LONG_TALK_S)
    if after != before:
        raise LabError(f"another call than before: {before} and then {after}")
    channels = _both_up(stack, "after it has come back")
    result = await caller.wait(LONG_TALK_S + WAIT_S)
    if result.lost:
        raise LabError(f"the call did not outlive the controller: {'; '.join(result.errors)}")
    row = await stack.record(number, LONG_TALK_S)
    restarts = int(stack.inspect("acd", "{{.RestartCount}}"))
    stack.say(
        f"kill -9 of the controller (process {pid}) amid call {before}: the engine restarted it "
        f"({restarts} restart), after {away_s} s it had looked at Asterisk and found the call again; SIPp's caller "
        f"noticed nothing ({result.counts.outcomes})"
    )
    stack.say(f"its record: {row['outcome']} by {row['agent']}, talked {row['talk_s']:.1f} s; channels meanwhile:")
    stack.say(channels)
    return {"away_s": away_s, "restarts": restarts, "record": row}


async def restarted_amid_calls(stack: Stack) -> dict[str, Any]:
    """As an upgrade does it: the controller ends in order and comes back; who waits keeps the place and the music."""
    await stack.ready()
    callers = {}
    for serial, (number, talk_s) in enumerate(RESTART_S.items(), start=2):
        callers[number] = stack.caller(number, talk_s, serial)
        await callers[number].start()
        await stack.until(f"{number} to be on the floor", partial(_is_there, stack, number), WAIT_S)
    before = await stack.until("one call to talk and two to wait", partial(_one_talks_two_wait, stack), WAIT_S)
    began = time.monotonic()
    await asyncio.to_thread(stack.compose, "restart", "acd")
    _music_for(stack, 2)
    await stack.until("acd to be healthy again", lambda: stack.health()["ok"], WAIT_S)
    away_s = round(time.monotonic() - began, 1)
    if (after := _floor(stack)) != before:
        raise LabError(f"after the restart the floor is not as it was: {before} and then {after}")
    _music_for(stack, 2)
    stack.say(f"restart: healthy again {away_s} s after the command; on the floor before and after: {after}")
    rows = []
    for number, caller in callers.items():
        result = await caller.wait(RESTART_S[number] + WAIT_S)
        if result.lost:
            raise LabError(f"the call from {number} did not outlive the restart: {'; '.join(result.errors)}")
        rows.append(await stack.record(number))
        await stack.wrap_up()
    answers = [row["answered_at"] for row in rows]
    came = [round(row["entered_at"] - before[row["caller_number"]][2], 3) for row in rows]
    if answers != sorted(answers) or any(came):
        raise LabError(f"answered out of turn, or the waits do not count from the arrival: {rows}")
    waits_s = [round(row["wait_s"], 1) for row in rows]
    stack.say(f"all three were answered in their turn, after {waits_s} s")
    stack.say(f"$ acd call list\n{stack.inside('acd', 'acd', 'call', 'list')}")
    return {"away_s": away_s, "waits_s": waits_s}


def _floor(stack: Stack) -> Floor:
    found: Floor = {}
    for call in stack.acd("call", "list", "--live")["calls"]:
        place = "" if call["position"] is None else f" {call['position']}"
        found[call["caller_number"]] = (call["call"], f"{call['state'].upper()}{place}", call["entered_at"])
    return found


def _is_there(stack: Stack, number: str) -> bool:
    return number in _floor(stack)


def _one_talks_two_wait(stack: Stack) -> Floor:
    floor = _floor(stack)
    states = [floor[number][1] for number in RESTART_S if number in floor]
    return floor if states == ["TALKING", "WAITING 1", "WAITING 2"] else {}


def _music_for(stack: Stack, count: int) -> None:
    channels = stack.cli("core show channels concise")
    if channels.count("!MusicOnHold!") != count:
        raise LabError(f"{count} callers should hear music; Asterisk has: {channels!r}")


def _both_up(stack: Stack, when: str) -> str:
    """Asterisk's channels: caller and phone, and nobody else."""
    channels = stack.cli("core show channels concise")
    states = [line.split("!")[4] for line in channels.splitlines() if "!" in line]
    if states != ["Up", "Up"]:
        raise LabError(f"{when} there should be two channels that are up; Asterisk has: {channels!r}")
    return channels


def _ups(stack: Stack) -> list[float]:
    """When acd had looked at Asterisk and was ready to serve, each time, by the engine's clock."""
    container = stack.compose("ps", "-q", "acd").split()[0]
    lines = stack.on.docker("logs", "--timestamps", container, merge=True).splitlines()
    stamps = [line.split(" ", 1)[0] for line in lines if line.endswith("pbx1 is up")]
    return [datetime.fromisoformat(f"{stamp[:26]}+00:00").timestamp() for stamp in stamps]
