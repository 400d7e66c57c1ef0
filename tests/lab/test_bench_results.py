"""What the benchmark makes of its rows: figures of a load, medians, targets, the file's shape, tables and pictures."""

from __future__ import annotations

import json

import pytest

from acd.lab.bench import plots, results, table
from acd.lab.bench.cases import is_held, turns
from acd.lab.bench.contenders import ACD, BARE_DIAL, CONTENDERS, LEAST_RECENT, dialplan, queues_conf
from acd.lab.bench.plan import CASES, Plan
from acd.lab.bench.stand import Cpu, load_figures, saturated_figures
from acd.lab.sipp_results import CallEvent, SippCounts, SippResult


def events(*calls):
    """``(call, placed, answered or None, ended)`` -> what SIPp would have logged, in order."""
    found = []
    for call, placed, answered, ended in calls:
        found.append(CallEvent(placed, "placed", call, "800"))
        if answered is not None:
            found.append(CallEvent(answered, "answered", call, "800"))
        found.append(CallEvent(ended, "ended", call, "800"))
    return sorted(found, key=lambda event: event.at)


def test_a_load_counts_what_began_within_it_and_divides_by_what_ended():
    calls = [
        (1, 9.0, 9.1, 10.5),  # began before: its set-up does not count, its end does
        (2, 10.0, 10.004, 11.0),
        (3, 10.5, 10.520, 11.5),
        (4, 11.0, None, 12.5),  # never answered, and ended later
        (5, 12.0, 12.1, 13.0),  # began when it was over
    ]
    counts = SippCounts(created=5, successful=4, failed=1, retransmissions=2)
    figures = load_figures(
        SippResult(counts, events=events(*calls)), Cpu(10.0, 1.0, 0.5, 0.1, 7.0), Cpu(12.0, 1.3, 0.56, 0.13, 7.49)
    )
    assert (figures["calls"], figures["ended"], figures["unanswered"], figures["lost"]) == (3, 3, 1, 1)
    assert figures["setup_p50_ms"] == pytest.approx(4.0)
    assert figures["setup_p99_ms"] == pytest.approx(20.0)
    assert figures["asterisk_ms"] == pytest.approx(100.0)
    assert figures["controller_ms"] == pytest.approx(20.0)
    assert figures["total_ms"] == pytest.approx(120.0)
    assert figures["others_cores"] == pytest.approx((0.49 - 0.39) / 2)
    assert not is_held(figures, 1000)


def test_a_load_without_an_answer_has_no_figures():
    figures = load_figures(SippResult(), Cpu(10.0, 1.0, 0.0, 0.0), Cpu(12.0, 1.3, 0.0, 0.0))
    assert figures["setup_p99_ms"] is None
    assert figures["total_ms"] is None
    assert not is_held(figures, 1000)


@pytest.mark.parametrize(
    ("lost", "unanswered", "p99_ms", "held"),
    [(0, 0, 999.0, True), (1, 0, 5.0, False), (0, 1, 5.0, False), (0, 0, 1001.0, False), (0, 0, None, False)],
)
def test_what_it_means_that_a_rate_is_held(lost, unanswered, p99_ms, held):
    assert is_held({"lost": lost, "unanswered": unanswered, "setup_p99_ms": p99_ms}, 1000) is held


def test_a_saturated_round():
    callers = SippResult(SippCounts(created=3, successful=3), events=events((1, 5.0, 5.1, 6.1), (2, 5.1, 5.2, 7.1)))
    phone = [
        CallEvent(5.0, "offered", 1, "1001"),
        CallEvent(5.1, "answered", 1, "1001"),
        CallEvent(6.0, "hung_up", 1, "1001"),
        CallEvent(6.008, "offered", 2, "1001"),
        CallEvent(6.1, "answered", 2, "1001"),
        CallEvent(7.1, "hung_up", 2, "1001"),
    ]
    figures = saturated_figures(callers, phone, 2.0)
    assert figures["makespan_s"] == pytest.approx(2.1)
    assert figures["over_ideal_percent"] == pytest.approx(5.0)
    assert figures["gap_p50_ms"] == pytest.approx(8.0)
    assert figures["served"] == 2
    assert figures["timeline"][-1] == [1.25, 2]


