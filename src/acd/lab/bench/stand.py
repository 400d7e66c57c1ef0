"""One contender's turn: Asterisk and phones afresh, a load on them, and what it took.

Times of calls are the callers' and phones' own (SIPp's log, in microseconds), processor time is the kernel's count.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from acd.domain.errors import LabError
from acd.domain.values import valueclass
from acd.lab.asterisk import AsteriskOptions, AsteriskPorts, AsteriskProgram
from acd.lab.behaviours import Answers, CallerBehaviour, Duration
from acd.lab.bench.contenders import NUMBER, UNHEARD_EVENTS, Contender, dialplan, queues_conf
from acd.lab.bench.statistics import gaps_ms, ideal_makespan_s, percentile, timeline
from acd.lab.calls import CallGenerator, plan_calls
from acd.lab.parts import Unpacked
from acd.lab.phones import make_phones
from acd.lab.rig import Rig, RigPlan, simple_floor
from acd.lab.sipp_results import CallEvent, SippResult

FIRST_PHONE = 1001
RTP_PORTS = 6000
"""Two for each leg: room for 1,500 calls."""
_PATIENCE_S = 30.0
_STARTS = 3
_TIMELINE_STEP_S = 0.25
UNTIL_BYE = CallerBehaviour(until_bye=True)


@valueclass(frozen=True, slots=True)
class Parts:
    """What all turns share: the programs."""

    asterisk: AsteriskProgram
    sipp: Unpacked


@valueclass(frozen=True, slots=True)
class Cpu:
    """Processor time so far, in seconds; ``busy_s`` is what all processors of the machine have done."""

    at: float
    asterisk_s: float
    controller_s: float
    sipp_s: float
    busy_s: float = 0.0


def make_rig(
    directory: Path,
    parts: Parts,
    contender: Contender,
    agents: int,
    *,
    talk_s: float | None,
    held: bool = False,
    shared_pbx: bool = False,
) -> Rig:
    """A call centre of ``agents`` phones that answer at once, talk for ``talk_s`` and hang up first.

    On a ``shared_pbx`` Asterisk makes every manager event, also those nobody here wants.
    """
    talk = None if talk_s is None else Duration.fixed(talk_s)
    phones = make_phones(agents, first=FIRST_PHONE, behaviour=Answers(talk=talk))
    devices = [phone.device for phone in phones]
    plan = RigPlan(
        phones,
        simple_floor([phone.name for phone in phones], did=NUMBER),
        dialplan_text=dialplan(contender, first_phone=FIRST_PHONE, phones=agents, held=held),
        options=AsteriskOptions(
            queues=queues_conf(contender, devices),
            manager_general={} if shared_pbx else {"disabledevents": ",".join(UNHEARD_EVENTS)},
        ),
        log_level="warning",
    )
    rig = Rig(directory, plan, program=parts.asterisk, sipp=parts.sipp)
    rig.ports = AsteriskPorts.free(rtp_ports=RTP_PORTS)
    return rig


@contextlib.asynccontextmanager
async def started(make: Callable[[], Rig], contender: Contender) -> AsyncIterator[Rig]:
    """Up, with everybody at work; down at the end. Tried again when it cannot start: ports are found free and used
    a second later, and a long run should not end because somebody else was quicker."""
    for left in reversed(range(_STARTS)):
        rig = make()
        try:
            await rig.start(serve=contender.is_acd)
            if contender.is_acd:
                await rig.login_all()
            break
        except LabError:
            await rig.stop()
            if not left:
                raise
    try:
        yield rig
    finally:
        await rig.stop()


def read_cpu(rig: Rig, callers: CallGenerator | None = None) -> Cpu:
    """The kernel's count now."""
    controller_s = rig.serve.cpu_s if rig.serve is not None else 0.0
    sipp_s = rig.bank.cpu_s + (callers.cpu_s if callers is not None else 0.0)
    return Cpu(time.time(), rig.asterisk.cpu_s, controller_s, sipp_s, _busy_s())


