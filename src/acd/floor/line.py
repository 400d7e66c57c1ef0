"""Where a waiting call stands: for whom it waits now, when that changes, and when it leaves its queue without an agent.

A call that comes into a queue (arrival, overflow, escalation) passes ``settle``: an agent at once, a place in line, or
the way on. One that goes on waiting passes ``stand``: held for an agent of its own, or in line by the stage in force.
Nothing of channels but the command to hold; what an offer is, core knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from acd.domain import commands as do
from acd.domain import records as rec
from acd.domain.definition import Cause, Destination, Preferred, QueueDefinition, ToDialplan, ToMessage, ToQueue
from acd.domain.instant import Instant
from acd.domain.requirement import ANYONE, Requirement
from acd.domain.states import PAUSE_DECLINED, PAUSE_RONA, AgentState, CallOutcome, CallState, SegmentKind
from acd.floor import callers, exclusion
from acd.floor.calls import Call
from acd.floor.explain import BEST, explain_wait, wanted_by
from acd.routing.roster import Agent

if TYPE_CHECKING:
    from acd.floor.core import Floor

MAX_HOPS = 20
"""Overflows of one call in a row, without a place in line between: more would be a circle that no check had found."""
_DID_NOT_TAKE_IT = frozenset({PAUSE_RONA, PAUSE_DECLINED})


# -- for whom --------------------------------------------------------------------------------------------------------


def requirement_of(floor: Floor, call: Call, stage: int) -> Requirement:
    """What stage number ``stage`` of the call's queue asks of an agent for this call."""
    stages = call.queue.stages
    if not stages:
        return ANYONE
    return stages[stage].expression.bind(call.attributes, floor.definition.skills)


def stage_at(queue: QueueDefinition, waited_s: float) -> int:
    """The number of the stage in force after ``waited_s``."""
    found = 0
    for number, stage in enumerate(queue.stages):
        if stage.after_s <= waited_s:
            found = number
    return found


def stage_began_at(call: Call) -> float:
    """When the stage in force began, in the records' terms: whatever follows from it is not dated before."""
    stages = call.queue.stages
    return call.place.queue_joined_at + (stages[call.stage].after_s if call.stage < len(stages) else 0.0)


def preferred_agent(floor: Floor, call: Call, preferred: Preferred) -> Agent | None:
    """The agent a call is to be kept for, if there is one, logged in and in the queue."""
    return preferred_or_why(floor, call, preferred)[0]


def preferred_or_why(floor: Floor, call: Call, preferred: Preferred) -> tuple[Agent | None, str]:
    """The same; without one the reason why not, empty if nobody is named."""
    name: object = None
    if preferred.kind == "last_agent":
        name = callers.last_agent(floor, call.caller_number)
    elif preferred.kind == "owner":
        known = floor.definition.known_caller(call.caller_number)
        name = None if known is None else known.owner
    elif preferred.attribute is not None:
        name = call.attributes.get(preferred.attribute)
    if name is None or name == "":
        return None, ""
    agent = floor.roster.find(name) if isinstance(name, str) else None
    if agent is None:
        return None, f"there is no agent {str(name)[:40]!r}"
    if agent.state is AgentState.LOGGED_OUT:
        return None, f"{agent.name} is logged out"
    if call.queue.name not in agent.definition.queues:
        return None, f"{agent.name} is not in queue {call.queue.name}"
    if agent.name in call.excluded:
        return None, f"{agent.name} does not get it again ({call.excluded[agent.name].reason})"
    if agent.cut_off is not None:
        return None, f"{agent.name} is {agent.cut_off}"
    if agent.state is AgentState.PAUSED and agent.reason in _DID_NOT_TAKE_IT:
        return None, f"{agent.name} is paused ({agent.reason})"  # not worth waiting for
    return agent, ""


