"""``acd lab phones`` and ``acd lab call`` on a lab started by ``acd lab start``, as an operator would use them."""

from __future__ import annotations

import json
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from acd.domain.errors import ConfigurationError, LabError
from acd.lab.call_commands import call, commands, phones
from acd.lab.commands import lab, open_lab

DIALPLAN = """
[acd-inbound](+)
exten => 7001,1,Dial(PJSIP/1001,20)
exten => 7002,1,Dial(PJSIP/1002,20)
 same => n,Hangup(17)
[acd-agent](+)
exten => 600,1,Answer()
 same => n,Wait(0.1)
 same => n,Hangup()
exten => 601,1,Answer()
 same => n,Wait(60)
"""
PROGRAM = "from acd.lab.call_commands import {0}; {0}()"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "more.conf").write_text(DIALPLAN)
    arguments = ["start", "--dir", str(folder), "--phones", "2", "--dialplan", str(folder / "more.conf")]
    started = CliRunner().invoke(lab, arguments, catch_exceptions=False)
    assert started.exit_code == 0, started.output
    yield folder
    CliRunner().invoke(lab, ["stop", "--dir", str(folder)], catch_exceptions=False)


def place(directory: Path, *arguments: str) -> Result:
    return CliRunner().invoke(call, ["--dir", str(directory), "--json", *arguments], catch_exceptions=False)


def eventually(look: Callable[[], bool], within_s: float = 20.0) -> None:
    """The console cannot be waited for, only asked; it answers in some 20 ms."""
    deadline = time.monotonic() + within_s
    while not look():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.05)


def registered(directory: Path) -> list[str]:
    return re.findall(r"Contact:\s+(\d+)/", open_lab(directory).cli("pjsip show contacts"))


def test_phones_register_take_calls_and_unregister_at_ctrl_c(directory: Path) -> None:
    line = [sys.executable, "-c", PROGRAM.format("phones"), "--dir", str(directory), "--json"]
    line += ["--behaviour", "answer+talk:0.2", "--behaviour", "busy"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        eventually(lambda: registered(directory) == ["1001", "1002"])
        answered = place(directory, "--to", "7001", "--count", "3", "--rate", "20", "--name", 'A "B" C')
        refused = place(directory, "--to", "7002", "--behaviour", "refused")
        lost = place(directory, "--to", "7002")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert answered.exit_code == 0, answered.output
    assert json.loads(answered.output)["outcomes"] == {"placed": 3, "answered": 3, "far_end_hung_up": 3}
    assert (refused.exit_code, json.loads(refused.output)["lost"]) == (0, 0)
    assert (lost.exit_code, json.loads(lost.output)["lost"]) == (1, 1)
    assert process.returncode == 0
    seen = json.loads(output)
    assert (seen["started"], seen["lost"], seen["outcomes"]["refused"]) == (5, 0, 2)
    assert registered(directory) == []


def begin(name: str, directory: Path, *arguments: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", PROGRAM.format(name), "--dir", str(directory), "--json", *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_commands_started_together_do_not_meet(directory: Path) -> None:
    calls = [begin("call", directory, "--from", "1001", "--to", "600") for _ in range(5)]
    ended = [(each.communicate(timeout=60), each.returncode) for each in calls]
    assert [code for _, code in ended] == [0] * 5, ended


def test_a_phone_that_rings_at_ctrl_c_is_unregistered_at_once(directory: Path) -> None:
    process = begin("phones", directory, "1001", "--behaviour", "never")
    caller = None
    try:
        eventually(lambda: registered(directory) == ["1001"])
        # A command that comes later finds ports of its own, not those that are needed at the end
        caller = begin("call", directory, "--to", "7001", "--behaviour", "patience:30")
        eventually(lambda: "Ringing" in open_lab(directory).cli("core show channels concise"))
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=20)
        took_s = time.monotonic() - began
    finally:
        for each in (process, caller):
            if each is not None:
                each.kill()
                each.wait()
    assert registered(directory) == [], error
    assert json.loads(output)["outcomes"]["offered"] == 1
    assert took_s < 4.0


def test_an_agent_of_the_lab_calls(directory: Path) -> None:
    result = place(directory, "--from", "1001", "--to", "600")
    assert result.exit_code == 0, result.output


def test_phones_stop_after_their_time(directory: Path) -> None:
    arguments = ["1002", "--dir", str(directory), "--for", "0.3"]
    result = CliRunner().invoke(phones, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert re.search(r"lost\s+0", result.output)


def test_calls_are_broken_off_after_the_time_given(directory: Path) -> None:
    result = place(directory, "--from", "1002", "--to", "601", "--behaviour", "talk:30", "--timeout", "1")
    assert (result.exit_code, json.loads(result.output)["failures"]) == (1, {"not ended": 1})


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--to", "1", "--behaviour", "dance"], ConfigurationError),
        (["--to", "1", "--from", "9999"], LabError),
        (["--to", "1", "--from", "1001", "--name", "x"], ConfigurationError),
        (["--to", "1=0"], ConfigurationError),
    ],
)
def test_nonsense_is_refused_before_anything_runs(
    directory: Path, arguments: list[str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        place(directory, *arguments)


def test_without_a_lab_it_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="acd lab start"):
        place(tmp_path, "--to", "1")


def test_a_weight_is_a_number(directory: Path) -> None:
    result = place(directory, "--to", "1=many")
    assert result.exit_code == 2
    assert "weight" in result.output


def test_the_group_is_offered_both_commands() -> None:
    assert [command.name for command in commands] == ["call", "phones"]
