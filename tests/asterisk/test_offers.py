"""Offers that come to nothing: what each is called, what it does to the agent, and that the call keeps its place.
And offers that ring at several places at once."""

from __future__ import annotations

from callkit import (
    agents,
    caller,
    dial,
    explained,
    failed_offers,
    finish,
    floor,
    kinds,
    live,
    phone,
    plan,
    record,
    together,
    until,
    until_agent,
    until_idle,
    until_waiting,
)

COOL_DOWN_S = 600
"""Longer than a test takes to look at everybody who is passed over."""
PASSED_OVER = f"agent passed over for {COOL_DOWN_S} s"
ENDS = {
    "busy": ("busy", PASSED_OVER),
    "decline": ("declined", "agent paused (declined)"),
    # It rang before it said so
    "unavailable": ("no_answer", "agent paused (rona)"),
    "refuse:404": ("unreachable", PASSED_OVER),
    "refuse:503": ("congestion", PASSED_OVER),
    "never": ("no_answer", "agent paused (rona)"),
    "silent": ("unreachable", PASSED_OVER),
    "absent": ("unreachable", PASSED_OVER),
}
"""A phone's behaviour, the outcome of an offer to it and the consequence for its agent."""


async def test_every_way_an_offer_fails(make_rig):
    """One queue for each kind of phone, and Anna in all of them: what the others do not take, she does."""
    numbers = {behaviour: str(1001 + n) for n, behaviour in enumerate(ENDS)}
    who = {}
    for n, behaviour in enumerate(ENDS):
        who |= agents({f"a{n}": numbers[behaviour]}, number=str(3001 + n), queues=[f"q{n}"])
    who |= agents({"anna": "1999"}, queues=[f"q{n}" for n in range(len(ENDS))])
    rig = await make_rig(
        plan(
            [*(phone(number, behaviour) for behaviour, number in numbers.items()), phone("1999", "answer+talk:0.1")],
            floor(
                who,
                queues={f"q{n}": {"ring_timeout": 2} for n in range(len(ENDS))},
                entry_points={f"20{n}": f"q{n}" for n in range(len(ENDS))},
                cool_down_s=COOL_DOWN_S,
            ),
        )
    )
    await together(*(rig.agent(f"a{n}", "login") for n in range(len(ENDS))))
    await rig.agent("anna", "login")
    await finish(await dial(rig, *(caller(f"20{n}", number=f"555{n}") for n in range(len(ENDS)))))
    await until(rig, "no talk", lambda s: s["talking"] == 0 and s["waiting"] == 0)

    for n, (behaviour, (outcome, consequence)) in enumerate(ENDS.items()):
        call = await record(rig, f"555{n}")
        assert await failed_offers(rig, call["call"]) == [(f"a{n}", outcome, consequence)], behaviour
        assert call["agent"] == "anna"
        agent = await rig.api(f"agents/a{n}")
        if consequence == PASSED_OVER:
            assert (agent["state"], agent["cool_down_s"] > 0, agent["rona"]) == ("AVAILABLE", True, 0), behaviour
        else:
            reason = "declined" if outcome == "declined" else "rona"
            assert (agent["state"], agent["reason"]) == ("PAUSED", reason), behaviour
            assert agent["rona"] == (reason == "rona")
        said = await explained(rig, call["call"])
        assert outcome.replace("_", " ") in said, said
        assert f"consequence: {consequence}" in said
        rang = behaviour not in ("silent", "absent")
        assert kinds(call)[:3] == (["entered", "offered", "rang"] if rang else ["entered", "offered", "waited"])
    status = await rig.status()
    assert status["drift"] == {}
    assert status["alarms"] == []
    await until_idle(rig)