def test_only_app_queue_gets_a_queue_and_only_acd_no_dialplan():
    devices = ["PJSIP/1001", "PJSIP/1002"]
    for contender in CONTENDERS:
        text = dialplan(contender, first_phone=1001, phones=2, held=True)
        queues = queues_conf(contender, devices)
        assert ("member => PJSIP/1002" in queues) == (contender.strategy is not None)
        assert ("Queue(" in text) == ("Answer(0,i)" in text) == (contender.strategy is not None)
        assert bool(text) != contender.is_acd
    assert "Answer" not in dialplan(LEAST_RECENT, first_phone=1001, phones=2, held=False)
    assert "% 2],30)" in dialplan(BARE_DIAL, first_phone=1001, phones=2, held=False)


def test_as_many_turns_as_are_announced():
    plan = Plan(rounds=2)
    assert turns(plan, ["setup"], CONTENDERS) == 2 * 5 * 4
    assert turns(plan, ["saturated"], CONTENDERS) == 2 * 3
    assert turns(plan, ["cpu", "parse"], [ACD]) == 2 * 4 + 2
    assert turns(Plan().short(), CASES, CONTENDERS) < turns(Plan(), CASES, CONTENDERS) / 2


def load(case, contender, number, agents, rate, p50, p99, asterisk, controller=0.0):
    return {
        "case": case,
        "contender": contender,
        "round": number,
        "agents": agents,
        "rate": rate,
        "setup_p50_ms": p50,
        "setup_p99_ms": p99,
        "asterisk_ms": asterisk,
        "controller_ms": controller,
        "total_ms": asterisk + controller,
        "others_cores": 0.01,
        "lost": 0,
        "errors": [],
    }


def full():
    """Rows of every case."""
    rows = [
        load("setup", "dial", number, 300, 140, 4.0, p99, 7.0) for number, p99 in ((1, 60.0), (2, 900.0), (3, 70.0))
    ]
    rows += [load("setup", "leastrecent", 1, 300, 140, 150.0, 640.0, 13.0)]
    rows += [load("setup", "acd", n, 300, 140, 8.0, p99, 8.0, 1.0) for n, p99 in ((1, 80.0), (2, 84.0), (3, 2.0))]
    for agents in (50, 2000):
        rows += [
            load("cpu", "dial", 1, agents, 25, 4.0, 8.0, 8.0),
            load("cpu", "acd", 1, agents, 25, 4.0, 8.0, 8.0, 1.0),
        ]
        rows += [load("cpu", "leastrecent", 1, agents, 25, 4.0, 8.0, 10.0 + agents / 200)]
    for contender, makespan_s, gap_ms in (("leastrecent", 28.1, 560.0), ("acd", 18.9, 8.0)):
        rows.append(
            {
                "case": "saturated",
                "contender": contender,
                "round": 1,
                "agents": 50,
                "rate": 100,
                "calls": 900,
                "makespan_s": makespan_s,
                "ideal_s": 18.49,
                "over_ideal_percent": (makespan_s / 18.49 - 1) * 100,
                "gap_p50_ms": gap_ms,
                "gap_p99_ms": gap_ms * 2,
                "lost": 0,
                "timeline": [[0.0, 0], [18.0, 900]],
            }
        )
    for contender, rates in (("dial", {150: True, 170: False}), ("leastrecent", {90: True}), ("acd", {130: True})):
        rows += [
            {"case": "highest", "contender": contender, "round": 1, "agents": 300, "rate": rate, "held": held}
            for rate, held in rates.items()
        ]
    rows.append({"case": "start", "contender": "acd", "round": 1, "agents": 300, "ready_s": 1.25})
    rows.append({"case": "rebuild", "contender": "acd", "round": 1, "callers": 1000, "rebuild_s": 1.75})
    for wanted, rate in (("all", 200_000.0), (13, 700_000.0)):
        rows.append({"case": "parse", "contender": "acd", "round": 1, "wanted": wanted, "events_per_s": rate})
    return rows


def document(rows):
    return results.document(
        rows,
        began_at="2026-01-02T03:04:05+00:00",
        took_s=12.34,
        command="python -m acd.lab.bench",
        machine={"cores": 2, "cpu": "some"},
        versions={"asterisk": "22.10.1+dfsg-1"},
        plan={"rounds": 3},
    )


