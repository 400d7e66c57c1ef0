"""Installing parts with the real apt: kept, resumed, alone at work, whole or not there, and clear when it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from broken_mirror import BrokenMirror, Fault

from acd.domain.errors import LabError
from acd.lab import debian, parts
from acd.lab.mirrors import Mirror
from acd.lab.parts import ASTERISK, PartSet, Unpacked, ensure, installed

#: A part of two small packages that depends on nothing.
SMALL = PartSet("small", ("libjs-jquery", "libjs-underscore"), suites=("bookworm",))
SCRIPT = "usr/share/javascript/jquery/jquery.js"


@pytest.fixture(autouse=True)
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """apt waits between its retries; a fault that stays needs none."""
    monkeypatch.setattr(debian, "_RETRIES", 0)


def small(name: str = "libjs-jquery", **changes: object) -> PartSet:
    return PartSet("small", (name,), **{"suites": ("bookworm",), **changes})  # type: ignore[arg-type]


def test_a_part_is_installed_once(cache: Path, broken_mirror: BrokenMirror) -> None:
    said: list[str] = []
    part = ensure(SMALL, cache, lambda text, share: said.append(text), sources=[broken_mirror.mirror])
    assert (part.root / SCRIPT).is_file()
    assert set(part.versions) == {"libjs-jquery", "libjs-underscore"}
    assert part.suite == "bookworm"
    assert any(text.startswith("downloading libjs-jquery (2 files") for text in said)
    assert said[-1] == "unpacking small: 2 of 2 packages"
    asked = len(broken_mirror.requests)
    assert ensure(SMALL, cache, sources=[broken_mirror.mirror]) == part
    assert installed(SMALL, cache) == part
    assert len(broken_mirror.requests) == asked, "the network was asked although the part is there"


def test_a_changed_definition_is_installed_anew_from_kept_downloads(cache: Path, broken_mirror: BrokenMirror) -> None:
    before = ensure(SMALL, cache, sources=[broken_mirror.mirror])
    changed = PartSet(**{**vars(SMALL), "links": (("usr/share/jquery", "javascript/jquery"),)})
    assert installed(changed, cache) is None
    after = ensure(changed, cache, sources=[broken_mirror.mirror])
    assert (after.root / "usr/share/jquery").readlink() == Path("javascript/jquery")
    assert len(broken_mirror.debs()) == 2, "a package was downloaded twice"
    assert before.root.exists(), "a program may still have been running from it"
    third = PartSet(**{**vars(SMALL), "links": (("usr/share/other", "javascript"),)})
    ensure(third, cache, sources=[broken_mirror.mirror])
    assert sorted(path.exists() for path in (before.root, after.root)) == [False, True]


def test_a_broken_download_goes_on_where_it_stopped(cache: Path, broken_mirror: BrokenMirror) -> None:
    broken_mirror.faults[".deb"] = Fault(cut_after=50_000)
    with pytest.raises(LabError, match="libjs-jquery") as failure:
        ensure(small(), cache, sources=[broken_mirror.mirror])
    assert "it goes on where it stopped" in str(failure.value)
    assert installed(small(), cache) is None
    had = next((cache / "archives/partial").glob("*.deb")).stat().st_size
    before = len(broken_mirror.debs())
    broken_mirror.faults.clear()
    root = ensure(small(), cache, sources=[broken_mirror.mirror]).root
    assert had >= 50_000
    assert broken_mirror.debs()[before:] == [f"bytes={had}-"]
    assert (root / SCRIPT).stat().st_size > had


def test_a_spoilt_archive_in_the_cache_is_fetched_again(cache: Path, broken_mirror: BrokenMirror) -> None:
    part = small()
    root = ensure(part, cache, sources=[broken_mirror.mirror]).root
    archive = next((cache / "archives").glob("*.deb"))
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    (root / "manifest.json").unlink()
    ensure(part, cache, sources=[broken_mirror.mirror])
    assert len(broken_mirror.debs()) == 2
    assert archive.read_bytes() != bytes(content)


def test_a_changed_package_is_refused(cache: Path, broken_mirror: BrokenMirror) -> None:
    broken_mirror.faults[".deb"] = Fault(change=lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(LabError, match=r"libjs-jquery.*Hash Sum mismatch"):
        ensure(small(), cache, sources=[broken_mirror.mirror])
    assert installed(small(), cache) is None


def test_changed_lists_are_refused(tmp_path: Path, broken_mirror: BrokenMirror) -> None:
    broken_mirror.faults["InRelease"] = Fault(
        change=lambda content: content.replace(b"Label: Debian", b"Label: Nobody")
    )
    with pytest.raises(LabError, match="signature of Debian bookworm") as failure:
        ensure(small(), tmp_path, sources=[broken_mirror.mirror])
    assert "debian-archive-keyring" in str(failure.value)


def test_lists_without_a_signature_are_refused(tmp_path: Path, broken_mirror: BrokenMirror) -> None:
    broken_mirror.faults["InRelease"] = Fault(status=404)
    broken_mirror.faults["Release.gpg"] = Fault(status=404)
    with pytest.raises(LabError, match="signature of Debian bookworm"):
        ensure(small(), tmp_path, sources=[broken_mirror.mirror])


def test_an_unknown_package_is_named(cache: Path, broken_mirror: BrokenMirror) -> None:
    with pytest.raises(LabError, match=r"Debian bookworm at .* has no package acd-no-such-thing"):
        ensure(small("acd-no-such-thing"), cache, sources=[broken_mirror.mirror])


def test_the_next_suite_supplies_what_the_first_lacks(cache: Path, broken_mirror: BrokenMirror) -> None:
    # A small suite comes first: it has no such package.
    part = small(suites=("bookworm-updates", "bookworm"))
    assert ensure(part, cache, sources=[broken_mirror.mirror]).suite == "bookworm"


def test_the_next_mirror_serves_where_the_first_is_away(tmp_path: Path, broken_mirror: BrokenMirror) -> None:
    away = Mirror("http://127.0.0.1:9/debian", broken_mirror.mirror.keyring)
    assert ensure(small(), tmp_path, sources=[away, broken_mirror.mirror]).suite == "bookworm"


def test_no_network_says_what_to_do(tmp_path: Path, broken_mirror: BrokenMirror) -> None:
    away = Mirror("http://127.0.0.1:9/debian", broken_mirror.mirror.keyring)
    with pytest.raises(LabError, match=r"cannot install small \(libjs-jquery\): could not fetch") as failure:
        ensure(small(), tmp_path, sources=[away])
    assert "check the network" in str(failure.value)


def test_without_a_network_kept_downloads_suffice(cache: Path, broken_mirror: BrokenMirror) -> None:
    part = small()
    root = ensure(part, cache, sources=[broken_mirror.mirror]).root
    (root / "manifest.json").unlink()
    for folder in (cache / "apt").iterdir():
        os.utime(folder / "updated", (0, 0))
    broken_mirror.faults[""] = Fault(status=503)
    assert (ensure(part, cache, sources=[broken_mirror.mirror]).root / SCRIPT).is_file()


def test_a_full_disk_is_told_before_the_download(
    cache: Path, broken_mirror: BrokenMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian.shutil, "disk_usage", lambda path: _Usage())
    with pytest.raises(LabError, match=r"1 MB free, about \d+ MB are needed; make room, or set ACD_LAB_CACHE"):
        ensure(small(), cache, sources=[broken_mirror.mirror])
    assert broken_mirror.debs() == []


class _Usage:
    free = 1_000_000


CHILD = """
import sys, signal
from pathlib import Path
from acd.lab.mirrors import Mirror
from acd.lab.parts import PartSet, ensure
mode, cache, uri, keyring = sys.argv[1:]
def progress(text, share):
    if text.startswith("unpacking"):
        print("unpacking", flush=True)
        if mode == "hang":
            signal.pause()
