"""What the matcher keeps of its latest answers, and of where the first agents stand, is dropped when it holds no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from acd.domain.definition import SelectionWeights
from acd.domain.requirement import Requirement, at_least
from acd.routing.index import Candidates, Matcher
from acd.routing.policies import QueuePolicy

NOW = 1_000.0
EN = at_least("en", 50)


def answers(m: Matcher, needs: Requirement = EN) -> tuple[list[str], Candidates]:
    return m.agents_for("q", needs, 3), m.candidates("q", needs)


def floor(kind: str = "longest_idle") -> Matcher:
    """ann is idle longest, bob after her, cas talks; dot is too weak and has been idle for ages."""
    m = Matcher()
    m.set_queue("q", QueuePolicy(kind, SelectionWeights(idle=1.0, skills=5.0)))
    for name, level, idle_s in (("ann", 90, 9.0), ("bob", 80, 7.0), ("cas", 70, None), ("dot", 10, 99.0)):
        m.set_agent(name, {"en": level}, {"q": 0})
        if idle_s is None:
            m.unfree(name, "TALKING")
        else:
            m.free(name, idle_since=NOW - idle_s, occupied_s=idle_s)
    assert answers(m) == (["ann", "bob"], Candidates(4, 3, 2, {"TALKING": 1})) or kind != "longest_idle"
    return m


CHANGES: list[tuple[Callable[[Matcher], object], list[str], Candidates]] = [
    (lambda m: m.free("cas", idle_since=NOW - 8.0), ["ann", "cas", "bob"], Candidates(4, 3, 3, {})),
    (lambda m: m.free("ann", idle_since=NOW - 1.0), ["bob", "ann"], Candidates(4, 3, 2, {"TALKING": 1})),
    (lambda m: m.unfree("ann", "RINGING"), ["bob"], Candidates(4, 3, 1, {"TALKING": 1, "RINGING": 1})),
    (lambda m: m.unfree("cas", "WRAP_UP"), ["ann", "bob"], Candidates(4, 3, 2, {"WRAP_UP": 1})),
    (lambda m: m.set_agent("ann", {"en": 49}, {"q": 0}), ["bob"], Candidates(4, 2, 1, {"TALKING": 1})),
    (
        lambda m: m.set_agent("dot", {"en": 50}, {"q": 0}),
        ["dot", "ann", "bob"],
        Candidates(4, 3 + 1, 3, {"TALKING": 1}),
    ),
    (lambda m: m.set_agent("ann", {"en": 90}, {}), ["bob"], Candidates(3, 2, 1, {"TALKING": 1})),
    (
        lambda m: m.set_agent("eve", {"en": 90}, {"q": 0}),
        ["ann", "bob"],
        Candidates(5, 4, 2, {"TALKING": 1, "unknown": 1}),
    ),
    (lambda m: m.remove_agent("ann"), ["bob"], Candidates(3, 2, 1, {"TALKING": 1})),
    (lambda m: m.set_queue("q", QueuePolicy("least_occupied")), ["bob", "ann"], Candidates(4, 3, 2, {"TALKING": 1})),
    (
        lambda m: (m.remove_queue("q"), m.set_queue("q", QueuePolicy("least_occupied"))),
        ["bob", "ann"],
        Candidates(4, 3, 2, {"TALKING": 1}),
    ),
]


@pytest.mark.parametrize(("change", "ranking", "counts"), CHANGES)
def test_a_change_between_two_questions(
    change: Callable[[Matcher], object], ranking: list[str], counts: Candidates
) -> None:
    m = floor()
    change(m)
    assert m.agents_for("q", EN, 3) == ranking
    assert [terms["agent"] for terms in m.best_terms("q", EN, 3, NOW)] == ranking
    assert m.candidates("q", EN) == counts
    assert answers(m) == (ranking, counts)


@pytest.mark.parametrize(("change", "ranking", "counts"), CHANGES)
def test_the_counts_come_out_alike_if_they_are_asked_for_first(
    change: Callable[[Matcher], object], ranking: list[str], counts: Candidates
) -> None:
    m = floor()
    change(m)
    assert m.candidates("q", EN) == counts
    assert m.agents_for("q", EN, 3) == ranking


def test_an_offer_moves_the_round_robin() -> None:
    m = floor("round_robin")
    assert m.agents_for("q", EN, 3) == ["ann", "bob"]
    m.offered("ann", "q")
    assert m.agents_for("q", EN, 3) == ["bob", "ann"]


@pytest.mark.parametrize("change", [lambda m: m.unfree("cas", "x"), lambda m: m.set_agent("cas", {"en": 99}, {"q": 0})])
def test_another_kind_of_call_and_a_longer_ranking_are_asked_anew(change: Callable[[Matcher], object]) -> None:
    m, weak = floor(), at_least("en", 5)
    assert m.agents_for("q", weak, 3) == ["dot", "ann", "bob"]
    assert m.candidates("q", weak) == Candidates(4, 4, 3, {"TALKING": 1})
    assert m.agents_for("q", EN, 1) == ["ann"]
    assert m.candidates("q", EN).free == 2
    change(m)
    assert m.agents_for("q", EN, 1) == ["ann"]
    assert m.agents_for("q", EN, 2) == ["ann", "bob"]
    assert m.agents_for("q", EN, 1) == ["ann"]


def test_few_found_of_one_kind_say_nothing_of_another() -> None:
    m = floor()
    m.unfree("cas", "WRAP_UP")
    assert m.agents_for("q", at_least("en", 85), 3) == ["ann"]
    assert m.candidates("q", EN).free == 2


def test_nobody_free_is_an_answer_too() -> None:
    m = floor()
    m.unfree("ann", "TALKING")
    m.unfree("bob", "TALKING")
    assert answers(m) == answers(m) == ([], Candidates(4, 3, 0, {"TALKING": 3}))
    m.free("bob", idle_since=NOW)
    assert answers(m) == (["bob"], Candidates(4, 3, 1, {"TALKING": 2}))


def test_who_is_free_and_gone_at_once_stands_nowhere() -> None:
    """A freed agent is put in his place late, and then once."""
    m = floor()
    m.free("cas", idle_since=NOW - 8.0)
    m.unfree("cas", "RESERVED")
    assert m.agents_for("q", EN, 3) == ["ann", "bob"]
    m.free("cas", idle_since=NOW)
    assert m.call_for("cas", NOW) is None
    m.set_queue("q", QueuePolicy("least_occupied"))
    assert m.agents_for("q", EN, 3) == ["cas", "bob", "ann"]
    m.unfree("cas", "PAUSED")
    assert m.agents_for("q", EN, 3) == ["bob", "ann"]


def test_a_selection_that_comes_into_use_knows_who_was_freed_last() -> None:
    m = floor()
    m.free("cas", idle_since=NOW - 50.0, occupied_s=0.0)
    m.set_queue("q", QueuePolicy("least_occupied"))
    assert m.agents_for("q", EN, 3) == ["cas", "bob", "ann"]
    m.free("cas", idle_since=NOW - 8.0, occupied_s=8.0)
    assert m.agents_for("q", EN, 3) == ["bob", "cas", "ann"]


def crowd() -> Matcher:
    """Three blocks full of agents, idle ever shorter, of whom only the last speak English."""
    m = Matcher()
    m.set_queue("q", QueuePolicy())
    for n in range(500):
        m.set_agent(f"a{n:03}", {"en": 90} if n >= 400 else {"nl": 90}, {"q": 0})
        m.free(f"a{n:03}", idle_since=float(n))
    assert m.agents_for("q", EN, 3) == ["a400", "a401", "a402"]
    return m


def test_somebody_who_comes_before_the_first_is_found() -> None:
    m = crowd()
    m.unfree("a450", "TALKING")
    m.free("a450", idle_since=3.5)
    assert m.agents_for("q", EN, 3) == ["a450", "a400", "a401"]
    m.unfree("a450", "TALKING")
    assert m.agents_for("q", EN, 3) == ["a400", "a401", "a402"]


def test_somebody_who_has_learnt_it_before_the_first_is_found() -> None:
    m = crowd()
    # Not free at the time, so that nobody moves but in the class
    m.unfree("a499", "TALKING")
    m.set_agent("a123", {"en": 60}, {"q": 0})
    assert m.agents_for("q", EN, 3) == ["a123", "a400", "a401"]


def test_a_queue_that_changes_its_order_to_and_fro() -> None:
    m = crowd()
    m.unfree("a000", "TALKING")
    m.set_queue("q", QueuePolicy("least_occupied"))
    m.free("a499", idle_since=499.0, occupied_s=-1.0)
    assert m.agents_for("q", EN, 1) == ["a499"]
    m.set_queue("q", QueuePolicy())
    assert m.agents_for("q", EN, 3) == ["a400", "a401", "a402"]


def test_figures_are_rounded_half_up() -> None:
    m = Matcher()
    m.set_queue("q", QueuePolicy("weighted", SelectionWeights(idle=1.0, skills=5.0, occupied=0.001)))
    m.set_agent("ann", {"en": 60}, {"q": 0})
    m.free("ann", idle_since=NOW - 0.1236, occupied_s=1.9996)
    found = {"agent": "ann", "idle_s": 0.124, "skill_count": 1, "occupied_s": 2.0, "score": -4.9}
    assert m.best_terms("q", EN, 1, NOW) == [found]
    assert m.terms("ann", "q", EN, NOW - 5.0) == found | {"idle_s": 0.0, "score": -5.0}
