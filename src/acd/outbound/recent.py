"""What was dialled since contacts were read from the store, and what came of it: what is older, the store has told. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

KEPT_S: Final = 600.0
"""So long after its end an attempt is remembered: longer than anybody goes by what was read of a contact, but for agents who
look at one (`Recent.needed_s`)."""
_NOTED_LEAST: Final = 1_000
_EQUAL_S: Final = 0.001
"""Databases may keep times to the microsecond."""
_BACK_S: Final = 1.0
"""A clock that goes back by no more holds nobody up, so what is earlier by so little may have come later."""


@dataclass(slots=True)
class Dialled:
    """One attempt. ``chosen_s``: when it was decided on. ``written_s``: when it was known what the store says of it; None:
    it may be durable or not."""

    attempt: str
    number: str
    campaign: str
    chosen_s: float
    written_s: float | None = None

    def among(self, times_s: Iterable[float]) -> bool:
        """Whether the store has told of it: as committed between then and then."""
        until_s = float("inf") if self.written_s is None else self.written_s
        return any(self.chosen_s - _EQUAL_S <= at <= until_s + _EQUAL_S for at in times_s)


class Recent:
    """``abandoned``, ``served``: when numbers were last. ``opted_out``: when it was asked, by number and do-not-call's
    scope; of an earlier life's it may be the hash that ``sealed`` makes of the number."""

    def __init__(self, sealed: Callable[[str], str] | None = None) -> None:
        self._sealed = sealed
        self.needed_s = float("inf")
        """when what agents look at now was read, the earliest of it: what came since is not forgotten"""
        self.abandoned: dict[str, float] = {}
        self.served: dict[str, float] = {}
        self.opted_out: dict[tuple[str, str], float] = {}
        self._held: set[tuple[str, str]] = set()
        """keys of ``opted_out`` that are never forgotten"""
        self._holds_hashes = False
        self._attempts: dict[str, Dialled] = {}
        self._by_number: dict[str, list[Dialled]] = {}
        self._doubtful: set[str] = set()
        self._over: deque[tuple[float, str, str]] = deque()
        """when, attempt, number"""
        self._noted_s: list[float] = []

    def note(self, attempt: str, number: str, campaign: str, now_s: float) -> None:
        """``attempt`` is about to be written."""
        one = Dialled(attempt, number, campaign, now_s)
        self._attempts[attempt] = one
        self._by_number.setdefault(number, []).append(one)
        self._noted_s.append(now_s)
        half = len(self._noted_s) // 2
        if half >= _NOTED_LEAST and self._noted_s[half] < now_s - KEPT_S:
            del self._noted_s[:half]

    def noted_since(self, at_s: float) -> int:
        """How many attempts were decided on since then, of all campaigns, if that is no longer ago than `KEPT_S`."""
        return len(self._noted_s) - bisect_left(self._noted_s, at_s)

    def written(self, recorded: Iterable[str], others: Iterable[str], now_s: float) -> None:
        """These are durable now, those will never be; and of those in doubt the store tells rightly from now on."""
        for attempt in (*recorded, *self._doubtful):
            if attempt in self._attempts:
                self._attempts[attempt].written_s = now_s
        self._doubtful.clear()
        for attempt in others:
            self._forget(attempt)

    def withdraw(self, attempt: str) -> None:
        """It is durable, and was never dialled."""
        self._forget(attempt)

    def doubt(self, attempts: Collection[str]) -> None:
        """Nobody knows whether these are durable, before the store has answered again."""
        self._doubtful.update(attempts)

    def over(self, attempt: str, number: str, now_s: float) -> None:
        """Nothing more will happen to ``attempt``."""
        self._over.append((now_s, attempt, number))
        before_s = min(now_s - KEPT_S, self.needed_s)
        while self._over[0][0] < before_s and self._over[0][1] not in self._doubtful:
            _, old, its_number = self._over.popleft()
            self._forget(old)
            for kept in (self.abandoned, self.served):
                if kept.get(its_number, now_s) < before_s:
                    del kept[its_number]
        for key in [key for key, at in self.opted_out.items() if at < before_s and key not in self._held]:
            del self.opted_out[key]

    def hold_opt_out(self, number: str, scope: str) -> None:
        """The store will never tell of this one."""
        if number:
            self._held.add((number, scope))
            self._holds_hashes |= not number.startswith("+")
            self.opted_out.setdefault((number, scope), 0.0)

    def asked_not_to(self, numbers: Iterable[str], client: str | None) -> float | None:
        """When somebody with one of these numbers asked not to be called, if that concerns a campaign for ``client``."""
        scopes = ("all", f"client:{client}") if client else ("all",)
        forms = (form for number in numbers for form in self._forms(number))
        found = (self.opted_out.get((form, scope)) for form in forms for scope in scopes)
        return max((at for at in found if at is not None), default=None)

    def holds_opt_out(self, numbers: Iterable[str], client: str | None) -> bool:
        """Whether somebody with one of these numbers asked not to be called of whom the store will never tell."""
        return bool(self._held) and self.asked_not_to(numbers, client) is not None

    def _forms(self, number: str) -> tuple[str, ...]:
        return (number, self._sealed(number)) if self._holds_hashes and self._sealed is not None else (number,)

    def unseen(self, number: str, read_s: float) -> list[Dialled]:
        """Attempts at ``number`` of which what was read at ``read_s`` may not tell: they were not durable before."""
        before_s = read_s - _BACK_S
        return [one for one in self._by_number.get(number, ()) if one.written_s is None or one.written_s >= before_s]

    def _forget(self, attempt: str) -> None:
        one = self._attempts.pop(attempt, None)
        if one is None:
            return
        left = [other for other in self._by_number[one.number] if other is not one]
        if left:
            self._by_number[one.number] = left
        else:
            del self._by_number[one.number]
