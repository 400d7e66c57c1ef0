"""The page of states is what the tables say."""

from __future__ import annotations

from pathlib import Path

from acd.domain.diagrams import mermaid, page
from acd.domain.states import CALL_TRANSITIONS, CallState

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_drawn_from_the_tables():
    assert (DOCS / "states.md").read_text() == page(), "run: python -m acd.domain.diagrams > docs/states.md"


def test_every_transition_is_an_arrow_and_nothing_else():
    arrows = [line for line in mermaid(CALL_TRANSITIONS, CallState.WAITING).splitlines() if "-->" in line]
    assert len(arrows) == sum(map(len, CALL_TRANSITIONS.values())) + 2
    assert "    WAITING --> OFFERED" in arrows
    assert "    ENDED --> WAITING" not in arrows
