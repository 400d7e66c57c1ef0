"""Virtual time around the very Floor that production runs: seeded callers, agents, phones and faults.

A run is a pure function of scenario and seed: no wall clock, no asyncio, no files, no randomness but its own streams.
Reading scenario files and showing results is the command line's matter.
"""

from acd.sim.results import Results
from acd.sim.run import simulate
from acd.sim.scenario import Scenario

__all__ = ["Results", "Scenario", "simulate"]
