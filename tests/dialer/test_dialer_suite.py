"""The hall, the contenders and the verdict; and the predictive pacer on short days against what is asked of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from acd.cli import sim_dialer_report
from acd.cli.context import Options
from acd.cli.sim import sim
from acd.dialer import Predictive
from acd.sim.chance import Exponential, Streams
from acd.sim.dialing.baselines import Unlearned
from acd.sim.dialing.bound import limit
from acd.sim.dialing.contacts import PERSON, Contacts
from acd.sim.dialing.hall import Day, Hall
from acd.sim.dialing.ours import Ours
from acd.sim.dialing.scene import CASES, Rings, Scene, lifelike, markov
from acd.sim.dialing.suite import (
    EXACT,
    OURS,
    PROGRESSIVE,
    REFERENCE,
    Cell,
    Run,
    Verdict,
    contenders,
    dialler,
    figures,
    judge,
)

HOUR_S = 3600.0


def short(agents: int, rate: float) -> Scene:
    return replace(lifelike(agents, rate), day_s=2 * HOUR_S, days=2, warm_days=1)


def played(scene: Scene, name: str, seed: int = 1) -> list[Day]:
    hall = Hall(scene, seed, 0, dialler(name, scene))
    return [hall.run(number) for number in range(scene.warm_days + scene.days)]


@pytest.fixture(scope="module")
def predictive_days() -> list[Day]:
    return played(short(10, 0.3), OURS)


def test_the_cap_is_kept_at_the_end_of_every_day(predictive_days: list[Day]) -> None:
    assert [day.abandonment <= 0.03 for day in predictive_days] == [True] * 3
    assert max(day.abandonment for day in predictive_days) > 0.01, "and what it allows is made use of"


def test_predictive_is_far_ahead_of_progressive(predictive_days: list[Day]) -> None:
    plain = played(short(10, 0.3), PROGRESSIVE)
    known = figures(PROGRESSIVE, [plain], 0, 0.03).utilisation
    assert known.value == pytest.approx(0.692, abs=0.03), "150 s of work after 67 s of dialling"
    more = [a.utilisation - b.utilisation for a, b in zip(predictive_days, plain, strict=True)]
    assert min(more) > 0.03
    assert sum(more[1:]) / 2 > 0.06


@pytest.mark.parametrize(
    ("case", "most", "least"), [("b", 0.797, 0.97), ("r1", 0.811, 0.97)], ids=["lifelike", "exact limit"]
)
def test_five_agents_on_a_whole_day(case: str, most: float, least: float) -> None:
    """The targets where they cost seconds: of what a dialler with all distributions had, of what no dialler can exceed."""
    cell = Cell(case, 5, 0.3)
    scene = replace(cell.scene, days=1)
    hall = Hall(scene, 1, 0, dialler(OURS, scene))
    days = [hall.run(number) for number in range(2)]
    exact = limit(5, 0.3).utilisation if case == "r1" else REFERENCE[5, 0.3]
    assert exact == pytest.approx(most, abs=0.001)
    assert days[1].utilisation >= least * exact
    assert sum(day.abandoned for day in days) <= 0.03 * sum(day.answered for day in days)
    if case == "b":
        assert max(day.abandonment for day in days) <= 0.03


def test_the_same_seed_gives_the_same_days(predictive_days: list[Day]) -> None:
    scene = short(10, 0.3)
    hall = Hall(scene, 1, 0, dialler(OURS, scene))
    assert hall.run(0) == predictive_days[0]
    assert played(scene, "ratio 2", seed=2) == played(scene, "ratio 2", seed=2) != played(scene, "ratio 2", seed=3)


def test_all_diallers_meet_the_same_contacts() -> None:
    scene = short(5, 0.3)
    one, two = (Contacts(scene, Streams(7, 0), 2) for _ in range(2))
    first = [one.next(0.0) for _ in range(400)]
    assert first == [two.next(5_000.0) for _ in range(400)]
    people = [contact for contact in first if contact.kind == PERSON]
    assert len(people) / 400 == pytest.approx(0.3, abs=0.06)
    assert all(3.0 <= contact.ring_s <= 25.0 for contact in people)


def test_a_blind_rate_loses_what_erlang_says() -> None:
    """Few of many lines are answered, so answers come nearly at random: Erlang's loss formula holds."""
    scene = replace(markov(10, 0.04), talk=Exponential(150.0), rings=Rings(memoryless=True, mean_s=15.0))
    hall = Hall(scene, 5, 0, dialler("blind", scene))
    days = [hall.run(number) for number in range(8)]
    lost = figures("blind", [days], 0, 0.03).abandonment
    assert lost.value == pytest.approx(0.03, abs=0.006)
    assert lost.low < 0.03 < lost.high + 0.002


