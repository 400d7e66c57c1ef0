"""The file a log is written to: every line once, whatever ends the writer, and whatever becomes of the file."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from queuelogkit import MEMBERS, Records, T, call, ended_in_turn, lines_of, log_of

from acd.cli import cli
from acd.domain.errors import ConfigurationError
from acd.domain.records import RevisionLoaded
from acd.queuelog.export import Log, Members
from acd.queuelog.lines import Line
from acd.queuelog.source import Look, Row, Source
from acd.queuelog.target import LogFile


def line(n: int) -> Line:
    return Line(T + n, f"u{n}", "sales", "NONE", "ABANDON", (1, 1, n))


def contents(path: Path) -> list[str]:
    return [text.split("|")[1] for text in path.read_text().splitlines()]


def begun(path: Path, hold_s: float = 600.0) -> LogFile:
    log = LogFile(path, hold_s)
    if log.upto is None:
        log.begin(T)
    return log


def test_what_was_written_behind_the_position_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    first = begun(path)
    assert first.append([line(1), line(2)], T + 2, 0.0) == 2
    first.close()
    # It ended after writing these, the last one in part, and before it could say so
    with path.open("a") as file:
        file.write(f"{line(3)}\n{line(3)}\n{str(line(4))[:9]}")
    again = LogFile(path)
    assert again.upto == T
    # It ends once more before it has come to all that stands there
    assert again.append([line(1), line(2), line(3)], T + 3, 0.0) == 0
    again.close()
    third = LogFile(path)
    assert third.append([line(1), line(2), line(3), line(3), line(3), line(4)], T + 4, 0.0) == 2
    third.close()
    assert path.read_text() == "".join(f"{line(n)}\n" for n in (1, 2, 3, 3, 3, 4))


def test_the_place_to_go_on_from_follows_at_a_distance(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    log = begun(path, hold_s=100.0)
    for n in range(1, 500):
        log.append([line(n)], T + n, float(n))
    log.close()
    again = LogFile(path, hold_s=100.0)
    # A hundred seconds of records, and of looking, behind
    assert again.upto is not None
    assert T + 499 - 211 <= again.upto <= T + 499 - 200
    assert again.append([line(n) for n in range(int(again.upto - T) + 1, 501)], T + 500, 500.0) == 1
    again.close()
    assert contents(path) == [f"u{n}" for n in range(1, 501)]


def test_records_that_leap_ahead_do_not_take_the_place_with_them(tmp_path: Path) -> None:
    """A service comes back after days: what it has to add from before is looked for as long as it may take."""
    path = tmp_path / "queue_log"
    log = begun(path, hold_s=100.0)
    log.append([line(1)], T + 1, 0.0)
    log.append([line(50)], T + 50, 1000.0)
    log.append([line(90_000)], T + 90_000, 2000.0)
    log.append([], T + 90_000, 2099.0)
    assert LogFile(path, hold_s=100.0).upto == T
    log.append([], T + 90_000, 2101.0)
    log.close()
    assert LogFile(path, hold_s=100.0).upto == T + 50


def test_what_places_in_line_are_told_does_not_make_another_line(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    log = begun(path)
    log.append([Line(T + 1, "u", "sales", "NONE", "ENTERQUEUE", ("", "+49", 1))], T + 1, 0.0)
    log.close()
    again = LogFile(path)
    assert again.append([Line(T + 1, "u", "sales", "NONE", "ENTERQUEUE", ("", "+49", 2))], T + 1, 0.0) == 0
    pauses = [Line(T + 1, "NONE", "sales", who, "PAUSE", ("",)) for who in ("ann", "bob")]
    assert again.append(pauses, T + 1, 0.0) == 2
    again.close()
    third = LogFile(path)
    assert third.append([*pauses, Line(T + 1, "NONE", "sales", "cem", "PAUSE", ("",))], T + 1, 0.0) == 1
    third.close()


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "queue_log"
    log = begun(path)
    log.append([line(1)], T + 1, 0.0)
    path.rename(tmp_path / "queue_log.1")
    log.append([line(2)], T + 2, 0.0)
    log.close()
    assert contents(path) == ["u2"]
    path.rename(tmp_path / "queue_log.2")
    path.write_text(f"{line(3)}\n")
    again = LogFile(path)
    assert again.upto == T
    again.append([line(n) for n in range(1, 5)], T + 4, 0.0)
    again.close()
    assert contents(path) == ["u3", "u4"]
    path.rename(tmp_path / "queue_log.3")
    third = LogFile(path)
    third.append([line(n) for n in range(1, 6)], T + 5, 0.0)
    third.close()
    assert contents(path) == ["u5"]


@pytest.mark.parametrize("how", ["packed", "cut off"])
def test_where_what_was_written_is_gone_the_log_goes_on_behind_it(tmp_path: Path, how: str) -> None:
    path = tmp_path / "queue_log"
    log = begun(path)
    log.append([line(1), line(2)], T + 2, 0.0)
    log.close()
    if how == "packed":
        (tmp_path / "queue_log.1.gz").write_bytes(b"packed")
        path.unlink()
    else:
        os.truncate(path, 0)
    again = LogFile(path)
    assert again.upto == T + 2
    again.append([line(3)], T + 3, 0.0)
    again.close()
    assert contents(path) == ["u3"]


@pytest.mark.parametrize(("lost", "whole"), [(0, 9), (3, 8), (15, 8), (60, 7)])
def test_what_a_file_has_lost_of_its_end_is_written_again(tmp_path: Path, lost: int, whole: int) -> None:
    path = tmp_path / "queue_log"
    log = begun(path, hold_s=1.0)
    lines = [line(n) for n in range(1, 10)]
    for n, one in enumerate(lines, 1):
        log.append([one], T + n, 10.0 * n)
    log.close()
    assert json.loads((tmp_path / "queue_log.position").read_text())["since"]["size"] > 100
    before = path.read_text()
    os.truncate(path, len(before) - lost)
    assert path.read_text().count("\n") == whole
    again = LogFile(path, hold_s=1.0)
    assert again.upto is not None
    coming = [one for one in lines if one.at > again.upto]
    assert again.append([*coming, line(10)], T + 10, 0.0) == 10 - whole
    again.close()
    assert path.read_text() == f"{before}{line(10)}\n"


def test_a_record_that_becomes_durable_late_is_not_missed(tmp_path: Path) -> None:
    """The log is stopped; what was in the spill comes into the database behind what the log has told, and changes places."""
    records, path = Records(tmp_path), tmp_path / "queue_log"

    def follow(begin: float, looks: int = 8) -> None:
        file = LogFile(path)
        if file.upto is None:
            file.begin(T + begin)
        assert file.upto is not None
        log = Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), file.upto)
        for lines, upto in log.caught_up():
            file.append(lines, upto, 0.0)
        for clock in range(looks):
            file.append(log.new(float(clock)), log.upto, float(clock))
        file.close()

    waits = {"ends": "abandoned"}
    records.write(
        *call("a", ("entered", 0, 1), ("waited", 1, 9), **waits),
        *call("late", ("entered", 3, 4), ("waited", 4, 40), ends="abandoned", priority=9)[:2],
        *call("b", ("entered", 5, 6), ("waited", 6, 30), **waits),
        records.agent("ann", 1, "AVAILABLE"),
    )
    follow(-10)
    records.write(*call("c", ("entered", 100, 101), ("waited", 101, 130), **waits))
    follow(-10)
    missing = call("gone", ("entered", 2, 3), ("waited", 3, 35), ends="abandoned", priority=9)
    records.write(*missing, records.agent("ann", 90, "PAUSED", "lunch"))
    for _ in range(3):
        follow(-10)
    told = [text.split("|") for text in path.read_text().splitlines()]
    whole = [text.split("|") for text in lines_of(log_of(records))]

    def key(row: list[str]) -> tuple[str, ...]:
        return tuple(row[1:5])

    assert sorted(map(key, told)) == sorted(map(key, whole))
    assert sum(row[1] == "u-gone" for row in told) == 3
    assert sum(row[4] == "PAUSE" for row in told) == 2


def test_a_call_that_becomes_known_late_is_told_while_the_log_goes_on(tmp_path: Path) -> None:
    records = Records(tmp_path)
    log, told = log_of(records), list[str]()
    records.write(*call("c", ("entered", 400, 401), ("waited", 401, 430), ends="abandoned"))
    told += [str(line) for clock in range(5) for line in log.new(float(clock))]
    records.write(*call("late", ("entered", 10, 11), ("waited", 11, 20), ends="abandoned"))
    told += [str(line) for clock in range(5, 9) for line in log.new(float(clock))]
    assert [text.split("|")[1] for text in told] == ["u-c"] * 3 + ["u-late"] * 3


def test_a_damaged_position_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.position").write_text("{")
    with pytest.raises(ConfigurationError, match=r"log.position is damaged .* --from"):
        LogFile(tmp_path / "log")


@pytest.mark.parametrize("hold_s", [0.0, 20.0, 600.0])
def test_a_log_taken_up_anywhere_is_the_log_of_all(tmp_path: Path, hold_s: float) -> None:
    """However often the writer is ended, at whatever moment, lines are neither lost nor doubled."""
    records = Records(tmp_path)
    for n in range(40):
        at = n * 3.0
        agent = ("ann", "bob", "cem")[n % 3]
        records.write(
            *call(
                f"c{n:02}", ("entered", at, at + 0.5), ("waited", at + 0.5, at + 7),
                ("offered", at + 7, at + 7.5, agent, f"o{n}"),
                ("rang", at + 7.5, at + 8, agent, f"o{n}", "answered"), ("talked", at + 8, at + 20, agent, f"o{n}", "agent"),
                ("after", at + 20, at + 20.25),
            ),
            records.agent("ann", at + 1, "PAUSED" if n % 2 else "AVAILABLE", "lunch" if n % 2 else None),
        )  # fmt: skip
    whole = lines_of(log_of(records))
    assert len(whole) > 200
    path = tmp_path / "log"
    for cut in range(5, 200, 13):
        file = LogFile(path, hold_s)
        if file.upto is None:
            file.begin(T - 10)
        assert file.upto is not None
        log = Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), file.upto)
        for lines, upto in log.pieces(T + cut):
            file.append(lines, upto, float(cut))
        file.close()
        if cut % 2:
            # The position is that of a moment ago: the end came between the two
            before = (tmp_path / "log.position").read_text()
            file = LogFile(path, hold_s)
            assert file.upto is not None
            log = Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), file.upto)
            for lines, upto in log.pieces(T + cut + 2):
                file.append(lines, upto, float(cut))
            file.close()
            (tmp_path / "log.position").write_text(before)
    written = [f"{int(a) - int(T)}|{b}" for a, b in (text.split("|", 1) for text in path.read_text().splitlines())]
    assert sorted(written) == sorted(whole)
    assert [text.split("|")[0] for text in written] == [text.split("|")[0] for text in whole]


def test_followed_and_killed_it_goes_on_where_it_was(tmp_path: Path) -> None:
    records, path = Records(tmp_path), tmp_path / "queue_log"
    arguments, ends = ["export", "--follow", "--from", "10m", str(path)], (signal.SIGKILL, signal.SIGINT)

    def there() -> list[str]:
        return contents(path) if path.exists() else []

    code, _ = ended_in_turn(arguments, records, there, ends, tmp_path)
    assert code == 0
    assert contents(path) == [f"u-c{n}" for n in (0, 0, 0, 1, 1, 1)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-"], "Give --from"),
        (["--follow", "--to", "1h", "-"], "leave --to out"),
        (["--from", "1h", "--to", "2h", "-"], "--from must be before --to"),
        (["--from", "1h", "--member", "{nmae}", "-"], "only {agent}, {number} and {phone}"),
    ],
)
def test_wrong_usage_is_named(tmp_path: Path, arguments: list[str], said: str) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    result = CliRunner().invoke(cli, ["queue-log", "export", "--url", url, *arguments])
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_log_of_a_time_is_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records, path = Records(tmp_path), tmp_path / "log"
    records.write(*call("c", ("entered", 0, 1), ("waited", 1, 5), ends="abandoned"))
    arguments = ["queue-log", "export", "--url", records.url, "--from", "2026-09-01", str(path)]
    result = CliRunner().invoke(cli, arguments)
    assert (result.exit_code, result.stdout) == (0, f"3 lines in {path}\n")
    assert len(path.read_text().splitlines()) == 3
    assert os.listdir(tmp_path).count("log.part") == 0
    again = CliRunner().invoke(cli, arguments)
    assert again.exit_code == 1
    assert "is there already" in again.stderr


@pytest.mark.parametrize(("flags", "mode"), [([], 0o600), (["--group"], 0o640)])
def test_who_may_read_the_log(tmp_path: Path, flags: list[str], mode: int) -> None:
    records, path = Records(tmp_path), tmp_path / "queue_log"
    at = time.time() - 60 - T
    records.write(*call("c", ("entered", at, at + 1), ("waited", at + 1, at + 5), ends="abandoned"))
    before = os.umask(0o022)
    try:
        result = CliRunner().invoke(
            cli, ["queue-log", "export", "--url", records.url, "--from", "1h", *flags, str(path)]
        )
        file = LogFile(tmp_path / "followed", mode=mode)
        file.begin(0.0)
        file.append([line(1)], 5.0, 0.0)
        file.close()
    finally:
        os.umask(before)
    assert result.exit_code == 0, result.output
    made = [path, tmp_path / "followed", tmp_path / "followed.position"]
    assert {one.name: oct(one.stat().st_mode & 0o777) for one in made} == {one.name: oct(mode) for one in made}


@pytest.mark.parametrize(("first", "then"), [(False, True), (True, False)])
def test_a_log_with_numbers_is_not_gone_on_with_masked_nor_the_other_way_round(
    tmp_path: Path, first: bool, then: bool
) -> None:
    path = tmp_path / "queue_log"
    log = LogFile(path, masked=first)
    log.begin(T)
    log.append([line(1)], T + 1, 0.0)
    log.close()
    position = tmp_path / "queue_log.position"
    before = path.read_bytes(), position.read_bytes()
    with pytest.raises(ConfigurationError, match="--mask-numbers" if first else "--no-mask-numbers"):
        LogFile(path, masked=then)
    assert (path.read_bytes(), position.read_bytes()) == before
    assert LogFile(path, masked=first).upto == T
    # One that was written before this was noted, and tells no number
    told = json.loads(position.read_text())
    del told["masked"]
    position.write_text(json.dumps(told))
    assert LogFile(path, masked=then).upto == T


@pytest.mark.parametrize(
    ("numbers", "masked"),
    [(["+491711234567"], False), (["+49171•••4567"], True), (["•••", ""], True), (["1", "•••", "anonymous"], False)],
)
def test_numbers_in_a_log_without_a_position_tell_how_it_goes_on(
    tmp_path: Path, numbers: list[str], masked: bool
) -> None:
    path = tmp_path / "queue_log"
    lines = [Line(T + n, f"u{n}", "q", "NONE", "ENTERQUEUE", ("", one, 1)) for n, one in enumerate(numbers)]
    path.write_text("".join(f"{one}\n" for one in [*lines, line(9)]), encoding="utf-8")
    assert LogFile(path, masked=masked).upto is None
    with pytest.raises(ConfigurationError, match="goes on so"):
        LogFile(path, masked=not masked)


def test_what_is_followed_otherwise_than_it_began_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records, path = Records(tmp_path), tmp_path / "log"
    records.write(*call("c", ("entered", 0, 1), ("waited", 1, 5), ends="abandoned"))
    command = ["queue-log", "export", "--url", records.url, "--from", "2026-09-01"]
    assert CliRunner().invoke(cli, [*command, str(path)]).exit_code == 0
    before = path.read_bytes()
    result = CliRunner().invoke(cli, [*command, "--follow", "--mask-numbers", str(path)])
    assert result.exit_code == 1
    assert "callers' numbers as they are" in result.stderr
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.glob("log*")) == ["log"]


def test_a_link_that_leads_nowhere_is_left_alone(tmp_path: Path) -> None:
    records, path = Records(tmp_path), tmp_path / "queue_log"
    path.symlink_to(tmp_path / "elsewhere")
    result = CliRunner().invoke(cli, ["queue-log", "export", "--url", records.url, "--from", "1h", str(path)])
    assert result.exit_code != 0
    assert path.is_symlink()


def test_years_in_which_nothing_happens_are_passed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the beginning of time on, with long gaps between calls, agents' states, reloads and starts."""
    day, year = 86_400.0, 365 * 86_400.0
    records = Records(tmp_path)
    records.write(
        records.agent("ann", -9 * year, "AVAILABLE"),
        *call("a", ("entered", 90 - 9 * year, 91 - 9 * year), ("waited", 91 - 9 * year, 95 - 9 * year), ends="abandoned"),
        RevisionLoaded("r1", T - 4 * year, "start", {}),
        *call("b", ("entered", 5, 6), ("waited", 6, 9), ends="abandoned"),
        records.agent("ann", 3 * day, "PAUSED", "lunch"),
    )  # fmt: skip
    looks = 0
    page = Look.page

    def counted(look: Look, after: tuple[float, str | None], upto: float) -> list[Row]:
        nonlocal looks
        looks += 1
        return page(look, after, upto)

    monkeypatch.setattr(Look, "page", counted)
    log = Log(Source(records.url), Members(MEMBERS, lambda _: MEMBERS), 0.0)
    pieces = [(list(map(str, lines)), upto) for lines, upto in log.pieces(T + year)]
    found = [line.split("|") for lines, _ in pieces for line in lines]
    events = [(round((int(parts[0]) - T) / year, 1), parts[4]) for parts in found]
    assert events == [
        *[(-9.0, event) for event in ("ADDMEMBER", "ADDMEMBER", "ENTERQUEUE", "DID", "ABANDON")],
        (-4.0, "CONFIGRELOAD"),
        *[(0.0, event) for event in ("ENTERQUEUE", "DID", "ABANDON", "PAUSEALL", "PAUSE", "PAUSE")],
    ]
    assert [upto for _, upto in pieces] == sorted(upto for _, upto in pieces)
    assert log.upto == T + year
    assert looks < 20
