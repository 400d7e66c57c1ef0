"""Records without callers' numbers and names: what is kept in their place, and how it is told from a number."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from acd.domain.records import CallOpened, Record

PREFIX = "hmac:"
_SEALED = re.compile(r"hmac:[0-9a-f]{32}", re.ASCII)


def is_sealed(text: str) -> bool:
    """Whether this stands in a number's place."""
    return _SEALED.fullmatch(text) is not None


def without_number(record: Record, sealed: Callable[[str], str]) -> Record:
    """The record as it may be kept."""
    if isinstance(record, CallOpened):
        return replace(record, caller_number=sealed(record.caller_number), caller_name="")
    return record
