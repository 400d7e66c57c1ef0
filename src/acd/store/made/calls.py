"""Calls that never were, one after the other as they come; `story` tells what becomes of each, `campaign` whom we called.

One pass in the order of arrival, with one random stream: the same seed makes the same records. Rows are tuples of text,
whole numbers and None in the order of `COLUMNS`; memory is bounded by the calls of an hour and the number of agents.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta
from random import Random

from acd.store.made.calendar import arrivals_us, days_from, hourly, midnight_us, weight_of
from acd.store.made.campaign import DIAL_COLUMNS, Campaign
from acd.store.made.kinds import KINDS, Kind
from acd.store.made.people import AGENT_COLUMNS, STATE_COLUMNS, Clock, Crew, Row, Worker
from acd.store.made.story import Story

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
        *("wait_us", "rewait_us", "talk_us", "hold_us", "after_us", "wrap_us", "offers", "ronas", "talks", "passages"),
    ),
    "segments": (
        *("call", "serial", "kind", "queue", "agent", "offer", "started_at", "ended_at", "outcome", "target"),
    ),
    "decisions": ("call", "serial", "at", "kind", "agent", "offer", "revision", "detail"),
    "agent_states": STATE_COLUMNS,
    "agents": AGENT_COLUMNS,
    **DIAL_COLUMNS,
}

_S = 1_000_000
_RECENT = 5000
_NAMES = ("Garcia, Ana", "Müller", "Jansen", "O'Neill", "Dubois", "Rossi", "Novak", "", "Smith", "Yılmaz")


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
        self._prefix, self._mark = f"g{seed}-", f"{seed % 1_000_000:06d}"
        self.rows: dict[str, list[Row]] = {name: [] for name in COLUMNS}
        self.made = 0
        self._clock = self._clock_of(first)
        self._busiest = max(weight_of(day) for day in days_from(first, days))
        self._crews = {kind.queue: self._crew(kind) for kind in KINDS}
        self._campaign = Campaign(self._prefix, f"{(900_000 + seed) % 1_000_000:06d}", seed, self.rows, self._chance)
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
            for crew in self._crews.values():
                crew.begin_day(self._clock, busy, self._chance)
            day_s = midnight_us(day) // _S
            self._campaign.begin_day(self._clock, day)
            for at in arrivals_us(counts, self._chance):
                self._call(at, day_s)
                if len(self.rows["segments"]) >= at_once:
                    self._hand_over(take)
            for crew in self._crews.values():
                crew.end_day()
            self._campaign.end_day()
        for crew in self._crews.values():
            for worker in crew.workers:
                self.rows["agents"].append(worker.row())
                self.rows["agent_states"].append(
                    (worker.name, worker.serial, worker.began, None, str(worker.state), worker.reason, worker.call)
                )
        self._campaign.end()
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
        kind = KINDS[n]
        self.made += 1
        story = Story(self, self._crews, kind, f"{self._prefix}{self.made:08d}", at)
        story.tell()
        name = _NAMES[int(chance.random() * len(_NAMES))]
        if kind.campaign:
            queue = self._campaign.queue
            did, number, channel = self._campaign.reached(story, name)
        else:
            queue, number = story.kind.queue, self._caller()
            # Of another seed, too, there may be one that is as many calls old at the same second
            channel = f"{day_s + at // _S}.{self._mark}{self.made:08d}"
            did = f"49800{n}{int(chance.random() * kind.dids)}"
        self.rows["calls"].append(
            (
                story.call, "pbx1", channel, channel, did, number, name, queue, 0, text(at),
                None if story.answered is None else text(story.answered), story.agent, text(story.now),
                str(story.outcome), story.ended_by, story.cause, story.target, kind.client,
                story.wait, story.rewait, story.talk, story.hold, story.after, story.wrap, story.offers, story.ronas,
                story.talks, story.passages,
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

    def queue_of(self, kind: Kind) -> str:
        """The name of a kind's queue in the records."""
        return self._campaign.queue if kind.campaign else kind.queue
