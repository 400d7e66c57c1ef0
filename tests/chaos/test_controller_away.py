"""The controller is away when callers come, stays away, freezes, or comes back: the dialplan holds them."""

from __future__ import annotations

import signal
import time

import pytest

from acd.lab.asterisk import AsteriskOptions
from between import Between
from callkit import (
    PATIENT_S,
    agents,
    caller,
    channels,
    dial,
    finish,
    floor,
    hang_up,
    kinds,
    live,
    phone,
    placed,
    plan,
    record,
    recorded,
    until,
    until_agent,
    until_channels,
    until_idle,
    until_logged,
    until_waiting,
)

ELSEWHERE = """
[sorry]
exten => s,1,Answer()
 same => n,Wait(300)
"""


def held(count):
    return lambda rows: len(rows) == count and all(row["application"] == "MusicOnHold" for row in rows)


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


async def test_seems_away_but_is_not(make_rig):
    """The dialplan gives up while the controller is only frozen: it hears of it and writes it down."""
    rig = await make_rig(
        plan(
            [phone("1001")],
            floor(agents({"anna": "1001"}), fallback="dialplan:sorry,s"),
            dialplan_text=ELSEWHERE,
            options=AsteriskOptions(globals={"ACD_FALLBACK_S": "1"}),
        )
    )
    callers = await dial(rig, caller(number="5551"))
    await until_waiting(rig, 1)
    rig.serve.send(signal.SIGSTOP)
    await until_channels(rig, "the fallback", lambda rows: [row["context"] for row in rows] == ["sorry"])
    rig.serve.send(signal.SIGCONT)
    call = await record(rig, "5551")
    assert (call["outcome"], call["target"], call["ended_by"]) == ("fallback", "sorry,s,1", "system")
    await hang_up(rig, "5551")
    await finish(callers)
    await until_idle(rig)


async def test_frozen_controller(make_rig):
    """It accepts connections and never answers: callers hear music, who hangs up is gone, and the others are served in
    the order in which they came once it thaws, each of them once."""
    rig = await make_rig(plan([phone("1001", "answer+talk:0.2")], floor(agents({"anna": "1001"}))))
    rig.serve.send(signal.SIGSTOP)
    came = [await dial(rig, caller(number=f"555{n}")) for n in range(3)]
    gone = await dial(rig, *(caller(behaviour="patience:1", number="5558") for _ in range(5)))
    await until_channels(rig, "music for three", held(3))
    await finish(gone)
    await until_channels(rig, "three callers to be left", held(3))
    rig.serve.send(signal.SIGCONT)
    await until_waiting(rig, 3)
    await rig.agent("anna", "login")
    for callers in came:
        await finish(callers)
    await until(rig, "nobody to be left", lambda s: s["waiting"] == 0 and s["talking"] == 0)
    calls = [await record(rig, f"555{n}") for n in range(3)]
    assert [call["outcome"] for call in calls] == ["answered"] * 3
    assert sorted(calls, key=lambda call: call["answered_at"]) == sorted(calls, key=lambda call: call["entered_at"])
    # Whose question was still lying there when it thawed is known to have come, and gone
    if (await rig.api("calls?number=5558"))["calls"]:
        assert {call["outcome"] for call in await recorded(rig, "5558")} == {"abandoned"}
    assert (await rig.status())["drift"] == {}
    await until_idle(rig)


async def test_frozen_while_it_rang_and_was_answered(make_rig):
    """It thaws when the offer is long overdue, and the answer lies unread: those who talk go on talking."""
    rig = await make_rig(
        plan(
            [phone("1001", "answer-after:2")],
            floor(agents({"anna": "1001"}), queues={"main": {"ring_timeout": 3, "wrap_up": 30}}),
        )
    )
    await rig.agent("anna", "login")
    talks = await dial(rig, caller(number="5551"))
    await until_channels(
        rig, "the phone to ring", lambda rows: sorted(row["application"] for row in rows) == ["AppDial", "Dial"]
    )
    rig.serve.send(signal.SIGSTOP)
    # Longer than the ringing and what is waited for beyond it
    await finish(await dial(rig, caller(behaviour="patience:9", number="5558")))
    await until_channels(rig, "two to talk", lambda rows: len({row["bridge"] for row in rows} - {""}) == 1)
    before = channels(rig)
    rig.serve.send(signal.SIGCONT)
    await until(rig, "the talk to be known", lambda s: s["talking"] == 1 and s["waiting"] == 0)
    assert [row["name"] for row in channels(rig)] == [row["name"] for row in before]
    await until_agent(rig, "anna", "TALKING")
    # As long again as silence is believed after a sleep, and more
    await finish(await dial(rig, caller(behaviour="patience:4", number="5559")))
    assert [(row["name"], row["bridge"]) for row in channels(rig)] == [(row["name"], row["bridge"]) for row in before]
    await hang_up(rig, "5551")
    await finish(talks)
    call = await record(rig, "5551")
    assert (call["outcome"], kinds(call)[:4]) == ("answered", ["entered", "offered", "rang", "talked"])
    assert call["talk_s"] > 9
    assert (await rig.status())["drift"] == {}


async def test_frozen_while_the_maximum_wait_went_by(make_rig):
    """It thaws when callers are due to be sent on, and have just asked again; its Redirects are slower than its answers.
    Old questions are no new calls, and nobody is fetched back from where he was sent."""
    async with Between().listening() as between:
        rig = await make_rig(
            plan(
                [phone("1001", "never")],
                floor(
                    agents({"anna": "1001"}),
                    queues={"main": {"max_wait": 8, "overflow": "dialplan:sorry,s", "ring_timeout": 2}},
                ),
                dialplan_text=ELSEWHERE,
                ami_port=between.port,
            ),
            serve=False,
        )
        between.target = rig.ports.ami
        await rig.start_serve()
        numbers = [f"555{n}" for n in range(6)]
        callers = await dial(rig, *(caller(number=number) for number in numbers), rate=12)
        await until_waiting(rig, 6)
        # Each has seen the controller alive, and asks when it has not been for as long as he hears music
        await finish(await dial(rig, caller(behaviour="patience:1", number="5558")))
        rig.serve.send(signal.SIGSTOP)
        await until_channels(rig, "all to ask", lambda rows: [row["context"] for row in rows] == ["acd-register"] * 6)
        between.late_s = 0.03
        rig.serve.send(signal.SIGCONT)
        await rig.agent("anna", "login")
        await until_channels(rig, "all to be sent on", lambda rows: [row["context"] for row in rows] == ["sorry"] * 6)
        between.late_s = 0.0
        before = sorted(row["name"] for row in channels(rig))
        assert await live(rig) == []
        await until_agent(rig, "anna", "AVAILABLE")
        calls = [await record(rig, number) for number in numbers]
        assert {(call["outcome"], call["target"]) for call in calls} == {("overflowed", "sorry,s,1")}
        # Longer than a phone would ring for one of them
        await finish(await dial(rig, caller(behaviour="patience:6", number="5559")))
        assert sorted((row["name"], row["context"]) for row in channels(rig)) == [(name, "sorry") for name in before]
        rig.asterisk.cli("channel request hangup all")
        await finish(callers)
        await until_idle(rig)


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
