"""What dialling asks of the store, on a real database: turns, what a killed life left, the evidence."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from storekit import Database

from acd.dialer.gate import Terms
from acd.dialer.retry import Other
from acd.dialer.rules import PROFILES
from acd.dialer.work import Kind
from acd.domain import dialable
from acd.domain.campaigns import AttemptOutcome, CallerIds, Campaign, CampaignState, GivenUp, Mode, Trunk
from acd.domain.definition import FloorDefinition
from acd.domain.detection import Detected
from acd.domain.dialrules import ShortCalls
from acd.domain.errors import RefusedError, StoreError
from acd.outbound import words as say
from acd.outbound.storing import Shelf, terms_of
from acd.store.outbound import attempts, callbacks, contacts, donotcall, listed, optouts, replacing, tables, work
from acd.store.outbound.contacts import NewContact, NewNumber
from acd.store.outbound.evidence import evidence, label_of, names
from acd.store.outbound.outbound import Outbound

NOW = 1_710_928_800.0
CAMPAIGN = Campaign("win", Mode.POWER, "sales", "out", "own", PROFILES["us"].rules, lists=("a",))
FLOOR = FloorDefinition(
    {},
    {},
    {},
    campaigns={"win": CAMPAIGN},
    trunks={"out": Trunk("out", "PJSIP/{number}@carrier")},
    caller_ids={"own": CallerIds("own", ("+4930555100",))},
)
(TERMS,) = terms_of(FLOOR)
EVERY = dict.fromkeys(Kind, 10)


def sealed(number: str) -> str:
    return f"hmac:{number[::-1]}"


@pytest.fixture(params=[False, True], ids=["plain", "hashed"])
async def store(database: Database, request: pytest.FixtureRequest) -> AsyncIterator[Outbound]:
    found = Outbound(database.url, sealed, hashed=request.param)
    await found.ask(listed.create, "a", "test", NOW)
    new = [NewContact([NewNumber(f"+493012300{n:02}"), NewNumber(f"+493099900{n:02}")], name=f"P{n}") for n in range(6)]
    await found.ask(contacts.add, "a", new, NOW)
    yield found
    await found.close()


def made(attempt: str, one: say.Ready) -> say.Made:
    return say.Made(
        attempt,
        "win",
        one.contact.contact,
        one.piece.number,
        "power",
        "+4930555100",
        "out",
        "pbx",
        None,
        None,
        {"x": 1},
        one.contact,
    )


def ended(attempt: str, outcome: AttemptOutcome, at: float, **more: object) -> say.Ended:
    return replace(say.Ended(attempt, outcome, at, None), **more)  # type: ignore[arg-type]


WINDOW = say.Counted("campaign", 0, 5.0, 1.0, 0.0, 2.0, 3)


async def claimed(shelf: Shelf, epoch: int = 1, at: float = NOW, terms: Terms = TERMS) -> say.Claimed:
    return await shelf.claim(say.Claim("win", EVERY, ()), terms, epoch, at)


async def test_a_turn_makes_durable_what_came_together(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    found = (await claimed(shelf)).found
    assert found is not None
    assert [one.contact.name for one in found] == [f"P{n}" for n in range(6)]
    assert found[0].zones == {"+49301230000": ("Europe/Berlin",)}
    first, second, third, fourth, fifth, sixth = found
    batch = say.Batch(
        opt_outs=(say.OptOut(sixth.piece.number, "all", "00000100000000", NOW),),
        releases=((third.contact.contact, None), (fourth.contact.contact, NOW + 60)),
        blocks=((fifth.contact.contact, False),),
        made=tuple(made(f"0000010000000{n}", one) for n, one in enumerate((first, second, sixth), 1)),
        ledgers={"win": (WINDOW,)},
    )
    written = await shelf.take(batch, 1, NOW)
    # Who has opted out in the same moment is not dialled
    assert written == say.Written(("00000100000001", "00000100000002"), ("00000100000003",))
    again = (await claimed(shelf, at=NOW + 61)).found
    assert again is not None
    assert {one.contact.contact: one.piece.kind for one in again} == {
        third.contact.contact: Kind.NEW,
        fourth.contact.contact: Kind.RETRY,
    }
    settled = say.Batch(
        progress=(("00000100000002", {"answered_at": NOW + 3, "agent": "ann", "call": "c1"}),),
        ended=(ended("00000100000001", AttemptOutcome.BUSY, NOW + 2, due_s=NOW + 900, number=first.piece.number),),
    )
    assert await shelf.take(settled, 1, NOW + 4) == say.Written()
    # Said twice, it does nothing the second time
    assert await shelf.take(settled, 1, NOW + 4) == say.Written()
    (left,) = await store.left_open()
    assert (left.attempt, left.agent, left.answered_at) == ("00000100000002", "ann", NOW + 3)
    assert await store.latest() == NOW
    (one,) = [
        one for one in (await claimed(shelf, at=NOW + 901)).found or () if one.contact.contact == first.contact.contact
    ]
    assert one.tried == (say.Tried(first.piece.number, AttemptOutcome.BUSY),)
    assert (one.number_attempts, one.number_s, one.contact_s) == (1, (NOW,), (NOW,))


async def test_an_attempt_of_another_life_s_contact_is_not_recorded(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    found = (await claimed(shelf)).found
    assert found is not None
    written = await shelf.take(say.Batch(made=(made("00000200000001", found[0]),)), 2, NOW)
    assert written == say.Written(unclaimed=("00000200000001",))


def _edited(connection: sa.Connection, how: str) -> None:
    again = NewContact([NewNumber("+49301230000"), NewNumber("+49309990000")], name="P0", consent_until=NOW - 60)
    match how:
        case "import":
            contacts.update_from(connection, 1, again, NOW + 1)
        case "replace":
            replacing.carry(connection, {1: again}, 7, NOW + 1)
        case "zone":
            contacts.edit(connection, 1, {"zone": "UTC"}, NOW + 1)
        case "country":
            contacts.edit(connection, 1, {"country": "FR"}, NOW + 1)
        case "best":
            contacts.edit(connection, 1, {"best_from": 0, "best_to": 60}, NOW + 1)
        case "number":
            place = tables.contact_numbers.c.contact == 1, tables.contact_numbers.c.position == 0
            connection.execute(sa.update(tables.contact_numbers).where(*place).values(state="bad"))
        case "name":
            contacts.edit(connection, 1, {"name": "Ann", "fields": {"a": "b"}}, NOW + 1)


@pytest.mark.parametrize("how", ["import", "replace", "zone", "country", "best", "number", "name"])
async def test_whoever_was_changed_since_he_was_claimed_is_judged_anew_before_he_is_dialled(
    store: Outbound, how: str
) -> None:
    shelf = Shelf(store, sealed)
    first, second, *_ = (await claimed(shelf)).found or ()
    await store.ask(_edited, how)
    both = say.Batch(made=(made("00000100000001", first), made("00000100000002", second)))
    written = await shelf.take(both, 1, NOW + 2)
    if how == "name":
        # Nobody is dialled for another reason by that
        assert written == say.Written(("00000100000001", "00000100000002"))
        return
    assert written == say.Written(("00000100000002",), changed=("00000100000001",))
    assert [one.attempt for one in await store.left_open()] == ["00000100000002"]
    # Given back as he was, he is read anew
    (again,) = (await claimed(shelf, at=NOW + 2)).found or ()
    assert (again.contact.contact, again.piece.kind) == (1, Kind.NEW)
    assert again.contact != first.contact
    if how == "number":
        assert again.piece.number == "+49309990000"
    later = say.Batch(made=(made("00000100000003", again),))
    assert await shelf.take(later, 1, NOW + 3) == say.Written(("00000100000003",))


async def test_a_promise_taken_back_ends_the_work_also_of_who_was_changed(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    await store.ask(callbacks.promise, 1, NOW, "bob", NOW)
    (one,) = [found for found in (await claimed(shelf)).found or () if found.contact.contact == 1]
    await store.ask(callbacks.cancel, 1, NOW + 1)
    await store.ask(contacts.edit, 1, {"zone": "UTC"}, NOW + 1)
    batch = say.Batch(made=(replace(made("00000100000001", one), callback=one.callback),))
    assert await shelf.take(batch, 1, NOW + 2) == say.Written(unclaimed=("00000100000001",))
    assert (await store.look(contacts.one, 1))["state"] == "done"


def off(one: say.Ready, reason: str, at: float = NOW) -> dict[int, say.Refused]:
    return {one.contact.contact: say.Refused(reason, at, one.contact)}


async def stands(store: Outbound, contact: int = 1) -> tuple[str, float | None, str | None]:
    row = await store.look(contacts.one, contact)
    return row["state"], row["due_at"], row["refused"]


LATER = NOW + 36_000.0


@pytest.mark.parametrize("how", ["import", "replace", "zone", "country", "best", "name"])
async def test_whoever_was_put_off_is_due_at_once_when_what_was_judged_has_changed(store: Outbound, how: str) -> None:
    shelf = Shelf(store, sealed)
    first, *_ = (await claimed(shelf)).found or ()
    await shelf.take(say.Batch(releases=((1, LATER),), refused=off(first, "hours")), 1, NOW)
    assert await stands(store) == ("due", LATER, "hours")
    await store.ask(_edited, how)
    assert await stands(store) == (("due", LATER, "hours") if how == "name" else ("due", NOW + 1, None))


@pytest.mark.parametrize("how", ["import", "replace"])
async def test_the_same_row_once_more_leaves_who_is_put_off_as_he_is(store: Outbound, how: str) -> None:
    shelf = Shelf(store, sealed)
    first, *_ = (await claimed(shelf)).found or ()
    await shelf.take(say.Batch(releases=((1, LATER),), refused=off(first, "hours")), 1, NOW)
    again = NewContact([NewNumber("+49301230000"), NewNumber("+49309990000")], name="Other")
    if how == "import":
        await store.ask(contacts.update_from, 1, again, NOW + 1)
    else:
        await store.ask(replacing.carry, {1: again}, 7, NOW + 1)
    assert (await store.look(contacts.one, 1))["name"] == "Other"
    assert await stands(store) == ("due", LATER, "hours")


@pytest.mark.parametrize("how", ["edit", "import", "replace"])
@pytest.mark.parametrize("why", ["consent", "do_not_call", "person", "opt_out"])
async def test_a_block_of_the_gate_s_own_is_lifted_by_what_lifts_its_reason(
    store: Outbound, how: str, why: str
) -> None:
    shelf = Shelf(store, sealed)
    first, *_ = (await claimed(shelf)).found or ()
    reason = why if why in ("consent", "do_not_call") else "consent"
    await shelf.take(say.Batch(blocks=((1, False),), refused=off(first, reason)), 1, NOW)
    assert await stands(store) == ("blocked", None, reason)
    if why == "person":
        await store.ask(contacts.set_state, 1, contacts.State.BLOCKED, NOW)
    elif why == "opt_out":
        await store.ask(optouts.block, [1], NOW)
    again = NewContact([NewNumber("+49301230000"), NewNumber("+49309990000")], name="P0", consent_at=NOW - 60)
    if how == "edit":
        await store.ask(contacts.edit, 1, {"consent_at": NOW - 60}, NOW + 1)
    elif how == "import":
        await store.ask(contacts.update_from, 1, again, NOW + 1)
    else:
        await store.ask(replacing.carry, {1: again}, 7, NOW + 1)
    assert (await stands(store))[0] == ("new" if why == "consent" else "blocked")


@pytest.mark.parametrize("block", [False, True], ids=["put off", "blocked"])
async def test_a_verdict_on_what_has_changed_since_is_none(store: Outbound, *, block: bool) -> None:
    shelf = Shelf(store, sealed)
    first, second, *_ = (await claimed(shelf)).found or ()
    await store.ask(contacts.edit, 1, {"zone": "UTC", "consent_at": NOW - 60}, NOW + 1)
    said = off(first, "hours") | off(second, "hours")
    if block:
        await shelf.take(say.Batch(blocks=((1, False), (2, False)), refused=said), 1, NOW + 2)
    else:
        await shelf.take(say.Batch(releases=((1, LATER), (2, LATER)), refused=said), 1, NOW + 2)
    assert await stands(store) == ("new", None, None)
    assert await stands(store, 2) == (("blocked", None, "hours") if block else ("due", LATER, "hours"))


async def test_a_promise_to_who_was_put_off_is_not_brought_forward(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    first, *_ = (await claimed(shelf)).found or ()
    await shelf.take(say.Batch(releases=((1, LATER),), refused=off(first, "hours")), 1, NOW)
    await store.ask(callbacks.promise, 1, LATER + 60, "bob", NOW + 1)
    await store.ask(contacts.edit, 1, {"zone": "UTC"}, NOW + 2)
    assert await stands(store) == ("due", LATER + 60, None)


async def test_whoever_was_put_off_by_rules_that_are_others_now_is_claimed_again(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    first, second, third, fourth, *_ = (await claimed(shelf)).found or ()
    ids = [one.contact.contact for one in (first, second, third, fourth)]
    # The last one by a clock that was ahead by hours
    said = off(first, "hours") | off(second, "number_week") | off(third, "trunk") | off(fourth, "trunk", NOW + 9000)
    await shelf.take(say.Batch(releases=tuple((one, LATER) for one in ids), refused=said), 1, NOW)
    assert not (await claimed(shelf)).found
    for anew, rules, wanted in ((True, False, {ids[3]}), (False, True, {ids[0], ids[1]})):
        found = (await shelf.claim(say.Claim("win", EVERY, (), anew, rules), TERMS, 1, NOW + 1)).found
        assert {one.contact.contact for one in found or ()} == wanted
    assert await stands(store, ids[2]) == ("due", LATER, "trunk")


def _unblock_two(connection: sa.Connection, after: int) -> int | None:
    return work.unblock(connection, "a", after, most=2)


async def test_whoever_was_blocked_by_rules_that_are_others_now_is_claimed_again(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    people = (await claimed(shelf)).found or ()
    words = ("consent", "place_unknown", "do_not_call", "consent", "consent")
    said: dict[int, say.Refused] = {}
    for one, word in zip(people, words, strict=False):
        said |= off(one, word)
    ids = [one.contact.contact for one in people[:5]]
    await shelf.take(say.Batch(blocks=tuple((one, False) for one in ids), refused=said), 1, NOW)
    # Of these, one was blocked by hand since, and one opted out
    await store.ask(contacts.set_state, ids[3], contacts.State.BLOCKED, NOW)
    await store.ask(optouts.block, [ids[4]], NOW)
    assert not {one.contact.contact for one in (await claimed(shelf)).found or ()} & set(ids)
    found = (await shelf.claim(say.Claim("win", EVERY, (), True, True), TERMS, 1, NOW + 1)).found or ()
    assert {one.contact.contact for one in found} & set(ids) == {ids[0], ids[1]}
    assert [(await stands(store, one))[::2] for one in ids[2:]] == [
        ("blocked", "do_not_call"),
        ("blocked", None),
        ("blocked", None),
    ]


async def test_a_long_list_is_looked_through_piece_by_piece_for_whom_rules_blocked(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    people = (await claimed(shelf)).found or ()
    ids = sorted(one.contact.contact for one in people)
    said = {contact: one for two in people for contact, one in off(two, "consent").items()}
    await shelf.take(say.Batch(blocks=tuple((one, False) for one in ids), refused=said), 1, NOW)
    last: int | None = 0
    seen = []
    while last is not None:
        last = await store.ask(_unblock_two, last)
        seen.append(last)
    assert seen == [*ids[1::2], None]
    assert {(await stands(store, one))[0] for one in ids} == {"new"}


BERLIN = say.Place(("Europe/Berlin",), None, None)
PASSED = frozenset(
    {
        BERLIN,
        say.Place(("Europe/Vienna",), "AT", None),
        say.Place(("Europe/Moscow",), None, None),
        # Of numbers whose prefix alone tells, as Germany's
        say.Place(dialable.zones("+493055512340"), "DE", "BY"),
    }
)


async def test_new_contacts_at_places_that_are_shut_are_passed_over_and_stay_new(store: Outbound) -> None:
    number = "+4930555123{}".format
    here = NewContact([NewNumber(number(41), zone="Europe/Moscow")], zone="Asia/Tokyo", rank=2)
    people = {
        "b": [
            NewContact([NewNumber(number(1))], zone="Europe/Berlin"),
            NewContact([NewNumber(number(2))], zone="Europe/Berlin", country="DE"),
            NewContact([NewNumber(number(3), zone="Europe/Moscow")]),
            NewContact([NewNumber(number(4))], country="DE", region="BY"),
            NewContact([NewNumber(number(5))], country="DE", region="BE", rank=-1),
        ],
        "c": [here, *(NewContact([NewNumber(number(10 + n))], zone="Europe/Vienna", country="AT") for n in range(9))],
    }
    for name, new in people.items():
        await store.ask(listed.create, name, "test", NOW)
        await store.ask(contacts.add, name, new, NOW)
    shelf, terms = Shelf(store, sealed), replace(TERMS, campaign=replace(CAMPAIGN, lists=("b", "gone", "c")))
    wish = say.Claim("win", EVERY, (), shut=PASSED)
    found = await shelf.claim(wish, terms, 1, NOW)
    # By the contact's own zone, else the number's, else the prefix; by rank
    assert [one.piece.number for one in found.found or ()] == [number(5), number(2), number(41)]
    assert (dict(found.past), found.more) == ({"b": (0, 10), "c": (2, 12)}, False)
    states = {row["state"] for row in await store.look(contacts.rows_of, list(range(7, 22)))}
    assert states == {"new", "in_flight"}
    # From there on; who comes later is found
    await store.ask(contacts.add, "b", [NewContact([NewNumber(number(60))], country="DE")], NOW)
    again = await shelf.claim(replace(wish, past=found.past), terms, 1, NOW)
    assert [one.piece.number for one in again.found or ()] == [number(60)]
    only = {**dict.fromkeys(Kind, 0), Kind.RETRY: 5}
    found = await shelf.claim(replace(wish, wanted=only, past=again.past), terms, 1, NOW)
    assert (found.found, found.past) == ((), again.past)
    # Without places all of them
    assert len((await shelf.claim(replace(wish, shut=frozenset()), terms, 1, NOW)).found or ()) == 10


async def test_a_list_is_looked_through_for_people_elsewhere_in_pieces(
    store: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "SEARCHED", 4)
    monkeypatch.setattr(work, "SEARCHED_MOST", 10)
    await store.ask(listed.create, "b", "test", NOW)
    new = [NewContact([NewNumber(f"+49305551{n:03}")], zone="Europe/Berlin", rank=n // 7) for n in range(23)]
    new += [NewContact([NewNumber(f"+49305552{n:03}")], zone="UTC", rank=9) for n in range(6)]
    await store.ask(contacts.add, "b", new, NOW)
    shelf, terms = Shelf(store, sealed), replace(TERMS, campaign=replace(CAMPAIGN, lists=("b",)))
    wish = say.Claim("win", {**dict.fromkeys(Kind, 0), Kind.NEW: 4}, (), shut=frozenset({BERLIN}))
    seen = []
    for _ in range(5):
        found = await shelf.claim(wish, terms, 1, NOW)
        seen.append((len(found.found or ()), found.more))
        wish = replace(wish, past=found.past)
    assert seen == [(0, True), (0, True), (4, True), (2, False), (0, False)]


CLIENT = replace(TERMS, campaign=replace(CAMPAIGN, name="acme", client="acme", lists=("b",)))


@pytest.mark.parametrize("by", ["key", "agent", "register"])
async def test_who_has_opted_out_is_called_at_no_number_in_no_list(store: Outbound, by: str) -> None:
    shelf = Shelf(store, sealed)
    await store.ask(listed.create, "b", "test", NOW, client="acme")
    # The person of P0 by both numbers in another order, by one of them in another list; a stranger
    first, second = "+49301230000", "+49309990000"
    twins = [
        NewContact([NewNumber(second), NewNumber("+4930777")]),
        NewContact([NewNumber("+4930888"), NewNumber(first)]),
    ]
    await store.ask(contacts.add, "a", [*twins, NewContact([NewNumber("+4930666")])], NOW)
    await store.ask(contacts.add, "b", [NewContact([NewNumber("+4930555"), NewNumber(first)])], NOW)
    found = {one.contact.contact: one for one in (await claimed(shelf)).found or ()}
    assert len(found) == 9
    assert not any(one.do_not_call for one in found.values())
    await shelf.take(say.Batch(made=(made("00000100000001", found[1]),)), 1, NOW)
    if by == "key":
        said = say.Batch(opt_outs=(say.OptOut(first, "all", "00000100000001", NOW + 1),))
        await shelf.take(said, 1, NOW + 1)
    else:
        source = "contact:1" if by == "agent" else "register.csv"
        await store.ask(donotcall.add, [donotcall.Entry(first, "all", source, "", NOW + 1, "test")], sealed)
    over = ended("00000100000001", AttemptOutcome.OPTED_OUT, NOW + 2)
    # Claimed before, committed since
    batch = tuple(made(f"0000010000000{one}", found[one]) for one in (2, 8, 9))
    written = await shelf.take(say.Batch(ended=(over,), made=batch), 1, NOW + 2)
    kept = ("00000100000008",) if by != "register" else ()
    assert (written.refused, len(written.recorded)) == (kept, 3 - len(kept))
    # Read since, for another campaign, client and list
    (other,) = (await claimed(shelf, at=NOW + 3, terms=CLIENT)).found or ()
    assert other.do_not_call == (("all by the person's other number",) if by != "register" else ())
    # So is a stranger to the first number who has the second
    entries = await store.look(donotcall.held, second, sealed)
    assert [(one.scope, one.source) for one in entries] == ([("all", "attempt:00000100000001")] if by == "key" else [])
    # P0 itself is over, at its other number too
    state = (await store.look(contacts.one, 1))["state"]
    assert state == "blocked"


async def test_who_was_erased_is_picked_only_by_a_consent_since_or_where_it_is_said(store: Outbound) -> None:
    shelf, number = Shelf(store, sealed), "+493012399"
    await store.ask(donotcall.keep_away, number, sealed, NOW, "bob")
    with pytest.raises(RefusedError, match=r"who has \+493012399 was erased: --allow-erased"):
        await shelf.pick(number, TERMS, "ann", 1, NOW + 1)
    # Nothing of who may not come back was made
    assert [row["list"] for row in await store.look(listed.every)] == ["a"]
    assert await store.look(contacts.by_number, number) == []
    assert (await shelf.pick(number, TERMS, "ann", 1, NOW + 1, allow_erased=True)).do_not_call == ()
    assert await store.look(donotcall.erased, [number], sealed) == {}
    for agreed, consent_at, wanted in (("+493012497", NOW, False), ("+493012498", NOW + 1, True)):
        await store.ask(contacts.add, "a", [NewContact([NewNumber(agreed)], consent_at=consent_at)], NOW)
        await store.ask(donotcall.keep_away, agreed, sealed, NOW, "bob")
        picked = None
        with contextlib.suppress(RefusedError):
            picked = await shelf.pick(agreed, TERMS, "ann", 1, NOW + 2)
        assert (picked is not None) is wanted
        assert (agreed in await store.look(donotcall.erased, [agreed], sealed)) is not wanted


async def test_a_claim_that_fails_half_way_has_claimed_nobody(store: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise SQLAlchemyError("slow")

    with monkeypatch.context() as patched:
        patched.setattr(attempts, "histories", fails)
        with pytest.raises(StoreError, match="slow"):
            await claimed(Shelf(store, sealed))
    assert len((await claimed(Shelf(store, sealed), epoch=2)).found or ()) == 6


async def test_of_lists_with_nothing_due_is_told_when_something_will_be_and_which_are_not_there(
    store: Outbound,
) -> None:
    shelf = Shelf(store, sealed)
    first = await claimed(shelf)
    assert first.found
    assert (first.due_s, first.missing) == (None, ())
    await shelf.take(say.Batch(releases=((first.found[0].contact.contact, NOW + 900.0),)), 1, NOW)
    again = await claimed(shelf)
    assert (again.found, again.due_s, again.missing) == ((), NOW + 900.0, ())
    assert (await store.outlook(["nolist", "a", "nor this"])).missing == ("nolist", "nor this")
    # A promise of one agent's is one, too, whoever is there to keep it
    await store.ask(callbacks.promise, first.found[0].contact.contact, NOW + 300.0, "ann", NOW, agent="ann")
    assert (await store.outlook(["a"])).due_at == NOW + 300.0
    assert (await store.outlook([])).due_at is None


async def test_what_was_claimed_and_never_heard_of_is_given_back(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    found = (await claimed(shelf)).found
    assert found is not None
    await shelf.take(say.Batch(made=(made("00000100000001", found[0]),)), 1, NOW)
    assert await shelf.give_back(2, ()) == 0
    assert await shelf.give_back(1, {found[1].contact.contact}) == 4
    again = (await claimed(shelf)).found
    assert again is not None
    assert [one.contact for one in again] == [one.contact for one in found[2:]]


async def test_the_next_life_learns_what_the_killed_one_left(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    found = (await claimed(shelf)).found
    assert found is not None
    await shelf.set_state("win", CampaignState.RUNNING, "anna", "go", NOW)
    await shelf.save("win", {"began_s": NOW}, NOW + 1)
    one = found[0]
    await shelf.take(say.Batch(made=(made("00000100000001", one),), ledgers={"win": (WINDOW,)}), 1, NOW)
    next_shelf = Shelf(store, sealed)
    told = await next_shelf.begin(FLOOR, 2)
    remembered = say.Remembered("win", CampaignState.RUNNING, NOW, "anna", "go", {"began_s": NOW}, (WINDOW,), NOW)
    left = say.Left("00000100000001", "win", one.contact, one.contact.contact, one.piece.number, "pbx", "out", NOW)
    assert told == [remembered, left]
    again = (await claimed(next_shelf, 2)).found
    assert again is not None
    # All that were claimed, but not the one who may have been dialled
    assert {ready.contact.contact for ready in again} == {ready.contact.contact for ready in found[1:]}


async def test_an_empty_batch_asks_whether_the_store_is_there(store: Outbound, database: Database) -> None:
    shelf = Shelf(store, sealed)
    assert await shelf.take(say.Batch(), 1, NOW) == say.Written()
    await store.close()
    nowhere = Outbound(database.url.replace("acd", "none"), sealed, query_s=1.0)
    with pytest.raises(StoreError):
        await Shelf(nowhere, sealed).take(say.Batch(), 1, NOW)
    await nowhere.close()


async def test_what_was_never_dialled_counts_against_no_limit(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    first, second, *_ = (await claimed(shelf)).found or ()
    attempts = made("00000100000001", first), made("00000100000002", second)
    await shelf.take(say.Batch(made=attempts), 1, NOW)
    gone, failed = (
        ended(one.attempt, outcome, NOW + 1, due_s=NOW + 61, number=one.number)
        for one, outcome in zip(attempts, (AttemptOutcome.WITHDRAWN, AttemptOutcome.FAILED), strict=True)
    )
    await shelf.take(say.Batch(ended=(gone, failed)), 1, NOW + 1)
    again = {one.contact.contact: one for one in (await claimed(shelf, at=NOW + 61)).found or ()}
    for contact, many in ((first.contact.contact, 0), (second.contact.contact, 1)):
        one = again[contact]
        told = len(one.number_s), len(one.contact_s), one.number_attempts, len(one.tried)
        assert (one.piece.kind, told, one.abandoned_s) == (Kind.RETRY, (many,) * 4, None)
    found = await store.look(evidence, "win", NOW - 1, NOW + 1, 15.0)
    assert (found["dialled"], found["outcomes"]) == (0, {"failed": 1, "withdrawn": 1})


async def test_what_a_campaign_did_at_a_number_as_another_contact_is_told(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    first, second, *_ = (await claimed(shelf)).found or ()
    number = first.piece.number
    await store.ask(listed.create, "b", "test", NOW)
    twin = await store.ask(contacts.add, "b", [NewContact([NewNumber(number)])], NOW)

    async def tried(serial: int, one: say.Ready, outcome: AttemptOutcome, at: float) -> None:
        attempt = made(f"0000010000000{serial}", one)
        assert (await shelf.take(say.Batch(made=(attempt,)), 1, at)).recorded
        over = ended(attempt.attempt, outcome, at + 5, due_s=at + 6, number=number)
        await shelf.take(say.Batch(ended=(over,)), 1, at + 5)

    async def again(contact: int, at: float, lists: tuple[str, ...] = ("a", "b")) -> say.Ready:
        campaign = replace(CAMPAIGN, lists=lists)
        found = (await claimed(shelf, at=at, terms=replace(TERMS, campaign=campaign))).found or ()
        (one,) = (each for each in found if each.contact.contact == contact)
        await shelf.take(
            say.Batch(releases=tuple((each.contact.contact, None) for each in found if each is not one)), 1, at
        )
        return one

    await tried(1, first, AttemptOutcome.BUSY, NOW)
    mine = await again(first.contact.contact, NOW + 10)
    assert mine.others == ()
    await tried(2, mine, AttemptOutcome.BUSY, NOW + 10)
    other = await again(twin, NOW + 20)
    me = first.contact.contact
    assert other.others == (Other(me, NOW + 5, AttemptOutcome.BUSY, 1), Other(me, NOW + 15, AttemptOutcome.BUSY, 2))
    await tried(3, other, AttemptOutcome.ANSWERED, NOW + 20)
    mine = await again(me, NOW + 30)
    assert mine.others == (Other(twin, NOW + 25, AttemptOutcome.ANSWERED, 1),)
    assert second.others == ()
    await store.recover(2)
    # What it did for a list that it dials no more does not count; of a list that is gone it does
    assert (await again_in(shelf, me, ("a",))).others == ()
    await store.recover(3)
    await store.ask(contacts.remove, [twin])
    assert len((await again_in(shelf, me, ("a", "b"))).others) == 1


async def again_in(shelf: Shelf, contact: int, lists: tuple[str, ...]) -> say.Ready:
    terms = replace(TERMS, campaign=replace(CAMPAIGN, lists=lists))
    found = (await claimed(shelf, 2, NOW + 40, terms)).found or ()
    (one,) = (each for each in found if each.contact.contact == contact)
    return one


@pytest.mark.parametrize("how", ["deleted before", "under another name", "a stranger at the second number"])
async def test_a_list_that_is_imported_anew_permits_nothing_that_was_forbidden(store: Outbound, how: str) -> None:
    shelf = Shelf(store, sealed)
    first, *_ = (await claimed(shelf)).found or ()
    numbers = [one.number for one in first.contact.numbers]
    for n, number in enumerate(numbers):
        attempt, at = f"0000010000000{n}", NOW + 100 * n
        here = replace(first, piece=replace(first.piece, number=number))
        assert (await shelf.take(say.Batch(made=(made(attempt, here),)), 1, at)).recorded
        over = ended(attempt, AttemptOutcome.ABANDONED if n else AttemptOutcome.BUSY, at + 9, due_s=at + 10)
        await shelf.take(say.Batch(ended=(over,)), 1, at + 9)
        await claimed(shelf, at=at + 10)
    await store.recover(2)
    stranger = how.startswith("a stranger")
    if how == "deleted before":
        await store.ask(contacts.remove, [first.contact.contact])
    else:
        await store.ask(listed.create, "b", "test", NOW)
    again = ["+4930777", numbers[1]] if stranger else numbers
    name = "a" if how == "deleted before" else "b"
    new = await store.ask(contacts.add, name, [NewContact([NewNumber(one) for one in again])], NOW)
    terms = replace(TERMS, campaign=replace(CAMPAIGN, lists=(name,)))
    found = (await claimed(shelf, 2, NOW + 1000, terms)).found or ()
    (one,) = (each for each in found if each.contact.contact == new)
    assert sorted(one.contact_s) == ([] if stranger else [NOW, NOW + 100])
    assert (one.abandoned_s, len(one.tried)) == (None if stranger else NOW + 109, 0)
    assert len(one.number_s) == (0 if stranger else 1)


@pytest.mark.parametrize("undialled", [AttemptOutcome.FAILED, AttemptOutcome.WITHDRAWN])
async def test_short_calls_of_the_day_are_counted(store: Outbound, undialled: AttemptOutcome) -> None:
    shelf = Shelf(store, sealed)
    rules = replace(CAMPAIGN.rules, short_calls=ShortCalls(6.0, 0.5, 10))
    terms = replace(TERMS, campaign=replace(CAMPAIGN, rules=rules))
    found = (await claimed(shelf, terms=terms)).found
    assert found is not None
    attempts = tuple(made(f"0000010000000{n}", one) for n, one in enumerate(found, 1))
    await shelf.take(say.Batch(made=attempts), 1, NOW)
    done = AttemptOutcome.ANSWERED
    answers = {1: NOW + 14.1, 2: NOW + 14.0, 3: NOW + 13.9, 4: None}
    batch = tuple(ended(f"0000010000000{n}", done, NOW + 20, answered_s=at) for n, at in answers.items())
    # A mailbox, and one that was never dialled
    mailbox = ended("00000100000005", AttemptOutcome.MACHINE, NOW + 20, answered_s=NOW + 1, dialled_s=NOW)
    undone = ended("00000100000006", undialled, NOW)
    await shelf.take(say.Batch(ended=(*batch, mailbox, undone)), 1, NOW + 20)
    after = await claimed(shelf, at=NOW + 30, terms=terms)
    assert (after.calls_today, after.short_today, after.counted_s) == (5, 4, NOW + 30)
    # Not asked for again at once, and said to be of then
    again = await claimed(shelf, at=NOW + 35, terms=terms)
    assert (again.calls_today, again.counted_s) == (5, NOW + 30)
    # Yesterday's are no matter, and nobody asks where no rule does
    assert (await claimed(shelf, at=NOW + 86_400, terms=terms)).calls_today == 0
    assert (await claimed(shelf, at=NOW + 60)).calls_today == 0


async def test_who_opts_out_of_the_message_has_heard_it(store: Outbound) -> None:
    shelf, outcome = Shelf(store, sealed), AttemptOutcome
    found = (await claimed(shelf)).found or ()
    batch = tuple(made(f"0000010000000{n}", one) for n, one in enumerate(found[:4], 1))
    await shelf.take(say.Batch(made=batch), 1, NOW)
    known = {"dialled_s": NOW, "answered_s": NOW + 3}
    over = (
        ended("00000100000001", outcome.OPTED_OUT, NOW + 9, message="cut", **known),
        # While the call waited, for an agent or for him to answer
        ended("00000100000002", outcome.OPTED_OUT, NOW + 9, **known),
        ended("00000100000003", outcome.ABANDONED, NOW + 9, **known),
    )
    await shelf.take(
        say.Batch(ended=over, progress=(("00000100000004", {"answered_at": NOW + 4, "agent": "a"}),)), 1, NOW + 9
    )
    told = await store.ask(evidence, "win", NOW - 60, NOW + 60)
    assert told["messages"] == {"played": 0, "cut": 1, "none": 1}
    assert (told["unsettled"], told["people"]) == (1, 3)


async def test_the_evidence_counts_what_was_done(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    found = (await claimed(shelf)).found
    assert found is not None
    attempts = tuple(made(f"0000010000000{n}", one) for n, one in enumerate(found, 1))
    await shelf.take(
        say.Batch(made=attempts, ledgers={"win": (WINDOW, replace(WINDOW, span="day", key=738_965))}), 1, NOW
    )
    outcome = AttemptOutcome
    await shelf.take(
        say.Batch(
            ended=(
                ended("00000100000001", outcome.ANSWERED, NOW + 9, dialled_s=NOW, answered_s=NOW + 3, agent="ann"),
                ended(
                    "00000100000002", outcome.ABANDONED, NOW + 9, dialled_s=NOW, answered_s=NOW + 3, message="played"
                ),
                ended("00000100000003", outcome.NO_ANSWER, NOW + 20, dialled_s=NOW + 0.5, rang_s=NOW + 4),
                ended("00000100000004", outcome.NO_ANSWER, NOW + 14, dialled_s=NOW, given_up=GivenUp.STOP),
                ended("00000100000005", outcome.FAILED, NOW + 1, given_up=GivenUp.STOP),
            )
        ),
        1,
        NOW + 30,
    )
    await shelf.save("win", {"began_s": NOW, "refusals": {"2024-03-20": {"hours": 7}, "2024-01-01": {"hours": 9}}}, NOW)
    told = await store.ask(evidence, "win", NOW - 60, NOW + 60)
    windows, differences = told.pop("windows"), told.pop("differences")
    assert [one["window"] for one in differences] == ["campaign", "day"]
    assert all(part["what"] != "outside_period" for one in differences for part in one["parts"])
    assert told == {
        "campaign": "win",
        "since": NOW - 60,
        "until": NOW + 60,
        "attempts": 6,
        "dialled": 4,
        "unsettled": 1,
        "outcomes": {"abandoned": 1, "answered": 1, "failed": 1, "no_answer": 2},
        "people": 2,
        "abandoned": 1,
        "abandonment": 0.5,
        "messages": {"played": 1, "cut": 0, "none": 0},
        "on_machines": {"played": 0, "cut": 0},
        "opted_out": 0,
        "rings": {
            "unanswered": 2,
            "mean_s": 15.0,
            "least_s": 14.0,
            "early": 1,
            "early_by_stop": 1,
            "early_by_agent": 0,
            "early_begun_late": 0,
        },
        "caller_ids": {"+4930555100": 6},
        "trunks": {"out": 6},
        "refusals": {"hours": 7},
        "dispositions": {},
        "detection": Detected().as_json(),
    }
    assert [(one["window"], one["label"], one["charged"], one["share"]) for one in windows] == [
        ("campaign", "whole campaign", 3.0, 0.6),
        ("day", "2024-03-20", 3.0, 0.6),
    ]
    empty = await store.ask(evidence, "win", NOW - 9 * 86_400, NOW - 8 * 86_400)
    assert (empty["attempts"], empty["abandonment"], [one["window"] for one in empty["windows"]]) == (
        0,
        None,
        ["campaign"],
    )
    # Also of a period that ends before the window does, of which the people are not in its headline
    early = await store.ask(evidence, "win", NOW - 120, NOW - 60)
    assert {one["window"]: one["parts"][0] for one in early["differences"]} == {
        kind: {
            "what": "outside_period", "answered": 2, "charged": 1,
            "detail": "the period asked for does not cover the window: 2 more answered outside it, 1 of them abandoned",
        }
        for kind in ("campaign", "day")
    }  # fmt: skip
    (whole,) = empty["differences"]
    assert whole["parts"][0]["what"] == "outside_period"
    assert await store.ask(names) == ["win"]
    kept = {one["attempt"][-1]: one["facts"] for one in await store.ask(_attempts)}
    assert [kept[n] for n in "34"] == [{"x": 1}, {"x": 1, "given_up": "stop"}]
    assert label_of("month", 2024 * 12 + 12) == "2024-12"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", None])
async def test_the_evidence_of_a_month_has_no_window_and_no_refusal_of_another(
    store: Outbound, zone: str | None
) -> None:
    shelf, where = Shelf(store, sealed), ZoneInfo(zone or "UTC")
    days = [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 30), date(2026, 12, 1)]
    windows = [replace(WINDOW, span="day", key=day.toordinal()) for day in days]
    windows += [replace(WINDOW, span="month", key=2026 * 12 + month) for month in (10, 11, 12)]
    windows += [replace(WINDOW, span="days30", key=key) for key in (0, 1, 2)]
    await shelf.take(say.Batch(ledgers={"win": tuple(windows)}), 1, NOW)
    since, until = (datetime(2026, month, 1, tzinfo=where).timestamp() for month in (11, 12))
    learnt = {"began_s": until - 45 * 86_400.0, "refusals": {str(day): {"hours": 1} for day in days}}
    await shelf.save("win", learnt, NOW)
    told = await store.ask(evidence, "win", since, until, 15.0, (), ZoneInfo(zone) if zone else None)
    labels = [one["label"] for one in told["windows"]]
    if zone is None:
        # Nobody knows by whose clock: what may be in it is told
        assert {"2026-11-01", "2026-11-30", "2026-11"} < set(labels)
        assert told["refusals"]["hours"] >= 2
    else:
        assert labels == ["2026-11-01", "2026-11-30", "30 days, no. 1", "30 days, no. 2", "2026-11"]
        assert told["refusals"] == {"hours": 2}


async def test_what_agents_say_of_attempts_is_kept_and_followed(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    found = (await claimed(shelf)).found
    assert found is not None
    ids = [f"0000010000000{n}" for n in range(1, 7)]
    batch = say.Batch(made=tuple(made(attempt, one) for attempt, one in zip(ids, found, strict=True)))
    await shelf.take(batch, 1, NOW)
    talk: dict[str, Any] = {"answered_s": NOW + 9, "agent": "ann"}
    answered = (ended(one, AttemptOutcome.ANSWERED, NOW + 60, call=f"c{one}", **talk) for one in ids)
    said = (
        say.Said(ids[0], "robot", AttemptOutcome.MACHINE, NOW + 7200, found[0].contact.numbers[1].number),
        say.Said(ids[1], "later", None, NOW + 3600, found[1].piece.number),
        say.Said(ids[2], "wrong", None, NOW + 61, found[2].contact.numbers[1].number, bad=True),
        say.Said(ids[3], "sold", done=True),
        say.Said("00000100009999", "sold", done=True),
    )
    # Also of attempts that are settled in the same transaction
    await shelf.take(say.Batch(ended=tuple(answered), said=said), 1, NOW + 61)
    await shelf.take(say.Batch(said=said), 1, NOW + 61)
    kept = {one["attempt"]: (one["outcome"], one["said"]) for one in await store.ask(_attempts)}
    words = ("later", "wrong", "sold", None, None)
    assert [kept[one] for one in ids] == [("machine", "robot"), *(("answered", word) for word in words)]
    rows = {one.contact.contact: one for one in found}
    states = {}
    for contact in rows:
        one = await store.ask(contacts.one, contact)
        states[contact] = (one["state"], one["due_at"], one["position"], one["last_outcome"])
        first = "bad" if contact == found[2].contact.contact else "ok"
        assert [number["state"] for number in one["numbers"]] == [first, "ok"]
    assert list(states.values()) == [
        ("due", NOW + 7200, 1, "machine"), ("due", NOW + 3600, 0, "answered"), ("due", NOW + 61, 1, "answered"),
        ("done", None, None, "answered"), ("done", None, None, "answered"), ("done", None, None, "answered"),
    ]  # fmt: skip
    past = await shelf.past(ids[0])
    assert past is not None
    assert (past.campaign, past.number, past.tried) == ("win", found[0].piece.number, ())
    assert past.contact == found[0].contact
    assert await shelf.past("00000100009999") is None


async def test_what_machine_detection_did_is_counted(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    found = (await claimed(shelf)).found
    assert found is not None
    ids = [f"0000010000000{n}" for n in range(1, 7)]
    await shelf.take(say.Batch(made=tuple(made(a, one) for a, one in zip(ids, found, strict=True))), 1, NOW)
    outcomes = [AttemptOutcome.MACHINE, *[AttemptOutcome.ANSWERED] * 3, AttemptOutcome.ABANDONED, AttemptOutcome.BUSY]
    verdicts = ["machine", "machine", "machine", "unsure", "person", None]
    calls = [None, "c2", "c3", "c4", "c5", None]
    batch = say.Batch(
        ended=tuple(
            ended(attempt, outcome, NOW + 60, answered_s=NOW + 9, call=call, verdict=verdict)
            for attempt, outcome, verdict, call in zip(ids, outcomes, verdicts, calls, strict=True)
        ),
        said=(say.Said(ids[1], "robot", AttemptOutcome.MACHINE), say.Said(ids[2], "sold")),
    )
    await shelf.take(batch, 1, NOW + 61)
    assert await store.detected("win", NOW - 1, NOW + 1, ()) == Detected(1, 2, 2, 1, 2)
    # The word counts, whatever the outcome: that of a window that is over is not changed any more
    assert await store.detected("win", NOW - 1, NOW + 1, ("robot",)) == Detected(1, 2, 2, 1, 2)
    assert await store.detected("win", NOW - 1, NOW + 1, ("robot", "sold")) == Detected(1, 2, 2, 0, 2)
    assert await store.detected("win", NOW - 1, NOW + 1, ("sold",)) == Detected(1, 2, 2, 1, 2)
    assert await store.detected("win", NOW + 1, NOW + 2, ()) == Detected()
    assert await store.detected("lose", NOW - 1, NOW + 1, ()) == Detected()


def _attempts(connection: sa.Connection) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(sa.select(tables.attempts))]


async def test_the_evidence_counts_every_opt_out_by_key_whatever_the_attempt_came_to(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    found = (await claimed(shelf)).found or ()
    attempts = tuple(made(f"0000010000000{n}", one) for n, one in enumerate(found, 1))
    await shelf.take(say.Batch(made=attempts), 1, NOW)
    # Of one the number came onto the list in between, by a file; another is on it by an agent's word
    first, second, third, fourth, *_ = (one.piece.number for one in found)
    kept_as = sealed if store._hashed else str
    listed_meanwhile = donotcall.Entry(kept_as(second), "all", "register.csv", "", NOW + 0.5, "bob")
    told_to_an_agent = donotcall.Entry(kept_as(fourth), "all", "contact:4", "told ann", NOW + 0.5, "ann")
    await store.ask(donotcall.add, [listed_meanwhile, told_to_an_agent], sealed)
    pressed = tuple(
        say.OptOut(number, "all", f"0000010000000{n}", NOW + 1) for n, number in enumerate((first, second, third), 1)
    )
    outcome = AttemptOutcome
    came_to = (outcome.OPTED_OUT, outcome.UNKNOWN, outcome.ABANDONED, outcome.UNKNOWN, outcome.ANSWERED, outcome.BUSY)
    over = tuple(ended(one.attempt, word, NOW + 9) for one, word in zip(attempts, came_to, strict=True))
    await shelf.take(say.Batch(opt_outs=pressed, ended=over), 1, NOW + 9)
    told = await store.ask(evidence, "win", NOW - 60, NOW + 60)
    assert (told["opted_out"], told["outcomes"]["opted_out"], told["people"]) == (3, 1, 3)
    assert (await store.ask(evidence, "win", NOW + 1, NOW + 60))["opted_out"] == 0
    assert (await store.ask(evidence, "other", NOW - 60, NOW + 60))["opted_out"] == 0
    # What a person said is kept as that, whoever had listed the number before, and since when it holds
    (entry,) = await store.ask(donotcall.held, second, sealed)
    assert (entry.source, entry.reason, entry.added_by) == ("attempt:00000100000002", "opted out", "service")
    assert (entry.added_at, entry.until) == (NOW + 0.5, None)
    # Nobody's word takes the place of another's, nor a file's that of a person's
    again = [replace(listed_meanwhile, number=kept_as(number)) for number in (first, fourth)]
    again.append(replace(told_to_an_agent, number=kept_as(third)))
    assert await store.ask(donotcall.add, again, sealed) == 0
    kept = [(await store.ask(donotcall.held, number, sealed))[0].source for number in (first, third, fourth)]
    assert kept == ["attempt:00000100000001", "attempt:00000100000003", "contact:4"]
    # Over what was to end later: it does not any more
    await store.ask(donotcall.add, [donotcall.Entry("+491", "all", "x", "", NOW, "bob", until=NOW + 9)], sealed)
    later = donotcall.Entry("+491", "all", "attempt:00000100000009", "opted out", NOW + 5, "service")
    assert await store.ask(donotcall.add, [later], sealed) == 1
    assert await store.ask(donotcall.held, "+491", sealed) == [replace(later, added_at=NOW)]
    # Taken off the list by hand, the outcome tells it yet
    assert await store.ask(donotcall.remove, first, None, sealed) == 1
    assert (await store.ask(evidence, "win", NOW - 60, NOW + 60))["opted_out"] == 3


async def test_what_is_said_of_an_earlier_attempt_changes_nothing_of_a_contact_tried_since(store: Outbound) -> None:
    shelf = Shelf(store, sealed)
    one = ((await claimed(shelf)).found or ())[0]
    first, second = "00000100000001", "00000100000002"
    await shelf.take(say.Batch(made=(made(first, one),)), 1, NOW)
    again = ended(first, AttemptOutcome.ANSWERED, NOW + 60, due_s=NOW + 90, number=one.piece.number)
    await shelf.take(say.Batch(ended=(again,)), 1, NOW + 60)
    found = [two for two in (await claimed(shelf, at=NOW + 100)).found or () if two.contact == one.contact]
    await shelf.take(say.Batch(made=(made(second, found[0]),)), 1, NOW + 100)
    said = say.Batch(said=(say.Said(first, "robot", AttemptOutcome.MACHINE, NOW + 900, one.piece.number),))
    # Amid the second, and after it
    await shelf.take(said, 1, NOW + 101)
    assert (await store.ask(contacts.one, one.contact.contact))["state"] == "in_flight"
    await shelf.take(say.Batch(ended=(ended(second, AttemptOutcome.ANSWERED, NOW + 130),)), 1, NOW + 130)
    await shelf.take(said, 1, NOW + 131)
    row = await store.ask(contacts.one, one.contact.contact)
    assert (row["state"], row["due_at"], row["last_outcome"]) == ("done", None, "answered")
    kept = {made_of["attempt"]: made_of["outcome"] for made_of in await store.ask(_attempts)}
    assert kept == {first: "machine", second: "answered"}
