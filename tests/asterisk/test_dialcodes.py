"""Agents at their phones: log in with number and PIN, log out, pause, resume, by keys pressed on real calls."""

from __future__ import annotations

from acd.lab.asterisk import AsteriskOptions
from callkit import (
    agents,
    caller,
    channels,
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
)

PIN = "73519"


def log_in(number: str, pin: str) -> str:
    """The keys: each ends with #; the prompts can be cut short."""
    return f"dtmf:,,{number}#,{pin}#+until-bye"


async def test_log_in_pause_resume_log_out(make_rig):
    """Also in mid-call, from another phone than the configured one, and with the PIN written down nowhere."""
    annas, desk = phone("1001", "answer"), phone("1009", "answer")
    who = agents({"anna": "1001", "bob": "1002"})
    who["anna"]["pin"] = who["bob"]["pin"] = PIN
    rig = await make_rig(
        plan(
            [annas, phone("1002", "answer"), desk],
            floor(who, pause_reasons=["pause", "lunch", "training"], queues={"main": {}}),
            log_level="debug",
            options=AsteriskOptions(verbose=2),
        )
    )

    async def press(code, agent, state, behaviour="until-bye", device=annas, **also):
        """Dial ``code``; once it has had its effect, nobody listens to the thanks to their end."""
        callers = await dial(rig, dials(device, code, behaviour))
        await until_agent(rig, agent, state, **also)
        for row in channels(rig):
            if row["context"].startswith("acd-agent"):
                rig.asterisk.cli(f"channel request hangup {row['name']}")
        await finish(callers)

    await press("*11", "anna", "AVAILABLE", log_in("2001", PIN))
    await press("*13", "anna", "PAUSED", reason="pause")
    await press("*133", "anna", "PAUSED", reason="training")
    await press("*14", "anna", "AVAILABLE")
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")

    # In mid-call: her phone takes a second line for it
    callers = await dial(rig, caller(number="5551"))
    await until_agent(rig, "anna", "TALKING")
    await press("*132", "anna", "TALKING", pending="pause:lunch")
    await press("*12", "anna", "TALKING", pending="logout")
    await hang_up(rig, "5551")
    await finish(callers)
    await until_agent(rig, "anna", "LOGGED_OUT")

    # Bob sits at a desk that is nobody's
    await press("*11", "bob", "AVAILABLE", log_in("2002", PIN), device=desk, phones=["PJSIP/1009"])
    await until_agent(rig, "bob", "AVAILABLE", phones={"PJSIP/1009": "IDLE"})
    callers = await dial(rig, caller(number="5552"))
    await until_agent(rig, "bob", "TALKING", phone_state="BUSY")
    await hang_up(rig, "5552")
    await finish(callers)
    await until_agent(rig, "bob", "AVAILABLE", phone_state="IDLE")
    assert (await record(rig, "5552"))["agent"] == "bob"
    await press("*12", "bob", "LOGGED_OUT", device=desk, phones={"PJSIP/1002": "IDLE"})
    await until_idle(rig)

    asterisk_log = (rig.asterisk.tree.log / "full.log").read_text(errors="replace")
    for text in (rig.serve_log(), asterisk_log, rig.database.read_bytes().decode(errors="replace")):
        assert PIN not in text
    for secret in rig._secrets.values():
        assert secret not in rig.serve_log()
    assert "dial code login at PJSIP/1001" in rig.serve_log()


async def test_wrong_pins(make_rig):
    """Three wrong ones lock the phone, and only that one, also when they come all at once; nothing tells whether it was
    the number or the PIN."""
    annas, bobs = phone("1001"), phone("1002")
    who = agents({"anna": "1001", "bob": "1002"})
    who["anna"]["pin"] = PIN
    rig = await make_rig(plan([annas, bobs], floor(who)))
    # Wrong PIN, no such agent, an agent without a PIN
    tries = [("2001", "1111"), ("2999", PIN), ("2002", PIN), ("2001", "2222"), ("2001", "3333")]
    await finish(await dial(rig, *(dials(annas, "*11", log_in(*both)) for both in tries)))
    log = rig.serve_log()
    assert log.count("log-in at PJSIP/1001 refused: wrong agent number or PIN") == 3
    assert log.count("log-in at PJSIP/1001 refused: too many wrong tries, locked for a minute") == 2
    # Now not even the right one will do; at another phone it does
    right = log_in("2001", PIN)
    both = await dial(rig, dials(annas, "*11", right), dials(bobs, "*11", right))
    await until_agent(rig, "anna", "AVAILABLE", phones=["PJSIP/1002"])
    await finish(both)
    assert rig.serve_log().count("locked for a minute") == 3
    await until_agent(rig, "anna", "AVAILABLE", phones={"PJSIP/1002": "IDLE"})
    for secret in (PIN, "1111", "2222", "3333"):
        assert secret not in rig.serve_log()
    await until_idle(rig)
