"""Three people in one call, which the agent's phone mixes: all that Asterisk hears is who is on hold."""

from __future__ import annotations

from annaskit import a_rig, lengths_add_up, over, talkers, talks_with_anna, until_segment

from callkit import finish, hang_up, kinds, live, record, until_agent, until_done


def stretches(call):
    """What happened from the answer on: kind and, where it is about somebody, whom."""
    line = [segment for segment in call["segments"] if segment["kind"] not in ("entered", "offered", "rang", "wrapped")]
    return [" ".join(filter(None, (segment["kind"], segment["target"]))) for segment in line]


async def asks(rig, sip, first):
    """She holds him and calls somebody outside, who answers."""
    await sip.hold(first)
    await until_segment(rig, "held")
    second = await sip.call("602")
    await until_segment(rig, "consulted")
    return second


async def test_conference_of_the_agents_phone(make_rig):
    """She holds him, asks, has both in one call (over a restart of the service), is alone with him, and so on to the end:
    by the colleague, by the caller, by herself."""
    rig, sip = await a_rig(make_rig, "answer")
    try:
        callers, first = await talks_with_anna(rig, sip, "5551")
        second = await asks(rig, sip, first)
        await sip.hold(first, on=False)
        await until_segment(rig, "conferenced")
        (now,) = [one for one in await live(rig) if one["caller_number"] == "5551"]
        assert (now["on_hold"], now["consults"], now["conference"]) == (False, "602", True)
        await rig.kill_serve()
        await rig.start_serve()
        await until_segment(rig, "conferenced")
        await sip.hang_up(second)
        await until_segment(rig, "talked")
        await hang_up(rig, "5551")
        await finish(callers)
        call = await record(rig, "5551")
        assert stretches(call) == ["talked", "held", "consulted 602", "conferenced 602", "talked", "after"]
        assert lengths_add_up(call)

        callers, first = await talks_with_anna(rig, sip, "5552")
        second = await asks(rig, sip, first)
        await sip.hold(first, on=False)
        await until_segment(rig, "conferenced")
        await hang_up(rig, "5552")
        await finish(callers)
        call = await record(rig, "5552")
        assert stretches(call) == ["talked", "held", "consulted 602", "conferenced 602", "after"]
        assert (call["outcome"], call["ended_by"]) == ("answered", "caller")
        await sip.hang_up(second)

        callers, first = await talks_with_anna(rig, sip, "5553")
        second = await asks(rig, sip, first)
        await sip.hold(first, on=False)
        await until_segment(rig, "conferenced")
        await sip.hang_up(first)
        await sip.hang_up(second)
        await finish(callers)
        call = await record(rig, "5553")
        assert stretches(call) == ["talked", "held", "consulted 602", "conferenced 602", "after"]
        assert (call["outcome"], call["ended_by"]) == ("answered", "agent")
        await over(rig, 3)
    finally:
        sip.close()


async def test_toggling_is_no_conference(make_rig):
    """She goes to and fro: whoever is not on hold has her alone. Then both; then him alone, for she holds the other."""
    rig, sip = await a_rig(make_rig, "answer")
    try:
        callers, first = await talks_with_anna(rig, sip, "5551")
        second = await asks(rig, sip, first)
        await sip.hold(second)
        await sip.hold(first, on=False)
        await until_segment(rig, "talked")
        await sip.hold(first)
        await sip.hold(second, on=False)
        await until_segment(rig, "consulted")
        await sip.hold(first, on=False)
        await until_segment(rig, "conferenced")
        await sip.hold(second)
        await until_segment(rig, "talked")
        await sip.hang_up(second)
        await hang_up(rig, "5551")
        await finish(callers)
        call = await record(rig, "5551")
        asked = ["talked", "held", "consulted 602", "talked", "consulted 602", "conferenced 602", "talked", "after"]
        assert stretches(call) == asked
        assert [one["outcome"] for one in call["segments"] if one["kind"] == "conferenced"] == ["consult_held"]
        assert lengths_add_up(call)
        await over(rig, 1)
    finally:
        sip.close()


async def test_joined_out_of_a_conference(make_rig):
    """With a colleague whom she has reached by his queue. Joined without one, there is no trace of any: Asterisk takes
    the caller back for the phone in the moment in which it joins them."""
    rig, sip = await a_rig(make_rig, "answer")
    try:
        await rig.agent("bob", "login")
        for number, together in (("5551", True), ("5552", False)):
            await until_agent(rig, "bob", "AVAILABLE", phone_state="IDLE")
            callers, first = await talks_with_anna(rig, sip, number)
            await sip.hold(first)
            second = await sip.call("101")
            await until_agent(rig, "bob", "TALKING")
            if together:
                await sip.hold(first, on=False)
                await until_segment(rig, "conferenced", number)
            await sip.join(first, second)
            await until_done(rig, "anna")
            await hang_up(rig, number)
            await finish(callers)
            call = await record(rig, number)
            assert kinds(call).count("conferenced") == together
            assert talkers(call)[0] == "anna"
            assert talkers(call)[-1] == "bob"
            (joined,) = [segment for segment in call["segments"] if segment["outcome"] == "joined"]
            assert (joined["kind"], joined["target"]) == ("conferenced" if together else "consulted", "101")
            assert lengths_add_up(call)
        await over(rig, 6)
    finally:
        sip.close()