@pytest.mark.parametrize(
    "changes",
    [
        {"taken_for_machine": 0.1},
        {"taken_for_person": 0.3},
        {"lag_s": (0.5, 2.0), "lost": 0.01},
        {"agent_changes": ((900.0, 0.5), (1_800.0, 1.5))},
        {"rate_swing": 0.3, "rate_changes": ((1_800.0, 2.0),), "pace_spread": 0.3},
    ],
    ids=["false positives", "false negatives", "lag", "shifts", "rates"],
)
def test_whatever_goes_wrong_nothing_is_left_over(changes: dict[str, object]) -> None:
    scene = replace(short(5, 0.3), day_s=HOUR_S, **changes)  # type: ignore[arg-type]
    ours = Ours(scene, Predictive(scene.grace_s))
    hall = Hall(scene, 1, 0, ours)
    for number in range(2):
        day = hall.run(number)
        assert not hall.ringing
        assert not hall.talking
        assert not hall.wrapping
        assert not hall.waiting
        assert ours.ledger.in_flight == 0
        assert 0 < day.busy_s < day.staffed_s
        assert day.abandoned <= day.answered < day.dialled


def test_people_taken_for_machines_leave_no_room() -> None:
    """Above the cap by themselves: then every line has an agent held for it, and nobody else is abandoned."""
    scene = replace(short(6, 0.3), taken_for_machine=0.05)
    days = played(scene, OURS)
    assert sum(day.abandoned - day.misjudged for day in days) == 0
    assert sum(day.misjudged for day in days) > 0


def test_agents_who_come_and_go_are_counted_while_they_are_in() -> None:
    scene = replace(short(4, 0.3), agent_changes=((HOUR_S, 1.5),))
    day = Hall(scene, 1, 0, dialler(PROGRESSIVE, scene)).run(0)
    assert day.staffed_s == pytest.approx(4 * 2 * HOUR_S + 2 * HOUR_S)


