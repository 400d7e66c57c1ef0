"""What is measured and how long: the sizes of every case, in the long form and in the short one. Values only."""

from __future__ import annotations

from dataclasses import replace

from acd.domain.values import valueclass

CASES = (
    "setup",
    "cpu",
    "saturated",
    "highest",
    "start",
    "rebuild",
    "parse",
    "routing",
    "simulation",
    "records",
    "lists",
    "campaign",
)
"""All cases, in the order they run. ``campaign``: the predictive dialler judged on real calls, for twenty minutes."""


@valueclass(frozen=True, slots=True)
class Plan:
    """Sizes. ``*_s`` are seconds: ``warm_s`` of load pass before the ``steady_s`` that count."""

    rounds: int = 5
    warm_s: float = 3.0
    steady_s: float = 10.0
    talk_s: float = 1.0
    setup_agents: int = 300
    setup_rates: tuple[float, ...] = (60, 100, 140, 180, 220)
    cpu_rate: float = 25
    cpu_agents: tuple[int, ...] = (50, 300, 1000, 2000)
    saturated_agents: int = 50
    saturated_calls: int = 900
    saturated_rate: float = 100
    highest_agents: int = 300
    highest_first: float = 100
    highest_step: float = 20
    highest_finest: float = 5
    highest_limit: float = 280
    highest_s: float = 8.0
    highest_p99_ms: float = 1000.0
    rebuild_callers: int = 1000
    shared_pbx: bool = False
    """Whether manager.conf leaves all events on, as on a PBX that serves other programs too."""
    starts: int = 5
    brief: bool = False
    """Whether what needs no Asterisk is only touched."""

    def short(self) -> Plan:
        """Minutes instead of most of an hour; for a look, not for publishing."""
        return replace(
            self,
            rounds=1,
            warm_s=1.5,
            steady_s=5.0,
            cpu_agents=(50, 300, 1000),
            saturated_calls=400,
            highest_finest=20,
            highest_s=5.0,
            starts=2,
            brief=True,
        )


HELD = "no call lost, and 99 of 100 callers answered within {limit:g} ms"
"""What it means that a rate is held."""
