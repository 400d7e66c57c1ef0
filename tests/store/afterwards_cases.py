"""What follows attempts and promises in the store, on a real database: who is abandoned, called back, called no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from storekit import Database

from acd.domain.campaigns import AttemptOutcome
from acd.store.outbound import callbacks as promises
from acd.store.outbound import contacts as of
from acd.store.outbound import donotcall, listed
from acd.store.outbound.attempts import Again, Attempt, Over, Settled
from acd.store.outbound.contacts import NewContact, NewNumber
from acd.store.outbound.optouts import OptOut
from acd.store.outbound.outbound import Outbound
from acd.store.outbound.tables import callbacks, contact_numbers, contacts
from acd.store.outbound.turn import Turn
from acd.store.outbound.work import Kind, Refused

NOW = 1_710_928_800.0
FIRST, SECOND = "+49301230000", "+49309990000"
ANNA = ("anna",)


def sealed(number: str) -> str:
    return f"hmac:{number[::-1]}"


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Outbound]:
    found = Outbound(database.url, sealed)
    await found.ask(listed.create, "a", "test", NOW)
    await found.ask(of.add, "a", [NewContact([NewNumber(FIRST), NewNumber(SECOND)])], NOW)
    yield found
    await found.close()


def attempt(
    serial: int, *, epoch: int = 1, contact: int = 1, number: str = FIRST, callback: int | None = None
) -> Attempt:
    return Attempt(
        f"{epoch:06d}{serial:08d}", "win", contact, number, "power", "+4930555100", "out", "pbx", callback=callback
    )


async def kept(store: Outbound, table: sa.Table, *names: str) -> list[tuple[Any, ...]]:
    def rows(connection: sa.Connection) -> list[tuple[Any, ...]]:
        query = sa.select(*(table.c[name] for name in names)).order_by(*table.primary_key)
        return [tuple(row) for row in connection.execute(query)]

    return await store.ask(rows)


async def made(store: Outbound, serial: int, at: float, kind: Kind = Kind.NEW, **more: Any) -> Attempt:
    """Claimed and recorded."""
    (found,) = await store.claim(["a"], {kind: 1}, at, 1, agents=ANNA)
    one = attempt(serial, callback=found.claimed.callback, number=found.claimed.number, **more)
    assert (await store.take_turn(Turn(made=[one]), 1, at)).recorded == (one.attempt,)
    return one


async def settle(store: Outbound, *ended: Settled) -> None:
    await store.take_turn(Turn(ended=ended), 1, NOW + 100)


@pytest.mark.parametrize("outcome", [AttemptOutcome.ABANDONED, AttemptOutcome.UNKNOWN, AttemptOutcome.BUSY])
async def test_who_may_have_answered_and_met_nobody_counts_as_abandoned(
    store: Outbound, outcome: AttemptOutcome
) -> None:
    one = await made(store, 1, NOW)
    await settle(store, Settled(one.attempt, outcome, NOW + 5, Again(NOW + 60)))
    found = (await store.histories([(1, FIRST)], 0.0))[1, FIRST]
    assert found.abandoned_at == (None if outcome is AttemptOutcome.BUSY else NOW + 5)


@pytest.mark.parametrize("settled", [False, True])
async def test_who_opts_out_is_not_called_at_another_number_nor_back(store: Outbound, settled: bool) -> None:
    one = await made(store, 1, NOW)
    over = Settled(one.attempt, AttemptOutcome.ABANDONED, NOW + 5, Again(NOW + 60, SECOND))
    if settled:
        await settle(store, over)
    await store.ask(promises.promise, 1, NOW + 90, "anna", NOW + 6, agent="anna")
    await store.take_turn(Turn(opt_outs=[OptOut(one.attempt, "", "", NOW + 7)]), 1, NOW + 7)
    assert await kept(store, contacts, "state", "due_at", "callback", "claimed_epoch") == [
        ("blocked", None, None, None)
    ]
    if not settled:
        await settle(store, over)
    assert await kept(store, contacts, "state", "due_at", "last_outcome") == [("blocked", None, "abandoned")]
    assert await kept(store, callbacks, "ended_at", "outcome") == [(NOW + 7, "cancelled")]
    assert list(await store.look(donotcall.look_up, [FIRST, SECOND], ["all"], sealed, NOW + 7)) == [FIRST, SECOND]
    assert await store.claim(["a"], dict.fromkeys(Kind, 1), NOW + 1000, 1, agents=ANNA) == []


async def test_a_promise_does_not_outlive_the_opt_out_that_an_attempt_came_to(store: Outbound) -> None:
    one = await made(store, 1, NOW)
    await store.ask(promises.promise, 1, NOW + 90, "anna", NOW + 6, agent="anna")
    await settle(store, Settled(one.attempt, AttemptOutcome.OPTED_OUT, NOW + 7, Over()))
    assert await kept(store, contacts, "state", "due_at", "callback", "last_outcome") == [
        ("blocked", None, None, "opted_out")
    ]
    assert await kept(store, callbacks, "outcome") == [("cancelled",)]


async def promised(store: Outbound, *, until: float | None = None, agent: str | None = "anna", **more: Any) -> int:
    return await store.ask(promises.promise, 1, NOW - 10, "anna", NOW - 20, agent=agent, until=until, **more)


@pytest.mark.parametrize(
    ("outcome", "dialled", "said"),
    [
        (AttemptOutcome.BUSY, NOW + 1, "kept"),
        (AttemptOutcome.ANSWERED, NOW + 1, "kept"),
        (AttemptOutcome.UNKNOWN, None, "kept"),
        (AttemptOutcome.NO_ANSWER, None, None),
        (AttemptOutcome.FAILED, None, None),
        (AttemptOutcome.FAILED, NOW + 1, None),
        (AttemptOutcome.CONGESTION, NOW + 1, None),
    ],
)
async def test_a_promise_is_kept_by_a_call_that_may_have_rung_and_else_stays(
    store: Outbound, outcome: AttemptOutcome, dialled: float | None, said: str | None
) -> None:
    callback = await promised(store)
    one = await made(store, 1, NOW, Kind.CALLBACK)
    assert await kept(store, callbacks, "outcome") == [(None,)]
    await settle(store, Settled(one.attempt, outcome, NOW + 5, Again(NOW + 60), dialled_at=dialled))
    ended = (NOW + 5, said, one.attempt) if said else (None, None, None)
    assert await kept(store, callbacks, "ended_at", "outcome", "attempt") == [ended]
    still = ("due", NOW + 60, None, None) if said else ("due", NOW + 60, callback, "anna")
    assert await kept(store, contacts, "state", "due_at", "callback", "callback_agent") == [still]


async def test_a_promise_that_no_attempt_is_left_for_is_missed(store: Outbound) -> None:
    await promised(store)
    one = await made(store, 1, NOW, Kind.CALLBACK)
    await settle(store, Settled(one.attempt, AttemptOutcome.FAILED, NOW + 5, Over()))
    assert await kept(store, callbacks, "ended_at", "outcome", "attempt") == [(NOW + 5, "missed", one.attempt)]
    assert await kept(store, contacts, "state", "due_at", "callback") == [("done", None, None)]


async def test_what_is_promised_while_a_callback_lasts_comes_after_it(store: Outbound) -> None:
    await promised(store)
    one = await made(store, 1, NOW, Kind.CALLBACK)
    again = await store.ask(promises.promise, 1, NOW + 900, "ben", NOW + 3)
    await settle(store, Settled(one.attempt, AttemptOutcome.ANSWERED, NOW + 5, Over(), dialled_at=NOW))
    assert await kept(store, callbacks, "outcome") == [("replaced",), (None,)]
    assert await kept(store, contacts, "state", "due_at", "callback") == [("due", NOW + 900, again)]


@pytest.mark.parametrize("agent", ["anna", "ben", None])
async def test_it_is_not_called_back_after_the_time_it_was_promised_until(store: Outbound, agent: str | None) -> None:
    await promised(store, until=NOW + 30, agent=agent)
    kinds = dict.fromkeys(Kind, 1)
    assert await store.claim(["a"], kinds, NOW + 30, 1, agents=ANNA) == []
    assert await kept(store, callbacks, "ended_at", "outcome") == [(NOW + 30, "missed")]
    assert await kept(store, contacts, "state", "callback", "callback_agent") == [("done", None, None)]


async def test_nor_when_it_was_claimed_before_or_fails_until_then(store: Outbound) -> None:
    await promised(store, until=NOW + 30)
    await store.claim(["a"], {Kind.CALLBACK: 1}, NOW + 29, 1, agents=ANNA)
    assert (await store.take_turn(Turn(made=[attempt(1, callback=1)]), 1, NOW + 30)).unclaimed == ("00000100000001",)
    assert await kept(store, callbacks, "ended_at", "outcome") == [(NOW + 30, "missed")]
    await promised(store, until=NOW + 40)
    one = await made(store, 2, NOW + 35, Kind.CALLBACK)
    await settle(store, Settled(one.attempt, AttemptOutcome.FAILED, NOW + 36, Again(NOW + 96)))
    assert (await kept(store, callbacks, "outcome"))[1:] == [("missed",)]
    assert await kept(store, contacts, "state", "due_at", "callback") == [("due", NOW + 96, None)]


@pytest.mark.parametrize("before", ["new", "promised"])
async def test_what_was_claimed_for_another_promise_or_none_is_given_back(store: Outbound, before: str) -> None:
    callback = await promised(store) if before == "promised" else None
    await store.claim(["a"], dict.fromkeys(Kind, 1), NOW, 1, agents=ANNA)
    if before == "promised":
        assert await store.ask(promises.cancel, 1, NOW + 1)
    else:
        assert await store.ask(promises.promise, 1, NOW + 900, "anna", NOW + 1) == 1
    assert (await store.take_turn(Turn(made=[attempt(1, callback=callback)]), 1, NOW + 2)).unclaimed == (
        "00000100000001",
    )
    left = ("done", None, None, None) if before == "promised" else ("due", NOW + 900, 1, None)
    assert await kept(store, contacts, "state", "due_at", "callback", "claimed_epoch") == [left]


@pytest.mark.parametrize("until", [None, NOW + 60, NOW + 9_000])
@pytest.mark.parametrize("before", ["new", "promised"])
async def test_a_promise_made_while_the_contact_is_at_hand_outlives_that_it_is_given_back(
    store: Outbound, before: str, until: float | None
) -> None:
    """As it was, or because the gate refused it until then."""
    if before == "promised":
        await promised(store)
    await store.claim(["a"], dict.fromkeys(Kind, 1), NOW, 1, agents=ANNA)
    made = await store.ask(promises.promise, 1, NOW + 900, "ben", NOW + 1)
    contact = of.contact_of(await store.look(of.one, 1))
    said = {} if until is None else {1: (Refused("number_day", NOW + 2), contact)}
    await store.take_turn(Turn(releases=[(1, until)], refused=said), 1, NOW + 2)
    assert await kept(store, contacts, "state", "due_at", "callback", "refused") == [("due", NOW + 900, made, None)]
    assert await store.claim(["a"], dict.fromkeys(Kind, 1), NOW + 899, 1, agents=ANNA) == []
    assert [one.claimed.callback for one in await store.claim(["a"], {Kind.QUEUE_CALLBACK: 1}, NOW + 900, 1)] == [made]


@pytest.mark.parametrize("until", [None, NOW + 60])
async def test_a_promise_taken_back_while_the_contact_is_at_hand_is_not_dialled_after_it_is_given_back(
    store: Outbound, until: float | None
) -> None:
    callback = await promised(store)
    await store.claim(["a"], dict.fromkeys(Kind, 1), NOW, 1, agents=ANNA)
    assert await store.ask(promises.cancel, 1, NOW + 1)
    await store.take_turn(Turn(releases=[(1, until)]), 1, NOW + 2)
    assert await kept(store, contacts, "state", "due_at", "callback", "claimed_epoch") == [("done", None, None, None)]
    made = attempt(1, callback=callback)
    assert (await store.take_turn(Turn(made=[made]), 1, NOW + 3)).unclaimed == (made.attempt,)
    assert await store.claim(["a"], dict.fromkeys(Kind, 1), NOW + 999, 1, agents=ANNA) == []


async def test_who_has_no_number_left_is_not_waited_for_with_a_callback(store: Outbound) -> None:
    await promised(store)

    def spoil(connection: sa.Connection) -> None:
        connection.execute(sa.update(contact_numbers).values(state="bad"))

    await store.ask(spoil)
    assert await store.claim(["a"], {Kind.CALLBACK: 1}, NOW, 1, agents=ANNA) == []
    assert await kept(store, contacts, "state", "callback", "callback_agent") == [("blocked", None, None)]
    assert await kept(store, callbacks, "ended_at", "outcome") == [(NOW, "missed")]


async def test_the_latest_attempt_is_the_last_one_whatever_life_made_it(store: Outbound) -> None:
    await store.ask(of.add, "a", [NewContact([NewNumber("+49301230001")])], NOW)
    # A life that began without the database has a high number
    await store.claim(["a"], {Kind.NEW: 1}, NOW, 950_000)
    await store.take_turn(Turn(made=[attempt(1, epoch=950_000)]), 950_000, NOW)
    await store.claim(["a"], {Kind.NEW: 1}, NOW + 90, 8)
    await store.take_turn(Turn(made=[attempt(1, epoch=8, contact=2, number="+49301230001")]), 8, NOW + 90)
    assert await store.latest() == NOW + 90
