"""The file of a SQLite database is locked by another process, and its disk is full, amid a campaign on real calls: nothing
new is dialled, what is under way goes on, callers are served, and afterwards nobody was dialled twice or forgotten."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from callkit import PATIENT_S, caller, dial, finish
from campaignkit import CampaignRig, campaign_rig

PEOPLE = 32
MIX = {"answer-after:uniform(0.3,1)": 0.7, "busy-after:0.3": 0.3}
CAMPAIGN = {"mode": "power", "ratio": 1.5, "ring": "15s", "rules": {"caps": {"campaign": 0.5}}}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a disk of its own, if this user may have one."""
    folder = tmp_path / "disk"
    folder.mkdir(mode=0o700)
    settings = ["-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs"]
    may = os.getuid() == 0 and not subprocess.run(["mount", *settings, folder], check=False).returncode
    yield folder
    if may:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process has begun to write, and does not end."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=PATIENT_S)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def full(file: Path, service: int) -> Iterator[None]:
    """Nothing more can be written behind what there is. Who may not have a disk limits the service's files instead."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)) as reader:
        # Who reads has the log grow: nothing of it is written over meanwhile
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM attempts").fetchone()
        if file.parent.is_mount():
            filler = file.with_name("filler")
            with filler.open("wb", buffering=0) as opened, contextlib.suppress(OSError):
                while True:
                    opened.write(bytes(4096))
            yield
            filler.unlink()
        else:
            before = resource.prlimit(service, resource.RLIMIT_FSIZE)
            log = file.with_name(f"{file.name}-wal")
            resource.prlimit(service, resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))
            yield
            resource.prlimit(service, resource.RLIMIT_FSIZE, before)


async def until_dialled(here: CampaignRig, count: int) -> None:
    async def enough() -> bool:
        return len(here.customers.calls) >= count

    await here.rig.until(enough, PATIENT_S, f"{count} to be dialled", every_s=0.01)


async def stands_still(here: CampaignRig) -> int:
    """Nobody is recorded or dialled any more, and whoever was goes on to his end; a caller is served. How many there are."""
    await here.until_held_up(PATIENT_S)
    recorded = {row["number"] for row in here.attempts()}

    async def over() -> bool:
        return not here.customers.up

    callers = await dial(here.rig, caller("100", number="5550"))
    await finish(callers)
    await here.rig.until(over, PATIENT_S, "those who were dialled to be done")
    assert {row["number"] for row in here.attempts()} == recorded
    assert {f"+{number}" for number in here.dialled()} <= recorded
    return len(recorded)


async def test_a_file_that_is_locked_and_a_disk_that_is_full(tmp_path: Path, disk: Path) -> None:
    file = disk / "acd.db"
    talk = "answer+talk:uniform(0.3,1)"
    url = f"sqlite:///{file}"
    async with campaign_rig(tmp_path, 6, {"win": CAMPAIGN}, MIX, phones=talk, database_url=url, wrap_up=0) as here:
        here.add_contacts(PEOPLE)
        await here.rig.acd("campaign", "start", "win")
        await until_dialled(here, 5)
        with locked(file):
            reached = await stands_still(here)
        assert reached < PEOPLE
        await until_dialled(here, reached + 5)
        assert here.rig.serve is not None
        with full(file, here.rig.serve.pid):
            reached = await stands_still(here)
        assert reached < PEOPLE
        await here.until_everybody_was_dialled_once("win", PEOPLE, callers=2)
