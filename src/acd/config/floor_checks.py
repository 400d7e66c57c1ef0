"""What can be wrong with a floor as a whole although each of its parts is right: circles, shares, nobody to answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from acd.config.fields import Section
from acd.config.problems import Problems, show
from acd.config.yaml_lines import Node, Scalar
from acd.domain.definition import AgentDefinition, FloorDefinition, QueueDefinition, ToQueue
from acd.domain.expression import NOBODY, Expression

_SHOWN_QUEUES = 10
_SHOWN_SKILLS = 5
_SHARE_TOLERANCE = 0.001
_DESTINATIONS = ("overflow", "on_full", "on_long_wait", "on_nobody", "on_closed", "on_unsatisfiable")


def check_cycles(queues: Mapping[str, QueueDefinition], sections: Mapping[str, Section], problems: Problems) -> None:
    """Queues that send calls on to each other in a circle, for whatever causes: a caller would go round for ever.

    Walks every way once; each way that leads back to where it came from is said, at the queue where the circle closes
    first in the file.
    """
    ways = {name: list(_ways(queue, queues)) for name, queue in queues.items()}
    done: set[str] = set()
    for start in queues:
        if start in done:
            continue
        # the queues gone through, with the ways out of each that are still to be tried
        path: dict[str, Iterator[tuple[str, str]]] = {start: iter(ways[start])}
        keys: dict[str, str] = {}
        while path:
            name = next(reversed(path))
            way = next(path[name], None)
            if way is None:
                done.add(name)
                del path[name]
                continue
            keys[name], target = way
            if target in path:
                walked = list(path)
                circle = walked[walked.index(target) :]
                _say_circle(circle, [keys[queue] for queue in circle], sections[target], problems)
            elif target not in done:
                path[target] = iter(ways[target])


def _ways(queue: QueueDefinition, queues: Mapping[str, QueueDefinition]) -> Iterator[tuple[str, str]]:
    """(key, queue) for each of the queues that calls may go on to, once."""
    seen = set()
    for key in _DESTINATIONS:
        destination = getattr(queue, key)
        if isinstance(destination, ToQueue) and destination.queue in queues and destination.queue not in seen:
            seen.add(destination.queue)
            yield key, destination.queue


def _say_circle(circle: Sequence[str], keys: Sequence[str], section: Section, problems: Problems) -> None:
    steps = [f"{name}" for name in circle]
    arrows = [" -> " if key == "overflow" else f" -{key}-> " for key in keys]
    shown = "".join(step + arrow for step, arrow in zip(steps[:_SHOWN_QUEUES], arrows, strict=False))
    if len(circle) > _SHOWN_QUEUES:
        shown += "... -> "
    place = section.get(keys[0]) or section
    problems.error(place.line, place.column, f"overflow goes in a circle: {shown}{circle[0]}; end it elsewhere")


def check_shares(floor: FloorDefinition, top: Section, sections: Mapping[str, Section]) -> None:
    """``call_selection: ratio`` needs the share of every queue, 1 in all."""
    node = top.get("call_selection")
    if floor.call_selection != "ratio" or node is None:
        return
    if floor.ageing_s <= 0:
        top.wrong(
            top.get("ageing_s") or node, "ageing_s must be above 0: what one call too many in line is worth in waiting"
        )
    for name, queue in floor.queues.items():
        if queue.ratio is None and sections[name].get("ratio") is None:
            sections[name].require(
                "ratio", "its share of the calls waiting, from 0 to 1, because call_selection is ratio"
            )
    shares = [queue.ratio for queue in floor.queues.values() if queue.ratio is not None]
    if len(shares) == len(floor.queues) and abs(sum(shares) - 1) > _SHARE_TOLERANCE:
        top.wrong(node, f"the ratio of all queues must add up to 1, not {sum(shares):g}")


def check_stages(
    floor: FloorDefinition, places: Mapping[str, Sequence[tuple[str, Node]]], sections: Mapping[str, Section]
) -> None:
    """A stage that none of its queue's agents can ever meet is wrong: calls would wait for nobody.

    ``places``: what each queue's stages are called, and where they stand.
    """
    members = _members(floor)
    for name, queue in floor.queues.items():
        section, of_queue = sections[name], members[name]
        if section.problems.full:
            return
        for stage, (what, node) in zip(queue.stages, places[name], strict=True):
            need = stage.expression
            if _contradicts_itself(need):
                section.wrong(node, f"nobody can ever meet {what}, whatever the skills: {need}")
            elif of_queue and not any(need.could_admit(skills) for agent in of_queue for skills in _skill_sets(agent)):
                section.wrong(node, f"no agent of the queue can ever meet {what}: {need}{_best(need, of_queue)}")


def check_staffing(
    floor: FloorDefinition, sections: Mapping[str, Section], agent_keys: Mapping[str, Scalar], problems: Problems
) -> None:
    """Warn of agents and queues without each other."""
    members = _members(floor)
    for agent in floor.agents.values():
        if not agent.queues:
            key = agent_keys[agent.name]
            problems.warning(key.line, key.column, f"agent {show(agent.name)} is in no queue and never gets a call")
    for name, section in sections.items():
        if not members[name]:
            problems.warning(section.line, section.column, f"{section.label} has no agents: nobody can take its calls")


def _members(floor: FloorDefinition) -> dict[str, list[AgentDefinition]]:
    members: dict[str, list[AgentDefinition]] = {name: [] for name in floor.queues}
    for agent in floor.agents.values():
        for queue in agent.queues:
            members[queue].append(agent)
    return members


def _skill_sets(agent: AgentDefinition) -> Iterator[Mapping[str, int]]:
    """What the agent is good at, before and after each moment at which that changes. Past moments count: a file does not
    become wrong by the passing of time."""
    if not agent.skill_validity:
        yield agent.skills
        return
    edges = sorted({edge for validity in agent.skill_validity.values() for edge in validity if edge is not None})
    for at in (edges[0] - 1.0, *edges):
        yield agent.skills_at(at)


def _contradicts_itself(expression: Expression) -> bool:
    return not expression.attributes and expression.bind({}, ()) == NOBODY


def _best(expression: Expression, members: Sequence[AgentDefinition]) -> str:
    """What comes nearest: the best proficiency among the members in each skill that is named."""
    skills = sorted(expression.skills)
    if not skills:
        return ""
    best = {skill: max(agent.skills.get(skill, -1) for agent in members) for skill in skills[:_SHOWN_SKILLS]}
    shown = ", ".join(f"{skill} {level if level >= 0 else 'none'}" for skill, level in best.items())
    return f" (best among them: {shown}{', ...' if len(skills) > _SHOWN_SKILLS else ''})"


def lasting_lines(floor: FloorDefinition) -> list[str]:
    """Agents who are to have a lasting line, by name."""
    return [agent.name for agent in floor.agents.values() if agent.lasting_line is not None]


def too_many_nodes(floor: FloorDefinition, nodes: Collection[str]) -> list[str]:
    """What is wrong with lasting lines where acd.toml has these ``nodes``: a sentence at most."""
    agents = lasting_lines(floor)
    if not agents or len(nodes) < 2:
        return []
    who = f"agent {show(agents[0])}" + (f" and {len(agents) - 1} more" if len(agents) > 1 else "")
    listed = ", ".join(sorted(nodes))
    return [f"{who}: lasting_line is for a single Asterisk, and there are several in acd.toml ({listed})"]
