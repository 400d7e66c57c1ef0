"""The hall with contacts that are known one by one and delays as they were measured."""

from __future__ import annotations

import pytest

from acd.dialer.pacing import Progressive
from acd.sim.chance import Fixed
from acd.sim.dialing.baselines import Steady
from acd.sim.dialing.contacts import NOBODY, PERSON, Contact, Given
from acd.sim.dialing.hall import Day, Hall
from acd.sim.dialing.ours import Ours
from acd.sim.dialing.scene import Delays, Scene

NOBODY_FOR_LONG = Contact(NOBODY, 1e6)


class Noting(Steady):
    """A line an idle agent, and a note of all it is told."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.told: list[tuple[str, float]] = []

    def line_ended(self, now_s: float, ring_s: float, *, person: bool) -> None:
        self.told.append(("person" if person else "nobody", now_s))

    def abandoned(self, now_s: float) -> None:
        self.told.append(("abandoned", now_s))

    def stage_ended(self, stage: str, agent: str, length_s: float, now_s: float) -> None:
        self.told.append((stage, now_s))

    def machine_after_all(self, now_s: float) -> None:
        self.told.append(("nobody after all", now_s))


class Twice(Noting):
    """Two lines an agent."""

    def __init__(self) -> None:
        super().__init__()
        self.ratio = 2.0


def run(dialler: Noting, contacts: list[Contact], agents: int = 1, **more: object) -> Day:
    scene = Scene("given", agents, 0.5, day_s=100.0, days=1, warm_days=0, grace_s=2.0, **more)
    return Hall(scene, 1, 0, dialler, lambda _day: Given(contacts, lambda: NOBODY_FOR_LONG)).run(0)


def test_contacts_come_in_their_order_and_then_those_after_the_last():
    dialler = Noting()
    day = run(dialler, [Contact(NOBODY, 5.0), Contact(PERSON, 3.0, 10.0, 4.0)])
    assert dialler.told[:4] == [("nobody", 5.0), ("person", 8.0), ("talk", 18.0), ("wrap", 22.0)]
    assert (day.dialled, day.answered, day.busy_s) == (3, 1, 14.0)


def test_every_delay_falls_where_it_was_measured():
    delays = Delays(dial=Fixed(1.0), told=Fixed(0.5), connect=Fixed(0.25), over=Fixed(0.125))
    dialler = Noting()
    day = run(dialler, [Contact(PERSON, 3.0, 10.0, 4.0)], delays=delays)
    # Rings at 1, is answered at 4, known at 4.5; they talk from 4.75 to 14.75
    assert dialler.told[:3] == [("person", 4.5), ("talk", 14.875), ("wrap", 18.875)]
    assert day.busy_s == 14.0


def test_people_who_count_from_their_answer_do_not_wait_for_their_talk():
    delays = Delays(told=Fixed(0.5), connect=Fixed(0.25))
    day = run(Noting(), [Contact(PERSON, 3.0, 10.0, 4.0)], delays=delays, from_answer=True)
    assert day.busy_s == pytest.approx(9.25 + 4.0)


def test_who_is_gone_before_an_agent_had_to_be_there_counts_as_nobody():
    contacts = [Contact(PERSON, 1.0, 50.0), Contact(PERSON, 2.0, 1.5), Contact(NOBODY, 1e6)]
    dialler = Twice()
    day = run(dialler, contacts, from_answer=True)
    assert ("nobody after all", 3.5) in dialler.told
    assert (day.answered, day.abandoned) == (1, 0)
    stays = Twice()
    assert run(stays, [contacts[0], Contact(PERSON, 2.0, 2.5)], from_answer=True).abandoned == 1
    assert ("abandoned", 4.0) in stays.told


@pytest.mark.parametrize(("connect_s", "abandoned"), [(1.4, 0), (1.6, 1)])
def test_who_is_connected_too_late_is_served_and_charged(connect_s: float, abandoned: int):
    delays = Delays(told=Fixed(0.5), connect=Fixed(connect_s))
    dialler = Noting()
    day = run(dialler, [Contact(PERSON, 3.0, 10.0, 4.0)], delays=delays)
    assert (day.answered, day.abandoned, day.busy_s) == (1, abandoned, pytest.approx(14.0))
    assert ("abandoned" in dict(dialler.told)) is bool(abandoned)


def test_nobody_is_dialled_in_a_halt():
    class Counting(Noting):
        looks: tuple[float, ...] = ()

        def look(self, hall: Hall, now_s: float) -> tuple[int, float]:
            self.looks += (now_s,)
            return super().look(hall, now_s)

    dialler = Counting()
    contacts = [Contact(NOBODY, 5.0), Contact(NOBODY, 2.0)]
    run(dialler, contacts, delays=Delays(halts=((4.0, 9.0),)))
    assert not [at for at in dialler.looks if 4.0 <= at < 9.0]
    assert 9.0 in dialler.looks
    assert dialler.told[:2] == [("nobody", 5.0), ("nobody", 11.0)]


def test_ours_takes_back_whom_it_counted_as_answered():
    scene = Scene("given", 1, 0.5, day_s=100.0, days=1, warm_days=0, span="campaign")
    ours = Ours(scene, Progressive())
    ours.ledger.dialled(1)
    ours.line_ended(5.0, 5.0, person=True)
    assert ours.ledger.slack(6.0).answered == 1
    ours.machine_after_all(6.0)
    assert ours.ledger.slack(6.0).answered == 0
