"""What campaigns are doing, and their ledgers of abandonment. Functions within the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from acd.domain.campaigns import CampaignState
from acd.domain.values import valueclass
from acd.store.outbound.tables import campaign_ledgers, campaign_states


@valueclass(frozen=True, slots=True)
class Window:
    """The counts of one window that is judged. ``window``: day, days30, month, campaign; ``key``: which of them."""

    window: str
    key: int
    answered: float = 0.0
    abandoned: float = 0.0
    misjudged: float = 0.0
    unknown: float = 0.0
    in_flight: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)


@valueclass(frozen=True, slots=True)
class Standing:
    """The state that people gave a campaign, and what it has learnt."""

    campaign: str
    state: CampaignState
    since: float
    by: str
    reason: str
    statistics: Mapping[str, Any]
    saved_at: float | None


def put(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any], keep: Sequence[str] = ()) -> None:
    """Insert a row, or give the one that is there its values, but for those of ``keep``."""
    keys = [column.name for column in table.primary_key]
    make = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement: Any = make(table).values(dict(row))
    changed = {name: statement.excluded[name] for name in row if name not in keys and name not in keep}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


def set_state(connection: sa.Connection, campaign: str, state: CampaignState, by: str, reason: str, now: float) -> None:
    """Have a campaign run, pause or stop; what it has learnt stays."""
    row: dict[str, Any] = {
        "campaign": campaign,
        "state": state.value,
        "since": now,
        "by": by,
        "reason": reason,
        "statistics": {},
    }
    put(connection, campaign_states, row, keep=("statistics",))


def save_statistics(connection: sa.Connection, campaign: str, statistics: Mapping[str, Any], now: float) -> None:
    """Keep what a campaign has learnt; one without a state is stopped."""
    row = {
        "campaign": campaign, "state": CampaignState.STOPPED.value, "since": now, "by": "service", "reason": "",
        "statistics": dict(statistics), "saved_at": now,
    }  # fmt: skip
    put(connection, campaign_states, row, keep=("state", "since", "by", "reason"))


def states(connection: sa.Connection) -> dict[str, Standing]:
    """Every campaign that ever had a state."""
    rows = connection.execute(sa.select(campaign_states).order_by(campaign_states.c.campaign))
    return {
        row.campaign: Standing(
            row.campaign, CampaignState(row.state), row.since, row.by, row.reason, row.statistics, row.saved_at
        )
        for row in rows
    }


def save_ledger(connection: sa.Connection, campaign: str, windows: Sequence[Window], now: float) -> None:
    """Keep the counts of a campaign's windows; those of windows that are over stay as they are."""
    for one in windows:
        counts = ("window", "key", "answered", "abandoned", "misjudged", "unknown", "in_flight")
        row = {name: getattr(one, name) for name in counts}
        put(connection, campaign_ledgers, {**row, "campaign": campaign, "detail": dict(one.detail), "saved_at": now})


def ledger(connection: sa.Connection, campaign: str, *, latest: bool = True) -> list[Window]:
    """A campaign's windows, or only the latest of each kind, by kind and key."""
    mine = sa.select(campaign_ledgers).where(campaign_ledgers.c.campaign == campaign)
    rows = connection.execute(mine.order_by(campaign_ledgers.c.window, campaign_ledgers.c.key)).all()
    found = [
        Window(row.window, row.key, row.answered, row.abandoned, row.misjudged, row.unknown, row.in_flight, row.detail)
        for row in rows
    ]
    return list({one.window: one for one in found}.values()) if latest else found
