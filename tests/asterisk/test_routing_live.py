"""Routing by skills on real calls, beyond who gets which call: several agents rung at once, attributes from the dialplan
and what hostile ones do, queues that send callers on, and what changes while callers wait."""

from __future__ import annotations

import asyncio
import csv
import re
from typing import Any

from sipphone import Dialog, SipPhone

from acd.lab.asterisk import AsteriskOptions
from acd.lab.asterisk_files import CEL_COLUMNS
from acd.lab.phones import Phone
from acd.lab.rig import Rig
from callkit import (
    PATIENT_S,
    agents,
    caller,
    decisions,
    dial,
    explained,
    failed_offers,
    finish,
    floor,
    hang_up,
    kinds,
    live,
    phone,
    plan,
    record,
    recorded,
    until,
    until_agent,
    until_idle,
    until_waiting,
)


async def by_hand(rig: Rig, *phones: Phone) -> SipPhone:
    """Phones that are absent, and are answered by the test."""
    (port,) = {rig.bank.port_of(one) for one in phones}
    return await SipPhone.open(phones[0].name, port, rig.ports.sip, by_hand={"1001", "1002"})


async def rings(sip: SipPhone) -> Dialog:
    """Wait for a call at one of these phones."""
    async with asyncio.timeout(PATIENT_S):
        return await sip.ringing.get()


async def idle_explained(rig: Rig, name: str) -> str:
    """What ``acd agent explain`` prints, white space folded."""
    return re.sub(r"\s+", " ", await rig.acd("agent", "explain", name))


# -- several at once -------------------------------------------------------------------------------------------------


async def test_two_ring_and_one_answers(make_rig):
    """The other's phone is told to stop, its agent is free at once and keeps the idle time; neither is the third rung."""
    bobs = phone("1002", "absent")
    rig = await make_rig(
        plan(
            [phone("1001", "never"), bobs, phone("1003", "answer+talk:0.5")],
            floor(
                agents({"anna": "1001", "bob": "1002", "carla": "1003"}),
                queues={"main": {"ring_agents": 2, "wrap_up": 60}},
            ),
        )
    )
    sip = await by_hand(rig, bobs)
    for name in ("anna", "bob", "carla"):
        await rig.agent(name, "login")
    since = (await rig.api("agents/anna"))["since"]
    callers = await dial(rig, caller(number="5551"))
    await until(rig, "two phones to ring", lambda s: s["agents"]["RINGING"] == 2 and s["agents"]["AVAILABLE"] == 1)
    assert "phone rings" in await idle_explained(rig, "anna")
    bobs_call = await rings(sip)
    await sip.answer(bobs_call)
    await until_agent(rig, "bob", "TALKING")
    await sip.hang_up(bobs_call)
    sip.close()
    anna = await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    assert anna["rona"] == 0
    assert anna["cool_down_s"] is None
    await finish(callers)
    call = await record(rig, "5551")
    assert (call["agent"], kinds(call)) == ("bob", ["entered", "offered", "rang", "talked", "after"])
    assert await failed_offers(rig, call["call"]) == []
    (offered,) = [row for row in await decisions(rig, call["call"]) if row["kind"] == "offered"]
    assert offered["detail"]["agents"] == ["anna", "bob"]
    told = await explained(rig, call["call"])
    assert "anna" in told
    assert "bob" in told
    # She has been idle for longest still, so she is among the next two
    callers = await dial(rig, caller(number="5552"))
    await until_agent(rig, "carla", "WRAP_UP")
    await finish(callers)
    call = await record(rig, "5552")
    (offered,) = [row for row in await decisions(rig, call["call"]) if row["kind"] == "offered"]
    assert offered["detail"]["agents"] == ["anna", "carla"]
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    await until_idle(rig)
    played = await rig.bank.stop()
    assert (played.lost, played.outcome("answered")) == (0, 1), played.errors
    assert rig.bank.results["never"].outcome("cancelled") == 2
    states = rig.rows("SELECT state FROM agent_states WHERE agent = 'anna' ORDER BY serial")
    assert {row["state"] for row in states} <= {"LOGGED_OUT", "AVAILABLE", "RESERVED", "RINGING"}
    idle = rig.rows("SELECT DISTINCT idle_since FROM agents WHERE agent = 'anna'")
    assert len(idle) == 1
    assert since is not None