def test_summary_is_the_median_of_rounds():
    (entry,) = [e for e in results.summarize(full()) if (e["case"], e["contender"]) == ("setup", "dial")]
    assert (entry["rounds"], entry["setup_p99_ms"], entry["total_ms"]) == (3, 70.0, 7.0)
    assert "highest" not in {e["case"] for e in results.summarize(full())}


def test_highest_rate_is_the_highest_that_held():
    assert results.highest_rates(full()) == {"dial": 150, "leastrecent": 90, "acd": 130}
    assert results.highest_rates([{"case": "highest", "contender": "acd", "rate": 9, "held": False}]) == {"acd": None}


def test_a_search_that_was_broken_off_has_found_nothing():
    tried = [
        {"case": "highest", "contender": who, "agents": 300, "rate": rate, "held": held, "unfinished": unfinished}
        for who, rate, held, unfinished in (
            ("dial", 100, True, True),
            ("dial", 120, True, False),
            ("acd", 100, True, True),
            ("acd", 120, False, True),
        )
    ]
    assert results.highest_rates(tried) == {"dial": 120}
    assert not [target for target in results.targets(tried) if "highest" in target.name]


def test_targets_say_what_was_promised_and_whether_it_was_kept():
    found = {target.name: target for target in results.targets(full())}
    p99 = found["set-up p99 at 140/s, of bare Dial's"]
    assert p99.value == pytest.approx(80 / 70)
    assert p99.met is True
    assert found["CPU a call, 50 agents at 25/s, of bare Dial's"].value == pytest.approx(9 / 8)
    assert found["CPU a call, most agents of fewest"].value == pytest.approx(1.0)
    assert found["saturated, over the ideal"].met is True
    highest = found["highest rate held, of app_queue's"]
    assert (highest.value, highest.met, highest.at_least) == (pytest.approx(130 / 90), True, True)
    assert all(target.met for target in found.values()), [t for t in found.values() if not t.met]
    slow = [{**row, "setup_p99_ms": 1000.0} if row["contender"] == "acd" else row for row in full()]
    assert results.targets(slow)[0].met is False


def test_set_up_is_judged_at_one_rate_and_behind_app_queue_at_none():
    rows = [
        *full(),
        load("setup", "rrmemory", 1, 300, 140, 9.0, 100.0, 9.0),
        load("setup", "dial", 1, 300, 220, 4.0, 6.0, 5.0),
        load("setup", "leastrecent", 1, 300, 220, 9.0, 20.0, 5.0),
        load("setup", "acd", 1, 300, 220, 9.0, 23.0, 5.0, 1.0),
    ]
    found = {target.name: target for target in results.targets(rows)}
    judged = found["set-up p99 at 140/s, of app_queue's"]  # the strategy that does better
    assert (judged.value, judged.bound, judged.met) == (pytest.approx(0.8), results.FAR_AHEAD, False)
    other = found["set-up p99 at 220/s, of app_queue's"]
    assert (other.value, other.bound, other.met) == (pytest.approx(1.15), results.NOT_BEHIND, False)
    assert "set-up p99 at 220/s, of bare Dial's" not in found
    assert found["CPU a call, 300 agents at 220/s, of app_queue's"].value == pytest.approx(1.2)


def test_targets_without_a_base_are_neither_met_nor_missed():
    only_ours = [row for row in full() if row["contender"] == "acd"]
    found = {target.name: target for target in results.targets(only_ours)}
    assert found["set-up p99 at 140/s, of bare Dial's"].met is None
    assert found["saturated, over the ideal"].met is True
    assert results.targets([]) == []


def test_document_survives_json_and_has_its_keys():
    found = json.loads(json.dumps(document(full())))
    assert set(found) == {
        *("format", "began_at", "took_s", "command", "machine", "versions", "plan"),
        *("rows", "summary", "highest", "targets"),
    }
    assert found["format"] == results.FORMAT
    assert len(found["rows"]) == len(full())
    assert {"name", "value", "bound", "at_least", "unit", "met"} == set(found["targets"][0])
    assert results.others_cores(found) == pytest.approx(0.01)


