"""Which campaign dials for which agent, where agents serve several.

Every agent who is there counts for one campaign at a time, so that no line relies on an agent that another line relies
on. Those of the highest priority with work share the agents they have in common by weight; a share that is no whole agent
goes round, by what each has dialled. A campaign keeps the idle agents that its lines in flight may need, and dials nothing
while it has more than its share: so an agent changes hands as soon as those lines have ended, and no sooner. Whoever
answers has the first agent there is; if that one was held for a line of another campaign, this one gets an idle agent in his
place who is held for none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from acd.dialer.work import Share
from acd.domain.values import valueclass
from acd.outbound.words import Seat


@valueclass(frozen=True, slots=True)
class Part:
    """One campaign's claim. ``wants``: it could dial; ``in_flight``: people and lines that may need an agent; ``held``:
    those of them for each of which an agent is held."""

    name: str
    priority: int
    weight: float
    wants: bool
    in_flight: int
    held: int = 0


@dataclass(slots=True)
class Shared:
    """Of one campaign: its agents now, and whether it has to give some away before it dials."""

    seats: list[Seat] = field(default_factory=list)
    yields: bool = False


class Sharing:
    """Remembers who counted for whom."""

    def __init__(self) -> None:
        self.turns = Share()
        self._owner: dict[str, str] = {}

    def owner(self, agent: str) -> str | None:
        """The campaign that an agent counts for."""
        return self._owner.get(agent)

    def dialled(self, campaign: str, weight: float) -> None:
        """A line was placed for it."""
        self.turns.spend(campaign, weight)

    def among(self, seats: Sequence[Seat], parts: Sequence[Part], busy: Mapping[str, str]) -> dict[str, Shared]:
        """Whose the agents are at this moment, by campaign. ``busy``: agent -> the campaign he works for just now: whose he
        is then, whoever had counted on him."""
        if len(parts) == 1:
            # Nobody to share with, as on most floors
            name = parts[0].name
            own = [seat for seat in seats if name in seat.lines]
            self._owner = {seat.agent: name for seat in own}
            return {name: Shared(own)}
        by_name = {part.name: part for part in parts}
        self.turns.keep(by_name)
        owned: defaultdict[str, int] = defaultdict(int)
        groups: defaultdict[tuple[str, ...], list[Seat]] = defaultdict(list)
        for seat in seats:
            claims = [by_name[name] for name in seat.lines if name in by_name and by_name[name].wants]
            highest = max((part.priority for part in claims), default=0)
            key = tuple(sorted(part.name for part in claims if part.priority == highest))
            groups[key].append(seat)
            owner = busy.get(seat.agent) or self._owner.get(seat.agent)
            if owner in by_name and owner in seat.lines:
                self._owner[seat.agent] = owner
                # Who is busy will not take what is in flight
                owned[owner] += seat.agent not in busy
        found = {part.name: Shared() for part in parts}
        owners: dict[str, str] = {}
        for key, group in groups.items():
            self._divide(key, group, by_name, busy, owned, owners, found)
        self._make_good(parts, busy, owners, found)
        self._owner = owners
        return found

    def _divide(
        self,
        key: tuple[str, ...],
        group: list[Seat],
        by_name: Mapping[str, Part],
        busy: Mapping[str, str],
        owned: defaultdict[str, int],
        owners: dict[str, str],
        found: Mapping[str, Shared],
    ) -> None:
        quota = self._quota(key, len(group), by_name)
        loose: list[Seat] = []
        # Those who work for one already are its own, then whoever may be given away
        for seat in sorted(group, key=lambda seat: seat.agent not in busy):
            owner = self._owner.get(seat.agent)
            if owner not in by_name or owner not in seat.lines:
                loose.append(seat)
            elif quota.get(owner, 0) > 0 or busy.get(seat.agent) == owner:
                quota[owner] = quota.get(owner, 0) - 1
                self._give(seat, owner, owners, found)
            elif owned[owner] > by_name[owner].in_flight:
                owned[owner] -= 1
                loose.append(seat)
            else:
                # Its lines may need him until they have ended
                self._give(seat, owner, owners, found)
                if by_name[owner].wants:
                    found[owner].yields = True
        for seat in loose:
            wanting = [name for name in key if quota.get(name, 0) > 0]
            # What others still hold on to leaves more agents wanted than there are to give
            if wanting:
                name = max(wanting, key=lambda one: (quota[one], one))
                quota[name] -= 1
                self._give(seat, name, owners, found)

    def _make_good(
        self,
        parts: Sequence[Part],
        busy: Mapping[str, str],
        owners: dict[str, str],
        found: Mapping[str, Shared],
    ) -> None:
        """An idle agent for every line that one is held for, as far as there are any."""
        idle = {
            part.name: [one for one in found[part.name].seats if one.stage == "idle" and one.agent not in busy]
            for part in parts
        }
        for short in sorted(parts, key=lambda part: -part.priority):
            for other in sorted(parts, key=lambda part: part.priority):
                if other is short:
                    continue
                for seat in list(idle[other.name]):
                    if len(idle[short.name]) >= short.held or len(idle[other.name]) <= other.held:
                        break
                    if short.name in seat.lines:
                        idle[other.name].remove(seat)
                        found[other.name].seats.remove(seat)
                        idle[short.name].append(seat)
                        self._give(seat, short.name, owners, found)

    def _give(self, seat: Seat, to: str, owners: dict[str, str], found: Mapping[str, Shared]) -> None:
        owners[seat.agent] = to
        found[to].seats.append(seat)

    def _quota(self, key: tuple[str, ...], count: int, by_name: Mapping[str, Part]) -> dict[str, int]:
        """How many of ``count`` agents each may have."""
        if not key:
            return {}
        total = sum(by_name[name].weight for name in key)
        quota = {name: int(count * by_name[name].weight / total + 1e-9) for name in key}
        turns = Share(dict(self.turns.used), self.turns.now)
        for _ in range(count - sum(quota.values())):
            name = turns.least({name: by_name[name].weight for name in key})
            turns.spend(name, by_name[name].weight)
            quota[name] += 1
        return quota
