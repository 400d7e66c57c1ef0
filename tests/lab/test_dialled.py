"""The witness of what was dialled: every rule that is broken is told, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from acd.lab.customers import CustomerCall
from acd.lab.dialled import Allowed, DialledLine, Row, breaches, lines_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
OWN = "+4930555000"
ONE, TWO = "+49301230001", "+49301230002"
ALLOWED = Allowed(frozenset({OWN}), {ONE: "UTC", TWO: "UTC"}, frozenset({"+49301270000"}))
A, B = "00000100000001", "00000100000002"


def line(attempt: str = A, at: float = NOON, **more: object) -> DialledLine:
    return DialledLine(attempt, at, **{"caller_id": OWN, "ended_s": at + 20.0, "cause": 19, **more})  # type: ignore[arg-type]


def call(number: str = ONE, at: float = NOON, rang_s: float = 16.0, **more: object) -> CustomerCall:
    usual = {"caller_id": OWN, "ringing_at": at, "ended_at": at + rang_s, "ended": "cancelled", **more}
    return CustomerCall(number.lstrip("+"), caller_name="", behaviour="never", called_at=at, **usual)  # type: ignore[arg-type]


def row(attempt: str = A, number: str = ONE, outcome: str = "no_answer", at: float = NOON - 0.1) -> Row:
    return Row(attempt, number, at, outcome)


def told(lines: Sequence[DialledLine], rows: Sequence[Row], calls: Sequence[CustomerCall]) -> list[str]:
    return breaches({one.uniqueid: one for one in lines}, rows, calls, ALLOWED)


def test_nothing_is_told_of_what_is_as_it_should_be():
    assert told([line(), line(B)], [row(), row(B, TWO)], [call(), call(TWO)]) == []
    assert told([], [row(outcome="failed"), row(B, TWO, outcome="withdrawn")], []) == []


@pytest.mark.parametrize(
    ("lines", "rows", "calls", "says"),
    [
        ([line()], [], [], "line 00000100000001 is of no attempt"),
        ([line(begun=2)], [row()], [call()], "attempt 00000100000001 had 2 lines"),
        ([line()], [row(at=NOON + 0.2)], [call()], "was dialled 0.200 s before it was recorded"),
        ([line(ended_s=None)], [row()], [call()], "line 00000100000001 has not ended"),
        ([line(caller_id="+4930999")], [row()], [call()], "attempt 00000100000001 showed +4930999"),
        ([], [row()], [], "came to no_answer without a line"),
        ([line()], [row(outcome="withdrawn")], [call()], "attempt 00000100000001 was withdrawn, and dialled"),
        ([line()], [row(number="+49301270000")], [call("+49301270000")], "+49301270000 is not to be called"),
        ([line()], [row(number="+4930777")], [call("+4930777")], "+4930777 is on no list"),
        ([line()], [row()], [], "+49301230001: 1 lines, but 0 calls arrived there"),
        ([], [row(outcome="failed")], [call()], "+49301230001: 0 lines, but 1 calls arrived there"),
        ([line()], [row()], [call(caller_id="")], "+49301230001 was shown no number"),
        ([line()], [row()], [call(rang_s=14.5)], "+49301230001 was given up after 14.50 s of ringing"),
    ],
)
def test_each_breach_is_told(lines, rows, calls, says):
    assert any(says in one for one in told(lines, rows, calls)), told(lines, rows, calls)


def test_a_line_that_the_other_side_ended_may_have_rung_for_less():
    assert told([line()], [row()], [call(rang_s=1.0, ended="refused")]) == []


@pytest.mark.parametrize(("hour", "minute", "right"), [(7, 59, False), (8, 0, True), (20, 59, True), (21, 0, False)])
def test_the_hour_counts_where_the_person_is(hour, minute, right):
    at = datetime(2026, 3, 2, hour, minute, tzinfo=UTC).timestamp() - 3600.0
    allowed = replace(ALLOWED, zones={ONE: "Europe/Berlin"})
    found = breaches({A: line(at=at)}, [row(at=at)], [call(at=at)], allowed)
    assert (not found) is right
    assert right or f"{hour:02d}:{minute:02d} there" in found[0]


def test_a_fourth_attempt_within_a_day_is_one_too_many():
    def at(*hours: float) -> list[str]:
        times = {f"0000010000000{index}": NOON + 3600.0 * hour for index, hour in enumerate(hours)}
        return told(
            [line(one, when) for one, when in times.items()],
            [row(one, at=when) for one, when in times.items()],
            [call(at=when) for when in times.values()],
        )

    assert at(0, 1, 2) == []
    assert at(0, 1, 2, 23.5) == ["+49301230001 was called 4 times in 24 hours"]
    assert at(0, 1, 2, 24) == [], "the first was 24 hours ago"


CEL = """\
"1.5","CHAN_START","00000100000001","00000100000001","PJSIP/carrier-00000000","from-trunk","s","","",""
"1.6","CHAN_START","77.1","77.1","PJSIP/1001-00000001","agents","s","","",""
"2.5","ANSWER","00000100000001","00000100000001","PJSIP/carrier-00000000","from-trunk","s","AppDial2","+4930555000",""
"9.5","HANGUP","00000100000001","00000100000001","PJSIP/carrier-00000000","acd-offer","x","","+4930555000","{""hangupcause"":16}"
"9.6","HANGUP","00000100000001","00000100000001","PJSIP/carr"""


def test_lines_are_read_out_of_the_log_of_channel_events(tmp_path: Path):
    file = tmp_path / "events.csv"
    file.write_text(CEL)
    found = lines_of(file)
    assert found == {A: DialledLine(A, 1.5, 1, OWN, 2.5, 9.5, 16)}
    file.write_text(CEL.replace('"2.5","ANSWER"', '"2.5","CHAN_START"'))
    assert lines_of(file)[A].begun == 2
    assert lines_of(file, "elsewhere") == {}
