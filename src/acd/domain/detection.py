"""How many people machine detection hangs up on, as far as agents can tell. Pure.

Some of the lines that it finds to be machines' are put through all the same, and agents say what they were: of those, so
many were people; the others were hung up on unheard. The interval is Wilson's (1927), which holds for few and for none.
"""

from __future__ import annotations

import math
from typing import Any, Final

from acd.domain.values import valueclass

LEAST: Final = 100
"""Lines that agents have looked at before what they say is gone by."""
_Z: Final = 1.959964
"""Two-sided 95 %."""


@valueclass(frozen=True, slots=True)
class Detected:
    """Lines that were answered while machines were told from people. ``hung_up``: found to be machines', and hung up on (or
    left a message); ``audited``: found to be, and put through; ``said``: those of them that an agent has said something of,
    ``people``: who were people; ``through``: people, or who might be, who counted as such."""

    hung_up: int = 0
    audited: int = 0
    said: int = 0
    people: int = 0
    through: int = 0

    @property
    def share(self) -> float | None:
        """Of people, those who were hung up on; None before anybody has looked."""
        return self._of_people(self.people / self.said) if self.said else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where that share is, 19 times in 20."""
        if not self.said:
            return None
        low, high = wilson(self.people, self.said)
        return self._of_people(low), self._of_people(high)

    @property
    def upper(self) -> float | None:
        """The share that a ledger goes by: the upper end; None before enough was looked at."""
        interval = self.interval
        return interval[1] if interval is not None and self.said >= LEAST else None

    def _of_people(self, of_machines: float) -> float:
        lost = self.hung_up * of_machines
        reached = self.through + self.people
        return lost / (lost + reached) if lost else 0.0

    def as_json(self) -> dict[str, Any]:
        """Counts, and the share with its interval."""
        share, interval = self.share, self.interval
        return {
            "hung_up": self.hung_up,
            "audited": self.audited,
            "said": self.said,
            "people": self.people,
            "through": self.through,
            "share": None if share is None else round(share, 5),
            "low": None if interval is None else round(interval[0], 5),
            "high": None if interval is None else round(interval[1], 5),
        }


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share of which ``hits`` of ``of`` (at least 1) were seen."""
    p, z2 = hits / of, _Z * _Z
    middle = p + z2 / (2 * of)
    reach = _Z * math.sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    return max(0.0, (middle - reach) / (1 + z2 / of)), min(1.0, (middle + reach) / (1 + z2 / of))
