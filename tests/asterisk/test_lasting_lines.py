"""Agents whose phones stay on one call for the whole shift, on real calls: nothing rings, and everybody hears at once."""

from __future__ import annotations

import asyncio
import re

from sipphone import SipPhone

from acd.lab.asterisk import AsteriskOptions
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
    until,
    until_agent,
    until_channels,
    until_idle,
)
from campaignkit import campaign_rig
from celkit import check_talks

LOG_IN = """
[agents]
exten => 77,1,MSet(acd_action=login,acd_number=2002,acd_pin=73519)
 same => n,Goto(acd-agent-ask,s,1)
"""
"""What *11 does once number and PIN are keyed in."""


async def a_rig(make_rig):
    """Anna, who is to have a lasting line, and her phone."""
    annas, who = phone("1001", "absent"), agents({"anna": "1001"}, lasting_line="music:default")
    two = floor(who, queues={"main": {}, "second": {}})
    rig = await make_rig(plan([annas], two, options=AsteriskOptions(cel=True)))
    return rig, await SipPhone.open("1001", rig.bank.port_of(annas), rig.ports.sip)


async def until_line(rig, stage, name="anna", *, on_hold=False, **also):
    """Wait until an agent's line is as told."""

    async def there():
        row = await rig.api(f"agents/{name}")
        found = {**row, "stage": row["line"]["state"], "on_hold": row["line"]["on_hold"]}
        wanted = {**also, "stage": stage, "on_hold": on_hold}
        return all(found[key] == value for key, value in wanted.items())

    return await rig.until(there, PATIENT_S, f"the line of {name} to be {stage} {also}")


async def until_only(rig, names):
    """Wait until Asterisk has these channels alone: those of callers are gone, and no phone is called."""
    await until_channels(rig, f"only {names} to be left", lambda rows: {row["name"] for row in rows} == names)


async def until_states(rig, *states):
    """Wait until the calls on the floor are as told."""

    async def there():
        return [one["state"] for one in await live(rig)] == list(states)

    await rig.until(there, PATIENT_S, f"calls to be {states}")


async def until_written(rig, number):
    """Wait until it is durable that the caller with ``number`` has talked."""

    async def written():
        return [one for one in (await rig.api(f"calls?number={number}"))["calls"] if one["answered_at"]]

    await rig.until(written, PATIENT_S, f"the answer to {number} to be written down")


async def answered(sip):
    """The phone has been called, and has answered."""
    async with asyncio.timeout(PATIENT_S):
        return await sip.called.get()


async def test_three_calls_in_turn_over_one_line_and_the_agent_hangs_up_in_the_fourth(make_rig):
    rig, sip = await a_rig(make_rig)
    try:
        said = await rig.agent("anna", "login")
        assert "the phone is called" in said["message"]
        line = await answered(sip)
        await until_line(rig, "waits", state="AVAILABLE")
        # Two wait for her while she talks to the first: each is put through when the one before has gone
        callers = await dial(rig, *(caller(number=f"555{n}") for n in (1, 2, 3)), rate=5)
        await placed(callers, rig, "answered", 3)
        for number in ("5551", "5552", "5553"):

            async def talks(number=number):
                return [one["caller_number"] for one in await live(rig) if one["state"] == "TALKING"] == [number]

            await rig.until(talks, PATIENT_S, f"{number} to talk to her")
            await until_line(rig, "in use")
            if number == "5551":
                await sip.hold(line)
                await until_line(rig, "in use", on_hold=True)
            elif number == "5553":
                (call,) = [one["call"] for one in await live(rig)]
                await rig.acd("call", "transfer", call, "--queue", "second")
                await until_line(rig, "waits", state="AVAILABLE")
            await hang_up(rig, number)
            if number == "5551":
                # Who is on hold cannot be talked to: the next has to wait until she is back
                await until_line(rig, "waits", state="AVAILABLE", on_hold=True)
                assert "holds the lasting line" in await rig.acd("agent", "explain", "anna")
                await until_states(rig, "WAITING", "WAITING")
                await sip.hold(line, on=False)
        await finish(callers)
        await until_line(rig, "waits", state="AVAILABLE", phone_state="BUSY")
        assert not line.over.is_set()
        assert sip.called.empty(), "one call for all"

        callers = await dial(rig, caller(number="5554"))
        await until_agent(rig, "anna", "TALKING")
        await sip.hang_up(line)
        await finish(callers)
        await until_line(rig, "down", state="PAUSED", reason="no_line")
        waiting = await dial(rig, caller(number="5555"))
        await placed(waiting, rig, "answered", 1)
        assert sip.called.empty(), "who hangs up is not called again before she asks for it"

        assert "the phone is called" in await rig.acd("agent", "resume", "anna")
        again = await answered(sip)
        await until_agent(rig, "anna", "TALKING")
        await hang_up(rig, "5555")
        await finish(waiting)
        await until_line(rig, "waits", state="AVAILABLE")
        await rig.agent("anna", "logout")
        async with asyncio.timeout(PATIENT_S):
            await again.over.wait()
        await until_agent(rig, "anna", "LOGGED_OUT")
    finally:
        sip.close()
    for n in range(1, 6):
        call = await record(rig, f"555{n}")
        offers = [one for one in kinds(call) if one in ("offered", "rang")]
        assert (call["outcome"], call["agent"], offers) == ("answered", "anna", ["offered"]), call["segments"]
        assert call["ended_by"] == ("agent" if n == 4 else "caller")
    await until_idle(rig)
    assert (await rig.status())["drift"] == {}
    await rig.stop_serve()
    assert await check_talks(rig) == 5


