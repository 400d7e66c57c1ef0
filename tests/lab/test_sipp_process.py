"""One SIPp process: what keeps it from starting is said, it ends with us, and what it writes is read right."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from acd.domain.errors import LabError
from acd.lab.asterisk_files import free_ports
from acd.lab.behaviours import Answers
from acd.lab.parts import SIPP, Unpacked, ensure
from acd.lab.sipp import Load, SippProcess
from acd.lab.sipp_phones import phone_scenario
from acd.lab.sipp_results import (
    CallEvent,
    SippCounts,
    SippResult,
    percentile,
    read_answer_times,
    read_counts,
    read_errors,
    read_events,
)

Make = Callable[..., SippProcess]


@pytest.fixture(scope="module")
def sipp() -> Unpacked:
    return ensure(SIPP)


@pytest.fixture
def make(sipp: Unpacked, tmp_path: Path) -> Make:
    """A SIPp that plays a phone, but for what a test says otherwise."""

    def made(command: list[str] | None = None, **arguments: object) -> SippProcess:
        usual: dict[str, object] = {
            "name": "test",
            "scenario": phone_scenario(Answers()),
            "port": free_ports(1, low=11_100, high=11_499)[0],
            "remote_port": 5060,
            "rows": [("0", "0")],
            "env": sipp.env(),
        }
        return SippProcess(command or sipp.command("sipp"), tmp_path / "s", **{**usual, **arguments})  # type: ignore[arg-type]

    return made


async def test_it_listens_when_start_returns_and_is_gone_when_stop_returns(make: Make) -> None:
    (port,) = free_ports(1, low=11_100, high=11_499)
    process = make(port=port)
    await process.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, pytest.raises(OSError, match="in use"):
        probe.bind(("127.0.0.1", port))
    result = await process.stop(0)
    assert not process.running
    assert (result.started, result.lost, result.errors) == (0, 0, [])


async def test_a_taken_port_is_named(make: Make) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        with pytest.raises(LabError, match=f"UDP port {port}"):
            await make(port=port).start()


async def test_a_scenario_sipp_does_not_take_is_reported_in_its_words(make: Make) -> None:
    process = make(scenario='<scenario name="x"><recv request="INVITE" next="nowhere"/></scenario>')
    with pytest.raises(LabError, match="nowhere"):
        await process.start()
    assert not process.running


async def test_a_program_that_is_not_there_or_no_sipp_is_named(make: Make, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="acd lab install"):
        await make([str(tmp_path / "nothing")], env=None).start()
    with pytest.raises(LabError, match="does not say it is SIPp"):
        await make(["/bin/echo"], env=None).start()


async def test_an_old_sipp_is_refused(make: Make, tmp_path: Path) -> None:
    old = tmp_path / "old-sipp"
    old.write_text("#!/bin/sh\necho ' SIPp v3.6.1-TLS-PCAP.'\nexit 99\n")
    old.chmod(0o755)
    with pytest.raises(LabError, match=r"3\.6\.1 is too old: 3\.8\.0"):
        await make([str(old)], env=None).start()


@pytest.mark.parametrize("value", ["a;b", "a\nb", "#a"])
async def test_a_value_that_would_break_the_injection_file_is_refused(make: Make, value: str) -> None:
    with pytest.raises(LabError, match="cannot be injected"):
        await make(rows=[(value, "0")]).start()


async def test_it_is_used_once(make: Make) -> None:
    process = make()
    with pytest.raises(LabError, match="not started"):
        await process.stop()
    await process.start()
    with pytest.raises(LabError, match="started before"):
        await process.start()
    await process.stop(0)


@pytest.mark.parametrize("numbers", [(0, 1.0, None), (1, 0.0, None), (1, 1.0, 0)])
def test_a_load_of_nothing_is_refused(numbers: tuple[int, float, int | None]) -> None:
    with pytest.raises(LabError):
        Load(*numbers)


async def test_a_sipp_that_dies_is_an_error_and_not_a_result(make: Make) -> None:
    process = make()
    await process.start()
    pid = process.pid
    assert pid is not None
    os.kill(pid, 9)
    with pytest.raises(LabError, match="ended by itself"):
        await process.wait(10)


async def test_waiting_has_an_end_and_leaves_it_running(make: Make) -> None:
    process = make()
    await process.start()
    with pytest.raises(TimeoutError):
        await process.wait(0.05)
    assert process.running
    await process.stop(0)


PARENT = """
import asyncio, os, sys
from pathlib import Path
from acd.lab.behaviours import Answers
from acd.lab.parts import SIPP, ensure
from acd.lab.sipp import SippProcess
from acd.lab.sipp_phones import phone_scenario

async def main():
    sipp = ensure(SIPP)
    process = SippProcess(sipp.command("sipp"), Path(sys.argv[1]), name="orphan", scenario=phone_scenario(Answers()),
                          port=int(sys.argv[2]), remote_port=5060, rows=[("0", "0")], env=sipp.env())
    await process.start()
    print(process.pid, flush=True)
    sys.stdin.read()

