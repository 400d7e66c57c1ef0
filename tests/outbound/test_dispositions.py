"""What agents say of attempts, and what follows: for the contact, for the ledger, for what is known of machine detection."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from acd.domain import outbound as wire
from acd.domain.campaigns import AttemptOutcome, CampaignState, Disposition, Effect
from acd.domain.dialrules import Rule
from acd.outbound import aloft
from acd.outbound import words as say
from acd.outbound.core import Dialler
from acd.outbound.storing import terms_of
from acd.records.verify_attempts import attempts_wrong
from acd.records.verify_ledgers import ledgers_wrong
from acd.store.location import locate
from acd.store.outbound import callbacks, contacts, evidence
from acd.store.outbound.contacts import NewContact, NewNumber
from outbound.dialkit import NODE
from outbound.test_runtime import NOON, Stand, clock, definition, stand  # noqa: F401

WORDS = MappingProxyType(
    {
        "sold": Disposition(Effect.DONE),
        "later": Disposition(Effect.AGAIN, 7200.0),
        "wrong": Disposition(Effect.WRONG_NUMBER),
        "never": Disposition(Effect.OPT_OUT),
        "robot": Disposition(Effect.MACHINE),
    }
)
CONTACT = "SELECT state, due_at, position, last_outcome FROM contacts WHERE contact = ?"


class Talks:
    """A campaign whose calls are answered and connected, one after another."""

    def __init__(self, stand: Stand) -> None:  # noqa: F811
        self.stand, self.calls = stand, 0
        self.told: list[say.Told] = []
        stand.hall.said = self._said  # type: ignore[method-assign]

    def _said(self, records: Any) -> list[say.Told]:
        told, self.told = self.told, []
        return told

    async def begin(self, idle: int = 1, **changes: Any) -> None:
        self.stand.hall.idle = idle
        self.stand.dialling.follow(definition(**{"dispositions": WORDS, **changes}))
        await self.stand.up()
        await self.stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")

    async def dialled(self) -> wire.PlaceAttempt:
        await self.stand.until(lambda: self.stand.sent)
        command = self.stand.sent.pop(0)
        assert isinstance(command, wire.PlaceAttempt)
        self.stand.dialling.tell(wire.AttemptPlaced(clock().utc, NODE, command.attempt, 0.01))
        return command

    def answered(self, attempt: str, verdict: wire.Verdict = wire.Verdict.PERSON) -> wire.OutboundReply | None:
        at = clock().utc
        self.stand.dialling.tell(wire.AttemptAnswered(at, NODE, attempt, "x"))
        return self.stand.dialling.asked(wire.AttemptAsked(at, NODE, attempt, attempt, "x", attempt, verdict))

    def connected(self, attempt: str) -> None:
        self.calls += 1
        at, call = clock().utc, f"c{self.calls}"
        self.told += [say.CallBegan(attempt, call), say.CallConnected(call, "a0", at)]
        self.stand.dialling.records([])

    def over(self, attempt: str) -> None:
        self.stand.dialling.tell(wire.AttemptOver(clock().utc, NODE, attempt, None, 16, "", True))

    async def talked(self) -> tuple[str, int]:
        """An attempt that was put through and is over, with its contact."""
        attempt = (await self.dialled()).attempt
        assert isinstance(self.answered(attempt), wire.Connect)
        self.connected(attempt)
        self.over(attempt)
        await self.stand.until(lambda: self.outcome(attempt) == "answered")
        return attempt, self.stand.rows("SELECT contact FROM attempts WHERE attempt = ?", attempt)[0][0]

    def outcome(self, attempt: str) -> Any:
        return self.stand.rows("SELECT outcome FROM attempts WHERE attempt = ?", attempt)[0][0]

    def ledger(self) -> tuple[float, ...]:
        return self.stand.rows("SELECT answered, abandoned, unknown FROM campaign_ledgers")[0]

    async def proved(self) -> None:
        """By the rules that hold for every database."""
        assert await asyncio.to_thread(_wrong, self.stand.path) == []


def _wrong(path: Path) -> list[str]:
    engine = locate(f"sqlite:///{path}").bulk_engine()
    try:
        with engine.connect() as connection:
            found = [*attempts_wrong(connection, None, None, None, lambda done: None), *ledgers_wrong(connection)]
    finally:
        engine.dispose()
    # The calls themselves are nowhere here
    return [str(one) for one in found if "is no call" not in str(one)]


@pytest.fixture
def talks(stand: Stand) -> Talks:  # noqa: F811
    return Talks(stand)


async def test_whom_an_agent_calls_a_machine_is_tried_as_one_and_answered_for_nobody(talks: Talks) -> None:
    await talks.begin()
    attempt, contact = await talks.talked()
    assert talks.ledger() == (1.0, 0.0, 0.0)
    assert talks.stand.rows(CONTACT, contact)[0][0] == "done"
    assert await talks.stand.dialling.disposed(attempt, "robot") == "machine"
    assert talks.stand.rows("SELECT outcome, said, agent FROM attempts WHERE attempt = ?", attempt) == [
        ("machine", "robot", "a0")
    ]
    assert talks.ledger() == (0.0, 0.0, 0.0)
    state, due_at, _, last = talks.stand.rows(CONTACT, contact)[0]
    assert (state, last) == ("due", "machine")
    assert due_at is not None
    counts = talks.stand.dialling.campaign("win")["outcomes"]
    assert (counts["machine"], counts["answered"]) == (1, 0)
    # He was a person after all, and is told so twice
    for _ in range(2):
        assert await talks.stand.dialling.disposed(attempt, "sold") == "done"
        assert talks.outcome(attempt) == "answered"
        assert talks.ledger() == (1.0, 0.0, 0.0)
        assert talks.stand.rows(CONTACT, contact) == [("done", None, None, "answered")]
    await talks.proved()


async def test_a_later_life_knows_how_the_ledger_counted_somebody(talks: Talks) -> None:
    await talks.begin()
    attempt, _ = await talks.talked()
    core = talks.stand.dialling.core
    for word, outcome, answered in (("robot", "machine", 0.0), ("sold", "answered", 1.0), ("robot", "machine", 0.0)):
        core._served.clear()
        await talks.stand.dialling.disposed(attempt, word)
        assert talks.outcome(attempt) == outcome
        assert talks.ledger() == (answered, 0.0, 0.0)
    await talks.proved()


async def test_a_wrong_number_can_turn_out_to_be_right(talks: Talks) -> None:
    await talks.begin()
    attempt, contact = await talks.talked()
    talks.stand.hall.idle = 0
    assert await talks.stand.dialling.disposed(attempt, "wrong") == "wrong_number"
    state = "SELECT state FROM contact_numbers WHERE contact = ?"
    assert (talks.stand.rows(state, contact), talks.stand.rows(CONTACT, contact)[0][0]) == ([("bad",)], "done")
    assert await talks.stand.dialling.disposed(attempt, "later") == "again"
    assert talks.stand.rows(state, contact) == [("ok",)]
    assert talks.stand.rows("SELECT state, position FROM contacts WHERE contact = ?", contact) == [("due", 0)]


async def test_what_is_said_amid_the_call_outlives_a_kill(talks: Talks) -> None:
    await talks.begin()
    attempt = (await talks.dialled()).attempt
    talks.answered(attempt)
    talks.connected(attempt)
    await talks.stand.dialling.disposed(attempt, "robot")
    said = "SELECT said, outcome FROM attempts WHERE attempt = ?"
    assert talks.stand.rows(said, attempt) == [("robot", None)]
    # Beside it the next one may have been dialled: the hall has somebody idle all the time
    begun = await talks.stand.shelf.begin(definition(), 2)
    (left,) = [one for one in begun if isinstance(one, say.Left) and one.attempt == attempt]
    assert left.said == "robot"
    core = Dialler(2)
    now = clock()
    core.handle(say.Defined(terms_of(definition(dispositions=WORDS)), (NODE,)), now)
    core.handle(left, now)
    book = core.runners["win"].book
    book.dialled(now.utc)
    book.served(now.utc)
    seen = wire.SeenAttempt(attempt, wire.SeenState.TALKING, now.utc)
    core.handle(wire.OutboundSeen(now.utc, NODE, (seen,), True), now)
    core.handle(wire.AttemptOver(now.utc, NODE, attempt, None, 16, "", True), now)
    batch = core.batch(now)
    assert batch is not None
    ((ended,), (told,)) = (batch.ended, batch.said)
    assert (ended.outcome, told.word, told.outcome) == (AttemptOutcome.ANSWERED, "robot", AttemptOutcome.MACHINE)
    assert book.ledger.counts[0].answered == 0.0


async def test_what_is_said_amid_the_call_counts_at_its_end(talks: Talks) -> None:
    await talks.begin()
    attempt = (await talks.dialled()).attempt
    talks.answered(attempt)
    talks.connected(attempt)
    assert await talks.stand.dialling.disposed(attempt, "later") == "again"
    assert await talks.stand.dialling.disposed(attempt, "robot") == "machine"
    talks.over(attempt)
    await talks.stand.until(lambda: talks.outcome(attempt) == "machine")
    assert talks.ledger() == (0.0, 0.0, 0.0)
    assert talks.stand.rows("SELECT state, last_outcome FROM contacts WHERE contact = 1") == [("due", "machine")]
    await talks.proved()


async def test_once_more_later_at_the_same_number_within_the_campaigns_attempts(talks: Talks) -> None:
    await talks.begin(attempts=2)
    attempt, contact = await talks.talked()
    assert await talks.stand.dialling.disposed(attempt, "later") == "again"
    state, due_at, position, last = talks.stand.rows(CONTACT, contact)[0]
    assert (state, position, last) == ("due", 0, "answered")
    asked = (
        "SELECT (julianday(due_at) - julianday(ended_at)) * 86400 FROM contacts JOIN attempts USING (contact) "
        "WHERE attempt = ?"
    )
    (after,) = talks.stand.rows(asked, attempt)[0]
    assert 7199.9 < after < 7260, due_at
    talks.stand.dialling.follow(definition(dispositions=WORDS, attempts=1))
    await talks.stand.until(lambda: talks.stand.dialling.core.runners["win"].campaign.attempts == 1)
    assert await talks.stand.dialling.disposed(attempt, "later") == "again"
    assert talks.stand.rows(CONTACT, contact) == [("done", None, None, "answered")], "one more than it makes"


async def test_a_wrong_number_is_not_called_any_more_but_the_persons_next_is(talks: Talks) -> None:
    numbers = [NewNumber("+49891000001"), NewNumber("+49891000002")]
    new = [NewContact(numbers, zone="UTC", rank=-1)]
    contact = await talks.stand.shelf._store.ask(contacts.add, "a", new, NOON)
    await talks.begin()
    attempt, whom = await talks.talked()
    assert whom == contact
    talks.stand.hall.idle = 0
    assert await talks.stand.dialling.disposed(attempt, "wrong") == "wrong_number"
    states = "SELECT state FROM contact_numbers WHERE contact = ? ORDER BY position"
    assert talks.stand.rows(states, contact) == [("bad",), ("ok",)]
    assert talks.stand.rows("SELECT state, position FROM contacts WHERE contact = ?", contact) == [("due", 1)]
    assert talks.outcome(attempt) == "answered", "somebody was there"
    await talks.proved()


async def test_an_opt_out_said_by_the_agent_holds_from_then_on(talks: Talks) -> None:
    await talks.begin()
    attempt, contact = await talks.talked()
    assert await talks.stand.dialling.disposed(attempt, "never") == "opt_out"
    assert talks.stand.rows(CONTACT, contact)[0][0] == "blocked"
    number = talks.stand.rows("SELECT number FROM attempts WHERE attempt = ?", attempt)[0][0]
    assert talks.stand.rows("SELECT number, scope FROM do_not_call") == [(number, "all")]
    # Nothing that is said later undoes it
    assert await talks.stand.dialling.disposed(attempt, "later") == "again"
    assert talks.stand.rows(CONTACT, contact)[0][0] == "blocked"
    await talks.proved()


async def test_a_word_that_means_nothing_and_an_unknown_attempt(talks: Talks) -> None:
    await talks.begin()
    attempt, contact = await talks.talked()
    before = talks.stand.rows(CONTACT, contact)
    assert await talks.stand.dialling.disposed(attempt, "nice weather") is None
    assert talks.stand.rows("SELECT said FROM attempts WHERE attempt = ?", attempt) == [(None,)]
    assert await talks.stand.dialling.disposed(attempt, "sold") == "done"
    assert talks.stand.rows("SELECT said FROM attempts WHERE attempt = ?", attempt) == [("sold",)]
    assert await talks.stand.dialling.disposed(attempt, "") is None
    assert talks.stand.rows("SELECT said FROM attempts WHERE attempt = ?", attempt) == [(None,)]
    assert await talks.stand.dialling.disposed("00000100000999", "sold") is None
    assert talks.stand.rows(CONTACT, contact) == before


async def test_what_was_promised_comes_first(talks: Talks) -> None:
    await talks.begin()
    attempt, contact = await talks.talked()
    await talks.stand.shelf._store.ask(callbacks.promise, contact, NOON + 86_400, "anna", clock().utc)
    before = talks.stand.rows(CONTACT, contact)
    assert before[0][0] == "due"
    for word in ("sold", "later"):
        await talks.stand.dialling.disposed(attempt, word)
        assert talks.stand.rows(CONTACT, contact) == before


async def test_who_was_claimed_again_is_not_dialled_by_that_claim(talks: Talks) -> None:
    """Called again soon, then done: the contact was claimed ahead meanwhile."""
    soon = {**WORDS, "soon": Disposition(Effect.AGAIN, 0.0)}
    await talks.begin(dispositions=MappingProxyType(soon))
    attempt, contact = await talks.talked()
    talks.stand.hall.idle = 0
    await talks.stand.dialling.disposed(attempt, "soon")
    runner = talks.stand.dialling.core.runners["win"]
    busy = say.Seat("a0", ("win",), "talking", NOON)
    talks.stand.hall.seats = lambda: (busy,)  # type: ignore[method-assign]
    runner.let_go()
    await talks.stand.until(lambda: contact in runner.ready)
    assert talks.stand.rows(CONTACT, contact)[0][0] == "in_flight"
    await talks.stand.dialling.disposed(attempt, "sold")
    assert talks.stand.rows(CONTACT, contact)[0][0] == "done"
    numbers = {one.number for one in runner.ready[contact].contact.numbers}
    del talks.stand.hall.seats  # type: ignore[method-assign]
    talks.stand.hall.idle = 1
    for _ in range(30):
        command = await talks.dialled()
        assert command.number not in numbers
        talks.stand.over(command)
    assert talks.stand.rows(CONTACT, contact)[0][0] == "done"


async def test_a_window_that_is_over_is_not_rewritten(talks: Talks) -> None:
    rules = definition().campaigns["win"].rules
    await talks.begin(rules=replace(rules, caps=(Rule("day", 0.03),)))
    attempt, contact = await talks.talked()
    served = talks.stand.dialling.core._served[attempt]
    served.at_s -= 86_400.0
    assert await talks.stand.dialling.disposed(attempt, "robot") == "machine"
    assert talks.outcome(attempt) == "answered"
    assert talks.ledger() == (1.0, 0.0, 0.0)
    assert talks.stand.rows(CONTACT, contact)[0][0] == "due", "tried again as a machine all the same"


async def test_what_is_said_while_the_database_is_away_follows_when_it_is_back(talks: Talks) -> None:
    await talks.begin()
    attempt, _ = await talks.talked()
    talks.stand.hall.idle = 0
    talks.stand.shelf.away = True
    assert await talks.stand.dialling.disposed(attempt, "robot") == "machine"
    assert talks.outcome(attempt) == "answered"
    talks.stand.shelf.away = False
    await talks.stand.until(lambda: talks.outcome(attempt) == "machine")
    await talks.stand.until(lambda: talks.ledger() == (0.0, 0.0, 0.0))
    await talks.proved()


# -- machine detection -------------------------------------------------------------------------------------------------


def audited(share: float) -> dict[str, Any]:
    return {"amd": True, "amd_s": 1.0, "amd_audit": share}


async def test_machines_are_put_through_to_be_looked_at_while_agents_are_free(talks: Talks) -> None:
    await talks.begin(idle=2, **audited(0.5))
    heard: dict[bool, list[str]] = {True: [], False: []}
    for _ in range(20):
        attempt = (await talks.dialled()).attempt
        looked_at = isinstance(talks.answered(attempt, wire.Verdict.MACHINE), wire.Connect)
        heard[looked_at].append(attempt)
        if looked_at:
            talks.connected(attempt)
        talks.over(attempt)
    assert heard[True], "one in two"
    assert heard[False]
    expected = {attempt: looked_at for looked_at, some in heard.items() for attempt in some}
    assert all((aloft._draw(attempt) < 0.5) is looked_at for attempt, looked_at in expected.items())
    await talks.stand.until(
        lambda: talks.stand.rows("SELECT count(*) FROM attempts WHERE outcome IS NOT NULL") == [(20,)]
    )
    rows = talks.stand.rows("SELECT attempt, verdict, outcome FROM attempts WHERE outcome IS NOT NULL")
    assert {row[1] for row in rows} == {"machine"}
    assert {row[0] for row in rows if row[2] == "machine"} == set(heard[False])
    person, *machines = heard[True]
    await talks.stand.dialling.disposed(person, "sold")
    for attempt in machines:
        await talks.stand.dialling.disposed(attempt, "robot")
    found = await talks.stand.shelf._store.look(evidence.evidence, "win", NOON - 1, NOON + 86_400, 15.0, ("robot",))
    detection = found["detection"]
    counts = {key: detection[key] for key in ("hung_up", "audited", "said", "people", "through")}
    assert counts == {
        "hung_up": len(heard[False]), "audited": len(heard[True]), "said": len(heard[True]), "people": 1, "through": 0,
    }  # fmt: skip
    assert detection["low"] < detection["share"] < detection["high"]
    assert found["dispositions"] == {"robot": len(machines), "sold": 1} if machines else {"sold": 1}
    await talks.proved()


async def test_nobody_is_abandoned_to_be_looked_at(talks: Talks) -> None:
    await talks.begin(**audited(0.5))
    core = talks.stand.dialling.core
    for _ in range(8):
        attempt = (await talks.dialled()).attempt
        core.runners["win"].free = frozenset()
        assert not isinstance(talks.answered(attempt, wire.Verdict.MACHINE), wire.Connect)
        talks.over(attempt)
    assert core.counters["machines_audited"] == 0


async def test_what_agents_have_found_out_is_charged_in_place_of_the_assumption(talks: Talks) -> None:
    rules = replace(definition().campaigns["win"].rules, false_positives=True)
    await talks.begin(rules=rules, **audited(0.1))
    runner = talks.stand.dialling.core.runners["win"]
    await talks.talked()
    assert runner.book.share == 0.05
    # 400 that agents looked at, none of them people; 4,000 hung up on; 6,000 people
    rows = [(400, "machine", "machine", "c", "robot"), (4000, "machine", "machine", None, None)]
    rows += [(6000, "person", "answered", "c", None)]
    await asyncio.to_thread(_fill, talks.stand, rows)
    talks.stand.shelf._detected.clear()
    runner.let_go()
    await talks.stand.until(lambda: runner.detected is not None and runner.detected.said == 400)
    high = 1.959964**2 / (400 + 1.959964**2)
    assert runner.book.share == pytest.approx(4000 * high / (4000 * high + 6001), rel=1e-6)
    said = talks.stand.dialling.campaign("win")["detection"]
    assert (said["measured"], said["people"], said["hung_up"]) == (True, 0, 4000)
    share = runner.book.share
    before = runner.book.ledger.counts[0].misjudged
    talks.over((await _connected(talks)).attempt)
    await talks.stand.until(lambda: runner.outcomes[AttemptOutcome.ANSWERED.value] == 2)
    assert runner.book.ledger.counts[0].misjudged - before == pytest.approx(share / (1 - share))
    # A reload keeps what was measured
    talks.stand.dialling.follow(definition(dispositions=WORDS, rules=rules, attempts=3, **audited(0.1)))
    await talks.stand.until(lambda: runner.campaign.attempts == 3)
    assert runner.book.share == share


async def _connected(talks: Talks) -> wire.PlaceAttempt:
    command = await talks.dialled()
    assert isinstance(talks.answered(command.attempt), wire.Connect)
    talks.connected(command.attempt)
    return command


def _fill(stand: Stand, rows: list[tuple[Any, ...]]) -> None:  # noqa: F811
    columns = "attempt, campaign, list, contact, position, number, mode, caller_id, trunk, node, facts, "
    columns += "verdict, outcome, call, said, committed_at, ended_at"
    query = (
        f"INSERT INTO attempts ({columns}) VALUES (?, 'win', 'a', 0, 0, '', 'x', '', '', '', '{{}}', ?, ?, ?, ?, ?, ?)"
    )
    at = "2024-03-20T12:00:00.000000Z"
    with contextlib.closing(sqlite3.connect(stand.path, timeout=10)) as connection, connection:
        serial = 0
        for many, verdict, outcome, call, said in rows:
            for _ in range(many):
                serial += 1
                values = (f"9{serial:013d}", verdict, outcome, call, said, at, at)
                connection.execute(query, values)
