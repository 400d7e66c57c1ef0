"""The phone's state apart from the agent's: who is busy elsewhere or unreachable is not offered calls, and is offered
them the moment that is over."""

from __future__ import annotations

import asyncio

from sipphone import SipPhone

from callkit import (
    agents,
    caller,
    decisions,
    dial,
    dials,
    finish,
    floor,
    hang_up,
    phone,
    plan,
    record,
    until_agent,
    until_idle,
    until_waiting,
)

OUTSIDE = """
[agents]
exten => 600,1,Answer()
 same => n,Wait(300)
"""
"""A number outside the call centre."""


async def test_busy_outside_the_call_centre(make_rig):
    annas = phone("1001", "absent")
    rig = await make_rig(plan([annas], floor(agents({"anna": "1001"})), dialplan_text=OUTSIDE))
    sip = await SipPhone.open("1001", rig.bank.port_of(annas), rig.ports.sip)
    await rig.agent("anna", "login")

    outside = await dial(rig, dials(annas, "600"))
    await until_agent(rig, "anna", "AVAILABLE", phone_state="BUSY")
    callers = await dial(rig, caller(number="5551"))
    (waiting,) = await until_waiting(rig, 1)
    assert waiting["state"] == "WAITING"
    await hang_up(rig, "1001")
    await finish(outside)
    await sip.hang_up(await sip.called.get())
    await finish(callers)
    waits, offered = await decisions(rig, (await record(rig, "5551"))["call"])
    assert waits["detail"]["passed_over"] == {"phone BUSY": 1}
    assert offered["detail"]["trigger"] == "phone_free"

    # Likewise when somebody has called her there
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    rig.asterisk.cli("channel originate PJSIP/1001 application Wait 300")
    await until_agent(rig, "anna", "AVAILABLE", phone_state="BUSY")
    callers = await dial(rig, caller(number="5552"))
    await until_waiting(rig, 1)
    await sip.hang_up(await sip.called.get())
    await sip.hang_up(await sip.called.get())
    await finish(callers)
    waits, offered = await decisions(rig, (await record(rig, "5552"))["call"])
    assert offered["detail"]["trigger"] == "phone_free"
    await until_idle(rig)
    sip.close()


async def test_unregistered_is_unreachable(make_rig):
    annas = phone("1001", "answer+talk:0.2", registers=True)
    rig = await make_rig(plan([annas], floor(agents({"anna": "1001"}))))
    await rig.agent("anna", "login")
    await until_agent(rig, "anna", "AVAILABLE", phone_state="UNREACHABLE")
    callers = await dial(rig, caller(number="5551"))
    (waiting,) = await until_waiting(rig, 1)
    assert waiting["state"] == "WAITING"

    await rig.bank.register()
    await finish(callers)
    waits, offered = await decisions(rig, (await record(rig, "5551"))["call"])
    assert waits["detail"]["passed_over"] == {"phone UNREACHABLE": 1}
    assert offered["detail"]["trigger"] == "phone_free"

    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    await rig.bank.unregister()
    await until_agent(rig, "anna", "AVAILABLE", phone_state="UNREACHABLE")
    # A registration that is not renewed counts for nothing once it has run out
    known = asyncio.create_task(until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE"))
    await rig.bank.register(expires_s=3)
    await known
    await until_agent(rig, "anna", "AVAILABLE", phone_state="UNREACHABLE")
    callers = await dial(rig, caller(number="5552"))
    await until_waiting(rig, 1)
    await rig.bank.register()
    await finish(callers)
    await until_idle(rig)
