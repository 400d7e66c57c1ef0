"""What an engine is wired to, as fakes: a store that settles when the test says so, an executor that only remembers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from acd.domain.commands import Command
from acd.domain.records import Record


class FakeStore:
    """Nothing is durable until the test says so."""

    def __init__(self) -> None:
        self.written: list[tuple[Record, ...]] = []
        self.soon: list[bool] = []
        self.ages: list[float] = []
        self.lost: set[int] = set()
        self._settled: Callable[[int], None] = lambda ticket: None

    def write(self, records: Sequence[Record], *, soon: bool = False, age_s: float = 0.0) -> int:
        self.written.append(tuple(records))
        self.soon.append(soon)
        self.ages.append(age_s)
        return len(self.written)

    def durable(self, ticket: int) -> bool:
        return ticket not in self.lost

    def on_durable(self, callback: Any) -> None:
        self._settled = callback

    def settle(self) -> None:
        """Everything so far is settled."""
        self._settled(len(self.written))

    async def open(self) -> Any:
        raise AssertionError("the engine does not open its store")

    async def close(self) -> None:
        raise AssertionError("nor does it close it")

    def state(self) -> dict[str, Any]:
        return {"state": "ok"}


class FakeExecutor:
    def __init__(self) -> None:
        self.executed: list[Command] = []
        self.told: Callable[[], None] = lambda: None

    def execute(self, commands: Sequence[Command]) -> None:
        self.told()
        self.executed += commands
