"""What everything in the lab stands on: processes that are found again and never left behind, places, progress."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from acd.domain.errors import LabError
from acd.lab.asterisk_files import AsteriskPorts, PortBlock, free_ports
from acd.lab.paths import SOCKET_PATH_MAX_BYTES, cache_dir, make_dir, shared_file, socket_dir
from acd.lab.processes import Process
from acd.lab.progress import ProgressLine

WAITS = [sys.executable, "-S", "-c", "import signal; signal.pause()"]


def test_a_process_is_found_again_until_it_ends(tmp_path: Path) -> None:
    process = Process.spawn(WAITS, log=tmp_path / "log")
    process.remember(tmp_path / "pid")
    assert Process.recall(tmp_path / "pid") == process
    assert process in Process(os.getpid(), 0).children()
    process.end(signal.SIGTERM, 10)
    assert not process.running
    assert process.wait(0)
    assert Process.recall(tmp_path / "pid") is None
    assert Process.recall(tmp_path / "nowhere") is None


def test_an_id_that_belongs_to_another_process_now_is_left_alone(tmp_path: Path) -> None:
    process = Process.spawn(WAITS, log=tmp_path / "log")
    namesake = Process(process.pid, process.started_ticks - 1)
    assert not namesake.running
    namesake.send(signal.SIGKILL)
    assert process.running
    process.end(signal.SIGKILL, 10)


def test_what_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    deaf = [
        sys.executable,
        "-S",
        "-c",
        "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()",
    ]
    process = Process.spawn(deaf, log=tmp_path / "log")
    while not (tmp_path / "log").read_text():
        assert process.running
    process.end(signal.SIGTERM, 0.05)
    assert not process.running


def test_it_does_not_die_with_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[Process] = []
    thread = threading.Thread(
        target=lambda: started.append(Process.spawn(WAITS, log=tmp_path / "log", die_with_parent=True))
    )
    thread.start()
    thread.join()
    assert not started[0].wait(0.2)
    started[0].end(signal.SIGTERM, 10)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="cannot start /no/such/program"):
        Process.spawn(["/no/such/program"], log=tmp_path / "log")


@pytest.mark.parametrize(
    ("environ", "uid", "expected"),
    [
        ({"ACD_LAB_CACHE": "/big/disk"}, 0, "/big/disk"),
        ({"ACD_LAB_CACHE": "/big/disk", "XDG_CACHE_HOME": "/x"}, 1000, "/big/disk"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/home/me"}, 1000, "/x/acd/lab"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/me"}, 1000, "/home/me/.cache/acd/lab"),
        ({"HOME": "/home/me"}, 1000, "/home/me/.cache/acd/lab"),
        ({"HOME": "/home/admin", "XDG_CACHE_HOME": "/home/admin/.cache"}, 0, "/var/cache/acd/lab"),
    ],
)
def test_where_the_cache_is(environ: dict[str, str], uid: int, expected: str) -> None:
    assert cache_dir(environ, uid=uid) == Path(expected)


def test_a_socket_s_folder_is_short_and_the_same_each_time() -> None:
    short, long = Path("/run/acd"), Path("/" + "x" * 200)
    assert socket_dir(short, "asterisk.ctl") == short
    found = socket_dir(long, "asterisk.ctl")
    assert found != long
    assert len(str(found / "asterisk.ctl")) <= SOCKET_PATH_MAX_BYTES
    assert socket_dir(long, "asterisk.ctl") == found
    assert socket_dir(Path("/" + "y" * 200), "asterisk.ctl") != found


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="is in the way"):
        make_dir(tmp_path / "file")
    with pytest.raises(LabError, match="cannot create"):
        make_dir(tmp_path / "file" / "below")


def test_files_that_come_with_acd_are_found() -> None:
    assert "[acd-inbound]" in shared_file("dialplan/extensions_acd.conf").read_text()
    with pytest.raises(LabError, match=r"nothing\.conf is missing from this installation"):
        shared_file("dialplan/nothing.conf")


def test_free_ports_are_different_and_within_bounds() -> None:
    found = free_ports(20, low=10_000, high=10_999)
    assert len(set(found)) == 20
    assert all(10_000 <= port <= 10_999 for port in found)
    with pytest.raises(LabError, match="no 5 free ones"):
        free_ports(5, low=10_000, high=10_003)
    # Whoever was given one need not listen there yet
    (port,) = free_ports(1, low=11_000, high=11_099)
    with pytest.raises(LabError, match="no 1 free ones"):
        free_ports(1, low=port, high=port)
    ports = AsteriskPorts.free(low=10_000, high=10_999, rtp_ports=100)
    assert ports.rtp_to - ports.rtp_from == 99
    assert ports.rtp_from % 2 == 0
    assert ports.rtp_to < min(ports.sip, ports.ami)
    with pytest.raises(LabError, match="no room for 2000 media ports"):
        AsteriskPorts.free(low=10_000, high=10_999, rtp_ports=2_000)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_in_a_log_is_sparse() -> None:
    now = 0.0
    stream = io.StringIO()
    line = ProgressLine(stream, lambda: now)
    for now in (0.0, 1.0, 2.0, 6.0, 7.0):
        line(f"downloading: {now:g}", now / 10)
    now = 7.5
    line("unpacking: 1", None)
    line.done("ready")
    assert stream.getvalue() == "downloading: 0\ndownloading: 6 (60%)\nunpacking: 1\nready\n"


def test_progress_on_a_terminal_is_one_line() -> None:
    now = 0.0
    stream = Terminal()
    line = ProgressLine(stream, lambda: now)
    for now in (0.0, 0.01, 1.0):
        line("downloading: x", now)
    line.done("ready")
    parts = stream.getvalue().split("\r\x1b[K")
    assert [part.split("] ")[-1] for part in parts] == ["", "  0% downloading: x", "100% downloading: x", "ready\n"]


def test_a_block_of_ports_is_nobody_else_s() -> None:
    with PortBlock(3, low=11_000, high=11_008) as one, PortBlock(3, low=11_000, high=11_008) as other:
        held = {*range(one.first, one.first + 3), *range(other.first, other.first + 3)}
        assert len(held) == 6
        # Neither one by one nor by the dozen
        with pytest.raises(LabError, match="no 4 free ones"):
            free_ports(4, low=11_000, high=11_008)
        with pytest.raises(LabError, match="no 4 free ones in a row"):
            PortBlock(4, low=11_000, high=11_008)
        for port in held:
            with pytest.raises(LabError, match="no 1 free ones"):
                free_ports(1, low=port, high=port)
    assert set(free_ports(6, low=min(held), high=min(held) + 5)) & held
