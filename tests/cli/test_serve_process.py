"""``acd serve`` as a process of its own, without any Asterisk: its journal, its signals, and the floor it goes by."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from acd.cli import cli
from acd.engine.journal_lines import parts_in
from acd.lab.asterisk_files import free_ports

WAIT_S = 30.0
FLOOR = """
queues: {main: {}}
agents:
  ann: {number: 101, phones: [PJSIP/101], queues: [main]}
entry_points: {"1": main}
"""


class Service:
    """The process, and the program that talks to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.floor, self.journal = folder, folder / "floor.yaml", folder / "etc-journal"
        self.config = folder / "acd.toml"
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "state").mkdir(mode=0o700)
        self.floor.write_text(FLOOR)
        ami, agi = free_ports(2, low=32_000, high=32_767)
        self.config.touch(mode=0o600)
        self.config.write_text(
            f'[asterisk.east]\nami_port = {ami}\ncall_secret = "x"\nlook_secret = "y"\n'
            f'[agi]\nport = {agi}\n[journal]\ndirectory = "etc-journal"\n[service]\nstate_dir = "state"\n'
        )
        assert self.acd("db", "upgrade").exit_code == 0

    def acd(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["--config", str(self.config), *arguments], prog_name="acd")

    def json(self, *arguments: str) -> dict:  # type: ignore[type-arg]
        result = self.acd("--json", *arguments)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)  # type: ignore[no-any-return]

    def log(self) -> str:
        return (self.folder / "serve.log").read_text(errors="replace")

    def start(self) -> None:
        with (self.folder / "serve.log").open("ab") as log:
            # From another folder: relative paths count from acd.toml's
            self.process = subprocess.Popen(
                [sys.executable, "-m", "acd", "--config", str(self.config), "serve"], stderr=log, cwd="/",
            )  # fmt: skip
        self.until(lambda: self.acd("floor", "show").exit_code == 0)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(WAIT_S)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the process does."""
        pause = threading.Event()
        for _ in range(int(WAIT_S / 0.05)):
            if condition():
                return
            assert self.process is not None
            assert self.process.poll() is None, self.log()
            pause.wait(0.05)
        raise AssertionError(f"did not happen within {WAIT_S} s: {self.log()}")

    def revision(self) -> str:
        return str(self.json("floor", "show")["revision"])


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait(WAIT_S)


def test_a_life_with_reloads_is_journalled_and_comes_out_the_same(service: Service) -> None:
    service.start()
    first = service.revision()
    assert service.acd("agent", "login", "ann").exit_code == 0
    service.floor.write_text(FLOOR.replace("  ann:", "  zoe:"))
    assert service.json("floor", "diff")["changes"]["agents"]["added"] == ["zoe"]
    assert service.revision() == first
    assert service.json("floor", "reload")["reloaded"]
    assert service.acd("agent", "login", "ann").exit_code == 4
    assert service.acd("agent", "login", "zoe").exit_code == 0
    assert service.json("agent", "explain", "zoe")["state"] == "AVAILABLE"
    assert service.json("status")["status"]["journal"]["state"] == "writing"
    assert service.stop() == 0
    (part,) = parts_in(service.journal)
    assert part.path.stat().st_mode & 0o077 == 0
    outcome = service.json("replay", str(service.journal))
    assert (outcome["identical"], outcome["ended"]) == (True, "closed")
    assert outcome["events"] >= 4


def test_sighup_reloads_and_a_wrong_file_changes_nothing_but_an_alarm(service: Service) -> None:
    service.start()
    first = service.revision()
    service.floor.write_text(FLOOR.replace("queues: [main]", "queues: [mian]"))
    service.send(signal.SIGHUP)

    def alarms() -> list[str]:
        return [alarm["kind"] for alarm in service.json("status")["status"]["alarms"]]

    service.until(lambda: "floor_not_reloaded" in alarms())
    assert "floor.yaml:4:" in service.log()
    assert service.revision() == first
    refused = service.acd("floor", "reload")
    assert refused.exit_code == 1
    assert "mian" in refused.stdout
    service.floor.write_text(FLOOR + "ageing_s: 30\n")
    service.send(signal.SIGHUP)
    service.until(lambda: service.revision() != first)
    assert service.json("floor", "show")["previous"] == first
    assert service.stop() == 0


def test_a_journal_that_cannot_be_written_is_said_at_the_start(service: Service) -> None:
    service.journal.write_text("in the way")
    done = subprocess.run(
        [sys.executable, "-m", "acd", "--config", str(service.config), "serve"], capture_output=True, text=True,
        timeout=WAIT_S,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"the journal cannot be written in {service.journal}" in done.stderr
    assert "give [journal] another directory" in done.stderr
