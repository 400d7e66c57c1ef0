"""A queue_log of a time that is over, and one that goes on: lines in order, with memory for what is under way only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from acd.queuelog.lines import NONE, Line
from acd.queuelog.people import Member, Presence
from acd.queuelog.source import PAGE, Look, Row, Source
from acd.queuelog.story import Call, Story
from acd.queuelog.sweep import Sweep

Understand = Callable[[Mapping[str, Any]], Mapping[str, Member]]
"""From what is kept of a configuration to its agents. Raises AcdError on one that cannot be read."""

_LATE_S = 600.0
"""A call that begins and ends between two looks, or becomes known late, is found if it entered at most so long before one
that is known."""
_STRETCH_S = 86_400.0
_AGENTS_STRETCH_S = 4 * 3600.0
"""What agents did is read for so long at once: a look into each agent's life has its price."""
_BEFORE_S = 0.001
"""So much before the first thing behind a gap does what is read go on."""
_FOR_EVER = 1e10
_SETTLES_S = 2.0
"""So much older than the newest record is what is written: by then all of that time is there."""


class Members:
    """Who the agents are at which time: by the configurations the database keeps, else by the present one."""

    def __init__(self, present: Mapping[str, Member], understand: Understand) -> None:
        self._present, self._understand = present, understand
        self._revisions: list[tuple[float, Mapping[str, Member]]] = []

    def of(self, agent: str, at: float) -> Member:
        """Never fails: an agent nobody knows is called by his name, in no queue."""
        known = self._present
        for since, members in self._revisions:
            if since > at:
                break
            known = members
        return known.get(agent) or self._present.get(agent) or Member(agent, (NONE,))

    def loaded(self, row: Row) -> None:
        """A configuration came into force."""
        if not self._revisions or self._revisions[-1][0] < row["loaded_at"]:
            self._revisions.append((row["loaded_at"], self._understand(row["detail"])))
            # Lines are written in order, so only the last few are asked for
            del self._revisions[:-8]


