"""A small day of records that keep every rule, as the floor would write it: for tests that then break one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from storekit import QUICK, Database, write_all

from acd.domain.records import (
    AgentStateChanged,
    CallAnnotated,
    CallAnswered,
    CallClosed,
    CallOpened,
    DecisionMade,
    Record,
    SegmentClosed,
    SegmentOpened,
)
from acd.domain.states import AgentState, CallOutcome, SegmentKind
from acd.store import Store
from acd.store.times import to_text

START = 1_790_000_000.25
ANNA, BOB = "anna", "bob"
HOSTILE = "Bobby'); DROP TABLE calls;--\r\n=1+1"

K, S = SegmentKind, AgentState


def at(seconds: float) -> str:
    """A moment of the day as SQL takes it."""
    return f"'{to_text(START + seconds)}'"


@dataclass
class Day:
    """Makes records call by call; times in seconds since START."""

    records: list[Record] = field(default_factory=list)
    serials: dict[str, int] = field(default_factory=dict)

    def agent(
        self, name: str, second: float, state: AgentState, call: str | None = None, reason: str | None = None
    ) -> None:
        serial = self.serials.get(name, 0)
        self.serials[name] = serial + 1
        t = START + second
        self.records.append(AgentStateChanged(name, serial, t, state, reason, call, t, None, None, None))

    def call(
        self,
        call: str,
        second: float,
        *,
        channel: str = "",
        number: str = "+491711234567",
        name: str = "Ann Lee",
        from_call: str | None = None,
    ) -> None:
        channel = channel or f"179.{call}"
        self.records.append(
            CallOpened(
                call, "pbx1", channel, channel, "100", number, name, "main", 0, START + second, from_call=from_call
            )
        )

    def stretches(
        self, call: str, *parts: tuple[SegmentKind, float, str | None, str | None], end: float | None
    ) -> None:
        """Stretches that lie end to end; each kind, begin, agent and offer. ``end`` None: the last stays open. Before AFTER
        the caller hangs up."""
        ends = [*(begin for _, begin, _, _ in parts[1:]), end]
        for serial, ((kind, begin, agent, offer), until) in enumerate(zip(parts, ends, strict=True)):
            self.records.append(SegmentOpened(call, serial, kind, START + begin, "main", agent, offer))
            if until is not None:
                hung_up = [*parts, parts[0]][serial + 1][0] is K.AFTER
                self.records.append(SegmentClosed(call, serial, START + until, "caller" if hung_up else None))

    def offered(self, call: str, second: float, agent: str, offer: str, serial: int = 0, **detail: object) -> None:
        self.records.append(
            DecisionMade(
                call, serial, START + second, "offered", agent, offer, "r1", {"rule": "longest_idle", **detail}
            )
        )

    def close(self, call: str, second: float, outcome: CallOutcome, target: str | None = None) -> None:
        self.records.append(CallClosed(call, START + second, outcome, "caller", 16, target))


def lawful() -> list[Record]:
    """``c1``: held, consulted about and conferenced, with a wrap-up; ``c2``: abandoned; ``c3``: not answered by anna, then
    by bob with both phones rung, transferred; ``c4``: what came back of it; ``c5``: still talks; ``c6``: transferred to
    elsewhere."""
    day = Day()
    for name in (ANNA, BOB):
        day.agent(name, 0, S.AVAILABLE)
    day.call("c1", 1)
    day.offered("c1", 2, ANNA, "o1")
    day.stretches(
        "c1",
        (K.ENTERED, 1, None, None),
        (K.OFFERED, 2, ANNA, "o1"),
        (K.RANG, 2.5, ANNA, "o1"),
        (K.TALKED, 4, ANNA, "o1"),
        (K.HELD, 10, ANNA, "o1"),
        (K.CONSULTED, 12, ANNA, "o1"),
        (K.CONFERENCED, 18, ANNA, "o1"),
        (K.TALKED, 20.123456, ANNA, "o1"),
        (K.AFTER, 30, None, None),
        end=31,
    )
    day.records += [
        CallAnswered("c1", ANNA, START + 4),
        SegmentOpened("c1", 9, K.WRAPPED, START + 30, "main", ANNA),
        SegmentClosed("c1", 9, START + 40),
    ]
    day.close("c1", 31, CallOutcome.ANSWERED)
    for second, state, call in (
        (2, S.RESERVED, "c1"),
        (2.5, S.RINGING, "c1"),
        (4, S.TALKING, "c1"),
        (30, S.WRAP_UP, "c1"),
        (40, S.AVAILABLE, None),
    ):
        day.agent(ANNA, second, state, call)
    day.records.append(CallAnnotated("c1", "sold", f"rang +49 171 1234567, {HOSTILE}", ("vip", "late")))

    day.call("c2", 41, number="+4930555", name="Carl")
    day.stretches("c2", (K.ENTERED, 41, None, None), (K.WAITED, 41.5, None, None), end=50)
    day.close("c2", 50, CallOutcome.ABANDONED)

    day.call("c3", 51, channel="179.33", number="0171 1234567", name=HOSTILE)
    day.offered("c3", 52, ANNA, "o3", 0)
    day.offered("c3", 60, ANNA, "o4", 1, agents=[ANNA, BOB])
    day.stretches(
        "c3",
        (K.ENTERED, 51, None, None),
        (K.OFFERED, 52, ANNA, "o3"),
        (K.WAITED, 59, None, None),
        (K.OFFERED, 60, ANNA, "o4"),
        (K.TALKED, 61, BOB, "o4"),
        end=70,
    )
    day.records.append(CallAnswered("c3", BOB, START + 61))
    day.close("c3", 70, CallOutcome.TRANSFERRED)
    for name, second, state, call, reason in (
        (ANNA, 52, S.RESERVED, "c3", None),
        (ANNA, 59, S.PAUSED, None, "rona"),
        (ANNA, 60, S.AVAILABLE, None, None),
        (ANNA, 60, S.RESERVED, "c3", None),
        (ANNA, 61, S.AVAILABLE, None, None),
        (BOB, 60, S.RESERVED, "c3", None),
        (BOB, 61, S.TALKING, "c3", None),
        (BOB, 70, S.AVAILABLE, None, None),
    ):
        day.agent(name, second, state, call, reason)
    day.call("c4", 70, channel="179.33", number="0171 1234567", name=HOSTILE, from_call="c3")
    day.stretches("c4", (K.ENTERED, 70, None, None), (K.WAITED, 70.5, None, None), end=72)
    day.close("c4", 72, CallOutcome.OVERFLOWED, "dialplan:sorry,s,1")

    day.call("c5", 80, number="", name="")
    day.offered("c5", 81, BOB, "o5")
    day.stretches("c5", (K.ENTERED, 80, None, None), (K.OFFERED, 81, BOB, "o5"), (K.TALKED, 82, BOB, "o5"), end=None)
    day.records.append(CallAnswered("c5", BOB, START + 82))
    day.agent(BOB, 81, S.RESERVED, "c5")
    day.agent(BOB, 82, S.TALKING, "c5")

    day.call("c6", 83, number="+4930777", name="Eve")
    day.offered("c6", 84, ANNA, "o6")
    day.stretches("c6", (K.ENTERED, 83, None, None), (K.OFFERED, 84, ANNA, "o6"), (K.TALKED, 85, ANNA, "o6"), end=90)
    day.records.append(CallAnswered("c6", ANNA, START + 85))
    day.close("c6", 90, CallOutcome.TRANSFERRED, "dialplan:out,200,1")
    for second, state, call in ((84, S.RESERVED, "c6"), (85, S.TALKING, "c6"), (90, S.LOGGED_OUT, None)):
        day.agent(ANNA, second, state, call)
    return day.records


async def write_day(database: Database, state_dir: Path, records: list[Record] | None = None) -> None:
    """Have them in the database, by the store as always."""
    store = Store(database.url, state_dir, QUICK)
    await store.open()
    await write_all(store, [[record] for record in (lawful() if records is None else records)])
    await store.close()
