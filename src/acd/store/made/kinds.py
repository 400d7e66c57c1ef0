"""The queues of calls that never were. Pure values."""

from __future__ import annotations

from acd.domain.values import valueclass


@valueclass(frozen=True, slots=True)
class Kind:
    """A queue: its share of the calls, typical talk and wrap-up (s), the client, how many numbers lead to it; what it asks
    of agents, the first as a rule; where callers go whom nobody takes for ``overflow_s``, and to whom agents escalate them.
    ``campaign``: nobody calls it, its people are called."""

    queue: str
    share: float
    talk_s: float
    wrap_s: float
    client: str | None
    dids: int
    requirements: tuple[str, ...] = ("",)
    overflow: str | None = None
    overflow_s: float = 60.0
    escalation: str | None = "vip"
    campaign: bool = False


KINDS = (
    Kind("sales", 0.26, 240, 30, "northwind", 3, ("sales >= 50", "sales >= 50 and nl >= 60"), "orders"),
    Kind("support", 0.32, 300, 45, "northwind", 3, ("support >= 60", "support >= 60 and (de >= 80 or en >= 90)"), "sales"),
    Kind("billing", 0.15, 180, 20, "northwind", 1, ("billing >= 60 and en >= 50",), "support"),
    Kind("returns", 0.10, 150, 15, "fabrikam", 2, ("", "returns >= 40"), "orders"),
    Kind("orders", 0.09, 200, 20, "fabrikam", 2),
    Kind("vip", 0.03, 360, 60, None, 1, ("support >= 90 and sales >= 70",), escalation=None),
    Kind("spring", 0.05, 120, 25, "northwind", 1, ("sales >= 50",), escalation=None, campaign=True),
)  # fmt: skip
PLACES = {kind.queue: kind for kind in KINDS}