def aim(floor: Floor, call: Call, at: float, now: Instant) -> None:
    """Work out for whom ``call`` waits now (``kept_for``, ``stage``, ``requirement``), and arm the moment when that
    changes. A change is written down."""
    queue, waited_s = call.queue, max(0.0, now.utc - call.place.queue_joined_at)
    stage = stage_at(queue, waited_s)
    if call.excluded:
        exclusion.review(floor, call, could_ever(floor, call, stage, now), at, now)
    kept_for, kept_as, until_s = None, None, None
    skipped: dict[str, str] = {}
    for preferred in queue.preferred:
        if waited_s < preferred.limit_s:
            agent, why = preferred_or_why(floor, call, preferred)
            title = preferred.kind if preferred.attribute is None else f"call.{preferred.attribute}"
            if agent is not None:
                kept_for, kept_as, until_s = agent.name, title, preferred.limit_s
                break
            if why:
                skipped[title] = why
    requirement = requirement_of(floor, call, stage)
    if kept_for is None and stage + 1 < len(queue.stages):
        until_s = queue.stages[stage + 1].after_s
    before, is_next, needed = call.kept_for, stage > call.stage, call.needed
    # Known before it is written down: whoever looks around at that moment sees what holds from now on
    call.kept_for, call.kept_as, call.skipped = kept_for, kept_as, skipped
    call.stage, call.requirement = stage, requirement
    call.needed = wanted_by(call)
    if kept_for is not None and kept_for != before:
        kept: dict[str, Any] = {"queue": queue.name, "agent": kept_for, "as": kept_as, "until_s": until_s}
        kept["state"] = floor.roster.agents[kept_for].why_not or "free"
        floor.ledger.decide(call, at, "preferred", kept | ({"skipped": skipped} if skipped else {}))
    elif kept_for is None and before is not None:
        over: dict[str, Any] = {"queue": queue.name, "agent": before}
        floor.ledger.decide(call, at, "preferred_over", over | ({"skipped": skipped} if skipped else {}))
    if is_next or (needed is not None and needed != call.needed):
        detail: dict[str, Any] = {"queue": queue.name, "stage": stage}
        if queue.stages:
            detail["after_s"] = queue.stages[stage].after_s
        kind = "stage" if is_next else "needs"
        detail["needs"] = call.needed
        floor.ledger.decide(call, max(at, stage_began_at(call)) if is_next else at, kind, detail)
    call.stage_mono = None
    if until_s is not None:
        call.stage_mono = now.mono_of(call.place.queue_joined_at + until_s)
        floor.timer(call.stage_mono, "stage", call.call)


def put_in_line(floor: Floor, call: Call) -> None:
    """Let the matcher know that ``call`` waits, as ``aim`` found."""
    place, queue = call.place, call.queue
    if call.kept_for is not None:
        floor.matcher.hold_for(
            call.call,
            call.kept_for,
            queue.name,
            joined_at=place.joined_at,
            serial=place.serial,
            priority=place.priority,
            threshold_s=queue.service_level_s,
        )
    else:
        floor.matcher.wait(
            call.call,
            queue.name,
            exclusion.wanted(call, call.requirement),
            joined_at=place.joined_at,
            serial=place.serial,
            priority=place.priority,
            threshold_s=queue.service_level_s,
        )


def free_agents(floor: Floor, call: Call) -> list[str]:
    """The best free agents for ``call`` as it was aimed, as many as the queue rings at once."""
    if call.kept_for is not None:
        return [call.kept_for] if floor.matcher.is_free(call.kept_for) else []
    need = exclusion.wanted(call, call.requirement)
    ring = call.queue.ring_agents
    # As many as the explanation names, so that these are looked for once
    return floor.matcher.agents_for(call.queue.name, need, max(ring, BEST))[:ring]


def stand(floor: Floor, call: Call, at: float, now: Instant) -> None:
    """``call`` goes on waiting where it is: aim it anew and put it in line, if its node is connected."""
    aim(floor, call, at, now)
    if floor.is_synced(call.node):
        put_in_line(floor, call)


def agent_came(floor: Floor, agent: Agent, at: float, now: Instant) -> None:
    """``agent`` is there again: the calls that would rather wait for him do so from now on."""
    names = [name for name in agent.definition.queues if floor.definition.queues[name].preferred]
    for call in [call for call in floor.calls.values() if call.queue.name in names] if names else ():
        waited_s = now.utc - call.place.queue_joined_at
        if floor.matcher.is_waiting(call.call) and any(
            waited_s < preferred.limit_s and preferred_agent(floor, call, preferred) is agent
            for preferred in call.queue.preferred
        ):
            stand(floor, call, at, now)


