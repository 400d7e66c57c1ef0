"""Places in the operator's dialplan, as people write them: ``CONTEXT,EXTEN[,PRIORITY]`` or a number alone."""

from __future__ import annotations

import re
from typing import Final

from acd.domain.definition import ToDialplan

TRANSFER_CONTEXT: Final = "acd-transfer"
"""Where a number alone is looked up: a context of the operator's, which dials what agents may be sent to."""

_CONTEXT = re.compile(r"[A-Za-z0-9_.-]{1,79}", re.ASCII)
_EXTEN = re.compile(r"[A-Za-z0-9+*#_.-]{1,79}", re.ASCII)
_NUMBER = re.compile(r"[0-9+*#]{1,40}", re.ASCII)
_PRIORITY = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


def is_number(text: str) -> bool:
    """Whether ``text`` is a number alone."""
    return _NUMBER.fullmatch(text) is not None


def place_of(text: str) -> ToDialplan:
    """The place that ``text`` names. Raises ValueError, which says how to write one."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and is_number(parts[0]):
        return ToDialplan(TRANSFER_CONTEXT, parts[0])
    priority = parts[2] if len(parts) == 3 else "1"
    if (
        len(parts) in (2, 3)
        and _CONTEXT.fullmatch(parts[0])
        and _EXTEN.fullmatch(parts[1])
        and _PRIORITY.fullmatch(priority)
    ):
        return ToDialplan(parts[0], parts[1], int(priority))
    raise ValueError(
        "is no place to send a caller to: write a number such as 0201555 or a place in the dialplan, CONTEXT,EXTEN or "
        "CONTEXT,EXTEN,PRIORITY"
    )
