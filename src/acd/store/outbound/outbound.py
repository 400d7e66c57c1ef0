"""The service's way to what dialling keeps: every method is one transaction on a connection of its own.

Commits are durable before a method returns. Nothing here is retried and nothing goes into the spill: while the database is
away nobody is dialled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.domain.campaigns import CampaignState
from acd.domain.detection import Detected
from acd.domain.errors import StoreError
from acd.store.backend import UnstorableError
from acd.store.location import first_line, locate
from acd.store.outbound import attempts, campaigns, detection, donotcall, turn, work
from acd.store.outbound.attempts import History, Recorded
from acd.store.outbound.campaigns import Standing, Window
from acd.store.outbound.donotcall import Sealed
from acd.store.outbound.lines import Lines
from acd.store.outbound.refusals import is_refusal
from acd.store.outbound.turn import Known, Open, Turn
from acd.store.outbound.work import Kind

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Outbound:
    """``sealed`` makes of a number (E.164) what stands in its place; with ``hashed`` it is kept so in attempts.
    ``connections``: at most so many at once. Every method raises StoreError when the database is away or slow, and
    UnstorableError, which is one, when it will never take what it was given."""

    def __init__(
        self, url: str, sealed: Sealed, *, hashed: bool = False, connections: int = 2, query_s: float = 10.0
    ) -> None:
        location = locate(url)
        self._name, self._sealed, self._hashed = str(location), sealed, hashed
        self._engine: AsyncEngine = location.outbound_engine(connections=connections, query_s=query_s)
        self._reading = self._engine.execution_options(reads=True)
        self._lines = Lines(self._engine, query_s + min(query_s, 2.0))

    async def _on(
        self,
        engine: AsyncEngine,
        work: Callable[Concatenate[sa.Connection, _P], _R],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _R:
        try:
            with self._lines.bounded():
                async with engine.begin() as connection:
                    return await connection.run_sync(work, *args, **kwargs)
        except (SQLAlchemyError, OSError) as error:
            if is_refusal(error):
                raise UnstorableError(f"{self._name} refused it: {first_line(error)}") from error
            raise StoreError(f"what dialling keeps in {self._name} cannot be used now: {first_line(error)}") from error

    async def ask(
        self, question: Callable[Concatenate[sa.Connection, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        """Any function of this folder, in a transaction of its own."""
        return await self._on(self._engine, question, *args, **kwargs)

    async def look(
        self, question: Callable[Concatenate[sa.Connection, _P], _R], *args: _P.args, **kwargs: _P.kwargs
    ) -> _R:
        """The same of one that only reads: nobody waits for it who writes, nor it for them."""
        return await self._on(self._reading, question, *args, **kwargs)

    async def open(self) -> None:
        """Check the key of hashed do-not-call entries. Raises StoreError."""
        await self.look(donotcall.check_seal, self._sealed)

    async def close(self) -> None:
        """Let the connections go."""
        await self._engine.dispose()

    # -- work --------------------------------------------------------------------------------------------------------

    async def claim(
        self,
        lists: Sequence[str],
        wanted: Mapping[Kind, int],
        now: float,
        epoch: int,
        *,
        agents: Sequence[str] = (),
        scopes: Sequence[str] = (),
        search: work.Search | None = None,
    ) -> list[Known]:
        """`turn.claim`: all of it or nothing."""
        more = {"agents": agents, "scopes": scopes}
        return await self.ask(turn.claim, lists, wanted, now, epoch, self._sealed, search=search, **more)

    async def outlook(self, lists: Sequence[str]) -> work.Outlook:
        """`work.outlook`."""
        return await self.ask(work.outlook, lists)

    async def give_back(self, epoch: int, held: Collection[int]) -> int:
        """`work.give_back`."""
        return await self.ask(work.give_back, epoch, held)

    async def recover(self, epoch: int) -> int:
        """`work.recover`."""
        return await self.ask(work.recover, epoch)

    # -- attempts ----------------------------------------------------------------------------------------------------

    async def histories(
        self, pairs: Sequence[tuple[int, str]], since: float, own: Mapping[int, Sequence[str]] = MappingProxyType({})
    ) -> dict[tuple[int, str], History]:
        """`attempts.histories`."""
        return await self.look(attempts.histories, pairs, since, self._sealed, own)

    async def take_turn(self, of: Turn, epoch: int, now: float) -> Recorded:
        """`turn.take`: dial those it gives back, and only those."""
        try:
            return await self.ask(turn.take, of, epoch, now, self._sealed, hashed=self._hashed)
        except Exception as error:
            # What no statement can be made of, drivers complain of in words of their own
            if not isinstance(error, StoreError) and is_refusal(error):
                raise UnstorableError(f"it cannot be stored in {self._name}: {first_line(error)}") from error
            raise

    async def left_open(self) -> list[Open]:
        """`turn.left_open`."""
        return await self.look(turn.left_open)

    async def past(self, attempt: str) -> Open | None:
        """`turn.past`."""
        return await self.look(turn.past, attempt)

    async def latest(self) -> float | None:
        """`turn.latest`."""
        return await self.look(turn.latest)

    async def calls_since(self, since: float, short_s: float) -> tuple[int, int]:
        """`turn.calls_since`."""
        return await self.look(turn.calls_since, since, short_s)

    async def detected(self, campaign: str, since: float, until: float, machine_words: Collection[str]) -> Detected:
        """`detection.detected`."""
        return await self.look(detection.detected, campaign, since, until, machine_words)

    # -- people ------------------------------------------------------------------------------------------------------

    async def barred(
        self, people: Sequence[tuple[str, Sequence[str]]], scopes: Sequence[str], now: float
    ) -> list[tuple[str, ...]]:
        """`donotcall.barred`."""
        return await self.look(donotcall.barred, people, scopes, self._sealed, now)

    # -- campaigns ---------------------------------------------------------------------------------------------------

    async def states(self) -> dict[str, Standing]:
        """`campaigns.states`."""
        return await self.look(campaigns.states)

    async def set_state(self, campaign: str, state: CampaignState, by: str, reason: str, now: float) -> None:
        """`campaigns.set_state`."""
        await self.ask(campaigns.set_state, campaign, state, by, reason, now)

    async def save_statistics(self, campaign: str, statistics: Mapping[str, Any], now: float) -> None:
        """`campaigns.save_statistics`."""
        await self.ask(campaigns.save_statistics, campaign, statistics, now)

    async def ledger(self, campaign: str, *, latest: bool = True) -> list[Window]:
        """`campaigns.ledger`."""
        return await self.look(campaigns.ledger, campaign, latest=latest)
