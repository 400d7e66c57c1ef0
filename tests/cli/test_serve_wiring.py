"""What ``acd serve`` connects to what, in this process and without any Asterisk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from acd.cli import cli
from acd.cli.serve import Service, read_all
from acd.domain import events as ev
from acd.lab.asterisk_files import free_ports

FLOOR = """
queues: {main: {}}
agents:
  ann: {number: 101, phones: [PJSIP/101], queues: [main]}
entry_points: {"1": main}
"""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    config = tmp_path / "acd.toml"
    config.touch(mode=0o600)
    east, west, agi = free_ports(3, low=32_000, high=32_767)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "floor.yaml").write_text(FLOOR)
    config.write_text(
        f'[asterisk.east]\nami_port = {east}\ncall_secret = "x"\nlook_secret = "y"\n'
        f'[asterisk.west]\nami_port = {west}\ncall_secret = "x"\nlook_secret = "y"\n'
        f'[agi]\nport = {agi}\n[service]\nstate_dir = "state"\n'
    )
    upgraded = await asyncio.to_thread(CliRunner().invoke, cli, ["--config", str(config), "db", "upgrade"])
    assert upgraded.exit_code == 0, upgraded.output
    loaded, floor = read_all(config)
    made = Service(loaded.settings, floor.definition, tmp_path)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


async def test_every_node_is_read_on_at_when_callers_wait(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their agent's last words may be unread at another node than theirs."""
    listened, both = set[str](), asyncio.Event()

    def listens(name: str) -> None:
        listened.add(name)
        if len(listened) == 2:
            both.set()

    for name, node in service.nodes.items():
        monkeypatch.setattr(node.calls, "listen", lambda name=name: listens(name))
    service.engine.submit(ev.NodeResynced(time.time(), "east", (), {}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not listened
    service.engine.submit(ev.CallArrived(time.time(), "east", "c1", "PJSIP/x", "c1", "1"))
    await asyncio.wait_for(both.wait(), 10)
    assert listened == {"east", "west"}
