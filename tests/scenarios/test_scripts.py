"""Every script in ``scripts`` plays as it is written. ACD_UPDATE_SCRIPTS=1 rewrites the answers: read the diff then."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest
from playbook import ScriptError, play

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.script"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    played = play(text)
    if os.environ.get("ACD_UPDATE_SCRIPTS") == "1":
        path.write_text(played, encoding="utf-8")
        return
    diff = difflib.unified_diff(
        text.splitlines(), played.splitlines(), f"{path.name}", "what the floor did", lineterm="", n=8
    )
    assert text == played, "\n" + "\n".join(diff)


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 25


def test_a_wrong_expectation_is_found() -> None:
    text = "floor\n  queue sales\n  agent ann 101 sales\n\n>> ann logs in\n   ann 1 PAUSED\n<< reply ok: logged in\n"
    assert play(text) == text.replace("PAUSED", "AVAILABLE")


def test_an_event_that_is_none_is_refused() -> None:
    with pytest.raises(ScriptError, match="no such event"):
        play("floor\n  queue sales\n\n>> ann dances\n")
