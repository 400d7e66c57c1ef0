"""The rules of one call: its row, its stretches, what was decided on it. Pure; times are microseconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from acd.domain.states import CallOutcome, OfferOutcome, SegmentKind
from acd.records.rows import CallRow, SegmentRow
from acd.records.violation import Violation

OUTCOMES = frozenset(CallOutcome)
ENDERS = frozenset({"caller", "agent", "system", "unknown"})
TALKED = frozenset({CallOutcome.ANSWERED, CallOutcome.TRANSFERRED, CallOutcome.LOST_TRACK})
"""How a call may end in which somebody talked."""
NOT_TALKED = OUTCOMES - {CallOutcome.ANSWERED, CallOutcome.TRANSFERRED}
AMID = frozenset({SegmentKind.HELD, SegmentKind.CONSULTED, SegmentKind.CONFERENCED})
"""What comes only within a conversation, which begins with talk."""
CONVERSATION = frozenset({SegmentKind.TALKED, *AMID})
WITH_AGENT = frozenset({SegmentKind.OFFERED, SegmentKind.RANG, *CONVERSATION})
JOINED = "joined"
"""How a stretch ends whose offer goes on in another call: the agent's phone has made one of the two."""
PASSED_ON = frozenset({"escalated", "transferred", JOINED, "overflowed", "moved"})
"""How one ends by which the call came into another queue."""
RESTART = "restart"
"""How one ends of which the next life knew nothing: it takes up what it finds on the line as another call."""

Explained = Mapping[str, frozenset[str]]
"""The offers explained, each with all agents it was made to (none: one only)."""


def call_violations(
    call: CallRow, segments: Sequence[SegmentRow], explained: Explained | None, *, finished: bool
) -> Iterator[Violation]:
    """What is wrong with a call. ``segments`` by serial; ``explained`` None: explanations may be gone by now.

    ``finished``: no call may be under way.
    """
    line = [segment for segment in segments if segment.kind != SegmentKind.WRAPPED]
    if call.ended_at is None:
        if finished:
            yield _wrong("ended", call, "never ended")
        yield from _open_chain(call, line)
    else:
        yield from _end(call, line, call.ended_at)
        yield from _chain(call, line, call.ended_at)
    for segment in segments:
        if segment.ended_at is not None and segment.ended_at < segment.started_at:
            yield _wrong("chain", call, f"stretch {segment.serial} ({segment.kind}) ends before it starts")
    for name in ("channel", "linkedid"):
        if not getattr(call, name):
            yield _wrong("channel", call, f"names no {name}")
    yield from _talk(call, line)
    yield from _hold(call, line)
    yield from _wraps(call, segments)
    yield from _facts(call, segments, line)
    yield from _offers(call, line, explained)


def _wrong(rule: str, call: CallRow, message: str) -> Violation:
    return Violation(rule, f"call {call.call} {message}", call.call)


def _end(call: CallRow, line: Sequence[SegmentRow], ended_at: int) -> Iterator[Violation]:
    if call.outcome not in OUTCOMES or call.ended_by not in ENDERS:
        yield _wrong("ended", call, f"ended as {call.outcome!r} by {call.ended_by!r}")
    if ended_at < call.entered_at:
        yield _wrong("ended", call, f"ended {_s(call.entered_at - ended_at)} before it entered")
    if call.outcome == CallOutcome.ANSWERED and call.target is not None and not _is_told(call.target):
        yield _wrong("target", call, "is answered, which it would not be had it been sent to its target")
    if call.outcome == CallOutcome.ANSWERED and len(line) > 1 and line[-1].kind == SegmentKind.AFTER:
        # Nobody may have seen the end; whoever did knows who hung up first
        left = line[-2].outcome
        if {left, call.ended_by} == {"agent", "caller"}:
            yield _wrong("ended", call, f"ended by the {call.ended_by}, and its last conversation by the {left}")


def _is_told(target: str) -> bool:
    """Whether a queue that could not serve its caller, with whom somebody had talked before, hung up instead of sending
    him on."""
    return target == "hangup" or target.startswith("message ")