def _busy_s() -> float:
    """All but idle and waiting for disks, in /proc/stat's first line."""
    fields = [int(field) for field in Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


async def run_load(rig: Rig, rate: float, warm_s: float, steady_s: float) -> dict[str, Any]:
    """``rate`` calls a second; what came within ``steady_s`` after ``warm_s`` counts. Returns `load_figures`."""
    callers = rig.callers(plan_calls(NUMBER, round(rate * (warm_s + steady_s)), UNTIL_BYE), rate)
    await callers.start()
    await asyncio.sleep(warm_s)
    before = read_cpu(rig, callers)
    await asyncio.sleep(steady_s - 0.2)
    after = read_cpu(rig, callers)
    return load_figures(await _end(callers, _PATIENCE_S), before, after)


async def _end(callers: CallGenerator, timeout_s: float) -> SippResult:
    try:
        return await callers.wait(timeout_s)
    except TimeoutError:
        return await callers.stop(0)


def load_figures(result: SippResult, before: Cpu, after: Cpu) -> dict[str, Any]:
    """Set-up times of calls placed, and processor time a call by those that ended, between two moments.

    ``unanswered`` counts calls placed then that never got an answer, ``others_cores`` is how many processors were busy
    with anything else: where that is more than a tenth, the figures mean little.
    """
    placed = {
        event.call: event.at for event in result.events if event.kind == "placed" and before.at <= event.at < after.at
    }
    answered: dict[int, float] = {}
    for event in result.events:
        if event.kind == "answered" and event.call in placed:
            answered.setdefault(event.call, event.at)
    setup_ms = [(at - placed[call]) * 1000 for call, at in answered.items()]
    ended = sum(1 for event in result.events if event.kind == "ended" and before.at <= event.at < after.at)
    asterisk_ms, controller_ms, sipp_ms = (
        (late - early) * 1000 / ended if ended else None
        for early, late in zip(
            (before.asterisk_s, before.controller_s, before.sipp_s),
            (after.asterisk_s, after.controller_s, after.sipp_s),
            strict=True,
        )
    )
    return {
        "calls": len(placed),
        "ended": ended,
        "unanswered": len(placed) - len(answered),
        "lost": result.lost,
        "retransmissions": result.counts.retransmissions,
        "setup_p50_ms": percentile(setup_ms, 50),
        "setup_p90_ms": percentile(setup_ms, 90),
        "setup_p99_ms": percentile(setup_ms, 99),
        "setup_max_ms": max(setup_ms, default=None),
        "asterisk_ms": asterisk_ms,
        "controller_ms": controller_ms,
        "total_ms": None if asterisk_ms is None or controller_ms is None else asterisk_ms + controller_ms,
        "sipp_ms": sipp_ms,
        "others_cores": _others_cores(before, after),
        "errors": list(result.errors[:3]),
    }


def _others_cores(before: Cpu, after: Cpu) -> float:
    used_s = [cpu.asterisk_s + cpu.controller_s + cpu.sipp_s for cpu in (before, after)]
    # The kernel's own work for our packets is in busy_s and in nobody's account, a few hundredths of a core
    others_s = after.busy_s - before.busy_s - (used_s[1] - used_s[0])
    return max(others_s, 0.0) / (after.at - before.at)


async def run_saturated(rig: Rig, calls: int, rate: float, agents: int, talk_s: float) -> dict[str, Any]:
    """More callers than agents until all were served. Returns `saturated_figures`."""
    callers = rig.callers(plan_calls(NUMBER, calls, UNTIL_BYE), rate)
    before = read_cpu(rig)
    await callers.start()
    result = await _end(callers, calls * talk_s / agents * 4 + _PATIENCE_S)
    after = read_cpu(rig)  # without the callers' SIPp, which has ended: it counts among the others
    phones = await rig.bank.stop(1.0)
    figures = saturated_figures(result, phones.events, ideal_makespan_s(calls, rate, agents, talk_s))
    for name in ("asterisk", "controller"):
        figures[f"{name}_ms"] = (getattr(after, f"{name}_s") - getattr(before, f"{name}_s")) * 1000 / calls
    figures["others_cores"] = _others_cores(before, after)
    return figures


def saturated_figures(result: SippResult, phones: Sequence[CallEvent], ideal_s: float) -> dict[str, Any]:
    """Makespan from the first INVITE to the end of the last call, gaps between a phone's calls, and the course.

    ``timeline`` is ``[seconds, calls answered by agents so far]``.
    """
    began = min((event.at for event in result.events if event.kind == "placed"), default=0.0)
    ended = max((event.at for event in result.events if event.kind == "ended"), default=began)
    by_kind: dict[str, dict[str, list[float]]] = {"hung_up": {}, "offered": {}, "answered": {}}
    for event in phones:
        if event.kind in by_kind:
            by_kind[event.kind].setdefault(event.who, []).append(event.at)
    gaps = gaps_ms(by_kind["hung_up"], by_kind["offered"])
    answers = [at - began for times in by_kind["answered"].values() for at in times]
    return {
        "calls": result.started,
        "lost": result.lost,
        "makespan_s": ended - began,
        "ideal_s": ideal_s,
        "over_ideal_percent": ((ended - began) / ideal_s - 1) * 100,
        "served": len(answers),
        "gap_p50_ms": percentile(gaps, 50),
        "gap_p99_ms": percentile(gaps, 99),
        "timeline": [list(point) for point in timeline(answers, _TIMELINE_STEP_S)],
        "errors": list(result.errors[:3]),
    }


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers rounded for JSON: microseconds are the finest thing measured."""
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}


def as_json(parts: Parts) -> dict[str, str]:
    """Which programs ran."""
    return {"asterisk": parts.asterisk.version, "sipp": dict(asdict(parts.sipp)["versions"]).get("sip-tester", "")}
