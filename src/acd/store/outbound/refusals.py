"""What a database refuses for good: a value that it cannot hold, a rule that it has. Said again, it is refused again."""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DataError, IntegrityError, StatementError

from acd.domain.errors import MisuseError

_STATES: Final = ("22", "23", "54")
"""Classes of SQLSTATE: data, constraints, limits."""
_OF_VALUES: Final = (TypeError, ValueError, OverflowError, RecursionError, MisuseError)
"""On the way to the database: what no statement can be made of."""


def is_refusal(error: BaseException) -> bool:
    """Whether this is about what was to be stored, and not about the database."""
    if isinstance(error, (IntegrityError, DataError, *_OF_VALUES)):
        return True
    if not isinstance(error, StatementError):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error.orig, _OF_VALUES) or state[:2] in _STATES
