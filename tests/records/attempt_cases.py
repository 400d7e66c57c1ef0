"""Every rule of what dialling keeps, broken on purpose, on SQLite and PostgreSQL alike. Collected by test_attempts_*.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from lawful import ANNA, START, Day, K, S, at, write_day
from storekit import Database

from acd.domain.campaigns import AttemptOutcome as O
from acd.domain.records import CallAnswered
from acd.domain.states import CallOutcome
from acd.records import attempt_rules, verify_attempts
from acd.records.verify import Verifier
from acd.records.violation import Violation
from acd.store.beside import writing
from acd.store.outbound import callbacks, contacts, donotcall, listed
from acd.store.outbound.attempts import Again, Attempt, Over, Settled, record, settle
from acd.store.outbound.campaigns import Window
from acd.store.outbound.contacts import NewContact, NewNumber, State
from acd.store.outbound.donotcall import Entry, sha256_of
from acd.store.outbound.tables import TABLES
from acd.store.outbound.work import Kind, claim, recover
from acd.store.tables import epochs, metadata

EPOCH, LATER = 7, 8
DAY = 739_880
"""Of START, in Berlin."""


def number(n: int) -> str:
    return f"+4930123{n:04d}"


def configure(database: Database, *spans: str, zone: str = "Europe/Berlin", second: float = -1) -> None:
    """Note a configuration in which the campaign counts by these kinds of windows."""
    caps = [{"span": span} for span in spans]
    body = {"queues": {"main": {}}, "campaigns": {"spring": {"zone": zone, "rules": {"caps": caps}}}}
    row = f"('r{second}', {at(second)}, 'start', '{json.dumps({'definition': body})}')".replace(":", "\\:")
    database.execute(f"INSERT INTO revisions (revision, loaded_at, who, detail) VALUES {row}")


def sealed(text: str) -> str:
    return f"hmac:{text[-1]}".ljust(37, "0")


def wrong(database: Database, **how: Any) -> list[Violation]:
    return list(Verifier(database.url, **how).violations())


def attempt(serial: int, epoch: int = EPOCH) -> str:
    return f"{epoch:06d}{serial:08d}"


class Dialling:
    """What a dialler writes, second by second after START."""

    def __init__(self, database: Database, hashed: bool = False) -> None:
        self.database, self.hashed, self.counts = database, hashed, [0.0, 0.0, 0.0]
        with writing(database.url) as connection, connection.begin():
            listed.create(connection, "a", "me", START)
            people = [NewContact([NewNumber(number(n))]) for n in range(1, 8)]
            contacts.add(connection, "a", people, START)

    def windows(self) -> dict[str, list[Window]]:
        answered, abandoned, unknown = self.counts
        figures = {"answered": answered, "abandoned": abandoned, "unknown": unknown}
        return {"spring": [Window("day", DAY, **figures), Window("campaign", 0, **figures)]}

    def made(self, serial: int, contact: int, second: float, epoch: int = EPOCH) -> None:
        one = Attempt(
            attempt(serial, epoch), "spring", contact, number(contact), "power", "+49309", "carrier", "pbx1", facts={}
        )
        with writing(self.database.url) as connection, connection.begin():
            found = claim(connection, ["a"], {Kind.NEW: 9, Kind.RETRY: 9}, START + second, epoch)
            assert contact in {claimed.contact.contact for claimed in found}
            ledgers = self.windows()
            assert record(
                connection, [one], epoch, START + second, sealed, hashed=self.hashed, ledgers=ledgers
            ).recorded == (one.attempt,)
            others = [claimed.contact.contact for claimed in found if claimed.contact.contact != contact]
            for other in others:
                connection.execute(
                    sa.text("UPDATE contacts SET state = 'new', claimed_epoch = NULL WHERE contact = :c"), {"c": other}
                )

    def ends(self, serial: int, second: float, outcome: O, epoch: int = EPOCH, **more: Any) -> None:
        """``again``: the second at which the contact is due again."""
        again = more.pop("again", None)
        after = Over(State.DONE) if again is None else Again(START + again)
        counted = ((O.ANSWERED, O.ABANDONED, O.OPTED_OUT), (O.ABANDONED, O.OPTED_OUT), (O.UNKNOWN,))
        for place, outcomes in enumerate(counted):
            self.counts[place] += outcome in outcomes
        times = {name: START + value for name, value in more.items() if name.endswith("_at")}
        done = Settled(attempt(serial, epoch), outcome, START + second, after, **{**more, **times})
        with writing(self.database.url) as connection, connection.begin():
            assert settle(connection, [done], sealed, hashed=self.hashed, ledgers=self.windows())


async def lawful(database: Database, tmp_path: Path) -> None:
    """1: busy, then answered, as call ``p1``, which kept a promise; 2: abandoned, with a message; 3: opted out; 4: rings;
    5: nobody knows; 6: is promised a call by anna."""
    configure(database, "day", "campaign")
    day = Day()
    day.agent(ANNA, 0, S.AVAILABLE)
    day.call("p1", 31, channel=attempt(2), number=number(1))
    day.offered("p1", 31.5, ANNA, "o1")
    stretches = (
        (K.ENTERED, 31, None, None), (K.OFFERED, 31.5, ANNA, "o1"), (K.TALKED, 32, ANNA, "o1"), (K.AFTER, 60, None, None),
    )  # fmt: skip
    day.stretches("p1", *stretches, end=61)
    day.records.append(CallAnswered("p1", ANNA, START + 32))
    day.close("p1", 61, CallOutcome.ANSWERED)
    for second, state, call in ((31.5, S.RESERVED, "p1"), (32, S.TALKING, "p1"), (60, S.AVAILABLE, None)):
        day.agent(ANNA, second, state, call)
    await write_day(database, tmp_path, day.records)
    dialling = Dialling(database)
    dialling.made(1, 1, 10)
    dialling.ends(1, 12, O.BUSY, dialled_at=10.1, cause=17, again=20)
    dialling.made(2, 1, 25)
    dialling.ends(2, 61, O.ANSWERED, dialled_at=25.1, rang_at=27, answered_at=31, cause=16, call="p1", agent=ANNA)
    dialling.made(3, 2, 30)
    dialling.ends(3, 45, O.ABANDONED, dialled_at=30.1, answered_at=35, cause=16, message="played")
    dialling.made(4, 3, 40)
    dialling.ends(4, 50, O.OPTED_OUT, dialled_at=40.1, answered_at=42, opt_out="all", message="cut")
    dialling.made(5, 4, 5000)
    dialling.made(6, 5, 4000)
    dialling.ends(6, 4001, O.UNKNOWN)
    with writing(database.url) as connection, connection.begin():
        kept = callbacks.promise(connection, 1, START + 20, "me", START + 15)
        assert callbacks.cancel(connection, 1, START + 16)
        assert callbacks.promise(connection, 6, START + 9000, "me", START, agent=ANNA) == kept + 1 == 2
    database.execute(
        f"UPDATE callbacks SET outcome = 'kept', attempt = '{attempt(2)}' WHERE callback = 1",
        f"UPDATE attempts SET callback = 1 WHERE attempt = '{attempt(2)}'",
    )


CLAIMED = "state = 'in_flight', claimed_epoch"
BROKEN: list[tuple[str, str, str]] = [
    ("attempt", f"UPDATE attempts SET dialled_at = {at(8.9)} WHERE attempt = '{attempt(1)}'", attempt(1)),
    ("attempt", f"UPDATE attempts SET rang_at = {at(24)} WHERE attempt = '{attempt(2)}'", attempt(2)),
    ("attempt", f"UPDATE attempts SET answered_at = {at(25.5)} WHERE attempt = '{attempt(2)}'", attempt(2)),
    ("attempt", f"UPDATE attempts SET ended_at = {at(33)} WHERE attempt = '{attempt(3)}'", attempt(3)),
    ("attempt", f"UPDATE attempts SET ended_at = NULL WHERE attempt = '{attempt(3)}'", attempt(3)),
    ("attempt", f"UPDATE attempts SET outcome = NULL WHERE attempt = '{attempt(3)}'", attempt(3)),
    ("attempt", f"UPDATE attempts SET outcome = 'busy' WHERE attempt = '{attempt(5)}'", attempt(5)),
    ("attempt", f"UPDATE attempts SET ended_at = {at(26.1)} WHERE attempt = '{attempt(1)}'", attempt(2)),
    ("attempt", f"UPDATE attempts SET contact = 4, committed_at = {at(5010)} WHERE attempt = '{attempt(6)}'", attempt(6)),
    ("attempt", "UPDATE contacts SET state = 'done' WHERE contact = 4", attempt(5)),
    ("attempt", "DELETE FROM contacts WHERE contact = 4", attempt(5)),
    ("word", f"UPDATE attempts SET outcome = 'bussy' WHERE attempt = '{attempt(1)}'", attempt(1)),
    ("word", f"UPDATE attempts SET mode = 'wild' WHERE attempt = '{attempt(1)}'", attempt(1)),
    ("word", f"UPDATE attempts SET message = 'heard' WHERE attempt = '{attempt(3)}'", attempt(3)),
    ("cause", f"UPDATE attempts SET cause = 128 WHERE attempt = '{attempt(1)}'", attempt(1)),
    ("cause", "UPDATE calls SET cause = NULL WHERE call = 'p1'", "p1"),
    ("reached", f"UPDATE attempts SET answered_at = NULL WHERE attempt = '{attempt(3)}'", attempt(3)),
    ("reached", f"UPDATE attempts SET outcome = 'withdrawn' WHERE attempt = '{attempt(1)}'", attempt(1)),
    ("reached", f"UPDATE attempts SET answered_at = {at(11)} WHERE attempt = '{attempt(1)}'", attempt(1)),
    ("reached", f"UPDATE attempts SET call = 'p1' WHERE attempt = '{attempt(1)}'", attempt(1)),
    ("reached", f"UPDATE attempts SET call = 'p9' WHERE attempt = '{attempt(2)}'", attempt(2)),
    ("reached", f"UPDATE attempts SET call = 'p1' WHERE attempt = '{attempt(3)}'", attempt(3)),
    ("reached", f"UPDATE attempts SET node = 'pbx2' WHERE attempt = '{attempt(2)}'", attempt(2)),
    ("reached", "UPDATE calls SET answered_at = NULL, outcome = 'abandoned' WHERE call = 'p1'", attempt(2)),
    ("reached", f"UPDATE calls SET channel = '{attempt(99)}' WHERE call = 'p1'", attempt(99)),
    ("contact", "UPDATE contacts SET attempts = 3 WHERE contact = 1", "contact 1"),
    ("contact", "UPDATE contacts SET attempts = 1 WHERE contact = 6", "contact 6"),
    ("contact", f"UPDATE contacts SET last_at = {at(26)} WHERE contact = 1", "contact 1"),
    ("contact", "UPDATE contacts SET last_at = NULL WHERE contact = 2", "contact 2"),
    ("contact", "UPDATE contacts SET last_outcome = 'busy' WHERE contact = 1", "contact 1"),
    ("contact", "UPDATE contacts SET state = 'in_flight' WHERE contact = 7", "contact 7"),
    ("contact", "UPDATE contacts SET claimed_epoch = 7 WHERE contact = 7", "contact 7"),
    ("contact", f"UPDATE contacts SET {CLAIMED} = 6, claimed_at = {at(9)} WHERE contact = 7", "contact 7"),
    ("callback", "DELETE FROM contacts WHERE contact = 6", "callback 2"),
    ("callback", "UPDATE callbacks SET contact = 99 WHERE callback = 2", "contact 99"),
    ("callback", "UPDATE callbacks SET contact = 7 WHERE callback = 2", "callback 2"),
    ("callback", "DELETE FROM callbacks WHERE callback = 1", attempt(2)),
    ("callback", "DELETE FROM callbacks WHERE callback = 2", "contact 6"),
    ("callback", "UPDATE callbacks SET attempt = 'nothing' WHERE callback = 1", "nothing"),
    ("callback", f"UPDATE callbacks SET attempt = '{attempt(3)}' WHERE callback = 1", attempt(3)),
    ("callback", "UPDATE callbacks SET attempt = NULL WHERE callback = 1", "callback 1"),
    ("callback", f"UPDATE callbacks SET ended_at = {at(9)} WHERE callback = 2", "callback 2"),
    ("callback", "UPDATE callbacks SET ended_at = NULL WHERE callback = 1", "contact 1 does not wait"),
    ("callback", "UPDATE callbacks SET agent = 'bob' WHERE callback = 2", "callback 2"),
    ("callback", "UPDATE contacts SET callback_agent = NULL WHERE contact = 6", "callback 2"),
    ("callback", "UPDATE contacts SET callback = NULL WHERE contact = 6", "contact 6 does not wait"),
    ("callback", "UPDATE contacts SET callback = 1 WHERE contact = 1", "contact 1 waits"),
    ("word", "UPDATE callbacks SET outcome = 'kept?' WHERE callback = 1", "callback 1"),
    ("do_not_call", f"UPDATE do_not_call SET added_at = {at(-61)}, number = '{number(5)}'", attempt(6)),
    ("do_not_call", f"UPDATE do_not_call SET number = '{sha256_of(number(4))}'", attempt(5)),
    ("do_not_call", f"UPDATE do_not_call SET number = '{number(4)}', scope = 'campaign\\:spring'", attempt(5)),
    ("do_not_call", f"UPDATE do_not_call SET number = '{number(4)}', until = {at(5001)}", attempt(5)),
    ("do_not_call", f"UPDATE do_not_call SET number = '{number(4)}', source = 'f.csv'", attempt(5)),
    ("ledger", "UPDATE campaign_ledgers SET answered = 2 WHERE \"window\" = 'day'", "spring"),
    ("ledger", "UPDATE campaign_ledgers SET answered = 7 WHERE \"window\" = 'day'", "spring"),
    ("ledger", "UPDATE campaign_ledgers SET answered = 7 WHERE \"window\" = 'campaign'", "spring"),
    ("ledger", "UPDATE campaign_ledgers SET unknown = 0 WHERE \"window\" = 'day'", "spring"),
    ("ledger", "UPDATE campaign_ledgers SET abandoned = 0 WHERE \"window\" = 'day'", "spring"),
    ("ledger", "UPDATE campaign_ledgers SET abandoned = 4 WHERE \"window\" = 'campaign'", "spring"),
    ("ledger", "UPDATE campaign_ledgers SET misjudged = -1", "spring"),
    ("ledger", "UPDATE campaign_ledgers SET answered = 2 WHERE \"window\" = 'campaign'", "spring"),
    ("ledger", f"UPDATE campaign_ledgers SET key = {DAY + 1} WHERE \"window\" = 'day'", "2026-09-22"),
    ("ledger", f"UPDATE campaign_ledgers SET key = {DAY - 1} WHERE \"window\" = 'day'", "2026-09-20"),
    ("ledger", "DELETE FROM campaign_ledgers WHERE \"window\" = 'day'", "spring"),
    ("ledger", "DELETE FROM campaign_ledgers", "spring"),
    ("ledger", "UPDATE campaign_ledgers SET campaign = 'autumn'", "autumn"),
]  # fmt: skip


async def test_lawful_dialling_is_found_lawful(database: Database, tmp_path: Path) -> None:
    await lawful(database, tmp_path)
    verifier = Verifier(database.url, finished=True)
    assert list(verifier.violations()) == []
    assert verifier.seen.attempts == 6
    assert wrong(database, since=START + 20, until=START + 41) == []


async def test_every_corruption_of_dialling_is_found_by_its_rule(database: Database, tmp_path: Path) -> None:
    await lawful(database, tmp_path)
    whole = {table.name: database.rows(table) for table in TABLES} | database.contents()
    missed = []
    for rule, statement, told in BROKEN:
        database.execute(statement)
        found = [violation for violation in wrong(database) if violation.rule == rule]
        if not any(told in violation.message for violation in found):
            missed.append((rule, statement, found))
        name = next(word for word in statement.split() if word in whole)
        with writing(database.url) as connection, connection.begin():
            connection.execute(sa.delete(metadata.tables[name]))
            connection.execute(sa.insert(metadata.tables[name]), whole[name])
    assert missed == []
    assert {rule for rule, _, _ in BROKEN} == {*attempt_rules.RULES, "word", "cause"}
    assert wrong(database) == []


async def test_pieces_leave_no_attempt_out(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await lawful(database, tmp_path)
    database.execute(
        "UPDATE attempts SET mode = 'wild'", "UPDATE contacts SET last_outcome = 'x' WHERE last_outcome IS NOT NULL"
    )
    expected = sorted(map(str, wrong(database)))
    assert len(expected) == 10
    for size in (1, 2, 3):
        monkeypatch.setattr(verify_attempts, "FETCH", size)
        assert sorted(map(str, wrong(database))) == expected


async def test_what_may_be_so_is_not_wrong(database: Database, tmp_path: Path) -> None:
    """Clocks a little apart, contacts and calls that are gone, entries that came later, are over or concern others."""
    await lawful(database, tmp_path)
    harmless = [
        f"UPDATE attempts SET rang_at = {at(24.5)} WHERE attempt = '{attempt(2)}'",
        "DELETE FROM contacts WHERE contact IN (2, 3)",
        f"UPDATE contacts SET {CLAIMED} = {EPOCH}, claimed_at = {at(9)} WHERE contact = 7",
        f"UPDATE contacts SET {CLAIMED} = 6, claimed_at = {at(4950)} WHERE contact = 7",
        "UPDATE contacts SET state = 'blocked', claimed_epoch = NULL WHERE contact = 4",
        f"UPDATE contacts SET state = 'due', changed_at = {at(5001)} WHERE contact = 4",
        f"UPDATE do_not_call SET number = '{number(4)}', added_at = {at(4990)}",
        f"UPDATE do_not_call SET number = '{number(4)}', added_at = {at(50)}, until = {at(4999)}",
        f"UPDATE do_not_call SET until = NULL, scope = 'campaign\\:autumn', added_at = {at(-99)}",
        f"UPDATE do_not_call SET scope = 'all', source = 'f.csv', number = '{number(4)}', added_at = {at(1500)}",
        "UPDATE calls SET cause = NULL, ended_by = 'unknown' WHERE call = 'p1'",
    ]
    for statement in harmless:
        database.execute(statement)
        assert wrong(database) == [], statement
    with writing(database.url) as connection, connection.begin():
        assert contacts.remove(connection, [1, 6]) == 2
    assert wrong(database) == []
    kept = f'{{"kept_from": {{"calls": {START + 70}}}}}'
    columns = "(entry, at, who, action, subject, detail)"
    database.execute(
        *(f"DELETE FROM {name} WHERE call = 'p1'" for name in ("calls", "segments", "decisions")),
        f"INSERT INTO audit {columns} VALUES ('a', {at(99)}, 'x', 'retention', 'x', '{kept}')",
    )
    assert wrong(database) == []


async def test_who_was_left_by_a_life_that_was_killed_may_be_charged_twice_or_not_at_all(
    database: Database, tmp_path: Path
) -> None:
    configure(database, "day", "campaign")
    dialling = Dialling(database)
    dialling.made(1, 1, 10)
    dialling.ends(1, 20, O.ANSWERED, answered_at=12)
    dialling.made(2, 2, 10)
    dialling.counts[0] += 1
    dialling.made(3, 3, 10)
    with writing(database.url) as connection, connection.begin():
        life = {"epoch": LATER, "started_at": START + 100, "host": "x", "pid": 1}
        connection.execute(sa.insert(epochs).values(life))
        recover(connection, LATER)
    dialling.ends(2, 110, O.ABANDONED, answered_at=15)
    dialling.ends(3, 110, O.UNKNOWN)
    assert wrong(database) == []
    dialling.counts[2] -= 1
    dialling.made(1, 4, 120, LATER)
    assert wrong(database) == []
    database.execute("UPDATE campaign_ledgers SET answered = 1, abandoned = 0, unknown = 0")
    assert wrong(database) == []
    dialling.ends(1, 130, O.ABANDONED, LATER, answered_at=125)
    assert wrong(database) == []
    database.execute("UPDATE campaign_ledgers SET answered = 8")
    assert {one.rule for one in wrong(database)} == {"ledger"}


async def test_a_call_may_become_durable_after_its_attempt_or_be_lost_with_its_life(
    database: Database, tmp_path: Path
) -> None:
    await lawful(database, tmp_path)
    database.execute(f"UPDATE attempts SET call = '00000700000003' WHERE attempt = '{attempt(2)}'")
    assert wrong(database) == []
    with writing(database.url) as connection, connection.begin():
        life = {"epoch": EPOCH, "started_at": START, "host": "x", "pid": 1}
        connection.execute(sa.insert(epochs).values(life))
    assert wrong(database) == []
    for before in ("00000700000001", "00000800000009"):
        database.execute(f"UPDATE calls SET call = '{before}' WHERE call = 'p1'")
        assert "reached" not in {one.rule for one in wrong(database)}
        database.execute(f"UPDATE calls SET call = 'p1' WHERE call = '{before}'")
    database.execute(f"UPDATE epochs SET stopped_at = {at(9000)} WHERE epoch = {EPOCH}")
    assert [(one.rule, one.call) for one in wrong(database)] == [("reached", "00000700000003")]
    database.execute(
        "UPDATE epochs SET stopped_at = NULL", "UPDATE calls SET call = '00000700000005' WHERE call = 'p1'"
    )
    assert ("reached", "00000700000003") in {(one.rule, one.call) for one in wrong(database)}


async def test_windows_are_those_of_every_zone_that_a_configuration_had(database: Database, tmp_path: Path) -> None:
    await lawful(database, tmp_path)
    shift = f"UPDATE campaign_ledgers SET key = {DAY + 1} WHERE \"window\" = 'day'"
    database.execute(shift)
    assert {one.rule for one in wrong(database)} == {"ledger"}
    configure(database, "day", "campaign", zone="Pacific/Kiritimati", second=1)
    assert wrong(database) == []
    database.execute(shift.replace("+ 1", "+ 2").replace(str(DAY + 1), str(DAY + 2)))
    assert {one.rule for one in wrong(database)} == {"ledger"}


@pytest.mark.parametrize("known", ["later", "unreadable", "nothing"])
async def test_what_no_configuration_tells_is_not_held_against_a_ledger(
    database: Database, tmp_path: Path, known: str
) -> None:
    await lawful(database, tmp_path)
    if known == "later":
        database.execute(f"UPDATE revisions SET loaded_at = {at(11)}")
    elif known == "nothing":
        database.execute("DELETE FROM revisions")
    else:
        database.execute('UPDATE revisions SET detail = \'{"zlib"\\: "AAAA"}\'')
    database.execute("UPDATE campaign_ledgers SET answered = 2")
    assert wrong(database) == []
    database.execute("UPDATE campaign_ledgers SET answered = 7")
    assert {one.rule for one in wrong(database)} == {"ledger"}


async def test_a_window_of_a_kind_that_was_brought_in_later_may_be_counted_in_part(
    database: Database, tmp_path: Path
) -> None:
    await lawful(database, tmp_path)
    configure(database, "month", "campaign", second=33)
    database.execute("UPDATE campaign_ledgers SET answered = 2, abandoned = 1 WHERE \"window\" = 'day'")
    assert wrong(database) == []
    database.execute("UPDATE campaign_ledgers SET answered = 2 WHERE \"window\" = 'campaign'")
    assert {one.rule for one in wrong(database)} == {"ledger"}


async def test_hashed_numbers_are_compared_as_they_are(database: Database, tmp_path: Path) -> None:
    dialling = Dialling(database, hashed=True)
    dialling.made(1, 1, 5000)
    dialling.ends(1, 5001, O.BUSY)
    with writing(database.url) as connection, connection.begin():
        donotcall.add(connection, [Entry(sealed(number(1)), "all", "x", "", START, "me")], sealed)
    assert [(one.rule, attempt(1) in one.message) for one in wrong(database)] == [("do_not_call", True)]


async def test_an_entry_that_was_over_and_comes_again_holds_from_then_on(database: Database) -> None:
    """Whoever was dialled in between was not dialled wrongly."""
    entries = [
        Entry(number(1), "all", "x", "", START - 9000, "me", until=START),
        Entry(number(1), "all", "x", "", START + 9000, "me"),
    ]
    dialling = Dialling(database)
    for entry in entries:
        with writing(database.url) as connection, connection.begin():
            donotcall.add(connection, [entry], sealed)
        if entry.until is not None:
            dialling.made(1, 1, 5000)
            dialling.ends(1, 5001, O.BUSY)
    assert wrong(database) == []
    with writing(database.url) as connection, connection.begin():
        (held,) = donotcall.held(connection, number(1), sealed)
    assert (held.added_at, held.until) == (START + 9000, None)


async def test_a_call_without_a_cause_may_have_been_joined_to_another(database: Database, tmp_path: Path) -> None:
    await lawful(database, tmp_path)
    database.execute("UPDATE calls SET cause = NULL WHERE call = 'p1'")
    assert [(one.rule, one.call) for one in wrong(database)] == [("cause", "p1")]
    day = Day()
    day.call("j1", 70)
    day.stretches("j1", (K.ENTERED, 70, None, None), end=71)
    day.close("j1", 71, CallOutcome.OVERFLOWED)
    await write_day(database, tmp_path, day.records)
    assert [(one.rule, one.call) for one in wrong(database)] == [("cause", "p1")]
    database.execute("UPDATE calls SET outcome = 'transferred' WHERE call = 'j1'")
    assert "cause" not in {one.rule for one in wrong(database)}
