"""Whether Asterisk has a sound, by its files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from acd.asterisk.node import _lacking
from acd.asterisk.sounds import is_here, lacks

FILES = (
    "beep.gsm",
    "en/hello.wav",
    "en_GB/digits/1.ulaw",
    "custom/who-called.sln16",
    "digits/de/2.wav",
    "en/hello-world.wav",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


@pytest.mark.parametrize(
    "sound", ["beep", "hello", "digits/1", "digits/2", "custom/who-called", "who-called", "en/hello"]
)
def test_a_sound_is_there_in_any_language_and_format(folder: Path, sound: str) -> None:
    assert not lacks(folder, sound)


@pytest.mark.parametrize("sound", ["hell", "beep.gsm", "custom/beep", "digits/3", "nowhere/at/all", "digits"])
def test_and_missing_if_it_is_in_none(folder: Path, sound: str) -> None:
    assert lacks(folder, sound)


def test_what_cannot_be_seen_is_not_called_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _lacking(folder, ["beep", "gone"]) == ["gone"]
    assert _lacking(folder / "elsewhere", ["gone"]) == []
    assert _lacking(Path("sounds"), ["gone"]) == []

    def locked(path: object) -> list[str]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", locked)
    assert _lacking(folder, ["gone"]) == []


def test_only_an_asterisk_on_this_machine_has_its_files_here() -> None:
    assert [is_here(host) for host in ("127.0.0.1", "localhost", "::1", "10.0.0.7", "pbx.example")] == [True] * 3 + [
        False
    ] * 2
