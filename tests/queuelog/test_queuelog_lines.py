"""What calls and agents come to in a queue_log: tables of records and lines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from queuelogkit import Records, T, call, decided, lines_of, log_of

from acd.domain.records import RevisionLoaded
from acd.queuelog.lines import Line

ENTERED = ["0|u-c|sales|NONE|ENTERQUEUE||+49|1", "0|u-c|sales|NONE|DID|100"]
RANG = [
    ("entered", 0, 0.1),
    ("waited", 0.1, 5),
    ("offered", 5, 5.5, "ann", "o1"),
    ("rang", 5.5, 8, "ann", "o1", "answered"),
]
AGAIN = [*RANG, ("talked", 8, 30, "ann", "o1", "escalated")]
PASSED = [
    "8|u-c|sales|ann|CONNECT|8|o1|3",
    "30|u-c|sales|ann|BLINDTRANSFER|help|queue|8|22|1",
    "30|u-c|help|NONE|ENTERQUEUE||+49|1",
]
CONNECT = "8|u-c|sales|ann|CONNECT|8|o1|3"


@pytest.mark.parametrize(
    ("steps", "end", "lines"),
    [
        pytest.param(
            [*RANG, ("talked", 8, 30, "ann", "o1", "agent"), ("after", 30, 30.1)],
            {},
            [CONNECT, "30|u-c|sales|ann|COMPLETEAGENT|8|22|1"],
            id="agent hangs up",
        ),
        pytest.param(
            [*RANG, ("talked", 8, 20, "ann", "o1", "held"), ("consulted", 20, 22, "ann", "o1", "conference"),
             ("conferenced", 22, 28, "ann", "o1", "consult_over"), ("talked", 28, 30, "ann", "o1", "caller"),
             ("after", 30, 30.1)],
            {},
            [CONNECT, "30|u-c|sales|ann|COMPLETECALLER|8|22|1"],
            id="a conference is a part of the conversation",
        ),
        pytest.param(
            [*RANG, ("talked", 8, 20, "ann", "o1"), ("held", 20, 25, "ann", "o1"),
             ("talked", 25, 30, "ann", "o1", "caller")],
            {},
            [CONNECT, "30|u-c|sales|ann|COMPLETECALLER|8|22|1"],
            id="held, caller hangs up",
        ),
        pytest.param(
            [("entered", 0, 0.1), ("waited", 0.1, 12.5, None, None, "abandoned")],
            {"ends": "abandoned"},
            ["12|u-c|sales|NONE|ABANDON|1|1|12"],
            id="gives up",
        ),
        pytest.param(
            [*RANG[:3], ("rang", 5.5, 9.25, "ann", "o1", "caller_gone")],
            {"ends": "abandoned"},
            ["9|u-c|sales|ann|RINGCANCELED|4250", "9|u-c|sales|NONE|ABANDON|1|1|9"],
            id="gives up while it rings",
        ),
        pytest.param(
            [*RANG[:3], ("rang", 5.5, 25, "ann", "o1", "no_answer"), ("waited", 25, 26, None, None),
             ("offered", 26, 26.1, "bob", "o2", "busy"), ("waited", 26.1, 30),
             ("offered", 30, 30.1, "cem", "o3"), ("rang", 30.1, 31, "cem", "o3", "answered"),
             ("talked", 31, 40, "cem", "o3", "transfer"), ("after", 40, 40.1)],
            {"ends": "transferred", "by": "agent", "target": "602@agents"},
            ["25|u-c|sales|ann|RINGNOANSWER|20000", "26|u-c|sales|bob|RINGNOANSWER|100", "31|u-c|sales|cem|CONNECT|31|o3|1",
             "40|u-c|sales|cem|BLINDTRANSFER|602|agents|31|9|1"],
            id="missed, busy, answered, blind transfer",
        ),
        pytest.param(
            [*RANG, ("talked", 8, 30, "ann", "o1", "caller"), ("after", 30, 30.1)],
            {"ends": "transferred", "by": "agent", "target": "1009"},
            [CONNECT, "30|u-c|sales|ann|ATTENDEDTRANSFER|BRIDGE|1009|8|22|1"],
            id="attended transfer",
        ),
        pytest.param(
            [*RANG, ("talked", 8, 30, "ann", "o1", "escalated"), ("waited", 30, 33, None, None, None, "help"),
             ("offered", 33, 33.1, "bob", "o2", None, "help"), ("rang", 33.1, 35, "bob", "o2", "answered", "help"),
             ("talked", 35, 50, "bob", "o2", "agent", "help"), ("after", 50, 50.1, None, None, None, "help")],
            {},
            [CONNECT, "30|u-c|sales|ann|BLINDTRANSFER|help|queue|8|22|1", "30|u-c|help|NONE|ENTERQUEUE||+49|1",
             "35|u-c|help|bob|CONNECT|5|o2|2", "50|u-c|help|bob|COMPLETEAGENT|5|15|1"],
            id="passed on to another queue",
        ),
        pytest.param(
            [*RANG, ("talked", 8, 30, "ann", "o1", "caller"), ("after", 30, 30, None, None, "joined"),
             ("waited", 30, 33, None, None, "abandoned", "help")],
            {"by": "caller"},
            [CONNECT, "30|u-c|sales|ann|BLINDTRANSFER|help|queue|8|22|1", "30|u-c|help|NONE|ENTERQUEUE||+49|1",
             "33|u-c|help|NONE|ABANDON|1|1|3"],
            id="passed on, and the agent was heard leaving before",
        ),
        pytest.param(
            [*RANG, ("talked", 8, 30, "ann", "o1"), ("after", 30, 30.1)],
            {"ends": "lost_track", "by": "unknown"},
            [CONNECT, "30|u-c|sales|ann|COMPLETECALLER|8|22|1"],
            id="nobody knows who hung up",
        ),
        pytest.param(
            [("entered", 0, 0.1), ("waited", 0.1, 90, None, None, "lost_track")],
            {"ends": "lost_track", "by": "unknown"},
            ["90|u-c|sales|NONE|EXITWITHTIMEOUT|1|1|90"],
            id="nobody knows what became of who waited",
        ),
        pytest.param(
            [*RANG[:3], ("rang", 5.5, 9, "ann", "o1", "lost_track")],
            {"ends": "lost_track", "by": "unknown"},
            ["9|u-c|sales|NONE|EXITWITHTIMEOUT|1|1|9"],
            id="nobody knows what became of who rang",
        ),
        pytest.param(
            [*AGAIN, ("waited", 30, 40, None, None, "lost_track", "help")],
            {"ends": "lost_track", "by": "unknown"},
            [*PASSED, "40|u-c|help|NONE|EXITWITHTIMEOUT|1|1|10"],
            id="nobody knows what became of who had talked and waited again",
        ),
        pytest.param(
            [*AGAIN, ("waited", 30, 40, None, None, "abandoned", "help")],
            {},
            [*PASSED, "40|u-c|help|NONE|ABANDON|1|1|10"],
            id="gives up after a conversation",
        ),
        pytest.param(
            [*AGAIN, ("waited", 30, 40, None, None, "fallback", "help")],
            {"ends": "transferred", "by": "system", "target": "sorry,s,1"},
            [*PASSED, "40|u-c|help|NONE|EXITWITHTIMEOUT|1|1|10"],
            id="left to the dialplan after a conversation",
        ),
        pytest.param(
            [*AGAIN, ("waited", 30, 40, None, None, "transferred", "help")],
            {"ends": "transferred", "by": "agent", "target": "sorry,s,1"},
            [*PASSED, "40|u-c|help|NONE|WITHDRAW|1|1|10|transferred"],
            id="sent away by hand after a conversation",
        ),
        pytest.param(
            [("entered", 0, 0.1), ("waited", 0.1, 12, None, None, "joined")],
            {"ends": "transferred", "by": "agent", "target": "call x"},
            ["12|u-c|sales|NONE|WITHDRAW|1|1|12|joined"],
            id="an agent's own call, joined while it waits",
        ),
    ],
)  # fmt: skip
def test_a_call(tmp_path: Path, steps: list, end: dict, lines: list[str]) -> None:
    records = Records(tmp_path)
    records.write(*call("c", *steps, **end))
    assert lines_of(log_of(records)) == ENTERED + lines


@pytest.mark.parametrize(
    ("cause", "event"), [("max_wait", "EXITWITHTIMEOUT"), ("closed", "EXITWITHTIMEOUT"), ("nobody", "EXITEMPTY")]
)
def test_a_queue_that_keeps_a_call_no_longer(tmp_path: Path, cause: str, event: str) -> None:
    records = Records(tmp_path)
    moved = [
        ("entered", 0, 0.1),
        ("waited", 0.1, 60, None, None, "overflowed"),
        ("waited", 60, 90, None, None, None, "help"),
    ]
    records.write(
        *call("c", *moved, ends="overflowed", target="hangup"),
        decided("c", 60, "overflowed", cause=cause),
        decided("c", 90, "overflowed", cause="max_wait"),
    )
    assert lines_of(log_of(records)) == [
        *ENTERED,
        f"60|u-c|sales|NONE|{event}|1|1|60",
        "60|u-c|help|NONE|ENTERQUEUE||+49|1",
        "90|u-c|help|NONE|EXITWITHTIMEOUT|1|1|30",
    ]


def test_several_queues_that_send_on_in_one_moment_have_each_its_own_reason(tmp_path: Path) -> None:
    records = Records(tmp_path)
    steps = [
        ("entered", 0, 0, None, None, "overflowed"),
        ("waited", 0, 0, None, None, "overflowed", "help"),
        ("waited", 0, 0, None, None, "overflowed", "night"),
    ]
    ways = [("sales", "full"), ("help", "nobody"), ("night", "closed")]
    records.write(
        *call("c", *steps, ends="overflowed", target="voicemail,s,1", by="system"),
        *(
            replace(decided("c", 0, "overflowed", cause=cause, **{"from": queue}), serial=serial)
            for serial, (queue, cause) in enumerate(ways)
        ),
    )
    assert lines_of(log_of(records)) == [
        *ENTERED,
        "0|u-c|sales|NONE|EXITWITHTIMEOUT|1|1|0",
        "0|u-c|help|NONE|ENTERQUEUE||+49|1",
        "0|u-c|help|NONE|EXITEMPTY|1|1|0",
        "0|u-c|night|NONE|ENTERQUEUE||+49|1",
        "0|u-c|night|NONE|EXITWITHTIMEOUT|1|1|0",
    ]


def test_a_queue_that_sends_on_who_had_talked(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.write(
        *call("c", *AGAIN, ("waited", 30, 40, None, None, "overflowed", "help"), by="system"),
        decided("c", 30, "escalated", to="help"),
        decided("c", 40, "overflowed", cause="nobody"),
    )
    assert lines_of(log_of(records)) == [*ENTERED, *PASSED, "40|u-c|help|NONE|EXITEMPTY|1|1|10"]


def test_of_two_who_are_tried_the_first_is_let_go(tmp_path: Path) -> None:
    """The stretch goes on in the other's name: it is one offer, and rings since it was made."""
    records = Records(tmp_path)
    steps = [
        ("entered", 0, 0.1),
        ("waited", 0.1, 5),
        ("offered", 5, 6, "ann", "o1"),
        ("offered", 6, 6.5, "bob", "o1"),
        ("rang", 6.5, 8, "bob", "o1", "answered"),
        ("talked", 8, 30, "bob", "o1", "agent"),
        ("after", 30, 30.1),
    ]
    records.write(
        *call("c", *steps, by="agent"),
        decided("c", 5, "offered", "o1", agents=["ann", "bob"]),
        decided("c", 6, "let_go", "o1", agent="ann"),
    )
    assert lines_of(log_of(records)) == [
        *ENTERED,
        "8|u-c|sales|bob|CONNECT|8|o1|3",
        "30|u-c|sales|bob|COMPLETEAGENT|8|22|1",
    ]


