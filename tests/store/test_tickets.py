"""Tickets: settled in order, by what each of them needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from acd.store.tickets import Tickets


def test_those_who_wait_need_the_database_the_others_do_not() -> None:
    tickets, heard = Tickets(), list[int]()
    tickets.listen(heard.append)
    assert [tickets.give(2, 0.0, soon=soon) for soon in (False, True, False)] == [1, 2, 3]
    tickets.settle(6, 0, 1.5)
    assert (heard, tickets.durable(1), tickets.durable(2), tickets.durable(3)) == ([1], True, False, False)
    assert tickets.lag_s == 1.5
    assert tickets.oldest_at() == 0.0
    tickets.settle(6, 3, 2.0)
    assert heard == [1], "half of what it waits for"
    tickets.settle(6, 4, 2.0)
    assert heard == [1, 3]
    assert tickets.oldest_at() is None


def test_a_write_without_records_waits_for_those_before_it() -> None:
    tickets = Tickets()
    tickets.give(1, 0.0, soon=False)
    waits = tickets.give(0, 0.0, soon=True)
    tickets.settle(1, 0, 1.0)
    assert tickets.durable(1)
    assert not tickets.durable(waits)
    tickets.settle(1, 1, 1.0)
    assert tickets.durable(waits)


def test_what_is_lost_is_never_durable() -> None:
    tickets, heard = Tickets(), list[int]()
    tickets.listen(heard.append)
    for _ in range(4):
        tickets.give(1, 0.0, soon=False)
    tickets.settle(1, 1, 1.0)
    tickets.settle(3, 3, 1.0, lost=True)
    tickets.settle(4, 4, 1.0)
    assert heard == [1, 3, 4]
    assert [tickets.durable(ticket) for ticket in range(1, 6)] == [True, False, False, True, False]


def test_who_was_released_hears_no_second_time() -> None:
    tickets, heard = Tickets(), list[int]()
    tickets.listen(heard.append)
    for _ in range(2):
        tickets.give(1, 0.0, soon=True)
    tickets.release()
    tickets.release()
    assert (heard, tickets.durable(1), tickets.oldest_at()) == ([2], False, 0.0)
    tickets.settle(1, 1, 1.0)
    assert (heard, tickets.durable(1), tickets.durable(2)) == ([2], True, False)
    tickets.give(1, 1.0, soon=True)
    tickets.settle(3, 3, 2.0)
    assert heard == [2, 3]
    assert tickets.durable(2)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=10),
)
def test_against_the_obvious_way(writes: list[tuple[int, bool]], moves: list[tuple[int, int]]) -> None:
    tickets = Tickets()
    needs = []
    for records, soon in writes:
        tickets.give(records, 0.0, soon=soon)
        needs.append((tickets.accepted, soon))
    safe = stored = 0
    for more_safe, more_stored in moves:
        stored = max(stored, more_stored)
        safe = max(safe, more_safe, stored)
        tickets.settle(safe, stored, 0.0)
        met = [upto <= (stored if soon else safe) for upto, soon in needs]
        for ticket in range(1, len(needs) + 1):
            if tickets.durable(ticket):
                assert all(met[:ticket])
        if all(met):
            assert tickets.settled == len(needs)
