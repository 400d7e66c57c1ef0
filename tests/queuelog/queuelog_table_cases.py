"""The table a log is written to, on SQLite and PostgreSQL alike. Collected by test_queuelog_table_*.py."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from queuelogkit import MEMBERS, Records, T, call, decided, ended_in_turn, lines_of, log_of
from storekit import Database

from acd.cli import cli, queuelog, queuelog_follow
from acd.domain.errors import ConfigurationError, RefusedError, SchemaError, StoreError
from acd.domain.numbers import Numbering
from acd.domain.records import Record
from acd.queuelog import table as module
from acd.queuelog.export import Log, Members
from acd.queuelog.lines import Line
from acd.queuelog.source import Source
from acd.queuelog.table import LogTable, SupersededError, clear
from acd.records.person import Person
from acd.records.retention import DAY_S, Policy, Retention
from acd.records.seal import Seal
from acd.store import downgrade
from acd.store.tables import queue_log, queue_log_place

DATA = [f"data{n}" for n in range(1, 6)]


def line(n: int, *data: str | int) -> Line:
    return Line(T + n, f"u{n}", "sales", "NONE", "ABANDON", data or (1, 1, n))


def begun(database: Database, hold_s: float = 600.0, **how: Any) -> LogTable:
    log = LogTable(database.url, hold_s, **how)
    if log.upto is None:
        log.begin(T - 1000)
    return log


def ids(database: Database) -> list[str]:
    return [row["callid"] for row in database.rows(queue_log)]


def told(database: Database) -> list[str]:
    """The table as lines of a file, with times after T."""
    found = []
    for row in database.rows(queue_log):
        data = [row[name] for name in DATA]
        while data and not data[-1]:
            data.pop()
        texts = (row[name] for name in ("callid", "queuename", "agent", "event"))
        found.append(f"{int(row['time']) - int(T)}|{'|'.join((*texts, *data))}")
    return found


def bare(lines: list[str]) -> list[str]:
    """Lines of a file without what a table does not tell: how many of the last fields are empty."""
    return [text.rstrip("|") for text in lines]


def filled(database: Database, *flags: str) -> int:
    """``acd queue-log table --once``; how many lines it says."""
    result = CliRunner().invoke(cli, ["--json", "queue-log", "table", "--once", "--url", database.url, *flags])
    assert result.exit_code == 0, result.output
    return int(result.stdout.split(":")[1].strip(" }\n"))


def day(records: Records, count: int = 40) -> None:
    """Calls that overlap, with agents who come and go."""
    found: list[Record] = []
    for n in range(count):
        at, agent = n * 3.0, ("ann", "bob", "cem")[n % 3]
        found += [
            *call(
                f"c{n:02}", ("entered", at, at + 0.5), ("waited", at + 0.5, at + 7),
                ("offered", at + 7, at + 7.5, agent, f"o{n}"),
                ("rang", at + 7.5, at + 8, agent, f"o{n}", "answered"), ("talked", at + 8, at + 20, agent, f"o{n}", "agent"),
                ("after", at + 20, at + 20.25), number="+491711234567" if n % 2 else "+49305550",
            ),
            records.agent("ann", at + 1, "PAUSED" if n % 2 else "AVAILABLE", "lunch" if n % 2 else None),
        ]  # fmt: skip
    records.write(*found)


def test_the_table_says_what_the_file_says(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records = Records(database.url)
    day(records)
    records.write(
        *call(
            "blind", ("entered", 200, 201), ("talked", 201, 210, "ann", "o"), ends="transferred", target="602@agents"
        ),
        *call("gone", ("entered", 220, 221), ("waited", 221, 240), ends="overflowed"),
        decided("gone", 240, "overflowed", cause="max_wait"),
    )
    command = ["queue-log", "export", "--url", database.url, "--from", "2026-01-01", "-"]
    exported = CliRunner().invoke(cli, command).stdout.splitlines()
    lines = [f"{int(at) - int(T)}|{rest}" for at, rest in (text.split("|", 1) for text in exported)]
    names = [text.split("|")[4] for text in lines]
    assert {"ENTERQUEUE", "DID", "CONNECT", "COMPLETEAGENT", "BLINDTRANSFER", "EXITWITHTIMEOUT", "PAUSEALL"} <= set(
        names
    )
    assert filled(database) == len(lines)
    assert told(database) == bare(lines)
    assert [row["id"] for row in database.rows(queue_log)] == list(range(1, len(lines) + 1)), "without a gap"
    assert filled(database) == 0


def test_the_place_to_go_on_from_follows_at_a_distance(database: Database) -> None:
    log = begun(database, hold_s=100.0)
    for n in range(1, 500, 15):
        log.append([line(n)], T + n, float(n))
    again = LogTable(database.url, hold_s=100.0)
    # A hundred seconds of records, and of looking, behind
    assert again.upto is not None
    assert T + 496 - 246 <= again.upto <= T + 496 - 200
    assert again.append([line(n) for n in range(int(again.upto - T) + 15, 520, 15)], T + 511, 511.0) == 1
    assert ids(database) == [f"u{n}" for n in range(1, 512, 15)]


@pytest.mark.parametrize("hold_s", [0.0, 600.0])
def test_a_table_taken_up_anywhere_is_the_log_of_all(database: Database, hold_s: float) -> None:
    """However often the writer is ended, at whatever moment, lines are neither lost nor doubled."""
    records = Records(database.url)
    day(records)
    whole = lines_of(log_of(records, -1000))
    for cut in range(5, 200, 27):
        target = begun(database, hold_s)
        assert target.upto is not None
        log = Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), target.upto)
        for lines, upto in log.pieces(T + cut):
            target.append(lines, upto, float(cut))
    assert (LogTable(database.url).upto or 0.0) == (T - 1000 if hold_s else T + 194)
    assert bare(whole) == told(database)


def test_a_record_that_becomes_durable_late_is_added(database: Database) -> None:
    records = Records(database.url)

    def follow() -> None:
        target = begun(database)
        assert target.upto is not None
        log = Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), target.upto)
        for lines, upto in log.caught_up():
            target.append(lines, upto, 0.0)
        for clock in range(8):
            target.append(log.new(float(clock)), log.upto, float(clock))

    records.write(*call("a", ("entered", 0, 1), ("waited", 1, 9), ends="abandoned"))
    follow()
    records.write(*call("late", ("entered", -5, -4), ("waited", -4, 40), ends="abandoned", priority=9))
    follow()
    follow()
    assert sorted(ids(database)) == ["u-a"] * 3 + ["u-late"] * 3


def test_of_two_writers_the_first_ends_and_nothing_is_there_twice(database: Database) -> None:
    first = begun(database)
    first.append([line(1)], T + 1, 0.0)
    second = begun(database)
    with pytest.raises(RefusedError, match="another program writes the table"):
        first.append([line(2)], T + 2, 0.0)
    second.append([line(n) for n in (1, 2)], T + 2, 0.0)
    third = LogTable(database.url)
    with pytest.raises(RefusedError):
        third.begin(T)
    assert ids(database) == ["u1", "u2"]


@pytest.mark.parametrize("took_effect", [False, True])
def test_a_transaction_that_fails_is_tried_again_and_takes_effect_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, took_effect: bool
) -> None:
    """The database goes amid it: before its end, or after, so that nobody hears of it."""
    log = begun(database)
    log.append([line(1)], T + 1, 0.0)
    writing = module.writing

    @contextmanager
    def failing(url: str) -> Iterator[sa.Connection]:
        with writing(url) as connection:
            if not took_effect:
                # What was done is undone, for the block ends in an error
                connection.exec_driver_sql("SELECT 1")
                connection.rollback()
                raise StoreError("gone")
            yield connection
        raise StoreError("gone")

    monkeypatch.setattr(module, "writing", failing)
    with pytest.raises(StoreError, match="gone"):
        log.append([line(2), line(3)], T + 3, 0.0)
    if not took_effect:
        with pytest.raises(StoreError, match="gone"):
            log.flush()
    monkeypatch.undo()
    assert ids(database) == (["u1", "u2", "u3"] if took_effect else ["u1"])
    log.flush()
    log.flush()
    assert ids(database) == ["u1", "u2", "u3"]
    assert log.append([line(4)], T + 4, 0.0) == 1
    assert [row["id"] for row in database.rows(queue_log)] == [1, 2, 3, 4]


def test_no_caller_writes_columns_of_his_own(database: Database) -> None:
    log = begun(database)
    log.append([line(1, "a|b\nc", "x" * 900, "'; DROP TABLE calls; --", 7)], T + 1, 0.0)
    (row,) = database.rows(queue_log)
    assert [row[name] for name in DATA] == ["a_b_c", "x" * 500, "'; DROP TABLE calls; --", "7", ""]


@pytest.mark.parametrize("masked", [False, True])
def test_lines_with_numbers_are_not_gone_on_with_masked_nor_the_other_way_round(
    database: Database, masked: bool
) -> None:
    begun(database, masked=masked).append([line(1)], T + 1, 0.0)
    before = database.rows(queue_log_place)
    with pytest.raises(ConfigurationError, match=r"--no-mask-numbers.*--anew" if not masked else "--mask-numbers"):
        LogTable(database.url, masked=not masked)
    assert database.rows(queue_log_place) == before
    clear(database.url)
    assert database.rows(queue_log) == database.rows(queue_log_place) == []
    assert begun(database, masked=not masked).append([line(1)], T + 1, 0.0) == 1


def test_agents_are_called_as_when_it_began(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    day(Records(database.url), 4)
    assert filled(database) > 0
    before = database.rows(queue_log)
    command = ["queue-log", "table", "--once", "--url", database.url, "--member", "PJSIP/{number}"]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 1
    assert "calls agents '{agent}', and goes on so with --member '{agent}'" in result.stderr
    assert database.rows(queue_log) == before
    assert filled(database, "--member", "PJSIP/{number}", "--anew") == len(before)


def test_masked_it_holds_no_number(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    day(Records(database.url), 4)
    assert filled(database, "--mask-numbers") > 0
    numbers = {row["data2"] for row in database.rows(queue_log) if row["event"] == "ENTERQUEUE"}
    assert numbers == {"+49171•••4567", "+49•••550"}
    result = CliRunner().invoke(cli, ["queue-log", "table", "--once", "--url", database.url, "--no-mask-numbers"])
    assert result.exit_code == 1
    assert "--anew" in result.stderr
    assert filled(database, "--no-mask-numbers", "--anew") > 0
    assert "+491711234567" in {row["data2"] for row in database.rows(queue_log)}


def test_filled_and_killed_it_goes_on_where_it_was(database: Database, tmp_path: Path) -> None:
    records, ends = Records(database.url), (signal.SIGKILL, signal.SIGINT)
    ended = ended_in_turn(["table", "--from", "10m"], records, lambda: ids(database), ends, tmp_path)
    assert ids(database) == [f"u-c{n}" for n in (0, 0, 0, 1, 1, 1)]
    assert ended == (0, b"3 new lines in queue_log\n")


def test_an_erased_person_is_gone_from_it_and_the_writer_reads_anew(database: Database, tmp_path: Path) -> None:
    records = Records(database.url)
    day(records)
    records.write(*call("by", ("entered", 300, 301), ("talked", 301, 310, "ann", "o"), ends="transferred",
                        target="01711234567@out"))  # fmt: skip
    log = begun(database)
    source = Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), log.upto or 0.0)
    for lines, upto in source.pieces(T + 1e6):
        log.append(lines, upto, 0.0)
    before = database.rows(queue_log)
    person = Person(database.url, "0171/1234567", Seal(b"k" * 32, Numbering("49", "0")), tmp_path)
    found = person.find()
    assert found.counts()["mentions in queue_log"] == 21
    assert {row["table"] for row in person.others(found)} == {"queue_log", "calls"}
    done = person.erase(found, "me")
    assert done["mentions in queue_log"] == 21
    after = database.rows(queue_log)
    assert not [row for row in after if "1711234567" in str(row)]
    of_him = {row["data2"] for row in after if row["event"] == "ENTERQUEUE"} - {"+49305550", "+49"}
    assert len(of_him) == 1, "one person is still one"
    assert of_him.pop().startswith("erased:")
    (passed_on,) = [row for row in after if row["event"] == "BLINDTRANSFER"]
    assert passed_on["data1"] == "[erased]"
    same = {"id", "time", "callid", "queuename", "agent", "event", "data3", "data4", "data5"}
    assert all(row["data2"] in ("", "0") for row in after if row["event"] in ("DID", "ADDMEMBER", "PAUSE"))
    assert [{name: row[name] for name in same} for row in before] == [
        {name: row[name] for name in same} for row in after
    ]
    # What has been read before is not written any more
    with pytest.raises(SupersededError):
        log.append([line(9, "", "+491711234567", 1)], T + 1e6 + 1, 0.0)
    assert database.rows(queue_log) == after
    assert begun(database).append([], T + 1e6 + 1, 0.0) == 0


def test_lines_go_with_what_they_were_made_of(database: Database, tmp_path: Path) -> None:
    records = Records(database.url)
    day(records)
    log = begun(database)
    source = Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), log.upto or 0.0)
    for lines, upto in source.pieces(T + 1e6):
        log.append(lines, upto, 0.0)

    def run(at: float, **days: int) -> None:
        how: dict[str, Any] = {"now": T + at + 10 * DAY_S, "rest": lambda _: False}
        Retention(database.url, Policy(**days), tmp_path, **how).run("me")

    def left() -> tuple[set[str], set[int]]:
        rows = database.rows(queue_log)
        return {row["callid"] for row in rows} - {"NONE"}, {
            int(row["time"] - T) for row in rows if row["callid"] == "NONE"
        }

    calls, agents = left()
    run(30, callers=10)
    numbers = [row["data2"] for row in database.rows(queue_log) if row["event"] == "ENTERQUEUE"]
    assert (numbers[:10], set(numbers[10:])) == ([""] * 10, {"+491711234567", "+49305550"})
    assert left() == (calls, agents)
    run(30, agent_states=10)
    later = {at for at in agents if at >= 30}
    assert left() == (calls, later)
    run(30, calls=10)
    assert left() == (calls - {f"u-c{n:02}" for n in range(10)}, later)


def test_an_older_schema_is_refused_with_the_command(database: Database) -> None:
    downgrade(database.url, "acd_0006")
    with pytest.raises(SchemaError, match="acd db upgrade"):
        LogTable(database.url)


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has things happen between looks, one a look; then the command is interrupted."""

    def script(*happens: Callable[[], object] | None) -> None:
        steps, left = iter(range(0, 10_000, 3)), iter(happens)

        def sleep(_: float) -> None:
            try:
                action = next(left)
            except StopIteration:
                raise KeyboardInterrupt from None
            if action is not None:
                action()

        clock = SimpleNamespace(sleep=sleep, monotonic=lambda: float(next(steps)), time=time.time)
        monkeypatch.setattr(queuelog_follow, "time", clock)

    return script


