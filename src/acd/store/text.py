"""Making strangers' text and values storable. Callers' names come off the wire: they may hold anything.

PostgreSQL stores no NUL and neither database a lone surrogate; an index entry has a size limit. Nothing here decides
what a value means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

TEXT_MAX = 500
"""Characters kept of a text that may stand in an index: PostgreSQL's limit is about 2,700 bytes an entry."""

_INT_MAX = 2**31 - 1
_TIME_MIN_S, _TIME_MAX_S = 0.0, 253_402_300_799.0
_DEPTH_MAX = 50


NOTES_MAX = 10_000
"""Characters kept of a text that no index holds."""


def storable(text: str, at_most: int = TEXT_MAX) -> str:
    """``text`` without what no database takes, at most ``at_most`` characters. Cheap where nothing is wrong."""
    if len(text) <= at_most and text.isprintable():
        return text
    return _cleaned(text[:at_most])


def _cleaned(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def forced(value: Any, kind: str) -> Any:
    """``value`` bent until any database takes it as ``kind`` (text, int, time, json): the last resort for a row that
    was refused. A time or number that makes no sense becomes 0, since its column may not be null."""
    if value is None and kind != "json":
        return None
    if kind == "json":
        return forced_json(value)
    if kind == "text":
        return _cleaned(str(value)[:TEXT_MAX])
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        return 0
    if kind == "time":
        return min(max(number, _TIME_MIN_S), _TIME_MAX_S)
    return int(min(max(number, -_INT_MAX), _INT_MAX))


def forced_json(value: Any, depth: int = 0) -> Any:
    """``value`` as plain JSON: keys become text, NaN becomes null, strangers become their ``str``."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _cleaned(value)
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= _DEPTH_MAX:
        return "..."
    if isinstance(value, Mapping):
        return {_cleaned(str(key)): forced_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [forced_json(item, depth + 1) for item in value]
    return _cleaned(str(value))
