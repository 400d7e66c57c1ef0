"""The controller stands still for a while and goes on: what was said meanwhile lies unread."""

from __future__ import annotations

import signal

from acd.lab.asterisk import AsteriskOptions
from between import Between
from callkit import (
    ELSEWHERE,
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
    plan,
    record,
    recorded,
    until,
    until_agent,
    until_channels,
    until_idle,
    until_waiting,
)


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
