"""A running service with a fake floor, and the command line pointed at it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))

from cliservice import Run, Service, serve_in_thread
from fakefloor import FakeFloor, FakeRecords

from acd.cli import cli


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    floor, records, socket = FakeFloor(), FakeRecords(), tmp_path / "acd.sock"
    stop = serve_in_thread(floor, records, socket)
    yield Service(floor, records, socket)
    stop()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of this machine may be found."""
    monkeypatch.chdir(tmp_path)
    for name in ("ACD_CONFIG", "ACD_HTTP__SOCKET", "ACD_SERVICE__STATE_DIR", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.fixture
def run(service: Service, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``acd ARGUMENTS`` against the service, as in a pipe."""
    monkeypatch.setenv("ACD_HTTP__SOCKET", str(service.socket))

    def invoke(*arguments: str, **more: Any) -> Result:
        return CliRunner().invoke(cli, list(arguments), prog_name="acd", **more)

    return invoke
