"""Callers and phones of every temper, and one misfortune after the other: whatever crosses whatever, no dialog ends
otherwise than it should, the floor comes to rest, and the records contradict themselves nowhere."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from acd.lab.behaviours import parse_caller_behaviour
from acd.lab.calls import plan_calls
from callkit import (
    PATIENT_S,
    agents,
    dial,
    floor,
    live,
    phone,
    placed,
    plan,
    until_idle,
)

PHONES = (
    *("answer-after:uniform(0,0.6)", "answer+talk:uniform(0.2,1.5)", "answer-after:uniform(0.1,2)+talk:1"),
    *("never", "busy-after:0.2", "decline-after:0.3", "answer+talk:0.6+transfer:601", "answer+talk:0.5+transfer:602"),
)
CALLERS = {"talk:uniform(0.1,2)": 3, "patience:uniform(0.1,5)": 2, "until-bye": 1}
PLACES = """
[agents]
exten => 601,1,Goto(acd-inbound,101,1)
exten => 602,1,Answer()
 same => n,Wait(1)
"""
CALLS, STEP = 112, 8
"""A misfortune after every ``STEP`` calls."""
MISFORTUNES = ("kick", "kill", "stop", "freeze", "freeze Asterisk", "hang up", "pause")


@pytest.mark.parametrize("seed", [1, 2])
async def test_misfortunes(make_rig, seed):
    rng = random.Random(seed)
    names = [f"a{n}" for n in range(len(PHONES) + 1)]
    phones = [phone(f"10{n:02}", behaviour) for n, behaviour in enumerate(PHONES)]
    # The last agent's phone is two
    phones += [phone(f"10{len(PHONES):02}", "answer"), phone(f"10{len(PHONES):02}", "never")]
    who = agents({name: f"10{n:02}" for n, name in enumerate(names)}, queues=["main", "second"])
    queues = {
        "main": {"ring_timeout": 2, "wrap_up": 0.3, "max_wait": 6, "overflow": "queue:second"},
        "second": {"ring_timeout": 2, "max_wait": 8, "overflow": "hangup"},
    }
    dids = {"100": "main", "101": "second"}
    rig = await make_rig(
        plan(phones, floor(who, queues=queues, entry_points=dids, cool_down_s=1), dialplan_text=PLACES)
    )
    await rig.login_all()
    tempers = {parse_caller_behaviour(text): weight for text, weight in CALLERS.items()}
    callers = await dial(rig, *plan_calls({"100": 3, "101": 1}, CALLS, tempers, seed=seed), rate=STEP)
    happened = []
    for number in range(STEP, CALLS, STEP):
        await placed(callers, rig, "placed", number)
        happened.append(rng.choice(MISFORTUNES))
        await happen(rig, callers, happened[-1], rng, number)
        await resume_all(rig, names)

    async def over():
        await resume_all(rig, names)
        for call in await live(rig):
            if call["state"] == "TALKING":
                await asyncio.to_thread(rig.asterisk.cli, f"channel request hangup {call['channel']}")
        return not callers.running

    await rig.until(over, 60.0, f"all calls to be over, after {happened}")
    result = await callers.wait(PATIENT_S)
    assert result.lost == 0, (happened, result.counts, result.errors)
    await until_idle(rig)
    assert "Traceback" not in rig.serve_log(), happened
    assert (await rig.status())["counters"].get("events_failed", 0) == 0
    for name in names:
        await rig.agent(name, "logout")
    assert (await rig.bank.stop()).lost == 0, happened
    await rig.stop_serve()


async def happen(rig, callers, what, rng, number):
    """One misfortune. What lasts, lasts until some more calls have come."""
    more = min(number + rng.randint(1, STEP), CALLS)
    match what:
        case "kick":
            for row in (await asyncio.to_thread(rig.asterisk.cli, "manager show connected")).splitlines():
                if row.startswith("  acd-"):
                    await asyncio.to_thread(rig.asterisk.cli, f"manager kick session {row.split()[4]}")
        case "kill":
            await rig.kill_serve()
            await placed(callers, rig, "placed", more)
            await rig.start_serve()
        case "stop":
            await rig.stop_serve()
            await rig.start_serve()
        case "freeze":
            rig.serve.send(signal.SIGSTOP)
            await placed(callers, rig, "placed", more)
            rig.serve.send(signal.SIGCONT)
        case "freeze Asterisk":
            rig.asterisk.freeze()
            await placed(callers, rig, "placed", more)
            rig.asterisk.thaw()
        case "hang up":
            for call in (await live(rig))[:3]:
                await asyncio.to_thread(rig.asterisk.cli, f"channel request hangup {call['channel']}")
        case "pause":
            await rig.agent(rng.choice(list(rig.plan.floor["agents"])), "pause")


async def resume_all(rig, names):
    """Whoever was paused for not answering works again."""
    for name in names:
        await rig.agent(name, "resume")
