"""A witness for talk times: Asterisk's own log of channel events (CEL), which the service never reads."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from itertools import groupby
from pathlib import Path

import pytest

from acd.lab.asterisk_files import CEL_COLUMNS
from acd.lab.rig import Rig

WITHIN_S = 0.05

Talk = tuple[str, float, float]
"""A caller's Uniqueid, the begin and the end of a conversation."""


def conversations(path: Path) -> list[Talk]:
    """Every stretch in which a channel shared a bridge with somebody else. On hold it does, too."""
    bridges: dict[str, dict[str, float]] = {}
    together = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file, fieldnames=list(CEL_COLUMNS)):
            if row["event"] not in ("BRIDGE_ENTER", "BRIDGE_EXIT"):
                continue
            bridge, at = json.loads(row["extra"])["bridge_id"], float(row["time"])
            members = bridges.setdefault(bridge, {})
            if row["event"] == "BRIDGE_ENTER":
                members[row["uniqueid"]] = at
                continue
            entered = members.pop(row["uniqueid"])
            for other, other_entered in members.items():
                began = max(entered, other_entered)
                together += [(channel, began, at) for channel in (row["uniqueid"], other)]
    return together


def recorded_talks(rig: Rig) -> list[Talk]:
    """The same from the records: whatever was talked, held, consulted and conferenced with one agent in one go."""
    rows = rig.rows(
        "SELECT calls.channel, segments.call, offer, segments.started_at AS began, segments.ended_at AS ended "
        "FROM segments JOIN calls USING (call) "
        "WHERE kind IN ('talked', 'held', 'consulted', 'conferenced') ORDER BY call, serial"
    )
    found = []
    for _, together in groupby(rows, lambda row: (row["call"], row["offer"])):
        parts = list(together)
        assert [one["ended"] for one in parts[:-1]] == [one["began"] for one in parts[1:]], "a conversation has a gap"
        found.append((parts[0]["channel"], _seconds(parts[0]["began"]), _seconds(parts[-1]["ended"])))
    return found


async def check_talks(rig: Rig) -> int:
    """Records and witness say the same, within 50 ms. The service has stopped, and Asterisk runs. How many talks."""
    mine = sorted(recorded_talks(rig))
    callers = {row["channel"] for row in rig.rows("SELECT channel FROM calls")}

    def theirs() -> list[Talk]:
        return sorted(talk for talk in conversations(rig.asterisk.cel_file) if talk[0] in callers)

    async def cel_is_complete() -> bool:
        return len(theirs()) >= len(mine)

    await rig.until(cel_is_complete, 20.0, "Asterisk to have written all channel events")
    assert [talk[0] for talk in mine] == [talk[0] for talk in theirs()]
    for (channel, began, ended), (_, their_beginning, their_end) in zip(mine, theirs(), strict=True):
        assert began == pytest.approx(their_beginning, abs=WITHIN_S), channel
        assert ended == pytest.approx(their_end, abs=WITHIN_S), channel
    return len(mine)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
