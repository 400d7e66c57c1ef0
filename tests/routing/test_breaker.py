"""The circuit breaker: when it opens, whom it lets try, when it closes; and the same against a plain reading of history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.domain.definition import BreakerDefinition
from acd.domain.errors import MisuseError
from acd.domain.states import OfferOutcome
from acd.routing import breaker as module
from acd.routing.breaker import Breaker, Closed, Evidence, Opened, StillOpen, evidence

HOST = "192.0.2.7"


def make(failures: int = 3, within_s: float = 30.0, probe_s: float = 10.0) -> Breaker:
    return Breaker(BreakerDefinition(failures, within_s, probe_s))


def opened(breaker: Breaker, now: float = 100.0) -> Opened:
    """Three phones fail."""
    assert breaker.failed(HOST, "PJSIP/1", now - 2) is None
    assert breaker.failed(HOST, "PJSIP/2", now - 1) is None
    change = breaker.failed(HOST, "PJSIP/3", now)
    assert isinstance(change, Opened)
    return change


X, E = OfferOutcome, Evidence
EVIDENCE = {
    (X.ANSWERED, False): E.REACHED, (X.ANSWERED, True): E.REACHED,
    (X.NO_ANSWER, False): E.FAILED, (X.NO_ANSWER, True): E.REACHED,
    (X.BUSY, False): E.REACHED, (X.BUSY, True): E.REACHED,
    (X.DECLINED, False): E.REACHED, (X.DECLINED, True): E.REACHED,
    (X.UNREACHABLE, False): E.FAILED, (X.UNREACHABLE, True): E.REACHED,
    (X.CONGESTION, False): E.FAILED, (X.CONGESTION, True): E.REACHED,
    (X.CALLER_GONE, False): E.NONE, (X.CALLER_GONE, True): E.REACHED,
    (X.VOID, False): E.NONE, (X.VOID, True): E.REACHED,
    (X.LOST_TRACK, False): E.NONE, (X.LOST_TRACK, True): E.REACHED,
}  # fmt: skip


@pytest.mark.parametrize("rang", [False, True])
@pytest.mark.parametrize("outcome", list(OfferOutcome))
def test_what_the_end_of_an_offer_says(outcome: OfferOutcome, rang: bool) -> None:
    assert evidence(outcome, rang=rang) is EVIDENCE[outcome, rang]


def test_three_phones_open_it_and_it_blocks_all_but_others() -> None:
    breaker = make()
    assert not breaker.blocks(HOST, "PJSIP/1")
    change = opened(breaker)
    assert (change.group, change.probe_at) == (HOST, 110.0)
    assert "192.0.2.7" in change.text
    assert "PJSIP/1, PJSIP/2, PJSIP/3" in change.text
    for phone in ("PJSIP/1", "PJSIP/9"):
        assert breaker.blocks(HOST, phone)
    assert not breaker.blocks("192.0.2.8", "PJSIP/9")
    assert breaker.why(HOST) == "behind 192.0.2.7, which cannot be reached"


def test_one_phone_opens_nothing_however_often_it_fails() -> None:
    breaker = make(failures=2)
    for second in range(100):
        assert breaker.failed(HOST, "PJSIP/1", second) is None
    assert not breaker.blocks(HOST, "PJSIP/1")


def test_failures_far_apart_open_nothing() -> None:
    breaker = make()
    for number in range(100):
        assert breaker.failed(HOST, f"PJSIP/{number}", number * 15.5) is None


def test_the_window_slides() -> None:
    breaker = make()
    assert breaker.failed(HOST, "PJSIP/1", 0.0) is None
    assert breaker.failed(HOST, "PJSIP/2", 20.0) is None
    assert breaker.failed(HOST, "PJSIP/1", 25.0) is None, "the same phone again"
    assert breaker.failed(HOST, "PJSIP/3", 50.0), "20, 25 and 50"


def test_a_phone_that_is_reached_excuses_the_address() -> None:
    breaker = make()
    breaker.failed(HOST, "PJSIP/1", 1.0)
    breaker.failed(HOST, "PJSIP/2", 2.0)
    assert breaker.reached(HOST, "PJSIP/4", 3.0) is None
    assert breaker.failed(HOST, "PJSIP/3", 4.0) is None
    assert breaker.failed(HOST, "PJSIP/1", 5.0) is None
    assert breaker.failed(HOST, "PJSIP/2", 6.0) is not None


@pytest.mark.parametrize(("phones", "needed"), [(None, 5), (9, 5), (5, 5), (3, 3), (2, 2), (1, 2), (0, 2)])
def test_a_small_group_opens_when_all_of_it_fails(phones: int | None, needed: int) -> None:
    breaker = make(failures=5)
    changes = [breaker.failed(HOST, f"PJSIP/{n}", 1.0, phones=phones) for n in range(needed)]
    assert [change is not None for change in changes] == [False] * (needed - 1) + [True]


def test_one_probe_at_a_time_and_success_closes() -> None:
    breaker = make()
    opened(breaker)
    assert not breaker.wants_probe(HOST, 109.9)
    with pytest.raises(MisuseError, match="wants no probe"):
        breaker.begin_probe(HOST, "PJSIP/1", 109.9)
    assert breaker.wants_probe(HOST, 110.0)
    breaker.begin_probe(HOST, "PJSIP/1", 111.0)
    assert not breaker.blocks(HOST, "PJSIP/1")
    assert breaker.blocks(HOST, "PJSIP/2")
    assert not breaker.wants_probe(HOST, 999.0)
    with pytest.raises(MisuseError):
        breaker.begin_probe(HOST, "PJSIP/2", 111.0)
    change = breaker.reached(HOST, "PJSIP/1", 112.0)
    assert isinstance(change, Closed)
    assert change.open_s == 12.0
    assert "PJSIP/1 behind 192.0.2.7 was reached after 12 s" in change.text
    assert not breaker.blocks(HOST, "PJSIP/2")
    assert breaker.reached(HOST, "PJSIP/1", 113.0) is None, "told once"


def test_probes_are_made_at_doubling_intervals_up_to_the_cap() -> None:
    breaker = make(probe_s=50.0)
    at, delays = opened(breaker).probe_at, []
    for n in range(6):
        breaker.begin_probe(HOST, f"PJSIP/{n}", at)
        change = breaker.failed(HOST, f"PJSIP/{n}", at)
        assert isinstance(change, StillOpen)
        delays.append(change.probe_at - at)
        at = change.probe_at
    assert delays == [100.0, 200.0, 300.0, 300.0, 300.0, 300.0]
    breaker.begin_probe(HOST, "PJSIP/1", at)
    breaker.reached(HOST, "PJSIP/1", at)
    assert opened(breaker, at + 100).probe_at == at + 150, "from the beginning, the next time"


def test_a_probe_interval_above_the_cap_is_respected() -> None:
    breaker = make(probe_s=1000.0)
    at = opened(breaker).probe_at
    breaker.begin_probe(HOST, "PJSIP/1", at)
    change = breaker.failed(HOST, "PJSIP/1", at)
    assert isinstance(change, StillOpen)
    assert change.probe_at == at + 1000.0


def test_an_agent_who_leaves_lets_another_try() -> None:
    breaker = make()
    opened(breaker)
    breaker.begin_probe(HOST, "PJSIP/1", 110.0)
    breaker.withdraw_probe(HOST, "PJSIP/2")
    assert not breaker.blocks(HOST, "PJSIP/1"), "it was another's"
    breaker.withdraw_probe(HOST, "PJSIP/1")
    assert breaker.blocks(HOST, "PJSIP/1")
    assert breaker.wants_probe(HOST, 110.0)
    breaker.withdraw_probe("192.0.2.99", "PJSIP/1")


def test_offers_that_were_under_way_when_it_opened() -> None:
    breaker = make()
    opened(breaker)
    assert breaker.failed(HOST, "PJSIP/4", 101.0) is None, "nothing new, no second alarm"
    breaker.begin_probe(HOST, "PJSIP/1", 110.0)
    assert breaker.failed(HOST, "PJSIP/5", 111.0) is None, "not the probe's failure"
    assert not breaker.blocks(HOST, "PJSIP/1")
    assert isinstance(breaker.reached(HOST, "PJSIP/6", 112.0), Closed)


def test_what_is_shown() -> None:
    breaker = make()
    assert list(breaker.open_groups(0.0)) == []
    opened(breaker)
    assert list(breaker.open_groups(104.0)) == [
        {"group": HOST, "open_s": 4.0, "failed_probes": 0, "probe": None, "next_probe_s": 6.0}
    ]
    breaker.begin_probe(HOST, "PJSIP/1", 110.0)
    assert list(breaker.open_groups(111.0)) == [
        {"group": HOST, "open_s": 11.0, "failed_probes": 0, "probe": "PJSIP/1", "next_probe_s": None}
    ]


def test_an_alarm_names_a_few() -> None:
    breaker = make(failures=50)
    changes = [breaker.failed(HOST, f"PJSIP/{n}", 1.0) for n in range(50)]
    assert isinstance(changes[-1], Opened)
    assert "PJSIP/45, PJSIP/46, PJSIP/47, PJSIP/48, PJSIP/49, ...)" in changes[-1].text


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUPS_LIMIT", 10)
    breaker = make(failures=2)
    for n in range(5):
        breaker.failed(f"open{n}", "a", 0.0)
        assert breaker.failed(f"open{n}", "b", 0.0) is not None
    for n in range(1_000):
        breaker.failed(f"host{n}", "a", 1.0)
    assert len(breaker._groups) == 15
    assert len(list(breaker.open_groups(1.0))) == 5
    assert breaker.failed("host999", "b", 1.0) is not None, "the latest are remembered"
    assert breaker.failed("host0", "b", 1.0) is None, "the oldest are not"


# -- against history -----------------------------------------------------------------------------------------------------

GROUPS = ("g1", "g2")
PHONES = ("a", "b", "c", "d")
EVENT = st.tuples(
    st.sampled_from(["failed", "failed", "failed", "reached", "try", "try", "withdraw"]),
    st.sampled_from(GROUPS),
    st.sampled_from(PHONES),
    st.sampled_from([0.0, 0.5, 3.0, 10.0, 40.0]),
)


class Plain:
    """One group, judged each time from all that ever happened in it."""

    def __init__(self, definition: BreakerDefinition) -> None:
        self.definition = definition
        self.history: list[tuple[str, str, float]] = []

    def replayed(self) -> tuple[bool, str | None, float, list[str]]:
        """(open, the phone that tries, when the next try is due, what was announced)."""
        d, is_open, probe, due, delay = self.definition, False, None, 0.0, 0.0
        said: list[str] = []
        since = 0
        for index, (kind, phone, at) in enumerate(self.history):
            said.append("")
            if kind == "reached":
                said[-1] = "closed" if is_open else ""
                is_open, probe, since = False, None, index + 1
            elif kind == "failed" and is_open and phone == probe:
                delay = min(max(d.probe_s, 300.0), delay * 2)
                probe, due, said[-1] = None, at + delay, "still"
            elif kind == "failed" and not is_open:
                recent = {p for k, p, t in self.history[since : index + 1] if k == "failed" and at - t <= d.within_s}
                if len(recent) >= max(2, d.failures):
                    is_open, probe, delay, said[-1] = True, None, d.probe_s, "opened"
                    due = at + delay
            elif kind == "try" and is_open and probe is None and at >= due:
                probe = phone
            elif kind == "withdraw" and is_open and phone == probe:
                probe = None
        return is_open, probe, due, said


def words(change: object) -> str:
    return {Opened: "opened", StillOpen: "still", Closed: "closed"}.get(type(change), "")


def played(
    breaker: Breaker, events: list[tuple[str, str, str, float]]
) -> Iterator[tuple[str, str, str, float, object]]:
    """Each event with its time and what the breaker said to it."""
    now = 1_000.0
    for kind, group, phone, wait_s in events:
        now += wait_s
        change: object = None
        if kind == "failed":
            change = breaker.failed(group, phone, now)
        elif kind == "reached":
            change = breaker.reached(group, phone, now)
        elif kind == "withdraw":
            breaker.withdraw_probe(group, phone)
        elif breaker.wants_probe(group, now):
            breaker.begin_probe(group, phone, now)
        yield kind, group, phone, now, change


@settings(deadline=None, max_examples=300)
@given(
    events=st.lists(EVENT, max_size=80),
    failures=st.integers(2, 4),
    within_s=st.sampled_from([1.0, 10.0, 60.0]),
    probe_s=st.sampled_from([1.0, 10.0, 400.0]),
)
def test_it_equals_a_plain_reading_of_history(
    events: list[tuple[str, str, str, float]], failures: int, within_s: float, probe_s: float
) -> None:
    definition = BreakerDefinition(failures, within_s, probe_s)
    breaker, plain = Breaker(definition), {group: Plain(definition) for group in GROUPS}
    alarms = 0
    for kind, group, phone, now, change in played(breaker, events):
        plain[group].history.append((kind, phone, now))
        is_open, probe, due, said = plain[group].replayed()
        assert words(change) == said[-1]
        alarms += isinstance(change, Opened)
        for other in PHONES:
            assert breaker.blocks(group, other) == (is_open and other != probe)
        assert breaker.wants_probe(group, now) == (is_open and probe is None and now >= due)
        if isinstance(change, Opened | StillOpen):
            assert change.probe_at == due > now
    rows = {row["group"] for row in breaker.open_groups(0.0)}
    assert rows == {group for group in GROUPS if plain[group].replayed()[0]}
    assert alarms == sum(plain[group].replayed()[3].count("opened") for group in GROUPS)


@settings(deadline=None, max_examples=200)
@given(events=st.lists(EVENT, max_size=120))
def test_promises(events: list[tuple[str, str, str, float]]) -> None:
    """Whatever happens: one phone of an open group is let through at most, every opening is told once and every closing,
    tries are never closer together than ``probe_s``, and a group in which nothing failed is never blocked."""
    breaker = make(failures=2, within_s=10.0, probe_s=5.0)
    tried: dict[str, float] = {}
    state = dict.fromkeys(GROUPS, "closed")
    ever_failed: set[str] = set()
    for kind, group, _, now, change in played(breaker, events):
        ever_failed |= {group} if kind == "failed" else set()
        let_through = [p for p in PHONES if not breaker.blocks(group, p)]
        assert len(let_through) in ((0, 1) if state[group] == "open" and not isinstance(change, Closed) else (0, 1, 4))
        if isinstance(change, Opened):
            assert state[group] == "closed"
            state[group] = "open"
            tried[group] = now
        elif isinstance(change, Closed):
            assert state[group] == "open"
            assert kind == "reached"
            state[group] = "closed"
        elif isinstance(change, StillOpen):
            assert now >= tried[group] + 5.0
            tried[group] = now
        for other in GROUPS:
            if other not in ever_failed:
                assert not any(breaker.blocks(other, p) for p in PHONES)
