"""``blend`` of a queue in floor.yaml -> Blend: when campaigns that share its agents do without them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from acd.config.context import DAY_S
from acd.config.fields import Section, described
from acd.config.yaml_lines import Scalar
from acd.domain.blending import HOLD_S, OVER_S, Blend, Limits

if TYPE_CHECKING:
    from acd.domain.definition import FloorDefinition

BLEND_KEYS = ("reserve", "recall", "over", "hold")
LIMIT_KEYS = ("below", "wait", "waiting")
RESERVE_KEYS = ("agents", *LIMIT_KEYS)
_SHARE = re.compile(r"([0-9]{1,3})%")
_AGENTS_MOST = 10_000


def read_blend(section: Section) -> Blend | None:
    """What the queue takes from campaigns; ``None``: nothing."""
    node = section.get("blend")
    if node is None:
        return None
    part = Section(section.problems, node, f"blend of {section.label}", BLEND_KEYS)
    reserve, recall = None, None
    agents, share = 0, 0.0
    if (below := part.get("reserve")) is not None:
        own = Section(section.problems, below, f"reserve in {part.label}", RESERVE_KEYS)
        reserve, (agents, share) = _limits(own), _agents(own)
    if (below := part.get("recall")) is not None:
        recall = _limits(Section(section.problems, below, f"recall in {part.label}", LIMIT_KEYS))
    if recall is not None and not recall.any and not section.problems.any_error:
        place = part.get("recall") or node
        part.wrong(
            place, f"recall in {part.label} has no limit; write below: 0.8, wait: 20s, waiting: 3, or several of them"
        )
    if reserve is None and recall is None and not section.problems.any_error:
        part.wrong(node, f"{part.label} keeps nobody; write reserve: {{agents: 2, below: 0.9}}, recall: {{waiting: 3}}")
    return Blend(
        reserve,
        agents,
        share,
        recall,
        over_s=part.duration("over", OVER_S, 60, DAY_S),
        hold_s=part.duration("hold", HOLD_S, 0, 3_600),
    )


def _limits(own: Section) -> Limits:
    waiting = own.whole("waiting", 0, 1, 10_000) if own.get("waiting") is not None else None
    return Limits(own.number("below", 0.01, 0.99), own.optional_duration("wait", 1, 3_600), waiting)


def _agents(own: Section) -> tuple[int, float]:
    """A number of agents, or a share of them."""
    node = own.require("agents", "how many agents campaigns do without, such as 2 or 25%")
    if node is None:
        return 0, 0.0
    if isinstance(node, Scalar):
        share = _SHARE.fullmatch(node.text)
        if share is not None and 1 <= int(share[1]) <= 100:
            return 0, int(share[1]) / 100.0
        if node.text.isascii() and node.text.isdigit() and 1 <= int(node.text) <= _AGENTS_MOST:
            return int(node.text), 0.0
    own.wrong(
        node,
        f"agents of {own.label} must be a number from 1 to {_AGENTS_MOST} or a share such as 25%, not {described(node)}",
    )
    return 0, 0.0


def check_blends(floor: FloorDefinition, sections: Mapping[str, Section]) -> None:
    """Warn of queues that share no agent with a campaign, and so can take none from it."""
    calling = {campaign.queue for campaign in floor.campaigns.values()}
    for name, queue in floor.queues.items():
        shared = any(name in agent.queues and calling.intersection(agent.queues) for agent in floor.agents.values())
        if queue.blend is not None and not shared:
            section = sections[name]
            place = section.key("blend") or section
            section.problems.warning(
                place.line, place.column, f"blend of {section.label} is never used: no campaign shares its agents"
            )
