"""What becomes of one call that never was: it waits, overflows, rings, is missed, answered, held, escalated, passed on or
given up.

A caller gets whoever has been free the longest, or waits for the next one. What is decided is explained as the floor would.
Times are whole microseconds after the midnight of the day.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol

from acd.domain.states import AgentState, CallOutcome, OfferOutcome
from acd.store.facts import PASSED_ON
from acd.store.made.kinds import PLACES, Kind
from acd.store.made.people import Crew, Row, Worker

_S = 1_000_000
_MAX_WAIT_US = 900 * _S
_RING_US = 20 * _S
CONNECT_US = 2 * _S
"""So long a person we called waits for an agent."""
MESSAGE = "message sorry"


class Teller(Protocol):
    """Who has the stories told."""

    rows: dict[str, list[Row]]

    @property
    def chance(self) -> Random: ...

    @property
    def text(self) -> Callable[[int], str]: ...

    def queue_of(self, kind: Kind) -> str: ...


class Story:
    """One call on its way. ``now`` is the end of its last segment, ``kind`` the queue it was in last."""

    def __init__(self, maker: Teller, crews: Mapping[str, Crew], kind: Kind, call: str, at: int) -> None:
        self._crews, self.kind, self._queue_of = crews, kind, maker.queue_of
        self._chance, self._text = maker.chance, maker.text
        self._segments, self._decisions = maker.rows["segments"], maker.rows["decisions"]
        self.call, self.at, self.now = call, at, at
        self.answered: int | None = None
        self.agent: str | None = None
        self.outcome, self.ended_by = CallOutcome.ABANDONED, "caller"
        self.cause: int | None = 16
        self.target: str | None = None
        self.wait = self.rewait = self.talk = self.hold = self.after = self.wrap = 0
        self.offers = self.ronas = self.talks = 0
        self._serial = self._decided = 0
        self._places: list[tuple[str, str | None]] = []
        self._joined, self._moved = at, False
        wants = kind.requirements
        self._wants = wants[0] if len(wants) == 1 or self._chance.random() < 0.7 else wants[1]
        self._wrapping: tuple[str, str, str, int, int] | None = None

    # -- what is written -----------------------------------------------------------------------------------------------

    def _segment(
        self, kind: str, until: int, agent: str | None = None, offer: str | None = None, outcome: str | None = None,
        target: str | None = None,
    ) -> int:  # fmt: skip
        """From where the last one ended; its length."""
        text, queue = self._text, self._queue_of(self.kind)
        times = text(self.now), text(until)
        self._segments.append((self.call, self._serial, kind, queue, agent, offer, *times, outcome, target))
        self._serial += 1
        self._places.append((queue, outcome))
        if self._wrapping is not None:
            # After a conversation that was passed on, the caller's wait is begun before the agent's wrap-up
            self._write_wrap(*self._wrapping)
        length = until - self.now
        self.now = until
        return length

    @property
    def passages(self) -> int:
        """As `acd.store.facts` counts them."""
        last = self._queue_of(self.kind)
        return sum(queue != last or outcome in PASSED_ON for queue, outcome in self._places)

    def _waits(
        self, kind: str, until: int, agent: str | None = None, offer: str | None = None, outcome: str | None = None
    ) -> None:
        length = self._segment(kind, until, agent, offer, outcome)
        if self.answered is None:
            self.wait += length
        else:
            self.rewait += length

    def _write_wrap(self, queue: str, agent: str, offer: str, over: int, until: int) -> None:
        text = self._text
        times = text(over), text(until)
        self._segments.append((self.call, self._serial, "wrapped", queue, agent, offer, *times, None, None))
        self._places.append((queue, None))
        self._serial += 1
        self._wrapping = None

    def _decide(self, at: int, kind: str, detail: str, agent: str | None = None, offer: str | None = None) -> None:
        self._decisions.append((self.call, self._decided, self._text(at), kind, agent, offer, "generated", detail))
        self._decided += 1

    # -- what happens --------------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """From the entry to the hang-up."""
        chance, called = self._chance, self.kind.campaign
        self._waits("entered", self.at + (4_000 if called else 15_000) + int(chance.random() * 25_000))
        gives_up = self._patience()
        while not self._serve(gives_up):
            if self.answered is not None and self._wrapping is not None:
                gives_up = self._patience()

    def _patience(self) -> int:
        mean, least = (60, _S) if self.kind.campaign else (240, 2 * _S)
        return self.now + int(min(-math.log(1.0 - self._chance.random()) * mean, 3600) * _S) + least

    def _serve(self, gives_up: int) -> bool:
        """Wait in the queue it is in, and be offered to one agent: whether that was the end of it."""
        kind, crew = self.kind, self._crews[self.kind.queue]
        leaves, how = self._leaves(gives_up)
        taken = crew.take(self.now)
        if taken is not None and taken[0] < leaves:
            at, number, worker = taken
            if at > self.now:
                self._explain_wait()
            if at > self.now or self._moved:
                # Who comes from another queue has waited in this one, if for no time
                self._waits("waited", at)
            self._moved = False
            return self._offer(crew, worker, number, gives_up)
        if taken is not None:
            crew.free(taken[2], taken[0], taken[1])
        self._explain_wait()
        self._moved = False
        if leaves >= gives_up:
            self._waits("waited", max(gives_up, self.now), outcome=str(CallOutcome.ABANDONED))
            self._over(CallOutcome.ABANDONED)
            return True
        to = kind.escalation if how == "escalated" else kind.overflow
        said = f'{{"queue":"{to}"}}' if to is not None else '"voicemail"'
        if kind.campaign:
            said = f'"{MESSAGE}"'
        after_s = (leaves - self._joined) / _S
        if how == "escalated":
            detail = f'{{"from":"{kind.queue}","to":"{to}","waited_s":{after_s:.3f}}}'
        else:
            detail = f'{{"cause":"max_wait","after_s":{after_s:.3f},"from":"{self._queue_of(kind)}","to":{said}}}'
        self._decide(leaves, how, detail)
        if to is None:
            self._waits("waited", leaves, outcome=str(CallOutcome.OVERFLOWED))
            self.ended_by, self.cause, self.target = "system", None, MESSAGE if kind.campaign else "voicemail"
            self._over(CallOutcome.OVERFLOWED)
            return True
        self._waits("waited", leaves, outcome=how)
        self._into(to)
        return False

    def _leaves(self, gives_up: int) -> tuple[int, str]:
        """When he leaves this queue, and how, unless he gives up before."""
        kind = self.kind
        if kind.campaign:
            return min(gives_up, max(self.now, self.at + CONNECT_US)), "overflowed"
        limit = int(kind.overflow_s * _S) if kind.overflow is not None else _MAX_WAIT_US
        overflows = max(self.now, self._joined + limit)
        if kind.escalation is not None and self._chance.random() < 0.01:
            escalated = self.now + int((5 + 40 * self._chance.random()) * _S)
            if escalated < min(overflows, gives_up):
                return escalated, "escalated"
        return min(gives_up, overflows), "overflowed"

    def _into(self, queue: str) -> None:
        self.kind, self._joined, self._moved = PLACES[queue], self.now, True
        self._wants = self.kind.requirements[0]

    def _over(self, outcome: CallOutcome) -> None:
        """He leaves while he waits. Whoever has talked was answered, or passed on, whatever became of him then."""
        if self.answered is not None:
            outcome = CallOutcome.ANSWERED if outcome is CallOutcome.ABANDONED else CallOutcome.TRANSFERRED
        self.outcome = outcome
        if outcome is CallOutcome.ANSWERED or outcome is CallOutcome.ABANDONED:
            self.ended_by, self.cause = "caller", 16

    def _offer(self, crew: Crew, worker: Worker, number: int, gives_up: int) -> bool:
        """Ring an agent. Whether that was the end of it."""
        chance, called = self._chance, self.kind.campaign
        self.offers += 1
        offer = f"{self.call}-{self.offers}"
        begin = self.now
        self._explain(worker.name, offer)
        crew.enter(worker, AgentState.RESERVED, begin, call=self.call)
        self._waits("offered", begin + 60_000 + int(chance.random() * 140_000), worker.name, offer)
        crew.enter(worker, AgentState.RINGING, self.now, call=self.call)
        missed = chance.random() < (0.003 if called else 0.03)
        rings_s = 0.2 + 0.5 * chance.random() if called else 1.2 + 5 * chance.random()
        answers = self.now + (_RING_US if missed else int(rings_s * _S))
        if gives_up < answers:
            self._waits("rang", max(gives_up, self.now), worker.name, offer, str(OfferOutcome.CALLER_GONE))
            crew.enter(worker, AgentState.AVAILABLE, self.now)
            crew.free(worker, self.now, number)
            self._over(CallOutcome.ABANDONED)
            return True
        ended = OfferOutcome.NO_ANSWER if missed else OfferOutcome.ANSWERED
        self._waits("rang", answers, worker.name, offer, str(ended))
        if missed:
            self.ronas += 1
            crew.misses(worker, self.now, number, chance)
            return False
        return self._talk(crew, worker, number, offer)

    def _explain(self, agent: str, offer: str) -> None:
        waited_s = (self.now - self.at) / _S
        self._decide(
            self.now,
            "offered",
            f'{{"rule":"longest_idle","trigger":"generated","queue":"{self._queue_of(self.kind)}",'
            f'"call_wait_s":{waited_s:.3f},"chosen":{{"agent":"{agent}"}},"requirement":"{self._wants}"}}',
            *(agent, offer),
        )

    def _explain_wait(self) -> None:
        self._decide(self.now, "waits", f'{{"queue":"{self._queue_of(self.kind)}","requirement":"{self._wants}"}}')

    def _talk(self, crew: Crew, worker: Worker, number: int, offer: str) -> bool:
        """A conversation and what follows it. Whether the call is over."""
        chance, kind = self._chance, self.kind
        if self.answered is None:
            self.answered, self.agent = self.now, worker.name
        self.talks += 1
        crew.enter(worker, AgentState.TALKING, self.now, call=self.call)
        length = int(kind.talk_s * chance.lognormvariate(-0.18, 0.6) * _S) + _S
        draw = chance.random()
        passed_on, goes_on = draw >= 0.96, kind.escalation is not None and 0.94 <= draw < 0.96
        self.ended_by = "agent" if passed_on or draw < 0.4 else "caller"
        said = "transfer" if passed_on else self.ended_by
        if goes_on:
            said = "escalated" if draw < 0.95 else "transferred"
        begun = self.now
        if chance.random() < 0.15:
            held = "consulted" if passed_on or chance.random() < 0.2 else "held"
            target = "602" if held == "consulted" else None
            self.talk += self._segment("talked", self.now + length // 2, worker.name, offer)
            self.hold += self._segment(
                held, self.now + int((5 + 60 * chance.random()) * _S), worker.name, offer, target=target
            )
            if target is not None and chance.random() < 0.3:
                together = self.now + int((10 + 80 * chance.random()) * _S)
                self.talk += self._segment("conferenced", together, worker.name, offer, target=target)
            length -= length // 2
        self.talk += self._segment("talked", self.now + length, worker.name, offer, said)
        over = self.now
        wraps = int(kind.wrap_s * (0.5 + chance.random()) * _S)
        self.wrap += wraps
        self._wrapping = (self._queue_of(kind), worker.name, offer, over, over + wraps)
        crew.enter(worker, AgentState.WRAP_UP, over, call=self.call)
        crew.enter(worker, AgentState.AVAILABLE, over + wraps)
        crew.free(worker, over + wraps, number)
        if goes_on:
            detail = f'{{"from":"{kind.queue}","to":"{kind.escalation}","talked_s":{(over - begun) / _S:.3f}}}'
            self._decide(over, said, detail)
            self._into(kind.escalation or kind.queue)
            return False
        self.outcome, self.cause = CallOutcome.ANSWERED, 16
        if passed_on:
            self.outcome, self.cause, self.target = CallOutcome.TRANSFERRED, None, "602@agents"
        self.after += self._segment("after", over + 2_000 + int(chance.random() * 40_000))
        return True