async def until_old(rig):
    """A start of Asterisk is told from another by the second."""

    async def old_enough():
        told = await asyncio.to_thread(rig.asterisk.cli, "core show uptime seconds")
        return int(told.split()[2].strip(",")) > 4

    await rig.until(old_enough, PATIENT_S, "Asterisk to have been up for some seconds")


async def test_lines_that_a_stopping_asterisk_hangs_up_are_called_again(make_rig):
    """It hangs them up before it says that it stops. Who hangs up himself is not called."""
    rig, sip = await a_rig(make_rig)
    try:
        await rig.agent("anna", "login")
        line = await answered(sip)
        await until_line(rig, "waits", state="AVAILABLE")
        await until_old(rig)
        await asyncio.to_thread(rig.asterisk.stop)
        await asyncio.wait_for(line.over.wait(), PATIENT_S)
        await asyncio.to_thread(rig.asterisk.start)
        again = await answered(sip)
        await until_line(rig, "waits", state="AVAILABLE")
        assert "lines_lost" in {one["kind"] for one in (await rig.status())["alarms"]}
        await sip.hang_up(again)
        await until_agent(rig, "anna", "PAUSED", reason="no_line")
    finally:
        sip.close()


async def test_a_service_that_is_killed_amid_a_talk_goes_on_with_the_line_and_one_whose_asterisk_dies_calls_again(
    make_rig,
):
    rig, sip = await a_rig(make_rig)
    try:
        await rig.agent("anna", "login")
        line = await answered(sip)
        await until_line(rig, "waits", state="AVAILABLE")
        callers = await dial(rig, caller(number="5551"))
        await until_agent(rig, "anna", "TALKING")
        waiting = await dial(rig, caller(number="5552"))
        await placed(waiting, rig, "answered", 1)
        await until(rig, "one to wait", lambda s: (s["talking"], s["waiting"]) == (1, 1))
        await rig.kill_serve()
        await rig.start_serve()
        await until_line(rig, "in use", state="TALKING")
        assert [one["caller_number"] for one in await live(rig) if one["state"] == "TALKING"] == ["5551"]
        await hang_up(rig, "5551")
        await finish(callers)
        # Over the same line
        await until_agent(rig, "anna", "TALKING")
        assert (await rig.status())["drift"] == {}
        await until_written(rig, "5552")
        await rig.kill_serve()
        await hang_up(rig, "5552")
        await finish(waiting)
        await rig.start_serve()
        await until_line(rig, "waits", state="AVAILABLE")
        callers = await dial(rig, caller(number="5553"))
        await until_agent(rig, "anna", "TALKING")
        await hang_up(rig, "5553")
        await finish(callers)
        await until_line(rig, "waits", state="AVAILABLE")
        assert not line.over.is_set()
        assert sip.called.empty()

        await until_old(rig)
        await asyncio.to_thread(rig.asterisk.kill)
        await asyncio.to_thread(rig.asterisk.start)
        again = await answered(sip)
        await until_line(rig, "waits", state="AVAILABLE")
        assert "lines_lost" in {one["kind"] for one in (await rig.status())["alarms"]}
        callers = await dial(rig, caller(number="5554"))
        await until_agent(rig, "anna", "TALKING")
        await hang_up(rig, "5554")
        await finish(callers)
        await until_line(rig, "waits", state="AVAILABLE")
        assert not again.over.is_set()
    finally:
        sip.close()
    for number in ("5551", "5552", "5553", "5554"):
        call = await record(rig, number)
        assert (call["outcome"], call["agent"]) == ("answered", "anna"), call


