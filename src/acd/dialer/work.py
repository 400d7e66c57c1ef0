"""The order of work: which contact is dialled next, of which campaign.

Kinds of work: callbacks that a person asked an agent for, callbacks that callers asked for while they waited, retries
that are due, new contacts. Personal callbacks are promises, so by the usual weights they come long before everything
else. A campaign's kinds share its lines by their weights, campaigns of one priority share those of a trunk or queue by
theirs, and a campaign of a higher priority comes first. Shares are kept by virtual time (start-time fair queueing: each
line costs 1 / weight, the least used comes next), so that they hold over any stretch and a kind that was empty has
saved nothing up.

Within a kind: what is welcome at this hour first (`Contact.best`), then what has been due for longest; new contacts in
the list's order. Pure: what is due comes from the store in pages, and the gate is asked before anything is dialled.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum
from itertools import count
from typing import Any, Final

from acd.dialer.windows import welcome
from acd.domain.campaigns import Campaign, Contact, Mix
from acd.domain.values import valueclass


class Kind(StrEnum):
    """Of work, in the order in which equals are taken."""

    CALLBACK = "callback"
    QUEUE_CALLBACK = "queue_callback"
    RETRY = "retry"
    NEW = "new"


KINDS: Final = tuple(Kind)
WAITING_MAX: Final = 10_000
"""Contacts kept ready a campaign and kind; the store has the others."""
LOOKED_AT_MAX: Final = 200
"""How many due pieces of a kind, or of an agent, are looked through for one that is welcome now."""
_STALE_MAX: Final = 64
"""Entries of dropped contacts that may lie about."""
_LEAST_WEIGHT: Final = 1e-6
"""Of a kind with weight 0: only when there is no other."""


@valueclass(frozen=True, slots=True)
class Piece:
    """One contact to be dialled. ``due_s``: since when; ``order``: its place in the list (new contacts). ``agent``:
    whom a personal callback was promised to; ``segment``: the part of the list it belongs to, for the answer rate."""

    contact: Contact
    number: str
    kind: Kind
    due_s: float
    order: int = 0
    agent: str | None = None
    segment: str = ""


@dataclass(slots=True)
class Share:
    """Virtual time of those who share something: `least` says whose turn it is."""

    used: dict[str, float] = field(default_factory=dict)
    now: float = 0.0

    def least(self, weights: Mapping[str, float]) -> str:
        """Of those who have work (by their weights, in the order of preference), the one whose turn it is."""
        return min(weights, key=lambda name: max(self.used.get(name, 0.0), self.now))

    def spend(self, name: str, weight: float) -> None:
        """``name`` has had its turn."""
        begun = max(self.used.get(name, 0.0), self.now)
        self.now = begun
        self.used[name] = begun + 1.0 / max(weight, _LEAST_WEIGHT)

    def keep(self, names: Iterable[str]) -> None:
        """Forget all others."""
        kept = set(names)
        self.used = {name: used for name, used in self.used.items() if name in kept}

    def as_json(self) -> dict[str, Any]:
        """What `from_json` makes this of again."""
        return {"used": self.used, "now": self.now}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Share:
        """Of what `as_json` gave."""
        return cls({str(name): float(used) for name, used in saved["used"].items()}, float(saved["now"]))


def weights_of(mix: Mix) -> dict[Kind, float]:
    """The weights of the kinds."""
    return {
        Kind.CALLBACK: mix.callbacks,
        Kind.QUEUE_CALLBACK: mix.queue_callbacks,
        Kind.RETRY: mix.retries,
        Kind.NEW: mix.new,
    }


_Entry = tuple[float, int, int, Piece]
"""When due, the place in the list, a serial (so that pieces themselves are never compared)."""
_Heap = tuple[Kind, str | None]
"""Agents have their own, so that promises of those who talk do not stand before those of who is free."""


class Work:
    """What one campaign could dial. ``zone_of``: the clock by which a contact's best times are meant."""

    def __init__(self, campaign: Campaign, zone_of: Callable[[Contact], tzinfo]) -> None:
        self.campaign = campaign
        self.shares = Share()
        self._zone_of = zone_of
        self._heaps: dict[_Heap, list[_Entry]] = {}
        self._known: dict[int, Piece] = {}
        self._held = dict.fromkeys(KINDS, 0)
        self._in_heap: Counter[_Heap] = Counter()
        self._serial = count()

    def __len__(self) -> int:
        return len(self._known)

    def room(self, kind: Kind) -> int:
        """How many more pieces of a kind it takes."""
        return WAITING_MAX - self._held[kind]

    def held(self, kind: Kind) -> int:
        """How many of a kind are at hand."""
        return self._held[kind]

    def add(self, pieces: Iterable[Piece]) -> int:
        """Take pieces in; a contact that is here already stays as it is, unless it now is of a kind that comes earlier
        (a retry for which a callback has been arranged). Returns how many were taken."""
        taken = 0
        for piece in pieces:
            known = self._known.get(piece.contact.contact)
            if known is not None and KINDS.index(known.kind) <= KINDS.index(piece.kind):
                continue
            if self.room(piece.kind) <= 0:
                continue
            self.drop(piece.contact.contact)
            self._known[piece.contact.contact] = piece
            self._held[piece.kind] += 1
            here = (piece.kind, piece.agent)
            self._in_heap[here] += 1
            heapq.heappush(self._heaps.setdefault(here, []), (piece.due_s, piece.order, next(self._serial), piece))
            taken += 1
        return taken

    def drop(self, contact: int) -> None:
        """A contact that is not to be dialled any more."""
        piece = self._known.pop(contact, None)
        if piece is None:
            return
        self._held[piece.kind] -= 1
        here = (piece.kind, piece.agent)
        self._in_heap[here] -= 1
        if not self._in_heap[here]:
            del self._in_heap[here], self._heaps[here]
            return
        heap = self._heaps[here]
        if len(heap) > 2 * self._in_heap[here] + _STALE_MAX:
            self._heaps[here] = [entry for entry in heap if self._holds(entry[-1])]
            heapq.heapify(self._heaps[here])

    def next(self, now_s: float, has_agent: Callable[[str], bool] = lambda agent: True) -> Piece | None:
        """The piece whose turn it is, taken out; ``None`` when nothing is due. A personal callback comes only while its
        agent can take it (``has_agent``)."""
        weights = weights_of(self.campaign.mix)
        best = {kind: piece for kind in KINDS if (piece := self._best(kind, now_s, has_agent)) is not None}
        if not best:
            return None
        some = {kind.value: weights[kind] for kind in best if weights[kind] > 0}
        wanted = some or {kind.value: 0.0 for kind in best}
        turn = self.shares.least(wanted)
        self.shares.spend(turn, wanted[turn])
        piece = best[Kind(turn)]
        self.drop(piece.contact.contact)
        return piece

    def next_due_s(self, now_s: float) -> float | None:
        """When something is due that is not yet; ``None`` if nothing ever is."""
        return min((piece.due_s for piece in self._known.values() if piece.due_s > now_s), default=None)

    def _best(self, kind: Kind, now_s: float, has_agent: Callable[[str], bool]) -> Piece | None:
        """Welcome at this hour and longest due; else longest due."""
        found = [
            best
            for (of, agent), heap in self._heaps.items()
            if of is kind and (agent is None or has_agent(agent)) and (best := self._first(heap, now_s)) is not None
        ]
        return min(found)[-1][-1] if found else None

    def _first(self, heap: list[_Entry], now_s: float) -> tuple[bool, _Entry] | None:
        """Of one heap; whether nobody in it is welcome."""
        aside: list[_Entry] = []
        found: tuple[bool, _Entry] | None = None
        while heap and len(aside) < LOOKED_AT_MAX and heap[0][0] <= now_s:
            entry = heapq.heappop(heap)
            piece = entry[-1]
            if not self._holds(piece):
                continue
            aside.append(entry)
            if piece.contact.best is None or welcome(piece.contact.best, self._zone_of(piece.contact), now_s):
                found = False, entry
                break
            found = found or (True, entry)
        for entry in aside:
            heapq.heappush(heap, entry)
        return found

    def _holds(self, piece: Piece) -> bool:
        return self._known.get(piece.contact.contact) is piece


class Turns:
    """Which campaign dials next, of those that share a trunk or agents."""

    def __init__(self) -> None:
        self.shares = Share()

    def next(self, campaigns: Sequence[Campaign]) -> Campaign | None:
        """Of campaigns with work and lines to place: of the highest priority, the one whose turn it is. Call `spend`
        for each line it places."""
        if not campaigns:
            return None
        highest = max(campaign.priority for campaign in campaigns)
        by_name = {campaign.name: campaign for campaign in campaigns if campaign.priority == highest}
        return by_name[self.shares.least({name: campaign.weight for name, campaign in by_name.items()})]

    def spend(self, campaign: Campaign) -> None:
        """One line has been placed for it."""
        self.shares.spend(campaign.name, campaign.weight)
