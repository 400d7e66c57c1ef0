"""What stands in a column of JSON and is none: somebody else's tool wrote it. SQLite keeps whatever it is given."""

from __future__ import annotations

import json
from typing import Any


class Unreadable(str):
    """The text that stands in JSON's place."""

    __slots__ = ()


def tolerant(text: str | bytes) -> Any:
    """A JSON value; Unreadable where there is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return Unreadable(text if isinstance(text, str) else text.decode("utf-8", "replace"))
