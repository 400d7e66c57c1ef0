"""What tests of the lab share: an Asterisk of the machine's cache of parts, and a mirror that can be broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broken_mirror import BrokenMirror, serve_mirror

from acd.lab.asterisk import AsteriskProgram, LabAsterisk, find_program
from acd.lab.asterisk_files import AsteriskPorts
from acd.lab.debian import PrivateApt
from acd.lab.parts import list_folder


@pytest.fixture(scope="session")
def asterisk_program() -> AsteriskProgram:
    """The lab's own Asterisk, from the machine's cache; installed there by the first run."""
    return find_program()


@pytest.fixture
def lab_asterisk(asterisk_program: AsteriskProgram, tmp_path: Path) -> Iterator[Callable[..., LabAsterisk]]:
    """Makes instances in folders of their own that end with the test."""
    made: list[LabAsterisk] = []

    def make(name: str = "a", **arguments: object) -> LabAsterisk:
        ports = AsteriskPorts.free(low=10_000, high=10_899, rtp_ports=100)
        instance = LabAsterisk(tmp_path / name, asterisk_program, ports, die_with_parent=True, **arguments)  # type: ignore[arg-type]
        made.append(instance)
        return instance

    yield make
    for instance in made:
        instance.kill()


@pytest.fixture(scope="session")
def mirror_server() -> Iterator[BrokenMirror]:
    with serve_mirror() as broken:
        yield broken


@pytest.fixture
def broken_mirror(mirror_server: BrokenMirror) -> BrokenMirror:
    """The mirror, as good as new."""
    mirror_server.requests.clear()
    mirror_server.faults.clear()
    return mirror_server


@pytest.fixture(scope="session")
def fetched_lists(mirror_server: BrokenMirror, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that has fetched the package lists of bookworm from the mirror."""
    cache = tmp_path_factory.mktemp("cache")
    PrivateApt(list_folder(cache, mirror_server.mirror, "bookworm"), cache, mirror_server.mirror, "bookworm").update()
    return cache


@pytest.fixture
def cache(fetched_lists: Path, mirror_server: BrokenMirror) -> Path:
    """A cache with nothing in it but fresh lists: packages must be downloaded, the lists need not be."""
    for name in ("archives", "parts"):
        shutil.rmtree(fetched_lists / name, ignore_errors=True)
    (list_folder(fetched_lists, mirror_server.mirror, "bookworm") / "updated").touch()
    return fetched_lists
