"""The demonstration: a small call centre with real calls, busy enough that its queues build and drain.

Twelve agents of different skills, three queues, three kinds of caller. This module builds the rig, plans the calls and
adds up; how it is shown is the command line's matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acd.lab.asterisk import AsteriskProgram
from acd.lab.behaviours import parse_caller_behaviour, parse_phone_behaviour
from acd.lab.calls import CallGenerator, plan_calls
from acd.lab.phones import Phone
from acd.lab.rig import Rig, RigPlan
from acd.lab.sipp_results import SippResult

DIDS = {"5551000": 5.0, "5552000": 4.0, "5553000": 2.0}
CALLERS = {"until-bye": 6.0, "patience:uniform(40,90)+until-bye": 2.0, "patience:uniform(6,14)": 2.0}
"""Most wait for the agent to hang up; some would give up; the last kind leaves after so long, whatever happens."""
NAMES = ("Zoë Brontë", 'Ann "Ace" Ames', "O'Neill, Tom", "=SUM(A1:A9)", "<b>Bold</b>", "Jörg Müller", "Li Wei", "")
PHASES = ((0.3, 0.7), (0.4, 2.4), (0.3, 0.6))
"""(share of the time, calls a second): a quiet start, a rush that queues build in, and room to drain."""
DRAIN_S = 45.0

_FAST = "answer-after:uniform(0.3,1.5)+talk:uniform(2,7)"
_SLOW = "answer-after:uniform(1,3)+talk:uniform(4,10)"

AGENTS: dict[str, tuple[str, list[str], dict[str, int]]] = {
    "anna": (_FAST, ["sales", "support"], {"english": 90, "german": 100}),
    "bob": (_FAST, ["sales"], {"english": 100}),
    "carla": (_SLOW, ["sales", "billing"], {"english": 80, "billing": 75}),
    "dirk": (_FAST, ["support"], {"english": 70, "german": 95}),
    "emma": (_SLOW, ["support", "sales"], {"english": 95, "technical": 60}),
    "farid": (_FAST, ["support", "billing"], {"english": 85, "technical": 80, "billing": 65}),
    "greta": (_SLOW, ["support"], {"german": 100, "technical": 90}),
    "hugo": (_FAST, ["billing"], {"english": 75, "billing": 90}),
    "ines": (_SLOW, ["sales", "support"], {"english": 88, "technical": 70}),
    "jan": (_FAST, ["sales"], {"english": 92, "german": 60}),
    "kofi": (_SLOW, ["sales", "support", "billing"], {"english": 99, "technical": 75, "billing": 80}),
    "lena": (_FAST, ["sales"], {"english": 65, "german": 90}),
}


def floor() -> dict[str, Any]:
    """The content of floor.yaml: short times, so that a minute shows much."""
    usual = {"ring_timeout": 8, "wrap_up": 2, "service_level": 10}
    return {
        "skills": ["english", "german", "technical", "billing"],
        "queues": {
            "sales": {**usual, "priority": 5, "max_wait": 60, "overflow": "queue:support", "skills": {"english": 60}},
            "support": {**usual, "wrap_up": 3},
            "billing": {**usual, "skills": {"billing": 60}, "hold": "ringback"},
        },
        "agents": {
            name: {
                "name": name.title(),
                "number": str(1001 + index),
                "phones": [f"PJSIP/{1001 + index}"],
                "queues": queues,
                "skills": skills,
            }
            for index, (name, (_, queues, skills)) in enumerate(AGENTS.items())
        },
        "entry_points": dict(zip(DIDS, ("sales", "support", "billing"), strict=True)),
    }


@dataclass
class Looks:
    """What there is to see at one moment."""

    status: dict[str, Any]
    queues: list[dict[str, Any]]
    agents: list[dict[str, Any]]


class Demo:
    """``async with demo:`` brings it up; ``run`` yields looks until the last call is over; ``summary`` adds up."""

    def __init__(self, directory: Path, seconds: float, *, program: AsteriskProgram | None = None, seed: int = 7):
        self.directory = directory
        self.seconds = seconds
        self.interrupted = False
        self._seed = seed
        phones = [
            Phone(str(1001 + index), parse_phone_behaviour(behaviour))
            for index, (behaviour, _, _) in enumerate(AGENTS.values())
        ]
        self.rig = Rig(directory / "rig", RigPlan(phones, floor(), seed=seed), program=program)
        self._results: list[SippResult] = []
        self._generators: list[CallGenerator] = []
        self._last: Looks | None = None
        self.busiest: Looks | None = None
        self.first_call_at: float | None = None

    async def __aenter__(self) -> Demo:
        shutil.rmtree(self.directory / "rig", ignore_errors=True)
        await self.rig.start()
        await self.rig.login_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.rig.stop()

    async def run(self, interval_s: float = 0.25) -> AsyncIterator[Looks]:
        """Place the calls and look on. After the last call was placed, wait for the queues to drain."""
        placing = asyncio.create_task(self._place(), name="demo-calls")
        try:
            while not placing.done():
                self._last = await self._look()
                if self.busiest is None or self._last.status["waiting"] >= self.busiest.status["waiting"]:
                    self.busiest = self._last
                yield self._last
                await asyncio.sleep(interval_s)
            await placing
            await self._settle()
            self._last = await self._look()
            yield self._last
        finally:
            if not placing.done():
                placing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await placing
            self._results.append(await self.rig.bank.stop(3.0))

    async def _place(self) -> None:
        waits: list[asyncio.Task[SippResult]] = []
        try:
            self.first_call_at = time.time()
            for index, (share, rate) in enumerate(PHASES):
                length_s = self.seconds * share
                count = max(1, round(length_s * rate))
                behaviours = {parse_caller_behaviour(text): weight for text, weight in CALLERS.items()}
                calls = plan_calls(DIDS, count, behaviours, names=NAMES, seed=self._seed + index)
                generator = self.rig.callers(calls, rate)
                self._generators.append(generator)
                await generator.start()
                waits.append(asyncio.create_task(generator.wait()))
                await asyncio.sleep(length_s)
            async with asyncio.timeout(DRAIN_S):
                await asyncio.gather(*waits)
        except TimeoutError:
            pass
        finally:
            # Whatever is still up is broken off here and counts as lost, unless the whole demo was interrupted
            for wait in waits:
                if not wait.done():
                    wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            for generator, wait in zip(self._generators, waits, strict=False):
                if wait.done() and not wait.cancelled() and wait.exception() is None:
                    self._results.append(wait.result())
                else:
                    self._results.append(await generator.stop(1.0))

    async def _settle(self) -> None:
        await self.rig.until_status(
            "the last agents to wrap up",
            lambda s: (
                not s["waiting"] and not any(s["agents"][x] for x in ("RESERVED", "RINGING", "TALKING", "WRAP_UP"))
            ),
            timeout_s=15.0,
        )

    async def _look(self) -> Looks:
        status, queues, agents = await asyncio.gather(self.rig.status(), self.rig.api("queues"), self.rig.api("agents"))
        return Looks(status, queues["queues"], agents["agents"])

    def _lost(self, result: SippResult) -> int:
        """Dialogs lost; those that the end of an interrupted demo broke off are not."""
        return result.lost - (result.counts.failures.get("not ended", 0) if self.interrupted else 0)

    def summary(self) -> dict[str, Any]:
        """``offered, answered, abandoned, lost, service_level, asa_s, aht_s, occupancy``, and what else is of use.

        ``lost`` counts SIPp dialogs, callers' and phones', that ended otherwise than their scenario says.
        """
        status = self._last.status if self._last is not None else {}
        names = ("offered", "answered", "abandoned", "overflowed", "service_level", "asa_s", "aht_s", "occupancy")
        return {
            **{name: status.get(name) for name in names},
            "lost": sum(self._lost(result) for result in self._results),
            "lost_why": [line for result in self._results for line in result.errors][:20],
            "seconds": self.seconds,
            "agents": len(AGENTS),
            "queues": len(floor()["queues"]),
            "drift": status.get("drift"),
            "alarms": status.get("alarms"),
            "loop_lag_ms": status.get("loop_lag_ms"),
            "interrupted": self.interrupted,
        }
