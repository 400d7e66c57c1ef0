"""A report as those see it who need not know callers' numbers. Rows stay rows: what is masked is no longer told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from acd.domain.numbers import HIDDEN, mask_number, masked_text
from acd.reports.model import Report, Row

Mask = Callable[[str], str]


def _hidden(text: str) -> str:
    return HIDDEN


MASKS: dict[str, Mask] = {
    "number": mask_number,
    "name": _hidden,
    **dict.fromkeys(("target", "tag", "tags", "disposition"), masked_text),
}
"""How columns are masked, by their names; the number that was dialled (``did``) is one of ours."""


def masked(report: Report) -> Report:
    """The report with callers' numbers masked and names hidden, and what could be a number in what people said."""
    how = [MASKS.get(column.name) for column in report.columns]
    settings = (*report.heading.settings, ("numbers", "masked"))
    rows: Iterable[Row] = _Rows(report.rows, how)
    return replace(report, heading=replace(report.heading, settings=settings), rows=rows)


class _Rows:
    """Rows that are masked as they are read, as often as they can be."""

    def __init__(self, rows: Iterable[Row], how: list[Mask | None]) -> None:
        self._rows, self._how = rows, how

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            yield tuple(_told(value, how) for value, how in zip(row, self._how, strict=True))


def _told(value: Any, how: Mask | None) -> Any:
    return how(value) if how is not None and isinstance(value, str) and value else value
