"""Neither the database nor the spill takes records: what the operator chose happens, and is over when they do again."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

from callkit import (
    agents,
    caller,
    channels,
    dial,
    finish,
    floor,
    live,
    phone,
    plan,
    recorded,
    until,
    until_channels,
    until_waiting,
)

SORRY = """
[sorry]
exten => s,1,Answer()
 same => n,Wait(300)
"""
WORDS = {f"word{n}": "x" * 190 for n in range(40)}


async def test_new_callers_are_turned_away_while_nothing_can_be_recorded(make_rig):
    """Who waits stays in line and is served; who comes goes to the fallback; afterwards callers are taken again."""
    rig = await make_rig(
        plan(
            [phone("1001", "answer+talk:0.3")],
            floor(agents({"anna": "1001"}), fallback="dialplan:sorry,s"),
            dialplan_text=SORRY,
            serve_env={"ACD_DATABASE__SPILL_MAX_MB": "1", "ACD_DATABASE__WHEN_FULL": "turn_away"},
        )
    )
    waiting = await dial(rig, caller(number="5551"))
    await until_waiting(rig, 1)
    (call,) = await live(rig)
    lock = sqlite3.connect(rig.database, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        full = asyncio.Event()

        async def fill():
            while not full.is_set():
                await rig.api(f"calls/{call['call']}/attributes", {"attributes": WORDS})

        filling = asyncio.create_task(fill())
        await until(rig, "the alarm", lambda s: any(alarm["kind"] == "records_full" for alarm in s["alarms"]))
        full.set()
        assert (await rig.status())["database"]["state"] == "full"
        turned = await dial(rig, caller(number="5552"))
        await until_channels(
            rig, "the second caller elsewhere", lambda rows: any(r["context"] == "sorry" for r in rows)
        )
        assert [row["caller_number"] for row in await live(rig)] == ["5551"]
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    with contextlib.suppress(asyncio.CancelledError):
        filling.cancel()
        await filling
    await until(rig, "callers to be taken again", lambda s: s["database"]["state"] == "ok" and not s["turning_away"])
    third = await dial(rig, caller(number="5553"))
    await until_waiting(rig, 2)
    await rig.agent("anna", "login")
    await finish(waiting)
    await finish(third)
    assert [call["outcome"] for call in await recorded(rig, "5551") + await recorded(rig, "5553")] == ["answered"] * 2
    assert rig.rows("SELECT call FROM calls WHERE caller_number = '5552'") == []
    assert len(channels(rig)) == 1
    await turned.stop(0)
