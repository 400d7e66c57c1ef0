"""What the tests with a phone that can hold, consult, join and mix share: anna has it, bob an ordinary one."""

from __future__ import annotations

from sipphone import SipPhone

from acd.lab.asterisk import AsteriskOptions
from callkit import PATIENT_S, agents, caller, dial, floor, live, phone, placed, plan, until_agent, until_idle
from celkit import check_talks

TARGETS = """
[agents]
exten => _1XX,1,Goto(acd-inbound,${EXTEN},1)
exten => 602,1,Dial(PJSIP/1009,30)
[acd-transfer]
exten => 600,1,Answer()
 same => n,Wait(300)
"""


def two_queues():
    """Anna in ``main`` (100), bob in ``second`` (101), where calls of ``main`` are escalated to."""
    return floor(
        agents({"anna": "1001"}) | agents({"bob": "1002"}, number="2002", queues=["second"]),
        queues={"main": {"escalation": "second", "wrap_up": 1}, "second": {"wrap_up": 1}},
        entry_points={"100": "main", "101": "second"},
    )


async def a_rig(make_rig, bobs):
    """The rig, and anna's phone, which can hold, consult and join; bob's as well, if it is absent, which is answered by
    hand."""
    annas = phone("1001", "absent")
    rig = await make_rig(
        plan(
            [annas, phone("1002", bobs), phone("1009")],
            two_queues(),
            dialplan_text=TARGETS,
            options=AsteriskOptions(cel=True),
        )
    )
    sip = await SipPhone.open("1001", rig.bank.port_of(annas), rig.ports.sip, by_hand=("1002",))
    await rig.agent("anna", "login")
    return rig, sip


async def talks_with_anna(rig, sip, number):
    """A caller talks with anna: the callers, and the dialog on her phone."""
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    callers = await dial(rig, caller(number=number))
    await placed(callers, rig, "answered", 1)
    await until_agent(rig, "anna", "TALKING")
    return callers, await sip.called.get()


def lengths_add_up(call):
    """The segments but the wrap-ups lie end to end."""
    line = [segment for segment in call["segments"] if segment["kind"] != "wrapped"]
    assert line[0]["started_at"] == call["entered_at"]
    assert line[-1]["ended_at"] == call["ended_at"]
    return [one["ended_at"] for one in line[:-1]] == [one["started_at"] for one in line[1:]]


def talkers(call):
    """Who talked with the caller, in their order."""
    return [segment["agent"] for segment in call["segments"] if segment["kind"] == "talked"]


async def over(rig, talks):
    """Nothing is left, nothing had to be corrected, and the records say what Asterisk's own log says."""
    await until_idle(rig)
    assert (await rig.status())["drift"] == {}
    await rig.stop_serve()
    assert await check_talks(rig) == talks


async def until_segment(rig, kind, number=None):
    """Wait until the one call that talks (of ``number``, if there are several) is in a stretch of ``kind``, as the records
    have it."""

    async def seen():
        talking = [one for one in await live(rig) if one["state"] == "TALKING"]
        (call,) = [one["call"] for one in talking if number in (None, one["caller_number"])]
        segments = (await rig.api(f"calls/{call}"))["call"]["segments"]
        return any(one["kind"] == kind and one["ended_at"] is None for one in segments)

    await rig.until(seen, PATIENT_S, f"a caller to be {kind}")