@pytest.mark.parametrize("what", ["reading", "writing"])
def test_a_database_that_is_away_comes_back(
    database: Database, monkeypatch: pytest.MonkeyPatch, between: Callable[..., None], what: str
) -> None:
    """Amid the filling: said once, and again when it is back; no line is missing."""
    records = Records(database.url)
    at = time.time() - 60 - T
    look, writing = Source.look, module.writing
    away = False

    @contextmanager
    def reads(source: Source) -> Iterator[Any]:
        if away and what == "reading":
            raise StoreError("the database is gone")
        with look(source) as found:
            yield found

    @contextmanager
    def writes(url: str) -> Iterator[Any]:
        if away and what == "writing":
            raise StoreError("the database is gone")
        with writing(url) as found:
            yield found

    def goes() -> None:
        nonlocal away
        away = True
        records.write(*call("b", ("entered", at + 10, at + 11), ("waited", at + 11, at + 15), ends="abandoned"))

    def comes_back() -> None:
        nonlocal away
        away = False

    monkeypatch.setattr(Source, "look", reads)
    monkeypatch.setattr(module, "writing", writes)
    records.write(*call("a", ("entered", at, at + 1), ("waited", at + 1, at + 5), ends="abandoned"))
    between(None, goes, None, None, None, comes_back, None, None, None, None)
    result = CliRunner().invoke(cli, ["queue-log", "table", "--from", "10m", "--url", database.url])
    assert result.stderr.splitlines() == ["acd: the database is gone", "acd: the database is back"]
    assert result.stdout == "6 new lines in queue_log\n"
    assert ids(database) == ["u-a"] * 3 + ["u-b"] * 3


