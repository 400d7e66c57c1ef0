"""The controller is away when callers come, stays away, or comes back: the dialplan holds them."""

from __future__ import annotations

import time

import pytest

from acd.lab.asterisk import AsteriskOptions
from callkit import (
    ELSEWHERE,
    PATIENT_S,
    agents,
    caller,
    channels,
    dial,
    finish,
    floor,
    hang_up,
    held,
    kinds,
    live,
    phone,
    placed,
    plan,
    record,
    until,
    until_channels,
    until_idle,
    until_logged,
    until_waiting,
)


async def test_away_at_entry_then_back(make_rig):
    """Who came while nobody was there is served by the time he came, before whoever came later."""
    rig = await make_rig(plan([phone("1001", "answer+talk:0.2")], floor(agents({"anna": "1001"}))), serve=False)
    before = time.time()
    first = await dial(rig, caller(number="5551"))
    await placed(first, rig, "answered", 1)
    second = await dial(rig, caller(number="5552"))
    await until_channels(rig, "music for both", held(2))
    came = time.time()
    await rig.start_serve()
    third = await dial(rig, caller(number="5553"))
    await until_waiting(rig, 3)
    await rig.agent("anna", "login")
    for callers in (first, second, third):
        await finish(callers)
    calls = [await record(rig, number) for number in ("5551", "5552", "5553")]
    assert before <= calls[0]["entered_at"] < calls[1]["entered_at"] <= came < calls[2]["entered_at"]
    answered = [call["answered_at"] for call in calls]
    assert answered == sorted(answered)
    assert calls[0]["wait_s"] == pytest.approx(answered[0] - calls[0]["entered_at"], abs=1e-5)
    await until_idle(rig)


async def test_away_for_good(make_rig):
    """After ACD_FALLBACK_S all go to the fallback: who was registered before, and who came afterwards."""
    rig = await make_rig(
        plan(
            [phone("1001")],
            floor(agents({"anna": "1001"})),
            dialplan_text=ELSEWHERE,
            options=AsteriskOptions(globals={"ACD_FALLBACK": "sorry,s,1", "ACD_FALLBACK_S": "3"}),
        )
    )
    known = await dial(rig, caller(number="5551"))
    await until_waiting(rig, 1)
    await until_channels(rig, "music", held(1))
    await rig.kill_serve()
    unknown = await dial(rig, caller(number="5552"))
    await until_channels(
        rig, "the fallback to take both", lambda rows: [row["context"] for row in rows] == ["sorry", "sorry"]
    )
    # They are no longer ours when the controller comes back, and he who was is written down as what became of him
    await rig.start_serve()
    assert await live(rig) == []
    call = await record(rig, "5551")
    assert (call["outcome"], kinds(call)) == ("fallback", ["entered", "waited"])
    assert len(channels(rig)) == 2
    rig.asterisk.cli("channel request hangup all")
    await finish(known)
    await finish(unknown)
    await until_idle(rig)


@pytest.mark.parametrize("target", ["", "no-such-place,s,1"])
async def test_no_fallback_is_a_polite_end(make_rig, target):
    rig = await make_rig(
        plan(
            [phone("1001")],
            floor(agents({"anna": "1001"})),
            options=AsteriskOptions(globals={"ACD_FALLBACK": target, "ACD_FALLBACK_S": "1"}),
        ),
        serve=False,
    )
    result = await finish(await dial(rig, caller(number="5551")))
    assert result.outcome("far_end_hung_up") == 1
    if target:
        await until_logged(rig, "there is no no-such-place,s,1 to fall back to")
    else:
        assert "to fall back to" not in "\n".join(rig.asterisk.log_tail())


async def test_stopped_and_started_in_order(make_rig):
    """SIGTERM with callers waiting, talking and ringing: nobody notices, and the next life goes on where it was."""
    rig = await make_rig(
        plan(
            [phone("1001", "answer"), phone("1002", "never"), phone("1003", "answer+talk:0.2")],
            floor(
                agents({"anna": "1001", "bob": "1002"}) | agents({"carla": "1003"}, number="2003"),
                queues={"main": {"ring_timeout": 60, "wrap_up": 30}},
            ),
        )
    )
    await rig.agent("anna", "login")
    await rig.agent("bob", "login")
    callers = await dial(rig, caller(number="5551"))
    await until(rig, "Anna to talk", lambda s: s["talking"] == 1)
    ringing = await dial(rig, caller(behaviour="patience:300", number="5552"))
    await until(rig, "Bob's phone to ring", lambda s: s["agents"]["RINGING"] == 1)
    waiting = await dial(rig, caller(number="5553"))
    await until_waiting(rig, 2)
    before = {call["call"]: (call["state"], call["agent"], call["entered_at"]) for call in await live(rig)}
    await rig.stop_serve()
    assert "stopping; calls go on in Asterisk" in rig.serve_log()
    await rig.start_serve()

    async def as_it_was():
        return {call["call"]: (call["state"], call["agent"], call["entered_at"]) for call in await live(rig)} == before

    await rig.until(as_it_was, PATIENT_S, "the floor to be as it was")
    await rig.agent("carla", "login")
    await finish(waiting)
    await hang_up(rig, "5551")
    await finish(callers)
    await hang_up(rig, "5552")
    await ringing.stop(2.0)
    await until_idle(rig)
    assert [(await record(rig, f"555{n}"))["agent"] for n in (1, 3)] == ["anna", "carla"]
    assert (await record(rig, "5552"))["outcome"] == "abandoned"
