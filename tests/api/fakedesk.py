"""A desk over plain lists, for tests of what stands on it (HTTP, CLI)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fakesamples import HOSTILE, NOW

from acd.domain.annotations import Annotation, changed_tags, checked_disposition, joined_notes
from acd.domain.errors import UnknownNameError

WORDS = ("sold", "called back", "wrong number")


class FakeDesk:
    """DeskPort; ``entries`` are the audit log, oldest first."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.mask = True
        self.operators: set[int] = set()
        self.operators_groups: set[int] = set()
        self.rows = rows
        self.entries: list[dict[str, Any]] = []
        self.forgotten: list[str] = []
        self.filters: dict[str, Any] = {}
        self.revision_rows = [
            {"revision": "bbbb22223333", "loaded_at": NOW - 100, "who": "user:anna"},
            {"revision": "aaaa11112222", "loaded_at": NOW - 900, "who": HOSTILE},
        ]
        self.details: dict[str, Any] = {}

    def is_operator(self, uid: int, groups: Collection[int]) -> bool:
        return uid in self.operators or not self.operators_groups.isdisjoint(groups)

    async def annotate(self, call: str, said: Annotation) -> dict[str, Any]:
        row = next((row for row in self.rows if row["call"] == call), None)
        if row is None:
            raise UnknownNameError("call", call)
        if said.disposition is not None:
            row["disposition"] = checked_disposition(said.disposition, WORDS)
        if said.notes is not None:
            row["notes"] = joined_notes(row.get("notes") or "", said.notes, append=said.append)
        row["tags"] = list(changed_tags(row.get("tags") or (), said.add_tags, said.remove_tags))
        return {"call": call, **{key: row.get(key) for key in ("disposition", "notes", "tags")}}

    async def revisions(self, *, limit: int) -> list[dict[str, Any]]:
        return self.revision_rows[:limit]

    async def revision(self, name: str) -> dict[str, Any] | None:
        row = next((row for row in self.revision_rows if row["revision"] == name), None)
        return None if row is None else {**row, "detail": self.details.get(name, {"definition": {}})}

    async def audit(self, *, limit: int, **filters: Any) -> list[dict[str, Any]]:
        self.filters = filters
        return self.entries[::-1][:limit]

    async def forget(self, number: str) -> dict[str, Any]:
        self.forgotten.append(number)
        return {"forgotten": True, "configured": False, "live": [], "journal": None}

    def audited(self, who: str, action: str, subject: str, detail: dict[str, Any]) -> None:
        entry = {"entry": f"a{len(self.entries)}", "at": NOW, "who": who, "action": action, "subject": subject}
        self.entries.append({**entry, "detail": detail})
