"""The demonstration: a small call centre with real calls, busy enough that its queues build and drain.

Twelve agents of different skills, three queues, three kinds of caller; six more agents for whom a campaign dials
(`demo_outbound`). This module builds the rig, plans the calls and adds up; how it is shown is the command line's matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acd.lab import demo_outbound as outbound
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
OUTBOUND_SHARE = 0.9
"""For so much of the time lines are placed; the last of them end while the queues drain."""
FIRST_PHONE = 1001

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
    more = outbound.floor_parts(FIRST_PHONE + len(AGENTS))
    return {
        "skills": ["english", "german", "technical", "billing"],
        "queues": {
            "sales": {**usual, "priority": 5, "max_wait": 60, "overflow": "queue:support", "skills": {"english": 60}},
            "support": {**usual, "wrap_up": 3},
            "billing": {**usual, "skills": {"billing": 60}, "hold": "ringback"},
            **more.pop("queues"),
        },
        "agents": {
            name: {
                "name": name.title(),
                "number": str(FIRST_PHONE + index),
                "phones": [f"PJSIP/{FIRST_PHONE + index}"],
                "queues": queues,
                "skills": skills,
            }
            for index, (name, (_, queues, skills)) in enumerate(AGENTS.items())
        }
        | more.pop("agents"),
        "entry_points": dict(zip(DIDS, ("sales", "support", "billing"), strict=True)),
        **more,
    }


@dataclass
class Looks:
    """What there is to see at one moment: callers and their queues in ``status`` and ``queues``, who was dialled in
    ``campaigns`` alone."""

    status: dict[str, Any]
    queues: list[dict[str, Any]]
    agents: list[dict[str, Any]]
    campaigns: list[dict[str, Any]] = field(default_factory=list)


class Demo:
    """``async with demo:`` brings it up; ``run`` yields looks until the last call is over; ``summary`` adds up."""

    def __init__(self, directory: Path, seconds: float, *, program: AsteriskProgram | None = None, seed: int = 7):
        self.directory = directory
        self.seconds = seconds
        self.interrupted = False
        self._seed, self._program = seed, program
        self._outreach = outbound.Outreach(seed)
        self._rig: Rig | None = None
        self._results: list[SippResult] = []
        self._generators: list[CallGenerator] = []
        self._last: Looks | None = None
        self.busiest: Looks | None = None
        self.first_call_at: float | None = None

    async def __aenter__(self) -> Demo:
        shutil.rmtree(self.directory / "rig", ignore_errors=True)
        behaviours = [behaviour for behaviour, _, _ in AGENTS.values()] + ["answer"] * len(outbound.NAMES)
        phones = [
            Phone(str(FIRST_PHONE + index), parse_phone_behaviour(behaviour))
            for index, behaviour in enumerate(behaviours)
        ]
        await self._outreach.open()
        plan = RigPlan(phones, floor(), seed=self._seed, endpoints=self._outreach.endpoints)
        self._rig = Rig(self.directory / "rig", plan, program=self._program)
        try:
            await self.rig.start()
            await self.rig.login_all()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    @property
    def rig(self) -> Rig:
        """What it stands on; built on entry."""
        assert self._rig is not None, "it was not entered"
        return self._rig

    async def __aexit__(self, *_: object) -> None:
        await self.rig.stop()
        self._outreach.close()

    async def run(self, interval_s: float = 0.25) -> AsyncIterator[Looks]:
        """Place the calls and look on. After the last call was placed, wait for the queues to drain."""
        placing = asyncio.create_task(self._place(), name="demo-calls")
        dialling = asyncio.create_task(self._dial(), name="demo-campaign")
        try:
            while not placing.done():
                self._last = await self._look()
                if self.busiest is None or self._last.status["waiting"] >= self.busiest.status["waiting"]:
                    self.busiest = self._last
                yield self._last
                await asyncio.sleep(interval_s)
            await placing
            await dialling
            await self._settle()
            self._last = await self._look()
            yield self._last
        finally:
            for task in (placing, dialling):
                if not task.done():
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
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

    async def _dial(self) -> None:
        ends_s = time.monotonic() + self.seconds * OUTBOUND_SHARE
        # Beside the first calls, which need not wait for it
        await self._outreach.fill(self.rig)
        await self._outreach.start(self.rig)
        await asyncio.sleep(max(1.0, ends_s - time.monotonic()))
        await self._outreach.pause(self.rig)

    async def _settle(self) -> None:
        async def landed() -> bool:
            if any(one["ledger"]["in_flight"] for one in (await self._look()).campaigns):
                return False
            # What they came to is written down a moment later
            return not self.rig.rows("SELECT 1 FROM attempts WHERE outcome IS NULL LIMIT 1")

        await self.rig.until(landed, outbound.RING_S + 15.0, "the campaign's last lines to end", every_s=0.2)
        await self.rig.until_status(
            "the last agents to wrap up",
            lambda s: (
                not s["waiting"] and not any(s["agents"][x] for x in ("RESERVED", "RINGING", "TALKING", "WRAP_UP"))
            ),
            timeout_s=15.0,
        )

    async def _look(self) -> Looks:
        asked = (self.rig.status(), *(self.rig.api(what) for what in ("queues", "agents", "campaigns")))
        status, queues, agents, campaigns = await asyncio.gather(*asked)
        found = outbound.live(campaigns["campaigns"], agents["agents"])
        own = of_callers(queues["queues"])
        return Looks({**status, **present(own), **inbound(own, agents["agents"])}, own, agents["agents"], found)

    def _lost(self, result: SippResult) -> int:
        """Dialogs lost; those that the end of an interrupted demo broke off are not."""
        return result.lost - (result.counts.failures.get("not ended", 0) if self.interrupted else 0)

    def summary(self) -> dict[str, Any]:
        """``offered, answered, abandoned, lost, service_level, asa_s, aht_s, occupancy`` of callers and their agents;
        ``outbound`` (`Outreach.figures`); and what else is of use.

        ``lost`` counts dialogs, callers', phones' and customers', that ended otherwise than their scenario says.
        """
        status = self._last.status if self._last is not None else {}
        dialled = self._outreach.figures(self._rig, interrupted=self.interrupted)
        return {
            **(inbound(self._last.queues, self._last.agents) if self._last is not None else dict.fromkeys(INBOUND)),
            "lost": sum(self._lost(result) for result in self._results) + dialled["lost"],
            "lost_why": [*(line for result in self._results for line in result.errors), *dialled["lost_why"]][:20],
            "outbound": dialled,
            "seconds": self.seconds,
            "agents": len(floor()["agents"]),
            "queues": len(DIDS),
            "drift": status.get("drift"),
            "alarms": status.get("alarms"),
            "loop_lag_ms": status.get("loop_lag_ms"),
            "interrupted": self.interrupted,
        }


INBOUND = ("offered", "answered", "abandoned", "overflowed", "service_level", "asa_s", "aht_s", "occupancy")


def of_callers(queues: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The queues without the campaign's line and its agents' queue, which the service counts with them."""
    return [one for one in queues if one["name"] not in (outbound.CAMPAIGN, outbound.QUEUE)]


def present(own: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Who waits and talks now, of callers' queues."""
    now = {name: sum(one[name] for one in own) for name in ("waiting", "talking")}
    return {**now, "longest_wait_s": max((one["longest_wait_s"] for one in own), default=0.0)}


def inbound(own: Sequence[Mapping[str, Any]], agents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`INBOUND` of callers' queues, and of the agents who serve them."""
    busy = [one["occupancy"] for one in agents if one["name"] in AGENTS and one["occupancy"] is not None]

    def mean(name: str, *weights: str) -> float | None:
        known = [(one[name], sum(one[weight] for weight in weights)) for one in own if one[name] is not None]
        total = sum(weight for _, weight in known)
        return round(sum(value * weight for value, weight in known) / total, 4) if total else None

    return {
        **{name: sum(one[name] for one in own) for name in INBOUND[:4]},
        "service_level": mean("service_level", "answered", "abandoned"),
        "asa_s": mean("asa_s", "answered"),
        "aht_s": mean("aht_s", "answered"),
        "occupancy": round(sum(busy) / len(busy), 4) if busy else None,
    }
