"""The matcher, rule by rule, on floors small enough to see through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from acd.domain.definition import AGENT_SELECTIONS, SelectionWeights
from acd.domain.errors import UnknownNameError
from acd.domain.requirement import ANYONE, NOBODY, Requirement, SkillIn, all_of, any_of, at_least
from acd.routing import board
from acd.routing.index import Candidates, Matcher, Prospect
from acd.routing.policies import CallSelection, QueuePolicy

NOW = 1_000.0
EN, NL = at_least("en", 50), at_least("nl", 50)


class Desk:
    """A matcher with few words to say things in. Times are seconds before or after NOW."""

    def __init__(self, *queues: str, selection: CallSelection | None = None, **policies: QueuePolicy) -> None:
        self.m = Matcher(selection)
        self.serial = 0
        for queue in queues:
            self.m.set_queue(queue, QueuePolicy())
        for queue, policy in policies.items():
            self.m.set_queue(queue, policy)

    def agent(
        self,
        name: str,
        queues: str | Mapping[str, int],
        idle_s: float | None = 0.0,
        occupied_s: float = 0.0,
        **skills: int,
    ) -> None:
        """Free since ``idle_s`` ago; None: not free."""
        serves = dict.fromkeys(queues.split(), 0) if isinstance(queues, str) else queues
        self.m.set_agent(name, skills, serves)
        if idle_s is not None:
            self.m.free(name, idle_since=NOW - idle_s, occupied_s=occupied_s)

    def call(self, name: str, queue: str, wait_s: float = 0.0, needs: Requirement = ANYONE, priority: int = 0) -> None:
        self.serial += 1
        self.m.wait(name, queue, needs, joined_at=NOW - wait_s, serial=self.serial, priority=priority, threshold_s=20.0)

    def hold(self, name: str, agent: str, queue: str, wait_s: float = 0.0) -> None:
        self.serial += 1
        self.m.hold_for(name, agent, queue, joined_at=NOW - wait_s, serial=self.serial)

    def order(self, agent: str) -> list[str]:
        """The calls in the order in which ``agent`` would take them, all at NOW."""
        taken = []
        while (call := self.m.call_for(agent, NOW)) is not None:
            taken.append(call)
            self.m.unwait(call)
        return taken

    def ranking(self, queue: str, needs: Requirement = ANYONE) -> list[str]:
        return self.m.agents_for(queue, needs, 99)


# -- who may serve what --------------------------------------------------------------------------------------------


ELIGIBLE = [
    (ANYONE, "all en50 en49 both none"),
    (NOBODY, ""),
    (EN, "all en50 both"),
    (all_of([EN, NL]), "all both"),
    (any_of([EN, SkillIn("nl", 100)]), "all en50 both"),
    (SkillIn("en", 0), "all en50 en49 both"),
    (SkillIn("en", -1, -1), "none"),
    (SkillIn("en", -1, 49), "en49 none"),
    (SkillIn("en", 49, 50), "en50 en49 both"),
    (SkillIn("xx", 0), ""),
    (SkillIn("xx", -1, -1), "all en50 en49 both none"),
]


@pytest.mark.parametrize(("needs", "who"), ELIGIBLE, ids=[needs.text for needs, _ in ELIGIBLE])
@pytest.mark.parametrize("class_first", [False, True])
def test_requirements(needs: Requirement, who: str, class_first: bool) -> None:
    desk = Desk("q", "other")
    if class_first:
        assert desk.ranking("q", needs) == []
    desk.agent("all", "q", 5, en=100, nl=100)
    desk.agent("en50", "q", 4, en=50)
    desk.agent("en49", "q", 3, en=49)
    desk.agent("both", "q other", 2, en=50, nl=50)
    desk.agent("none", "q", 1)
    desk.agent("elsewhere", "other", 9, en=100, nl=100)
    assert desk.ranking("q", needs) == who.split()


def test_a_skill_edited_while_calls_wait_holds_at_once() -> None:
    desk = Desk("q")
    desk.agent("ann", "q", en=10)
    desk.call("c", "q", needs=EN)
    assert desk.m.next_pair(NOW) is None
    desk.agent("ann", "q", idle_s=None, en=50)
    assert desk.m.next_pair(NOW) == ("c", "ann")
    assert desk.m.call_for("ann", NOW) == "c"
    desk.agent("ann", "q", idle_s=None, en=49)
    assert desk.m.next_pair(NOW) is None
    assert desk.m.agents_for_call("c") == []


def test_an_agent_moved_while_calls_wait() -> None:
    desk = Desk("a", "b")
    desk.agent("ann", "a")
    desk.call("c", "b")
    desk.agent("ann", "b", idle_s=None)
    assert desk.m.next_pair(NOW) == ("c", "ann")
    desk.agent("ann", "", idle_s=None)
    assert desk.m.next_pair(NOW) is None
    assert desk.m.candidates("b", ANYONE).members == 0


def test_the_bit_of_one_who_left_is_nobody_elses_skill() -> None:
    desk = Desk("q")
    desk.agent("old", "q", en=100)
    desk.call("c", "q", needs=EN)
    desk.m.remove_agent("old")
    desk.agent("new", "q")
    assert desk.m.next_pair(NOW) is None
    assert desk.m.agents_for("q", EN) == []
    assert desk.m.candidates("q", EN) == Candidates(1, 0, 0, {})


def test_a_class_made_late_finds_who_is_free_already() -> None:
    desk = Desk("q")
    desk.agent("ann", "q", en=60)
    desk.call("c", "q", needs=at_least("en", 60))
    assert desk.m.next_pair(NOW) == ("c", "ann")


# -- call selection ------------------------------------------------------------------------------------------------


def test_fcfs_knows_no_priority() -> None:
    desk = Desk("q", selection=CallSelection("fcfs"))
    desk.agent("ann", "q")
    desk.call("vip", "q", 10, priority=9)
    desk.call("first", "q", 20)
    assert desk.order("ann") == ["first", "vip"]


def test_priority_ages() -> None:
    desk = Desk("q", selection=CallSelection("priority", ageing_s=60.0))
    desk.agent("ann", "q")
    desk.call("vip", "q", 10, priority=1)
    desk.call("older", "q", 69)
    desk.call("oldest", "q", 71)
    assert desk.order("ann") == ["oldest", "vip", "older"]


def test_ties_go_to_the_serial_then_to_the_name() -> None:
    desk = Desk("q")
    desk.agent("ann", "q")
    for name, serial in [("b", 2), ("c", 1), ("a", 2)]:
        desk.m.wait(name, "q", ANYONE, joined_at=NOW, serial=serial)
    assert desk.order("ann") == ["c", "a", "b"]


def test_weight_among_queues() -> None:
    desk = Desk(gold=QueuePolicy(weight=3.0), lead=QueuePolicy(weight=1.0))
    desk.agent("ann", "gold lead")
    desk.call("g", "gold", 10)
    desk.call("l1", "lead", 31)
    desk.call("l2", "lead", 29)
    assert desk.order("ann") == ["l1", "g", "l2"]


def test_weights_compare_at_the_moment_of_asking() -> None:
    """Scores that grow at different rates overtake each other."""
    desk = Desk(gold=QueuePolicy(weight=3.0), lead=QueuePolicy(weight=1.0))
    desk.agent("ann", "gold lead")
    desk.call("g", "gold", 0)
    desk.call("l", "lead", 10)
    assert desk.m.call_for("ann", NOW) == "l"
    assert desk.m.call_for("ann", NOW + 4.9) == "l"
    assert desk.m.call_for("ann", NOW + 5.1) == "g"


def test_deadline_serves_who_has_least_time_left() -> None:
    desk = Desk("q", "w", selection=CallSelection("deadline"))
    desk.agent("ann", "q w")
    desk.m.wait("slack", "q", ANYONE, joined_at=NOW - 30, serial=1, threshold_s=60.0)
    desk.m.wait("tight", "w", ANYONE, joined_at=NOW - 5, serial=2, threshold_s=20.0)
    assert desk.order("ann") == ["tight", "slack"]


def test_cmu_weighs_cost_and_speed() -> None:
    policies = {"slow": QueuePolicy(cost=2.0, service_rate=0.001), "fast": QueuePolicy(cost=1.0, service_rate=0.01)}
    desk = Desk(selection=CallSelection("cmu"), **policies)
    desk.agent("ann", "slow fast")
    desk.call("s", "slow", 40)
    desk.call("f", "fast", 10)
    assert desk.order("ann") == ["f", "s"]
    desk.m.set_queue("slow", QueuePolicy(cost=2.0, service_rate=0.01))
    desk.call("s", "slow", 40)
    desk.call("f", "fast", 10)
    assert desk.order("ann") == ["s", "f"]


def test_ratio_serves_the_queue_that_is_too_long() -> None:
    desk = Desk(selection=CallSelection("ratio", ageing_s=60.0), a=QueuePolicy(ratio=0.75), b=QueuePolicy(ratio=0.25))
    desk.agent("ann", "a b")
    for n in range(4):
        desk.call(f"a{n}", "a", 2)
        desk.call(f"b{n}", "b", 1)
    # b is to hold a quarter of all: 4 of 8 are two too many, 3 of 7 and 2 of 6 are, 1 of 5 is not
    assert desk.order("ann")[:4] == ["b0", "b1", "b2", "a0"]


def test_in_a_ratio_waiting_counts_as_calls_do() -> None:
    """One call too many is worth ageing_s of waiting, so nobody waits for ever for a queue to be longer."""
    desk = Desk(selection=CallSelection("ratio", ageing_s=60.0), a=QueuePolicy(ratio=0.5), b=QueuePolicy(ratio=0.5))
    desk.agent("ann", "a b")
    for n in range(5):
        desk.call(f"a{n}", "a", 10)
    desk.call("b", "b", 10 + 60 * 4 - 1)
    assert desk.m.call_for("ann", NOW) == "a0"
    desk.call("b", "b", 10 + 60 * 4 + 1)
    assert desk.m.call_for("ann", NOW) == "b"


@pytest.mark.parametrize("queues", [2, 12])
def test_preference_is_worth_seconds(queues: int) -> None:
    """The same for agents of few queues and of many, who look into other lanes."""
    names = [f"q{n}" for n in range(queues)]
    desk = Desk(*names, selection=CallSelection(preference_s=30.0))
    desk.agent("ann", {name: 2 if name == "q1" else 0 for name in names})
    desk.agent("bob", dict.fromkeys(names, 1), idle_s=None)
    desk.call("plain", "q0", 100)
    desk.call("liked", "q1", 41)
    assert desk.m.call_for("ann", NOW) == "liked"
    assert desk.m.call_for("bob", NOW) == "plain"
    assert desk.m.next_pair(NOW) == ("plain", "ann"), "who serves it is not known yet, so preference does not count"
    desk.call("liked", "q1", 39)
    assert desk.m.call_for("ann", NOW) == "plain"


def test_of_equal_scores_in_several_lanes_the_call_that_came_first() -> None:
    names = [f"q{n}" for n in range(12)]
    desk = Desk(*names, selection=CallSelection(preference_s=30.0))
    desk.m.set_queue("q0", QueuePolicy(weight=4.0))
    desk.agent("ann", {name: 1 if name == "q1" else 0 for name in names})
    desk.call("first", "q1", 10)
    desk.call("second", "q0", 10)
    assert desk.m.call_score("first", "ann", NOW).score == desk.m.call_score("second", "ann", NOW).score
    assert desk.order("ann") == ["first", "second"]


def test_lanes_that_no_queue_is_in_are_forgotten() -> None:
    names = [f"q{n}" for n in range(12)]
    desk = Desk(*names)
    desk.agent("ann", " ".join(names))
    desk.call("c", "q0")
    for n in range(50):
        desk.m.set_queue("q0", QueuePolicy(weight=2.0 + n))
    assert len(desk.m._lanes._common) == 2
    assert desk.m.call_for("ann", NOW) == "c"
    desk.agent("ann", "q0", idle_s=None)
    assert len(desk.m._lanes._common) == 0, "nobody serves many queues any more"
    assert desk.m.call_for("ann", NOW) == "c"


def test_a_changed_call_selection_holds_for_those_who_wait() -> None:
    desk = Desk("q", selection=CallSelection("fcfs"))
    desk.agent("ann", "q", idle_s=None)
    desk.call("first", "q", 20)
    desk.call("vip", "q", 10, priority=1)
    desk.hold("held", "ann", "q", 1)
    assert [desk.m.position(call) for call in ("first", "vip", "held")] == [0, 1, 2]
    desk.m.set_call_selection(CallSelection("priority", held_s=0.0))
    assert [desk.m.position(call) for call in ("vip", "first", "held")] == [0, 1, 2]
    assert desk.order("ann") == ["vip", "first", "held"]


# -- agent selection -----------------------------------------------------------------------------------------------


def four(desk: Desk) -> None:
    desk.agent("ann", "q", 10, occupied_s=300, en=60, nl=10)
    desk.agent("bob", "q", 40, occupied_s=900, en=80)
    desk.agent("cid", "q", 20, occupied_s=0, en=60, nl=60, fr=60)
    desk.agent("dot", "q", 30, occupied_s=300, en=100)


RANKING = [
    (QueuePolicy("longest_idle"), "bob dot cid ann"),
    (QueuePolicy("least_occupied"), "cid dot ann bob"),
    (QueuePolicy("most_proficient"), "dot bob cid ann"),
    (QueuePolicy("least_skilled"), "bob dot ann cid"),
    (QueuePolicy("round_robin"), "ann bob cid dot"),
    (QueuePolicy("weighted"), "bob dot cid ann"),
    (QueuePolicy("weighted", SelectionWeights(idle=1, skills=15)), "bob dot ann cid"),
    (QueuePolicy("weighted", SelectionWeights(idle=1, occupied=0.1)), "cid dot ann bob"),
    (QueuePolicy("weighted", SelectionWeights(idle=0, proficiency=1)), "dot bob cid ann"),
    (QueuePolicy("weighted", SelectionWeights(idle=1, proficiency=0.25)), "bob dot cid ann"),
    (QueuePolicy("weighted", SelectionWeights(idle=1, proficiency=1)), "dot bob cid ann"),
]


@pytest.mark.parametrize(("policy", "who"), RANKING)
def test_rankings(policy: QueuePolicy, who: str) -> None:
    desk = Desk(q=policy)
    four(desk)
    assert desk.ranking("q", EN) == who.split()
    assert [desk.m.agents_for("q", EN, count) for count in (0, 1, 2)] == [[], who.split()[:1], who.split()[:2]]


def test_proficiency_is_of_the_skills_that_are_named() -> None:
    desk = Desk(q=QueuePolicy("most_proficient"))
    four(desk)
    assert desk.ranking("q", any_of([EN, NL])) == ["cid", "dot", "bob", "ann"]
    assert desk.ranking("q", ANYONE) == ["bob", "dot", "cid", "ann"], "none named: the longest idle"


@pytest.mark.parametrize("kind", AGENT_SELECTIONS)
def test_a_changed_agent_selection_holds_at_once(kind: str) -> None:
    desk = Desk(q=QueuePolicy("longest_idle"))
    four(desk)
    assert desk.ranking("q", EN) == ["bob", "dot", "cid", "ann"]
    weights = SelectionWeights(idle=0, proficiency=1)
    desk.m.set_queue("q", QueuePolicy(kind, weights))
    expected = next(who for policy, who in RANKING if policy.agent_selection == kind)
    assert desk.ranking("q", EN) == (["dot", "bob", "cid", "ann"] if kind == "weighted" else expected.split())
    desk.m.set_queue("q", QueuePolicy("longest_idle"))
    assert desk.ranking("q", EN) == ["bob", "dot", "cid", "ann"]


def test_round_robin_is_of_each_queue() -> None:
    desk = Desk(q=QueuePolicy("round_robin"), w=QueuePolicy("round_robin"))
    for name in ("ann", "bob", "cid"):
        desk.agent(name, "q w")
    assert desk.ranking("q") == ["ann", "bob", "cid"]
    desk.m.offered("ann", "q")
    desk.m.offered("bob", "w")
    assert desk.ranking("q") == ["bob", "cid", "ann"]
    assert desk.ranking("w") == ["ann", "cid", "bob"]
    desk.m.offered("cid", "q")
    desk.m.unfree("bob", "PAUSED")
    assert desk.ranking("q") == ["ann", "cid"]
    desk.m.free("bob", idle_since=NOW)
    assert desk.ranking("q") == ["bob", "ann", "cid"]


def test_round_robin_remembers_what_was_before_it_and_forgets_who_left() -> None:
    desk = Desk("q")
    for name in ("ann", "bob"):
        desk.agent(name, "q")
    desk.m.offered("ann", "q")
    desk.m.set_queue("q", QueuePolicy("round_robin"))
    assert desk.ranking("q") == ["bob", "ann"]
    desk.agent("ann", "", idle_s=None)
    desk.agent("ann", "q", idle_s=None)
    assert desk.ranking("q") == ["ann", "bob"]


def test_an_agent_edited_while_free_is_ranked_anew() -> None:
    desk = Desk(a=QueuePolicy("least_skilled"), b=QueuePolicy("weighted", SelectionWeights(idle=0, skills=1)))
    desk.agent("ann", "a b", 9, en=1)
    desk.agent("bob", "a b", 5, en=1)
    assert desk.ranking("a") == desk.ranking("b") == ["ann", "bob"]
    desk.agent("ann", "a b", idle_s=None, en=1, nl=1)
    assert desk.ranking("a") == desk.ranking("b") == ["bob", "ann"]


@pytest.mark.parametrize("kind", ["most_proficient", "weighted"])
def test_a_proficiency_edited_is_ranked_anew(kind: str) -> None:
    desk = Desk(q=QueuePolicy(kind, SelectionWeights(idle=0, proficiency=1)))
    desk.agent("ann", "q", 9, en=60)
    desk.agent("bob", "q", 5, en=70)
    assert desk.ranking("q", EN) == ["bob", "ann"]
    desk.agent("ann", "q", idle_s=None, en=80)
    assert desk.ranking("q", EN) == ["ann", "bob"]


def test_selections_that_nobody_uses_are_told_nothing() -> None:
    desk = Desk("q", "w")
    desk.agent("ann", "q w")
    for n in range(20):
        desk.m.set_queue("q", QueuePolicy("weighted", SelectionWeights(skills=n)))
        desk.m.set_queue("w", QueuePolicy("least_occupied"))
    assert len(desk.m._selections._shared) == 3
    desk.m.set_queue("q", QueuePolicy("least_occupied"))
    assert len(desk.m._selections._shared) == 2
    desk.m.remove_queue("q")
    assert desk.ranking("w") == ["ann"]
    desk.m.remove_queue("w")
    assert len(desk.m._selections._shared) == 1


def test_free_again_with_another_place() -> None:
    desk = Desk("q")
    desk.agent("ann", "q", 9)
    desk.agent("bob", "q", 5)
    desk.m.free("ann", idle_since=NOW)
    assert desk.ranking("q") == ["bob", "ann"]
    for _ in range(2):
        desk.m.unfree("bob", "PAUSED")
    assert desk.ranking("q") == ["ann"]
    assert [desk.m.is_free(name) for name in ("ann", "bob", "nobody")] == [True, False, False]


# -- calls that come, go and are held ---------------------------------------------------------------------------------


def test_a_call_waits_in_one_place_only() -> None:
    desk = Desk("a", "b")
    desk.agent("ann", "a")
    desk.agent("bob", "b")
    desk.call("c", "a", 5)
    desk.call("c", "b", 5)
    assert desk.m.call_for("ann", NOW) is None
    assert desk.m.call_for("bob", NOW) == "c"
    assert (desk.m.waiting_count, desk.m.length("a"), desk.m.length("b")) == (1, 0, 1)
    for _ in range(2):
        desk.m.unwait("c")
    assert not desk.m.is_waiting("c")
    assert desk.m.next_pair(NOW) is None


def test_relaxation_keeps_the_place() -> None:
    desk = Desk("q")
    desk.agent("ann", "q", idle_s=None, nl=50)
    desk.call("c1", "q", 30, needs=EN)
    desk.call("c2", "q", 20, needs=NL)
    assert desk.m.call_for("ann", NOW) == "c2"
    desk.call("c1", "q", 30, needs=any_of([EN, NL]))
    assert desk.m.call_for("ann", NOW) == "c1"
    assert desk.m.joined_at("c1") == NOW - 30


def test_a_held_call_is_for_one_agent_alone() -> None:
    desk = Desk("q")
    desk.agent("ann", "q", idle_s=None)
    desk.agent("bob", "q", 99)
    desk.call("other", "q", 100)
    desk.hold("c", "ann", "q", 5)
    assert desk.m.agents_for_call("c") == []
    assert desk.m.candidates_for_call("c") is None
    assert desk.m.held_for("ann") == ["c"]
    assert desk.order("bob") == ["other"]
    desk.call("other", "q", 100)
    assert desk.order("ann") == ["c", "other"], "held for him, it comes first with him"
    desk.hold("c", "ann", "q", 5)
    desk.m.free("ann", idle_since=NOW)
    assert desk.m.agents_for_call("c", 3) == ["ann"]
    assert desk.m.next_pair(NOW) == ("c", "ann")
    desk.m.wait("c", "q", ANYONE, joined_at=NOW - 5, serial=1)
    assert desk.m.held_for("ann") == []
    assert desk.m.next_pair(NOW) == ("c", "bob")


def test_what_is_held_does_not_starve_the_others() -> None:
    desk = Desk("q", selection=CallSelection(held_s=600.0))
    desk.agent("ann", "q", idle_s=None)
    desk.call("patient", "q", 606)
    desk.hold("c", "ann", "q", 5)
    assert desk.order("ann") == ["patient", "c"]


def test_a_held_call_needs_no_skill_and_counts_in_its_queue() -> None:
    desk = Desk("q")
    desk.agent("ann", "", idle_s=None)
    desk.call("c1", "q", 9)
    desk.hold("c2", "ann", "q", 12)
    desk.call("c3", "q", 15)
    assert desk.m.call_for("ann", NOW) == "c2"
    assert [desk.m.position(call) for call in ("c3", "c2", "c1")] == [0, 1, 2]
    assert (desk.m.length("q"), desk.m.head("q")) == (3, "c3")


def test_removing_an_agent_gives_back_what_was_held_for_him() -> None:
    desk = Desk("q", "w")
    desk.agent("ann", "q")
    desk.hold("c1", "ann", "q", 5)
    desk.hold("c2", "ann", "w", 5)
    assert sorted(desk.m.remove_agent("ann")) == ["c1", "c2"]
    assert desk.m.waiting_count == 0
    with pytest.raises(UnknownNameError, match="there is no agent named 'ann'"):
        desk.m.call_for("ann", NOW)


def test_removing_a_queue_gives_back_its_calls_in_order() -> None:
    desk = Desk("q", "w")
    desk.agent("ann", "q w")
    desk.call("c1", "q", 5)
    desk.call("c2", "q", 9, needs=EN)
    desk.hold("c3", "ann", "q", 7)
    desk.call("c4", "w", 1)
    assert desk.m.remove_queue("q") == ["c2", "c3", "c1"]
    assert desk.m.next_pair(NOW) == ("c4", "ann")
    desk.m.set_queue("q", QueuePolicy())
    desk.call("c1", "q", 5)
    assert desk.m.call_for("ann", NOW) == "c1"


@pytest.mark.parametrize("kind", ["priority", "ratio"])
def test_lengths_and_places(kind: str) -> None:
    desk = Desk("q", "w", selection=CallSelection(kind))
    assert (desk.m.length("q"), desk.m.head("q")) == (0, None)
    desk.call("c1", "q", 5)
    desk.call("c2", "q", 9, needs=EN)
    desk.call("c3", "q", 7, priority=1)
    desk.call("c4", "w", 99)
    assert [desk.m.position(call) for call in ("c3", "c2", "c1", "c4")] == [0, 1, 2, 0]
    assert (desk.m.length("q"), desk.m.head("q")) == (3, "c3")


# -- explanations ----------------------------------------------------------------------------------------------------


def test_candidates_by_reason() -> None:
    desk = Desk("q", "w")
    desk.agent("free", "q", en=50)
    desk.agent("new", "q", idle_s=None, en=50)
    for number, reason in enumerate(["TALKING", "TALKING", "PAUSED (lunch)", "phone BUSY"]):
        desk.agent(f"x{number}", "q", en=50)
        desk.m.unfree(f"x{number}", reason)
    desk.agent("mute", "q")
    desk.agent("elsewhere", "w", en=50)
    expected = Candidates(7, 6, 1, {"unknown": 1, "TALKING": 2, "PAUSED (lunch)": 1, "phone BUSY": 1})
    assert desk.m.candidates("q", EN) == expected
    desk.call("c", "q", needs=EN)
    assert desk.m.candidates_for_call("c") == expected
    desk.m.unfree("x0", "phone BUSY")
    desk.m.free("x1", idle_since=NOW)
    assert desk.m.candidates("q", EN) == Candidates(7, 6, 2, {"unknown": 1, "PAUSED (lunch)": 1, "phone BUSY": 2})


def test_everyone_by_name() -> None:
    desk = Desk("q")
    desk.agent("ann", "q", en=50)
    desk.agent("bob", "q", en=50)
    desk.m.unfree("bob", "TALKING")
    desk.agent("cid", "q", en=10)
    desk.agent("dot", "", en=50)
    assert desk.m.everyone_for("q", EN) == {"ann": "", "bob": "TALKING", "cid": "needs en >= 50, has 10"}
    assert desk.m.why_not("dot", "q", EN) == "not in the queue"
    assert desk.m.why_not("bob", "q", EN) == ""


def test_why_an_agent_has_no_call() -> None:
    desk = Desk("q", "w")
    desk.agent("ann", "q", en=10)
    for n in range(3):
        desk.call(f"e{n}", "q", needs=EN)
    desk.call("w", "w")
    desk.call("any", "q")
    assert desk.m.prospects("ann") == [
        Prospect("q", "en >= 50", 3, "needs en >= 50, has 10"),
        Prospect("q", "anyone", 1, ""),
        Prospect("w", "anyone", 1, "not in the queue"),
    ]


@pytest.mark.parametrize(
    ("policy", "terms"),
    [
        (QueuePolicy("longest_idle"), {}),
        (QueuePolicy("least_occupied"), {"occupied_s": 30.0}),
        (QueuePolicy("most_proficient"), {"points": 70}),
        (QueuePolicy("least_skilled"), {"skill_count": 2}),
        (QueuePolicy("round_robin"), {"offers_ago": 2}),
        (
            QueuePolicy("weighted", SelectionWeights(1.0, 2.0, 20.0, 0.5)),
            {
                "points": 70,
                "skill_count": 2,
                "occupied_s": 30.0,
                "score": 95.0,  # 10 + 140 - 40 - 15
            },
        ),
        (QueuePolicy("weighted", SelectionWeights(1.0, 0.0, 0.0, 0.0)), {"score": 10.0}),
    ],
    ids=lambda value: value.agent_selection if isinstance(value, QueuePolicy) else "",
)
def test_what_an_agent_selection_went_by(policy: QueuePolicy, terms: dict[str, Any]) -> None:
    desk = Desk(q=policy)
    desk.agent("ann", "q", en=70, nl=20)
    desk.m.free("ann", idle_since=NOW - 10, occupied_s=30.0)
    for name in ("ann", "ann", "ann"):
        desk.m.offered(name, "q")
    desk.agent("bob", "q", en=70)
    desk.m.offered("bob", "q")
    desk.m.offered("bob", "q")
    assert desk.m.terms("ann", "q", EN, NOW) == {"agent": "ann", "idle_s": 10.0, **terms}


def test_calls_kept_for_one_agent_are_prospects_too() -> None:
    desk = Desk("q")
    desk.agent("ann", "q")
    desk.agent("cid", "q")
    desk.agent("dan", "")
    for n in range(2):
        desk.hold(f"h{n}", "cid", "q", 10)
    assert desk.m.prospects("ann") == [Prospect("q", "", 2, "kept for cid alone", "cid")]
    assert desk.m.prospects("cid") == [Prospect("q", "", 2, "", "cid")]
    assert desk.m.prospects("dan") == [Prospect("q", "", 2, "not in the queue", "cid")]


def test_what_a_score_is_made_of() -> None:
    desk = Desk(selection=CallSelection(ageing_s=60.0, preference_s=30.0, held_s=600.0), q=QueuePolicy(weight=2.0))
    desk.agent("ann", {"q": 3})
    desk.call("c", "q", 10, priority=2)
    assert desk.m.call_score("c", None, NOW) == (2 * (10 + 120), 0.0, 2.0, 10.0, 120.0, 0.0, 0.0)
    assert desk.m.call_score("c", "ann", NOW) == (2 * (10 + 120 + 90), 0.0, 2.0, 10.0, 120.0, 90.0, 0.0)
    desk.hold("h", "ann", "q", 10)
    assert desk.m.call_score("h", "ann", NOW) == (2 * (10 + 90 + 600), 0.0, 2.0, 10.0, 0.0, 90.0, 600.0)


# -- what is not there, and what is bounded -----------------------------------------------------------------------------


def test_unknown_names() -> None:
    desk = Desk("q")
    desk.agent("ann", "q")
    for ask in (
        lambda: desk.m.agents_for("x", ANYONE),
        lambda: desk.m.agents_for_call("x"),
        lambda: desk.m.call_for("x", NOW),
        lambda: desk.m.free("x", idle_since=NOW),
        lambda: desk.m.unfree("x", "PAUSED"),
        lambda: desk.m.offered("ann", "x"),
        lambda: desk.m.remove_agent("x"),
        lambda: desk.m.remove_queue("x"),
        lambda: desk.m.candidates("x", ANYONE),
        lambda: desk.m.everyone_for("x", ANYONE),
        lambda: desk.m.prospects("x"),
        lambda: desk.m.position("x"),
        lambda: desk.m.length("x"),
        lambda: desk.call("c", "x"),
        lambda: desk.hold("c", "x", "q"),
        lambda: desk.hold("c", "ann", "x"),
    ):
        with pytest.raises(UnknownNameError, match="named 'x'"):
            ask()
    assert desk.m.waiting_count == 0


def test_classes_without_calls_are_forgotten_in_the_end() -> None:
    desk = Desk("q")
    desk.agent("ann", "q", en=100)
    desk.call("c", "q", needs=at_least("en", 100))
    for n in range(3 * board.CLASSES_SPARE_MAX):
        assert desk.m.agents_for("q", all_of([EN, at_least(f"s{n}", 1)])) == []
    assert len(desk.m._queues["q"].classes) == board.CLASSES_SPARE_MAX + 1
    assert len(desk.m._naming) <= board.CLASSES_SPARE_MAX + 1
    assert desk.m.next_pair(NOW) == ("c", "ann")


def test_more_agents_than_there_was_room_for() -> None:
    desk = Desk("q")
    for n in range(300):
        desk.agent(f"a{n:03d}", "q", idle_s=n if n % 7 == 0 else None, en=n % 101)
        if n == 10:
            desk.call("c", "q", needs=at_least("en", 90))
    assert desk.m.agents_for_call("c", 2) == ["a294", "a196"]
    assert desk.m.call_for("a294", NOW) == "c"
    assert desk.m.call_for("a293", NOW) == "c"
    assert desk.m.call_for("a299", NOW) == "c"
    assert desk.m.call_for("a050", NOW) is None


def test_one_of_more_agents_than_there_was_room_for_looks_into_lanes_of_queues_that_are_not_his() -> None:
    """Who serves many queues meets the calls of all of them, made when there were fewer agents."""
    desk = Desk("lone", *(f"q{n}" for n in range(12)))
    desk.call("c", "lone")
    for n in range(300):
        desk.agent(f"a{n}", " ".join(f"q{n}" for n in range(12)))
    desk.call("mine", "q5")
    assert desk.order("a299") == ["mine"]