class OneLine(Unlearned):
    """A single line, at the start."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def look(self, hall: Hall, now_s: float) -> tuple[int, float]:
        return (1 if hall.day.dialled == 0 else 0), float("inf")

    def served(self, now_s: float) -> None:
        self.told.append("served")

    def abandoned(self, now_s: float) -> None:
        self.told.append("abandoned")


def test_a_person_who_finds_nobody_is_abandoned_after_the_grace() -> None:
    empty = replace(short(1, 0.99), agent_changes=((0.0, 0.0),))
    dialer = OneLine()
    day = Hall(empty, 1, 0, dialer).run(0)
    assert (day.answered, day.abandoned, dialer.told) == (1, 1, ["abandoned"])
    staffed = OneLine()
    day = Hall(short(1, 0.99), 1, 0, staffed).run(0)
    assert (day.answered, day.abandoned, staffed.told) == (1, 0, ["served"])


@pytest.mark.parametrize(
    "name", ["vicidial hard 3", "vicidial average 3", "vicidial tapered 3", "issabel", "issabel overcommit"]
)
def test_the_field_dials(name: str) -> None:
    days = played(short(10, 0.3), name)
    plain = played(short(10, 0.3), PROGRESSIVE)
    assert all(day.utilisation > 0.4 for day in days)
    assert sum(day.dialled for day in days) != sum(day.dialled for day in plain)


def test_an_unknown_dialler_is_refused() -> None:
    with pytest.raises(ValueError, match="no dialler named 'magic'"):
        dialler("magic", short(1, 0.3))


def quick(agents: int, rate: float) -> Scene:
    return replace(lifelike(agents, rate), day_s=1_200.0, days=2, warm_days=1)


@pytest.fixture
def quick_case(monkeypatch: pytest.MonkeyPatch) -> str:
    made: Callable[[int, float], Scene] = quick
    monkeypatch.setitem(CASES, "b", ("twenty minutes", made))
    return "b"


def test_a_verdict_compares_with_the_best_that_complies(quick_case: str) -> None:
    cell = Cell(quick_case, 4, 0.3)
    days = {name: [Run(cell, name, seed).days() for seed in (1, 2)] for name in contenders(cell)}
    verdict = judge(cell, days)
    for rival, complying in (
        (verdict.average, [other for other in verdict.others if other.abandonment.value <= 0.0305]),
        (verdict.daily, [other for other in verdict.others if other.worst_day <= 0.03]),
    ):
        assert rival.complies
        assert rival.figures.utilisation.value == max(other.utilisation.value for other in complying)
        assert rival.ahead.value == pytest.approx(
            verdict.ours.utilisation.value - rival.figures.utilisation.value, abs=1e-9
        )
    json.dumps(verdict.as_json())


def a_day(busy: float, abandoned: int, misjudged: int = 0) -> Day:
    """100 who answered."""
    return Day(
        staffed_s=100.0, busy_s=100.0 * busy, dialled=300, answered=100, abandoned=abandoned, misjudged=misjudged
    )


def judged(**diallers: list[list[Day]]) -> Verdict:
    """Of 10 agents in scene b; ours and progressive get quiet days where none are given."""
    found = {OURS: [[a_day(0.80, 2)] * 3] * 2, PROGRESSIVE: [[a_day(0.70, 0)] * 2] * 2}
    found |= {name.replace("_", " "): runs for name, runs in diallers.items()}
    return judge(Cell("b", 10, 0.3), found)


def test_who_keeps_the_cap_on_average_alone_is_shown_and_not_the_one_to_beat() -> None:
    verdict = judged(
        ratio_2=[[a_day(0.85, 1), a_day(0.85, 4)], [a_day(0.85, 2), a_day(0.85, 3)]],
        ratio_3=[[a_day(0.90, 5)] * 2] * 2,
        blind=[[a_day(0.75, 3)] * 2] * 2,
    )
    assert (verdict.daily.figures.contender, verdict.average.figures.contender) == ("blind", "ratio 2")
    assert verdict.average.figures.worst_day == pytest.approx(0.04)
    assert verdict.daily.ahead.value == pytest.approx(0.05)
    assert verdict.average.ahead.value == pytest.approx(-0.05)
    assert verdict.leads
    said = verdict.as_json()
    assert (said["best_daily"]["contender"], said["best_average"]["contender"]) == ("blind", "ratio 2")
    assert (said["best_average"]["above"], said["best_average"]["days"], said["leads"]) == (1, 4, True)


def test_whoever_keeps_the_same_rule_and_does_more_leads() -> None:
    verdict = judged(ratio_2=[[a_day(0.81, 3)] * 2] * 2)
    assert verdict.daily.figures.contender == verdict.average.figures.contender == "ratio 2"
    assert not verdict.leads


def test_where_nobody_keeps_the_rule_progressive_is_shown_in_brackets() -> None:
    verdict = judged(progressive=[[a_day(0.70, 4)] * 2] * 2)
    assert (verdict.daily.figures.contender, verdict.daily.complies) == (PROGRESSIVE, False)
    assert (verdict.average.figures.contender, verdict.average.complies) == (PROGRESSIVE, False)


def test_others_have_no_excuse_in_machine_detection() -> None:
    verdict = judged(ratio_2=[[a_day(0.81, 4, 4), a_day(0.81, 1, 1)]] * 2)
    assert (verdict.daily.figures.contender, verdict.leads) == (PROGRESSIVE, True)
    nobody = judged(ratio_2=[[a_day(0.81, 4, 4)] * 2] * 2, progressive=[[a_day(0.80, 4, 4)] * 2] * 2)
    assert (nobody.daily.complies, nobody.daily.ahead.value, nobody.leads) == (False, pytest.approx(0.0), True)


def test_every_setting_of_the_others_is_tried_in_every_cell() -> None:
    assert contenders(Cell("lag", 10, 0.3)) == contenders(Cell("b", 10, 0.3))
    assert set(contenders(Cell("r1", 10, 0.3))) - set(contenders(Cell("b", 10, 0.3))) == {EXACT}
    assert len([name for name in contenders(Cell("b", 10, 0.3)) if name.startswith("ratio")]) == 9


def test_days_that_teach_count_for_the_cap() -> None:
    verdict = judged(predictive=[[a_day(0.8, 4), a_day(0.8, 2), a_day(0.8, 2)], [a_day(0.8, 2)] * 3])
    assert (verdict.ours.days, verdict.ours.above, verdict.keeps_cap) == (6, 1, False)
    assert verdict.ours.abandonment.value == pytest.approx(0.02)


def test_what_machine_detection_does_alone_is_no_breach_but_is_told() -> None:
    alone = judged(predictive=[[a_day(0.7, 4, 4), a_day(0.7, 1, 1), a_day(0.7, 2, 2)]] * 2)
    assert (alone.ours.above, alone.ours.misjudged, alone.keeps_cap) == (2, 2, True)
    assert alone.ours.worst_day == pytest.approx(0.04)
    both = judged(predictive=[[a_day(0.8, 4, 3), a_day(0.8, 1, 1), a_day(0.8, 2, 2)]] * 2)
    assert (both.ours.above, both.ours.misjudged, both.keeps_cap) == (2, 0, False)


def test_a_window_that_goes_on_is_judged_by_what_it_has_counted() -> None:
    run = [a_day(0.8, 4, 4), a_day(0.8, 1), a_day(0.8, 2)]
    running = figures(OURS, [run], 1, 0.03, running=True)
    assert (running.days, running.above, running.misjudged, running.worst_day) == (3, 1, 1, pytest.approx(0.04))
    later = figures(OURS, [[a_day(0.8, 2), a_day(0.8, 4), a_day(0.8, 4)]], 1, 0.03, running=True)
    assert (later.above, later.worst_day) == (1, pytest.approx(10 / 300))


def test_the_table_names_both_rivals_and_what_missed(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    for verdict in (
        judged(ratio_2=[[a_day(0.85, 1), a_day(0.85, 4)]] * 2, blind=[[a_day(0.81, 3)] * 2] * 2),
        judged(predictive=[[a_day(0.8, 4, 3)] * 3] * 2),
        judged(predictive=[[a_day(0.7, 4, 4)] * 3] * 2, progressive=[[a_day(0.7, 4)] * 2] * 2),
    ):
        sim_dialer_report.show([verdict], 2, Options())
        said.append(capsys.readouterr().out)
    assert "0.810 blind, 3.0%" in said[0]
    assert "0.850 ratio 2, 2.5%" in said[0]
    assert "behind blind, which keeps the cap each day as well" in said[0]
    assert "behind ratio 2, which keeps the cap on average only" in said[0]
    assert "6 days of 6 ended above the cap, with up to 4.00% abandoned" in said[1]
    assert "6 days of 6 above the cap by machine detection alone" in said[2]
    assert "none (0.700 progressive, 4.0%)" in said[2]
    assert "ended above" not in said[2]
    assert "level with" not in said[2]


def test_the_command_writes_what_it_found(quick_case: str, tmp_path: Path) -> None:
    line = [
        "--json",
        "dialer",
        "--case",
        "b",
        "--agents",
        "3",
        "--rate",
        "0.5",
        "--seeds",
        "1",
        "--processes",
        "1",
    ]
    done = CliRunner().invoke(sim, [*line, "-o", str(tmp_path)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["seeds"] == [1]
    assert found["command"] == "acd sim dialer --short --case b --agents 3 --rate 0.5 --seed 1 --seeds 1"
    assert found["cells"][0]["ours"]["contender"] == "predictive"
    assert json.loads((tmp_path / "dialer.json").read_text()) == found
    assert (tmp_path / "dialer.png").stat().st_size > 10_000
    shown = CliRunner().invoke(sim, [*line[1:], "-o", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert "Utilisation of agents" in shown.output


def test_an_unknown_case_names_the_nearest() -> None:
    done = CliRunner().invoke(sim, ["dialer", "--case", "swinging"])
    assert done.exit_code == 2
    assert "nearest: swing" in done.output
    listed = CliRunner().invoke(sim, ["--json", "dialer", "--list"])
    assert {row["case"] for row in json.loads(listed.output)} == set(CASES)
