"""Every rule of the records, broken on purpose, on SQLite and PostgreSQL alike. Collected by test_verify_*.py."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from lawful import START, Day, K, at, write_day
from storekit import TABLES, Database

from acd.domain.states import CallOutcome
from acd.records import verify, verify_open
from acd.records.verify import Verifier
from acd.records.violation import RULES, Violation
from acd.store.location import locate


def wrong(database: Database, **how: Any) -> list[Violation]:
    return list(Verifier(database.url, **how).violations())


def configure(database: Database, second: float, *queues: str, packed: bool = False) -> None:
    """Note a configuration with these queues."""
    body = {"definition": {"queues": {name: {} for name in queues}}}
    if packed:
        body = {"zlib": base64.b64encode(zlib.compress(json.dumps(body["definition"]).encode())).decode()}
    row = f"('r{second}', {at(second)}, 'start', '{json.dumps(body)}')".replace(":", "\\:")
    database.execute(f"INSERT INTO revisions (revision, loaded_at, who, detail) VALUES {row}")


BROKEN: list[tuple[str, str, str | None]] = [
    ("ended", "UPDATE calls SET outcome = 'gone' WHERE call = 'c2'", "c2"),
    ("ended", "UPDATE calls SET ended_by = 'nobody' WHERE call = 'c2'", "c2"),
    ("ended", f"UPDATE calls SET ended_at = {at(40)} WHERE call = 'c2'", "c2"),
    ("ended", "UPDATE calls SET ended_by = 'agent' WHERE call = 'c1'", "c1"),
    ("ended", "UPDATE segments SET outcome = 'agent' WHERE call = 'c1' AND serial = 7", "c1"),
    ("chain", f"UPDATE segments SET started_at = {at(41.500001)} WHERE call = 'c2' AND serial = 1", "c2"),
    ("chain", "DELETE FROM segments WHERE call = 'c2'", "c2"),
    ("chain", "UPDATE segments SET kind = 'waited' WHERE call = 'c2' AND serial = 0", "c2"),
    ("chain", f"UPDATE segments SET ended_at = {at(49)} WHERE call = 'c4' AND serial = 1", "c4"),
    ("chain", f"UPDATE segments SET started_at = {at(81.5)} WHERE call = 'c5' AND serial = 1", "c5"),
    ("chain", f"UPDATE segments SET ended_at = {at(83)} WHERE call = 'c5' AND serial = 2", "c5"),
    ("chain", "DELETE FROM segments WHERE call = 'c5'", "c5"),
    ("length", f"UPDATE segments SET ended_at = {at(50.000001)} WHERE call = 'c2' AND serial = 1", "c2"),
    ("talk", f"UPDATE calls SET answered_at = {at(4.000001)} WHERE call = 'c1'", "c1"),
    ("talk", "UPDATE calls SET answered_at = NULL WHERE call = 'c1'", "c1"),
    ("talk", f"UPDATE calls SET answered_at = {at(45)} WHERE call = 'c2'", "c2"),
    ("talk", "UPDATE calls SET agent = 'bob' WHERE call = 'c1'", "c1"),
    ("talk", "UPDATE calls SET outcome = 'abandoned' WHERE call = 'c1'", "c1"),
    ("talk", "UPDATE calls SET outcome = 'answered' WHERE call = 'c2'", "c2"),
    ("hold", "UPDATE segments SET offer = 'o9' WHERE call = 'c1' AND serial = 4", "c1"),
    ("hold", "UPDATE segments SET agent = 'bob' WHERE call = 'c1' AND serial = 5", "c1"),
    ("hold", "UPDATE segments SET agent = 'bob' WHERE call = 'c1' AND serial = 6", "c1"),
    ("hold", "UPDATE segments SET kind = 'held', agent = 'bob', offer = 'o2' WHERE call = 'c2' AND serial = 1", "c2"),
    (
        "hold",
        "UPDATE segments SET kind = 'conferenced', agent = 'bob', offer = 'o2' WHERE call = 'c2' AND serial = 1",
        "c2",
    ),
    ("facts", "UPDATE calls SET wait_us = 9000001 WHERE call = 'c2'", "c2"),
    ("facts", "UPDATE calls SET talk_us = 1 WHERE call = 'c1'", "c1"),
    ("facts", "UPDATE calls SET hold_us = 1 WHERE call = 'c1'", "c1"),
    ("facts", "UPDATE calls SET after_us = 999999 WHERE call = 'c1'", "c1"),
    ("facts", "UPDATE calls SET wrap_us = 1 WHERE call = 'c1'", "c1"),
    ("facts", "UPDATE calls SET offers = 3 WHERE call = 'c3'", "c3"),
    ("facts", "UPDATE calls SET ronas = 7 WHERE call = 'c3'", "c3"),
    ("facts", "UPDATE calls SET talks = 0 WHERE call = 'c3'", "c3"),
    ("facts", "UPDATE calls SET wait_us = 0 WHERE call = 'c5'", "c5"),
    ("facts", "UPDATE calls SET offers = NULL WHERE call = 'c2'", "c2"),
    ("target", "UPDATE calls SET target = NULL WHERE call = 'c6'", "c6"),
    ("target", "UPDATE calls SET from_call = NULL WHERE call = 'c4'", "c3"),
    ("target", "UPDATE calls SET target = '1009' WHERE call = 'c1'", "c1"),
    ("word", "UPDATE calls SET tags = '{\"vip\": 1}' WHERE call = 'c1'", "c1"),
    ("word", "UPDATE calls SET tags = '[\"vip\", 1]' WHERE call = 'c1'", "c1"),
    ("channel", f"UPDATE calls SET channel = '179.c1', entered_at = {at(30)} WHERE call = 'c2'", "c2"),
    ("channel", "UPDATE calls SET channel = '' WHERE call = 'c2'", "c2"),
    ("channel", "UPDATE calls SET linkedid = '' WHERE call = 'c5'", "c5"),
    ("from_call", "UPDATE calls SET from_call = 'c99' WHERE call = 'c4'", "c4"),
    ("from_call", "UPDATE calls SET from_call = 'c2' WHERE call = 'c4'", "c4"),
    ("from_call", f"UPDATE calls SET ended_at = {at(70.000001)} WHERE call = 'c3'", "c4"),
    ("from_call", "UPDATE calls SET ended_at = NULL WHERE call = 'c3'", "c4"),
    ("wrap", "UPDATE segments SET ended_at = NULL WHERE call = 'c1' AND kind = 'wrapped'", "c1"),
    ("state", "DELETE FROM agent_states WHERE agent = 'anna' AND serial = 3", None),
    ("state", f"UPDATE agent_states SET ended_at = {at(29.999999)} WHERE agent = 'anna' AND serial = 3", None),
    ("state", f"UPDATE agent_states SET ended_at = {at(99)} WHERE agent = 'bob' AND state = 'TALKING'", None),
    ("state", f"UPDATE agent_states SET started_at = {at(200)} WHERE agent = 'anna' AND serial = 13", None),
    ("state", "UPDATE agents SET state = 'PAUSED' WHERE agent = 'bob'", None),
    ("state", "UPDATE agents SET serial = 99 WHERE agent = 'anna'", None),
    ("state", "DELETE FROM agents WHERE agent = 'anna'", None),
    ("state", "DELETE FROM agent_states WHERE agent = 'anna'", None),
    ("reason", "UPDATE agent_states SET reason = NULL WHERE state = 'PAUSED'", None),
    ("reason", "UPDATE agent_states SET state = 'PREVIEW' WHERE agent = 'bob' AND state = 'AVAILABLE'", None),
    ("reason", "UPDATE agent_states SET call = NULL WHERE agent = 'anna' AND serial = 1", None),
    ("overlap", f"UPDATE segments SET ended_at = {at(60.5)} WHERE call = 'c3' AND serial = 1", "c3"),
    ("overlap", "UPDATE segments SET ended_at = NULL WHERE call = 'c3' AND serial = 1", "c3"),
    ("talking", "UPDATE agent_states SET call = 'c2' WHERE agent = 'anna' AND serial = 3", "c1"),
    ("talking", f"UPDATE agent_states SET started_at = {at(4.000001)} WHERE agent = 'anna' AND serial = 3", "c1"),
    ("talking", "DELETE FROM segments WHERE call = 'c6' AND kind = 'talked'", "c6"),
    ("offer", "UPDATE segments SET agent = NULL WHERE call = 'c1' AND serial = 2", "c1"),
    ("offer", "UPDATE segments SET offer = NULL WHERE call = 'c1' AND serial = 2", "c1"),
    ("offer", "UPDATE segments SET offer = 'o1' WHERE call = 'c6'", "c6"),
    ("offer", "UPDATE decisions SET detail = '{\"rule\": \"x\"}' WHERE offer = 'o4'", "c3"),
    ("explained", "DELETE FROM decisions WHERE call = 'c1'", "c1"),
    ("explained", "UPDATE decisions SET kind = 'waits' WHERE call = 'c1'", "c1"),
    ("wrap", "UPDATE segments SET agent = 'bob' WHERE call = 'c1' AND kind = 'wrapped'", "c1"),
    ("wrap", "UPDATE segments SET agent = NULL WHERE call = 'c1' AND kind = 'wrapped'", "c1"),
    ("wrap", "UPDATE segments SET offer = 'o3' WHERE call = 'c1' AND kind = 'wrapped'", "c1"),
    ("word", "UPDATE agent_states SET state = 'DREAMING' WHERE agent = 'bob' AND state = 'AVAILABLE'", None),
    ("word", "UPDATE agents SET state = 'talking' WHERE agent = 'bob'", None),
    ("word", "UPDATE segments SET kind = 'lay' WHERE call = 'c2' AND serial = 1", "c2"),
    ("word", "UPDATE segments SET outcome = 'answerd' WHERE call = 'c3' AND serial = 3", "c3"),
    ("word", "UPDATE segments SET outcome = '' WHERE call = 'c5' AND serial = 0", "c5"),
    ("cause", "UPDATE calls SET cause = 128 WHERE call = 'c2'", "c2"),
    ("cause", "UPDATE calls SET cause = -1 WHERE call = 'c4'", "c4"),
    ("queue", "UPDATE calls SET queue = '' WHERE call = 'c2'", "c2"),
    ("queue", "UPDATE calls SET queue = '' WHERE call = 'c5'", "c5"),
    ("queue", "UPDATE calls SET queue = 'mian' WHERE call = 'c2'", "c2"),
    ("queue", "UPDATE segments SET queue = NULL WHERE call = 'c3' AND serial = 2", "c3"),
    ("queue", "UPDATE segments SET queue = 'mian' WHERE call = 'c3' AND serial = 2", "c3"),
    ("orphan", "UPDATE segments SET call = 'c10' WHERE call = 'c2'", "c10"),
    ("orphan", "UPDATE decisions SET call = 'z10' WHERE call = 'c6'", "z10"),
]


async def test_a_lawful_day_is_found_lawful(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    verifier = Verifier(database.url)
    assert list(verifier.violations()) == []
    seen = verifier.seen
    assert (seen.calls, seen.segments, seen.agents, seen.violations) == (6, 25, 2, {})
    assert seen.intervals == len(database.contents()["agent_states"])
    assert wrong(database, since=START + 41, until=START + 71) == []


async def test_every_corruption_is_found_by_its_rule(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_open, "SETTLES_S", 0.0)
    await write_day(database, tmp_path)
    configure(database, 0, "main")
    whole = database.contents()
    missed, elsewhere = [], []
    engine = locate(database.url).engine()
    with engine.connect() as connection:
        for rule, statement, call in BROKEN:
            connection.execute(sa.text(statement))
            connection.commit()
            found = [violation for violation in wrong(database) if violation.rule == rule]
            if not found:
                missed.append((rule, statement))
            elif call not in {violation.call for violation in found}:
                elsewhere.append((rule, statement, found))
            for table in TABLES:
                if table.name in statement:
                    connection.execute(sa.delete(table))
                    connection.execute(sa.insert(table), whole[table.name])
            connection.commit()
    engine.dispose()
    assert missed == []
    assert elsewhere == []
    assert {rule for rule, _, _ in BROKEN} == RULES.keys()
    assert wrong(database) == []


async def test_what_is_under_way_is_wrong_only_where_nothing_may_be(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    found = wrong(database, finished=True)
    assert {(violation.rule, violation.call, violation.agent) for violation in found} == {
        ("ended", "c5", None),
        ("state", "c5", "bob"),
    }


async def test_a_call_that_is_half_written_is_looked_at_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look may fall between the batch that ends a stretch and the one that begins the next."""
    await write_day(database, tmp_path)
    names = "call, node, channel, linkedid, did, caller_number, caller_name, queue, priority, entered_at"
    database.execute(
        f"UPDATE segments SET ended_at = {at(83)} WHERE call = 'c5' AND serial = 2",
        f"INSERT INTO calls ({names}) VALUES ('c7', 'pbx1', '7', '7', '100', '', '', 'main', 0, {at(95)})",
    )
    waits: list[float] = []

    def the_rest_comes(seconds: float) -> None:
        waits.append(seconds)
        columns = "(call, serial, kind, queue, agent, offer, started_at)"
        database.execute(
            f"INSERT INTO segments {columns} VALUES ('c5', 3, 'held', 'main', 'bob', 'o5', {at(83)})",
            f"INSERT INTO segments {columns} VALUES ('c7', 0, 'entered', 'main', NULL, NULL, {at(95)})",
        )

    monkeypatch.setattr(verify_open.time, "sleep", the_rest_comes)
    assert [one for one in wrong(database) if one.rule == "chain"] == []
    assert waits == [verify_open.SETTLES_S]
    assert [one for one in wrong(database) if one.rule == "chain"] == []
    assert len(waits) == 1, "nothing is half written: nobody waits"


