"""The bootstrap on a small project: made, left alone, made good, without ensurepip, and clear when it fails."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from acd.lab import bootstrap
from acd.lab.parts import PartSet, ensure

ROOT = Path(__file__).resolve().parents[2]
#: What the build backend of an editable installation consists of: enough for a lock file of a small project.
NAMES = ("editables", "hatchling", "packaging", "pathspec", "pluggy", "tomlkit", "trove-classifiers")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the same build as ours, with the part of our lock file that it needs."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", (ROOT / "requirements-dev.lock").read_text(), flags=re.MULTILINE)
    wanted = [block for block in blocks if block.split("==")[0] in NAMES]
    assert len(wanted) == len(NAMES)
    folder = tmp_path / "project"
    (folder / "src/small").mkdir(parents=True)
    (folder / "src/small/__init__.py").write_text("WORDS = 'it works'\n")
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "small"\nversion = "1"\n[tool.hatch.build.targets.wheel]\npackages = ["src/small"]\n'
    )
    (folder / "requirements-dev.lock").write_text("".join(wanted))
    return folder


def run(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The bootstrap, as the Makefile calls it: in the project's folder, by a Python that has nothing installed."""
    command = [sys.executable, "-S", "-m", "acd.lab.bootstrap", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment}
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)


def works(project: Path) -> bool:
    python = project / ".venv/bin/python"
    said = subprocess.run(
        [python, "-c", "import small; print(small.WORDS)"], capture_output=True, text=True, check=False
    ).stdout
    return said == "it works\n"


def test_made_once_left_alone_and_made_good(project: Path) -> None:
    result = run(project)
    assert result.returncode == 0, result.stderr
    assert works(project)
    assert "environment ready" in result.stderr
    # Nothing to do means nothing is run: there is no program it could find.
    again = run(project, PATH="/nowhere")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")

    lock = project / "requirements-dev.lock"
    lock.write_text(lock.read_text() + "\n# changed\n")
    assert "environment ready" in run(project).stderr
    shutil.rmtree(project / ".venv/bin")
    assert "environment ready" in run(project).stderr
    assert works(project)


def test_without_ensurepip_pip_comes_from_debian(project: Path) -> None:
    # Debian's own Python, unpacked without the package that holds ensurepip.
    part = ensure(PartSet("python", ("python3.11",), suites=("bookworm",)))
    python = part.root / "usr/bin/python3.11"
    assert subprocess.run([python, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 1
    result = run(project, "--python", str(python))
    assert result.returncode == 0, result.stderr
    assert "installing pip" in result.stderr
    assert works(project)
    assert (project / ".venv/bin/pip").exists()


def test_a_file_that_is_not_what_the_lock_says_is_refused(project: Path) -> None:
    lock = project / "requirements-dev.lock"
    lock.write_text(re.sub(r"(?<=sha256:)[0-9a-f]{64}", "0" * 64, lock.read_text()))
    result = run(project)
    assert result.returncode == 1
    assert "installing packages failed" in result.stderr
    assert "a package is not what the lock file promises" in result.stderr
    assert not (project / ".venv/acd-bootstrap.json").exists()


def test_a_failing_command_s_last_words_are_shown(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        (project / "pyproject.toml").read_text().replace("src/small", "src/nowhere")
    )
    lock = project / "requirements-dev.lock"
    lock.write_text(lock.read_text() + "\nno-such-thing-at-all==1 --hash=sha256:" + "0" * 64 + "\n")
    result = run(project)
    assert result.returncode == 1
    assert "No matching distribution found for no-such-thing-at-all==1" in result.stderr
    assert "the index lacks a package" in result.stderr


def test_what_stands_in_the_way_is_named(project: Path, tmp_path: Path) -> None:
    (project / ".venv").mkdir()
    (project / ".venv/mine").touch()
    assert "is not a virtual environment; move it away" in run(project).stderr
    assert (project / ".venv/mine").exists()
    assert "there is no lock file" in run(tmp_path).stderr
    assert "there is no lock file" in run(project, "--lock", "other.lock").stderr


def test_a_python_that_is_too_old_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "python3.11"
    old.write_text('#!/bin/sh\necho "3.9 /usr/bin/python3.9"\n')
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(bootstrap.BootstrapError, match=r"python3\.11 is 3\.9\); install the package python3\.11"):
        bootstrap._find_python(str(old))
    # Looking further, it finds the one that runs this test.
    monkeypatch.setattr(bootstrap, "_DISTRIBUTION", tmp_path)
    assert bootstrap._find_python(None) == sys.executable
    with pytest.raises(bootstrap.BootstrapError, match=r"no Python 3\.11 or newer at nowhere"):
        bootstrap._find_python("nowhere")


def test_the_distributions_python_goes_before_the_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, version in (("path", "3.14"), ("usr", "3.12")):
        found = tmp_path / folder / "python3.12"
        found.parent.mkdir()
        found.write_text(f'#!/bin/sh\necho "{version} $0"\n')
        found.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(bootstrap, "_DISTRIBUTION", tmp_path / "usr")
    assert bootstrap._find_python(None) == str(tmp_path / "usr/python3.12")


def test_a_stamp_of_another_python_or_project_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.2\n")
    stamp = tmp_path / "acd-bootstrap.json"
    for content, expected in (
        ({"wanted": "x", "python": "3.11.2"}, True),
        ({"wanted": "x", "python": "3.11.1"}, False),
        ({"wanted": "y", "python": "3.11.2"}, False),
        ({}, False),
        ([], False),
    ):
        stamp.write_text(json.dumps(content))
        assert bootstrap._up_to_date(tmp_path, "x") is expected, content
    stamp.write_text("{")
    assert not bootstrap._up_to_date(tmp_path, "x")
