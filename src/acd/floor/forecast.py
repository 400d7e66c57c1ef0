"""Estimated waits, queue by queue: what the estimators are told of calls and agents, and whom they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acd.domain.definition import QueueDefinition
from acd.floor.calls import Call
from acd.routing.estimates import QueueEstimator, WaitEstimate

if TYPE_CHECKING:
    from acd.floor.core import Floor


def _servers(floor: Floor, queue: str) -> int:
    """How many are at work for ``queue`` who can be reached."""
    return max(0, floor.roster.present[queue] - floor.reach.cut_off_in(floor, queue))


class Forecast:
    """One estimator a queue. Times: UTC seconds."""

    def __init__(self) -> None:
        self._estimators: dict[str, QueueEstimator] = {}

    def _of(self, queue: str) -> QueueEstimator:
        found = self._estimators.get(queue)
        if found is None:
            found = self._estimators[queue] = QueueEstimator()
        return found

    def keep(self, queues: set[str]) -> None:
        """Forget every queue but these."""
        self._estimators = {name: found for name, found in self._estimators.items() if name in queues}

    def expect(self, floor: Floor, queue: QueueDefinition, ahead: int, at: float) -> WaitEstimate | None:
        """What a call that joined behind ``ahead`` others would wait; None while nothing is known or nobody works."""
        servers = _servers(floor, queue.name)
        return self._of(queue.name).expect(at, ahead=ahead, servers=servers) if servers else None

    def expect_more(self, floor: Floor, call: Call, at: float) -> WaitEstimate | None:
        """How much longer a waiting call will wait."""
        servers = _servers(floor, call.queue.name)
        if not servers or not floor.matcher.is_waiting(call.call):
            return None
        ahead, waited_s = floor.matcher.position(call.call), max(0.0, at - call.place.queue_joined_at)
        return self._of(call.queue.name).expect(at, ahead=ahead, servers=servers, waited_s=waited_s)

    def joined(self, floor: Floor, call: Call, at: float) -> None:
        """A call has taken its place in line."""
        servers = _servers(floor, call.queue.name)
        ahead = floor.matcher.position(call.call)
        self._of(call.queue.name).joined(call.call, at, ahead=ahead, servers=servers)

    def entered(self, call: Call, at: float) -> None:
        """The offer of a call that waited was answered; ``at``: when it was made."""
        self._of(call.queue.name).entered(call.call, at)

    def left(self, call: Call, at: float, *, gave_up: bool) -> None:
        """A waiting call is gone without an agent."""
        self._of(call.queue.name).left(call.call, at, gave_up=gave_up)

    def handled(self, queue: str, length_s: float) -> None:
        """An agent was busy with a call of ``queue`` for so long, wrap-up included."""
        self._of(queue).handled(length_s)

    def service_rate(self, queue: str) -> float:
        """How many calls of ``queue`` one agent finishes a second."""
        return self._of(queue).rates.mu

    def accuracy(self, queue: str) -> dict[str, Any]:
        """How good the estimates of ``queue`` have been of late."""
        return self._of(queue).accuracy()
