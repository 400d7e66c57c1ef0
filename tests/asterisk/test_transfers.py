"""The agent's phone hands the caller on: the call is over for us, the agent wraps up, the caller stays on the line."""

from __future__ import annotations

from sipphone import SipPhone

from callkit import (
    agents,
    caller,
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
)

TARGETS = """
[agents]
exten => 600,1,Answer()
 same => n,Wait(300)
exten => 601,1,Goto(acd-inbound,101,1)
exten => 602,1,Dial(PJSIP/1009,30)
"""


async def test_blind(make_rig):
    """To somebody outside, back into a queue, and to a number that does not exist."""
    rig = await make_rig(
        plan(
            [
                phone("1001", "answer+talk:0.5+transfer:602"),
                phone("1002", "answer+talk:0.5+transfer:601"),
                phone("1003", "answer+talk:0.5+transfer:699"),
                phone("1004", "answer+talk:0.3"),
                phone("1009", "answer"),
            ],
            floor(
                agents({"anna": "1001"}, queues=["outside"])
                | agents({"bob": "1002"}, number="2002", queues=["back"])
                | agents({"carla": "1003"}, number="2003", queues=["wrong"])
                | agents({"dora": "1004"}, number="2004", queues=["main"]),
                queues={"outside": {"wrap_up": 1}, "back": {"wrap_up": 60}, "wrong": {}, "main": {}},
                entry_points={"100": "outside", "101": "main", "102": "back", "103": "wrong"},
            ),
            dialplan_text=TARGETS,
        )
    )
    await rig.login_all()

    first = await dial(rig, caller("100", number="5551"))
    call = await record(rig, "5551")
    assert (call["outcome"], call["ended_by"], call["target"]) == ("transferred", "agent", "602@agents")
    assert (call["agent"], kinds(call)) == ("anna", ["entered", "offered", "rang", "talked", "after"])
    # He talks with 1009 and is none of our business; she takes the next
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    assert await live(rig) == []
    await until_channels(rig, "him to talk with 1009", lambda rows: [row["state"] for row in rows] == ["Up", "Up"])
    assert first.counts().outcomes.get("far_end_hung_up", 0) == 0
    second = await dial(rig, caller("100", number="5552"))
    await until(rig, "two to be transferred", lambda s: s["transferred"] == 2)
    for number in ("5551", "5552"):
        await hang_up(rig, number)
    await finish(first)
    await finish(second)
    assert len(await recorded(rig, "5551")) == 1

    # Back into a queue: the same channel, another call, in line from now on
    await finish(await dial(rig, caller("102", number="5553")))
    before, after = await recorded(rig, "5553")
    assert (before["outcome"], before["agent"], before["target"]) == ("transferred", "bob", "601@agents")
    assert (after["outcome"], after["agent"], after["did"]) == ("answered", "dora", "101")
    assert before["channel"] == after["channel"]
    assert before["ended_at"] <= after["entered_at"]
    await until_agent(rig, "bob", "WRAP_UP")
    await rig.agent("bob", "resume")

    # The phone hangs up all the same
    await finish(await dial(rig, caller("103", number="5554")))
    call = await record(rig, "5554")
    assert (call["outcome"], call["ended_by"], call["target"]) == ("answered", "agent", None)
    await until_idle(rig)
    assert (await rig.status())["drift"] == {}


async def test_attended(make_rig):
    """She talks with a colleague first, then joins the two. Afterwards a controller that looks at Asterisk afresh does
    not take the colleague's call for hers."""
    annas = phone("1001", "absent")
    rig = await make_rig(
        plan(
            [annas, phone("1009", "answer")],
            floor(agents({"anna": "1001"}), queues={"main": {"wrap_up": 1}}),
            dialplan_text=TARGETS,
        )
    )
    sip = await SipPhone.open("1001", rig.bank.port_of(annas), rig.ports.sip)
    try:
        await rig.agent("anna", "login")
        callers = await dial(rig, caller(number="5551"))
        await until_agent(rig, "anna", "TALKING")
        second = await sip.call("602")
        assert (await rig.api("agents/anna"))["state"] == "TALKING"
        await sip.join(await sip.called.get(), second)
        await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
        call = await record(rig, "5551")
        assert (call["outcome"], call["ended_by"], call["agent"]) == ("transferred", "agent", "anna")
        assert call["target"] == "1009"
        talk = [one for one in call["segments"] if one["kind"] in ("talked", "held", "consulted", "conferenced")]
        assert talk[-1]["outcome"] == "transfer"
        await until_channels(rig, "the two to be left", lambda rows: len(rows) == 2)
        assert callers.counts().outcomes.get("far_end_hung_up", 0) == 0

        await rig.stop_serve()
        await rig.start_serve()
        assert await live(rig) == []
        await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
        other = await dial(rig, caller(number="5552"))
        await placed(other, rig, "answered", 1)
        await until_agent(rig, "anna", "TALKING")
        for number in ("5551", "5552"):
            await hang_up(rig, number)
        await finish(callers)
        await finish(other)
        await until_idle(rig)
        assert len(await recorded(rig, "5551")) == 1
        await until_agent(rig, "anna", "AVAILABLE")
    finally:
        sip.close()
