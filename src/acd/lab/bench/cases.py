"""The cases: which turns each is made of, in which order, and the rows they give.

A row is a flat dictionary: ``case``, ``contender``, ``round``, its sizes, and figures (``stand``). Nothing is judged
here.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from acd.domain.errors import LabError
from acd.lab.asterisk import AsteriskPorts, LabAsterisk
from acd.lab.asterisk_files import AmiUser, extensions_conf, free_ports
from acd.lab.behaviours import Answers, Duration
from acd.lab.bench.contenders import ACD, BARE_DIAL, NUMBER, Contender, dialplan
from acd.lab.bench.plan import Plan
from acd.lab.bench.search import StepSearch
from acd.lab.bench.stand import FIRST_PHONE, UNTIL_BYE, Parts, make_rig, plain, run_load, run_saturated, started
from acd.lab.calls import place_calls, plan_calls
from acd.lab.judged.plan import JudgePlan, long_plan
from acd.lab.judged.real import campaign
from acd.lab.judged.verdict import judge
from acd.lab.phone_bank import PhoneBank
from acd.lab.phones import make_phones
from acd.lab.rig import Rig, share_dir

Row = dict[str, Any]
Note = Callable[[str], None]
_RECORDED_CALLS = 300
_POLL_S = 0.005
_EXTRA_WAIT_S = 60.0
_MODULES: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "routing": (("--only", "sizes"), ("--only", "sizes", "--events", "2000", "--repeats", "1")),
    "simulation": ((), ("--calls", "1000", "--rounds", "1")),
    "records": ((), ("--short",)),
    "lists": ((), ("--short",)),
}
"""case -> arguments in the long form and in the short one"""
_MUSIC = re.compile(r"MusicOnHold\([^\n]*\?default:\$\{acd_hold\}\)\},")


class Bench:
    """Runs cases of ``plan`` one turn after the other. ``note`` is told what is being done, for people."""

    def __init__(self, directory: Path, parts: Parts, plan: Plan, note: Note) -> None:
        self._directory, self._parts, self._plan, self._note = directory, parts, plan, note

    async def rows(self, cases: Sequence[str], contenders: Sequence[Contender]) -> AsyncIterator[Row]:
        """Every row, as it is measured: round by round, so that a slow minute of the machine spreads over all."""
        plan = self._plan
        for number in range(1, plan.rounds + 1):
            # The order changes from round to round, so that nobody always runs on a machine that is still warm
            turn = number % max(len(contenders), 1)
            order = [*contenders[turn:], *contenders[:turn]]
            if "setup" in cases:
                for rate in plan.setup_rates:
                    for contender in order:
                        yield await self._load("setup", number, contender, plan.setup_agents, rate)
            if "cpu" in cases:
                for agents in plan.cpu_agents:
                    for contender in order:
                        yield await self._load("cpu", number, contender, agents, plan.cpu_rate)
            if "saturated" in cases:
                for contender in order:
                    if contender.can_wait:
                        yield await self._saturated(number, contender)
        if "highest" in cases:
            for contender in contenders:
                async for row in self._highest(contender):
                    yield row
        for case, measure in (("start", self._start), ("rebuild", self._rebuild)):
            if case in cases and ACD in contenders:
                for number in range(1, plan.starts + 1):
                    yield await measure(number)
        if "parse" in cases:
            for row in await self._parse():
                yield row
        for case, arguments in _MODULES.items():
            if case in cases and ACD in contenders:
                for row in await self._module(case, arguments[plan.brief]):
                    yield row
        if "campaign" in cases and ACD in contenders:
            yield await self._campaign()

    # -- turns -------------------------------------------------------------------------------------------------------

    def _folder(self) -> Path:
        """A fresh folder for a turn; what the one before left is of no use."""
        folder = self._directory / "turn"
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def _rig(
        self, contender: Contender, agents: int, talk_s: float | None, *, held: bool = False
    ) -> AbstractAsyncContextManager[Rig]:
        shared = self._plan.shared_pbx
        return started(
            lambda: make_rig(
                self._folder(), self._parts, contender, agents, talk_s=talk_s, held=held, shared_pbx=shared
            ),
            contender,
        )

    async def _load(self, case: str, number: int, contender: Contender, agents: int, rate: float) -> Row:
        plan = self._plan
        self._note(f"{case}: {contender.title}, {agents} agents, {rate:g} calls/s, round {number}")
        async with self._rig(contender, agents, plan.talk_s) as rig:
            figures = await run_load(rig, rate, plan.warm_s, plan.steady_s)
        sizes = {"case": case, "contender": contender.key, "round": number, "agents": agents, "rate": rate}
        return sizes | plain(figures)

    async def _saturated(self, number: int, contender: Contender) -> Row:
        plan = self._plan
        calls, agents, rate = plan.saturated_calls, plan.saturated_agents, plan.saturated_rate
        self._note(f"saturated: {contender.title}, {agents} agents, {calls} callers, round {number}")
        async with self._rig(contender, agents, plan.talk_s, held=True) as rig:
            figures = await run_saturated(rig, calls, rate, agents, plan.talk_s)
        sizes = {"case": "saturated", "contender": contender.key, "round": number, "agents": agents, "rate": rate}
        return sizes | plain(figures)

    async def _highest(self, contender: Contender) -> AsyncIterator[Row]:
        plan = self._plan
        search = StepSearch(plan.highest_first, plan.highest_step, plan.highest_finest, plan.highest_limit)
        tries = 0
        while (rate := search.next_rate()) is not None:
            tries += 1
            self._note(f"highest: {contender.title}, trying {rate:g} calls/s")
            async with self._rig(contender, plan.highest_agents, plan.talk_s) as rig:
                figures = await run_load(rig, rate, plan.warm_s, plan.highest_s)
            held = is_held(figures, plan.highest_p99_ms)
            search.note(rate, held)
            sizes = {"case": "highest", "contender": contender.key, "round": tries, "agents": plan.highest_agents}
            unfinished = search.next_rate() is not None
            yield sizes | {"rate": rate, "held": held, "unfinished": unfinished} | plain(figures)

    # -- our own -----------------------------------------------------------------------------------------------------

    async def _start(self, number: int) -> Row:
        """From the command to a service that offers calls."""
        agents = self._plan.setup_agents
        self._note(f"start: acd serve with {agents} agents, {number} of {self._plan.starts}")
        async with self._rig(ACD, agents, None) as rig:
            await rig.stop_serve()
            began = time.monotonic()
            await rig.start_serve(wait=False)
            await self._until_waiting(rig, 0)
            ready_s = time.monotonic() - began
        return plain({"case": "start", "contender": ACD.key, "round": number, "agents": agents, "ready_s": ready_s})

    async def _rebuild(self, number: int) -> Row:
        """From the command until every held caller is known again; the service was killed before."""
        callers = self._plan.rebuild_callers
        self._note(f"rebuild: {callers} held callers, {number} of {self._plan.starts}")

        def make() -> Rig:
            rig = make_rig(self._folder(), self._parts, ACD, 1, talk_s=None, shared_pbx=self._plan.shared_pbx)
            rig.plan = replace(rig.plan, extra_files={"extensions.conf": _silent_dialplan()})
            return rig

        async with started(make, ACD) as rig:
            await rig.agent("a1001", "logout")
            generator = rig.callers(plan_calls(NUMBER, callers, UNTIL_BYE), 50)
            await generator.start()
            await self._until_waiting(rig, callers, timeout_s=callers / 50 + _EXTRA_WAIT_S)
            await rig.kill_serve()
            began = time.monotonic()
            await rig.start_serve(wait=False)
            await self._until_waiting(rig, callers)
            rebuild_s = time.monotonic() - began
            await generator.stop(0)
        return plain(
            {"case": "rebuild", "contender": ACD.key, "round": number, "callers": callers, "rebuild_s": rebuild_s}
        )

    async def _until_waiting(self, rig: Rig, callers: int, *, timeout_s: float = 30.0) -> None:
        """Until the service is connected and this many callers wait."""

        async def ready() -> bool:
            if rig.serve is None or not rig.serve.running:
                raise LabError(f"acd serve ended: {rig.serve_log()[-2000:]}")
            status = await rig.status()
            return status["waiting"] == callers and all(node["state"] == "up" for node in status["nodes"])

        await rig.until(ready, timeout_s, f"{callers} waiting callers", allow_down=True, every_s=_POLL_S)

    async def _module(self, case: str, arguments: Sequence[str]) -> list[Row]:
        """A benchmark that is a module of its own, and needs no Asterisk: its rows."""
        self._note(f"{case}: {' '.join(('python -m', f'acd.lab.bench.{case}', *arguments))}")
        found = json.loads(
            await _run(sys.executable, "-m", f"acd.lab.bench.{case}", "--json", *arguments, may_fail=True)
        )
        rows = found["sizes"]["rows"] if case == "routing" else found["rows"]
        return [plain({"case": case, "contender": ACD.key, "round": n, **row}) for n, row in enumerate(rows, 1)]

    async def _campaign(self) -> Row:
        """The predictive dialler on real calls, against the simulator."""
        plan = JudgePlan() if self._plan.brief else long_plan()
        self._note(f"campaign: {plan.agents} agents, {plan.length_s:g} s of dialling")
        real = await campaign(self._folder(), plan, program=self._parts.asterisk, sipp=self._parts.sipp)
        self._note(f"campaign: the same {len(real.dialled)} people in the simulator")
        verdict = await asyncio.to_thread(judge, plan, real)
        return plain({"case": "campaign", "contender": ACD.key, "round": 1, **verdict.as_json()})

    # -- parsing -----------------------------------------------------------------------------------------------------

    async def _parse(self) -> list[Row]:
        """Record an unfiltered manager session during calls, then have the protocol read it."""
        self._note("parse: recording a manager session")
        recording, calls = await self._record()
        file = self._directory / "ami-recording.bin"
        file.write_bytes(recording)
        self._note("parse: reading it")
        lines = await _run(sys.executable, "-m", "acd.asterisk.ami.parse_rate", str(file))
        events = recording.count(b"\r\nEvent: ")
        rows = []
        for number, line in enumerate(lines.splitlines(), 1):
            figures = json.loads(line)
            sizes = {"case": "parse", "contender": ACD.key, "round": number, "events_per_call": events / calls}
            rows.append(plain({**sizes, **figures}))
        return rows

    async def _record(self) -> tuple[bytes, int]:
        folder, plan = self._folder(), self._plan
        ports = AsteriskPorts.free()
        phones_port, callers_port = free_ports(2, low=12_000, high=19_000)
        phones = make_phones(plan.saturated_agents, first=FIRST_PHONE, behaviour=Answers(talk=Duration.fixed(0.5)))
        sipp, env = self._parts.sipp.command("sipp"), self._parts.sipp.env()
        bank = PhoneBank(phones, ports.sip, phones_port, sipp, folder / "phones", env=env)
        secret = os.urandom(12).hex()
        asterisk = LabAsterisk(
            folder / "asterisk",
            self._parts.asterisk,
            ports,
            dialplan_text=dialplan(BARE_DIAL, first_phone=FIRST_PHONE, phones=len(phones), held=False),
            endpoints=bank.endpoints,
            ami_users=[AmiUser("all", secret, read="all")],
            die_with_parent=True,
        )
        async with asterisk.started():
            reader, writer = await asyncio.open_connection("127.0.0.1", ports.ami, limit=64 * 1024 * 1024)
            writer.write(f"Action: Login\r\nUsername: all\r\nSecret: {secret}\r\n\r\n".encode())
            received = asyncio.create_task(reader.read(-1))
            try:
                await bank.start()
                calls = plan_calls(NUMBER, _RECORDED_CALLS, UNTIL_BYE)
                await place_calls(calls, 50, ports.sip, callers_port, sipp, folder / "callers", env=env, timeout_s=60)
                writer.write(b"Action: Logoff\r\n\r\n")
                return await asyncio.wait_for(received, 10.0), _RECORDED_CALLS
            finally:
                received.cancel()
                writer.close()
                await bank.stop(0)


def is_held(figures: Row, p99_limit_ms: float) -> bool:
    """Whether a rate was held: no call lost or left unanswered, and 99 of 100 answered within the limit."""
    p99_ms = figures["setup_p99_ms"]
    return not figures["lost"] and not figures["unanswered"] and p99_ms is not None and p99_ms <= p99_limit_ms


def turns(plan: Plan, cases: Iterable[str], contenders: Sequence[Contender]) -> int:
    """How many rows there will be; the search's part is a guess."""
    waiting = sum(contender.can_wait for contender in contenders)
    each_round = {
        "setup": len(plan.setup_rates) * len(contenders),
        "cpu": len(plan.cpu_agents) * len(contenders),
        "saturated": waiting,
    }
    once = {"highest": 8 * len(contenders), "start": plan.starts, "rebuild": plan.starts, "parse": 2}
    once |= {"routing": 12, "simulation": 3, "records": 10, "lists": 2, "campaign": 1}
    return sum(plan.rounds * each_round.get(case, 0) + once.get(case, 0) for case in cases)


def _silent_dialplan() -> str:
    """The dialplan with waiting in place of music, which for a thousand callers would take more than two processors."""
    text, found = _MUSIC.subn("Wait(", (share_dir("dialplan") / "extensions_acd.conf").read_text())
    if found != 1:
        raise LabError(
            "the dialplan holds callers otherwise than the benchmark knows; see _MUSIC in lab/bench/cases.py"
        )
    return extensions_conf([], text)


async def _run(*command: str, may_fail: bool = False) -> str:
    """What a program printed. ``may_fail``: it says by its exit code that a target was missed, and prints all the same."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode != 0 and not (may_fail and process.returncode == 1 and out.strip()):
        raise LabError(f"{' '.join(command)} failed ({process.returncode}): {err.decode()[-1000:]}")
    return out.decode()
