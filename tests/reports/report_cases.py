"""The cases that hold on every database: each report equals the obvious computation, to the last digit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import brute
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from reportkit import AGENTS, CLIENTS, DIDS, QUEUES, SEALED, World, fill, make_world, us

from acd.domain.errors import ReportError
from acd.reports import catalogue
from acd.reports.agents import FIGURES, TIMES
from acd.reports.ask import Ask, Filters
from acd.reports.cuts import UNITS
from acd.reports.database import open_database
from acd.reports.keys import OF_CALLS, OF_STAYS
from acd.reports.measures import MEASURES
from acd.reports.measures import OF_STAYS as STAY_MEASURES
from acd.reports.model import Report, Row
from acd.reports.moments import Period
from acd.reports.summary import summarize

seeds = st.integers(0, 2**32)
EVERY = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=15,
    # A smaller seed is no simpler world
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def ask_of(world: World, **more: object) -> Ask:
    withheld = frozenset({SEALED})
    return Ask(Period(world.from_s, world.to_s), world.zone, world.now, withheld=withheld, **more)  # type: ignore[arg-type]


@EVERY
@given(seeds)
def test_every_figure_of_calls_by_anything(report_url: str, seed: int) -> None:
    world, chance = make_world(seed), random.Random(seed)
    by = tuple(chance.sample([*UNITS, *UNITS, *OF_CALLS], chance.randrange(4)))
    by = tuple(dict.fromkeys(by))
    measures = tuple(name for name in MEASURES if not (name.startswith("wait_p") and "skill" in by))
    filters = Filters(
        queue=tuple(chance.sample(QUEUES, chance.choice((0, 0, 1, 2)))),
        agent=tuple(chance.sample(AGENTS, chance.choice((0, 0, 0, 2)))),
        client=tuple(c for c in chance.sample(CLIENTS, chance.choice((0, 0, 2))) if c),
        did=tuple(chance.sample(DIDS, chance.choice((0, 0, 0, 2)))),
    )
    rules = {
        "thresholds_s": {"sales": 20.0, "support": chance.choice((5.0, 30.0))},
        "threshold_s": chance.choice((10.0, 20.0)),
        "short_s": 5.0,
    }
    fill(report_url, world)
    with open_database(report_url) as database:
        columns, rows, total, unsummed = summarize(database, ask_of(world, by=by, filters=filters, **rules), measures)
    given_filters = dict(filters.given())

    def keep(call: dict[str, object]) -> bool:
        return all(call[name] in values for name, values in given_filters.items())

    units = [name for name in by if name in UNITS]
    expected = brute.summary(world, by, units, keep, **rules)
    names = [column.name for column in columns[len(by) :]]
    assert {row[: len(by)]: dict(zip(names, row[len(by) :], strict=True)) for row in rows} == {
        key: {name: value for name, value in found.items() if name in names} for key, found in expected.items()
    }
    everything = brute.summary(world, (), (), keep, **rules)[()]
    assert dict(zip(names, total[len(by) :], strict=True)) == {name: everything[name] for name in names}
    assert total[: len(by)] == (None,) * len(by)
    assert unsummed == 0
    assert len(rows) == len(expected)


@EVERY
@given(seeds)
def test_every_queue_has_its_part_of_a_call(report_url: str, seed: int) -> None:
    world, chance = make_world(seed), random.Random(seed)
    by = tuple(dict.fromkeys(chance.sample([*UNITS, *OF_STAYS, *OF_STAYS], chance.randrange(4))))
    units = [name for name in by if name in UNITS]
    filters = Filters(
        queue=tuple(chance.sample(QUEUES, chance.choice((0, 0, 2)))),
        agent=tuple(chance.sample(AGENTS, chance.choice((0, 0, 0, 2)))),
    )
    rules = {
        "thresholds_s": {"sales": 20.0, "support": chance.choice((5.0, 30.0))},
        "threshold_s": 10.0,
        "short_s": 5.0,
    }
    names = tuple(name for name in STAY_MEASURES if not (name.startswith("wait_p") and "skill" in by))
    report = made(report_url, world, "entries", by=by or ("all",), columns=names, filters=filters, **rules)
    given_filters = dict(filters.given())

    def keep(stay: dict[str, object]) -> bool:
        return all(stay[name] in values for name, values in given_filters.items())

    every = brute.stays(world)
    expected = brute.summary(world, by, units, keep, every, **rules)
    assert {key: dict(zip(names, row, strict=True)) for key, row in by_key(report).items()} == {
        key: {name: found[name] for name in names} for key, found in expected.items()
    }
    whole = brute.summary(world, (), (), keep, every, **rules)[()]
    assert report.total is not None
    assert dict(zip(names, report.total[len(by) :], strict=True)) == {name: whole[name] for name in names}
    ways = ("answered", "abandoned", "overflowed", "passed_on", "fallback", "lost_track", "open")
    assert whole["offered"] == sum(whole[name] for name in ways)


def made(url: str, world: World, name: str, **more: object) -> Report:
    """The report, its rows gathered."""
    fill(url, world)
    with open_database(url) as database:
        report = catalogue.make(database, catalogue.find(name), ask_of(world, **more))
        report.rows = list(report.rows)
    return report


def by_key(report: Report) -> dict[Row, Row]:
    found = {row[: report.keys]: row[report.keys :] for row in report.rows}
    assert len(found) == len(list(report.rows))
    return found


def some_units(chance: random.Random) -> list[str]:
    return list(dict.fromkeys(chance.choices(UNITS, k=chance.choice((0, 1, 1, 2)))))


@EVERY
@given(seeds)
def test_skills_count_wherever_they_are_asked_for(report_url: str, seed: int) -> None:
    world = make_world(seed)
    names = ("offered", "answered", "asa_s", "longest_wait_s")
    report = made(report_url, world, "skills", columns=names)
    rules = {"thresholds_s": {}, "threshold_s": 20.0, "short_s": 5.0}
    expected = brute.summary(world, ("skill",), (), lambda call: True, **rules)
    assert by_key(report) == {key: tuple(found[name] for name in names) for key, found in expected.items()}


def test_every_report_can_be_cut_by_everything_it_offers(report_url: str) -> None:
    """Its own columns are there for every cut, but those that the cut cannot tell; whoever names one of these is told."""
    world = make_world(1)
    fill(report_url, world)
    with open_database(report_url) as database:
        for definition in catalogue.REPORTS.values():
            for name in definition.by:
                by = (name, "queue" if name != "queue" else "day") if definition.grid else (name,)
                shown = {column.name for column in catalogue.make(database, definition, ask_of(world, by=by)).columns}
                without = {"wait_p50_s", "wait_p90_s"} if name == "skill" else set()
                assert set(definition.columns_default) - without == shown & set(definition.columns_default), by
        with pytest.raises(ReportError, match="percentiles cannot be told by skill"):
            catalogue.make(
                database, catalogue.find("service"), ask_of(world, by=("skill",), columns=("wait_p90_s", "offered"))
            )


@EVERY
@given(seeds)
def test_time_of_agents_is_cut_where_the_clock_says(report_url: str, seed: int) -> None:
    world, chance = make_world(seed, size=25), random.Random(seed)
    units = some_units(chance)
    by = tuple(chance.sample([*units, "agent"], len(units) + 1)) if chance.random() < 0.7 else tuple(units)
    units = [name for name in by if name in UNITS]
    keep = tuple(chance.sample(AGENTS, 2)) if chance.random() < 0.3 else ()
    names = tuple(figure for figure in FIGURES)
    report = made(report_url, world, "agents", by=by or ("all",), columns=names, filters=Filters(agent=keep))
    expected = brute.agent_figures(world, by, units, keep)
    assert {key: dict(zip(names, row, strict=True)) for key, row in by_key(report).items()} == expected
    whole = brute.agent_figures(world, (), (), keep).get((), None)
    assert report.total is not None
    if whole is not None:
        assert dict(zip(names, report.total[len(by) :], strict=True)) == whole


HAVE = {
    "queue": {"anna": ("sales", "support"), "bob": ("sales",), "carla": ()},
    "skill": {"anna": ("billing",), "bob": ("billing", "english", "german"), "dora": ("german",)},
}
"""Who has which; of some nobody knows."""


@EVERY
@given(seeds)
def test_time_of_the_agents_of_queues_and_with_skills(report_url: str, seed: int) -> None:
    world, chance = make_world(seed, size=25), random.Random(seed)
    units = some_units(chance)
    mine = chance.sample(["queue", "skill"], chance.choice((0, 1, 1, 2)))
    by = tuple(chance.sample([*units, *mine], len(units) + len(mine)))
    units = [name for name in by if name in UNITS]
    keep = tuple(chance.sample(AGENTS, 2)) if chance.random() < 0.3 else ()
    asked = {"columns": TIMES, "filters": Filters(agent=keep), "agents_have": HAVE}
    report = made(report_url, world, "staffing", by=by or ("all",), **asked)
    expected = brute.staffing(world, by, units, keep, HAVE)
    assert by_key(report) == {key: tuple(row[name] for name in TIMES) for key, row in expected.items()}
    # Whoever has several is one in the total
    whole = brute.agent_figures(world, (), (), keep).get((), None)
    assert report.total is not None
    if whole is not None:
        assert report.total[len(by) :] == tuple(whole[name] for name in TIMES)


ONLY = {"queue": QUEUES[:2], "agent": AGENTS[:2], "client": CLIENTS[1:2], "did": DIDS[1:]}


@EVERY
@given(seeds)
def test_all_is_one_row_whatever_is_left_out(report_url: str, seed: int) -> None:
    world = make_world(seed)
    rules = {"thresholds_s": {"sales": 20.0}, "threshold_s": 10.0, "short_s": 5.0}
    fill(report_url, world)
    entries = brute.stays(world)
    with open_database(report_url) as database:

        def figures(name: str, columns: Sequence[str] = ()) -> list[Row]:
            ask = ask_of(world, by=("all",), columns=tuple(columns), filters=Filters(**filters), **rules)
            report = catalogue.make(database, catalogue.find(name), ask)
            assert report.total in (None, *report.rows)
            return list(report.rows)

        for name, values in ({"none": ()} | ONLY).items():
            filters = {name: tuple(values)} if values else {}

            def keep(row: Row, name: str = name, values: Sequence[str | None] = tuple(values)) -> bool:
                return not values or row[name] in values

            every = brute.summary(world, (), (), keep, **rules)[()]
            assert figures("service", tuple(MEASURES)) == [tuple(every[column] for column in MEASURES)]
            assert [row[:2] for row in figures("outcomes")] == [(every["offered"], 1.0 if every["offered"] else None)]
            every = brute.summary(world, (), (), keep, entries, **rules)[()]
            assert figures("entries", tuple(STAY_MEASURES)) == [tuple(every[column] for column in STAY_MEASURES)]
            nothing: Row = (0, 0, 0, None, None)
            assert figures("transfers") == [brute.transfers(world, (), keep).get((), nothing)]
            assert figures("repeat") == [brute.repeat(world, (), (), 7, keep).get((), nothing)]
            if name in ("none", "agent"):
                agents = brute.agent_figures(world, (), (), values)
                assert figures("agents", tuple(FIGURES)) == [tuple(found.values()) for found in agents.values()]
                states = brute.states(replace(world, states=list(filter(keep, world.states))), (), ())
                assert figures("states") == list(states.values())


@pytest.mark.parametrize("kinds", [("held", "consulted"), ("conferenced",)], ids=["hold", "conference"])
def test_what_lasts_across_the_beginning_or_the_end_begins_no_conversation(
    report_url: str, kinds: Sequence[str]
) -> None:
    world = make_world(3, size=200)
    passed_on = brute.handovers(world)
    talks = {(row["call"], row["serial"]) for row in world.segments if row["kind"] == "talked"}
    held = [
        row for row in world.segments
        if row["kind"] in kinds and (row["call"], row["serial"] + 1) in talks
        and row["ended_at"] - row["started_at"] > 1
        and any(
            agent == row["agent"] and (talk["call"], talk["kind"], talk["offer"]) == (row["call"], "talked", row["offer"])
            and talk["started_at"] == began for agent, began in passed_on for talk in world.segments
        )
    ]  # fmt: skip
    hold = held[len(held) // 2]
    middle = round((hold["started_at"] + hold["ended_at"]) / 2)
    for begin, end in ((middle, middle + 7_200), (middle - 7_200, middle)):
        world.from_s, world.to_s = float(begin), float(end)
        report = made(report_url, world, "agents", by=("agent",), columns=("conversations", "transfers"))
        expected = brute.agent_figures(world, ("agent",), (), ())
        assert by_key(report) == {key: (found["conversations"], found["transfers"]) for key, found in expected.items()}


@pytest.mark.parametrize("whole", [True, False], ids=["across a day's border", "across the range's end"])
def test_a_conversation_across_a_border_belongs_to_both_sides(report_url: str, whole: bool) -> None:
    world = make_world(3, size=200)
    known = {row["agent"] for row in world.states}
    across = [
        row for row in world.calls
        if row["talks"] == 1 and row["hold_us"] and row["wrap_us"] is not None and row["agent"] in known
    ]  # fmt: skip
    midnight = brute.whole_days(world)[-1].timestamp()
    for call in across:
        mine = brute.line(world, call) + [
            row for row in world.segments if row["call"] == call["call"] and row["kind"] == "wrapped"
        ]
        first = next(row for row in mine if row["kind"] == "talked")
        moved = us(midnight) - us(first["ended_at"]) + 1
        for row in (call, *mine):
            for name in ("entered_at", "answered_at", "started_at", "ended_at"):
                if row.get(name) is not None:
                    row[name] = (us(row[name]) + moved) / 1_000_000
    assert len(across) > 5
    world.from_s, world.to_s = midnight - 86_400, midnight + 3600 * whole
    names = ("conversations", "aht_s", "talk_s", "hold_s", "wrap_s", "ronas", "declines", "transfers")
    report = made(report_url, world, "agents", by=("agent", "day"), columns=names)
    expected = brute.agent_figures(world, ("agent", "day"), ("day",), ())
    assert by_key(report) == {key: tuple(found[name] for name in names) for key, found in expected.items()}


@EVERY
@given(seeds)
def test_time_in_states_and_reasons(report_url: str, seed: int) -> None:
    world, chance = make_world(seed, size=3), random.Random(seed)
    units = some_units(chance)
    by = chance.sample(
        [*units, "agent", "state", "reason"], chance.randrange(1, min(len(units) + 3, catalogue.BY_MAX) + 1)
    )
    by = by if "state" in by or "reason" in by or "agent" in by else [*by, "state"]
    units = [name for name in by if name in UNITS]
    report = made(report_url, world, "states", by=tuple(by))
    assert by_key(report) == brute.states(world, by, units)


@EVERY
@given(seeds)
def test_a_timeline_has_no_gap(report_url: str, seed: int) -> None:
    world = make_world(seed, size=2)
    report = made(report_url, world, "timeline")
    end = min(world.to_s, world.now)
    for agent in {row["agent"] for row in world.states}:
        rows = [row for row in report.rows if row[0] == agent]
        assert [row[1] for row in rows] == [world.from_s, *(row[2] for row in rows[:-1])]
        assert rows[-1][2] == end
        assert all(row[5] > 0 for row in rows)
        for row in rows:
            middle = (row[1] + row[2]) / 2
            there = [
                (s["state"], s["reason"]) for s in world.states
                if s["agent"] == agent and s["started_at"] <= middle < (s["ended_at"] or end)
            ]  # fmt: skip
            assert there in ([(row[3], row[4])], [] if row[3] == "not recorded" else None)


@EVERY
@given(seeds)
def test_who_gave_up_and_was_reached_since(report_url: str, seed: int) -> None:
    world = make_world(seed)
    report = made(report_url, world, "abandoned", short_s=5.0)
    names = ("call", "wait_s", "short", "after_talk", "tries", "reached", "reached_at", "reached_by", "reached_after_s")
    places = [report.at(name) for name in names]
    assert [tuple(row[place] for place in places) for row in report.rows] == brute.abandoned(world, 5.0)


@EVERY
@given(seeds)
def test_calls_that_made_another_one_necessary(report_url: str, seed: int) -> None:
    world, chance = make_world(seed), random.Random(seed)
    units = some_units(chance)
    by = tuple(
        chance.sample([*units, "queue", "agent", "disposition", "skill"], chance.randrange(1, 5 - (len(units) == 0)))
    )
    units = [name for name in by if name in UNITS]
    days = chance.choice((1, 1, 2, 7))
    for call in world.calls:
        if chance.random() < 0.1:
            # Just so long after another, and just so long ago
            other = chance.choice(world.calls)
            call |= {"caller_number": other["caller_number"], "client": other["client"]}
            moved = other["entered_at"] + days * 86_400
            if moved <= world.now:
                call["entered_at"] = moved
    world.calls[0]["entered_at"] = max(world.now - days * 86_400, world.from_s)
    report = made(report_url, world, "repeat", by=by, within_days=days)
    assert by_key(report) == brute.repeat(world, by, units, days)
    assert report.total is not None
    assert report.total[len(by) :] == brute.repeat(world, (), (), days).get((), (0, 0, 0, None, None))


@EVERY
@given(seeds)
def test_where_calls_were_passed_on_to(report_url: str, seed: int) -> None:
    world, chance = make_world(seed), random.Random(seed)
    for call in world.calls:
        if chance.random() < 0.3:
            call["from_call"] = chance.choice(world.calls)["call"]
    by = tuple(chance.sample(["kind", "queue", "target", "agent", "client", "did", "skill", "day", "hour"], 4))
    queues, agents = (chance.sample(names, chance.choice((0, 0, 2))) for names in (QUEUES, AGENTS))
    report = made(report_url, world, "transfers", by=by, filters=Filters(queue=tuple(queues), agent=tuple(agents)))

    def keep(row: Row) -> bool:
        return (not queues or row["queue"] in queues) and (not agents or row["agent"] in agents)

    expected = brute.transfers(world, by, keep)
    assert by_key(report) == expected
    assert report.total is not None
    whole = brute.transfers(world, tuple(name for name in by if name != "skill"), keep)
    assert report.total[len(by)] == sum(found[0] for found in whole.values())


@EVERY
@given(seeds)
def test_agents_and_transfers_tell_of_the_same(report_url: str, seed: int) -> None:
    world = make_world(seed)
    world.from_s, world.to_s = world.from_s - 7 * 86_400, world.to_s + 7 * 86_400
    known = {row["agent"] for row in world.states}
    agents = by_key(made(report_url, world, "agents", columns=("transfers",)))
    passed_on = by_key(made(report_url, world, "transfers", by=("agent",)))
    assert {agent: row[0] for (agent,), row in agents.items() if row[0]} == {
        agent: row[0] for (agent,), row in passed_on.items() if agent in known
    }


@EVERY
@given(seeds)
def test_every_call_is_a_row(report_url: str, seed: int) -> None:
    world = make_world(seed)
    report = made(report_url, world, "calls", columns=("call", "wait_s", "answered", "tags"))
    expected = [
        (
            c["call"], None if c["wait_us"] is None else c["wait_us"] / 1_000_000, c["answered_at"],
            None if c["tags"] is None else ", ".join(c["tags"]),
        )
        for c in sorted(brute.entered(world), key=lambda c: (c["entered_at"], c["call"]))
    ]  # fmt: skip
    assert list(report.rows) == expected
    assert report.expected == len(expected)


@EVERY
@given(seeds)
def test_outcomes_have_shares_that_add_up(report_url: str, seed: int) -> None:
    world = make_world(seed)
    report = made(report_url, world, "outcomes", by=("outcome",))
    rows = by_key(report)
    calls = brute.entered(world)
    for (outcome,), row in rows.items():
        count = sum(c["outcome"] == outcome for c in calls)
        assert row[:2] == (count, count / len(calls))
    assert sum(row[0] for row in rows.values()) == len(calls)


def test_another_call_just_within_the_days(report_url: str) -> None:
    world = make_world(5, size=60)
    first, second = [call for call in world.calls if call["ended_at"] and call["answered_at"]][:2]
    world.now = world.to_s + 30 * 86_400
    for apart_us, repeated in ((86_400_000_000, 1), (86_400_000_001, 0)):
        first |= {"entered_at": world.from_s, "caller_number": "+491", "client": None}
        second |= {"entered_at": world.from_s + apart_us / 1_000_000, "caller_number": "+491", "client": None}
        world.calls = [first, second]
        report = made(report_url, world, "repeat", by=("all",), within_days=1)
        (row,) = report.rows
        assert row[report.at("repeated")] == repeated