def stage_due(floor: Floor, call: Call, at: float, now: Instant) -> None:
    """The stage in force is over, or the time with an agent of its own."""
    if call.state is not CallState.WAITING or call.going or not floor.matcher.is_waiting(call.call):
        return  # offered, or not ours to move now: aimed anew when it waits again
    floor.call_waits(call, at, now, "stage")
    review_waiting(floor, call, at, now)


# -- the way on ------------------------------------------------------------------------------------------------------


def is_open(floor: Floor, queue: QueueDefinition, at: float) -> bool:
    """Whether ``queue`` takes callers at UTC second ``at``."""
    if queue.closed:
        return False
    hours = floor.definition.hours.get(queue.hours) if queue.hours is not None else None
    return hours is None or hours.is_open(at)


def needs_from_on(floor: Floor, call: Call, stage: int) -> list[Requirement]:
    """What ``stage`` and the later ones ask for."""
    return [requirement_of(floor, call, n) for n in range(stage, len(call.queue.stages))] or [ANYONE]


def is_hopeless(floor: Floor, call: Call, now: Instant) -> bool:
    """Whether nobody of the call's queue can meet its requirement, nor that of a later stage, though it has members.
    Skills that are yet to begin or to end count."""
    if call.kept_for is not None:
        return False
    found = floor.matcher.candidates(call.queue.name, call.requirement)
    return not found.able and found.members > 0 and next(could_ever(floor, call, call.stage, now), None) is None


def could_ever(floor: Floor, call: Call, stage: int, now: Instant) -> Iterator[str]:
    """The agents of the call's queue who can meet what ``stage`` or a later one asks for, or will."""
    needs = needs_from_on(floor, call, stage)
    for agent in floor.roster.agents.values():
        if call.queue.name in agent.definition.queues:
            skills, validity = agent.definition.hoped_for(now.utc), agent.definition.skill_validity
            lasting = {s: level for s, level in skills.items() if s not in validity or validity[s][1] is None}
            # Without a skill that is yet to end he may meet what forbids that skill
            if any(need.admits(skills) or need.admits(lasting) for need in needs):
                yield agent.name


def nobody_there(floor: Floor, call: Call) -> bool:
    """Whether all who could take ``call``, now or at a later stage, are logged out."""
    if call.kept_for is not None:
        return False
    for need in needs_from_on(floor, call, call.stage):
        found = floor.matcher.candidates(call.queue.name, exclusion.wanted(call, need))
        if found.able > found.blocked.get(AgentState.LOGGED_OUT, 0):
            return False
    return True


def refusal(floor: Floor, call: Call, now: Instant) -> Cause | None:
    """Why a call that found no agent at once may not wait in its queue; None if it may."""
    queue = call.queue
    if queue.max_length is not None and floor.matcher.length(queue.name) >= queue.max_length:
        return Cause.FULL
    if is_hopeless(floor, call, now):
        return Cause.UNSATISFIABLE
    if queue.on_nobody is not None and nobody_there(floor, call):
        return Cause.NOBODY
    if queue.max_estimated_wait_s is not None:
        expected = floor.forecast.expect(floor, queue, floor.matcher.length(queue.name), now.utc)
        if expected is not None and expected.wait_s > queue.max_estimated_wait_s:
            return Cause.LONG_WAIT
    return None


def review_waiting(floor: Floor, call: Call, at: float, now: Instant) -> None:
    """Send a call in line on if its queue keeps it no longer: closed, nobody there, or nobody who ever could."""
    if not floor.matcher.is_waiting(call.call):
        return
    if call.excluded and all(name in call.excluded for name in could_ever(floor, call, call.stage, now)):
        floor.call_waits(call, at, now, "readmitted")
        if not floor.matcher.is_waiting(call.call):
            return
    cause = None
    if call.queue.closed:
        cause = Cause.CLOSED
    elif is_hopeless(floor, call, now):
        cause = Cause.UNSATISFIABLE
    elif call.queue.on_nobody is not None and nobody_there(floor, call):
        cause = Cause.NOBODY
    if cause is not None:
        leave(floor, call, cause, at, now)


