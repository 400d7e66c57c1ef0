"""A rule that the records break, and where."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from acd.domain.values import valueclass

RULES = {
    "ended": "a call that is over says when, how and by whom (as its last conversation does) it ended, not before it began",
    "chain": "the stretches of a call lie end to end from its entry to its end",
    "length": "their lengths add up to the call's, to the microsecond",
    "talk": "a call is answered when the first conversation begins, by who talks in it, and ends accordingly",
    "hold": "a hold, consultation and conference lie within a conversation of the same agent and offer",
    "facts": "the sums kept with a call equal those of its stretches; while it lasts there are none",
    "target": "a transferred call says where it went",
    "channel": "a call names its channel and linkedid, and a channel is one call at a time",
    "from_call": "what a call came from was on its channel, or linked to it, and was over before",
    "wrap": "a wrap-up is of whoever talked in its offer, and open only while he is in it",
    "state": "an agent's intervals lie end to end, and the last is the state in force",
    "reason": "an interval says why, or in which call, where that is due",
    "overlap": "nobody is on two calls at once",
    "talking": "agents' intervals and calls' stretches tell of the same conversations",
    "offer": "an offer is made to one agent, or to several at once as was decided, for one call",
    "explained": "every offer is explained",
    "word": "states, kinds and endings are words that there are, and what is kept as JSON can be read",
    "cause": "the cause of an end is one of Q.850, 0 to 127, and there if somebody hung up after a conversation",
    "queue": "calls and stretches name queues that a configuration had",
    "orphan": "what is said of a call is said of one that there is",
}
"""Every rule by its word."""


@valueclass(frozen=True, slots=True)
class Violation:
    """``rule`` is one of RULES; ``call`` and ``agent`` whom it concerns, as far as it concerns one."""

    rule: str
    message: str
    call: str | None = None
    agent: str | None = None

    def as_json(self) -> dict[str, Any]:
        """``{"rule", "message", "call", "agent"}``."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"
