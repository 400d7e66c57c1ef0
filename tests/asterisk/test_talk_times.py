"""Talk times against a witness: Asterisk's own log of channel events (CEL), which the service never reads."""

from __future__ import annotations

from acd.lab.asterisk import AsteriskOptions
from acd.lab.behaviours import parse_caller_behaviour
from acd.lab.calls import plan_calls
from callkit import agents, caller, dial, finish, floor, phone, plan, until, until_idle
from celkit import check_talks

FORWARD = """
[agents]
exten => 601,1,Goto(acd-inbound,100,1)
exten => 602,1,Answer()
 same => n,Wait(1)
"""


async def test_talk_segments_equal_the_channel_events(make_rig):
    """Sixty-four calls of every kind: who hangs up first, who gives up, who rings out, who is handed on."""
    who = agents({f"a{n}": f"100{n}" for n in range(6)}) | agents({"x": "1009"}, number="2999", queues=["hand-on"])
    rig = await make_rig(
        plan(
            [
                phone("1000"),
                phone("1001", "answer-after:uniform(0,0.5)"),
                phone("1002", "answer+talk:uniform(0.2,1.5)"),
                phone("1003", "answer-after:0.3+talk:0.8"),
                phone("1004", "never"),
                phone("1005", "busy"),
                phone("1009", "answer+talk:0.4+transfer:601"),
            ],
            floor(
                who,
                queues={"main": {"ring_timeout": 2, "wrap_up": 0.2}, "hand-on": {}},
                entry_points={"100": "main", "101": "hand-on"},
                cool_down_s=2,
            ),
            dialplan_text=FORWARD,
            options=AsteriskOptions(cel=True),
        )
    )
    await rig.login_all()
    mixed = plan_calls(
        "100",
        60,
        {
            parse_caller_behaviour("talk:uniform(0.1,1.5)"): 3,
            parse_caller_behaviour("patience:uniform(0.5,4)"): 1,
        },
        seed=11,
    )
    callers = await dial(rig, *mixed, rate=6)
    # Handed on by one agent, and served by another
    handed_on = await dial(rig, *(caller("101", "talk:6", number=f"777{n}") for n in range(4)), rate=0.5)
    await finish(callers, 80.0)
    await finish(handed_on, 80.0)
    await until(rig, "no talk and no wrap-up", lambda s: not s["talking"] and not s["agents"]["WRAP_UP"])
    await until_idle(rig)
    assert (await rig.status())["drift"] == {}
    await rig.stop_serve()

    outcomes = [row["outcome"] for row in rig.rows("SELECT outcome FROM calls")]
    assert len(outcomes) >= 64 + 4
    assert {"answered", "abandoned", "transferred"} <= set(outcomes)
    assert await check_talks(rig) > 30
