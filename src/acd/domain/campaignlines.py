"""The waiting line of each campaign: made of the queue it names, so that whoever answers is an ordinary call of the floor.

Matching, offers, records, explanations and wrap-up are those of any queue. Nobody dials into such a line: only a call of
the campaign's own enters it, before all others, and leaves it when no agent was there in time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeVar

from acd.domain.campaigns import Campaign
from acd.domain.definition import (
    AgentDefinition,
    Destination,
    FloorDefinition,
    HangUp,
    Preferred,
    QueueDefinition,
    Stage,
    ToMessage,
)

FOREMOST: Final = 100_000
"""The priority of lines of campaigns: above whatever an operator may write, with all that is added to it."""
HEAVIEST: Final = 1_000.0
SILENCE: Final = "silence"
"""What whoever was called hears while he waits: not music, which would tell him that a machine has called."""
CALLBACK_AGENT: Final = "callback_agent"
"""The attribute of a call that names whom a personal callback was promised to."""


def line_of(campaign: Campaign, queue: QueueDefinition | None) -> QueueDefinition:
    """The line of ``campaign``, whose agents are those of ``queue``, or named by itself."""
    queue = queue or QueueDefinition(campaign.name)
    stages = tuple(stage for stage in queue.stages if stage.after_s <= campaign.connect_s)
    otherwise: Destination = HangUp() if campaign.message is None else ToMessage(sound=campaign.message)
    # As long again would be too late for everybody else
    promised = (Preferred("named", campaign.connect_s / 2, CALLBACK_AGENT),) if campaign.connect_s else ()
    return QueueDefinition(
        name=campaign.name,
        agent_selection=queue.agent_selection,
        requirements=queue.requirements if campaign.need is None else (),
        stages=stages if campaign.need is None else (Stage(0.0, campaign.need),),
        ring_timeout_s=queue.ring_timeout_s,
        wrap_up_s=queue.wrap_up_s,
        max_wait_s=campaign.connect_s,
        overflow=otherwise,
        hold=SILENCE,
        service_level_s=max(1.0, campaign.connect_s),
        priority=FOREMOST,
        preferred=promised,
        ring_agents=queue.ring_agents,
        weights=queue.weights,
        weight=HEAVIEST,
        cost=HEAVIEST,
        client=campaign.client or queue.client,
        dispositions=tuple(campaign.dispositions) or queue.dispositions,
    )


def with_lines(floor: FloorDefinition) -> FloorDefinition:
    """``floor`` with a line for each of its campaigns, and the agents who serve it in it."""
    if not floor.campaigns:
        return floor
    lines = {one.name: line_of(one, floor.queues.get(one.queue)) for one in floor.campaigns.values()}
    agents = {name: _in_lines(agent, floor.campaigns) for name, agent in floor.agents.items()}
    return replace(floor, queues=MappingProxyType({**floor.queues, **lines}), agents=MappingProxyType(agents))


def without_lines(floor: FloorDefinition) -> FloorDefinition:
    """``floor`` as the operator wrote it."""
    lines = floor.campaigns.keys()
    if not lines:
        return floor
    agents = {
        name: replace(
            agent,
            queues=tuple(queue for queue in agent.queues if queue not in lines),
            queue_preference=_but(agent.queue_preference, lines),
        )
        for name, agent in floor.agents.items()
    }
    return replace(floor, queues=_but(floor.queues, lines), agents=MappingProxyType(agents))


def _in_lines(agent: AgentDefinition, campaigns: Mapping[str, Campaign]) -> AgentDefinition:
    own = {one.name: one.queue for one in campaigns.values() if serves(agent, one)}
    if not own:
        return agent
    liked = {line: agent.queue_preference[queue] for line, queue in own.items() if queue in agent.queue_preference}
    return replace(
        agent,
        queues=(*agent.queues, *own),
        queue_preference=MappingProxyType({**agent.queue_preference, **liked}),
    )


def serves(agent: AgentDefinition, campaign: Campaign) -> bool:
    """Whether an agent is one of a campaign's, whatever his skills are."""
    named = not campaign.agents or agent.name in campaign.agents
    return named and (campaign.queue in agent.queues or (not campaign.queue and bool(campaign.agents)))


_T = TypeVar("_T")


def _but(mapping: Mapping[str, _T], names: Collection[str]) -> Mapping[str, _T]:
    return MappingProxyType({name: value for name, value in mapping.items() if name not in names})