class Log:
    """The log behind ``since``, which has been written up to there. ``pieces`` advance it over a time that is over,
    ``new`` by what the database has got meanwhile. ``mask``: callers' numbers are masked."""

    def __init__(self, source: Source, members: Members, since: float, *, mask: bool = False) -> None:
        self._source, self._members = source, members
        self._sweep = Sweep(members.of, mask=mask)
        self._stories: dict[str, Story] = {}
        self._done: dict[str, float] = {}
        self._agents: dict[str, Presence] = {}
        self._loaded_upto = self._started_upto = self._entered_upto = self._agents_upto = since
        self._seen = 0.0
        self._idle_since: float | None = None
        self.upto = since
        """All lines up to here have been given."""
        with source.look() as look:
            self._warm_up(look)

    # -- beginning ---------------------------------------------------------------------------------------------------

    def _warm_up(self, look: Look) -> None:
        """Who waits, talks and is there at the beginning, and which place each had; what they did before is not given."""
        since = self.upto
        first = since - 2 * _LATE_S
        for row in look.under_way(since):
            first = min(first, row["entered_at"])
            break
        # Who was there when the first of them came has to do with their places
        self._tell(look, look.under_way(first))
        after: tuple[float, str | None] = (first, None)
        while page := look.page(after, since):
            self._tell(look, page)
            after = (page[-1]["entered_at"], page[-1]["call"])
        for row in look.in_force(since):
            self._agent(row["agent"]).now(row)
        self._service(look, since)
        for _ in self._sweep.until(since):
            pass
        self._forget()

    def _agent(self, name: str) -> Presence:
        agent = self._agents.get(name)
        if agent is None:
            agent = self._agents[name] = Presence(self._members.of, name)
        return agent

    # -- telling -----------------------------------------------------------------------------------------------------

    def _tell(self, look: Look, rows: Sequence[Row]) -> None:
        parts = look.parts(rows)
        for row in rows:
            self._entered_upto = max(self._entered_upto, row["entered_at"])
            story = self._stories.get(row["call"])
            if story is None:
                story = self._stories[row["call"]] = Story(_call(row))
            line, decisions = parts[row["call"]]
            for moment in story.more(row, line, decisions):
                self._sweep.put(moment)

    def _forget(self) -> None:
        """Stories that are told; that they were is known for as long as they may be found again."""
        for name in [name for name, story in self._stories.items() if story.over]:
            self._done[name] = self._stories.pop(name).call.entered_at
        for name in [name for name, at in self._done.items() if at < self._entered_upto - 2 * _LATE_S]:
            del self._done[name]

    def _service(self, look: Look, upto: float) -> None:
        for row in look.revisions(self._loaded_upto, upto):
            self._members.loaded(row)
            if row["loaded_at"] > self._loaded_upto:
                self._loaded_upto = row["loaded_at"]
                self._sweep.put(Line(row["loaded_at"], NONE, NONE, NONE, "CONFIGRELOAD"))
        for at in look.starts(self._started_upto, upto):
            self._started_upto = at
            self._sweep.put(Line(at, NONE, NONE, NONE, "QUEUESTART"))

    def _intervals(self, rows: Sequence[Row]) -> None:
        for row in rows:
            agent = self._agent(row["agent"])
            if row["serial"] > agent.serial:
                for line in agent.enters(row):
                    self._sweep.put(line)

    # -- a time that is over -----------------------------------------------------------------------------------------

    def pieces(self, end: float) -> Iterator[tuple[list[Line], float]]:
        """All lines up to ``end``, which is over; with each piece the time up to which all have been given then."""
        after: tuple[float, str | None] = (self.upto, None)
        while self.upto < end:
            # Where nobody calls for long, there is still a bound on what is read at once
            upto = min(end, self.upto + _STRETCH_S)
            with self._source.look() as look:
                page = look.page(after, upto)
                whole = len(page) < PAGE
                # Of the very last moment there may be more
                frontier = upto if whole else math.nextafter(page[-1]["entered_at"], 0.0)
                self._service(look, frontier)
                self._tell(look, page)
                while self._agents_upto < frontier:
                    following = min(end, self._agents_upto + _AGENTS_STRETCH_S)
                    self._intervals(look.intervals(self._agents_upto, following))
                    self._agents_upto = following
                if not page and upto < end:
                    # Nobody called for a day, and perhaps for years
                    first = look.next_after(upto, end)
                    upto = frontier = max(upto, end if first is None else first - _BEFORE_S)
                    self._agents_upto = max(self._agents_upto, frontier)
            lines = list(self._sweep.until(frontier))
            self.upto = max(self.upto, frontier)
            self._forget()
            after = (upto, None) if whole else (page[-1]["entered_at"], page[-1]["call"])
            yield lines, self.upto

    def caught_up(self) -> Iterator[tuple[list[Line], float]]:
        """As `pieces`, up to where records may still be on their way."""
        with self._source.look() as look:
            newest = look.newest()
        yield from self.pieces(newest - 2 * _LATE_S)

    # -- a time that goes on -----------------------------------------------------------------------------------------

    def new(self, now: float) -> list[Line]:
        """The lines that have become certain since the last time. ``now``: any clock in seconds that goes on evenly.

        Certain is what is two seconds older than the newest record, for the service writes them in order; and all there
        is once nothing came for as long. The clock on the wall has no part in it, so a database that was away, and gets
        everything late, loses no line.
        """
        with self._source.look() as look:
            names = {*look.open(), *look.entered_since(self._entered_upto - _LATE_S), *self._stories}
            self._tell(look, look.rows_of(name for name in names if name not in self._done))
            serials = look.serials()
            behind = {
                name: self._agent(name).serial for name, serial in serials.items() if serial > self._agent(name).serial
            }
            self._intervals(look.intervals_behind(behind))
            self._service(look, _FOR_EVER)
        newest = self._sweep.newest
        if newest > self._seen or self._idle_since is None:
            self._seen, self._idle_since = newest, now
        certain = newest if now - self._idle_since >= _SETTLES_S else newest - _SETTLES_S
        lines = list(self._sweep.until(certain))
        self.upto = max(self.upto, certain)
        self._forget()
        return lines


def _call(row: Row) -> Call:
    return Call(
        row["call"],
        row["channel"],
        row["did"],
        row["caller_number"],
        row["caller_name"],
        row["priority"],
        row["entered_at"],
    )
