"""The order of work: kinds by their weights, campaigns by priority and weight, promises kept for their agents."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from gatekit import NOON, campaign, contact
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.dialer import work
from acd.dialer.work import KINDS, Kind, Piece, Share, Turns, Work
from acd.domain.campaigns import Contact, Mix


def piece(number: int, kind: Kind = Kind.NEW, due_s: float = 0.0, agent: str | None = None, **person: object) -> Piece:
    return Piece(contact(contact=number, **person), "+4930555100", kind, due_s, order=number, agent=agent)


USUAL = Mix()


def work_of(mix: Mix = USUAL) -> Work:
    def zone_of(person: Contact) -> ZoneInfo:
        return ZoneInfo(person.zone or "Europe/Berlin")

    return Work(campaign(mix=mix), zone_of)


def taken(from_: Work, count: int, now_s: float = NOON) -> list[int]:
    found = [from_.next(now_s) for _ in range(count)]
    return [one.contact.contact for one in found if one is not None]


def test_new_contacts_come_in_the_lists_order() -> None:
    held = work_of()
    assert held.add(piece(number) for number in (3, 1, 2)) == 3
    assert taken(held, 5) == [1, 2, 3]
    assert held.next(NOON) is None


def test_what_is_due_for_longest_comes_first_and_nothing_before_it_is_due() -> None:
    held = work_of()
    held.add([piece(1, Kind.RETRY, NOON - 5), piece(2, Kind.RETRY, NOON - 9), piece(3, Kind.RETRY, NOON + 1)])
    assert taken(held, 3) == [2, 1]
    assert held.next_due_s(NOON) == NOON + 1
    assert taken(held, 1, NOON + 1) == [3]
    assert held.next_due_s(NOON) is None


def test_kinds_share_lines_by_their_weights() -> None:
    held = work_of(Mix(callbacks=4, queue_callbacks=3, retries=2, new=1))
    for at, kind in enumerate(KINDS):
        held.add(piece(1_000 * at + number, kind, 1.0) for number in range(200))
    kinds = Counter(held.next(NOON).kind for _ in range(100))  # type: ignore[union-attr]
    assert kinds == {Kind.CALLBACK: 40, Kind.QUEUE_CALLBACK: 30, Kind.RETRY: 20, Kind.NEW: 10}


def test_a_kind_that_was_empty_has_saved_nothing_up() -> None:
    held = work_of(Mix(retries=1, new=1))
    held.add(piece(number) for number in range(500))
    taken(held, 300)
    held.add(piece(1_000 + number, Kind.RETRY, 1.0) for number in range(100))
    kinds = Counter(held.next(NOON).kind for _ in range(40))  # type: ignore[union-attr]
    assert sorted(kinds.values()) in ([20, 20], [19, 21])


def test_a_kind_without_weight_is_dialled_when_there_is_no_other() -> None:
    held = work_of(Mix(retries=0, new=1))
    held.add([piece(1, Kind.RETRY, 1.0), piece(2), piece(3)])
    assert taken(held, 3) == [2, 3, 1]


def test_a_personal_callback_waits_for_its_agent() -> None:
    held = work_of()
    held.add([piece(1, Kind.CALLBACK, 1.0, agent="anna"), piece(2, Kind.CALLBACK, 2.0, agent="bob"), piece(3)])
    found = held.next(NOON, lambda agent: agent == "bob")
    assert found is not None
    assert found.contact.contact == 2
    found = held.next(NOON, lambda agent: False)
    assert found is not None
    assert found.contact.contact == 3
    assert held.next(NOON, lambda agent: False) is None
    assert taken(held, 1) == [1]


def test_promises_of_agents_who_talk_do_not_stand_before_those_of_who_is_free() -> None:
    held = work_of()
    held.add([piece(number, Kind.CALLBACK, float(number), agent="anna") for number in range(work.LOOKED_AT_MAX + 1)])
    later = [piece(1_000, Kind.CALLBACK, 1_000.0, agent="bob"), piece(1_001, Kind.CALLBACK, 1_001.0, agent="cleo")]
    held.add([*later, piece(1_002, Kind.CALLBACK, 999.0, agent="cleo", best=(1_080, 1_200))])
    free = {"bob", "cleo"}
    found = [held.next(NOON, free.__contains__) for _ in range(4)]
    # Who is not welcome at noon comes after all who are
    assert [one and one.contact.contact for one in found] == [1_000, 1_001, 1_002, None]
    assert len(held._heaps) == 1


def test_who_is_welcome_now_comes_before_those_who_are_not() -> None:
    held = work_of()
    held.add([piece(1, best=(1_080, 1_200)), piece(2, best=(660, 780)), piece(3)])
    assert taken(held, 3) == [2, 3, 1], "at noon"
    held.add([piece(1, best=(660, 780), zone="America/New_York"), piece(2, best=(1_080, 1_200))])
    assert taken(held, 2, NOON + 6 * 3_600) == [1, 2]


def test_a_contact_is_held_once_as_what_comes_earlier() -> None:
    held = work_of()
    assert held.add([piece(1, Kind.RETRY, 5.0), piece(1, Kind.NEW), piece(1, Kind.CALLBACK, 9.0)]) == 2
    assert len(held) == 1
    found = held.next(NOON)
    assert found is not None
    assert found.kind is Kind.CALLBACK
    assert held.next(NOON) is None


def test_a_dropped_contact_is_not_dialled() -> None:
    held = work_of()
    held.add([piece(1), piece(2)])
    held.drop(1)
    held.drop(99)
    assert taken(held, 2) == [2]


def test_what_is_held_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "WAITING_MAX", 10)
    held = work_of()
    assert held.add(piece(number) for number in range(30)) == 10
    assert (held.room(Kind.NEW), held.room(Kind.RETRY)) == (0, 10)
    for number in range(5_000):
        held.drop(number % 10)
        held.add([piece(number % 10)])
    assert len(held) == 10
    assert sum(map(len, held._heaps.values())) < 200


def test_campaigns_of_a_higher_priority_come_first_others_by_weight() -> None:
    turns = Turns()
    high, low, other = (replace(campaign(), name=name) for name in ("high", "low", "other"))
    high, other = replace(high, priority=5), replace(other, weight=3.0)
    assert turns.next([low, high, other]) == high
    seen: Counter[str] = Counter()
    for _ in range(40):
        one = turns.next([low, other])
        assert one is not None
        turns.spend(one)
        seen[one.name] += 1
    assert seen == {"low": 10, "other": 30}
    assert turns.next([]) is None


def test_shares_survive_a_restart() -> None:
    share = Share()
    for _ in range(5):
        share.spend("a", 1.0)
    again = Share.from_json(json.loads(json.dumps(share.as_json())))
    assert again == share
    assert again.least({"a": 1.0, "b": 1.0}) == "b"
    again.keep(["b"])
    assert again.used == {}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 30), st.floats(0, 2 * NOON), st.booleans()), max_size=80)
)
def test_nothing_is_lost_and_nothing_comes_twice(given_: list[tuple[Kind, int, float, bool]]) -> None:
    held, wanted = work_of(), dict[int, Piece]()
    for kind, number, due_s, drop in given_:
        if drop:
            held.drop(number)
            wanted.pop(number, None)
            continue
        new = piece(number, kind, due_s)
        known = wanted.get(number)
        if held.add([new]):
            assert known is None or KINDS.index(kind) < KINDS.index(known.kind)
            wanted[number] = new
    due = {number for number, one in wanted.items() if one.due_s <= NOON}
    found = taken(held, 200)
    assert sorted(found) == sorted(due)
    assert len(held) == len(wanted) - len(due)
