"""Real calls while ``acd serve`` starts without its PostgreSQL server, which comes back later."""

from __future__ import annotations

import asyncio

import psycopg
from storekit import Database

from acd.domain.lives import ALONE_FIRST
from acd.lab.postgres import LabPostgres
from acd.records.verify import Verifier
from callkit import (
    agents,
    caller,
    dial,
    finish,
    floor,
    live,
    phone,
    plan,
    until,
    until_agent,
    until_idle,
    until_waiting,
)


async def test_calls_are_served_and_recorded_although_the_database_is_away_at_the_start(
    make_rig, database: Database, server: LabPostgres
) -> None:
    """Killed with a conversation and a caller in line, started without the database: the conversation goes on, whoever
    waits is served by who was logged in, new callers too; when the database is back it has all of it, once."""
    rig = await make_rig(
        plan(
            [phone("1001", "answer"), phone("1002", "answer+talk:0.3")],
            floor(agents({"anna": "1001", "bert": "1002"})),
            database_url=database.url.replace("+psycopg", ""),
        )
    )
    await rig.agent("anna", "login")
    talking = await dial(rig, caller(number="5551"))
    await until_agent(rig, "anna", "TALKING")
    await rig.agent("bert", "login")
    await rig.agent("bert", "pause")
    waiting = await dial(rig, caller(number="5552"))
    await until_waiting(rig, 1)
    before = {call["call"] for call in await live(rig)}
    await until(rig, "agents to be kept", lambda s: s["database"]["behind"] == 0)
    await rig.stop_serve()

    await asyncio.to_thread(server.stop)
    await rig.start_serve()
    status = await rig.status()
    assert status["epoch"] >= ALONE_FIRST
    assert "started_without_database" in {alarm["kind"] for alarm in status["alarms"]}
    assert status["database"]["state"] == "spilling"
    await until_agent(rig, "anna", "TALKING")
    await until_agent(rig, "bert", "PAUSED")
    now = await live(rig)
    assert len(now) == 2
    assert not before & {call["call"] for call in now}
    await rig.agent("bert", "resume")
    # The caller who waited has kept his place, and is served first
    await finish(waiting)
    await finish(await dial(rig, caller(number="5553"), caller(number="5554")))
    await rig.kill_serve()
    # A second start alone goes on with what lies in the spill
    await rig.start_serve()
    again = await live(rig)
    assert [call["call"] for call in again] == [call["call"] for call in now if call["caller_number"] == "5551"]
    assert (await rig.status())["database"]["state"] == "spilling"
    await asyncio.to_thread(server.start)
    await until(rig, "the database to be back", lambda s: s["database"]["state"] == "ok")
    alone = "started_without_database"
    await until(rig, "the alarm to be over", lambda s: all(a["over_at"] for a in s["alarms"] if a["kind"] == alone))
    await talking.stop(0)
    await until_idle(rig)
    await finish(await dial(rig, caller(number="5551")))
    await until_idle(rig)
    await rig.stop_serve()

    found = [str(one) for one in Verifier(database.url, finished=True).violations()]
    assert found == []
    with psycopg.connect(server.url(database.url.rpartition("/")[2], driver="postgresql")) as connection:
        rows = connection.execute("SELECT caller_number, outcome, call FROM calls ORDER BY call").fetchall()
        epochs = connection.execute("SELECT epoch FROM epochs ORDER BY started_at").fetchall()
        revisions = connection.execute("SELECT count(*) FROM revisions").fetchone()
    ended = sorted((number, outcome) for number, outcome, _ in rows)
    assert ended == [
        ("5551", "answered"),
        ("5551", "answered"),
        ("5551", "answered"),
        ("5552", "answered"),
        ("5552", "lost_track"),
        ("5553", "answered"),
        ("5554", "answered"),
    ]
    assert before == {call for _, _, call in rows if int(call[:6]) < ALONE_FIRST}
    assert [epoch >= ALONE_FIRST for (epoch,) in epochs] == [False, True, True]
    assert revisions is not None
    assert revisions[0] >= 2
