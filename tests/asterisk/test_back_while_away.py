"""A caller whom an agent's phone has sent on comes back into another queue while no controller is there to answer him."""

from __future__ import annotations

import pytest
from sipphone import SipPhone

from callkit import (
    PATIENT_S,
    agents,
    caller,
    dial,
    finish,
    floor,
    hang_up,
    live,
    phone,
    plan,
    recorded,
    until_agent,
    until_channels,
    until_idle,
    until_waiting,
)

MENU = """
[agents]
exten => 603,1,Answer()
 same => n,Wait(8)
 same => n,Goto(acd-inbound,101,1)
"""


def held(count):
    return lambda rows: sum(row["context"] == "acd-hold" for row in rows) == count


@pytest.mark.parametrize("heard", [True, False], ids=["sent on before the kill", "sent on after it"])
async def test_back_in_another_queue(make_rig, heard):
    """He waits where he was sent to, behind who came there before him, and his two calls lie end to end."""
    annas = phone("1001", "absent")
    who = agents({"anna": "1001"}) | agents({"bob": "1002"}, number="2002", queues=["second"])
    queues = {"main": {}, "second": {}}
    on = floor(who, queues=queues, entry_points={"100": "main", "101": "second"})
    rig = await make_rig(plan([annas, phone("1002")], on, dialplan_text=MENU))
    sip = await SipPhone.open("1001", rig.bank.port_of(annas), rig.ports.sip)
    await rig.agent("anna", "login")
    sent_on = await dial(rig, caller(number="5551"))
    talk = await sip.called.get()
    await until_agent(rig, "anna", "TALKING")
    came_before = await dial(rig, caller("101", number="5552"))
    await until_waiting(rig, 1)
    if heard:
        await sip.refer(talk, "603")

        async def told() -> bool:
            return bool(rig.rows("SELECT call FROM calls WHERE outcome = 'transferred'"))

        await rig.until(told, PATIENT_S, "what became of him to be recorded")
        await rig.kill_serve()
    else:
        await until_channels(rig, "the other to wait", held(1))
        await rig.kill_serve()
        await sip.refer(talk, "603")
    await until_channels(rig, "him to be back in a queue", held(2))
    await rig.start_serve()
    waiting = await until_waiting(rig, 2)
    assert [(call["caller_number"], call["queue"]) for call in waiting] == [("5552", "second"), ("5551", "second")]
    await rig.agent("bob", "login")
    await until_agent(rig, "bob", "TALKING")
    assert {call["caller_number"]: call["state"] for call in await live(rig)} == {"5552": "TALKING", "5551": "WAITING"}
    for number in ("5551", "5552"):
        await hang_up(rig, number)
    for callers in (sent_on, came_before):
        await finish(callers)
    await until_idle(rig)
    calls = sorted(await recorded(rig, "5551"), key=lambda call: call["entered_at"])
    first, second = calls
    assert first["outcome"] == ("transferred" if heard else "answered")
    assert (first["queue"], second["queue"], second["outcome"]) == ("main", "second", "abandoned")
    # He was some seconds in the menu, of which nobody told where the controller was away
    assert first["ended_at"] <= second["entered_at"]
    assert second["wait_s"] > 0
    sip.close()