async def test_two_ring_and_nobody_answers(make_rig):
    """Both rang unanswered: both are paused. Where one is busy and the other answers, it was nobody's fault."""
    who = agents({"anna": "1001", "bob": "1002"}) | agents(
        {"carla": "1003", "dora": "1004"}, number="3001", queues=["other"]
    )
    who["dora"]["number"] = "3002"
    rig = await make_rig(
        plan(
            [phone("1001", "never"), phone("1002", "never"), phone("1003", "busy"), phone("1004", "answer-after:1")],
            floor(
                who,
                queues={"main": {"ring_agents": 5, "ring_timeout": 2}, "other": {"ring_agents": 2}},
                entry_points={"100": "main", "101": "other"},
            ),
        )
    )
    await rig.login_all()
    unanswered = await dial(rig, caller("100", number="5551"))
    answered = await dial(rig, caller("101", "talk:2", number="5552"))
    await finish(answered)
    call = await record(rig, "5552")
    assert call["agent"] == "dora"
    assert (await rig.api("agents/carla"))["state"] == "AVAILABLE"
    for name in ("anna", "bob"):
        assert (await until_agent(rig, name, "PAUSED", reason="rona"))["rona"] == 1
    await until_waiting(rig, 1)
    (waiting,) = await live(rig)
    assert (waiting["caller_number"], waiting["state"]) == ("5551", "WAITING")
    said = await explained(rig, waiting["call"])
    assert "anna" in said
    assert "bob" in said
    assert "no answer" in said
    assert "is paused (rona)" in await idle_explained(rig, "anna")
    await hang_up(rig, "5551")
    await finish(unanswered)
    await until_idle(rig)
    status = await rig.status()
    assert (status["drift"], status["alarms"]) == ({}, [])


async def test_each_of_several_by_his_own_phones(make_rig):
    """Whoever declines, is busy or cannot be reached is let go at once while others ring on, and each is treated as if he
    had been rung alone. Of two phones the last one counts."""
    rig = await make_rig(
        plan(
            [
                *(phone("1001", "decline"), phone("1002", "never"), phone("1003", "busy"), phone("1004", "busy")),
                *(phone("1005", "never"), phone("1006", "silent")),
            ],
            floor(
                agents({"anna": "1001", "bob": "1002", "carla": "1003", "dora": ["1004", "1005"], "emil": "1006"}),
                queues={"main": {"ring_agents": 5, "ring_timeout": 5}},
                cool_down_s=60,
            ),
        )
    )
    for name in ("anna", "bob", "carla", "dora", "emil"):
        await rig.agent(name, "login")
    callers = await dial(rig, caller(number="5551"))
    await until_agent(rig, "anna", "PAUSED", reason="declined")
    carla = await until_agent(rig, "carla", "AVAILABLE")
    assert carla["cool_down_s"] > 0
    (call,) = await live(rig)
    told = await explained(rig, call["call"])
    assert "anna no longer rung: declined" in told
    assert "carla no longer rung: busy" in told
    for name in ("bob", "dora"):
        assert (await until_agent(rig, name, "PAUSED", reason="rona"))["rona"] == 1
    emil = await rig.api("agents/emil")
    assert (emil["state"], emil["rona"], emil["cool_down_s"] > 0) == ("AVAILABLE", 0, True)
    for name in ("anna", "carla"):
        assert (await rig.api(f"agents/{name}"))["rona"] == 0
    (failed,) = [row for row in await decisions(rig, call["call"]) if row["kind"] == "offer_failed"]
    assert failed["detail"]["outcomes"] == {"bob": "no_answer", "dora": "no_answer", "emil": "unreachable"}
    # They rang on when she had declined
    (declined,) = rig.rows("SELECT started_at FROM agent_states WHERE agent = 'anna' AND state = 'PAUSED'")
    paused = rig.rows("SELECT started_at FROM agent_states WHERE agent IN ('bob', 'dora') AND state = 'PAUSED'")
    assert [row["started_at"] > declined["started_at"] for row in paused] == [True, True]
    await hang_up(rig, "5551")
    await finish(callers)
    rang = [row for row in (await record(rig, "5551"))["segments"] if row["kind"] == "rang"]
    assert [(row["agent"], row["outcome"]) for row in rang] == [("anna", None), ("bob", "no_answer")]
    await until_idle(rig)
    status = await rig.status()
    assert (status["drift"], status["alarms"]) == ({}, [])


