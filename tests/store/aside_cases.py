"""A batch of which a real database refuses something for good: the rest is stored, and that is set aside."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dialling_cases import NOW, WINDOW, claimed, ended, made, sealed
from storekit import Database

from acd.domain.campaigns import AttemptOutcome
from acd.domain.errors import StoreError
from acd.outbound import words as say
from acd.outbound.asidefile import FILE, AsideFile
from acd.outbound.storing import Shelf
from acd.records.traces import SET_ASIDE
from acd.store.outbound import contacts, listed
from acd.store.outbound.contacts import NewContact, NewNumber
from acd.store.outbound.outbound import Outbound

NO_TEXT = "\udcff"
"""Nothing that is UTF-8."""
NO_NUMBER = 2**70


@pytest.fixture(params=[False, True], ids=["plain", "hashed"])
async def store(database: Database, request: pytest.FixtureRequest) -> AsyncIterator[Outbound]:
    found = Outbound(database.url, sealed, hashed=request.param)
    await found.ask(listed.create, "a", "test", NOW)
    new = [NewContact([NewNumber(f"+493012300{n:02}")], name=f"P{n}") for n in range(8)]
    await found.ask(contacts.add, "a", new, NOW)
    yield found
    await found.close()


def shelf_of(store: Outbound, folder: Path, *, hashed: bool = False) -> Shelf:
    return Shelf(store, sealed, aside=AsideFile(folder / FILE, sealed if hashed else None))


def kept(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


async def test_all_but_what_is_refused_for_good_is_stored(store: Outbound, tmp_path: Path) -> None:
    hashed = store._hashed
    shelf = shelf_of(store, tmp_path, hashed=hashed)
    people = (await claimed(shelf)).found or ()
    first = tuple(made(f"0000010000000{n}", one) for n, one in enumerate(people[:3], 1))
    assert (await shelf.take(say.Batch(made=first), 1, NOW)).recorded == tuple(one.attempt for one in first)
    good, bad = (
        ended("00000100000001", AttemptOutcome.BUSY, NOW + 2),
        ended("00000100000002", AttemptOutcome.BUSY, NOW + 2),
    )
    batch = say.Batch(
        progress=(("00000100000003", {"rang_at": NOW + 1}), ("00000100000002", {"agent": NO_TEXT})),
        opt_outs=(
            say.OptOut("+4930999", "all", "00000000000001", NOW),
            say.OptOut("+4930998", f"client:{NO_TEXT}", "00000000000002", NOW),
        ),
        ended=(good, replace(bad, cause=NO_NUMBER)),
        releases=((people[3].contact.contact, None), (people[4].contact.contact, 1e20)),
        blocks=((people[5].contact.contact, True), (NO_NUMBER, True)),
        made=(made("00000100000004", people[6]), replace(made("00000100000005", people[7]), caller_id=NO_TEXT)),
        ledgers={"win": (WINDOW,), "other": (replace(WINDOW, span=NO_TEXT),)},
    )
    written = await shelf.take(batch, 1, NOW + 3)
    assert (written.recorded, written.refused, written.unclaimed) == (("00000100000004",), (), ())
    aside = written.aside
    assert aside is not None
    assert aside.what == say.Batch(
        batch.progress[1:], batch.opt_outs[1:], batch.ended[1:], batch.releases[1:], batch.blocks[1:], batch.made[1:],
        {"other": batch.ledgers["other"]},
    )  # fmt: skip
    assert aside.where == f"it is in {tmp_path / FILE}"
    assert {one.attempt for one in await store.left_open()} == {f"0000010000000{n}" for n in (2, 3, 4)}
    states = [(await store.look(contacts.one, one.contact.contact))["state"] for one in people]
    assert states == ["done", "in_flight", "in_flight", "new", "in_flight", "done", "in_flight", "in_flight"]
    (window,) = await store.ledger("win")
    assert (window.answered, window.in_flight) == (5.0, 3)
    (number,) = {name for name, why in zip(("+4930999", "+4930998"), await barred(store), strict=True) if why}
    assert number == "+4930999"
    # For a person to look at, for nobody else, and no number in it where none is to be kept
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    lines = kept(tmp_path)
    assert [line["what"] for line in lines] == ["progress", "opt_outs", "ended", "releases", "blocks", "made"]
    assert {line["at"] for line in lines} == {NOW + 3}
    number = people[7].piece.number
    assert lines[-1]["row"]["number"] == (sealed(number) if hashed else number)
    # Erasures and retention see it
    assert any(Path(FILE).match(pattern) for pattern in SET_ASIDE)


async def barred(store: Outbound) -> list[tuple[str, ...]]:
    return await store.barred([("+4930999", ["+4930999"]), ("+4930998", ["+4930998"])], ("all",), NOW + 4)


async def test_attempts_are_noted_as_charged_by_ledgers_that_are_stored(store: Outbound, tmp_path: Path) -> None:
    shelf, charged = shelf_of(store, tmp_path), (("00000100000001", "win"), ("00000100000002", "other"))
    ledgers = {"win": (WINDOW,), "other": (replace(WINDOW, span=NO_TEXT),)}
    written = await shelf.take(say.Batch(ledgers=ledgers, charged=charged), 1, NOW)
    assert written.aside is not None
    assert AsideFile(tmp_path / FILE).charged() == {"00000100000001"}
    await shelf.take(say.Batch(ledgers={"other": (WINDOW,)}, charged=charged[1:]), 1, NOW)
    assert AsideFile(tmp_path / FILE).charged() == {one for one, _ in charged}


async def test_no_attempt_is_made_of_a_campaign_whose_ledger_is_refused(store: Outbound, tmp_path: Path) -> None:
    shelf = shelf_of(store, tmp_path)
    one, other, *_ = (await claimed(shelf)).found or ()
    batch = say.Batch(
        made=(made("00000100000001", one), replace(made("00000100000002", other), campaign="other")),
        ledgers={"win": (replace(WINDOW, span=NO_TEXT),), "other": (WINDOW,)},
    )
    written = await shelf.take(batch, 1, NOW)
    assert written.recorded == ("00000100000002",)
    assert written.aside is not None
    assert written.aside.what == say.Batch(made=batch.made[:1], ledgers={"win": batch.ledgers["win"]})
    assert [one.attempt for one in await store.left_open()] == ["00000100000002"]


async def test_rows_with_one_key_are_refused_but_for_the_first(store: Outbound, tmp_path: Path) -> None:
    shelf = shelf_of(store, tmp_path)
    first, second, *_ = (await claimed(shelf)).found or ()
    batch = say.Batch(made=(made("00000100000001", first), made("00000100000001", second)))
    written = await shelf.take(batch, 1, NOW)
    assert written.recorded == ("00000100000001",)
    assert written.aside is not None
    assert written.aside.what.made == batch.made[1:]


async def test_what_is_no_refusal_is_an_outage(store: Outbound, tmp_path: Path, database: Database) -> None:
    shelf = shelf_of(store, tmp_path)
    (first, *_) = (await claimed(shelf)).found or ()
    await store.ask(lambda connection: connection.exec_driver_sql("DROP TABLE campaign_ledgers"))
    with pytest.raises(StoreError, match="cannot be used now"):
        await shelf.take(say.Batch(made=(made("00000100000001", first),), ledgers={"win": (WINDOW,)}), 1, NOW)
    assert not (tmp_path / FILE).is_file()
    assert await store.left_open() == []
