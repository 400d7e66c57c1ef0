"""A campaign on real calls, and what came of it: figures, whom it dialled in which order, and what everything took.

The service is asked as anybody would ask it; figures are those of its records, the customers and Asterisk's own log.
"""

from __future__ import annotations

import asyncio
import csv
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from acd.domain.values import valueclass
from acd.lab.asterisk import AsteriskOptions, AsteriskProgram
from acd.lab.customers import CustomerCall, Customers, carrier_conf
from acd.lab.dialled import Allowed, Row, breaches, lines_of
from acd.lab.judged.plan import CALLER_ID, CAMPAIGN, LIST, TRUNK, JudgePlan, barred_numbers
from acd.lab.parts import Unpacked
from acd.lab.rig import Rig, RigPlan

LOOK_S: Final = 0.2
SETTLE_S: Final = 90.0
HELD_UP: Final = frozenset({"database", "clock", "lag", "node", "trunk_rests"})
"""Why the service dials nobody, whatever its pacer would like."""


@valueclass(frozen=True, slots=True)
class Real:
    """``dialled``: numbers in the order in which they were. ``dial_s``, ``told_s``, ``connect_s``, ``over_s``: what was
    measured of each kind of `acd.sim.dialing.scene.Delays`; ``halts``: when nobody was dialled, from the beginning.
    ``connected_s``: from a person's answer until agent and person talk. ``breaches``: what the rules did not allow."""

    utilisation: float
    answered: float
    charged: float
    dialled: list[str]
    dial_s: list[float]
    told_s: list[float]
    connect_s: list[float]
    over_s: list[float]
    connected_s: list[float]
    halts: list[tuple[float, float]]
    outcomes: dict[str, int]
    breaches: list[str]
    paused: int

    @property
    def abandonment(self) -> float:
        """As the ledger has it: of people who answered."""
        return self.charged / self.answered if self.answered else 0.0


async def campaign(
    folder: Path, plan: JudgePlan, *, program: AsteriskProgram | None = None, sipp: Unpacked | None = None
) -> Real:
    """Build it all in ``folder``, dial for the plan's time, wait for the end of every call, add up."""
    customers = await Customers.open(plan.chooser())
    rig = Rig(
        folder,
        RigPlan(
            plan.phones(), plan.floor(), options=AsteriskOptions(cel=True), endpoints=carrier_conf(customers.port),
            log_level="warning", seed=plan.seed,
        ),
        program=program,
        sipp=sipp,
    )  # fmt: skip
    try:
        async with rig.running():
            people = plan.contacts(datetime.now(UTC))
            await _fill(rig, people)
            await rig.login_all()
            began_s, halts = await _dial(rig, plan)
            ledger = await _settled(rig, began_s, plan)
            rows = _attempts(rig)
            found = breaches(
                lines_of(rig.asterisk.cel_file, TRUNK),
                rows,
                customers.calls,
                Allowed(
                    frozenset({CALLER_ID}), {number: zone for number, zone, _ in people}, frozenset(barred_numbers())
                ),
            )
            return _added_up(rig, plan, began_s, rows, customers.calls, ledger, halts, found)
    finally:
        customers.close()


async def _fill(rig: Rig, people: Sequence[tuple[str, str, int]]) -> None:
    """The list and who is not to be called, as files that are imported."""
    file, barred = rig.directory / "people.csv", rig.directory / "barred.txt"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("number", "name", "zone", "rank"))
        writer.writerows((number, f"Person {index}", zone, rank) for index, (number, zone, rank) in enumerate(people))
    barred.write_text("\n".join(barred_numbers()) + "\n")
    await rig.acd("dnc", "import", str(barred))
    await rig.acd("list", "import", str(file), "--list", LIST)


async def _dial(rig: Rig, plan: JudgePlan) -> tuple[float, list[tuple[float, float]]]:
    """Dial for the plan's time from the first line on: when that was, and when the service could not, from there on."""
    await rig.api(f"campaigns/{CAMPAIGN}/start", {"reason": "judged"})

    async def first() -> float:
        rows = rig.rows("SELECT min(committed_at) AS at FROM attempts")
        return _seconds(rows[0]["at"]) if rows and rows[0]["at"] else 0.0

    began_s = await rig.until(first, 30.0, "the first line")
    halts: list[tuple[float, float]] = []
    while (now_s := time.time() - began_s) < plan.length_s:
        seen = await rig.api(f"campaigns/{CAMPAIGN}")
        if seen["because"] in HELD_UP:
            if halts and now_s - halts[-1][1] < 2 * LOOK_S:
                halts[-1] = (halts[-1][0], now_s)
            else:
                halts.append((now_s, now_s + LOOK_S))
        await asyncio.sleep(max(0.0, min(LOOK_S, plan.length_s - now_s)))
    await rig.api(f"campaigns/{CAMPAIGN}/pause", {"reason": "time is up"})
    return began_s, halts