async def test_restart_while_two_ring(make_rig):
    """The service is killed while two phones ring for a call: whoever answers then has it, the other is free."""
    bobs = phone("1002", "absent")
    rig = await make_rig(
        plan(
            [phone("1001", "never"), bobs],
            floor(agents({"anna": "1001", "bob": "1002"}), queues={"main": {"ring_agents": 2, "ring_timeout": 60}}),
        )
    )
    sip = await by_hand(rig, bobs)
    await rig.agent("anna", "login")
    await rig.agent("bob", "login")
    callers = await dial(rig, caller(number="5551"))
    await until(rig, "two phones to ring", lambda s: s["agents"]["RINGING"] == 2)

    async def recorded_so() -> bool:
        return len(rig.rows("SELECT agent FROM agents WHERE state = 'RINGING'")) == 2

    await rig.until(recorded_so, 20.0, "the database to know")
    await rig.kill_serve()
    await rig.start_serve()
    await sip.answer(await rings(sip))
    await until_agent(rig, "bob", "TALKING")
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
    await hang_up(rig, "5551")
    await finish(callers)
    call = await record(rig, "5551")
    assert (call["agent"], call["outcome"]) == ("bob", "answered")
    await until_agent(rig, "bob", "AVAILABLE", phone_state="IDLE")
    await until_idle(rig)
    sip.close()


async def test_two_ring_behind_one_trunk(make_rig):
    """Both channels are the trunk's; who has answered is told by what was dialled."""
    site = phone("site", "absent")
    rig = await make_rig(
        plan([site], floor(agents({"anna": "1001@site", "bob": "1002@site"}), queues={"main": {"ring_agents": 2}}))
    )
    sip = await by_hand(rig, site)
    await rig.login_all()
    for n, who in enumerate(("1001", "1002", "1002", "1001")):
        callers = await dial(rig, caller(number=f"555{n}"))
        both = {dialog.user: dialog for dialog in [await rings(sip), await rings(sip)]}
        assert set(both) == {"1001", "1002"}
        await sip.answer(both.pop(who))
        (other,) = both.values()
        async with asyncio.timeout(PATIENT_S):
            await other.over.wait()
        agent = {"1001": "anna", "1002": "bob"}[who]
        await until_agent(rig, agent, "TALKING")
        await hang_up(rig, f"555{n}")
        await finish(callers)
        assert (await record(rig, f"555{n}"))["agent"] == agent
        await until(rig, "both to be free", lambda s: s["agents"]["AVAILABLE"] == 2)
    await until_idle(rig)
    sip.close()


LEFT_ALONE = "behind trunk site, which cannot be reached"


async def test_a_site_that_cannot_be_reached(make_rig):
    """Its line is down: after a few failures nothing more is tried but one phone now and then. One alarm, nobody is paused,
    and when the line is back everybody works on."""
    names = [f"a{n}" for n in range(1, 7)]
    who = agents({name: f"100{n}@site" for n, name in enumerate(names, 1)})
    rig = await make_rig(
        plan(
            [phone("site", "answer+talk:0.2", registers=True)],
            floor(who, breaker={"failures": 3, "within": 60, "probe": 1, "group": "trunk"}, cool_down_s=300),
        )
    )
    await rig.login_all()
    callers = await dial(rig, *(caller(number=f"555{n}") for n in range(1, 5)))
    await until(rig, "the alarm", lambda s: any(alarm["kind"] == "unreachable_phones" for alarm in s["alarms"]))
    await until_waiting(rig, 4)
    status = await rig.status()
    (alarm,) = status["alarms"]
    assert (alarm["count"], status["agents"].get("PAUSED", 0)) == (1, 0)
    assert "trunk site" in await rig.acd("status")
    cut_off = [row["cut_off"] for row in (await rig.api("agents"))["agents"]]
    assert cut_off == [LEFT_ALONE] * len(names)
    assert LEFT_ALONE in await idle_explained(rig, "a1")
    await rig.bank.register()
    await finish(callers)
    for n in range(1, 5):
        assert (await record(rig, f"555{n}"))["outcome"] == "answered"
    await until(rig, "nobody to be left alone", lambda s: s["agents"]["AVAILABLE"] == len(names))
    assert [row["cut_off"] for row in (await rig.api("agents"))["agents"]] == [None] * len(names)
    assert [alarm["count"] for alarm in (await rig.status())["alarms"]] == [1]
    made = [row for n in range(1, 5) for row in await decisions(rig, (await record(rig, f"555{n}"))["call"])]
    failed = sum(row["kind"] == "offer_failed" for row in made)
    tries = sum(row["kind"] == "offered" and row["detail"]["trigger"] == "probe" for row in made)
    # What was under way when it was cut off, one for each caller, and the tries: the last was answered
    assert failed - (tries - 1) <= 3 + 3
    await until_idle(rig)


