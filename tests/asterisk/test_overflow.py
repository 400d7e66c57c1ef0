"""Calls that no agent takes: the maximum wait and where it leads, and numbers that lead nowhere."""

from __future__ import annotations

from callkit import (
    PATIENT_S,
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
    recorded,
    until,
    until_channels,
    until_idle,
    until_logged,
)

ELSEWHERE = """
[sorry]
exten => s,1,Answer()
 same => n,Wait(300)
exten => _X.,1,Goto(s,1)
"""
"""A place of the operator's own, outside the call centre."""


def in_sorry(rows):
    return [row["context"] for row in rows] == ["sorry"]


async def test_overflow(make_rig):
    """To another queue and on to the dialplan; to a place that is not there; to the hang-up."""
    rig = await make_rig(
        plan(
            [phone("1001", "answer+talk:0.2")],
            floor(
                agents({"anna": "1001"}, queues=["main", "second", "nowhere", "rude", "last", "patient"]),
                queues={
                    "main": {"max_wait": 1, "overflow": "queue:second", "hold": "ringback"},
                    "second": {"max_wait": 1.5, "overflow": "dialplan:sorry,s"},
                    "nowhere": {"max_wait": 1, "overflow": "dialplan:no-such-place,s"},
                    "rude": {"max_wait": 1, "overflow": "hangup"},
                    "last": {"max_wait": 1, "overflow": "queue:patient"},
                    "patient": {},
                },
                entry_points={"100": "main", "101": "nowhere", "102": "rude", "103": "last"},
            ),
            dialplan_text=ELSEWHERE,
        )
    )
    on = await dial(rig, caller("100", number="5551"))
    hung_up = await dial(rig, caller("101", number="5552"), caller("102", number="5553"))
    assert (await finish(hung_up)).outcome("far_end_hung_up") == 2
    await until_channels(rig, "the caller to be sent to the dialplan", in_sorry)
    assert on.counts().outcomes.get("far_end_hung_up", 0) == 0
    rig.asterisk.cli("channel request hangup all")
    await finish(on)

    moved, nowhere, rude = [await record(rig, f"555{n}") for n in (1, 2, 3)]
    assert kinds(moved) == ["entered", "waited", "waited"]
    assert [segment["queue"] for segment in moved["segments"]] == ["main", "main", "second"]
    assert moved["queue"] == "second"
    assert moved["segments"][0]["length_s"] + moved["segments"][1]["length_s"] >= 0.99
    assert moved["segments"][2]["length_s"] >= 1.49
    for call, target in ((moved, "sorry,s,1"), (nowhere, "no-such-place,s,1"), (rude, "hangup")):
        assert (call["outcome"], call["ended_by"], call["target"]) == ("overflowed", "system", target)
    steps = [row["kind"] for row in await decisions(rig, moved["call"])]
    assert steps == ["waits", "overflowed", "waits", "overflowed"]
    assert "overflow" in await explained(rig, moved["call"])
    # What is wrong is said to whoever looks after Asterisk and to whoever looks after us
    await until_logged(rig, "acd: there is no no-such-place,s,1")

    await until(rig, "the alarm", lambda s: any(alarm["kind"] == "no_such_target" for alarm in s["alarms"]))
    status = await rig.acd("status")
    assert "no-such-place,s,1" in status, status

    # Moved from queue to queue he is served in the end, by the queue he then waits in
    callers = await dial(rig, caller("103", number="5554"))
    await until_queue(rig, "patient")
    await rig.agent("anna", "login")
    await finish(callers)
    call = await record(rig, "5554")
    assert (call["outcome"], call["queue"], call["agent"]) == ("answered", "patient", "anna")
    await until_idle(rig)


async def until_queue(rig, name):
    """Wait until the one call there is waits in the queue ``name``."""

    async def there():
        return [call["queue"] for call in (await rig.api("calls?live=1"))["calls"]] == [name]

    await rig.until(there, PATIENT_S, f"the call to wait in {name}")


async def test_overflow_waits_for_the_offer_under_way(make_rig):
    """A phone that rings is not torn away when the maximum wait is over; if it is not answered, overflow follows."""
    rig = await make_rig(
        plan(
            [phone("1001", "answer-after:2.5+talk:0.2"), phone("1002", "never")],
            floor(
                agents({"anna": "1001"}) | agents({"bob": "1002"}, number="2002", queues=["other"]),
                queues={
                    "main": {"max_wait": 1, "overflow": "hangup", "ring_timeout": 20},
                    "other": {"max_wait": 1, "overflow": "hangup", "ring_timeout": 3},
                },
                entry_points={"100": "main", "101": "other"},
            ),
        )
    )
    await rig.login_all()
    await finish(await dial(rig, caller("100", number="5551"), caller("101", number="5552")))
    answered, overflowed = await record(rig, "5551"), await record(rig, "5552")
    assert (answered["outcome"], answered["agent"]) == ("answered", "anna")
    assert overflowed["outcome"] == "overflowed"
    assert kinds(overflowed)[:3] == ["entered", "offered", "rang"]
    assert (await rig.api("agents/bob"))["reason"] == "rona"
    await until_idle(rig)


async def test_unknown_numbers(make_rig):
    """Each kind of fallback: refused, sent to the operator's dialplan, or taken by a queue. Never lost in silence."""
    who = floor(agents({"anna": "1001"}))
    rig = await make_rig(plan([phone("1001", "answer+talk:0.2")], who, dialplan_text=ELSEWHERE))
    result = await finish(await dial(rig, caller("999", "refused", number="5551")))
    assert result.outcome("refused") == 1
    status = await rig.status()
    assert [(alarm["kind"], alarm["count"]) for alarm in status["alarms"]] == [("unknown_did", 1)]
    assert status["unrouted"] == 1
    assert "999" in await rig.acd("status")
    call = await record(rig, "5551")
    assert (call["outcome"], call["did"], call["queue"], call["segments"]) == ("fallback", "999", "", [])

    await rig.stop_serve()
    rig.write_floor({**who, "fallback": "dialplan:sorry,12345"})
    await rig.start_serve()
    callers = await dial(rig, caller("998", number="5552"))
    await until_channels(rig, "the caller to be sent to the dialplan", in_sorry)
    await placed(callers, rig, "answered", 1)
    rig.asterisk.cli("channel request hangup all")
    await finish(callers)
    assert (await record(rig, "5552"))["outcome"] == "fallback"

    await rig.stop_serve()
    rig.write_floor({**who, "fallback": "queue:main"})
    await rig.start_serve()
    await rig.agent("anna", "login")
    # Signs, letters and nothing but a star are numbers, too
    for n, did in enumerate(("+4930555", "sip-name", "*", "97"), 3):
        await finish(await dial(rig, caller(did, number=f"555{n}")))
        await until(rig, "Anna to be free", lambda s: s["agents"]["AVAILABLE"] == 1 and s["phones"] == {"IDLE": 1})
        (call,) = await recorded(rig, f"555{n}")
        assert (call["outcome"], call["did"], call["queue"], call["agent"]) == ("answered", did, "main", "anna")
    await until_idle(rig)