async def _settled(rig: Rig, began_s: float, plan: JudgePlan) -> dict[str, Any]:
    """Once every line has ended, also for Asterisk's log, and every agent has wrapped up: the ledger."""

    async def settled() -> dict[str, Any] | None:
        rows = rig.rows("SELECT attempt FROM attempts WHERE outcome IS NULL LIMIT 1")
        if rows:
            return None
        said = dict((await rig.api(f"campaigns/{CAMPAIGN}"))["ledger"])
        states = (await rig.status())["agents"]
        busy = sum(states[state] for state in ("RESERVED", "RINGING", "TALKING", "WRAP_UP"))
        ended = all(line.ended_s is not None for line in lines_of(rig.asterisk.cel_file, TRUNK).values())
        last = rig.rows("SELECT count(*) AS n FROM calls WHERE ended_at IS NULL")[0]["n"]
        return said if said["in_flight"] == 0 and not busy and ended and not last else None

    found = await rig.until(settled, SETTLE_S, "every line to be settled", every_s=0.25)
    assert found is not None
    # Wrap-up is written down at its end
    await rig.stop_serve()
    return found


def _attempts(rig: Rig) -> list[Row]:
    rows = rig.rows("SELECT attempt, number, committed_at, outcome FROM attempts ORDER BY attempt")
    return [Row(row["attempt"], row["number"], _seconds(row["committed_at"]), str(row["outcome"])) for row in rows]


def _added_up(
    rig: Rig,
    plan: JudgePlan,
    began_s: float,
    rows: Sequence[Row],
    calls: Sequence[CustomerCall],
    ledger: dict[str, Any],
    halts: list[tuple[float, float]],
    found: list[str],
) -> Real:
    reached = {call.number.lstrip("+") + f"/{nth}": call for call, nth in _nth(calls)}
    seen: Counter[str] = Counter()
    of_attempt: dict[str, CustomerCall] = {}
    dial_s: list[float] = []
    for row in rows:
        bare = row.number.lstrip("+")
        seen[bare] += 1
        call = reached.get(f"{bare}/{seen[bare]}")
        if call is not None:
            of_attempt[row.attempt] = call
            dial_s.append(max(0.0, call.called_at - row.committed_s))
    segments = rig.rows(
        "SELECT calls.channel, segments.kind, segments.started_at AS began, segments.ended_at AS ended "
        "FROM segments JOIN calls USING (call) ORDER BY call, serial"
    )
    end_s = began_s + plan.length_s
    busy_s = 0.0
    told_s, connect_s, over_s, connected_s = [], [], [], []
    offered: dict[str, float] = {}
    for one in segments:
        call, from_s, to_s = of_attempt.get(one["channel"]), _seconds(one["began"]), _seconds(one["ended"])
        if one["kind"] in ("talked", "wrapped"):
            busy_s += max(0.0, min(to_s, end_s) - max(from_s, began_s))
        if call is None or call.answered_at is None:
            continue
        match one["kind"]:
            case "entered":
                told_s.append(max(0.0, to_s - call.answered_at))
            case "offered":
                offered[one["channel"]] = from_s
            case "talked":
                connected_s.append(max(0.0, from_s - call.answered_at))
                if one["channel"] in offered:
                    connect_s.append(max(0.0, from_s - offered[one["channel"]]))
                if call.ended_at is not None:
                    over_s.append(max(0.0, to_s - call.ended_at))
    return Real(
        busy_s / (plan.agents * plan.length_s),
        ledger["answered"],
        ledger["charged"],
        [row.number for row in rows if row.committed_s < end_s],
        dial_s,
        told_s,
        connect_s,
        over_s,
        connected_s,
        halts,
        dict(Counter(row.outcome for row in rows)),
        found,
        rig.rows("SELECT count(*) AS n FROM agent_states WHERE state = 'PAUSED'")[0]["n"],
    )


def _nth(calls: Sequence[CustomerCall]) -> list[tuple[CustomerCall, int]]:
    """Each with the how-manieth call to its number it was."""
    seen: Counter[str] = Counter()
    found = []
    for call in calls:
        seen[call.number] += 1
        found.append((call, seen[call.number]))
    return found


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
