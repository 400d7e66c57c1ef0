"""From when on the records are whole: what was deleted on purpose, once its time was over, is no contradiction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from acd.domain.values import valueclass
from acd.records.rows import SECOND_US
from acd.store.tables import audit

ACTION = "retention"
"""The audit log's word for a run of it. Its detail has ``"kept_from": {kind: UTC s}``; every run makes one that
knows what those before it took."""


@valueclass(frozen=True, slots=True)
class Horizon:
    """What began before (microseconds) may be gone; None: nothing is."""

    calls: int | None = None
    decisions: int | None = None
    agent_states: int | None = None

    def of_conversations(self, since: int | None) -> int | None:
        """From when on calls' stretches and agents' intervals must tell the same."""
        return max((at for at in (self.calls, self.agent_states, since) if at is not None), default=None)


LATEST = sa.select(audit.c.detail).where(audit.c.action == ACTION).order_by(audit.c.at.desc()).limit(1)
"""The detail of retention's latest run."""


def horizon(connection: sa.Connection) -> Horizon:
    """As the latest run of retention left it."""
    at = {kind: round(value * SECOND_US) for kind, value in kept_from(connection.execute(LATEST).scalar()).items()}
    return Horizon(at.get("calls"), at.get("decisions"), at.get("agent_states"))


def kept_from(detail: Any) -> dict[str, float]:
    """Kind -> UTC s before which retention has taken it away, of a run's detail (None: there was none)."""
    kept = detail.get("kept_from") if isinstance(detail, dict) else None
    found = kept if isinstance(kept, dict) else {}
    return {kind: float(value) for kind, value in found.items() if isinstance(value, int | float)}


def taken_of(kept: Mapping[str, float], kinds: Iterable[str], from_s: float) -> dict[str, float]:
    """Of ``kinds``, those of which what began after ``from_s`` is not all there any more: kind -> UTC s before which it is
    gone."""
    return {kind: kept[kind] for kind in kinds if kind in kept and from_s < kept[kind]}


def announced(taken: Mapping[str, float], say: Callable[[float], str]) -> list[str]:
    """A line a kind that a reader of figures must know. ``say`` writes a moment (UTC s)."""
    return [f"of before {say(at)} {_GONE[kind]}" for kind, at in taken.items() if kind in _GONE]


_GONE = {
    "calls": "calls were deleted by retention: they are in no figure",
    "agent_states": "agents' states were deleted by retention: times are shorter than they were, or missing",
    "callers": "callers' numbers were deleted by retention: who called again, or was reached, is not known",
    "decisions": "explanations were deleted by retention: what calls asked for is not known",
}
