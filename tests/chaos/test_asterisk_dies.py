"""Asterisk itself ends, with callers talking, ringing and waiting: their calls are closed, the agents are free, and
everything works again once it is back."""

from __future__ import annotations

import asyncio
import time

import pytest

from callkit import (
    PATIENT_S,
    agents,
    caller,
    dial,
    finish,
    floor,
    live,
    phone,
    plan,
    record,
    recorded,
    until,
    until_agent,
    until_idle,
)


async def busy_floor(make_rig):
    """Two talk, one phone rings, two wait."""
    rig = await make_rig(
        plan(
            [phone("1001"), phone("1002"), phone("1003", "never"), phone("1004", registers=True)],
            floor(
                agents({"anna": "1001", "bob": "1002", "carla": "1003", "dora": "1004"}),
                queues={"main": {"ring_timeout": 60, "wrap_up": 1}},
            ),
        )
    )
    await rig.bank.register()
    for name in ("anna", "bob", "carla"):
        await rig.agent(name, "login")
    await rig.agent("bob", "pause")
    await rig.agent("bob", "resume")
    callers = await dial(rig, *(caller(number="5551") for _ in range(5)))
    await until(rig, "2 to talk, 1 to ring, 2 to wait", lambda s: (s["talking"], s["waiting"]) == (2, 3))
    await until(rig, "1 to ring", lambda s: s["agents"]["RINGING"] == 1)
    await rig.agent("bob", "pause", reason="lunch")

    async def old_enough():
        # A start is told from another by the second
        return int((await asyncio.to_thread(rig.asterisk.cli, "core show uptime seconds")).split()[2].strip(",")) > 4

    await rig.until(old_enough, PATIENT_S, "Asterisk to have been up for some seconds")
    return rig, callers


async def check_after(rig, died_at, known_at):
    """All is closed and works again. Bob's pause takes effect, as his call is over. The calls ended when they were lost,
    or when that could be known."""
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    await until_agent(rig, "bob", "PAUSED", reason="lunch")
    await until_agent(rig, "carla", "AVAILABLE")
    assert await live(rig) == []
    calls = await recorded(rig, "5551")
    assert len(calls) == 5
    for call in calls:
        assert died_at - 0.1 <= call["ended_at"] <= known_at
    outcomes = [call["outcome"] for call in calls]
    assert (outcomes.count("answered"), outcomes.count("lost_track")) == (2, 3)
    assert outcomes.count("transferred") == outcomes.count("overflowed") == 0
    await rig.agent("carla", "logout")
    await finish(await dial(rig, caller(behaviour="talk:0.3", number="5552")))
    call = await record(rig, "5552")
    assert (call["outcome"], call["agent"]) == ("answered", "anna")
    # A registration outlives it
    await rig.agent("anna", "logout")
    await rig.agent("dora", "login")
    await until_agent(rig, "dora", "AVAILABLE", phone_state="IDLE")
    await finish(await dial(rig, caller(behaviour="talk:0.3", number="5553")))
    assert (await record(rig, "5553"))["agent"] == "dora"
    await until_idle(rig)


@pytest.mark.parametrize("how", ["kill -9", "core stop now"])
async def test_restart(make_rig, how):
    rig, callers = await busy_floor(make_rig)
    died_at = time.time()
    await asyncio.to_thread(rig.asterisk.kill if how == "kill -9" else rig.asterisk.stop)
    await until(rig, "the loss to be noticed", lambda s: s["nodes"][0]["state"] == "down")
    known_at = time.time()
    health = await rig.health()
    assert (health["ok"], health["nodes"]) == (False, {"pbx1": "down"})
    await callers.stop(0.0)
    await asyncio.to_thread(rig.asterisk.start)
    await until(rig, "the connection to be back", lambda s: s["nodes"][0]["state"] == "up")
    await check_after(rig, died_at, known_at)
    assert (await rig.health())["ok"]


async def test_power_cut(make_rig):
    """Asterisk and the controller die together; the database remembers calls that are nowhere to be found."""
    rig, callers = await busy_floor(make_rig)

    async def durable():
        states = {row["agent"]: row["state"] for row in rig.rows("SELECT agent, state FROM agents")}
        waiting = rig.rows("SELECT call FROM segments WHERE kind = 'waited'")
        pending = rig.rows("SELECT pending FROM agents WHERE agent = 'bob'")[0]["pending"]
        return states["carla"] == "RINGING" and len(waiting) == 2 and pending

    await rig.until(durable, PATIENT_S, "the records to be on disk")
    died_at = time.time()
    await rig.kill_serve()
    await asyncio.to_thread(rig.asterisk.kill)
    await callers.stop(0.0)
    await asyncio.to_thread(rig.asterisk.start)
    await rig.start_serve()
    await check_after(rig, died_at, time.time())
