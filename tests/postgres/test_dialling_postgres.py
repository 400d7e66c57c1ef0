"""The cases of dialling_cases.py on PostgreSQL, and a server that is frozen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import psycopg
import pytest
from dialling_cases import *  # noqa: F403
from dialling_cases import NOW, claimed, ended, made, sealed
from storekit import Database

from acd.domain.campaigns import AttemptOutcome
from acd.domain.errors import StoreError
from acd.lab.postgres import LabPostgres
from acd.outbound import words as say
from acd.outbound.storing import Shelf
from acd.store.outbound import contacts, listed
from acd.store.outbound.contacts import NewContact, NewNumber
from acd.store.outbound.outbound import Outbound


@contextlib.contextmanager
def frozen(server: LabPostgres) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


async def one_contact(store: Outbound, shelf: Shelf) -> say.Ready:
    await store.ask(listed.create, "a", "test", NOW)
    await store.ask(contacts.add, "a", [NewContact([NewNumber("+49301230000")])], NOW)
    (one,) = (await claimed(shelf)).found or ()
    return one


def given_up(one: say.Ready) -> say.Batch:
    """What is said of an attempt of which nobody knows whether it was committed."""
    over = ended("00000100000001", AttemptOutcome.FAILED, NOW + 1, due_s=NOW + 61, number=one.piece.number)
    return say.Batch(ended=(over,), releases=((one.contact.contact, None),))


async def test_a_frozen_server_is_away_for_whoever_waits_for_it(database: Database, server: LabPostgres) -> None:
    store = Outbound(database.url, sealed, query_s=0.5)
    shelf = Shelf(store, sealed)
    one = await one_contact(store, shelf)
    with frozen(server):
        async with asyncio.timeout(30):
            with pytest.raises(StoreError):
                await shelf.take(say.Batch(made=(made("00000100000001", one),)), 1, NOW)
            with pytest.raises(StoreError):
                await claimed(shelf)
    assert await shelf.take(given_up(one), 1, NOW + 1) == say.Written()
    assert await store.left_open() == []
    assert (await store.look(contacts.one, 1))["state"] in ("new", "due")
    await store.close()


async def test_a_turn_that_was_given_up_and_is_committed_late_is_waited_for(database: Database) -> None:
    store = Outbound(database.url, sealed)
    shelf = Shelf(store, sealed)
    one = await one_contact(store, shelf)
    plain = database.url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as looks, psycopg.connect(plain) as late:
        late.execute("SELECT contact FROM contacts WHERE contact = 1 FOR UPDATE")
        late.execute(
            "INSERT INTO attempts (attempt, campaign, list, contact, position, number, mode, caller_id, trunk, node, "
            "committed_at, facts) VALUES ('00000100000001', 'win', 'a', 1, 0, '+49301230000', 'power', '+4930', 'out', "
            "'pbx', now(), '{}')"
        )
        settling = asyncio.create_task(shelf.take(given_up(one), 1, NOW + 1))
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        async with asyncio.timeout(30):
            while looks.execute(waits).fetchone() is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        late.commit()
    assert await settling == say.Written()
    assert await store.left_open() == []
    assert (await store.look(contacts.one, 1))["state"] == "due"
    await store.close()
