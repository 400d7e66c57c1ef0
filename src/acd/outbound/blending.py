"""Agents whom campaigns do without, because callers of a queue they share need them. Pure.

Whoever has answered already is served before all callers, by whoever is free: what is kept from campaigns is kept from
dialling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from acd.dialer.blending import Counts, Level, Recently, Standing, judge, kept
from acd.domain.blending import Blend
from acd.outbound.words import Seat

_ORDER: Final = {"idle": 0, "wrapping": 1, "talking": 2}


class Blending:
    """``define`` it, then ask ``keep`` at every look. ``standings`` and ``kept`` (agents) by queue, as they were last."""

    def __init__(self) -> None:
        self.blends: Mapping[str, Blend] = {}
        self.standings: dict[str, Standing] = {}
        self.kept: dict[str, frozenset[str]] = {}
        self._recently: dict[str, Recently] = {}
        self._seen: dict[str, dict[str, Any]] = {}

    def define(self, blends: Mapping[str, Blend]) -> None:
        """What queues take from now on; how they stand stays."""
        recently = {}
        for name, blend in blends.items():
            known = self._recently.get(name)
            recently[name] = known if known is not None and known.over_s == blend.over_s else Recently(blend.over_s)
        self.blends, self._recently = blends, recently
        self.standings = {name: self.standings.get(name, Standing()) for name in blends}
        self.kept = {name: frozenset() for name in blends}

    def keep(self, seats: Sequence[Seat], counts: Mapping[str, Counts], now_s: float) -> tuple[Seat, ...]:
        """The seats that campaigns have. ``counts`` by queue; of one that is missing, nothing new is known."""
        for name, blend in self.blends.items():
            if name in counts:
                seen = self._recently[name].seen(counts[name], now_s)
                self._seen[name] = {
                    "waiting": seen.waiting, "wait_s": seen.wait_s, "service_level": seen.service_level,
                }  # fmt: skip
                self.standings[name] = judge(blend, seen, self.standings[name], now_s)
        taken: set[str] = set()
        for name in sorted(self.blends, key=lambda one: (-self.standings[one].level, one)):
            own = [seat for seat in seats if name in seat.queues]
            count = kept(self.blends[name], self.standings[name], len(own))
            # Who is kept for another queue can be for this one only when nobody else is left
            own.sort(key=lambda seat: (seat.agent in taken, _ORDER[seat.stage], seat.since_s, seat.agent))
            self.kept[name] = frozenset(seat.agent for seat in own[:count])
            taken |= self.kept[name]
        return tuple(seat for seat in seats if seat.agent not in taken)

    def kept_from(self, campaign: str, seats: Sequence[Seat]) -> dict[str, int]:
        """How many agents of ``campaign`` each queue keeps, of queues that share some with it."""
        found: dict[str, int] = {}
        for seat in seats:
            if campaign in seat.lines:
                for queue in seat.queues:
                    found[queue] = found.get(queue, 0) + (seat.agent in self.kept.get(queue, ()))
        return found

    def recalled(self, seat: Seat) -> str | None:
        """The queue that needs ``seat`` at once."""
        return next((name for name in seat.queues if self.level(name) is Level.RECALL), None)

    def level(self, queue: str) -> Level:
        """How a queue stands; calm, if it takes nothing from campaigns."""
        standing = self.standings.get(queue)
        return Level.CALM if standing is None else standing.level

    def told(self, now_s: float) -> dict[str, dict[str, Any]]:
        """For people, by queue: how it stands, since how long, why, who is kept."""
        found = {}
        for name, standing in self.standings.items():
            calm = standing.level is Level.CALM
            found[name] = {
                "level": standing.level.word,
                "for_s": None if calm else max(0.0, now_s - standing.since_s),
                "why": standing.why,
                "kept": len(self.kept.get(name, ())),
                **self._seen.get(name, {"waiting": 0, "wait_s": None, "service_level": None}),
            }
        return found
