"""What can be wrong with a floor as a whole although each of its parts is right: circles, and nobody to answer."""

from __future__ import annotations

from collections.abc import Mapping

from acd.config.fields import Section
from acd.config.problems import Problems, show
from acd.config.yaml_lines import Scalar
from acd.domain.definition import AgentDefinition, FloorDefinition, QueueDefinition, ToQueue


def check_cycles(queues: Mapping[str, QueueDefinition], sections: Mapping[str, Section], problems: Problems) -> None:
    """Queues that overflow into each other in a circle: a caller would go round for ever. Each circle is said once."""
    done: set[str] = set()
    for start in queues:
        path: dict[str, None] = {}
        name: str | None = start
        while name is not None and name in queues and name not in done and name not in path:
            path[name] = None
            overflow = queues[name].overflow
            name = overflow.queue if isinstance(overflow, ToQueue) else None
        if name is not None and name in path:
            walked = list(path)
            circle = walked[walked.index(name) :]
            place = sections[name].get("overflow") or sections[name]
            shown = " -> ".join([*circle, name] if len(circle) <= 10 else [*circle[:10], "...", name])
            problems.error(place.line, place.column, f"overflow goes in a circle: {shown}; end it elsewhere")
        done.update(path)


def check_staffing(
    floor: FloorDefinition, sections: Mapping[str, Section], agent_keys: Mapping[str, Scalar], problems: Problems
) -> None:
    """Warn of agents in no queue, queues without agents, and requirements that none of a queue's agents meets."""
    members: dict[str, list[AgentDefinition]] = {name: [] for name in floor.queues}
    for agent in floor.agents.values():
        key = agent_keys[agent.name]
        if not agent.queues:
            problems.warning(key.line, key.column, f"agent {show(agent.name)} is in no queue and never gets a call")
        for queue in agent.queues:
            members[queue].append(agent)
    for name, queue_definition in floor.queues.items():
        section = sections[name]
        if not members[name]:
            problems.warning(section.line, section.column, f"{section.label} has no agents: nobody can take its calls")
        elif not any(_meets(agent, queue_definition) for agent in members[name]):
            place = section.get("skills") or section
            wanted = ", ".join(f"{r.skill} {r.minimum}" for r in queue_definition.requirements)
            problems.warning(
                place.line,
                place.column,
                f"no agent of {section.label} has {wanted}: nobody can take its calls",
            )


def _meets(agent: AgentDefinition, queue: QueueDefinition) -> bool:
    return all(agent.skills.get(r.skill, -1) >= r.minimum for r in queue.requirements)
