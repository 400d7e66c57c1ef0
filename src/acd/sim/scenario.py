"""What is simulated: the floor as defined, who calls, how agents behave, what fails, and for how long.

Plain values that somebody else has checked; times in seconds from the start unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from acd.domain.definition import FloorDefinition
from acd.domain.values import valueclass
from acd.sim.arrivals import Arrivals
from acd.sim.chance import Choice, Distribution, Fixed

NODE = "sim"
"""The one simulated Asterisk."""


@valueclass(frozen=True, slots=True)
class Callers:
    """One stream of callers to ``did``. ``patience`` None: they wait for ever."""

    name: str
    did: str
    arrivals: Arrivals
    talk: Distribution
    patience: Distribution | None = None
    attributes: Mapping[str, Choice] = field(default_factory=lambda: MappingProxyType({}))
    numbers: Choice | None = None


@valueclass(frozen=True, slots=True)
class Shift:
    """Logged in from ``start_s`` until ``end_s`` (None: to the end)."""

    start_s: float = 0.0
    end_s: float | None = None


AT_ONCE = Fixed(0.0)
A_MINUTE = Fixed(60.0)


@valueclass(frozen=True, slots=True)
class AgentGroup:
    """How some of the floor's agents behave.

    ``answers``: from ring to answer. ``declines`` and ``misses``: the share of offers that they decline, and let ring
    until the ring timeout. ``returns``: after such a failure, until they resume. ``phone_states``: whether their phones
    report states, as Asterisk does of all but Local channels.
    """

    name: str
    members: tuple[str, ...]
    answers: Distribution = AT_ONCE
    declines: float = 0.0
    misses: float = 0.0
    returns: Distribution = A_MINUTE
    shifts: tuple[Shift, ...] = (Shift(),)
    phone_states: bool = True


@valueclass(frozen=True, slots=True)
class PhonesFail:
    """From ``at_s`` for ``for_s`` no offer reaches the phones of ``agents``.

    ``how``: ``unreachable`` and ``congestion`` fail at once, ``silent`` rings into the void until the ring timeout.
    ``reported``: Asterisk says that they are unreachable, so that they need not be tried.
    """

    agents: tuple[str, ...]
    at_s: float
    for_s: float
    how: Literal["unreachable", "congestion", "silent"] = "unreachable"
    reported: bool = False


@valueclass(frozen=True, slots=True)
class ConnectionLost:
    """From ``at_s`` for ``for_s`` the controller neither hears nor commands Asterisk; then it looks at what is there.

    Callers still reach it (they come by another way), talk goes on, and whoever gives up meanwhile is missed.
    """

    at_s: float
    for_s: float


Fault = PhonesFail | ConnectionLost


@valueclass(frozen=True, slots=True)
class Scenario:
    """One experiment. Callers who arrive from ``warm_up_s`` until ``length_s`` are counted.

    ``lines``: how many callers the trunks carry at once; whoever finds none free hears the busy tone and never reaches
    the floor. ``waiting_room``: how many callers the switch lets wait at once, in whatever queue; it hangs up on one more.
    ``starts_at`` is UTC s, for opening hours. ``batches``: into so many the counted time of all replications
    together is cut (at least), to say how sure the results are.
    """

    name: str
    definition: FloorDefinition
    callers: tuple[Callers, ...]
    agents: tuple[AgentGroup, ...]
    length_s: float
    warm_up_s: float = 0.0
    replications: int = 1
    batches: int = 20
    lines: int | None = None
    waiting_room: int | None = None
    starts_at: float = 1_700_000_000.0
    faults: tuple[Fault, ...] = ()
    description: str = ""
