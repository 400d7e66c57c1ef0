"""Who hangs up, and when: while it rings, while he waits, in the conversation; and what the agent does afterwards."""

from __future__ import annotations

from sipphone import SipPhone

from acd.lab.behaviours import parse_caller_behaviour
from acd.lab.calls import plan_calls
from callkit import (
    PATIENT_S,
    agents,
    caller,
    decisions,
    dial,
    finish,
    floor,
    hang_up,
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


async def test_caller_gives_up(make_rig):
    """While it rings: the agent is free at once, keeps her place among the idle, and is rung for the next. While he
    waits: he is not called back."""
    rig = await make_rig(
        plan([phone("1001", "never")], floor(agents({"anna": "1001"}), queues={"main": {"ring_timeout": 60}}))
    )
    await rig.agent("anna", "login")
    sip = await SipPhone.open("5551", 0, rig.ports.sip)
    try:
        ringing = sip.invite("100", name="5551")
        before = await until_agent(rig, "anna", "RINGING")
        waiting = await sip.call("100", name="5552")
        await until_waiting(rig, 2)
        next_one = await sip.call("100", name="5553")
        await until_waiting(rig, 3)
        await sip.hang_up(waiting)
        await until_waiting(rig, 2)
        await sip.give_up(ringing)

        async def rings_for_the_next():
            calls = await live(rig)
            return [(call["caller_number"], call["agent"]) for call in calls] == [("5553", "anna")]

        await rig.until(rings_for_the_next, PATIENT_S, "the next call to be hers")
        await until_agent(rig, "anna", "RINGING")
        await sip.hang_up(next_one)
    finally:
        sip.close()
    after = await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    assert (before["rona"], after["rona"], after["calls_taken"]) == (0, 0, 0)

    first, second, third = [await record(rig, f"555{n}") for n in (1, 2, 3)]
    assert [kinds(call) for call in (first, second)] == [["entered", "offered", "rang"], ["entered", "waited"]]
    assert kinds(third) == ["entered", "waited", "offered", "rang"]
    for call in (first, second, third):
        assert (call["outcome"], call["ended_by"], call["agent"]) == ("abandoned", "caller", None)
    assert first["segments"][-1]["outcome"] == "caller_gone"
    offered = next(row for row in await decisions(rig, third["call"]) if row["kind"] == "offered")
    # Her idle time goes on, over the offer that was not her fault
    assert offered["detail"]["chosen"]["idle_s"] > third["segments"][1]["length_s"]
    states = rig.rows("SELECT state, reason FROM agent_states WHERE agent = 'anna' ORDER BY serial")
    assert {row["state"] for row in states} == {"AVAILABLE", "RESERVED", "RINGING"}


async def test_hung_up_without_a_cause(make_rig):
    """An operator hangs up a waiting caller: Asterisk names no cause, and goes on."""
    rig = await make_rig(plan([phone("1001")], floor(agents({"anna": "1001"}))))
    callers = await dial(rig, caller(number="5551"))
    await until_waiting(rig, 1)
    await hang_up(rig, "5551")
    await finish(callers)
    call = await record(rig, "5551")
    assert (call["outcome"], call["ended_by"], call["cause"]) == ("abandoned", "caller", 0)


async def test_who_ended_the_conversation_and_wrap_up(make_rig):
    rig = await make_rig(
        plan(
            [phone("1001", "answer"), phone("1002", "answer+talk:0.4")],
            floor(
                agents({"anna": "1001"}) | agents({"bob": "1002"}, number="2002", queues=["other"]),
                queues={"main": {"wrap_up": 1.5}, "other": {"wrap_up": 60}},
                entry_points={"100": "main", "101": "other"},
            ),
        )
    )
    await rig.login_all()
    callers = await dial(rig, caller("100", "talk:0.4", number="5551"), caller("101", number="5552"))
    result = await finish(callers)
    assert (result.outcome("hung_up"), result.outcome("far_end_hung_up")) == (1, 1)
    by_caller, by_agent = await record(rig, "5551"), await record(rig, "5552")
    assert (by_caller["ended_by"], by_agent["ended_by"]) == ("caller", "agent")
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    wrapped = (await record(rig, "5551"))["segments"][-1]
    assert (wrapped["kind"], wrapped["agent"]) == ("wrapped", "anna")
    assert 1.49 <= wrapped["length_s"] < 1.51
    # Whoever is ready early says so
    await until_agent(rig, "bob", "WRAP_UP")
    assert "available" in await rig.acd("agent", "resume", "bob")
    await until_agent(rig, "bob", "AVAILABLE")
    assert (await record(rig, "5552"))["segments"][-1]["length_s"] < 60
    await until_idle(rig)


async def test_asked_for_in_mid_call_takes_effect_after_it(make_rig):
    """By the command line: pause, log out, and a pause taken back; while it rings, too."""
    names = ["anna", "bob", "carla", "dora", "emil"]
    doras = phone("1003", "absent")
    phones = [phone("1000"), phone("1001"), phone("1002"), doras, phone("1004")]
    rig = await make_rig(
        plan(phones, floor(agents({name: f"100{n}" for n, name in enumerate(names)}), queues={"main": {"wrap_up": 1}}))
    )
    sip = await SipPhone.open("1003", rig.bank.port_of(doras), rig.ports.sip, by_hand=("1003",))
    for name in names:
        await rig.agent(name, "login")
    callers = await dial(rig, *(caller(number=f"555{n}") for n in range(5)), rate=5)
    await until_agent(rig, "dora", "RINGING")
    await until(rig, "four to talk", lambda s: s["talking"] == 4 and s["waiting"] == 1)
    said = await rig.acd("agent", "pause", "dora", "--reason", "break")
    assert said.strip() == "dora: pauses (break) after the call"
    assert "pauses (lunch) after the call" in await rig.acd("agent", "pause", "anna", "--reason", "lunch")
    assert "logs out after the call" in await rig.acd("agent", "logout", "bob")
    await rig.acd("agent", "pause", "carla")
    assert "stays available after the call" in await rig.acd("agent", "resume", "carla")
    assert "there is no pause reason" in await rig.acd("agent", "pause", "emil", "--reason", "siesta", check=False)
    pending = {row["name"]: (row["state"], row["pending"]) for row in (await rig.api("agents"))["agents"]}
    assert pending["anna"] == ("TALKING", "pause:lunch")
    assert pending["bob"] == ("TALKING", "logout")
    assert pending["carla"] == pending["emil"] == ("TALKING", None)

    await sip.answer(await sip.ringing.get())
    await until(rig, "five to talk", lambda s: s["talking"] == 5)
    owner = {call["agent"]: call["caller_number"] for call in await live(rig)}
    await together(*(hang_up(rig, owner[name]) for name in names))
    await finish(callers)
    await together(
        until_agent(rig, "anna", "PAUSED", reason="lunch"),
        until_agent(rig, "bob", "LOGGED_OUT"),
        until_agent(rig, "carla", "AVAILABLE"),
        until_agent(rig, "dora", "PAUSED", reason="break"),
        until_agent(rig, "emil", "AVAILABLE"),
    )
    await until_idle(rig)
    sip.close()
    await rig.stop_serve()
    # The wrap-up came first, in full
    for name in names:
        rows = rig.rows("SELECT state, reason FROM agent_states WHERE agent = ? ORDER BY serial", name)
        assert [row["state"] for row in rows][-3:-1] == ["TALKING", "WRAP_UP"], name
    wrapped = rig.rows("SELECT agent FROM segments WHERE kind = 'wrapped' AND ended_at IS NOT NULL")
    assert sorted(row["agent"] for row in wrapped) == names


async def test_callers_leave_at_any_moment(make_rig):
    """Eighty callers who give up between the first instant and half a second, and agents who pick up meanwhile: whatever
    crosses whatever, nobody is lost, no agent is left behind and nothing has to be put right later."""
    phones = [phone(f"100{n}", f"answer-after:0.{n}") for n in range(5)]
    rig = await make_rig(plan(phones, floor(agents({f"a{n}": f"100{n}" for n in range(5)}))))
    await rig.login_all()
    calls = plan_calls("100", 80, parse_caller_behaviour("patience:uniform(0,0.5)"), seed=7)
    await finish(await dial(rig, *calls, rate=40))
    await until(rig, "everybody to be free", lambda s: s["agents"]["AVAILABLE"] == 5 and s["phones"] == {"IDLE": 5})
    await until_idle(rig)
    status = await rig.status()
    assert status["drift"] == {}
    assert status["offered"] == status["answered"] + status["abandoned"]
    # Who is gone before Asterisk's dialplan has asked about him is nobody's call
    late = rig.serve_log().count("asked while nobody listened")
    assert status["offered"] == status["counters"]["agi_sessions"] - late <= 80
    assert status["answered"] > 0
    assert status["abandoned"] > 0
