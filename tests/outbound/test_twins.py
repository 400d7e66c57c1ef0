"""One person who stands in the lists of one campaign more than once is one person to it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from acd.dialer.gate import Refusal
from acd.dialer.retry import Other
from acd.dialer.work import Kind, Piece
from acd.domain.campaigns import AttemptOutcome, Contact, ContactNumber, Mode, Retry
from acd.domain.instant import Instant
from acd.outbound import words as say
from acd.outbound.recent import Recent
from acd.outbound.runner import Runner
from outbound.dialkit import UTC_0, Row, World, campaign, terms

WAIT_S = 300.0
RETRIES = {outcome: Retry(WAIT_S, 2) for outcome in AttemptOutcome}
FINAL = {AttemptOutcome.ANSWERED, AttemptOutcome.OPTED_OUT}


def twins(world: World, people: int, times: int) -> None:
    """Every person ``times`` over, one behind the other."""
    numbers = [f"+4930{2_000_000 + n // times}" for n in range(people * times)]
    world.kept.rows = {
        n: Row(Contact(n, "a", f"k{n}", f"Person {n}", (ContactNumber(number),), "UTC"))
        for n, number in enumerate(numbers, 1)
    }


def history(world: World) -> dict[str, list[tuple[float, AttemptOutcome | None]]]:
    found: dict[str, list[tuple[float, AttemptOutcome | None]]] = {}
    for row in world.kept.rows.values():
        for _, at, _, outcome in row.tried:
            found.setdefault(row.contact.numbers[0].number, []).append((at, outcome))
    return {number: sorted(made, key=lambda one: one[0]) for number, made in found.items()}


@pytest.mark.parametrize("mode", [Mode.PROGRESSIVE, Mode.POWER, Mode.PREDICTIVE])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_person_is_called_no_sooner_than_if_he_stood_there_once(mode: Mode, seed: int) -> None:
    one = campaign(mode=mode, ratio=2.0, retries=RETRIES, number_attempts=4, attempts=10)
    world = World(terms(one), contacts=1, agents=8, seed=seed, others=("busy", "nobody", "busy"))
    twins(world, 40, 3)
    world.run(3_000.0)
    world.stop()
    made = history(world)
    assert len(made) == 40
    outcomes = Counter(outcome for each in made.values() for _, outcome in each)
    assert outcomes[AttemptOutcome.ANSWERED] > 5
    assert outcomes[AttemptOutcome.BUSY] > 40, "there are retries"
    for number, each in made.items():
        assert len(each) <= 4
        for (at, outcome), (then, _) in pairwise(each):
            assert outcome not in FINAL, f"{number} was dialled after {outcome}"
            assert then - at >= WAIT_S, f"{number} was dialled {then - at:.1f} s after {outcome}"


def test_nobody_is_dialled_as_two_contacts_at_once() -> None:
    one = campaign(mode=Mode.POWER, ratio=3.0)
    world = World(terms(one), contacts=1, agents=8)
    twins(world, 30, 4)
    for s in range(1, 200):
        world.run(float(s))
        numbers = [flight.number for flight in world.core.flights.values()]
        assert len(set(numbers)) == len(numbers)


def test_the_campaign_says_why() -> None:
    world = World(terms(campaign(mode=Mode.PROGRESSIVE)), contacts=1, agents=4, answers=1.0)
    twins(world, 5, 2)
    world.run(400.0)
    world.stop()
    runner: Runner = world.core.runners["win"]
    assert runner.refusals["done"] >= 1
    assert "done with the number: dialled as contact" in runner.last_refusal["done"].detail
    states = [row.state for row in world.kept.rows.values()]
    assert states == ["done"] * 10
    assert sum(len(row.tried) for row in world.kept.rows.values()) == 5


def asked(kind: Kind = Kind.NEW, *others: Other, wished: bool = False, dialled: bool = False) -> str:
    """What the gate says of a contact whose number the campaign has dialled as another one."""
    world, now = World(terms(campaign()), contacts=1), Instant(0.0, UTC_0)
    runner: Runner = world.core.runners["win"]
    contact, recent = world.kept.rows[1].contact, Recent()
    number = contact.numbers[0].number
    piece = Piece(contact, number, kind, UTC_0 - 1.0)
    if dialled:
        recent.note("00000100000009", number, "win", UTC_0 - 3.0)
        recent.note("00000100000010", number, "other", UTC_0 - 2.0)
    ready = say.Ready(piece, UTC_0 - 30.0, {number: ("UTC",)}, others=others, wished=wished)
    said, _ = runner.ask(ready, world.core.trunk_state(runner, now), runner.book.slack(UTC_0), recent, {}, now)
    return said.reason.value if isinstance(said, Refusal) else "permitted"


BUSY, SERVED = Other(2, UTC_0 - 60.0, AttemptOutcome.BUSY), Other(2, UTC_0 - 60.0, AttemptOutcome.ANSWERED)


@pytest.mark.parametrize("kind", [Kind.NEW, Kind.RETRY])
def test_the_dialler_waits_and_calls_nobody_who_was_reached(kind: Kind) -> None:
    assert asked(kind) == "permitted"
    assert asked(kind, BUSY) == "retry"
    assert asked(kind, SERVED) == "done"
    assert asked(kind, dialled=True) == "retry", "what it came to is not known yet"


@pytest.mark.parametrize("kind", [Kind.CALLBACK, Kind.QUEUE_CALLBACK])
def test_what_was_promised_is_kept(kind: Kind) -> None:
    assert {asked(kind, BUSY), asked(kind, SERVED), asked(kind, dialled=True)} == {"permitted"}


def test_an_agent_who_asks_for_a_number_need_not_wait_but_calls_nobody_who_is_done() -> None:
    assert asked(Kind.NEW, BUSY, wished=True) == asked(Kind.NEW, dialled=True, wished=True) == "permitted"
    assert asked(Kind.NEW, SERVED, wished=True) == "done"
