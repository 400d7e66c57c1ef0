"""The search for the highest rate that is held: upwards in coarse steps, then in between in finer ones. Pure."""

from __future__ import annotations


class StepSearch:
    """Ask for `next_rate`, try it, `note` what came of it, until `next_rate` is None; then `highest` is known.

    A rate that fails is tried once more, since machines hiccup; it counts as held if the second try holds. Rates are
    multiples of ``finest`` above ``first``, or halvings of ``first`` when even that is too much.
    """

    def __init__(self, first: float, step: float, finest: float, limit: float) -> None:
        if not 0 < finest <= step or first <= 0:
            raise ValueError("steps are above 0, the finest no larger than the first")
        self._first, self._finest, self._limit = first, finest, limit
        self._step = step
        self._held: float | None = None
        self._failed: float | None = None
        self._failed_once: float | None = None

    @property
    def highest(self) -> float | None:
        """The highest rate that was held so far."""
        return self._held

    def next_rate(self) -> float | None:
        """What to try next; None when the answer is known as finely as wanted."""
        if self._failed_once is not None:
            return self._failed_once
        if self._held is None:
            rate = self._first if self._failed is None else self._failed / 2
            return rate if rate >= self._finest else None
        rate = self._held + self._step
        if self._failed is None:
            return rate if rate <= self._limit else None
        while rate >= self._failed and self._step > self._finest:
            self._step = max(self._step / 2, self._finest)
            rate = self._held + self._step
        return rate if rate < self._failed else None

    def note(self, rate: float, held: bool) -> None:
        """Whether ``rate`` was held."""
        if held:
            self._held = rate if self._held is None else max(self._held, rate)
            self._failed_once = None
        elif self._failed_once == rate:
            self._failed, self._failed_once = rate, None
        else:
            self._failed_once = rate
