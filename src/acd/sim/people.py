"""Callers and agents as the simulated Asterisk knows them. State only; what they do is in ``world``."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from acd.domain.events import Phase
from acd.domain.states import PhoneState
from acd.sim.arrivals import NextArrival
from acd.sim.chance import Choice, Distribution, Draw, Fixed, Streams
from acd.sim.scenario import AgentGroup, Callers


class Source:
    """A stream of callers and its streams of chance, one for every purpose."""

    __slots__ = ("attributes", "did", "following", "index", "numbers", "patience", "talk")

    def __init__(self, index: int, callers: Callers, streams: Streams) -> None:
        def stream(purpose: str) -> Random:
            return streams.stream(f"callers/{callers.name}/{purpose}")

        self.index = index
        self.did = callers.did
        self.following: NextArrival = callers.arrivals.drawn_from(stream("arrivals"))
        self.talk: Draw = callers.talk.drawn_from(stream("talk"))
        self.patience = None if callers.patience is None else callers.patience.drawn_from(stream("patience"))
        self.attributes = [
            (name, choice.drawn_from(stream(f"attributes/{name}"))) for name, choice in callers.attributes.items()
        ]
        numbers: Choice | None = callers.numbers
        self.numbers = None if numbers is None else numbers.drawn_from(stream("numbers"))


@dataclass(slots=True, eq=False)
class Caller:
    """One caller's channel. ``phase`` None: the conversation is over or he has left. ``waits``: he hears music now.
    ``held``: at some time he did.
    """

    channel: str
    source: int
    did: str
    number: str
    arrived_s: float
    talk_s: float
    batch: int
    phase: Phase | None = Phase.HELD
    call: str = ""
    place: str = ""
    offer: str | None = None
    ringing: Person | None = None
    held: bool = False
    waits: bool = False

    @property
    def queue(self) -> str:
        """Where he stands, as the floor last wrote it on his channel."""
        return self.place.partition(":")[0]


class Person:
    """One agent: his phones and his habits."""

    __slots__ = ("_draws", "_group", "_streams", "caller", "fault", "name", "phones", "reports")

    def __init__(self, name: str, phones: tuple[str, ...], group: AgentGroup, streams: Streams) -> None:
        self.name = name
        self.phones = phones
        self.reports = group.phone_states
        self.caller: Caller | None = None
        self.fault: str | None = None
        self._group = group
        self._streams = streams
        self._draws: dict[str, Draw] = {}

    def _draw(self, purpose: str, distribution: Distribution) -> float:
        if type(distribution) is Fixed:
            return distribution.value_s
        draw = self._draws.get(purpose)
        if draw is None:
            # Only now: most of ten thousand agents never need most of their streams
            draw = self._draws[purpose] = distribution.drawn_from(self._streams.stream(f"agents/{self.name}/{purpose}"))
        return draw()

    def answer_delay_s(self) -> float:
        """From ring to answer, for the next offer."""
        return self._draw("answers", self._group.answers)

    def return_delay_s(self) -> float:
        """Until he resumes after a call he did not take."""
        return self._draw("returns", self._group.returns)

    def reaction(self) -> str:
        """To the next offer: ``answers``, ``declines`` or ``misses``."""
        declines, misses = self._group.declines, self._group.misses
        if declines == 0.0 and misses == 0.0:
            return "answers"
        draw = self._draws.get("reaction")
        if draw is None:
            draw = self._draws["reaction"] = self._streams.stream(f"agents/{self.name}/reaction").random
        mood = draw()
        return "declines" if mood < declines else "misses" if mood < declines + misses else "answers"

    def resting_state(self) -> PhoneState:
        """What his phones report when nothing rings."""
        return PhoneState.UNREACHABLE if self.fault == "reported" else PhoneState.IDLE
