"""The live screen: that it fits, what it keeps when room is short, and how it begins and ends on a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cliservice import Service, serve_in_thread
from fakefloor import HOSTILE, FakeFloor, FakeRecords, make_agent, make_queue
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from acd.cli.context import NotRunningError
from acd.cli.floorview import QUEUE_COLUMNS, Floor, render, state_text
from acd.cli.status import looks


def floor_of(agents: int = 12, queues: int = 3, **status: Any) -> Floor:
    fake = FakeFloor(agents)
    fake.queue_list = fake.queue_list[:queues]
    for number in range(queues - 3):
        fake.queue_list.append(make_queue(f"a-rather-long-name-of-queue-{number}", waiting=number % 3))
    return Floor({"version": "9.9", **fake.status(), **status}, fake.queues(), fake.agents())


def screen(floor: Floor, width: int, height: int, *, note: str = "", **more: Any) -> list[str]:
    """The lines of the screen, as text."""
    more = {"force_terminal": True, "color_system": "truecolor", **more}
    console = Console(width=width, height=height, file=StringIO(), markup=False, **more)
    shown = render(floor, console, width=width, height=height, note=note)
    lines = console.render_lines(shown, console.options.update(width=width), pad=False)
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


@settings(deadline=None, max_examples=150)
@given(
    st.integers(20, 250),
    st.integers(15, 70),
    st.integers(0, 400),
    st.integers(0, 40),
    st.sampled_from(["", "lost " * 9]),
)
def test_it_always_fits(width: int, height: int, agents: int, queues: int, note: str) -> None:
    lines = screen(floor_of(agents, queues), width, height, note=note)
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width


def test_80x24_has_all_that_matters() -> None:
    lines = screen(floor_of(), 80, 24)
    shown = "\n".join(lines)
    assert lines[0].startswith(" acd 9.9   up 2:14:00")
    assert lines[0].rstrip().endswith(":00")
    for part in ("pbx2 lost 0:12", "waiting 3", "longest 0:29", "service level 86%", "node lost", "4 talking"):
        assert part in shown
    assert [line.split()[0] for line in lines if re.match(r"support|sales|billing", line)] == [
        "support",
        "sales",
        "billing",
    ]
    assert re.search(r"QUEUE +WAIT +LONGEST +LEVEL +TALK +FREE +OFFERED +ANSW +ABAND +ASA +AHT", shown)
    present = {agent["name"] for agent in FakeFloor().agent_list if agent["state"] != "LOGGED_OUT"}
    assert set(re.findall(r"([a-z]+) +(?:talking|available|paused|ringing|wrap-up)\b.*?\d:\d\d", shown)) == present


def test_140x40_has_everything() -> None:
    shown = "\n".join(screen(floor_of(), 140, 40))
    for agent in FakeFloor().agent_list:
        assert re.search(rf"^{agent['name']} ", shown, re.MULTILINE)
    assert "SKILLS" in shown
    assert "OVER" in shown
    assert not re.search(r"^\+ \d+", shown, re.MULTILINE)


def test_many_agents_stand_side_by_side_and_the_rest_is_counted() -> None:
    lines = screen(floor_of(300, 8), 140, 40)
    head = next(line for line in lines if line.startswith("AGENT"))
    assert head.count("AGENT") == 3
    first = lines.index(head) + 1
    shown = sum(
        len(re.findall(r"[a-z]+\d* +(?:talking|available|paused|ringing|wrap-up)", line)) for line in lines[first:-1]
    )
    assert lines[-1] == f"+ {300 - shown} more"


def test_queues_that_need_help_stay_when_room_is_short() -> None:
    lines = screen(floor_of(12, 40), 80, 24)
    shown = "\n".join(lines)
    assert re.search(r"^support ", shown, re.MULTILINE)
    hidden = int(re.search(r"\+ (\d+) queues with fewer waiting", shown)[1])  # type: ignore[index]
    assert hidden + sum(bool(re.match(r"support|sales|billing|a-rather", line)) for line in lines) == 40
    assert "AGENT" not in shown


def test_a_node_that_is_away_is_seen_first_of_many() -> None:
    nodes = [{"name": f"n{i}", "state": "up", "version": "22", "since": 1, "detail": ""} for i in range(20)]
    nodes.append({"name": "bad", "state": "down", "version": "22", "since": None, "detail": ""})
    assert screen(floor_of(nodes=nodes), 80, 24)[1].startswith("bad down")


def test_no_alarm_of_yesterday_on_the_screen() -> None:
    fresh = floor_of()
    alarm = {"at": fresh.status["now"] - 7200, "kind": "old", "detail": HOSTILE, "count": 1}
    assert "! old" not in "\n".join(screen(floor_of(alarms=[alarm]), 80, 24))
    alarm["at"] += 7190
    assert "! old: \\x1b[31m[red]Eve" in "\n".join(screen(floor_of(alarms=[alarm]), 80, 24))
    # One that is over comes behind those that are not, though it is newer
    over = alarm | {"kind": "gone", "at": alarm["at"] + 5, "detail": "all", "over_at": fresh.status["now"] - 3}
    shown = "\n".join(screen(floor_of(alarms=[over, alarm]), 80, 40))
    assert shown.index("! old:") < shown.index("- gone: all (0:05 ago, over for 0:03)")


@pytest.mark.parametrize(
    ("wait_s", "colour"), [(4.0, "32"), (11.0, "33"), (21.0, "31")], ids=["good", "half the threshold", "beyond it"]
)
def test_colours_of_waits_mean_something(wait_s: float, colour: str) -> None:
    floor = floor_of(0, 1)
    floor.queues[0]["longest_wait_s"] = wait_s
    console = Console(width=80, height=24, file=StringIO(), force_terminal=True, color_system="standard", markup=False)
    console.print(render(floor, console, width=80, height=24))
    written = console.file.getvalue()  # type: ignore[attr-defined]
    line = next(line for line in written.splitlines() if "support" in line)
    assert re.search(rf"\x1b\[(?:1;)?{colour}m *0:{int(wait_s):02}", line)


def test_the_bar_tells_states_apart_without_colours() -> None:
    lines = screen(floor_of(), 80, 24, no_color=True)
    bar = next(line for line in lines if re.fullmatch(r"[#%&+=.\-]{80}", line))
    assert set(bar) == set("#%+=-.")
    assert any(line.startswith("# 4 talking") for line in lines)


def test_a_lost_service_is_noted_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = floor_of()
    answers = iter([floor, NotRunningError("gone"), NotRunningError("gone"), floor])
    clock = iter(range(100))

    def fetch(client: object) -> Floor:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("acd.cli.status.fetch", fetch)
    monkeypatch.setattr("acd.cli.status.time.sleep", lambda seconds: None)
    monkeypatch.setattr("acd.cli.status.time.monotonic", lambda: float(next(clock)))
    seen = looks(None, floor, 0.25)  # type: ignore[arg-type]
    notes = [next(seen)[1] for _ in range(5)]
    assert [bool(note) for note in notes] == [False, False, True, True, False]
    assert "no answer for 0:01" in notes[2]
    assert "no answer for 0:03" in notes[3]
    assert screen(floor, 80, 24, note=notes[2])[0].endswith("no answer for 0:01; as it was at 16:00:00")


class Terminal:
    """``acd ARGUMENTS`` on a terminal of its own."""

    def __init__(self, arguments: list[str], width: int, height: int, **environ: str) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        program = [sys.executable, "-c", "from acd.cli import main; main()", *arguments]
        base = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            program, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**base, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environ},
        )  # fmt: skip
        os.close(theirs)
        self.fd, self.seen = ours, ""

    def until(self, pattern: str, timeout_s: float = 20) -> None:
        """Read until ``pattern`` was written."""
        end = time.monotonic() + timeout_s
        while not re.search(pattern, self.seen):
            ready, _, _ = select.select([self.fd], [], [], max(end - time.monotonic(), 0))
            assert ready, f"{pattern!r} did not come in {self.seen[-500:]!r}"
            try:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                assert re.search(pattern, self.seen), f"ended without {pattern!r}: {self.seen[-2000:]!r}"

    def rest(self) -> int:
        """Read to the end; the exit code."""
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.seen += data.decode(errors="replace")
        os.close(self.fd)
        return self.process.wait(10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watching_gives_the_terminal_back(service: Service, number: signal.Signals) -> None:
    terminal = Terminal(["--socket", str(service.socket), "status", "--watch"], 80, 24)
    terminal.until(r"(?s)support.*support")
    assert "\x1b[?1049h" in terminal.seen
    os.kill(terminal.process.pid, number)
    assert terminal.rest() == 0
    assert terminal.seen.rindex("\x1b[?1049l") > terminal.seen.rindex("support")
    assert terminal.seen.rindex("\x1b[?25h") > terminal.seen.rindex("\x1b[?25l")
    assert "Traceback" not in terminal.seen
    assert "Aborted" not in terminal.seen


def test_watching_outlives_the_service(tmp_path: Path) -> None:
    path = tmp_path / "acd.sock"
    stop = serve_in_thread(FakeFloor(), FakeRecords(), path)
    terminal = Terminal(["--socket", str(path), "status", "-w", "--interval", "0.1"], 100, 30)
    terminal.until("support")
    stop()
    terminal.until("no answer for")
    floor = FakeFloor()
    floor.queue_list[0]["name"] = "risen"
    stop = serve_in_thread(floor, FakeRecords(), path)
    terminal.until("risen")
    os.kill(terminal.process.pid, signal.SIGINT)
    assert terminal.rest() == 0
    stop()


@pytest.mark.parametrize(
    ("options", "environ", "coloured"),
    [([], {}, True), (["--no-color"], {}, False), ([], {"NO_COLOR": "1"}, False), ([], {"TERM": "dumb"}, False)],
)
def test_colours_only_where_they_are_wanted(
    service: Service, options: list[str], environ: dict[str, str], coloured: bool
) -> None:
    terminal = Terminal(["--socket", str(service.socket), *options, "queue", "list"], 80, 24, **environ)
    assert terminal.rest() == 0
    assert "support" in terminal.seen
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]m", terminal.seen)) is coloured


def test_a_hostile_name_does_not_reach_the_terminal(service: Service) -> None:
    terminal = Terminal(["--socket", str(service.socket), "call", "list", "--live"], 200, 24)
    assert terminal.rest() == 0
    assert "\\x1b[31m[red]Eve\\u202e" in terminal.seen
    assert "\u202e" not in terminal.seen
    assert "\x9b" not in terminal.seen


def test_a_locale_that_cannot_say_it_gets_escapes(service: Service) -> None:
    service.floor.call_list[1]["caller_name"] = "Zoë 王"
    environ = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    terminal = Terminal(["--socket", str(service.socket), "call", "list", "--live"], 200, 24, **environ)
    assert terminal.rest() == 0
    assert "Zo\\xeb \\u738b" in terminal.seen


def test_who_is_cut_off_is_shown_and_not_counted_as_free() -> None:
    agent = make_agent(0, "AVAILABLE", cut_off="behind trunk site, which cannot be reached")
    assert state_text(agent).plain.endswith(" (cut off)")
    queue = make_queue("sales", agents={"AVAILABLE": 4}, cut_off=4)
    free = next(column for column in QUEUE_COLUMNS if column.head == "FREE")
    assert free.cell(queue).plain == "0"
    assert free.cell({**queue, "cut_off": 1}).plain == "3"


def campaign(name: str = "spring", **more: Any) -> dict[str, Any]:
    usual = {
        "name": name, "mode": "predictive", "state": "running", "settled": 60, "ringing": 4, "waiting": 1, "connected": 3,
        "outcomes": {"answered": 28, "abandoned": 1, "busy": 31}, "ledger": {"share": 0.034, "cap": 0.03},
        "utilisation": 0.53, "agents": {"idle": 1, "talking": 3, "wrapping": 2}, "because": "pacer:risk",
    }  # fmt: skip
    return {**usual, **more}


def test_campaigns_stand_between_queues_and_agents() -> None:
    floor = floor_of()
    shown = screen(
        Floor(floor.status, floor.queues, floor.agents, [campaign(), campaign("autumn", utilisation=None)]), 140, 40
    )
    heads = [line.split()[0] for line in shown if line]
    assert heads.index("QUEUE") < heads.index("CAMPAIGN") < heads.index("spring") < heads.index("AGENT")
    (row,) = [line.split() for line in shown if line.startswith("spring ")]
    assert row == [
        "spring",
        "predictive",
        "running",
        "6",
        "68",
        "8",
        "4",
        "3",
        "28",
        "3.4%",
        "3%",
        "risk",
        "reached",
        "53%",
    ]
    assert [line.split()[-1] for line in shown if line.startswith("autumn ")] == ["-"]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 18), (20, 15)])
def test_campaigns_fit_or_leave(width: int, height: int) -> None:
    floor = floor_of(40, 5)
    lines = screen(Floor(floor.status, floor.queues, floor.agents, [campaign(), campaign("x" * 60)]), width, height)
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert any(line.startswith("CAMPAIGN") for line in lines) is (height == 24)