def _chain(call: CallRow, line: Sequence[SegmentRow], ended_at: int) -> Iterator[Violation]:
    if not line:
        if call.entered_at != ended_at:
            yield _wrong("chain", call, f"has no stretches, and lasted {_s(ended_at - call.entered_at)}")
        return
    begins = [segment.started_at for segment in line]
    ends = [segment.ended_at for segment in line]
    if [call.entered_at, *ends] != [*begins, ended_at]:
        shown = ", ".join(
            f"{segment.kind} {_from(call, segment.started_at)} to {_from(call, segment.ended_at)}" for segment in line
        )
        yield _wrong("chain", call, f"lasted {_s(ended_at - call.entered_at)}, its stretches do not lie so: {shown}")
    if line[0].kind != SegmentKind.ENTERED:
        yield _wrong("chain", call, f"begins with {line[0].kind}")
    total = sum(segment.ended_at - segment.started_at for segment in line if segment.ended_at is not None)
    if total != ended_at - call.entered_at:
        yield _wrong("length", call, f"lasted {_s(ended_at - call.entered_at)}, its stretches add up to {_s(total)}")


def _open_chain(call: CallRow, line: Sequence[SegmentRow]) -> Iterator[Violation]:
    """Of a call that lasts: what there is so far, the last stretch open."""
    if not line:
        return
    at: int | None = call.entered_at
    for segment in line:
        if segment.started_at != at:
            where = "nothing that ended" if at is None else _from(call, at)
            yield _wrong(
                "chain", call, f"stretch {segment.serial} ({segment.kind}) begins at {_from(call, segment.started_at)}"
                f" behind {where}",
            )  # fmt: skip
        at = segment.ended_at


def open_violations(call: CallRow, segments: Sequence[SegmentRow]) -> Iterator[Violation]:
    """What is wrong with the end of what there is so far of a call that lasts: its last stretch, and no other, is open."""
    line = [segment for segment in segments if segment.kind != SegmentKind.WRAPPED]
    if not line:
        yield _wrong("chain", call, "lasts, and has no stretches")
    elif (ended_at := line[-1].ended_at) is not None:
        last = f"{line[-1].serial} ({line[-1].kind})"
        yield _wrong("chain", call, f"lasts, and its last stretch {last} ended at {_from(call, ended_at)}")


def _talk(call: CallRow, line: Sequence[SegmentRow]) -> Iterator[Violation]:
    talked = next((segment for segment in line if segment.kind == SegmentKind.TALKED), None)
    if talked is None or call.answered_at is None:
        if talked is not None or call.answered_at is not None:
            said = "was answered, and nobody talks" if talked is None else "was not answered, and somebody talks"
            yield _wrong("talk", call, said)
    elif talked.started_at != call.answered_at:
        apart = _s(abs(talked.started_at - call.answered_at))
        yield _wrong("talk", call, f"was answered {apart} from where its first conversation begins")
    elif talked.agent != call.agent:
        yield _wrong("talk", call, f"was answered by {call.agent}, and {talked.agent} talks")
    if call.ended_at is not None and call.outcome in OUTCOMES:
        if talked is not None and call.outcome not in TALKED:
            yield _wrong("talk", call, f"is {call.outcome}, and somebody talked")
        # An agent's own call to a colleague is transferred when he joins his caller with it, whomever it had reached
        joined = bool(line) and line[-1].outcome == JOINED and call.outcome == CallOutcome.TRANSFERRED
        if talked is None and call.outcome not in NOT_TALKED and not joined:
            yield _wrong("talk", call, f"is {call.outcome}, and nobody talked")


def _hold(call: CallRow, line: Sequence[SegmentRow]) -> Iterator[Violation]:
    for before, segment in pairwise((None, *line)):
        if segment is None or segment.kind not in AMID:
            continue
        within = before is not None and before.kind in CONVERSATION
        if not within or before is None or (before.agent, before.offer) != (segment.agent, segment.offer):
            beside = "nothing" if before is None else f"{before.kind} of {before.agent}"
            yield _wrong("hold", call, f"stretch {segment.serial} ({segment.kind} by {segment.agent}) follows {beside}")


def _wraps(call: CallRow, segments: Sequence[SegmentRow]) -> Iterator[Violation]:
    talked = [segment for segment in segments if segment.kind == SegmentKind.TALKED]
    for segment in segments:
        if segment.kind == SegmentKind.WRAPPED and not any(_is_after(segment, talk) for talk in talked):
            after = f"offer {segment.offer}" if segment.offer else "it"
            yield Violation(
                "wrap",
                f"call {call.call} is wrapped up by {segment.agent}, who did not talk in {after}",
                *(call.call, segment.agent),
            )