# -- attributes ------------------------------------------------------------------------------------------------------

LONG = "".join(" same => n,Set(pad=${pad}${pad})\n" for _ in range(6))
HOSTILE = {
    # what the operator's dialplan sets, and who is to have the call
    "201": (r"language=nl\;tier=gold", "gerda"),
    "202": (r"language=nl", "piet"),
    "203": (r' language = "nl" \; tier=\'gold\'\; ', "gerda"),
    # No attributes, or none that is one: as the entry point has them
    "204": (r"", "dirk"),
    "205": (r"\;\;\;=\;==\;9=1\;Language=nl\;x y=z\;-=\;call.tier=gold", "dirk"),
    "206": (r"pad=${pad}\;language=nl\;tier=gold", "dirk"),
    "207": (r"language=nl\;tier=gold\;pad=${pad}", "gerda"),
    "208": (r"language=${pad}", "dirk"),
    # Words that would do something elsewhere: AGI, AMI, the dialplan, ours
    "209": (r"language=nl${URIDECODE(%0D%0AAction:%20Logoff%0D%0A%0D%0A)}\;tier=gold", "anyone"),
    "210": (r"language=nl\;tier=gold\;x=$\{SHELL(touch /tmp/x)\}\;y=\"\,999\,1\)", "gerda"),
    "211": (r"language=nl,tier=gold,999", "anyone"),
    "212": (r"language=skill(call.tier)\;tier=', 'gold", "anyone"),
    "213": (r"language=nl${URIDECODE(%E2%82%AC%00%FF%1B)}", "piet"),
}
"""At most one attribute a name, and many too many of them, are the domain's own tests'."""


def menu() -> str:
    """The operator's own dialplan, which says of callers what it found out."""
    text = "[menu]\n"
    for did, (set_to, _) in HOSTILE.items():
        text += f"exten => {did},1,Set(pad=0123456789012345678901234567890123456789012345678901234567890123456789 1234567)\n"
        text += LONG
        text += " same => n,ExecIf($[${LEN(${pad})} < 4000]?Hangup(21))\n"
        text += f" same => n,Set(acd_attributes={set_to})\n same => n,Goto(acd-inbound,{did},1)\n"
    return text


async def test_attributes_from_the_dialplan(make_rig):
    """They reach the requirement; whatever stands in them, the call is served, and nothing else happens."""
    who: dict[str, Any] = {}
    for n, (name, skills) in enumerate(
        {"gerda": {"nl": 90, "vip": 1}, "piet": {"nl": 90}, "dirk": {"de": 90}, "anyone": {"cleaner": 1}}.items()
    ):
        who |= agents({name: f"100{n + 1}"}, number=f"300{n}", skills=skills)
    need = (
        "skill(call.language) >= 50 and cleaner < 1 and "
        "(call.tier == gold and vip >= 1 or call.tier != gold and vip < 1)"
    )
    rig = await make_rig(
        plan(
            [phone(f"100{n}", "answer+talk:0.1") for n in range(1, 5)],
            floor(
                who,
                queues={"main": {"stages": [{"need": need}, {"after_s": 1, "need": "cleaner"}]}},
                skills={one: one for one in ("nl", "de", "vip", "cleaner")},
                entry_points={
                    did: {"queue": "main", "attributes": {"language": "de", "tier": "none"}} for did in HOSTILE
                },
            ),
            dialplan_text=menu(),
            options=AsteriskOptions(trunk={"context": "menu"}),
        )
    )
    await rig.login_all()
    for n, (did, (set_to, expected)) in enumerate(HOSTILE.items()):
        await finish(await dial(rig, caller(did, number=f"5{n:03}")))
        call = await record(rig, f"5{n:03}")
        assert (call["did"], call["outcome"], call["agent"]) == (did, "answered", expected), (set_to, call)
        await until(rig, "all to be free", lambda s: s["agents"]["AVAILABLE"] == 4 and s["phones"] == {"IDLE": 4})
    status = await rig.status()
    assert (status["drift"], status["alarms"], status["unrouted"]) == ({}, [], 0)
    call = await record(rig, "5000")
    assert "vip" in await explained(rig, call["call"])
    await until_idle(rig)


