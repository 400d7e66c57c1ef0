"""What an Asterisk must have: named where it is missing, and asked only of those who need it."""

from __future__ import annotations

from typing import Any

import pytest

from acd.asterisk.suitable import check_parts
from acd.domain.errors import AsteriskUnsuitableError


class Session:
    """Asterisk's console without ``missing``."""

    def __init__(self, *missing: str) -> None:
        self.missing = missing

    async def send(self, action: str, fields: Any) -> dict[str, str]:
        assert action == "Getvar"
        asked = dict(fields)["Variable"]
        return {"Value": "0" if any(f"({one})" in asked for one in self.missing) else "1"}


@pytest.mark.parametrize(
    ("missing", "outbound", "lasting", "said"),
    [
        ("app_dial.so", False, False, "Asterisk lacks app_dial: load them"),
        ("func_db.so", True, False, "Asterisk lacks func_db: load them"),
        ("acd-hold", False, False, "the dialplan has no acd-hold: #include extensions_acd.conf"),
        ("acd-out", True, False, "the dialplan has no acd-out"),
        ("acd-line", False, True, "the dialplan has no acd-line"),
    ],
)
async def test_what_is_missing_is_named(missing: str, outbound: bool, lasting: bool, said: str) -> None:
    session: Any = Session(missing)
    with pytest.raises(AsteriskUnsuitableError, match=said):
        await check_parts(session, outbound=outbound, lasting=lasting)


@pytest.mark.parametrize("missing", [(), ("func_db.so", "acd-out", "acd-line")])
async def test_who_needs_less_is_asked_for_less(missing: tuple[str, ...]) -> None:
    session: Any = Session(*missing)
    await check_parts(session, outbound=not missing, lasting=not missing)
