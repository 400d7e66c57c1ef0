"""The one loop: inbox, clock, timer, and the dispatch of commands to ports. Decides nothing, translates nothing."""

from acd.engine.engine import Engine
from acd.engine.lag import LagMonitor
from acd.engine.live import LiveFloor
from acd.engine.records_watch import RecordsWatch

__all__ = ["Engine", "LagMonitor", "LiveFloor", "RecordsWatch"]
