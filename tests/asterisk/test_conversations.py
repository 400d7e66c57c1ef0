"""Between answer and hang-up, with real calls: hold, consultation, escalation, transfer, and two calls joined to one."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
from annaskit import a_rig, lengths_add_up, over, talkers, talks_with_anna, until_segment

from acd.domain.errors import LabError
from callkit import (
    PATIENT_S,
    explained,
    finish,
    hang_up,
    kinds,
    live,
    record,
    recorded,
    until_agent,
    until_channels,
    until_done,
    until_idle,
    until_live,
    until_waiting,
)


async def test_held_and_consulted(make_rig):
    """She holds him, asks somebody outside, takes him back, holds him again; then he hangs up."""
    rig, sip = await a_rig(make_rig, "answer")
    try:
        callers, first = await talks_with_anna(rig, sip, "5551")
        await sip.hold(first)
        await until_segment(rig, "held")
        assert (await live(rig))[0]["on_hold"] is True
        second = await sip.call("602")
        await until_segment(rig, "consulted")
        await until_agent(rig, "anna", "TALKING")
        await sip.hang_up(second)
        await until_segment(rig, "held")
        await sip.hold(first, on=False)
        await until_segment(rig, "talked")
        await sip.hold(first)
        await until_segment(rig, "held")
        await hang_up(rig, "5551")
        await finish(callers)
        call = await record(rig, "5551")
        line = [kind for kind in kinds(call) if kind not in ("entered", "offered", "rang")]
        assert line == ["talked", "held", "consulted", "held", "talked", "held", "after"]
        (consulted,) = [segment for segment in call["segments"] if segment["kind"] == "consulted"]
        assert consulted["target"] == "602"
        assert lengths_add_up(call)
        assert (call["outcome"], call["ended_by"]) == ("answered", "caller")
        await over(rig, 1)
    finally:
        sip.close()


async def test_escalated_and_transferred_by_command(make_rig):
    """In mid-conversation: to the supervisors, from there to a queue, then out. One record until he is sent out."""
    rig, sip = await a_rig(make_rig, "answer")
    try:
        callers, _ = await talks_with_anna(rig, sip, "5551")
        (before,) = await live(rig)
        said = await rig.acd("call", "escalate", before["call"])
        assert said == f"{before['call']}: waits in queue second\n"
        await until_done(rig, "anna")
        (waiting,) = await until_waiting(rig, 1)
        assert (waiting["call"], waiting["queue"], waiting["excluded"]) == (
            before["call"],
            "second",
            {"anna": "escalated"},
        )
        await until_channels(
            rig, "the agent's leg to be gone", lambda rows: [row["context"] for row in rows] == ["acd-hold"]
        )

        # Nobody has heard of it: what stands on the channel is enough
        await rig.kill_serve()
        await rig.start_serve()
        (waiting,) = await until_waiting(rig, 1)
        assert (waiting["call"], waiting["excluded"]) == (before["call"], {"anna": "escalated"})
        await rig.agent("bob", "login")
        await until_agent(rig, "bob", "TALKING")

        with_refusal = await rig.acd("call", "transfer", before["call"], "--to", "699", check=False)
        assert "the dialplan of pbx1 has no acd-transfer,699,1; the caller stays" in with_refusal
        await rig.acd("call", "transfer", before["call"], "--queue", "main")
        await until_done(rig, "bob")
        await until_agent(rig, "anna", "TALKING")
        await rig.api(f"calls/{before['call']}/transfer", {"to": "600"})
        await until_done(rig, "anna")
        call = await record(rig, "5551")
        assert call["call"] == before["call"]
        assert (call["outcome"], call["ended_by"], call["target"]) == ("transferred", "agent", "acd-transfer,600,1")
        assert talkers(call) == ["anna", "bob", "anna"]
        assert [s["outcome"] for s in call["segments"] if s["kind"] == "talked"] == [
            "escalated",
            "transferred",
            "transfer",
        ]
        assert lengths_add_up(call)
        told = await explained(rig, before["call"])
        assert "passed on to second by anna" in told
        assert "not offered it again" not in told, "she is not in that queue"
        assert "transferred to main by bob" in told
        assert "nobody else could ever take it" in told
        await until_channels(rig, "him to be at 600", lambda rows: [r["exten"] for r in rows] == ["600"])
        await hang_up(rig, "5551")
        await finish(callers)
        await until_idle(rig)
    finally:
        sip.close()


async def test_escalated_while_nobody_listens_to_the_records(make_rig):
    """The controller is killed as soon as the caller was moved, before that was written down."""
    rig, sip = await a_rig(make_rig, "answer")
    try:
        callers, _ = await talks_with_anna(rig, sip, "5551")
        (before,) = await live(rig)
        asked = asyncio.create_task(rig.api(f"calls/{before['call']}/escalate", {}))
        await until_channels(rig, "him to be on hold", lambda rows: any(r["context"] == "acd-hold" for r in rows))
        await rig.kill_serve()
        with contextlib.suppress(LabError, OSError, aiohttp.ClientError):
            await asked
        await rig.start_serve()
        await until_waiting(rig, 1)
        await rig.agent("bob", "login")
        await until_agent(rig, "bob", "TALKING")
        await hang_up(rig, "5551")
        await finish(callers)
        call = await record(rig, "5551")
        assert call["call"] == before["call"]
        assert talkers(call) == ["anna", "bob"]
        assert lengths_add_up(call)
        await until_idle(rig)
    finally:
        sip.close()


async def test_joined_with_a_colleague(make_rig):
    """She calls the other queue and joins her caller: with nobody yet, with a phone that rings, with bob, and from either
    of her two calls. Nobody is lost, and bob's talk is one of the caller's."""
    rig, sip = await a_rig(make_rig, "absent")

    async def bob_answers():
        async with asyncio.timeout(PATIENT_S):
            await sip.answer(await sip.ringing.get())
        await until_agent(rig, "bob", "TALKING")

    try:
        for number, how in (("5551", "waits"), ("5552", "rings"), ("5553", "talks"), ("5554", "from the second")):
            callers, first = await talks_with_anna(rig, sip, number)
            await sip.hold(first)
            if how in ("talks", "from the second"):
                await rig.agent("bob", "login")
                await until_agent(rig, "bob", "AVAILABLE", phone_state="IDLE")
            second = sip.invite("101")
            if how in ("talks", "from the second"):
                await bob_answers()
            else:
                await until_waiting(rig, 1)
            if how == "rings":
                await rig.agent("bob", "login")
                await until_agent(rig, "bob", "RINGING")
            async with asyncio.timeout(PATIENT_S):
                await second.up.wait()
            if how == "from the second":
                await sip.hold(second)
                await sip.join(second, first)
            else:
                await sip.join(first, second)
            await until_done(rig, "anna")
            if how == "waits":
                await rig.agent("bob", "login")
            if how in ("waits", "rings"):
                await bob_answers()
            await until_agent(rig, "bob", "TALKING")
            (call,) = await until_live(rig, 1)
            assert (call["caller_number"], call["agent"], call["queue"]) == (number, "bob", "second"), how
            if how == "talks":
                # A controller that looks afresh finds the same, once it is written down
                await rig.api(f"calls/{call['call']}")
                await rig.kill_serve()
                await rig.start_serve()
                (again,) = await live(rig)
                assert (again["call"], again["agent"], again["state"]) == (call["call"], "bob", "TALKING")
            await (hang_up(rig, "1002") if how != "rings" else hang_up(rig, number))
            await finish(callers)
            mine = await record(rig, number)
            assert mine["call"] == call["call"]
            assert (mine["outcome"], mine["ended_by"]) == ("answered", "caller" if how == "rings" else "agent"), how
            assert talkers(mine)[0] == "anna"
            assert talkers(mine)[-1] == "bob", how
            assert lengths_add_up(mine), how
            await until_done(rig, "bob")
            if how in ("waits", "rings"):
                await rig.agent("bob", "logout")
        await until_idle(rig)
        own = await recorded(rig, "1001")
        assert [(call["outcome"], call["ended_by"], call["target"].split()[0]) for call in own] == 4 * [
            ("transferred", "agent", "call")
        ]
        await over(rig, 10)
    finally:
        sip.close()


async def test_sent_back_into_a_queue(make_rig):
    """Her phone sends him to a queue of ours, blind: another call of the same channel, which says what it was before."""
    rig, sip = await a_rig(make_rig, "answer")
    try:
        await rig.agent("bob", "login")
        callers, first = await talks_with_anna(rig, sip, "5551")
        await sip.hold(first)
        await sip.refer(first, "101")
        await until_agent(rig, "bob", "TALKING")
        await hang_up(rig, "5551")
        await finish(callers)
        before, after = await recorded(rig, "5551")
        assert (before["outcome"], before["target"], talkers(before)[0]) == ("transferred", "101@agents", "anna")
        assert (after["outcome"], talkers(after)) == ("answered", ["bob"])
        assert lengths_add_up(before)
        assert lengths_add_up(after)
        (row,) = rig.rows("SELECT from_call FROM calls WHERE call = ?", after["call"])
        assert row["from_call"] == before["call"]
        await over(rig, 2)
    finally:
        sip.close()
