"""What a person reads of decisions on a call, and of an agent who has no call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cliservice import Run, Service
from fakesamples import DECISIONS, EXPLANATION, NOW, OFFER, ROUTED
from hypothesis import given
from hypothesis import strategies as st

from acd.cli.explain import explained
from acd.cli.idleness import idle_explained
from acd.cli.text import clean


def told(what: str, whom: str | None, /, **detail: Any) -> list[str]:
    """The lines of one decision, without its time and revision."""
    decision = {"at": NOW, "kind": what, "agent": whom, "revision": "r", "detail": detail}
    lines = [line.plain.strip() for line in explained([decision])]
    assert lines[0] == ""
    assert lines[-1] == "revision r"
    return [lines[1].split("  ", 1)[1], *lines[2:-1]]


# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_call_that_was_routed_in_stages_is_a_story(run: Run) -> None:
    shown = run("call", "explain", "r2").stdout
    parts = (
        "attributes set: tier = gold, vip_level = 3, language = ",
        "waits for anna alone", "at most until it has waited 10.0 s", "in queue support",
        "waits in support", "needs billing >= 60 and english >= 80", "kept for anna alone",
        "agents: 40 in the queue, 3 may take it, 0 free; passed over: 37 without the skills needed, 3 talking",
        "7 calls waiting on the whole floor",
        "waits for anna no longer",
        "now needs english >= 50 or german in (90, 100)", "stage 2 of support in force from 10.0 s of waiting on",
        "offered to bert", "the caller had waited 12.5 s; decided because: stage",
        "needs english >= 50 or german in (90, 100) (stage 2, from 10.0 s of waiting on)",
        "bert: idle 3.2 s; skills: english 70; work today: 2:00:00.0", "rung together: bert, anna",
        "agents: 40 in the queue, 25 may take it, 2 free; passed over: 15 talking, 15 without the skills needed",
        "the best: bert idle 3.2 s, anna idle 1:30.0",
        "the call's score: score 145, rate 2, waited 12.5 s, head start 1:00.0", "rule: weighted of support",
        "the offer to bert failed: no answer", "agents: bert agent paused (rona), anna agent is available again",
        "a group of phones is left alone: 10.0.0.7", "failures: 5",
        "overflowed to queue sales", "because nobody can ever take it", "after waiting 15.2 s", "from: support",
        "passed on to supervisors", "from sales, with its place", "after waiting 1:01.0", "moon: yes",
    )  # fmt: skip
    at = 0
    for part in parts:
        assert part in shown[at:], part
        at = shown.index(part, at)
    assert json.loads(run("call", "explain", "r2", "--json").stdout)["decisions"] == ROUTED


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("max_wait", "because it had waited as long as the queue lets callers wait"),
        ("full", "because the queue was full"),
        ("long_wait", "because it would have waited too long"),
        ("nobody", "because nobody was logged in who could take it"),
        ("closed", "because the queue was closed"),
        ("unsatisfiable", "because nobody can ever take it"),
        ("some_new_cause", "because some new cause"),
    ],
)
def test_why_a_call_left_its_queue(cause: str, words: str) -> None:
    assert told("overflowed", None, cause=cause, to="vm,s,1") == ["overflowed to vm,s,1", words]


def test_who_was_passed_over_is_counted_by_reason_the_most_frequent_first() -> None:
    (line,) = [line for line in told("offered", "bert", **OFFER) if line.startswith("agents: ")]
    assert line.split("; passed over: ")[1] == (
        "15 talking, 15 without the skills needed, 7 paused (lunch), 1 behind address 10.0.0.7, which cannot be reached"
    )
    lines = told("waits", None, passed_over={"skill": 2, "cool-down": 4}, requirement="x >= 1", stage=0)
    assert lines == [
        "waits in nothing",
        "needs x >= 1 (stage 1)",
        "passed over: 4 passed over after a failed offer, 2 without the skills needed",
    ]


def test_a_call_kept_for_somebody() -> None:
    """Who, as what, and how he is; and who is not kept for and why."""
    detail = {"preferred": "cid", "preferred_as": "call.manager", "preferred_state": "PAUSED (lunch)", "waiting": 1,
              "skipped": {"last_agent": "anna is logged out"}}  # fmt: skip
    assert told("waits", None, **detail) == [
        "waits in nothing",
        "kept for cid alone, as call.manager",
        "who is PAUSED (lunch) now",
        "not kept for the agent who talked with this caller last: anna is logged out",
        "1 call waiting on the whole floor, this one included",
    ]


def test_what_round_robin_went_by() -> None:
    best = [{"agent": "anna", "idle_s": 3.0, "offers_ago": None}, {"agent": "bob", "idle_s": 9.0, "offers_ago": 4}]
    assert told("offered", "anna", best=best)[1] == (
        "the best: anna idle 3.0 s (never offered one of this queue), bob idle 9.0 s (last offered one 4 offers ago)"
    )


def test_an_estimate_and_its_limit() -> None:
    assert told("overflowed", None, cause="long_wait", to="vm,s,1", expected_wait_s=95.0, limit_s=60)[1:] == [
        "because it would have waited too long",
        "its wait was estimated at 1:35.0",
        "and may be 1:00.0 at most",
    ]


def test_terms_of_scores_are_shown_wherever_they_stand() -> None:
    chosen = {"agent": "bert", "idle_s": 3.25, "score": {"idle": 3.25, "proficiency": 350.0, "total": 353.25}}
    lines = told("offered", "bert", rule="weighted", chosen=chosen, best=[{"agent": "bert", "score": 353.25}])
    assert lines[1:] == [
        "bert: idle 3.2 s; score: idle 3.25, proficiency 350, total 353.25",
        "the best: bert (score 353.25)",
        "rule: weighted",
    ]


def test_the_longest_idle_is_said_to_be_that() -> None:
    assert "bert: idle the longest, 3.2 s; skills: english 70" in [
        line for decision in DECISIONS for line in told(decision["kind"], decision["agent"], **decision["detail"])
    ]


KINDS = ("waits", "offered", "offer_failed", "overflowed", "stage", "needs", "let_go", "answered",
         "preferred", "preferred_over", "escalated",
         "transferred", "joined", "readmitted", "moved",
         "attributes", "breaker", "adopted", "unheard_of")  # fmt: skip
KEYS = ("queue", "requirement", "requirements", "stage", "stage_after_s", "after_s", "call_wait_s", "members", "able",
        "free", "passed_over", "chosen", "best", "call_score", "rule", "trigger", "considered", "position", "waiting",
        "to", "from", "cause", "limit_s", "preference", "kind", "attributes", "group", "outcome", "detail",
        "consequence", "agent", "excluded", "found", "call", "agents", "talked_s", "preferred", "preferred_as",
        "preferred_state", "as", "state", "skipped", "still_rung", "released", "expected_wait_s", "odd",
        "odd_s")  # fmt: skip
LEAVES = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text("xyz", min_size=4, max_size=6))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)),
    max_leaves=8,
)


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8))
def test_whatever_a_service_says_is_shown(kind: str, detail: dict[str, Any]) -> None:
    said = [clean(text) for text in texts(detail)]
    shown = "\n".join(told(kind, None, **detail))
    # A line is cut where it gets long
    assert [text for text in said if text not in shown] == [] or "…" in shown


def test_nothing_is_left_out_and_nothing_is_too_long() -> None:
    assert "queue: sales" in told("offered", None, queue="sales")
    assert "stage after" in told("waits", None, queue={"stage_after_s": 1.7e307})[0]


# -- agents ------------------------------------------------------------------------------------------------------------


def sentence(**more: Any) -> str:
    lines = idle_explained({**EXPLANATION, "agent": "anna", **more})
    return str(next(iter(lines)))


SUPPORT = {"queue": "support", "requirement": "english >= 50", "waiting": 2, "why_not": ""}
SALES = {"queue": "sales", "requirement": "german >= 60", "waiting": 3, "why_not": "german is 20"}
BILLING = {"queue": "billing", "requirement": "billing >= 60", "waiting": 1, "why_not": "lacks billing"}
KEPT = {"queue": "main", "requirement": "", "waiting": 1, "why_not": "kept for cid alone", "kept_for": "cid"}
OTHERS = {"queue": "others", "requirement": "anyone", "waiting": 9, "why_not": "not in the queue"}
CUT_OFF = "behind address 10.0.0.7, which cannot be reached"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"state": "LOGGED_OUT"}, "anna is logged out, and is offered no call before logging in."),
        ({"state": "PAUSED", "reason": "lunch"}, "anna is paused (lunch), and is offered no call before resuming."),
        (
            {"state": "PREVIEW", "reason": "shown"},
            "anna is shown a contact, and is offered no call before that is over.",
        ),
        (
            {"state": "PREVIEW", "reason": "dialling"},
            "anna is having somebody dialled, and is offered no call before that is over.",
        ),
        (
            {"state": "PREVIEW", "reason": "odd"},
            "anna is at a preview (odd), and is offered no call before that is over.",
        ),
        ({"state": "PAUSED"}, "anna is paused, and is offered no call before resuming."),
        ({"state": "WRAP_UP"}, "anna is in wrap-up after a call, and is offered the next one when that is over."),
        (
            {"state": "WRAP_UP", "pending": "logout"},
            "anna is in wrap-up after a call, and is logged out when that is over.",
        ),
        (
            {"state": "WRAP_UP", "pending": "pause:lunch"},
            "anna is in wrap-up after a call, and is paused (lunch) when that is over.",
        ),
        ({"state": "TALKING"}, "anna has a call."),
        ({"state": "RESERVED"}, "anna is being offered a call."),
        ({"state": "RINGING"}, "anna is being offered a call: the phone rings."),
        ({"state": "ON_THE_MOON"}, "anna is on the moon."),
        ({"phone": "BUSY"}, "anna is available, but the phone is busy with something else."),
        ({"phone": "RINGING"}, "anna is available, but the phone rings for somebody else."),
        (
            {"phone": "UNREACHABLE", "why_not": "phone UNREACHABLE"},
            "anna is available, but the phone cannot be reached: it is not registered, or switched off.",
        ),
        (
            {"breaker": CUT_OFF, "why_not": CUT_OFF},
            "anna is available, but is offered nothing: behind address 10.0.0.7, which cannot be reached.",
        ),
        (
            {"why_not": "cool-down"},
            "anna is available, but is passed over for some seconds after an offer that failed.",
        ),
        ({"prospects": []}, "anna is available, and no call waits."),
        ({"prospects": [{**SUPPORT, "waiting": 0}]}, "anna is available, and no call waits."),
        ({"prospects": [], "held_for": ["c7", "c8"]}, "anna is available, and waited for by c7, c8."),
        (
            {"prospects": [KEPT]},
            "anna is available, and may take none of the calls that wait: main: kept for cid alone.",
        ),
        ({"prospects": [OTHERS]}, "anna is available, and calls wait in other queues only (others)."),
        (
            {"prospects": [OTHERS, SALES]},
            "anna is available, and may take none of the calls that wait: sales: german is 20.",
        ),
        (
            {"prospects": [SALES, BILLING, OTHERS]},
            "anna is available, and may take none of the calls that wait: sales: german is 20 (and 1 more of the kind).",
        ),
        (
            {"prospects": [SALES, SUPPORT, {**SUPPORT, "requirement": "anyone"}]},
            "anna is available, and calls wait in support, none of which can be offered at this moment.",
        ),
    ],
)
def test_the_first_sentence_says_why_there_is_no_call(more: dict[str, Any], said: str) -> None:
    assert sentence(**more) == said


def test_agent_explain_shows_what_it_rests_on(run: Run, service: Service) -> None:
    service.floor.explanation = EXPLANATION | {"breaker": None, "odd": {"deep": [1, True]}}
    shown = run("agent", "explain", "1002").stdout
    lines = shown.splitlines()
    assert lines[0] == (
        "bert is available, and may take none of the calls that wait: sales: english is 80 (and 1 more of the kind)."
    )
    for part in ("available  since 2025-11-21 15:58:59", "phone       idle", "odd         deep 1, yes", "ab12cd34"):
        assert part in shown
    (sales,) = [line for line in lines if line.startswith("sales")]
    assert " ".join(sales.split()) == "sales 3 german >= 60 or english >= 90 english is 80"
    assert json.loads(run("agent", "explain", "bert", "--json").stdout) == {
        **service.floor.explanation,
        "agent": "bert",
    }
    nobody = run("agent", "explain", "brt")
    assert (nobody.exit_code, nobody.stdout) == (4, "")
    assert "nearest: bert" in nobody.stderr
