"""A private Asterisk: up, side by side, frozen, killed, gone with its parent; and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from acd.domain.errors import AsteriskUnsuitableError, LabError
from acd.lab.asterisk import AmiUser, AsteriskOptions, AsteriskPorts, AsteriskProgram, LabAsterisk, find_program
from acd.lab.paths import SOCKET_PATH_MAX_BYTES

Make = Callable[..., LabAsterisk]

ANSWERS_BY_CONTEXT = """
[acd-inbound]
exten => _[+*#0-9a-zA-Z]!,1,Hangup(17)
[acd-agent]
exten => 600,1,Hangup(34)
"""

PHONE = """
[agent0001]
type=endpoint
context=agents
allow=ulaw
aors=agent0001
[agent0001]
type=aor
max_contacts=2
"""


def test_it_starts_answers_and_stops(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk()
    asterisk.start()
    assert asterisk.running
    assert asterisk.pid is not None
    assert "System uptime" in asterisk.cli("core show uptime")
    assert asterisk.version in asterisk.cli("core show version")
    assert asterisk.cpu_s > 0
    classes = asterisk.cli("moh show files")
    assert classes.count("File:") >= 3
    assert "0 active channels" in asterisk.cli("core show channels count")
    assert [line for line in asterisk.log_tail() if "ERROR" in line] == []
    asterisk.stop()
    assert not asterisk.running
    assert asterisk.pid is None
    with pytest.raises(LabError, match="does not run"):
        asterisk.cli("core show uptime")
    asterisk.stop()


def test_everything_it_needs_is_loaded(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk()
    asterisk.start()
    running = asterisk.cli("module show")
    for module in ("res_pjsip", "app_queue", "res_agi", "app_dial", "app_userevent", "app_mixmonitor", "app_amd"):
        assert re.search(rf"^{module}\.so .*Running", running, re.MULTILINE), module


def test_two_run_side_by_side(lab_asterisk: Make) -> None:
    one, other = lab_asterisk("one"), lab_asterisk("other")
    one.start()
    other.start()
    one.cli("dialplan set global who one")
    other.cli("dialplan set global who other")
    assert "who=one" in one.cli("dialplan show globals")
    one.kill()
    assert "who=other" in other.cli("dialplan show globals")


def test_another_object_finds_the_running_one(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk()
    asterisk.start()
    found = LabAsterisk(asterisk.directory, asterisk.program, asterisk.ports)
    assert found.pid == asterisk.pid
    with pytest.raises(LabError, match="already runs"):
        found.start()
    found.stop()
    assert not asterisk.running


def test_after_a_kill_it_starts_again(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk()
    asterisk.start()
    first = asterisk.pid
    asterisk.kill()
    assert not asterisk.running
    asterisk.start()
    assert asterisk.pid != first


def restart(asterisk: LabAsterisk) -> None:
    """Restart it by its console, and return when the new one answers: it does not know what the old one was told."""
    asterisk.cli("dialplan set global who old")
    asterisk.cli("core restart now")
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(LabError):
            if "who=old" not in asterisk.cli("dialplan show globals"):
                break
        assert asterisk.running, (asterisk.tree.log / "console.log").read_text()
        assert time.monotonic() < deadline
    asterisk.cli("core waitfullybooted")


def test_its_console_restarts_it_as_often_as_you_like(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk("it's a lab")
    asterisk.start()
    first = asterisk.pid
    for _ in range(2):
        restart(asterisk)
        assert re.search(r"^res_pjsip\.so .*Running", asterisk.cli("module show"), re.MULTILINE)
    assert asterisk.pid == first
    asterisk.stop()
    assert not asterisk.running


def test_a_folder_named_as_the_remote_console_is_no_hindrance(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk("ourasterisk")
    asterisk.start()
    assert "System uptime" in asterisk.cli("core show uptime")


def test_frozen_it_answers_nothing_and_thawed_it_goes_on(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk()
    asterisk.start()
    asterisk.freeze()
    assert asterisk.running
    with pytest.raises(LabError, match=r"did not answer 'core show uptime' within 0\.3 s"):
        asterisk.cli("core show uptime", timeout_s=0.3)
    asterisk.thaw()
    assert "System uptime" in asterisk.cli("core show uptime")


def test_a_frozen_one_can_be_stopped(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk()
    asterisk.start()
    asterisk.freeze()
    asterisk.stop()
    assert not asterisk.running


async def test_started_lasts_as_long_as_its_block(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk()
    async with asterisk.started() as same:
        assert same is asterisk
        assert asterisk.running
    assert not asterisk.running


async def test_started_called_off_leaves_nothing_running(lab_asterisk: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asterisk = lab_asterisk()
    began, loop = asyncio.Event(), asyncio.get_running_loop()
    write = asterisk.write

    def write_and_tell() -> None:
        write()
        loop.call_soon_threadsafe(began.set)

    monkeypatch.setattr(asterisk, "write", write_and_tell)

    async def use() -> None:
        async with asterisk.started():
            raise AssertionError("it was called off before")

    task = asyncio.ensure_future(use())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not asterisk.running
    assert (asterisk.tree.log / "messages.log").exists(), "it was never started"


PARENT = """
import sys, signal
from pathlib import Path
from acd.lab.asterisk import AsteriskPorts, LabAsterisk, find_program
asterisk = LabAsterisk(
    Path(sys.argv[1]), find_program(), AsteriskPorts.free(low=10_000, high=10_899, rtp_ports=100), die_with_parent=True
)
asterisk.start()
print(asterisk.pid, flush=True)
signal.pause()
"""


@pytest.mark.parametrize("restarted", [False, True])
def test_it_dies_with_its_parent(tmp_path: Path, asterisk_program: AsteriskProgram, restarted: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        asterisk = os.pidfd_open(int(parent.stdout.readline()))
        if restarted:
            restart(LabAsterisk(tmp_path, asterisk_program, AsteriskPorts(0, 0, 0, 0)))
        parent.send_signal(signal.SIGKILL)
    try:
        assert select.select([asterisk], [], [], 10)[0], "Asterisk outlived its parent by ten seconds"
    finally:
        os.close(asterisk)


def test_a_long_path_has_its_socket_elsewhere(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk("d" * 120)
    asterisk.start()
    assert "System uptime" in asterisk.cli("core show uptime")
    assert len(str(asterisk.tree.run / "asterisk.ctl")) <= SOCKET_PATH_MAX_BYTES
    found = LabAsterisk(asterisk.directory, asterisk.program, asterisk.ports)
    assert found.tree.run == asterisk.tree.run
    found.stop()
    assert not found.tree.run.exists()


# --- callers, phones, manager ---------------------------------------------------------------------------------------


def final_answer(port: int, caller: str, called: str) -> int:
    """Call once over UDP and return the final status."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip:
        sip.bind(("127.0.0.1", 0))
        sip.settimeout(10)
        here = f"127.0.0.1:{sip.getsockname()[1]}"
        body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
        invite = (
            f"INVITE sip:{called}@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-{caller}\r\n"
            f"From: <sip:{caller}@{here}>;tag=1\r\nTo: <sip:{called}@127.0.0.1:{port}>\r\nCall-ID: {caller}@{here}\r\n"
            f"CSeq: 1 INVITE\r\nContact: <sip:{caller}@{here}>\r\nMax-Forwards: 70\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        )
        sip.sendto(invite.encode(), ("127.0.0.1", port))
        while True:
            status = int(sip.recv(65536).split(b" ", 2)[1])
            if status >= 200:
                return status


@pytest.mark.parametrize(
    ("caller", "called", "status"),
    [("+4930123456", "+4989", 486), ("anonymous", "*80", 486), ("agent0001", "600", 503), ("agent0001", "4989", 404)],
)
def test_callers_and_phones_are_told_apart(lab_asterisk: Make, caller: str, called: str, status: int) -> None:
    asterisk = lab_asterisk(dialplan_text=ANSWERS_BY_CONTEXT, endpoints=PHONE)
    asterisk.start()
    assert final_answer(asterisk.ports.sip, caller, called) == status


def test_dialplan_files_are_included_and_read_again(lab_asterisk: Make, tmp_path: Path) -> None:
    dialplan = tmp_path / "own plan.conf"
    dialplan.write_text("[acd-inbound]\nexten => _X!,1,Hangup(17)\n")
    asterisk = lab_asterisk(dialplan_files=[dialplan], agi_port=10_999)
    asterisk.start()
    assert "acd_agi=127.0.0.1:10999" in asterisk.cli("dialplan show globals")
    assert final_answer(asterisk.ports.sip, "0301", "12") == 486
    dialplan.write_text("[acd-inbound]\nexten => _X!,1,Hangup(34)\n")
    asterisk.reload_dialplan()
    assert final_answer(asterisk.ports.sip, "0302", "12") == 503


class Manager:
    """A bare manager session."""

    def __init__(self, port: int, user: str, secret: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()
        self.send(Action="Login", Username=user, Secret=secret)
        self.answer = self.message()

    def send(self, **headers: str) -> None:
        self.socket.sendall("".join(f"{key}: {value}\r\n" for key, value in headers.items()).encode() + b"\r\n")

    def message(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in iter(self.lines.readline, b""):
            if not line.strip():
                if found:
                    return found
                continue
            key, _, value = line.decode().rstrip("\r\n").partition(": ")
            found[key] = value
        return found

    def close(self) -> None:
        self.lines.close()
        self.socket.close()


def test_manager_users_may_do_their_part_and_no_more(lab_asterisk: Make) -> None:
    users = [
        AmiUser.for_calls("listener", "s1"),
        AmiUser.for_looks("doer", "s2"),
        AmiUser.for_commands("fence", "s3"),
    ]
    asterisk = lab_asterisk(ami_users=users, channelvars=["acd_call"], dialplan_text=ANSWERS_BY_CONTEXT)
    asterisk.start()
    wrong = Manager(asterisk.ports.ami, "listener", "nonsense")
    listener = Manager(asterisk.ports.ami, "listener", "s1")
    twice = Manager(asterisk.ports.ami, "listener", "s1")
    doer = Manager(asterisk.ports.ami, "doer", "s2")
    assert wrong.answer["Message"] == "Authentication failed"
    assert listener.answer["Message"] == "Authentication accepted"
    assert "Login Already In Use" in twice.answer["Message"]

    doer.send(Action="Command", Command="core show uptime")
    denied = doer.message()
    while denied.get("Response") != "Error":
        denied = doer.message()
    assert denied["Message"] == "Permission denied"
    final_answer(asterisk.ports.sip, "0301", "12")
    seen = []
    while "Hangup" not in seen:
        event = listener.message()
        assert event, f"the session ended after {seen}"
        seen.append(event.get("Event", event.get("Response", "")))
        assert "Timestamp" in event or seen[-1] == "FullyBooted"
    assert "Newchannel" in seen
    assert set(seen) <= {"FullyBooted", "Newchannel", "Hangup", "DeviceStateChange"}
    for session in (wrong, listener, twice, doer):
        session.close()


def test_channel_events_are_written_when_asked(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk(
        dialplan_text=ANSWERS_BY_CONTEXT, options=AsteriskOptions(cel=True, verbose=3, system_name="lab1")
    )
    asterisk.start()
    final_answer(asterisk.ports.sip, "0301", "12")
    asterisk.stop()
    rows = [line.split('","') for line in asterisk.cel_file.read_text().splitlines()]
    assert [row[1] for row in rows] == ["CHAN_START", "HANGUP", "CHAN_END", "LINKEDID_END"]
    assert all(row[2].startswith("lab1-") and row[4].startswith("PJSIP/trunk-") for row in rows)
    assert "Hangup(" in (asterisk.tree.log / "full.log").read_text()


def test_the_configuration_holds_secrets_and_is_private(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk(extra_files={"queues.conf": "[general]\nautofill=yes\n"})
    asterisk.write()
    (asterisk.tree.etc / "left-over.conf").touch()
    asterisk.write()
    modes = {path.name: path.stat().st_mode & 0o777 for path in asterisk.tree.etc.iterdir()}
    assert "left-over.conf" not in modes
    assert set(modes.values()) == {0o600}
    assert (asterisk.tree.etc / "queues.conf").read_text() == "[general]\nautofill=yes\n"


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_named(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk()
    in_use = pytest.raises(LabError, match=f"port {asterisk.ports.ami} for manager is in use")
    with socket.create_server(("127.0.0.1", asterisk.ports.ami)), in_use:
        asterisk.start()
    assert not asterisk.running


def test_the_log_s_errors_are_told_when_it_does_not_start(lab_asterisk: Make) -> None:
    asterisk = lab_asterisk(extra_files={"modules.conf": "[modules]\nautoload=no\nrequire=acd_no_such_module.so\n"})
    with pytest.raises(LabError, match=r"(?s)ended while starting.*acd_no_such_module"):
        asterisk.start()
    assert not asterisk.running


def program(path: Path, version: str) -> Path:
    path.write_text(f'#!/bin/sh\necho "{version}"\n')
    path.chmod(0o755)
    return path


def test_an_asterisk_that_is_too_old_is_refused(tmp_path: Path) -> None:
    for version in ("Asterisk 18.26.2", "Asterisk 20.10.0~dfsg"):
        with pytest.raises(AsteriskUnsuitableError, match=r"needs 20\.11 or newer"):
            find_program(asterisk=program(tmp_path / "asterisk", version))
    with pytest.raises(LabError, match="no modules"):
        find_program(asterisk=program(tmp_path / "asterisk", "Asterisk 20.11.0"))


def test_what_is_no_asterisk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not answer as Asterisk does: hello"):
        find_program(asterisk=program(tmp_path / "asterisk", "hello"))
    with pytest.raises(LabError, match="there is no program"):
        find_program(asterisk=tmp_path / "nowhere")


def test_an_installed_asterisk_can_be_named(tmp_path: Path, asterisk_program: AsteriskProgram) -> None:
    # Laid out as a system's own: the binary, its modules and its data below one prefix.
    modules = tmp_path / "lib/asterisk/modules"
    modules.parent.mkdir(parents=True)
    modules.symlink_to(asterisk_program.modules)
    (tmp_path / "share").mkdir()
    (tmp_path / "share/asterisk").symlink_to(asterisk_program.data)
    (tmp_path / "sbin").mkdir()
    binary = tmp_path / "sbin/asterisk"
    binary.write_text("#!/bin/sh\nexec " + " ".join(asterisk_program.command) + ' "$@"\n')
    binary.chmod(0o755)
    found = find_program(asterisk=binary)
    assert (found.command, found.modules, found.data) == ((str(binary),), modules, tmp_path / "share/asterisk")
    assert found.version == asterisk_program.version