def test_a_person_erased_amid_the_filling_is_read_anew(
    database: Database, tmp_path: Path, between: Callable[..., None]
) -> None:
    records = Records(database.url)
    at = time.time() - 60 - T

    def another(name: str, later: float) -> None:
        since = at + later
        steps = ("entered", since, since + 1), ("waited", since + 1, since + 5)
        records.write(*call(name, *steps, ends="abandoned", number="+491711234567"))

    def erase() -> None:
        # A call has been read, and not written yet
        person = Person(database.url, "01711234567", Seal(b"k" * 32, Numbering("49", "0")), tmp_path)
        assert person.erase(person.find(), "me")["calls"] == 2

    another("a", 0)
    between(None, None, lambda: another("b", 10), erase, None, None, lambda: another("c", 20), None, None, None, None)
    result = CliRunner().invoke(cli, ["queue-log", "table", "--from", "10m", "--url", database.url])
    assert result.exit_code == 0, result.output
    assert ids(database) == ["u-a"] * 3 + ["u-b"] * 3 + ["u-c"] * 3
    numbers = [row["data2"] for row in database.rows(queue_log) if row["event"] == "ENTERQUEUE"]
    assert numbers[0] == numbers[1]
    assert (numbers[0][:7], numbers[2]) == ("erased:", "+491711234567")


def test_what_was_filled_long_ago_is_not_looked_at_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cron's way: each time only the last days are compared, however long there are records."""
    records = Records(database.url)
    for n in range(6):
        at = (n - 6) * DAY_S
        records.write(*call(f"c{n}", ("entered", at, at + 1), ("waited", at + 1, at + 5), ends="abandoned"))
    append, pieces = LogTable.append, iter(range(100))

    def interrupted(log: LogTable, lines: list[Line], upto: float, now: float) -> int:
        if next(pieces) == 5:
            raise KeyboardInterrupt
        return append(log, lines, upto, now)

    monkeypatch.setattr(LogTable, "append", interrupted)
    assert 0 < filled(database) < 18
    monkeypatch.undo()
    upto = LogTable(database.url, member=queuelog.MEMBER).upto
    assert upto is not None
    assert upto > T - 6 * DAY_S, "nor what was filled before it was interrupted"
    assert filled(database) > 0
    assert filled(database) == 0
    upto = LogTable(database.url, member=queuelog.MEMBER).upto
    assert upto is not None
    assert T - 4.5 * DAY_S < upto < T - DAY_S
    assert len(set(ids(database))) == 6
    assert len(ids(database)) == 18