async def test_an_end_nobody_saw_contradicts_no_conversation(database: Database, tmp_path: Path) -> None:
    """Who hung up is known, and what became of the caller afterwards is not; or the caller was asked to wait again."""
    await write_day(database, tmp_path)
    for by in ("unknown", "system"):
        database.execute(f"UPDATE calls SET ended_by = '{by}' WHERE call = 'c1'")
        assert wrong(database) == []
    database.execute(
        "UPDATE calls SET ended_by = 'agent' WHERE call = 'c1'",
        "UPDATE segments SET outcome = 'transfer' WHERE call = 'c1' AND serial = 7",
    )
    assert wrong(database) == []


async def test_pieces_leave_nothing_out(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await write_day(database, tmp_path)
    database.execute(
        "UPDATE segments SET call = 'c0' WHERE call = 'c2'",
        "UPDATE calls SET outcome = 'x' WHERE call IN ('c1', 'c3', 'c4', 'c6')",
        "UPDATE decisions SET call = 'c9' WHERE call = 'c6'",
    )
    expected = sorted(map(str, wrong(database)))
    assert len(expected) > 7
    for size in (1, 2, 3):
        monkeypatch.setattr(verify, "PIECE", size)
        assert sorted(map(str, wrong(database))) == expected
    of_time = [str(one) for one in wrong(database, since=START, until=START + 1000)]
    assert {one for one in expected if "which is no call" not in one} <= {*of_time} <= {*expected}


async def test_who_has_been_away_for_days_contradicts_nothing(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    assert wrong(database, since=START + 5 * 86_400) == []
    database.execute("UPDATE agents SET state = 'PAUSED'")
    assert {one.rule for one in wrong(database, since=START + 5 * 86_400)} == {"state"}


async def test_only_the_time_that_is_asked_for_is_looked_at(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    database.execute("UPDATE calls SET outcome = 'x' WHERE call IN ('c1', 'c6')")
    assert {one.call for one in wrong(database, since=START + 2)} == {"c6"}
    assert {one.call for one in wrong(database, until=START + 2)} == {"c1"}
    assert {one.call for one in wrong(database, since=START + 2, until=START + 83)} == set()


async def test_a_queue_is_looked_for_in_every_configuration_that_was(database: Database, tmp_path: Path) -> None:
    """Calls from before the first one that was kept are not judged."""
    await write_day(database, tmp_path)
    configure(database, 75, "other", packed=True)
    (found,) = wrong(database)
    assert (found.rule, found.call) == ("queue", "c5")
    assert "c5 and 1 more" in found.message
    assert "'main'" in found.message
    configure(database, 80, "main", "other", packed=True)
    configure(database, 90, "new")
    assert wrong(database) == []
    configure(database, 0, "old")
    database.execute("UPDATE segments SET queue = 'mian' WHERE call = 'c1' AND serial = 1")
    # and its row says that it was in no other queue than its own
    assert [(one.rule, one.call) for one in wrong(database)] == [("facts", "c1"), ("queue", "c1")]


async def test_who_was_taken_by_no_queue_names_none(database: Database, tmp_path: Path) -> None:
    day = Day()
    day.call("c0", 0)
    day.close("c0", 0, CallOutcome.FALLBACK, "dialplan:sorry,s,1")
    await write_day(database, tmp_path, day.records)
    database.execute("UPDATE calls SET queue = ''")
    assert wrong(database) == []
    database.execute("UPDATE calls SET outcome = 'overflowed'")
    assert [one.rule for one in wrong(database)] == ["queue"]


async def test_what_retention_took_is_no_contradiction(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    database.execute(
        *(f"DELETE FROM {table} WHERE call IN ('c1', 'c2', 'c3')" for table in ("calls", "segments")),
        "DELETE FROM decisions WHERE call <> 'c6'",
    )
    assert {one.rule for one in wrong(database)} >= {"talking", "from_call", "explained"}
    kept = f'{{"kept_from": {{"calls": {START + 70}, "decisions": {START + 83}}}}}'
    columns = "(entry, at, who, action, subject, detail)"
    database.execute(f"INSERT INTO audit {columns} VALUES ('a', {at(99)}, 'x', 'retention', 'x', '{kept}')")
    assert wrong(database) == []


async def test_a_call_that_is_transferred_may_still_come_back(database: Database, tmp_path: Path) -> None:
    day = Day()
    for n in range(2):
        day.call(f"c{n}", 0 + n * 300)
        day.stretches(f"c{n}", (K.ENTERED, n * 300, None, None), end=n * 300 + 5)
        day.close(f"c{n}", n * 300 + 5, CallOutcome.OVERFLOWED)
    await write_day(database, tmp_path, day.records)
    database.execute("UPDATE calls SET outcome = 'transferred', target = NULL WHERE call = 'c0'")
    assert [one.rule for one in wrong(database) if one.call == "c0"] == ["talk", "target"]


async def test_who_was_answered_may_be_told_to_go_later(database: Database, tmp_path: Path) -> None:
    """He waited again, and that queue hung up, with a message or without."""
    await write_day(database, tmp_path)
    for target in ("hangup", "message sorry"):
        database.execute(f"UPDATE calls SET target = '{target}' WHERE call = 'c1'")
        assert wrong(database) == []


async def test_a_configuration_that_cannot_be_read_may_have_had_any_queue(database: Database, tmp_path: Path) -> None:
    await write_day(database, tmp_path)
    configure(database, 0, "other")
    assert [one.rule for one in wrong(database)] == ["queue"]
    row = f"('x', {at(10)}, 'start', '{{\"zlib\"\\: \"AAAA\"}}')"
    database.execute(f"INSERT INTO revisions (revision, loaded_at, who, detail) VALUES {row}")
    assert wrong(database) == []
