"""``acd serve`` as a process: configurations in force and who changed what, from the socket's peer and from a signal."""

from __future__ import annotations

import getpass
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_serve_process import FLOOR, Service

ME = f"user:{getpass.getuser()}"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_reloads_are_noted_and_audited_with_who_asked(service: Service) -> None:
    service.start()
    assert service.acd("agent", "login", "ann").exit_code == 0
    service.floor.write_text(FLOOR + "dispositions: [sold]\n")
    assert service.acd("floor", "reload").exit_code == 0
    service.floor.write_text(FLOOR + "dispositions: [sold, lost]\n")
    service.send(signal.SIGHUP)
    service.until(lambda: len(service.json("floor", "revisions")["revisions"]) == 3)
    third, second, first = service.json("floor", "revisions")["revisions"]
    assert [row["who"] for row in (first, second, third)] == ["start", ME, "signal:SIGHUP"]
    told = [(row["who"], row["action"], row["subject"]) for row in service.json("audit")["audit"]]
    assert told == [
        ("signal:SIGHUP", "floor_reload", "floor"),
        (ME, "floor_reload", "floor"),
        (ME, "agent_login", "agent:ann"),
        (ME, "db_upgrade", "database"),
    ]
    compared = service.acd("floor", "revisions", "diff", second["revision"], third["revision"])
    assert "dispositions: sold -> sold, lost" in compared.stdout, compared.output
    shown = json.loads(service.acd("floor", "revisions", "show", first["revision"]).stdout)
    assert shown["definition"]["agents"]["ann"]["pin_hash"] is None
    assert service.acd("call", "tag", "nobody", "+vip").exit_code == 4
    audited = service.json("audit")
    assert service.stop() == 0
    assert service.json("audit") == audited
    # The same configuration once more is no other revision
    service.start()
    service.until(lambda: service.acd("status").exit_code == 0)
    assert len(service.json("floor", "revisions")["revisions"]) == 3
