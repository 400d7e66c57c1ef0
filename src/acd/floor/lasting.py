"""Lasting lines: agents whose phones stay on one call for the whole shift, so that nobody's phone need ring.

Who has none is PAUSED (no_line) and is put through to nobody. It is called for when he logs in or resumes, unless the call
on which he asks becomes it. When his phone hangs up that is his doing: he is called again when he asks for it. Lines that
are gone without a word (Asterisk was restarted, the service was away) are called again by themselves, a few times and
later each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from acd.domain import commands as do
from acd.domain import events as ev
from acd.domain.instant import Instant
from acd.domain.states import PAUSE_NO_LINE, AgentState, LineStage
from acd.floor import line as waiting
from acd.floor import silence
from acd.routing.lasting import LastingLine
from acd.routing.roster import Agent

if TYPE_CHECKING:
    from acd.floor.calls import Call
    from acd.floor.core import Floor

RING_S: Final = 30.0
UNHEARD_S: Final = 10.0
"""How long after that a line of which nothing was heard does not come any more."""
STAY_S: Final = 15.0
"""How long the call on which an agent asked has to become his line, before his phone is called."""
AGAIN_S: Final = (2.0, 5.0, 15.0, 45.0, 120.0)
"""A line that was lost is called for after so long, and after each failure after the next of these."""
GAP_S: Final = 0.05
"""Of many that were lost together each is called for so much later than the one before."""
LATER_S: Final = 5.0
_WITHOUT_A_CALL: Final = (AgentState.AVAILABLE, AgentState.PREVIEW)
SHOWN: Final = 5
"""An alarm names so many agents."""


# -- what agents ask for -----------------------------------------------------------------------------------------------


def wanted(floor: Floor, agent: Agent, channel: str, now: Instant) -> str:
    """``agent`` wants to work: his line is called for, if that is all he lacks; or it is to be ``channel``, on which he
    asks. In words, for him."""
    line = agent.line
    if line is None or not _lacks_only_that(agent):
        return ""
    line.tries, line.detail = None, ""
    if channel:
        _give_up(floor, line)
        _wait(floor, agent, line, LineStage.STAYS, STAY_S, now)
        return "; stays on this call"
    if line.stage is not LineStage.CALLED:
        _call(floor, agent, line, now)
    return "; the phone is called, and calls come once it is answered" if line.channel else f"; {line.detail}"


def end(floor: Floor, agent: Agent) -> None:
    """``agent`` goes: his line is hung up."""
    if agent.line is not None:
        _give_up(floor, agent.line)
        agent.line.be(LineStage.DOWN)
        agent.line.tries, agent.line.detail = None, ""


def moved(floor: Floor, agent: Agent, at: float, now: Instant) -> None:
    """``agent`` is at another phone, and not on a call: a line to the one before is hung up."""
    if agent.line is not None and agent.line.stage is not LineStage.DOWN:
        end(floor, agent)
        _without(floor, agent, at, now)


def follow(floor: Floor, agent: Agent, before: LastingLine | None, at: float, now: Instant) -> None:
    """Another definition is in force: ``agent`` is to have a lasting line that he had not, or the other way round. One
    that is in use is hung up once it is back from the conversation."""
    if before is not None and agent.line is None:
        if before.stage is LineStage.CALLED or before.waits:
            floor.command(do.EndLine(before.node, before.channel))
        if agent.state is AgentState.PAUSED and agent.reason == PAUSE_NO_LINE:
            floor.roster.enter(agent, AgentState.AVAILABLE, at, now)
    elif before is None and agent.line is not None:
        if agent.state in _WITHOUT_A_CALL:
            floor.roster.enter(agent, AgentState.PAUSED, at, now, reason=PAUSE_NO_LINE)
            _call(floor, agent, agent.line, now)
        elif agent.state not in (AgentState.LOGGED_OUT, AgentState.PAUSED):
            _wait(floor, agent, agent.line, LineStage.DUE, LATER_S, now)


# -- what happens ------------------------------------------------------------------------------------------------------


def waits(floor: Floor, event: ev.LineWaits, now: Instant) -> None:
    """A line is up, or back from a conversation."""
    agent = floor.roster.agents.get(event.agent)
    line = None if agent is None else agent.line
    if agent is None or line is None or agent.state is AgentState.LOGGED_OUT:
        floor.command(do.EndLine(event.node, event.channel))
        return
    if not _is(line, event.node, event.channel):
        if line.is_up and (not line.waits or agent.offer in floor.offers):
            floor.command(do.EndLine(event.node, event.channel))
            return
        _give_up(floor, line, but=event.channel)
        _is_up(line, event.node, event.channel, event.channel_name)
    line.waits, line.touched_at = True, now.utc
    _ready(floor, agent, event.at, now)


def held(floor: Floor, event: ev.LineHeld, now: Instant) -> None:
    """The phone holds a line, or takes it back."""
    agent = _whose(floor, event.node, event.channel)
    if agent is not None and agent.line is not None:
        agent.line.on_hold = event.on
        floor.roster.review(agent)
        floor.agent_freed(agent, event.at, now, "line_back")


def ended(floor: Floor, event: ev.LineEnded, now: Instant) -> None:
    """The agent has hung up his line."""
    agent = _whose(floor, event.node, event.channel)
    if agent is not None and agent.line is not None:
        agent.line.be(LineStage.DOWN)
        agent.line.detail = "it was hung up"
        _without(floor, agent, event.at, now)


def failed(floor: Floor, event: ev.LineFailed, now: Instant) -> None:
    """A line that was called for did not come about."""
    agent = _whose(floor, event.node, event.channel)
    if agent is not None and agent.line is not None and agent.line.stage is LineStage.CALLED:
        _failed(floor, agent, agent.line, event.why, now, refused=event.refused)


def due(floor: Floor, name: str, mono: float, now: Instant) -> None:
    """Nothing has happened to the line of agent ``name`` until ``mono``."""
    agent = floor.roster.agents.get(name)
    line = None if agent is None else agent.line
    if agent is None or line is None or line.until_mono != mono:
        return
    if line.stage is LineStage.CALLED:
        if not line.looked or now.mono - mono > silence.LATE_S:
            line.looked = True
            _look_at(floor, line, agent, silence.SECOND_LOOK_S, now)
            return
        floor.command(do.EndLine(line.node, line.channel))
        _failed(floor, agent, line, "nothing was heard of it", now)
    elif _lacks_only_that(agent):
        _call(floor, agent, line, now)
    elif agent.state in (AgentState.LOGGED_OUT, AgentState.PAUSED):
        line.be(LineStage.DOWN)
    else:
        _wait(floor, agent, line, LineStage.DUE, LATER_S, now)


# -- offers ------------------------------------------------------------------------------------------------------------


def alone(agents: list[Agent]) -> list[Agent]:
    """Of those to whom a call is to be offered together, those who can be: a line does not ring."""
    first = agents[0]
    return [first] if first.line is not None else [agent for agent in agents if agent.line is None]


def own_line(agent: Agent, call: Call) -> LastingLine | None:
    """The line on which ``call`` can be put through to ``agent``: one of the same node."""
    line = agent.line
    return line if line is not None and line.is_up and line.node == call.node else None


def answered(agent: Agent, call: Call, leg: str) -> None:
    """``agent`` talks, on the channel ``leg``, if that is known: his line is not in its waiting place."""
    line = own_line(agent, call)
    if line is not None and leg in ("", line.channel):
        line.waits = False


# -- looks -------------------------------------------------------------------------------------------------------------


def seen(floor: Floor, event: ev.NodeResynced, now: Instant) -> None:
    """Take up the lines that a look has found; those of nobody are hung up."""
    there = {one.channel for one in event.lines}
    for one in event.lines:
        agent = floor.roster.agents.get(one.agent)
        line = None if agent is None else agent.line
        if agent is None or line is None or agent.state is AgentState.LOGGED_OUT:
            if not one.talks:
                floor.command(do.EndLine(event.node, one.channel))
        elif _is(line, event.node, one.channel):
            if not event.margin_s:
                # Taken back unheard, perhaps: better that than an agent who is never put through to
                line.on_hold = False
            if line.touched_at <= event.at - event.margin_s and agent.offer not in floor.offers:
                line.waits = not one.talks
        elif line.is_up and line.node == event.node and line.channel in there:
            if not one.talks:
                floor.command(do.EndLine(event.node, one.channel))
        else:
            _give_up(floor, line, but=one.channel)
            _is_up(line, event.node, one.channel, one.channel_name)
            line.waits, line.touched_at = not one.talks, now.utc


def missed(floor: Floor, event: ev.NodeResynced, now: Instant) -> None:
    """After a look: who has a line is ready, and lines that are gone without a word are called for again."""
    there, gone = {one.channel for one in event.lines}, []
    for agent in floor.roster.agents.values():
        line = agent.line
        if line is None or agent.state is AgentState.LOGGED_OUT:
            continue
        if line.is_up and line.node == event.node and line.channel not in there:
            if line.touched_at <= event.at - event.margin_s:
                line.be(LineStage.DOWN)
                line.detail = "it was lost"
                gone.append(agent)
        elif line.is_up:
            _ready(floor, agent, event.at, now)
        elif line.stage is LineStage.DOWN and not line.detail and _was_at_work(agent, line):
            line.detail = "it was lost"  # while nobody was here
            gone.append(agent)
    for index, agent in enumerate(gone):
        _without(floor, agent, event.at, now)
        if agent.line is not None and (agent.state is not AgentState.PAUSED or _lacks_only_that(agent)):
            agent.line.tries = 1
            _wait(floor, agent, agent.line, LineStage.DUE, AGAIN_S[0] + index * GAP_S, now)
    if gone:
        names = ", ".join(agent.name for agent in gone[:SHOWN]) + (
            f" and {more} more" if (more := len(gone) - SHOWN) > 0 else ""
        )
        what = f"{event.node}: the lasting lines of {names} are gone; who is at work is called again"
        floor.command(do.RaiseAlarm("lines_lost", what))


# -- for people --------------------------------------------------------------------------------------------------------


def view(agent: Agent) -> dict[str, Any] | None:
    """``{"state", "on_hold", "channel", "detail"}``: a stage, or ``in use`` and ``waits`` of one that is up; None for who is
    to have none."""
    line = agent.line
    if line is None:
        return None
    state = ("waits" if line.waits else "in use") if line.is_up else str(line.stage)
    return {"state": state, "on_hold": line.on_hold, "channel": line.channel_name, "detail": line.detail}


# -- inside ------------------------------------------------------------------------------------------------------------


def _lacks_only_that(agent: Agent) -> bool:
    lacks = agent.line is not None and not agent.line.is_up
    return lacks and agent.state is AgentState.PAUSED and agent.reason == PAUSE_NO_LINE


def _was_at_work(agent: Agent, line: LastingLine) -> bool:
    """Of a former life: whether ``agent`` had a line when it ended."""
    return agent.state is not AgentState.PAUSED or line.tries is not None


def _is(line: LastingLine, node: str, channel: str) -> bool:
    return line.is_up and line.channel == channel and line.node == node


def _whose(floor: Floor, node: str, channel: str) -> Agent | None:
    """Whose line it is, be it up or called for."""
    for agent in floor.roster.agents.values():
        if agent.line is not None and agent.line.channel == channel and agent.line.node == node:
            return agent
    return None


def _is_up(line: LastingLine, node: str, channel: str, channel_name: str) -> None:
    line.be(LineStage.UP, node=node, channel=channel, channel_name=channel_name)
    line.tries, line.detail = None, ""


def _give_up(floor: Floor, line: LastingLine, but: str = "") -> None:
    """Whatever channel there is, is hung up, unless it is ``but``."""
    if line.channel not in ("", but):
        floor.command(do.EndLine(line.node, line.channel))


def _ready(floor: Floor, agent: Agent, at: float, now: Instant) -> None:
    """The line of ``agent`` is there: so is he, if that was all he lacked."""
    if agent.state is AgentState.PAUSED and agent.reason == PAUSE_NO_LINE:
        floor.roster.enter(agent, AgentState.AVAILABLE, at, now)
        waiting.agent_came(floor, agent, at, now)
    else:
        floor.roster.review(agent)
    floor.agent_freed(agent, at, now, "line_waits")


def _without(floor: Floor, agent: Agent, at: float, now: Instant) -> None:
    """``agent`` has no line any more. Whatever he is in comes to its own end."""
    if agent.state in _WITHOUT_A_CALL:
        floor.roster.enter(agent, AgentState.PAUSED, at, now, reason=PAUSE_NO_LINE)
    else:
        floor.roster.review(agent)


def _wait(floor: Floor, agent: Agent, line: LastingLine, stage: LineStage, for_s: float, now: Instant) -> None:
    line.be(stage)
    _look_at(floor, line, agent, for_s, now)


def _look_at(floor: Floor, line: LastingLine, agent: Agent, after_s: float, now: Instant) -> None:
    line.until_mono = now.mono + after_s
    floor.timer(line.until_mono, "line", agent.name)


def _call(floor: Floor, agent: Agent, line: LastingLine, now: Instant) -> None:
    node = next((name for name, synced in floor.nodes.items() if synced), None)
    if node is None:
        line.detail = "no Asterisk is connected; the phone is called when one is"
        _wait(floor, agent, line, LineStage.DUE, LATER_S, now)
        return
    identity = f"line{floor.new_id()}"
    line.be(LineStage.CALLED, node=node, channel=identity)
    _look_at(floor, line, agent, RING_S + UNHEARD_S - silence.SECOND_LOOK_S, now)
    what = agent.definition
    music = what.lasting_line or ""
    floor.command(
        do.CallLine(
            node, identity, agent.name, agent.devices[0], what.number, music, RING_S, auto_answer=what.auto_answer
        )
    )


def _failed(floor: Floor, agent: Agent, line: LastingLine, why: str, now: Instant, *, refused: bool = False) -> None:
    node = line.node
    line.be(LineStage.DOWN)
    line.detail = why
    if refused:
        line.tries = None
        floor.command(do.RaiseAlarm("cannot_call_lines", f"{node}: {why}"))
    elif line.tries is not None and line.tries < len(AGAIN_S):
        line.tries += 1
        _wait(floor, agent, line, LineStage.DUE, AGAIN_S[line.tries - 1], now)
    elif line.tries is not None:
        line.tries = None
        what = f"agent {agent.name} has no lasting line and is not called again before he resumes: {why}"
        floor.command(do.RaiseAlarm("line_not_back", what))
