"""What the matcher is told of each queue: its policy and, where waiting is priced (c-mu), how many calls one of its agents
finishes a second, as measured on the calls so far.

The rate in force is a power of STEP, and changes when the measured one has left it by more than that: queues alike share
a rate, and a rate does not change with every call.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Final

from acd.domain.definition import FloorDefinition, QueueDefinition
from acd.routing.policies import CallSelection, QueuePolicy

if TYPE_CHECKING:
    from acd.floor.core import Floor

STEP: Final = 1.1


def judge(definition: FloorDefinition) -> None:
    """Raise MisuseError if ``definition`` says of matching what cannot be, before anything goes by it."""
    CallSelection.of(definition)
    for queue in definition.queues.values():
        QueuePolicy.of(queue)


def put(floor: Floor, queue: QueueDefinition) -> None:
    """Have ``queue`` matched by what its definition says and its calls have shown, if that is new."""
    policy = QueuePolicy.of(queue)
    if floor.definition.call_selection == "cmu":
        policy = QueuePolicy.of(queue, STEP ** round(log(floor.forecast.service_rate(queue.name), STEP)))
    if floor.policies.get(queue.name) != policy:
        floor.policies[queue.name] = policy
        floor.matcher.set_queue(queue.name, policy)


def handled(floor: Floor, queue: str) -> None:
    """An agent has finished a call of ``queue``."""
    policy, definition = floor.policies.get(queue), floor.definition.queues.get(queue)
    if policy is None or definition is None or floor.definition.call_selection != "cmu":
        return
    if not policy.service_rate / STEP <= floor.forecast.service_rate(queue) <= policy.service_rate * STEP:
        put(floor, definition)
