"""The manager connection goes: it is ended by Asterisk, Asterisk freezes, or the network swallows everything. It is
noticed within five seconds, and what changed meanwhile is put right."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import datetime

from acd.lab.behaviours import parse_caller_behaviour
from acd.lab.calls import plan_calls
from between import Between
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
    record,
    recorded,
    until,
    until_agent,
    until_channels,
    until_idle,
    until_live,
    until_waiting,
)

NOTICED_WITHIN_S = 5.0


def logged(log: str, pattern: str) -> list[float]:
    """When the log said ``pattern`` (UTC s)."""
    lines = [line for line in log.splitlines() if re.search(pattern, line)]
    return [datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").timestamp() for line in lines]  # noqa: DTZ007


def first_logged(log: str, pattern: str, after: float) -> float:
    """When the log first said ``pattern`` after a time (UTC s)."""
    found = [at for at in logged(log, pattern) if at >= after - 0.001]
    assert found, f"the log never said {pattern} after {after}: {log[-2000:]}"
    return found[0]


async def noticed_after(rig, since: float) -> float:
    """Wait until the loss is noticed: seconds since ``since``, less what the machine held the service up."""
    await until(rig, "the loss to be noticed", lambda s: s["nodes"][0]["state"] == "down")
    assert (await rig.health())["ok"] is False
    held_up_s = (await rig.status())["loop_lag_ms"]["max"] / 1000
    return first_logged(rig.serve_log(), "pbx1 is down", since) - since - held_up_s


async def until_up(rig):
    await until(rig, "the connection to be back", lambda s: s["nodes"][0]["state"] == "up")


def kick(rig) -> int:
    """End every manager session, as an operator may on Asterisk's console; how many there were."""
    rows = rig.asterisk.cli("manager show connected").splitlines()
    sessions = [row.split() for row in rows if row.startswith("  acd-")]
    for session in sessions:
        rig.asterisk.cli(f"manager kick session {session[4]}")
    return len(sessions)


async def test_kicked_again_and_again_amid_calls(make_rig):
    """Sixty calls, and the connection ends five times: nobody is lost or left over, and the records are right."""
    rig = await make_rig(
        plan(
            [phone(f"100{n}", f"answer-after:0.{n}+talk:0.5") for n in range(8)],
            floor(agents({f"a{n}": f"100{n}" for n in range(8)}), cool_down_s=1),
        )
    )
    await rig.login_all()
    callers = await dial(rig, *plan_calls("100", 60, parse_caller_behaviour("until-bye")), rate=8)
    for n in range(5):
        await until(rig, "more calls", lambda s, n=n: s["answered"] >= 8 * n)
        assert await asyncio.to_thread(kick, rig) >= 1
        # It is back so soon that only the log has seen it go
        await rig.until(lambda n=n: ups(rig, n + 2), PATIENT_S, "the connection to be back")
    result = await finish(callers, 90.0)
    assert result.outcome("far_end_hung_up") == 60
    await until(rig, "everybody to be free", lambda s: s["agents"]["AVAILABLE"] == 8 and s["phones"] == {"IDLE": 8})
    await until_idle(rig)
    await rig.stop_serve()
    calls = rig.rows("SELECT outcome, ended_at FROM calls")
    assert len(calls) == 60
    # A conversation that began and ended unheard is the one thing that cannot be known: its end is found by the next look
    log = rig.serve_log()
    gaps = list(zip(logged(log, "pbx1 is down"), logged(log, "pbx1 is up")[1:], strict=False))
    assert len(gaps) == 5
    for call in calls:
        ended_at = datetime.fromisoformat(call["ended_at"]).timestamp()
        unheard = any(down - 0.001 <= ended_at <= up + 0.001 for down, up in gaps)
        assert call["outcome"] == "answered" or (call["outcome"] == "lost_track" and unheard), dict(call)


async def ups(rig, count: int) -> bool:
    return len(re.findall("pbx1 is up", rig.serve_log())) >= count


class Unheard(Between):
    """What the far side says is held back while ``speaks`` is not set."""

    def __init__(self) -> None:
        super().__init__()
        self.speaks = asyncio.Event()

    async def _pass_on(self, source, sink, heard):
        if heard is not None:
            await self.speaks.wait()
        await super()._pass_on(source, sink, heard)


async def test_kicked_before_callers_have_heard_an_answer(make_rig):
    """Nothing stands on their channels yet when the node is looked at: they are no less there, and nobody is lost."""
    async with Unheard().listening() as between:
        rig = await make_rig(plan([phone("1001", "answer+talk:0.2")], floor(agents({"anna": "1001"}))), serve=False)
        between.target = rig.agi_port
        own = f"[agi]\nport = {rig.agi_port}\n"
        config = rig.config.read_text()
        assert own in config
        rig.config.write_text(config.replace(own, f'{own}advertise = "127.0.0.1:{between.port}"\n'))
        await rig.start_serve()
        callers = [await dial(rig, caller(number=f"555{n}")) for n in range(3)]
        before = {call["call"]: (call["caller_number"], call["entered_at"]) for call in await until_live(rig, 3)}
        assert kick(rig) == 1
        await rig.until(lambda: ups(rig, 2), PATIENT_S, "the connection to be back")
        after = {call["call"]: (call["caller_number"], call["entered_at"]) for call in await live(rig)}
        assert after == before
        between.speaks.set()
        await until_channels(
            rig, "music for all", lambda rows: [row["application"] for row in rows] == ["MusicOnHold"] * 3
        )
        await rig.agent("anna", "login")
        for some in callers:
            await finish(some)
        await until_idle(rig)
        calls = [await record(rig, f"555{n}") for n in range(3)]
        assert [call["outcome"] for call in calls] == ["answered"] * 3
        assert {call["call"] for call in calls} == set(before)
        assert (await rig.status())["drift"] == {}


