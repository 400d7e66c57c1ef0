"""Which calls must say why they ended: those of which Asterisk told it. Pure."""

from __future__ import annotations

from acd.domain.states import CallOutcome
from acd.records.rows import CallRow
from acd.records.violation import Violation


def lacks_cause(call: CallRow) -> bool:
    """Whether a call has no cause though somebody hung up after a conversation, so that Asterisk told one.

    It tells none of calls that went on without us, and we know none where we ended a call or did not see its end. Whoever
    hangs up waiting may have been gone before we asked for his channel, which then says nothing any more.
    """
    return call.cause is None and call.outcome == CallOutcome.ANSWERED and call.ended_by in ("caller", "agent")


def no_cause(call: CallRow) -> Violation:
    """What is wrong then."""
    return Violation("cause", f"call {call.call} was hung up by the {call.ended_by}, and has no cause", call.call)
