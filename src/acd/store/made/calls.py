"""What becomes of calls that never were: they wait, ring, are missed, answered, held, passed on or given up.

One pass in the order of arrival, with one random stream: the same seed makes the same records. A caller gets whoever has
been free the longest, or waits for the next one. Rows are tuples of text, whole numbers and None in the order of
`COLUMNS`; memory is bounded by the calls of an hour and the number of agents.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from acd.domain.states import AgentState, CallOutcome, OfferOutcome
from acd.store.made.calendar import arrivals_us, days_from, hourly, midnight_us, weight_of
from acd.store.made.people import AGENT_COLUMNS, STATE_COLUMNS, Clock, Crew, Row, Worker

COLUMNS = {
    "calls": (
        *(
            "call",
            "node",
            "channel",
            "linkedid",
            "did",
            "caller_number",
            "caller_name",
            "queue",
            "priority",
            "entered_at",
        ),
        *("answered_at", "agent", "ended_at", "outcome", "ended_by", "cause", "target", "client"),
        *("wait_us", "rewait_us", "talk_us", "hold_us", "after_us", "wrap_us", "offers", "ronas", "talks"),
    ),
    "segments": (
        *("call", "serial", "kind", "queue", "agent", "offer", "started_at", "ended_at", "outcome", "target"),
    ),
    "decisions": ("call", "serial", "at", "kind", "agent", "offer", "revision", "detail"),
    "agent_states": STATE_COLUMNS,
    "agents": AGENT_COLUMNS,
}

_S = 1_000_000
_MAX_WAIT_US = 900 * _S
_RING_US = 20 * _S
_RECENT = 5000
_NAMES = ("Garcia, Ana", "Müller", "Jansen", "O'Neill", "Dubois", "Rossi", "Novak", "", "Smith", "Yılmaz")


@dataclass(frozen=True, slots=True)
class Kind:
    """A queue: its share of the calls, typical talk and wrap-up (s), the client, how many numbers lead to it."""

    queue: str
    share: float
    talk_s: float
    wrap_s: float
    client: str | None
    dids: int


KINDS = (
    Kind("sales", 0.28, 240, 30, "northwind", 3),
    Kind("support", 0.34, 300, 45, "northwind", 3),
    Kind("billing", 0.16, 180, 20, "northwind", 1),
    Kind("returns", 0.10, 150, 15, "fabrikam", 2),
    Kind("orders", 0.09, 200, 20, "fabrikam", 2),
    Kind("vip", 0.03, 360, 60, None, 1),
)
_LOAD = 0.8
"""How busy agents shall be in the busiest hour."""


def staff(calls: int, first: date, days: int, kind: Kind) -> int:
    """So many agents that they are busy, not overrun, in the busiest hour."""
    busiest = max(max(counts) for _, counts in hourly(calls, first, days)) * kind.share
    erlangs = busiest * (kind.talk_s + kind.wrap_s + 10) / 3600
    # Of three shifts two are there before noon, and some have a break
    return max(3, math.ceil((erlangs / _LOAD + math.sqrt(erlangs)) * 1.6) + 1)


class Maker:
    """Makes ``calls`` calls on ``days`` days. ``parts`` hands them out; ``rows`` by table, in the order of COLUMNS."""

    def __init__(self, calls: int, days: int, seed: int, first: date) -> None:
        self._calls, self._days, self._first = calls, days, first
        self._chance = Random(seed)
        self._prefix = f"g{seed}-"
        self.rows: dict[str, list[Row]] = {name: [] for name in COLUMNS}
        self.made = 0
        self._clock = self._clock_of(first)
        self._busiest = max(weight_of(day) for day in days_from(first, days))
        self._crews = [self._crew(kind) for kind in KINDS]
        self._recent = [""] * _RECENT

    def _clock_of(self, day: date) -> Clock:
        return Clock(day.isoformat(), (day + timedelta(days=1)).isoformat())

    def _crew(self, kind: Kind) -> Crew:
        began = self._clock.text(0)
        names = (f"{self._prefix}{kind.queue}{n:03d}" for n in range(staff(self._calls, self._first, self._days, kind)))
        workers = [Worker(name, f"PJSIP/{name}", began=began, idle_since=began) for name in names]
        return Crew(workers, self.rows["agent_states"])

    def parts(self, at_once: int, take: Callable[[dict[str, list[Row]]], None]) -> None:
        """Make all of it. ``take`` is handed the rows whenever there are ``at_once`` of some table; they are emptied
        afterwards."""
        for day, counts in hourly(self._calls, self._first, self._days):
            self._clock = self._clock_of(day)
            busy = weight_of(day) / self._busiest
            for crew in self._crews:
                crew.begin_day(self._clock, busy, self._chance)
            day_s = midnight_us(day) // _S
            for at in arrivals_us(counts, self._chance):
                self._call(at, day_s)
                if len(self.rows["segments"]) >= at_once:
                    self._hand_over(take)
            for crew in self._crews:
                crew.end_day()
        for crew in self._crews:
            for worker in crew.workers:
                self.rows["agents"].append(worker.row())
                self.rows["agent_states"].append(
                    (worker.name, worker.serial, worker.began, None, str(worker.state), worker.reason, worker.call)
                )
        self._hand_over(take)

    def _hand_over(self, take: Callable[[dict[str, list[Row]]], None]) -> None:
        take(self.rows)
        for rows in self.rows.values():
            rows.clear()

    # -- one call ----------------------------------------------------------------------------------------------------

    def _caller(self) -> str:
        """A number; one in four has called lately."""
        chance = self._chance
        place = int(chance.random() * _RECENT)
        if chance.random() < 0.25 and self._recent[place]:
            return self._recent[place]
        number = f"+49{chance.randrange(10**9, 10**10)}" if chance.random() < 0.97 else ""
        self._recent[place] = number
        return number

    def _call(self, at: int, day_s: int) -> None:
        chance, text = self._chance, self._clock.text
        draw, n = chance.random(), 0
        while n < len(KINDS) - 1 and draw >= KINDS[n].share:
            draw -= KINDS[n].share
            n += 1
        kind, crew = KINDS[n], self._crews[n]
        self.made += 1
        story = _Story(self, crew, kind, f"{self._prefix}{self.made:08d}", at)
        story.tell()
        channel = f"{day_s + at // _S}.{self.made}"
        did = f"49800{n}{int(chance.random() * kind.dids)}"
        name = _NAMES[int(chance.random() * len(_NAMES))]
        self.rows["calls"].append(
            (
                story.call, "pbx1", channel, channel, did, self._caller(), name, kind.queue, 0, text(at),
                None if story.answered is None else text(story.answered), story.agent, text(story.now),
                str(story.outcome), story.ended_by, story.cause, story.target, kind.client,
                story.wait, 0, story.talk, story.hold, story.after, story.wrap, story.offers, story.ronas, story.talks,
            )
        )  # fmt: skip

    @property
    def chance(self) -> Random:
        """The one stream."""
        return self._chance

    @property
    def text(self) -> Callable[[int], str]:
        """Of times of the present day."""
        return self._clock.text


class _Story:
    """One call on its way. ``now`` is the end of its last segment."""

    def __init__(self, maker: Maker, crew: Crew, kind: Kind, call: str, at: int) -> None:
        self._maker, self._crew, self._kind = maker, crew, kind
        self._chance, self._text = maker.chance, maker.text
        self._segments, self._decisions = maker.rows["segments"], maker.rows["decisions"]
        self.call, self.at, self.now = call, at, at
        self.answered: int | None = None
        self.agent: str | None = None
        self.outcome, self.ended_by = CallOutcome.ABANDONED, "caller"
        self.cause: int | None = 16
        self.target: str | None = None
        self.wait = self.talk = self.hold = self.after = self.wrap = 0
        self.offers = self.ronas = self.talks = 0
        self._serial = self._decided = 0

    def _segment(
        self, kind: str, until: int, agent: str | None = None, offer: str | None = None, outcome: str | None = None,
        target: str | None = None,
    ) -> int:  # fmt: skip
        """From where the last one ended; its length."""
        text = self._text
        self._segments.append(
            (
                self.call,
                self._serial,
                kind,
                self._kind.queue,
                agent,
                offer,
                text(self.now),
                text(until),
                outcome,
                target,
            )
        )
        self._serial += 1
        length = until - self.now
        self.now = until
        return length

    def tell(self) -> None:
        """From the entry to the hang-up."""
        chance = self._chance
        gives_up = self.at + int(min(-math.log(1.0 - chance.random()) * 240, 3600) * _S) + 2 * _S
        self.wait += self._segment("entered", self.at + 15_000 + int(chance.random() * 25_000))
        outcome: str | None = None
        while True:
            leaves = min(gives_up, self.at + _MAX_WAIT_US)
            taken = self._crew.take(self.now)
            if taken is None or taken[0] >= leaves:
                if taken is not None:
                    self._crew.free(taken[2], taken[0], taken[1])
                if leaves < gives_up:
                    self.outcome, self.ended_by, self.cause = CallOutcome.OVERFLOWED, "system", None
                    self.target = "voicemail"
                self.wait += self._segment("waited", max(leaves, self.now), outcome=str(self.outcome))
                return
            at, number, worker = taken
            if at > self.now:
                self.wait += self._segment("waited", at, outcome=outcome)
            if self._offer(worker, number, gives_up):
                return

    def _offer(self, worker: Worker, number: int, gives_up: int) -> bool:
        """Ring an agent. Whether that was the end of it."""
        chance, crew = self._chance, self._crew
        self.offers += 1
        offer = f"{self.call}-{self.offers}"
        begin = self.now
        self._explain(worker.name, offer)
        crew.enter(worker, AgentState.RESERVED, begin, call=self.call)
        self.wait += self._segment("offered", begin + 60_000 + int(chance.random() * 140_000), worker.name, offer)
        crew.enter(worker, AgentState.RINGING, self.now, call=self.call)
        missed = chance.random() < 0.03
        answers = self.now + (_RING_US if missed else int((1.2 + 5 * chance.random()) * _S))
        if gives_up < answers:
            self.wait += self._segment(
                "rang", max(gives_up, self.now), worker.name, offer, str(OfferOutcome.CALLER_GONE)
            )
            crew.enter(worker, AgentState.AVAILABLE, self.now)
            crew.free(worker, self.now, number)
            return True
        ended = OfferOutcome.NO_ANSWER if missed else OfferOutcome.ANSWERED
        self.wait += self._segment("rang", answers, worker.name, offer, str(ended))
        if missed:
            self.ronas += 1
            crew.misses(worker, self.now, number, chance)
            return False
        self._talk(worker, number, offer)
        return True

    def _explain(self, agent: str, offer: str) -> None:
        waited_s = (self.now - self.at) / _S
        detail = (
            f'{{"rule":"longest_idle","trigger":"generated","queue":"{self._kind.queue}",'
            f'"call_wait_s":{waited_s:.3f},"chosen":{{"agent":"{agent}"}}}}'
        )
        self._decisions.append(
            (self.call, self._decided, self._text(self.now), "offered", agent, offer, "generated", detail)
        )
        self._decided += 1

    def _talk(self, worker: Worker, number: int, offer: str) -> None:
        chance, crew, kind = self._chance, self._crew, self._kind
        self.answered, self.agent, self.talks = self.now, worker.name, 1
        crew.enter(worker, AgentState.TALKING, self.now, call=self.call)
        length = int(kind.talk_s * chance.lognormvariate(-0.18, 0.6) * _S) + _S
        draw = chance.random()
        passed_on = draw >= 0.96
        self.ended_by = "agent" if passed_on or draw < 0.4 else "caller"
        said = "transfer" if passed_on else self.ended_by
        if chance.random() < 0.15:
            held = "consulted" if passed_on or chance.random() < 0.2 else "held"
            target = "602" if held == "consulted" else None
            self.talk += self._segment("talked", self.now + length // 2, worker.name, offer)
            self.hold += self._segment(
                held, self.now + int((5 + 60 * chance.random()) * _S), worker.name, offer, target=target
            )
            length -= length // 2
        self.talk += self._segment("talked", self.now + length, worker.name, offer, said)
        self.outcome = CallOutcome.ANSWERED
        if passed_on:
            self.outcome, self.cause, self.target = CallOutcome.TRANSFERRED, None, "602@agents"
        over = self.now
        self.after += self._segment("after", over + 2_000 + int(chance.random() * 40_000))
        self.wrap = int(kind.wrap_s * (0.5 + chance.random()) * _S)
        text = self._text
        self._segments.append(
            (
                *(self.call, self._serial, "wrapped", kind.queue, worker.name, offer),
                *(text(over), text(over + self.wrap), None, None),
            )
        )
        crew.enter(worker, AgentState.WRAP_UP, over, call=self.call)
        crew.enter(worker, AgentState.AVAILABLE, over + self.wrap)
        crew.free(worker, over + self.wrap, number)