async def test_frozen_asterisk(make_rig):
    rig = await make_rig(
        plan([phone("1001"), phone("1002", "answer+talk:0.2")], floor(agents({"anna": "1001", "bob": "1002"})))
    )
    await rig.agent("anna", "login")
    talking = await dial(rig, caller(number="5551"))
    await until_agent(rig, "anna", "TALKING")
    waiting = await dial(rig, caller(number="5552"))
    await until_waiting(rig, 1)
    before = {call["call"]: (call["state"], call["agent"], call["entered_at"]) for call in await live(rig)}
    frozen_at = time.time()
    rig.asterisk.freeze()
    try:
        assert await noticed_after(rig, frozen_at) <= NOTICED_WITHIN_S
        # Asked meanwhile: nothing can be offered, and nothing is forgotten
        await rig.agent("bob", "login")
        assert {call["call"]: (call["state"], call["agent"], call["entered_at"]) for call in await live(rig)} == before
    finally:
        rig.asterisk.thaw()
    await until_up(rig)
    await finish(waiting)
    assert (await record(rig, "5552"))["agent"] == "bob"
    assert [call["state"] for call in await live(rig)] == ["TALKING"]
    await hang_up(rig, "5551")
    await finish(talking)
    await until_idle(rig)
    assert (await rig.status())["drift"] == {}


async def test_network_swallows_everything(make_rig):
    """Half-open: nothing comes, nothing is closed. Meanwhile a conversation ends, a caller who waits hangs up, a phone
    that rings is answered, an offer rings out and a phone is unplugged; then somebody new comes."""
    registers = phone("1005", registers=True)
    async with Between().listening() as between:
        rig = await make_rig(
            plan(
                [
                    phone("1001"),
                    phone("1002", "answer-after:4"),
                    phone("1003", "never"),
                    phone("1004", "answer+talk:0.2"),
                    registers,
                ],
                floor(
                    agents({"anna": "1001"})
                    | agents({"bob": "1002"}, number="2002", queues=["second"])
                    | agents({"carla": "1003"}, number="2003", queues=["third"])
                    | agents({"dora": "1004"}, number="2004", queues=["third"])
                    | agents({"emil": "1005"}, number="2005", queues=["third"]),
                    queues={"main": {}, "second": {"ring_timeout": 60}, "third": {"ring_timeout": 5}},
                    entry_points={"100": "main", "101": "second", "102": "third"},
                ),
                ami_port=between.port,
            ),
            serve=False,
        )
        between.target = rig.ports.ami
        await rig.start_serve()
        await rig.bank.register()
        for name in ("anna", "bob", "carla", "emil"):
            await rig.agent(name, "login")
        await rig.agent("emil", "pause")
        talking = await dial(rig, caller("100", number="5551"))
        await until_agent(rig, "anna", "TALKING")
        waiting = await dial(rig, caller("100", number="5552"))
        await until_waiting(rig, 1)
        rings_out = await dial(rig, caller("102", number="5554"))
        rings = await dial(rig, caller("101", number="5553"))
        await until_agent(rig, "bob", "RINGING")
        await until_agent(rig, "carla", "RINGING")

        silent_at = time.time()
        between.fall_silent()
        await hang_up(rig, "5551")
        await hang_up(rig, "5552")
        await rig.bank.unregister([registers])
        await finish(talking)
        await finish(waiting)
        comes = await dial(rig, caller("102", number="5555"))
        await until_channels(rig, "Bob's phone to be answered", lambda rows: up(rows, "PJSIP/1002"))
        await until_channels(rig, "Carla's phone to have rung out", lambda rows: not up(rows, "PJSIP/1003", "Ringing"))
        assert await noticed_after(rig, silent_at) <= NOTICED_WITHIN_S
        between.speak()
        await until_up(rig)

        await until_agent(rig, "anna", "AVAILABLE", phone_state="IDLE")
        await until_agent(rig, "bob", "TALKING", phone_state="BUSY")
        await until_agent(rig, "emil", "PAUSED", phone_state="UNREACHABLE")
        assert (await record(rig, "5551"))["outcome"] == "answered"
        assert (await record(rig, "5552"))["outcome"] == "lost_track"
        drift = (await rig.status())["drift"]
        assert drift["call_gone"] == 2
        assert drift["answer_unheard"] == 1
        assert drift["offer_unheard"] == 1
        metrics = await rig.metrics()
        assert 'acd_drift_total{kind="call_gone"} 2.0' in metrics
        # Whose offer rang out and who came meanwhile are served in their order
        await rig.agent("carla", "pause")
        await rig.agent("dora", "login")
        await finish(rings_out)
        await finish(comes)
        served = [await record(rig, number) for number in ("5554", "5555")]
        assert [call["agent"] for call in served] == ["dora", "dora"]
        assert served[0]["answered_at"] < served[1]["answered_at"]
        await hang_up(rig, "5553")
        await finish(rings)
        assert (await recorded(rig, "5553"))[0]["agent"] == "bob"
        await until_idle(rig)
        await rig.stop_serve()


def up(rows, device: str, state: str = "Up") -> bool:
    return any(row["name"].startswith(device) and row["state"] == state for row in rows)
