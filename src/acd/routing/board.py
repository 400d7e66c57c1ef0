"""What matching goes by: agents with skills and queues, queues with policies, waiting calls; and every change of them.

Any change may come at any moment, whoever waits, and holds from the next question on: masks of classes that it touches
are brought up to date then, all at once. Questions are asked of the Matcher in ``index``, which builds on this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from acd.domain.errors import UnknownNameError
from acd.domain.requirement import Requirement
from acd.routing.crew import UNKNOWN, Agent, Crew
from acd.routing.lanes import CallClass, Candidates, Lanes, Queue
from acd.routing.line import CallKey, Line
from acd.routing.policies import CallSelection, QueuePolicy, shares
from acd.routing.selection import RoundRobin, Selections

CLASSES_SPARE_MAX: Final = 1_024
"""How many classes of calls are kept though no call of theirs waits; the one longest unused goes first."""


class Call:
    """A waiting call: in a class, or held for one agent. ``head_start_s`` and ``key`` are what the call selection says."""

    __slots__ = (
        *("agent", "call_class", "head_start_s", "joined_at", "key", "priority", "queue", "serial", "threshold_s"),
    )

    def __init__(self, queue: Queue, joined_at: float, serial: int, priority: int, threshold_s: float) -> None:
        self.queue = queue
        self.call_class: CallClass | None = None
        self.agent: Agent | None = None
        self.joined_at = joined_at
        self.serial = serial
        self.priority = priority
        self.threshold_s = threshold_s
        self.head_start_s = 0.0
        self.key: CallKey = (0.0, 0, "")


class Board:
    """Agents, queues and waiting calls.

    Raises UnknownNameError for an agent, queue or call that was not set or does not wait. Times: UTC seconds.
    """

    def __init__(self, selection: CallSelection | None = None) -> None:
        self.selection = selection or CallSelection()
        self._crew = Crew()
        self._selections = Selections(self._crew)
        self._queues: dict[str, Queue] = {}
        self._calls: dict[str, Call] = {}
        self._lanes = Lanes()
        self._spare: dict[CallClass, None] = {}
        self._asked: CallClass | None = None  # which of these was asked for last, so nothing stands behind it
        self._naming: dict[str, dict[CallClass, None]] = {}  # per skill: the classes that name it
        self._held_mask = 0  # the agents some call is held for
        self._offers = 0
        # The latest answers about a class, until somebody's state, the masks or policies change: an event asks more
        # than once
        self._ranked: tuple[CallClass, int, list[Agent]] | None = None
        self._counted: tuple[CallClass, Candidates] | None = None

    # -- agents ------------------------------------------------------------------------------------------------------

    def set_agent(self, agent: str, skills: Mapping[str, int], queues: Mapping[str, int]) -> None:
        """``agent`` has these skills (proficiency 0-100) and serves these queues (-> preference) from now on, whatever
        he does. New ones cannot be offered a call until ``free``."""
        who = self._crew.agents.get(agent)
        if who is None:
            who, grown = self._crew.hire(agent)
            if grown:
                for call_class in self._classes():
                    self._renew(call_class, call_class.mask)
        if who.is_free:
            self._selections.remove(who)
        for name in who.queues.keys() - queues.keys():
            self._leave_queue(who, name)
        joined = queues.keys() - who.queues.keys()
        self._crew.describe(who, skills, queues)
        self._lanes.serves(agent, len(queues), self._queues.values())
        for name in joined:
            queue = self._queues.get(name)
            if queue is not None and queue.turns is not None:
                queue.turns.join(who)
        if who.is_free:
            self._selections.add(who)

    def remove_agent(self, agent: str) -> list[str]:
        """Forget ``agent``. The calls that were held for him wait no more and are returned, for the caller to place."""
        who = self._crew.agent(agent)
        held = [key[2] for line in who.held.values() for key in line]
        for call in held:
            self.unwait(call)
        self.unfree(agent)
        for name in who.queues:
            self._leave_queue(who, name)
        self._lanes.serves(agent, 0, self._queues.values())
        self._crew.dismiss(who)
        return held

    def _leave_queue(self, who: Agent, name: str) -> None:
        queue = self._queues.get(name)
        if queue is not None:
            if queue.turns is not None:
                queue.turns.leave(who)
            queue.offered.pop(who.name, None)

    def free(self, agent: str, *, idle_since: float, serial: int = 0, occupied_s: float = 0.0) -> None:
        """``agent`` can be offered a call. ``occupied_s``: his work today; ``serial`` breaks ties of ``idle_since``."""
        self._ranked = self._counted = None
        who = self._crew.agent(agent)
        if who.is_free:
            self._selections.remove(who)
        else:
            self._crew.count(who, None)
        who.idle_since, who.serial, who.occupied_s = idle_since, serial, occupied_s
        self._selections.add(who)

    def unfree(self, agent: str, reason: str = UNKNOWN) -> None:
        """``agent`` cannot be offered a call, for ``reason`` (one of a few words: counted in ``candidates``)."""
        self._ranked = self._counted = None
        who = self._crew.agent(agent)
        if who.is_free:
            self._selections.remove(who)
        self._crew.count(who, reason)

    def offered(self, agent: str, queue: str) -> None:
        """Note that ``agent`` was offered a call of ``queue``, for round robin. Nothing if he is not in it."""
        who, of = self._crew.agent(agent), self._queue(queue)
        if queue not in who.queues:
            return
        self._offers += 1
        turns = of.turns
        if turns is None:
            of.offered[agent] = self._offers
        else:
            self._ranked = None
            turns.leave(who)
            of.offered[agent] = self._offers
            turns.join(who)

    # -- queues and policies -----------------------------------------------------------------------------------------

    def set_queue(self, queue: str, policy: QueuePolicy) -> None:
        """``queue`` is matched by ``policy`` from now on, whoever waits in it."""
        self._ranked = None
        found = self._queues.get(queue)
        if found is None:
            found = self._queues[queue] = Queue(queue, policy)
            self._lanes.layout += 1
            found.members = self._crew.members.get(queue, 0).bit_count()
        found.policy = policy
        shared = self._selections.use(queue, policy)
        if shared is not None:
            found.selection, found.turns = shared, None
        elif found.turns is None:
            found.turns = RoundRobin(self._crew, found.offered)
            for who in self._crew.agents.values():
                if queue in who.queues:
                    found.turns.join(who)
            found.selection = found.turns
        self._share_out()
        self._lanes.assign(found, self.selection.rate(policy), self.selection.biased)

    def remove_queue(self, queue: str) -> list[str]:
        """Forget ``queue``. The calls that waited in it wait no more and are returned in order, to be placed anew."""
        found = self._queue(queue)
        keys = [key for call_class in found.classes.values() for key in call_class.line]
        calls = [key[2] for key in sorted([*keys, *found.held])]
        for call in calls:
            self.unwait(call)
        for call_class in list(found.classes.values()):
            self._forget(call_class)
        self._selections.drop(queue)
        del self._queues[queue]
        self._share_out()
        self._lanes.withdraw(found)
        return calls

    def set_call_selection(self, selection: CallSelection) -> None:
        """Compare waiting calls by ``selection`` from now on. Costs as much as the calls that wait."""
        self.selection = selection
        for queue in self._queues.values():
            self._lanes.withdraw(queue)
        keys: dict[CallClass, list[CallKey]] = {call_class: [] for call_class in self._classes()}
        held: dict[tuple[Agent | None, Queue], list[CallKey]] = {}
        for name, call in self._calls.items():
            call.key = self._key(name, call)
            if call.call_class is not None:
                keys[call.call_class].append(call.key)
            else:
                for where in ((None, call.queue), (call.agent, call.queue)):
                    held.setdefault(where, []).append(call.key)
        for (agent, queue), some in held.items():
            if agent is None:
                queue.held = Line(some)
            else:
                agent.held[queue.name] = Line(some)
        for call_class, some in keys.items():
            call_class.line = Line(some)
        for queue in self._queues.values():
            queue.lane.clear()
            for call_class in queue.classes.values():
                if call_class.line:
                    queue.lane.enter(call_class)
            self._lanes.assign(queue, selection.rate(queue.policy), selection.biased)

    def _share_out(self) -> None:
        parts = shares({name: queue.policy.ratio for name, queue in self._queues.items()})
        for name, queue in self._queues.items():
            queue.share = parts[name]

    def _queue(self, name: str) -> Queue:
        found = self._queues.get(name)
        if found is None:
            raise UnknownNameError("queue", name)
        return found

    # -- calls -------------------------------------------------------------------------------------------------------

    def wait(
        self,
        call: str,
        queue: str,
        requirement: Requirement,
        *,
        joined_at: float,
        serial: int,
        priority: int = 0,
        threshold_s: float = 0.0,
    ) -> None:
        """``call`` waits in ``queue`` for an agent who meets ``requirement``, and nowhere else. Call it again to put it
        elsewhere. ``threshold_s``: the service level of the queue; ``serial`` breaks ties of ``joined_at``."""
        of = self._queue(queue)
        if call in self._calls:
            self.unwait(call)
        entry = self._calls[call] = Call(of, joined_at, serial, priority, threshold_s)
        key = entry.key = self._key(call, entry)
        call_class = entry.call_class = self._class(of, requirement)
        of.waiting += 1
        line = call_class.line
        if not line:
            self._spare.pop(call_class, None)
            line.add(key)
            of.enter(call_class)
        elif key < line.first:
            of.leave(line.first)
            line.add(key)
            of.enter(call_class)
        else:
            line.add(key)

    def hold_for(
        self,
        call: str,
        agent: str,
        queue: str,
        *,
        joined_at: float,
        serial: int,
        priority: int = 0,
        threshold_s: float = 0.0,
    ) -> None:
        """``call`` waits in ``queue`` for ``agent`` alone, whatever his skills, until ``wait`` puts it elsewhere."""
        of, who = self._queue(queue), self._crew.agent(agent)
        self.unwait(call)
        entry = self._calls[call] = Call(of, joined_at, serial, priority, threshold_s)
        entry.agent, entry.key = who, self._key(call, entry)
        of.waiting += 1
        of.held.add(entry.key)
        who.held.setdefault(queue, Line()).add(entry.key)
        self._held_mask |= who.bit

    def unwait(self, call: str) -> None:
        """``call`` does not wait any more. Harmless if it did not."""
        entry = self._calls.pop(call, None)
        if entry is None:
            return
        queue, call_class, key = entry.queue, entry.call_class, entry.key
        queue.waiting -= 1
        if call_class is None:
            self._unhold(entry)
            return
        if call_class.line.remove(key):
            if call_class.line:
                queue.advance(key, call_class.line.first)
            else:
                queue.leave(key)
                self._keep_spare(call_class)

    def _unhold(self, entry: Call) -> None:
        who, queue = entry.agent, entry.queue
        assert who is not None, "a call waits in a class or for an agent"
        queue.held.remove(entry.key)
        who.held[queue.name].remove(entry.key)
        if not who.held[queue.name]:
            del who.held[queue.name]
            if not who.held:
                self._held_mask ^= who.bit

    def _key(self, name: str, call: Call) -> CallKey:
        head_start_s = call.head_start_s = self.selection.head_start_s(call.priority, call.threshold_s)
        return call.joined_at - head_start_s, call.serial, name

    def _waiting(self, call: str) -> Call:
        found = self._calls.get(call)
        if found is None:
            raise UnknownNameError("waiting call", call)
        return found

    def is_free(self, agent: str) -> bool:
        """Whether ``agent`` can be offered a call; False if there is no such agent."""
        who = self._crew.agents.get(agent)
        return who is not None and who.is_free

    def is_waiting(self, call: str) -> bool:
        """Whether ``call`` waits here."""
        return call in self._calls

    @property
    def waiting_count(self) -> int:
        """How many calls wait."""
        return len(self._calls)

    # -- classes -----------------------------------------------------------------------------------------------------

    def _classes(self) -> Iterable[CallClass]:
        return (call_class for queue in self._queues.values() for call_class in queue.classes.values())

    def _class(self, queue: Queue, requirement: Requirement) -> CallClass:
        found = queue.classes.get(requirement.text)
        if found is not None:
            if found is not self._asked and not found.line:
                # Asked for is used: the one longest unused goes first
                self._spare.pop(found, None)
                self._spare[found] = None
                self._asked = found
        else:
            mask = self._crew.members.get(queue.name, 0) & self._crew.mask_of(requirement)
            found = CallClass(queue, requirement, mask, self._crew.flags_of(mask))
            queue.classes[requirement.text] = found
            for skill in requirement.skills:
                self._naming.setdefault(skill, {})[found] = None
            self._keep_spare(found)
        return found

    def _keep_spare(self, call_class: CallClass) -> None:
        """No call of ``call_class`` waits: one may soon, but not of all those that ever were."""
        self._spare[call_class] = None
        self._asked = call_class
        if len(self._spare) > CLASSES_SPARE_MAX:
            self._forget(next(iter(self._spare)))

    def _forget(self, call_class: CallClass) -> None:
        """No call of ``call_class`` waits, and none is expected."""
        del self._spare[call_class]
        call_class.queue.forget(call_class)
        for skill in call_class.requirement.skills:
            naming = self._naming[skill]
            del naming[call_class]
            if not naming:
                del self._naming[skill]

    def _settle(self) -> None:
        """Bring the masks of the classes up to date with skills and memberships that changed."""
        self._ranked = self._counted = None
        crew = self._crew
        touched: dict[CallClass, None] = {}
        for skill in crew.stale_skills:
            touched |= self._naming.get(skill, {})
        for name in crew.stale_queues & self._queues.keys():
            queue = self._queues[name]
            queue.members = crew.members.get(name, 0).bit_count()
            touched |= dict.fromkeys(queue.classes.values())
        for call_class in touched:
            members = crew.members.get(call_class.queue.name, 0)
            self._renew(call_class, members & crew.mask_of(call_class.requirement))
        crew.settled()

    def _renew(self, call_class: CallClass, mask: int) -> None:
        """The agents of ``mask`` may serve ``call_class``."""
        call_class.mask, call_class.size = mask, mask.bit_count()
        call_class.flags, call_class.start = self._crew.flags_of(mask), None
        call_class.queue.renew(call_class)