def _is_after(wrap: SegmentRow, talk: SegmentRow) -> bool:
    """Whether a wrap-up is of this conversation."""
    return wrap.agent is not None and wrap.agent == talk.agent and wrap.offer in (None, talk.offer)


def _facts(call: CallRow, segments: Sequence[SegmentRow], line: Sequence[SegmentRow]) -> Iterator[Violation]:
    kept = {name: getattr(call, name) for name in FACTS}
    if call.ended_at is None:
        given = [name for name, value in kept.items() if value is not None]
        if given:
            yield _wrong("facts", call, f"lasts, and has {', '.join(given)} already")
        return
    if any(segment.ended_at is None for segment in line):
        return
    right = facts_of(call.queue, segments)
    for name, value in kept.items():
        if value != right[name]:
            yield _wrong("facts", call, f"says {name} {value}, its stretches say {right[name]}")


FACTS = ("wait_us", "rewait_us", "talk_us", "hold_us", "after_us", "wrap_us", "offers", "ronas", "talks", "passages")
_SUMMED: Mapping[str, str] = {
    SegmentKind.ENTERED: "wait_us",
    SegmentKind.WAITED: "wait_us",
    SegmentKind.OFFERED: "wait_us",
    SegmentKind.RANG: "wait_us",
    SegmentKind.TALKED: "talk_us",
    SegmentKind.CONFERENCED: "talk_us",
    SegmentKind.HELD: "hold_us",
    SegmentKind.CONSULTED: "hold_us",
    SegmentKind.AFTER: "after_us",
    SegmentKind.WRAPPED: "wrap_us",
}


def facts_of(queue: str, segments: Sequence[SegmentRow]) -> dict[str, int | None]:
    """The sums over a call's stretches; ``queue``: where it was last. ``wrap_us`` is None while a wrap-up lasts."""
    sums: dict[str, int | None] = dict.fromkeys(FACTS, 0)
    first_talk = min((segment.serial for segment in segments if segment.kind == SegmentKind.TALKED), default=None)
    for segment in segments:
        name = _SUMMED.get(segment.kind)
        if name == "wait_us" and first_talk is not None and segment.serial > first_talk:
            name = "rewait_us"
        so_far = None if name is None else sums[name]
        if name is not None and so_far is not None:
            sums[name] = None if segment.ended_at is None else so_far + segment.ended_at - segment.started_at
    rang = [segment for segment in segments if segment.kind in (SegmentKind.OFFERED, SegmentKind.RANG)]
    sums["offers"] = len({segment.offer for segment in segments if segment.offer is not None})
    sums["ronas"] = len({(one.offer, one.agent) for one in rang if one.outcome == OfferOutcome.NO_ANSWER})
    sums["talks"] = len({(one.offer, one.agent) for one in segments if one.kind == SegmentKind.TALKED})
    sums["passages"] = sum(one.queue != queue or one.outcome in PASSED_ON for one in segments)
    return sums


def _offers(call: CallRow, line: Sequence[SegmentRow], explained: Explained | None) -> Iterator[Violation]:
    owners: dict[str, set[str]] = {}
    for segment in line:
        if segment.kind in WITH_AGENT:
            if segment.agent is None or segment.offer is None:
                yield _wrong("offer", call, f"stretch {segment.serial} ({segment.kind}) has no agent or no offer")
            else:
                owners.setdefault(segment.offer, set()).add(segment.agent)
    for offer, agents in owners.items():
        if explained is None:
            continue
        if offer not in explained:
            yield _wrong("explained", call, f"has offer {offer} to {', '.join(sorted(agents))}, which is not explained")
        elif len(agents) > 1 and not agents <= explained[offer]:
            yield _wrong("offer", call, f"has offer {offer}, which belongs to {', '.join(sorted(agents))}")


def _s(us: int) -> str:
    return f"{us / 1_000_000:.6f} s"


def _from(call: CallRow, at: int | None) -> str:
    return "open" if at is None else f"{(at - call.entered_at) / 1_000_000:+.6f}"
