"""Callbacks as the service dials them: kept only by a call, told to the agent, whole after whatever came between."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from acd.domain import outbound as wire
from acd.domain.campaigns import CampaignState
from acd.outbound import core
from acd.store.outbound import callbacks, contacts
from acd.store.outbound.contacts import NewContact, NewNumber
from outbound.dialkit import NODE, campaign
from outbound.test_runtime import NOON, Stand, clock, definition, stand  # noqa: F401

PROMISED = "SELECT outcome, attempt FROM callbacks"


async def test_a_promise_outlives_an_attempt_that_was_never_dialled(stand: Stand) -> None:  # noqa: F811
    await stand.shelf._store.ask(callbacks.promise, 1, NOON - 10, "anna", NOON - 20, agent="a0")
    stand.hall.idle = 1
    await stand.up()
    stand.shelf.hold = asyncio.Event()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: stand.rows("SELECT callback FROM attempts") == [(1,)])
    await stand.dialling.set_state("win", CampaignState.PAUSED, "anna", "")
    hold, stand.shelf.hold = stand.shelf.hold, None
    hold.set()
    await stand.until(lambda: stand.rows("SELECT outcome FROM attempts") == [("withdrawn",)])
    assert stand.sent == []
    assert stand.rows(PROMISED) == [(None, None)]
    mine = "SELECT state, callback, callback_agent FROM contacts WHERE contact = 1"
    assert stand.rows(mine) == [("due", 1, "a0")]


async def test_a_pause_in_the_moment_of_the_record_costs_nobody_an_attempt(
    stand: Stand,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everybody may be called once a day, and is."""
    monkeypatch.setattr(core, "SOON_S", 0.0)
    rules = replace(campaign().rules, number_day=1, contact_day=1)
    stand.dialling.follow(definition(rules=rules))
    await stand.up()
    stand.shelf.hold = asyncio.Event()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: stand.rows("SELECT count(*) FROM attempts") == [(3,)])
    await stand.dialling.set_state("win", CampaignState.PAUSED, "anna", "")
    hold, stand.shelf.hold = stand.shelf.hold, None
    hold.set()
    await stand.until(lambda: stand.rows("SELECT count(*) FROM attempts WHERE outcome = 'withdrawn'") == [(3,)])
    assert stand.sent == []
    book = stand.dialling.core.runners["win"].book
    assert (book.ledger.in_flight, book.slack(clock().utc).charged) == (0, 0.0)
    assert stand.rows("SELECT DISTINCT state FROM contacts WHERE contact <= 3") == [("due",)]
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: len(stand.sent) == 3)
    dialled = "SELECT contact FROM attempts WHERE outcome IS NULL ORDER BY contact"
    assert stand.rows(dialled) == [(1,), (2,), (3,)]


async def test_the_agent_is_told_what_was_promised_and_whom_to_ask_for(stand: Stand) -> None:  # noqa: F811
    new = [NewContact([NewNumber("+49891000000", extension="56")], zone="UTC")]
    first = await stand.shelf._store.ask(contacts.add, "a", new, NOON)
    await stand.shelf._store.ask(
        callbacks.promise, first, NOON - 10, "anna", NOON - 20, agent="a0", note="about the offer"
    )
    stand.hall.idle = 1
    await stand.up()
    await stand.dialling.set_state("win", CampaignState.RUNNING, "anna", "")
    await stand.until(lambda: stand.sent)
    (command,) = stand.sent
    assert isinstance(command, wire.PlaceAttempt)
    at, attempt = clock().utc, command.attempt
    stand.dialling.tell(wire.AttemptPlaced(at, NODE, attempt, 0.01))
    stand.dialling.tell(wire.AttemptAnswered(at, NODE, attempt, "x"))
    reply = stand.dialling.asked(wire.AttemptAsked(at, NODE, attempt, attempt, "x", attempt, wire.Verdict.PERSON))
    assert isinstance(reply, wire.Connect)
    told = {key: reply.arrived.variables[key] for key in ("callback_agent", "callback_note", "extension")}
    assert told == {"callback_agent": "a0", "callback_note": "about the offer", "extension": "56"}
    stand.dialling.tell(wire.AttemptOver(at + 1, NODE, attempt, None, 16, "", True))
    await stand.until(lambda: stand.rows(PROMISED) == [("kept", attempt)])
