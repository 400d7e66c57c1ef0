"""Scenarios in a few lines, for tests: one queue, so many agents, callers as wanted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from acd.cli.sim_scenario import find_scenario, load_scenario
from acd.domain.definition import AgentDefinition, EntryPoint, FloorDefinition, HangUp, QueueDefinition, ToQueue
from acd.sim.arrivals import Arrivals, Listed, Poisson
from acd.sim.chance import Distribution, Fixed
from acd.sim.scenario import AgentGroup, Callers, Scenario
from acd.sim.world import World

__all__ = ("HangUp", "ToQueue", "calls", "floor", "group", "per_minute", "played", "sample", "scenario")


def floor(agents: int = 1, *, queues: Mapping[str, Mapping[str, Any]] | None = None, **more: Any) -> FloorDefinition:
    """``agents`` a1, a2... in every queue; entry point = name of the queue."""
    made = {name: QueueDefinition(name, **{"wrap_up_s": 0.0, **keys}) for name, keys in (queues or {"q": {}}).items()}
    people = {
        f"a{n}": AgentDefinition(f"a{n}", str(100 + n), (f"SIM/a{n}",), tuple(made)) for n in range(1, agents + 1)
    }
    return FloorDefinition(made, people, {name: EntryPoint(name, name) for name in made}, revision="test", **more)


def calls(*at_s: float, talk_s: float = 10.0, did: str = "q", name: str = "calls", **more: Any) -> Callers:
    """Callers at these moments who talk for ``talk_s``."""
    return Callers(name, did, Listed(at_s), Fixed(talk_s), **more)


def per_minute(rate: float, talk: Distribution, *, did: str = "q", name: str = "calls", **more: Any) -> Callers:
    """Poisson callers."""
    arrivals: Arrivals = Poisson.steady(rate / 60)
    return Callers(name, did, arrivals, talk, **more)


def group(definition: FloorDefinition, **habits: Any) -> AgentGroup:
    """All agents of the floor."""
    return AgentGroup("all", tuple(definition.agents), **habits)


def scenario(definition: FloorDefinition, *callers: Callers, length_s: float = 600.0, **more: Any) -> Scenario:
    """Everything else as it is by default; ``agents`` if the group has habits."""
    more.setdefault("agents", (group(definition),))
    return Scenario("test", definition, callers, length_s=length_s, **more)


def played(what: Scenario, seed: int = 1) -> World:
    """Run to the end. Whatever happened, nothing may be left over on the floor."""
    world = World(what, seed).run()
    assert not world.floor.calls
    assert not world.floor.offers
    assert not world.floor.memory
    return world


@lru_cache(maxsize=32)
def sample(name: str) -> Scenario:
    """A sample scenario, which has no warnings either."""
    loaded = load_scenario(find_scenario(name))
    assert not loaded.warnings
    return loaded.scenario
