"""From records to batches, and from batches to lines of the spill: slice by slice, so that no single step holds up the
event loop. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from acd.domain.records import Record
from acd.store.backend import Breather, dumps
from acd.store.fold import Stage
from acd.store.operations import BY_NAME, Batch, Operation, Row
from acd.store.spill import Mark, payload
from acd.store.text import forced

_SLICE = 64
_ROWS_AT_ONCE = 256
"""So many are JSON within a millisecond, and in one go for less than in slices."""


@dataclass(slots=True)
class Run:
    """Records that follow each other. ``first`` is the number of the first of them among all that this life accepted,
    from 1; ``mark`` is the place in the spill behind them, if they are in it."""

    first: int
    records: Sequence[Record]
    mark: Mark | None = None

    @property
    def last(self) -> int:
        return self.first + len(self.records) - 1


async def folded(
    writer: str, runs: Sequence[Run], refused: Callable[[Record, Exception], None] | None = None
) -> list[Batch]:
    """The runs as few batches. ``refused`` hears of every record nobody taught the store; without it, they are passed
    over, as when they were refused before.

    A batch has the number of its last record. So the same records, cut into other batches, are known again: what has
    the number of a stored batch, or a lower one, is in the database.
    """
    stages, breather = [Stage()], Breather()
    ends: list[int] = []
    for run in runs:
        for start in range(0, len(run.records), _SLICE):
            for number, record in enumerate(run.records[start : start + _SLICE], run.first + start):
                try:
                    if not stages[-1].add(record):
                        ends.append(number - 1)
                        stages.append(Stage())
                        stages[-1].add(record)
                except Exception as error:
                    if refused is not None:
                        refused(record, error)
            await breather.rest()
    ends.append(runs[-1].last)
    of = ((number, stage.rows()) for number, stage in zip(ends, stages, strict=True))
    return [Batch(writer, number, rows) for number, rows in of if rows]


async def line(batch: Batch) -> bytes:
    """A batch as a line's payload; what is not JSON is bent until it is."""
    try:
        return await _payload(batch)
    except (TypeError, ValueError, RecursionError):
        return await _payload(bent(batch))


async def _payload(batch: Batch) -> bytes:
    if batch.count() <= _ROWS_AT_ONCE:
        return dumps({"writer": batch.writer, "batch": batch.number, "rows": batch.rows}).encode("utf-8")
    return payload(batch, await _rows_as_json(batch.rows))


async def _rows_as_json(by_name: dict[str, list[Row]]) -> dict[str, str]:
    breather, texts = Breather(), {}
    for name, rows in by_name.items():
        slices = []
        for start in range(0, len(rows), _SLICE):
            slices.append(dumps(rows[start : start + _SLICE])[1:-1])
            await breather.rest()
        texts[name] = f"[{','.join(slices)}]"
    return texts


def bent(batch: Batch) -> Batch:
    """The batch with every value replaced that no database takes."""
    rows = {
        name: [
            [
                forced(value, BY_NAME[name].kind(column))
                for value, column in zip(row, BY_NAME[name].columns, strict=True)
            ]
            for row in of
        ]
        for name, of in batch.rows.items()
    }
    return Batch(batch.writer, batch.number, rows)


def parted(batch: Batch) -> tuple[Batch, Batch]:
    """The batch without the rows that lack what their table must have, and these rows alone. Of a bent batch, they are
    the only ones that no database takes."""
    fit: dict[str, list[Row]] = {}
    unfit: dict[str, list[Row]] = {}
    for name, rows in batch.rows.items():
        operation = BY_NAME[name]
        required = [place for place, column in enumerate(operation.columns) if _is_required(operation, column)]
        for row in rows:
            lacks = any(row[place] is None for place in required)
            (unfit if lacks else fit).setdefault(name, []).append(row)
    return Batch(batch.writer, batch.number, fit), Batch(batch.writer, batch.number, unfit)


def _is_required(operation: Operation, column: str) -> bool:
    """JSON has a null of its own, and a patch leaves alone what it keeps."""
    if operation.verb != "put" and column in operation.kept:
        return False
    return not operation.table.c[column].nullable and operation.kind(column) != "json"
