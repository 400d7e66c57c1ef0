"""Reports that tell of the same agree, on made-up records of all kinds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from acd.reports import catalogue
from acd.reports.ask import Ask
from acd.reports.database import open_database
from acd.reports.moments import Period
from acd.store import upgrade
from acd.store.made.bulk import generate


def test_agents_transfers_and_service_count_the_same_passings_on(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/acd.db"
    upgrade(url)
    generate(url, 1500, 2, 7, date(2026, 11, 16), add=lambda: True, on_progress=lambda made, of: None)
    begin = datetime(2026, 11, 15, tzinfo=UTC).timestamp()
    period = Period(begin, begin + 5 * 86_400)

    with open_database(url) as database:

        def figures(name: str, by: tuple[str, ...], columns: tuple[str, ...] = ()) -> dict[object, tuple[object, ...]]:
            ask = Ask(period, ZoneInfo("UTC"), period.to_s, by=by, columns=columns)
            report = catalogue.make(database, catalogue.find(name), ask)
            return {row[0]: row[1:] for row in report.rows}

        passed_on = {agent: row[0] for agent, row in figures("transfers", ("agent",)).items() if agent is not None}
        agents = {agent: row[0] for agent, row in figures("agents", ("agent",), ("transfers",)).items() if row[0]}
        out = figures("transfers", ("kind",))["by the agent"][0]
        service = figures("service", ("queue",), ("transferred",))
    assert passed_on == agents
    assert len(agents) > 3
    assert out == sum(row[0] for row in service.values())