def settle(floor: Floor, call: Call, at: float, now: Instant, trigger: str, *, fresh: bool) -> None:
    """``call`` came into its queue: an agent at once, a place in line, or on to wherever the queue sends it. ``fresh``:
    its channel waits to be told where to go."""
    synced = floor.is_synced(call.node)
    cause: Cause | None = None
    if not is_open(floor, call.queue, now.utc) and (fresh or synced):
        cause = Cause.CLOSED
    elif synced:
        aim(floor, call, at, now)
        chosen = [] if floor.comparing else free_agents(floor, call)
        if chosen:
            floor.offer(call, [floor.roster.agents[name] for name in chosen], at, now, trigger)
            return
        cause = None if floor.comparing else refusal(floor, call, now)
    else:
        aim(floor, call, at, now)
    if cause is not None and call.queue.destination(cause) is not None and call.hops < MAX_HOPS:
        leave(floor, call, cause, at, now, fresh=fresh)
        return
    call.hops = 0
    if call.segment_kind is not SegmentKind.WAITED or call.segment is None:
        floor.ledger.turn(call, SegmentKind.WAITED, at)
    hold = do.HoldCall if fresh else do.MarkCall
    floor.command(hold(call.node, call.channel, call.call, call.place.encode(), call.queue.hold))
    explain_wait(floor, call, at)
    if synced:
        put_in_line(floor, call)
        floor.forecast.joined(floor, call, at)


def leave(floor: Floor, call: Call, cause: Cause, at: float, now: Instant, *, fresh: bool = False) -> None:
    """``call`` leaves its queue without an agent, for where the queue sends such calls."""
    queue, destination = call.queue, call.queue.destination(cause)
    if destination is None:
        return
    if call.segment_queue != queue.name:
        # It has come from another queue in this very moment: that it was in this one is written down all the same
        at = floor.ledger.turn(call, SegmentKind.WAITED, at, "overflowed")
    floor.counts[queue.name].overflowed += 1
    if cause is Cause.UNSATISFIABLE:
        wanted = wanted_by(call)
        text = f"nobody in queue {queue.name} can ever meet {wanted}: calls go to {describe(destination)}"
        floor.command(do.RaiseAlarm("unsatisfiable", text))
    waited_s = round(max(0.0, at - call.place.queue_joined_at), 3)
    to: Any = {"queue": destination.queue} if isinstance(destination, ToQueue) else describe(destination)
    detail = {"cause": str(cause), "after_s": waited_s, "from": queue.name, "to": to}
    if cause is Cause.UNSATISFIABLE:
        detail["needs"] = wanted_by(call)
    if cause is Cause.LONG_WAIT:
        expected = floor.forecast.expect(floor, queue, floor.matcher.length(queue.name), now.utc)
        detail["expected_wait_s"] = None if expected is None else round(expected.wait_s, 1)
        detail["limit_s"] = queue.max_estimated_wait_s
    floor.ledger.decide(call, at, "overflowed", detail)
    floor.forecast.left(call, at, gave_up=False)
    if not isinstance(destination, ToQueue):
        floor.send_away(call, destination)
        floor.end_call(call, CallOutcome.OVERFLOWED, "system", None, at, now, target=str(to))
        return
    move(floor, call, floor.definition.queues[destination.queue], at, now, "overflowed", fresh=fresh)


def move(
    floor: Floor, call: Call, queue: QueueDefinition, at: float, now: Instant, how: str, *, fresh: bool = False
) -> None:
    """Into another queue, with history and rank; its rules apply from the first stage on."""
    floor.matcher.unwait(call.call)
    call.queue, call.stage, call.kept_for, call.needed = queue, 0, None, None
    call.hops += 1
    call.place = replace(call.place, queue=queue.name, queue_joined_at=at)
    floor.counts[queue.name].offered += 1
    floor.emit(rec.CallMoved(call.call, queue.name))
    if call.segment_kind is SegmentKind.WAITED:
        floor.ledger.turn(call, SegmentKind.WAITED, at, how)
    floor.arm_max_wait(call, now)
    settle(floor, call, at, now, how, fresh=fresh)


def describe(destination: Destination) -> str:
    """A destination in people's words; places in the dialplan in the dialplan's."""
    if isinstance(destination, ToQueue):
        return f"queue {destination.queue}"
    if isinstance(destination, ToDialplan):
        return f"{destination.context},{destination.exten},{destination.priority}"
    if isinstance(destination, ToMessage):
        return f"message {destination.sound}"
    return "hangup"