asyncio.run(main())
"""


async def test_it_dies_with_us_however_we_die(tmp_path: Path) -> None:
    (port,) = free_ports(1, low=11_100, high=11_499)
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(tmp_path), str(port)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), 30))
    descriptor = os.pidfd_open(pid)
    try:
        parent.kill()
        await parent.wait()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert await asyncio.to_thread(poll.poll, 10_000), "SIPp outlived its parent"
    finally:
        os.close(descriptor)


# ------------------------------------------------------------------------------------------------- what SIPp writes


FAILURES = (
    *("CannotSendMessage", "MaxUDPRetrans", "UnexpectedMessage", "CallRejected", "RegexpDoesntMatch"),
    *("RegexpHdrNotFound", "OutboundCongestion", "TimeoutOnRecv", "TimeoutOnSend", "TestDoesntMatch"),
)
COLUMNS = [
    *("TotalCallCreated", "CurrentCall", "SuccessfulCall(C)", "FailedCall(C)"),
    *(f"Failed{kind}(C)" for kind in FAILURES),
    *("Retransmissions(C)", "answered(C)", "qualified(C)"),
]


def statistics(*rows: str, end: str = "\n") -> bytes:
    return "\n".join([";".join(COLUMNS), *(row.replace(" ", ";") for row in rows)]).encode() + end.encode()


def test_the_last_complete_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "stat.csv"
    path.write_bytes(
        statistics("1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", "9 2 4 3 0 1 1 0 0 0 0 0 0 0 5 4 1", "10 2 5 3"[:4], end="")
    )
    counts = read_counts(path)
    assert (counts.created, counts.current, counts.successful, counts.failed) == (9, 2, 4, 3)
    assert counts.failures == {"no answer to retransmissions": 1, "unexpected message": 1, "not ended": 1}
    assert counts.outcomes == {"answered": 4, "qualified": 1}
    assert (counts.calls, counts.retransmissions) == (8, 5)


def test_nothing_written_yet_is_nothing_counted(tmp_path: Path) -> None:
    path = tmp_path / "stat.csv"
    assert read_counts(path) == SippCounts()
    path.write_bytes(statistics(end="")[:40])
    assert read_counts(path) == SippCounts()


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "stat.csv"
    path.write_bytes(statistics(*[f"{n} 0 {n} 0 0 0 0 0 0 0 0 0 0 0 0 0 0" for n in range(5_000)]))
    assert read_counts(path).created == 4_999


def test_another_program_s_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "stat.csv"
    path.write_text("a;b\n1;2\n")
    with pytest.raises(LabError, match="right version"):
        read_counts(path)


def test_lost_is_everything_that_did_not_succeed_and_sums_add_up() -> None:
    one = SippResult(SippCounts(10, 1, 7, 2, {"unexpected message": 2}, 1, {"answered": 8}), [3.0, 1.0], ["a"])
    two = SippResult(SippCounts(5, 0, 5, 0, {}, 0, {"answered": 5, "qualified": 1}), [2.0], ["b"])
    both = one + two
    assert (one.lost, two.lost, both.lost) == (3, 0, 3)
    assert (both.started, both.outcome("answered"), both.outcome("refused")) == (14, 13, 0)
    assert (both.percentile_ms(50), both.percentile_ms(100), list(both.errors)) == (2.0, 3.0, ["a", "b"])
    with pytest.raises(ValueError, match="no outcome"):
        both.outcome("anwsered")


def test_percentiles_are_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (0, 1, 50, 99, 100)] == [1, 1, 50, 99, 100]
    assert percentile([7.0], 99) == 7
    assert percentile([], 50) is None


def test_events_times_and_errors_are_read_up_to_the_last_whole_line(tmp_path: Path) -> None:
    stamp = "2026-11-21\t18:00:00.250000\t1795284000.250000"
    log = tmp_path / "calls.log"
    log.write_text(f"{stamp}|placed|1|5551|\n{stamp}|answered|1|5551|x\n{stamp}|hung")
    assert read_events(log) == [
        CallEvent(1795284000.25, "placed", 1, "5551"),
        CallEvent(1795284000.25, "answered", 1, "5551", "x"),
    ]
    times = tmp_path / "rtt.csv"
    times.write_text("Date_ms;response_time_ms;rtd_no\n10.5;4.25;answer\n11;0.")
    assert read_answer_times(times) == [4.25]
    errors = tmp_path / "errors.log"
    errors.write_text(
        f"{stamp}: Aborting call: 'SIP/2.0 486\nVia: x\n'.\n{stamp}: Dead call 1 received 'BYE\n{stamp}: Two\n"
    )
    assert read_errors(errors) == ["Aborting call: 'SIP/2.0 486", "Two"]
    assert read_events(tmp_path / "no") == read_answer_times(tmp_path / "no") == read_errors(tmp_path / "no") == []
