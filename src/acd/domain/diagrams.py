"""State diagrams drawn from the transition tables, so that docs/states.md cannot say anything else than the code.

``python -m acd.domain.diagrams`` prints the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from acd.domain.states import AGENT_TRANSITIONS, CALL_TRANSITIONS, AgentState, CallState

S = TypeVar("S", bound=StrEnum)


def mermaid(table: Mapping[S, frozenset[S]], start: S) -> str:
    """A Mermaid state diagram of a transition table, states in the order of their definition."""
    lines = ["stateDiagram-v2", f"    [*] --> {start}"]
    for old, targets in table.items():
        order = list(type(old))
        lines += [f"    {old} --> {new}" for new in sorted(targets, key=order.index)]
        if not targets:
            lines.append(f"    {old} --> [*]")
    return "\n".join(lines)


def page() -> str:
    """The text of docs/states.md."""
    return (
        "# States\n\n"
        "Drawn from the tables in `src/acd/domain/states.py` by `python -m acd.domain.diagrams`; a test holds both "
        "together.\nAn illegal transition raises and changes nothing.\n\n"
        "## Agents\n\n"
        "From LOGGED_OUT, WRAP_UP and PAUSED to RESERVED or TALKING only a resynchronisation leads, which finds an agent "
        "on a\ncall. "
        "From TALKING to TALKING an agent goes when another caller takes the place of the one he talks with, from PREVIEW "
        "to\nPREVIEW when the contact he was shown is dialled.\n\n"
        f"```mermaid\n{mermaid(AGENT_TRANSITIONS, AgentState.LOGGED_OUT)}\n```\n\n"
        "## Calls\n\n"
        "From TALKING a call is back to WAITING when it is passed on to another queue.\n\n"
        f"```mermaid\n{mermaid(CALL_TRANSITIONS, CallState.WAITING)}\n```\n"
    )


if __name__ == "__main__":
    print(page(), end="")