part = PartSet("small", ("libjs-jquery",), suites=("bookworm",))
print(ensure(part, Path(cache), progress, sources=[Mirror(uri, keyring)]).root, flush=True)
"""


def child(mode: str, cache: Path, mirror: Mirror) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, mode, str(cache), mirror.uri, mirror.keyring]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_do_the_work_once(cache: Path, broken_mirror: BrokenMirror) -> None:
    with child("go", cache, broken_mirror.mirror) as one, child("go", cache, broken_mirror.mirror) as other:
        said = [one.communicate(timeout=60)[0].split(), other.communicate(timeout=60)[0].split()]
    assert said[0][-1] == said[1][-1]
    assert sorted(len(lines) for lines in said) == [1, 2], "both unpacked, or neither"
    assert len(broken_mirror.debs()) == 1


def test_an_installation_killed_amid_leaves_nothing_half_done(cache: Path, broken_mirror: BrokenMirror) -> None:
    with child("hang", cache, broken_mirror.mirror) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "unpacking\n"
        process.send_signal(signal.SIGKILL)
    assert installed(small(), cache) is None
    root = ensure(small(), cache, sources=[broken_mirror.mirror]).root
    assert (root / SCRIPT).is_file()
    assert [path.name for path in (cache / "parts").iterdir() if path.name.endswith(".tmp")] == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="ACD_LAB_CACHE"):
        ensure(small(), tmp_path / "file" / "cache")


def test_programs_run_through_the_part_s_own_loader() -> None:
    part = ensure(ASTERISK)
    command = part.command("asterisk", "-V")
    assert command[0].startswith(str(part.root))
    answer = subprocess.run(command, env=part.env(), capture_output=True, text=True, check=True).stdout
    assert answer.startswith("Asterisk ")
    libraries = subprocess.run(
        [command[0], "--library-path", part.library_path, "--list", command[-2]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    outside = [line for line in libraries.splitlines() if "=> /" in line and str(part.root) not in line]
    assert outside == [], "the machine's own libraries are used"
    with pytest.raises(LabError, match="has no program 'nonsense'"):
        part.command("nonsense")


def test_a_script_of_a_part_is_run_as_it_is(tmp_path: Path) -> None:
    script = tmp_path / "usr/bin/hello"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\necho hello\n")
    assert Unpacked("x", tmp_path, "sid", {}).command("hello", "you") == [str(script), "you"]


def test_every_part_the_command_offers_has_a_name_of_its_own() -> None:
    assert all(name == part.name for name, part in parts.PARTS.items())