async def test_attributes_set_while_it_waits(make_rig):
    """A program tells what it found out: whoever may take the call now has it at once. Whatever stands in them."""
    rig = await make_rig(
        plan(
            [phone("1001", "answer+talk:0.2")],
            floor(
                agents({"anna": "1001"}, skills={"billing": 60}),
                queues={
                    "main": {
                        "stages": [
                            {"need": "billing >= 60 and call.topic == billing"},
                            {"after_s": 600, "need": "anyone"},
                        ]
                    }
                },
                skills={"billing": "billing"},
            ),
        )
    )
    await rig.agent("anna", "login")
    callers = await dial(rig, caller(number="5551"))
    (waiting,) = await until_waiting(rig, 1)
    hostile = "'\"\\,;:=%${SHELL(touch /tmp/x)}|&" + "\u20ac" * 20
    # The story is too much for the channel: it alone is forgotten with the service
    given = {"note": hostile, "story": "\u20ac" * 200, "topic": "sales"}
    await rig.api(f"calls/{waiting['call']}/attributes", {"attributes": given})
    (told,) = await live(rig)
    assert {name: told["attributes"][name] for name in given} == given
    # It rides on the channel, and so outlives the service
    await rig.kill_serve()
    await rig.start_serve()
    (found,) = await until_waiting(rig, 1)
    assert found["call"] == waiting["call"]
    assert (found["attributes"]["note"], found["attributes"]["topic"]) == (hostile, "sales")
    assert "story" not in found["attributes"]
    await rig.api(f"calls/{found['call']}/attributes", {"attributes": {"topic": "billing"}})
    await finish(callers)
    call = await record(rig, "5551")
    assert (call["call"], call["agent"]) == (waiting["call"], "anna")
    assert "topic" in await explained(rig, call["call"])
    await until_idle(rig)


# -- the way on ------------------------------------------------------------------------------------------------------


async def was_played(rig: Rig, channel: str, sound: str) -> None:
    """Wait until Asterisk's own log says that a caller heard ``sound``."""

    async def logged() -> bool:
        with rig.asterisk.cel_file.open(newline="") as file:
            rows = list(csv.DictReader(file, fieldnames=list(CEL_COLUMNS)))
        begun = [row["extra"] for row in rows if row["event"] == "STREAM_BEGIN" and row["uniqueid"] == channel]
        return any(sound in (extra or "") for extra in begun)

    await rig.until(logged, PATIENT_S, f"{sound} to be played")


async def test_overflow_to_a_message(make_rig):
    """Whoever waited too long hears it, and so does whoever is never let in; then acd hangs up. A sound that is not there
    keeps nobody on the line."""
    rig = await make_rig(
        plan(
            [phone("1001")],
            floor(
                agents({"anna": "1001"}, queues=["main", "closed", "silent"]),
                queues={
                    "main": {"max_wait": 1, "overflow": "message:demo-thanks"},
                    "closed": {"closed": True, "on_closed": "message:hello-world"},
                    "silent": {"max_wait": 1, "overflow": "message:no-such-sound"},
                },
                entry_points={"100": "main", "101": "closed", "102": "silent"},
            ),
            options=AsteriskOptions(cel=True),
        )
    )
    for did, sound in (("100", "demo-thanks"), ("101", "hello-world")):
        callers = await dial(rig, caller(did, number=f"5{did}"))
        assert (await finish(callers)).outcome("far_end_hung_up") == 1
        call = await record(rig, f"5{did}")
        await was_played(rig, call["channel"], sound)
        assert (call["outcome"], call["target"], call["ended_by"]) == ("overflowed", f"message {sound}", "system")
    assert kinds(await record(rig, "5100")) == ["entered", "waited"]
    (last,) = [row for row in await decisions(rig, call["call"]) if row["kind"] == "overflowed"]
    assert last["detail"]["cause"] == "closed"
    assert "the queue was closed" in await explained(rig, call["call"])
    assert not [line for line in rig.asterisk.log_tail() if "does not exist" in line]
    assert (await finish(await dial(rig, caller("102", number="5102")))).outcome("far_end_hung_up") == 1
    assert (await record(rig, "5102"))["target"] == "message no-such-sound"
    await until_idle(rig)