async def test_who_logs_in_by_the_dial_code_stays_on_that_very_call_and_ends_a_talk_with_a_key(make_rig):
    bobs = phone("1002", "absent")
    bob = {"number": "2002", "phones": ["PJSIP/1002"], "queues": ["main"], "pin": "73519", "lasting_line": True}
    rig = await make_rig(plan([bobs], floor({"bob": bob}), dialplan_text=LOG_IN))
    sip = await SipPhone.open("1002", rig.bank.port_of(bobs), rig.ports.sip, keys=True)
    try:
        line = await sip.call("77")
        await until_line(rig, "waits", "bob", state="AVAILABLE", phone_state="BUSY")
        (row,) = channels(rig)
        assert (row["context"], row["application"]) == ("acd-line", "Wait")
        # Nobody is on it to be sent away, and it stays
        await sip.refer(line, "77")
        callers = await dial(rig, caller(number="5551"))
        await until_agent(rig, "bob", "TALKING")
        await sip.press(line, "*")
        await finish(callers)
        await until_line(rig, "waits", "bob", state="AVAILABLE")
        await finish(await dial(rig, caller(number="5552", behaviour="talk:0.2")))
        await until_line(rig, "waits", "bob", state="AVAILABLE")
        await until_only(rig, {row["name"]})
        assert sip.called.empty()
        assert "logged out" in await rig.acd("agent", "logout", "bob")
        async with asyncio.timeout(PATIENT_S):
            await line.over.wait()
    finally:
        sip.close()
    calls = [await record(rig, number) for number in ("5551", "5552")]
    assert [(call["outcome"], call["agent"], call["ended_by"]) for call in calls] == [
        ("answered", "bob", "agent"),
        ("answered", "bob", "caller"),
    ]
    await until_idle(rig)
    status = await rig.status()
    assert (status["drift"], status["alarms"]) == ({}, [])


async def test_a_manager_user_who_may_not_call_phones_is_told_and_others_serve_meanwhile(make_rig):
    who = agents({"anna": "1001", "bob": "1002"})
    who["anna"]["lasting_line"] = True
    rig = await make_rig(plan([phone("1001"), phone("1002")], floor(who)), serve=False)
    conf = rig.asterisk.tree.etc / "manager.conf"
    right = conf.read_text()
    conf.write_text(re.sub(r"(?m)^write ?=.*originate.*$", "write = call", right))
    rig.asterisk.cli("manager reload")
    await rig.start_serve()
    (alarm,) = (await rig.status())["alarms"]
    assert alarm["kind"] == "cannot_call_lines"
    assert "may not do Originate: add originate to its write=" in alarm["detail"]
    await rig.agent("anna", "login")
    await until_line(rig, "down", state="PAUSED", reason="no_line")
    assert "needs originate in the line write=" in await rig.acd("agent", "explain", "anna")
    await rig.agent("bob", "login")
    await finish(await dial(rig, caller(number="5551", behaviour="talk:0.2")))
    assert (await record(rig, "5551"))["agent"] == "bob"
    conf.write_text(right)
    rig.asterisk.cli("manager reload")
    for row in rig.asterisk.cli("manager show connected").splitlines():
        if row.startswith("  acd-"):
            rig.asterisk.cli(f"manager kick session {row.split()[4]}")

    async def may():
        await rig.agent("anna", "resume")
        return (await rig.api("agents/anna"))["line"]["state"] == "waits"

    await rig.until(may, PATIENT_S, "anna to have a line", every_s=0.2)


async def test_a_campaign_dials_for_lasting_lines_that_a_reload_brings_and_an_agent_dials_on_his(tmp_path):
    campaign = {"mode": "progressive", "ring": "15s", "rules": {"hours": {"mon-sun": "00:00-24:00"}}}
    customers = {"answer-after:0.3+talk:0.5": 1.0}
    async with campaign_rig(tmp_path, 2, {"win": campaign}, customers, phones="answer") as here:
        rig = here.rig
        await until_agent(rig, "a1", "AVAILABLE", line=None)
        changed = dict(rig.plan.floor)
        changed["agents"] = {name: {**agent, "lasting_line": True} for name, agent in changed["agents"].items()}
        rig.write_floor(changed)
        assert "lasting line: none -> silence" in await rig.acd("floor", "diff")
        await rig.acd("floor", "reload")
        for name in ("a1", "a2"):
            await until_line(rig, "waits", name, state="AVAILABLE")
        lines = {row["name"] for row in channels(rig)}
        here.add_contacts(6)
        await rig.acd("campaign", "start", "win")
        await here.until_settled(6)
        assert here.outcomes() == {"answered": 6}
        for name in ("a1", "a2"):
            await until_line(rig, "waits", name, state="AVAILABLE")
        said = await rig.acd("campaign", "dial", "win", "+49309876543", "--agent", "a1")
        assert "+49309876543 is dialled on a1's lasting line" in said
        await here.until_settled(7)
        await until_line(rig, "waits", "a1", state="AVAILABLE")
        await until_only(rig, lines)
        last = here.attempts()[-1]
        assert (last["mode"], last["outcome"], last["agent"]) == ("manual", "answered", "a1")

        async def recorded():
            return rig.rows("SELECT count(*) AS n FROM calls WHERE outcome = 'answered'")[0]["n"] == 7

        await rig.until(recorded, PATIENT_S, "all calls to be recorded")
        assert {row["agent"] for row in rig.rows("SELECT agent FROM calls")} <= {"a1", "a2"}
        assert not rig.rows("SELECT * FROM segments WHERE kind = 'rang'")
