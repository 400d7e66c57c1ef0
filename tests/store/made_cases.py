"""Made-up records in a database. Collected by test_made.py and test_made_postgres.py."""

from __future__ import annotations

import json
from collections import defaultdict

from click.testing import CliRunner, Result
from storekit import Database, facts_of

from acd.cli import cli
from acd.records.verify import Verifier
from acd.store.facts import FACTS
from acd.store.tables import calls, metadata, segments


def generate_into(url: str, *more: str) -> Result:
    """``acd records generate`` of 400 calls on three days."""
    arguments = ["--json", "records", "generate", "--calls", "400", "--days", "3", "--from", "2026-01-05", "--url", url]
    return CliRunner().invoke(cli, [*arguments, *more])


def test_made_up_records_keep_the_rules(database: Database) -> None:
    result = generate_into(database.url)
    assert result.exit_code == 0, result.output
    verifier = Verifier(database.url, finished=True)
    assert list(verifier.violations()) == []
    assert verifier.seen.calls == 400
    counts = json.loads(result.stdout)["rows"]
    assert counts.keys() >= {"attempts", "contacts", "campaign_ledgers"}
    assert all(len(database.rows(metadata.tables[name])) == count for name, count in counts.items())
    assert (verifier.seen.segments, verifier.seen.intervals) == (counts["segments"], counts["agent_states"])
    of = defaultdict(list)
    for segment in database.rows(segments):
        of[segment["call"]].append(segment)
    for call in database.rows(calls):
        assert {name: call[name] for name in FACTS} == facts_of(call["queue"], of[call["call"]])


def test_more_is_added_only_when_wanted_and_never_twice(database: Database) -> None:
    assert generate_into(database.url).exit_code == 0
    unasked = generate_into(database.url, "--seed", "2")
    assert (unasked.exit_code, len(database.rows(calls))) == (5, 400)
    assert "has records already" in unasked.stderr
    twice = generate_into(database.url, "--yes")
    assert (twice.exit_code, len(database.rows(calls))) == (5, 400)
    assert "calls of this seed already" in twice.stderr
    assert generate_into(database.url, "--seed", "2", "--yes").exit_code == 0
    assert len(database.rows(calls)) == 800
    assert list(Verifier(database.url, finished=True).violations()) == []