def test_a_call_passed_on_while_it_waits_is_withdrawn(tmp_path: Path) -> None:
    records = Records(tmp_path)
    steps = [("entered", 0, 0.1), ("waited", 0.1, 5, None, None, "escalated"), ("waited", 5, *[None] * 4, "help")]
    records.write(*call("c", *steps), decided("c", 5, "escalated", to="help"))
    assert lines_of(log_of(records))[2:] == [
        "5|u-c|sales|NONE|WITHDRAW|1|1|5|escalated",
        "5|u-c|help|NONE|ENTERQUEUE||+49|1",
    ]


def test_everybody_who_was_rung_in_vain_is_named(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.write(
        *call("c", *RANG[:3], ("rang", 5.5, 25, "ann", "o1", "no_answer"), ("waited", 25, 26), ends="abandoned"),
        decided("c", 5, "offered", "o1", agents=["ann", "bob"]),
    )
    named = [line.split("|")[3] for line in lines_of(log_of(records)) if "RINGNOANSWER" in line]
    assert named == ["ann", "bob"]


def test_places_in_line_are_those_of_the_moment(tmp_path: Path) -> None:
    """Two wait; one of higher rank comes before them; the first is served, and the others move up."""
    records = Records(tmp_path)
    wait = ("waited", 0, 50, None, None, "abandoned")
    records.write(
        *call(
            "a", ("entered", 0, 1), ("waited", 1, 9), ("offered", 9, 10, "ann", "o1"), ("talked", 10, 90, "ann", "o1")
        ),
        *call("b", ("entered", 2, 3), ("waited", 3, 50, *wait[3:]), ends="abandoned"),
        *call("vip", ("entered", 4, 5), ("waited", 5, 60, *wait[3:]), ends="abandoned", priority=9),
        *call("other", ("entered", 6, 7, None, None, None, "help"), ("waited", 7, None, None, None, None, "help")),
    )
    lines = [line for line in lines_of(log_of(records)) if "DID" not in line]
    assert [line.split("|", 1)[1] for line in lines] == [
        "u-a|sales|NONE|ENTERQUEUE||+49|1",
        "u-b|sales|NONE|ENTERQUEUE||+49|2",
        "u-vip|sales|NONE|ENTERQUEUE||+49|1",
        "u-other|help|NONE|ENTERQUEUE||+49|1",
        "u-a|sales|ann|CONNECT|10|o1|1",
        "u-b|sales|NONE|ABANDON|2|2|48",
        "u-vip|sales|NONE|ABANDON|1|1|56",
        "u-a|sales|ann|COMPLETECALLER|10|80|1",
    ]
    # A log that begins in between knows what was before
    assert lines_of(log_of(records, since=20)) == lines[5:]


def test_agents_come_pause_and_go(tmp_path: Path) -> None:
    records = Records(tmp_path)
    steps = [
        (-5, "LOGGED_OUT", None), (1, "AVAILABLE", None), (2, "RESERVED", None), (3, "PAUSED", "rona"),
        (4, "AVAILABLE", None), (5, "PAUSED", "lunch"), (6, "PAUSED", "meeting"), (6.5, "PAUSED", "meeting"),
        (7, "LOGGED_OUT", None),
        (8, "PAUSED", "pause"), (9, "AVAILABLE", None),
    ]  # fmt: skip
    records.write(*(records.agent("ann", at, state, reason) for at, state, reason in steps))

    def both(at: int, event: str, reason: str) -> list[str]:
        return [f"{at}|NONE|{queue}|ann|{event}|{reason}" for queue in ("sales", "help")]

    def every(at: int, event: str, reason: str) -> list[str]:
        return [f"{at}|NONE|NONE|ann|{event}ALL|{reason}", *both(at, event, reason)]

    expected = [
        *both(1, "ADDMEMBER", ""),
        *every(3, "PAUSE", "Auto-Pause"),
        *every(4, "UNPAUSE", ""),
        *every(5, "PAUSE", "lunch"),
        *every(6, "PAUSE", "meeting"),
        *both(7, "REMOVEMEMBER", ""),
        *both(8, "ADDMEMBER", "PAUSED"),
        *every(8, "PAUSE", "pause"),
        *every(9, "UNPAUSE", ""),
    ]
    assert lines_of(log_of(records)) == expected
    later = lines_of(log_of(records, since=5.5))
    assert later == expected[expected.index("6|NONE|NONE|ann|PAUSEALL|meeting") :]


def test_a_pause_that_goes_on_when_the_log_begins_is_not_told_again(tmp_path: Path) -> None:
    records = Records(tmp_path)
    steps = [(-50, "PAUSED", "rona"), (1, "PAUSED", "declined"), (2, "LOGGED_OUT", None)]
    records.write(*(records.agent("ann", at, state, reason) for at, state, reason in steps))
    assert [line.split("|")[4] for line in lines_of(log_of(records))] == ["REMOVEMEMBER"] * 2


def test_a_log_that_begins_amid_long_waits_knows_who_was_there_before(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for name, since, until in (("x", -50, 300), ("y", 0, 600), ("z", 10, 1000)):
        records.write(*call(name, ("entered", since, since + 1), ("waited", since + 1, until), ends="abandoned"))
    whole = lines_of(log_of(records, since=-100))
    assert whole[-1] == "1000|u-z|sales|NONE|ABANDON|1|3|990"
    assert lines_of(log_of(records, since=900)) == whole[-1:]


def test_an_agent_nobody_knows_keeps_his_name(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.write(records.agent("old|hand\n", 1, "AVAILABLE"))
    assert lines_of(log_of(records)) == ["1|NONE|NONE|old_hand_|ADDMEMBER|"]


def test_reloads_and_starts_are_told(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.write(RevisionLoaded("r0", T - 100, "ops", {}), RevisionLoaded("r1", T + 5, "ops", {}))
    assert lines_of(log_of(records)) == ["5|NONE|NONE|NONE|CONFIGRELOAD|"]


@pytest.mark.parametrize("hostile", ["1|2", "1\n2", "1\r2", "1\x002", "1\u20282"])
def test_no_caller_writes_lines_or_fields_of_his_own(hostile: str) -> None:
    text = str(Line(T, "u", "sales", "NONE", "ENTERQUEUE", ("", hostile, 1)))
    assert text == f"{int(T)}|u|sales|NONE|ENTERQUEUE||1_2|1"


def test_a_call_that_comes_in_pieces_is_told_the_same(tmp_path: Path) -> None:
    """Whatever the moment at which the database is looked at, the lines are those of the whole."""
    steps = [*RANG, ("talked", 8, 20, "ann", "o1"), ("held", 20, 25, "ann", "o1"), ("talked", 25, 30, "ann", "o1", "agent"),
             ("after", 30, 30.1)]  # fmt: skip
    whole = call("c", *steps)
    (tmp_path / "whole").mkdir()
    expected = Records(tmp_path / "whole")
    expected.write(*whole)
    records, clock = Records(tmp_path), 0.0
    log, told = log_of(records), list[str]()
    for record in whole:
        records.write(record)
        told += [str(line) for line in log.new(clock)]
        clock += 0.5
    for _ in range(8):
        told += [str(line) for line in log.new(clock)]
        clock += 0.5
    assert [line.split("|", 1)[1] for line in told] == [line.split("|", 1)[1] for line in lines_of(log_of(expected))]
