"""From when on the records are whole: what was deleted on purpose, once its time was over, is no contradiction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from acd.records.rows import SECOND_US
from acd.store.tables import audit

ACTION = "retention"
"""The audit log's word for a run of it. Its detail has ``"kept_from": {kind: UTC s}``; every run makes one that
knows what those before it took."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """What began before (microseconds) may be gone; None: nothing is."""

    calls: int | None = None
    decisions: int | None = None
    agent_states: int | None = None

    def of_conversations(self, since: int | None) -> int | None:
        """From when on calls' stretches and agents' intervals must tell the same."""
        return max((at for at in (self.calls, self.agent_states, since) if at is not None), default=None)


def horizon(connection: sa.Connection) -> Horizon:
    """As the latest run of retention left it."""
    query = sa.select(audit.c.detail).where(audit.c.action == ACTION).order_by(audit.c.at.desc()).limit(1)
    detail: Any = connection.execute(query).scalar()
    kept = detail.get("kept_from") if isinstance(detail, dict) else None
    found = kept if isinstance(kept, dict) else {}
    at = {kind: round(value * SECOND_US) for kind, value in found.items() if isinstance(value, int | float)}
    return Horizon(at.get("calls"), at.get("decisions"), at.get("agent_states"))
