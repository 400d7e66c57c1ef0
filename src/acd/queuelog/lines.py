"""One line of a queue_log: ``epoch|uniqueid|queue|agent|event|data...``. Fields are as hostile as their callers."""

from __future__ import annotations

from acd.domain.values import valueclass

NONE = "NONE"
FIELD_MAX = 500


def field(value: object) -> str:
    """A value that stays one field of one line: as app_queue does with names, what would end it becomes ``_``."""
    text = str(value)[:FIELD_MAX]
    if text.isprintable() and "|" not in text:
        return text
    return "".join("_" if char == "|" or not char.isprintable() else char for char in text)


@valueclass(frozen=True, slots=True)
class Line:
    """An event at ``at`` (UTC s). ``data``: texts and numbers."""

    at: float
    uniqueid: str
    queue: str
    agent: str
    event: str
    data: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        """Without its end of line. An event without data still has the bar before it."""
        fields = (int(self.at), self.uniqueid or NONE, self.queue or NONE, self.agent or NONE, self.event)
        return "|".join([*map(field, fields), "|".join(map(field, self.data))])
