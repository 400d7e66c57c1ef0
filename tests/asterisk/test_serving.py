"""Who is served, when and by whom: the direct answer, waiting in order, skills, several queues, priority."""

from __future__ import annotations

from callkit import (
    agents,
    caller,
    decisions,
    dial,
    explained,
    finish,
    floor,
    kinds,
    phone,
    placed,
    plan,
    record,
    until,
    until_agent,
    until_channels,
    until_idle,
    until_waiting,
)


async def test_free_agent_answers_the_caller_directly(make_rig):
    """The agent's answer is the caller's: nothing answers him before, and he is not on hold for a moment."""
    rig = await make_rig(plan([phone("1001", "answer-after:1.2+talk:0.3")], floor(agents({"anna": "1001"}))))
    await rig.login_all()
    callers = await dial(rig, caller(number="5551"))
    result = await finish(callers)
    assert result.answer_ms[0] >= 1200, "somebody answered before the agent did"
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")

    call = await record(rig, "5551")
    assert kinds(call) == ["entered", "offered", "rang", "talked", "after"]
    assert (call["outcome"], call["ended_by"], call["agent"]) == ("answered", "agent", "anna")
    assert call["wait_s"] >= 1.1
    assert call["talk_s"] > 0
    assert call["wait_s"] + call["talk_s"] <= call["ended_at"] - call["entered_at"] + 0.001
    offered = (await decisions(rig, call["call"]))[0]
    assert offered["kind"] == "offered"
    assert offered["detail"]["chosen"]["agent"] == "anna"
    said = await explained(rig, call["call"])
    assert "offered to anna" in said
    assert "idle the longest" in said


async def test_waiting_with_music_or_ringback_then_in_order(make_rig):
    rig = await make_rig(
        plan(
            [phone("1001", "answer+talk:0.2")],
            floor(
                agents({"anna": "1001"}, queues=["main", "ring"]),
                queues={"main": {}, "ring": {"hold": "ringback"}},
                entry_points={"100": "main", "101": "ring"},
            ),
        )
    )
    order = [("100", "5551"), ("101", "5552"), ("100", "5553"), ("100", "5554")]
    generators = []
    for waiting, (did, number) in enumerate(order, start=1):
        generators.append(await dial(rig, caller(did, number=number)))
        calls = await until_waiting(rig, waiting)
        await placed(generators[-1], rig, "answered", 1)
    assert [(call["caller_number"], call["position"]) for call in calls] == [
        ("5551", 1),
        ("5552", 1),
        ("5553", 2),
        ("5554", 3),
    ]
    # Answer() waits half a second for the first voice packet of the caller
    hears = {"5551": "MusicOnHold", "5552": "Wait", "5553": "MusicOnHold", "5554": "MusicOnHold"}
    await until_channels(
        rig, "music and ringback", lambda rows: {row["caller"]: row["application"] for row in rows} == hears
    )

    await rig.agent("anna", "login")
    for callers in generators:
        await finish(callers)
    await until_agent(rig, "anna", "AVAILABLE", calls_taken=4)
    calls = [await record(rig, number) for _, number in order]
    answered = [call["answered_at"] for call in calls]
    assert answered == sorted(answered), "served out of order"
    assert [kinds(call) for call in calls] == [["entered", "waited", "offered", "rang", "talked", "after"]] * 4
    waits = await decisions(rig, calls[0]["call"])
    assert [row["kind"] for row in waits] == ["waits", "offered"]
    assert waits[0]["detail"]["passed_over"] == {"LOGGED_OUT": 1}


async def test_skills_queues_and_priority(make_rig):
    who = agents({"anna": "1001", "bob": "1002"}, queues=["main", "german"])
    who["anna"]["skills"] = {"german": 80}
    who["bob"]["skills"] = {"german": 40}
    rig = await make_rig(
        plan(
            [phone("1001", "answer+talk:0.3"), phone("1002", "answer+talk:0.2")],
            floor(
                who,
                skills=["german"],
                queues={"main": {}, "german": {"skills": {"german": 50}}},
                entry_points={"100": "main", "102": "german", "103": {"queue": "main", "priority": 10}},
            ),
        )
    )
    # Bob is free and does not know enough German: the call waits for Anna
    await rig.agent("bob", "login")
    german = await dial(rig, caller("102", number="5551"))
    (waiting,) = await until_waiting(rig, 1)
    assert "needs german >= 50" in await explained(rig, waiting["call"])
    other = await dial(rig, caller("100", number="5552"))
    await finish(other)
    assert (await record(rig, "5552"))["agent"] == "bob"
    await until_waiting(rig, 1)
    await rig.agent("anna", "login")
    await finish(german)
    assert (await record(rig, "5551"))["agent"] == "anna"

    # One agent of both queues: who came first is served first across them, but priority goes before
    await rig.agent("bob", "logout")
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    await rig.agent("anna", "pause")
    generators = []
    for waiting_now, (did, number) in enumerate(
        (("102", "5561"), ("100", "5562"), ("102", "5563"), ("103", "5564")), 1
    ):
        generators.append(await dial(rig, caller(did, number=number)))
        await until_waiting(rig, waiting_now)
    await rig.agent("anna", "resume")
    for callers in generators:
        await finish(callers)
    answered = {number: (await record(rig, number))["answered_at"] for number in ("5561", "5562", "5563", "5564")}
    assert sorted(answered, key=answered.__getitem__) == ["5564", "5561", "5562", "5563"]
    await until(rig, "two free agents", lambda s: s["agents"]["AVAILABLE"] == 1 and s["talking"] == 0)
    await until_idle(rig)


async def test_the_longest_idle_is_chosen(make_rig):
    """Three agents, six calls one after the other: each takes two, in turn."""
    names = ["anna", "bob", "carla"]
    rig = await make_rig(
        plan(
            [phone(f"100{n}", f"answer+talk:0.{n}") for n in (1, 2, 3)],
            floor(agents({name: f"100{n}" for n, name in enumerate(names, 1)})),
        )
    )
    for name in names:
        await rig.agent(name, "login")
    for n in range(6):
        await finish(await dial(rig, caller(number=f"556{n}")))
        await until(rig, "all free again", lambda s: s["agents"]["AVAILABLE"] == 3 and s["phones"] == {"IDLE": 3})
    assert [(await record(rig, f"556{n}"))["agent"] for n in range(6)] == names * 2
