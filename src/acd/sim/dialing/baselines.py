"""The field: what else there is to dial with, re-implemented in our own words from what its sources say.

Every one is given what it would know in life, and where it has a setting, the best one in hindsight is looked for.

- `Steady`: one line, or a fixed ratio of lines, for each idle agent.
- `Vicidial`: the adaptive methods of VICIdial (AST_VDadapt.pl, AST_VDauto_dial.pl): a dial level that follows the balance of
  ready agents and waiting calls of the last 15 seconds, and a drop limit that lowers it (hard, average, tapered).
- `Issabel`: Issabel and Elastix before it (CampaignProcess and Predictor of the call centre's dialer): every 3 seconds, busy
  agents count as free when an exponential talk of their age would be over with 97 % by the time of an answer; optionally
  divided by the answer rate of the last half hour (overcommit), 20 % at least.
- `Blind`: lines at a constant rate, so that Erlang's loss formula gives the cap. Knows the true rates, looks at nothing.
- `Filled`: the exact optimum of the Markov scene (`acd.sim.dialing.bound`): so many lines for so many busy agents.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Literal

from acd.routing.erlang import load_at_blocking
from acd.sim.dialing.hall import Hall
from acd.sim.dialing.scene import Scene

Limit = Literal["hard", "average", "tapered"]


class Unlearned:
    """A dialler that is told everything and notes nothing."""

    on_events = True

    def begin(self, hall: Hall, now_s: float) -> None: ...

    def dialled(self, lines: int) -> None: ...

    def line_ended(self, now_s: float, ring_s: float, *, person: bool) -> None: ...

    def abandoned(self, now_s: float) -> None: ...

    def served(self, now_s: float) -> None: ...

    def stage_ended(self, stage: str, agent: str, length_s: float, now_s: float) -> None: ...

    def machine_after_all(self, now_s: float) -> None: ...


class Steady(Unlearned):
    """``ratio`` lines for each idle agent; 1 is progressive."""

    def __init__(self, ratio: float) -> None:
        self.ratio = ratio

    def look(self, hall: Hall, now_s: float) -> tuple[int, float]:
        wanted = math.floor(self.ratio * (len(hall.idle) - len(hall.waiting)) + 1e-9)
        return max(0, wanted - len(hall.ringing)), math.inf


class Filled(Unlearned):
    """Fills up to ``fill[busy]`` lines."""

    def __init__(self, fill: Sequence[int]) -> None:
        self.fill = fill

    def look(self, hall: Hall, now_s: float) -> tuple[int, float]:
        busy = min(len(self.fill) - 1, len(hall.talking) + len(hall.wrapping))
        return max(0, self.fill[busy] - len(hall.ringing)), math.inf


class Blind(Unlearned):
    """A line every so often, whatever happens."""

    on_events = False

    def __init__(self, scene: Scene) -> None:
        busy_s = scene.talk.mean_s + scene.wrap.mean_s
        answers_per_s = load_at_blocking(scene.agents, scene.cap) / busy_s
        self._every_s = scene.answer_rate / answers_per_s

    def look(self, hall: Hall, now_s: float) -> tuple[int, float]:
        return 1, now_s + self._every_s


class Vicidial(Unlearned):
    """``most``: the highest dial level. The day's drops over its answers are looked at once a minute, the level is set every
    15 s, lines are placed every 2.5 s; tapering takes the time left, in hours, over ten."""

    on_events = False
    _TICK_S = 0.5

    def __init__(self, scene: Scene, most: float, limit: Limit, offset: float = 0.0) -> None:
        self._scene, self._most, self._limit, self._offset = scene, most, limit, offset
        self._balance: deque[tuple[int, int, int]] = deque(maxlen=15)
        self._level = 1.0
        self._ticks = 0
        self._dialled: deque[tuple[float, int]] = deque()
        self._dropped: deque[float] = deque()
        self._drop_share = 0.0
        self._minute = (0, 0)
        self._end_s = 0.0

    def begin(self, hall: Hall, now_s: float) -> None:
        self._ticks, self._drop_share, self._minute = 0, 0.0, (0, 0)
        self._balance.clear()
        self._dialled.clear()
        self._dropped.clear()
        self._end_s = now_s + self._scene.day_s

    def look(self, hall: Hall, now_s: float) -> tuple[int, float]:
        ticks = self._ticks
        self._ticks += 1
        ready, calling = len(hall.idle), len(hall.talking)
        if ticks % 2 == 0:
            self._balance.append((ready, len(hall.waiting), hall.agents))
        if ticks % 120 == 0:
            self._look_at_drops(hall, now_s)
        if ticks and ticks % 30 == 0:
            self._adapt(hall, now_s)
        lines = 0
        if ticks % 5 == 0:
            existing = len(hall.ringing) + len(hall.waiting) + calling
            lines = max(0, math.floor(self._level * (ready + calling) + 1e-9) - existing)
            self._dialled.append((now_s, lines))
        return lines, now_s + self._TICK_S

    def abandoned(self, now_s: float) -> None:
        self._dropped.append(now_s)

    def _look_at_drops(self, hall: Hall, now_s: float) -> None:
        day = hall.day
        self._drop_share = day.abandoned / day.answered if day.answered else 0.0
        while self._dialled and self._dialled[0][0] < now_s - 60.0:
            self._dialled.popleft()
        while self._dropped and self._dropped[0] < now_s - 60.0:
            self._dropped.popleft()
        self._minute = (sum(lines for _, lines in self._dialled), len(self._dropped))

    def _adapt(self, hall: Hall, now_s: float) -> None:
        seen = len(self._balance)
        agents = sum(entry[2] for entry in self._balance) / seen
        ahead = sum(entry[0] - entry[1] for entry in self._balance) / seen + self._offset
        level = self._level * (1.0 + (ahead / agents if agents else 0.0))
        level = max(1.0, min(self._most, level))
        calls, drops = self._minute
        if calls > 20 and drops > calls / 2:
            level /= 2
        if hall.day.dialled > 50 and self._drop_share > self._scene.cap:
            if self._limit == "hard":
                level = 1.0
            elif self._limit == "average":
                level /= 2
            else:
                level *= min(1.0, max(0.0, (self._end_s - now_s) / 36_000.0))
        self._level = max(1.0, level)


class Issabel(Unlearned):
    """``sure``: the probability from which on a busy agent counts as free."""

    on_events = False

    def __init__(self, scene: Scene, *, overcommit: bool, sure: float = 0.97) -> None:
        self._overcommit, self._sure = overcommit, sure
        self._talk_s, self._talks = scene.talk.mean_s, 1
        self._ring_s, self._answers = scene.rings.mean_s, 1
        self._ended: deque[tuple[float, bool]] = deque()
        self._people = 0

    def begin(self, hall: Hall, now_s: float) -> None:
        self._ended.clear()
        self._people = 0

    def line_ended(self, now_s: float, ring_s: float, *, person: bool) -> None:
        self._ended.append((now_s, person))
        self._people += person
        if person:
            self._answers += 1
            self._ring_s += (ring_s - self._ring_s) / self._answers

    def stage_ended(self, stage: str, agent: str, length_s: float, now_s: float) -> None:
        if stage == "talk":
            self._talks += 1
            self._talk_s += (length_s - self._talk_s) / self._talks

    def look(self, hall: Hall, now_s: float) -> tuple[int, float]:
        while self._ended and self._ended[0][0] < now_s - 1800.0:
            self._people -= self._ended.popleft()[1]
        # All busy agents whose talk is old enough
        age_s = -math.log(1.0 - self._sure) * self._talk_s - self._ring_s
        nearly = sum(now_s - busy.since_s >= age_s for busy in hall.talking.values())
        lines = max(0, len(hall.idle) + nearly - len(hall.waiting) - len(hall.ringing))
        if self._overcommit and len(self._ended) >= 10 and self._people:
            lines = round(lines / max(0.2, self._people / len(self._ended)))
        return lines, now_s + 3.0