async def test_no_answer_keeps_the_place_in_line(make_rig):
    rig = await make_rig(
        plan(
            [phone("1001", "never"), phone("1002", "answer+talk:0.3")],
            floor(agents({"anna": "1001", "bob": "1002"}), queues={"main": {"ring_timeout": 2}}),
        )
    )
    await rig.agent("anna", "login")
    generators = [await dial(rig, caller(number="5551"))]
    await until_waiting(rig, 1)
    generators.append(await dial(rig, caller(number="5552")))
    await until_waiting(rig, 2)
    await until_agent(rig, "anna", "PAUSED", reason="rona")
    calls = await live(rig)
    assert [(call["caller_number"], call["state"]) for call in calls] == [("5551", "WAITING"), ("5552", "WAITING")]
    await rig.agent("bob", "login")
    for callers in generators:
        await finish(callers)
    first, second = await record(rig, "5551"), await record(rig, "5552")
    assert first["answered_at"] < second["answered_at"]
    assert kinds(first) == ["entered", "offered", "rang", "waited", "offered", "rang", "talked", "after"]
    # She comes back by hand alone
    assert (await rig.api("agents/anna"))["state"] == "PAUSED"
    await rig.agent("anna", "resume")
    await until_agent(rig, "anna", "AVAILABLE", cool_down_s=None)
    await until_idle(rig)


OTHERS = {"never": "cancelled", "busy": "refused", "decline": "refused", "silent": "ignored"}
"""What a second phone does, and what becomes of its call."""


async def test_several_places_ring_together(make_rig):
    """One answers; whatever the other does, the call is answered, and a phone that rang is told to stop. Each kind twice:
    as a second contact of one phone, and as a second phone of the agent."""
    who, phones = {}, []
    for n, other in enumerate(OTHERS):
        who |= agents({f"c{n}": f"100{n}"}, number=str(3001 + n), queues=[f"c{n}"])
        phones += [phone(f"100{n}", other), phone(f"100{n}", "answer-after:1")]
        who |= agents({f"d{n}": [f"101{n}", f"102{n}"]}, number=str(4001 + n), queues=[f"d{n}"])
        phones += [phone(f"101{n}", other), phone(f"102{n}", "answer-after:1")]
    dids = {f"20{n}": name for n, name in enumerate(who)}
    rig = await make_rig(
        plan(phones, floor(who, queues={name: {"wrap_up": 300} for name in who}, entry_points=dids)),
    )
    await rig.login_all()
    calls = [caller(did, "talk:0.5", number=f"555{n}") for n, did in enumerate(dids)]
    result = await finish(await dial(rig, *calls))
    assert result.outcome("hung_up") == len(who)
    for n, name in enumerate(who):
        await until_agent(rig, name, "WRAP_UP", phone_state="IDLE")
        call = await record(rig, f"555{n}")
        assert await failed_offers(rig, call["call"]) == [], name
        assert kinds(call) == ["entered", "offered", "rang", "talked", "after"], name
        assert call["agent"] == name
    await until_idle(rig)
    played = await rig.bank.stop()
    assert played.lost == 0, played.errors
    assert played.outcome("answered") == len(who)
    for other, told in OTHERS.items():
        # A phone that says nothing is asked again and again
        assert rig.bank.results[other].outcome(told) >= 2, other
    for name in who:
        await rig.agent(name, "resume")


async def test_nobody_answers_at_several_places(make_rig):
    """Both contacts are busy: one offer, one outcome. And of an agent's two phones one may be gone."""
    rig = await make_rig(
        plan(
            [
                phone("1001", "busy"),
                phone("1001", "busy-after:0.2"),
                phone("1002", registers=True),
                phone("1003", "answer+talk:0.2"),
            ],
            floor(agents({"anna": "1001", "bob": ["1002", "1003"]}), cool_down_s=COOL_DOWN_S),
        )
    )
    await rig.login_all()
    await until_agent(rig, "bob", "AVAILABLE", phones={"PJSIP/1002": "UNREACHABLE", "PJSIP/1003": "IDLE"})
    await rig.agent("bob", "pause")
    callers = await dial(rig, caller(number="5551"))
    await until_waiting(rig, 1)
    await until(rig, "Anna to be passed over", lambda s: s["waiting"] == 1 and s["agents"]["AVAILABLE"] == 1)
    await rig.agent("bob", "resume")
    await finish(callers)
    call = await record(rig, "5551")
    assert await failed_offers(rig, call["call"]) == [("anna", "busy", PASSED_OVER)]
    assert call["agent"] == "bob"
    await until_idle(rig)
