"""A batch of which the database refuses something for good: the rest of it is stored, in halves and halves of those.

Whatever a kill leaves of that is on the safe side: opt-outs first; ledgers, which count what follows, before it; attempts
to be dialled last, and none of a campaign whose ledger was refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from acd.outbound.words import Batch, Refused, Written
from acd.store.backend import UnstorableError

_ORDER: Final = ("opt_outs", "ledgers", "progress", "ended", "said", "releases", "blocks", "made")


class Pieces:
    """Stores a batch with ``take``, which raises UnstorableError for what is refused for good, and another StoreError while
    the database is away. ``why``: in the words of the first refusal."""

    def __init__(self, take: Callable[[Batch], Awaitable[Written]]) -> None:
        self._take = take
        self._aside: dict[str, list[Any]] = {name: [] for name in _ORDER}
        self._written: list[Written] = []
        self._refused: Mapping[int, Refused] = {}
        self.why = ""

    async def store(self, batch: Batch) -> tuple[Written, Batch]:
        """What is durable then, and what was refused. Raises StoreError: nobody knows how much of it is durable."""
        self._refused = batch.refused
        for name in _ORDER:
            whole = getattr(batch, name)
            items = list(whole.items() if name == "ledgers" else whole)
            if name == "made":
                barred = {campaign for campaign, _ in self._aside["ledgers"]}
                self._aside["made"] += [one for one in items if one.campaign in barred]
                items = [one for one in items if one.campaign not in barred]
            await self._part(name, items)
        refused = _batch({name: items for name, items in self._aside.items() if items})
        return Written(
            tuple(one for part in self._written for one in part.recorded),
            tuple(one for part in self._written for one in part.refused),
            tuple(one for part in self._written for one in part.unclaimed),
            changed=tuple(one for part in self._written for one in part.changed),
        ), refused

    def _with(self, part: Batch) -> Batch:
        """With what the gate said of those who are given back or up in it."""
        said = {one: self._refused[one] for one, _ in (*part.releases, *part.blocks) if one in self._refused}
        return replace(part, refused=said) if said else part

    async def _part(self, name: str, items: Sequence[Any]) -> None:
        if not items:
            return
        try:
            self._written.append(await self._take(self._with(_batch({name: items}))))
        except UnstorableError as error:
            if len(items) > 1:
                half = len(items) // 2
                await self._part(name, items[:half])
                await self._part(name, items[half:])
                return
            # A database that refuses nothing at all, too, is away
            await self._take(Batch())
            self._aside[name].append(items[0])
            self.why = self.why or str(error)


def _batch(parts: Mapping[str, Sequence[Any]]) -> Batch:
    fields: dict[str, Any] = {name: dict(items) if name == "ledgers" else tuple(items) for name, items in parts.items()}
    return Batch(**fields)
