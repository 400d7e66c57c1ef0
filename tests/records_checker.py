"""What must hold in any database of records once the service has stopped, whatever calls were made: the product's rules."""

from __future__ import annotations

from pathlib import Path

from acd.records.verify import Verifier

MAX_SHOWN = 20


def check_records(path: Path) -> None:
    """Raise AssertionError with everything that is wrong with the records in the SQLite database at ``path``."""
    wrong = problems_of(f"sqlite:///{path}")
    more = f"\n... and {len(wrong) - MAX_SHOWN} more" if len(wrong) > MAX_SHOWN else ""
    assert not wrong, f"{path} contradicts itself:\n" + "\n".join(wrong[:MAX_SHOWN]) + more


def problems_of(url: str) -> list[str]:
    """Every contradiction, in words; nothing may be under way any more."""
    return [str(violation) for violation in Verifier(url, finished=True).violations()]