def test_markdown_has_every_contender_and_figure():
    text = table.markdown(document(full()))
    assert "| 300 agents, 140 calls/s: set-up p50 / p99, ms | 4.0 / 70.0 | 150 / 640 | 8.0 / 80.0 |" in text
    assert "| highest rate held, calls/s | 150 | 90.0 | 130 |" in text
    assert "| 300 agents, 140 calls/s: CPU a call, Asterisk + controller, ms | 8.0 + 1.0 |" in text
    assert "1,000 held callers known again, s | 1.75 |" in text
    assert "Asterisk 22.10.1 and" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {line.count("|") for line in rows}
    assert widths <= {3, 5, 6}
    assert len(table.rich_tables(document(full()))) == 3


@pytest.mark.parametrize("case", ["setup", "saturated", "start", "parse"])
def test_tables_of_a_part_of_the_cases(case):
    text = table.markdown(document([row for row in full() if row["case"] == case]))
    assert "None" not in text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.123, "0.12"), (7.84, "7.8"), (12.34, "12.3"), (1248.4, "1,248")]
)
def test_numbers_are_short(value, text):
    assert table.number(value) == text


def test_pictures_are_drawn_for_what_was_measured(tmp_path):
    found = document(full())
    files = plots.draw(found, tmp_path)
    assert [file.name for file in files] == ["setup.png", "cpu.png", "saturated.png"]
    assert all(file.read_bytes().startswith(b"\x89PNG") and file.stat().st_size > 10_000 for file in files)
    assert plots.draw(document([row for row in full() if row["case"] == "start"]), tmp_path) == []


def test_growth_of_routing_is_that_of_the_runs_of_a_size_made_one_after_the_other():
    def row(agents, *p99s_us):
        sizes = {"agents": agents, "waiting": 0, "types": 10, "spread": False}
        policies = {"agent_selection": "longest_idle", "call_selection": "priority"}
        runs = [{"p99_us": p99_us, "mean_us": p99_us / agents} for p99_us in p99s_us]
        figures = {"p99_us": sorted(p99s_us)[1], "mean_us": 1.0, "events_per_s": 2e5, "runs": runs}
        return {"case": "routing", "contender": "acd", **sizes, **policies, **figures}

    found = {target.name: target for target in results.targets([row(100, 10, 10, 40), row(10_000, 15, 90, 64)])}
    # Of the medians it would be 6.4
    assert found["routing, p99 with 10,000 agents, of that with 100"].value == 1.6
    assert found["routing, mean with 10,000 agents, of that with 100"].value == pytest.approx(0.016)
    alone = {target.name: target for target in results.targets([row(100, 10, 10, 40)])}
    assert alone["routing, p99 with 10,000 agents, of that with 100"].met is None


def test_a_judged_campaign_has_its_targets_and_its_figures_of_both_sides():
    row = {
        "case": "campaign", "contender": "acd", "round": 1, "agents": 30, "length_s": 1200.0, "cap": 0.03, "dialled": 4100,
        "utilisation": 0.912, "utilisation_simulated": 0.93, "abandonment": 0.021, "abandonment_simulated": 0.058,
        "dialled_for_one": 2.5, "dialled_for_one_simulated": 2.49, "connected_p50_ms": 12.0, "connected_p99_ms": 1900.0,
        "breaches": ["one"],
    }  # fmt: skip
    found = {target.name: (target.value, target.met) for target in results.targets([row])}
    assert found == {
        "campaign, utilisation, from the simulator's": (pytest.approx(1.8), True),
        "campaign, abandonment, from the simulator's": (pytest.approx(3.7), False),
        "campaign, abandoned": (pytest.approx(2.1), True),
        "campaign, dialled outside the rules": (1.0, False),
    }
    said = {"rows": [row], "summary": results.summarize([row]), "highest": {}, "targets": []}
    (sheet,) = table.sheets(said)
    assert sheet.rows == (
        ("campaign, 30 agents, 1200 s, 4,100 dialled: utilisation (simulated)", "91.2% (93.0%)"),
        ("campaign: abandoned, the cap is 3% (simulated)", "2.10% (5.80%)"),
        ("campaign: dialled for one who answers (simulated)", "2.50 (2.49)"),
        ("campaign: answer to agent p50, p99, ms", "12.0, 1,900"),
    )
