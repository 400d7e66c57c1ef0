"""One line that was dialled: what is known of it, what a look at Asterisk's channels tells of it, what it came to."""

from __future__ import annotations

from dataclasses import dataclass

from acd.asterisk.ami.messages import Message
from acd.domain import outbound as out
from acd.domain.campaigns import AttemptOutcome

_NO_ANSWER_CAUSES = frozenset({18, 19, 20})
_INVALID_CAUSES = frozenset({1, 22, 28})
_CONGESTION_CAUSES = frozenset({34, 38, 41, 42, 44, 46, 47})
_OF_NO_CAUSE = frozenset({None, 0, 16, 26, 31})
_REASON_TIMEOUT = "3"
_RINGS = frozenset({"4", "5"})
"""Ring, Ringing. Until a trunk says 180 a channel is Down, and stays so with early media (183)."""
_HELD = frozenset({"acd-wait", "acd-hold", "acd-register"})


@dataclass(slots=True)
class Line:
    """What is known of one attempt. ``exists``: its channel was heard of; ``status``: how DialEnd says dialling ended;
    ``response``, ``reason``: of OriginateResponse; ``gone_at``: when it hung up; ``failed_at``: when Originate failed;
    ``heard_at``: the last event; ``served``: an agent talked to it; ``taken_back``: we hang it up; ``missed``: some of what
    Asterisk said of it may not have been heard, for there was no connection."""

    attempt: str
    sent_at: float
    heard_at: float
    placed: bool = False
    exists: bool = False
    rang: bool = False
    answered: bool = False
    classified: out.Verdict | None = None
    status: str = ""
    response: str = ""
    reason: str = ""
    cause: int | None = None
    gone_at: float | None = None
    failed_at: float | None = None
    served: bool = False
    taken_back: bool = False
    missed: bool = False
    waiting: bool = False


def judge_line(line: Line) -> tuple[AttemptOutcome | None, str]:
    """What an attempt came to whose line is gone, and in words by what. Of one that was answered, nothing."""
    said = f"dial status {line.status or 'none'}, reason {line.reason or 'none'}, cause {line.cause}"
    if line.answered:
        return None, said
    if not line.exists:
        if line.missed:
            return None, f"what became of it was not heard; {said}"
        return AttemptOutcome.WITHDRAWN, "Asterisk has no such endpoint, or no address of it that it can reach"
    if line.reason == _REASON_TIMEOUT:
        # A trunk from which not even a ringing comes has not rung anybody
        rang = line.rang or line.missed
        return (AttemptOutcome.NO_ANSWER, said) if rang else (AttemptOutcome.FAILED, f"nothing rang; {said}")
    if line.cause == 17 or (line.status == "BUSY" and line.cause in _OF_NO_CAUSE):
        return AttemptOutcome.BUSY, said
    if line.cause == 21:
        return AttemptOutcome.DECLINED, said
    if line.cause in _INVALID_CAUSES:
        return AttemptOutcome.INVALID, said
    if line.cause in _CONGESTION_CAUSES or (line.status == "CONGESTION" and line.cause in _OF_NO_CAUSE):
        return AttemptOutcome.CONGESTION, said
    if line.cause in _NO_ANSWER_CAUSES:
        return AttemptOutcome.NO_ANSWER, said
    if line.cause not in _OF_NO_CAUSE:
        return AttemptOutcome.FAILED, said
    if line.taken_back:
        # Hung up before anybody answered: whoever did would have been heard, or is Up at the look
        return AttemptOutcome.NO_ANSWER if line.rang else AttemptOutcome.FAILED, f"taken back; {said}"
    if line.status == "NOANSWER":
        return AttemptOutcome.NO_ANSWER if line.rang else None, said
    return None, f"nothing more was heard of it; {said}"


def seen_attempt(channel: Message, at: float) -> out.SeenAttempt | None:
    """The attempt whose line ``channel`` (a CoreShowChannel item) is, if it is one."""
    attempt = channel.get("Uniqueid", "")
    if not out.ATTEMPT.fullmatch(attempt):
        return None
    context = channel.get("Context", "")
    if channel.get("ChannelState") != "6" and channel.get("ChannelStateDesc") != "Up":
        rings = channel.get("ChannelState") in _RINGS
        state = out.SeenState.RINGING if rings else out.SeenState.DIALLING
    elif channel.get("BridgeId"):
        state = out.SeenState.TALKING
    elif context == "acd-machine":
        state = out.SeenState.MACHINE
    elif context in ("acd-message", "acd-leave", "acd-pressed"):
        state = out.SeenState.MESSAGE
    elif context in _HELD or context == "acd-offer":
        state = out.SeenState.WAITING
    elif context == "acd-out" or channel.get("Application") == "AppDial2":
        state = out.SeenState.ASKING
    else:
        state = out.SeenState.ELSEWHERE
    return out.SeenAttempt(attempt, state, at - _seconds(channel.get("Duration", "")))


def _seconds(duration: str) -> float:
    """``00:01:05`` in seconds; 0 for anything else."""
    parts = duration.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return 0.0
    hours, minutes, seconds = map(int, parts)
    return hours * 3600.0 + minutes * 60.0 + seconds