async def test_a_full_queue(make_rig):
    """Two may wait; the third goes on at the entry, by another queue to another place; whoever leaves makes room."""
    rig = await make_rig(
        plan(
            [phone("1001", "answer+talk:0.2"), phone("1002", "answer+talk:0.2")],
            floor(
                agents({"anna": "1001"}) | agents({"bob": "1002"}, number="2002", queues=["second"]),
                queues={
                    "main": {"max_length": 2, "on_full": "queue:second", "max_wait": 300, "overflow": "hangup"},
                    "second": {"max_length": 1, "on_full": "message:hello-world"},
                },
            ),
        )
    )
    waiting = []
    for n in range(3):
        waiting.append(await dial(rig, caller(number=f"555{n}")))
        await until_waiting(rig, n + 1)
    where = {call["caller_number"]: call["queue"] for call in await live(rig)}
    assert where == {"5550": "main", "5551": "main", "5552": "second"}
    result = await finish(await dial(rig, caller(number="5553")))
    assert result.outcome("far_end_hung_up") == 1
    call = await record(rig, "5553")
    assert (call["outcome"], call["target"]) == ("overflowed", "message hello-world")
    causes = [row["detail"]["cause"] for row in await decisions(rig, call["call"]) if row["kind"] == "overflowed"]
    assert causes == ["full", "full"]
    assert "the queue was full" in await explained(rig, call["call"])
    # Somebody gives up: there is room again
    await hang_up(rig, "5550")
    await finish(waiting[0])
    waiting.append(await dial(rig, caller(number="5554")))
    await until_waiting(rig, 3)
    where = {call["caller_number"]: call["queue"] for call in await live(rig)}
    assert where == {"5551": "main", "5552": "second", "5554": "main"}
    await rig.login_all()
    for callers in waiting[1:]:
        await finish(callers)
    served = {n: (await record(rig, f"555{n}"))["agent"] for n in (1, 2, 4)}
    assert served == {1: "anna", 2: "bob", 4: "anna"}
    # Nobody waits for an agent who is free, however short the line may be
    await finish(await dial(rig, caller(number="5555")))
    assert (await record(rig, "5555"))["outcome"] == "answered"
    await until_idle(rig)


# -- changes while calls wait ----------------------------------------------------------------------------------------


async def test_reload_while_calls_wait(make_rig):
    """An edited floor.yaml brings waiting calls to agents at once, or sends them on; one that is wrong changes nothing."""
    who = agents({"anna": "1001"}, skills={"billing": 40})
    usual = floor(
        who,
        queues={"main": {"skills": {"billing": 60}}, "other": {"on_closed": "message:hello-world"}},
        skills={"billing": "billing"},
        entry_points={"100": "main", "101": "other"},
    )
    # Somebody could take it, so nobody is sent on; he is at home
    usual["agents"] |= agents({"zoe": "1009"}, number="2009", skills={"billing": 90}, queues=["main", "other"])
    rig = await make_rig(
        plan([phone("1001", "answer+talk:0.2"), phone("1002", "answer+talk:0.2"), phone("1009")], usual)
    )
    await rig.agent("anna", "login")
    callers = [await dial(rig, caller("100", number="5551"))]
    await until_waiting(rig, 1)
    callers.append(await dial(rig, caller("101", number="5552")))
    await until_waiting(rig, 2)
    why = await idle_explained(rig, "anna")
    assert "billing" in why
    assert "40" in why

    rig.write_floor({**usual, "queues": {**usual["queues"], "main": {"skills": {"biling": 60}}}})
    said = await rig.acd("floor", "reload", check=False)
    assert "biling" in said
    assert "billing" in said
    assert (await rig.status())["waiting"] == 2

    better = {**usual["agents"], "anna": {**who["anna"], "skills": {"billing": 60}}}
    rig.write_floor({**usual, "agents": better})
    said = await rig.acd("floor", "reload")
    assert "anna" in said
    await finish(callers[0])
    call = await record(rig, "5551")
    assert call["agent"] == "anna"
    (offered,) = [row for row in await decisions(rig, call["call"]) if row["kind"] == "offered"]
    assert offered["detail"]["trigger"] == "edited"
    assert len({row["revision"] for row in await decisions(rig, call["call"])}) == 2
    await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")

    # A new agent, who may take what waits as soon as he is there; and she serves it at once who is put into the queue
    more = {**better, **agents({"bob": "1002"}, number="2002", queues=["other"])}
    rig.write_floor({**usual, "agents": more})
    await rig.acd("floor", "reload")
    assert (await rig.status())["waiting"] == 1
    await rig.agent("bob", "login")
    await finish(callers[1])
    assert (await record(rig, "5552"))["agent"] == "bob"
    await rig.agent("bob", "logout")

    # A queue that is closed lets go of whoever waits in it
    last = await dial(rig, caller("101", number="5553"))
    await until_waiting(rig, 1)
    closed = {**usual["queues"], "other": {**usual["queues"]["other"], "closed": True}}
    rig.write_floor({**usual, "agents": more, "queues": closed})
    await rig.acd("floor", "reload")
    assert (await finish(last)).outcome("far_end_hung_up") == 1
    call = await record(rig, "5553")
    assert (call["outcome"], call["target"]) == ("overflowed", "message hello-world")
    assert (await rig.status())["drift"] == {}
    await until_idle(rig)


async def test_restart_keeps_attributes_stage_and_place(make_rig):
    """Killed while callers of different rank wait in different stages: the next life knows it all."""
    rig = await make_rig(
        plan(
            [phone("1001", "answer+talk:0.1"), phone("1002", "answer+talk:0.1")],
            floor(
                agents({"anna": "1001"}, skills={"nl": 90}) | agents({"bob": "1002"}, number="2002", skills={"de": 40}),
                queues={
                    "main": {
                        "stages": [
                            {"need": "skill(call.language) >= 80"},
                            {"after_s": 1, "need": "skill(call.language) >= 30"},
                            {"after_s": 600, "need": "anyone"},
                        ]
                    }
                },
                skills={"nl": "Dutch", "de": "German"},
                entry_points={"100": {"queue": "main", "attributes": {"language": "de"}}},
                callers={"5552": {"priority": 3, "attributes": {"tier": "gold"}}},
            ),
            dialplan_text=(
                "[menu]\nexten => 101,1,Set(acd_attributes=language=nl\\;tier=silver)\n"
                " same => n,Goto(acd-inbound,100,1)\nexten => 100,1,Goto(acd-inbound,100,1)\n"
            ),
            options=AsteriskOptions(trunk={"context": "menu"}),
        )
    )
    # The third's number is not his own: what was set on the call counts
    callers = []
    for n, (did, number) in enumerate((("100", "5551"), ("101", "5553"), ("100", "5552"), ("101", "5552"))):
        callers.append(await dial(rig, caller(did, number=number)))
        await until_waiting(rig, n + 1)

    async def all_relaxed() -> bool:
        return [call["stage"] for call in await live(rig)] == [1, 1, 1, 1]

    await rig.until(all_relaxed, 20.0, "everybody to wait in the second stage")
    before = await live(rig)
    kept = ("call", "queue", "priority", "position", "stage", "requirement", "attributes", "entered_at", "state")
    assert [(call["caller_number"], call["attributes"].get("tier")) for call in before] == [
        ("5552", "gold"),
        ("5552", "silver"),
        ("5551", None),
        ("5553", "silver"),
    ]

    async def all_recorded() -> bool:
        return len(rig.rows("SELECT call FROM calls")) == len(before)

    await rig.until(all_recorded, 20.0, "all calls in the database")
    await rig.kill_serve()
    await rig.start_serve()
    after = await until_waiting(rig, len(before))
    assert [{key: call[key] for key in kept} for call in after] == [{key: call[key] for key in kept} for call in before]
    await rig.login_all()
    for each in callers:
        await finish(each)
    for number in ("5551", "5552", "5553"):
        await recorded(rig, number)
    rows = rig.rows("SELECT call, agent FROM calls ORDER BY answered_at")
    agent_of = {row["call"]: row["agent"] for row in rows}
    assert [agent_of[call["call"]] for call in before] == ["bob", "anna", "bob", "anna"]
    for name in ("anna", "bob"):
        order = [row["call"] for row in rows if row["agent"] == name]
        assert order == [call["call"] for call in before if agent_of[call["call"]] == name]
    await until_idle(rig)
