"""``acd lab call`` and ``acd lab phones``: place calls into a running lab, and play its phones, from the command line.

Arguments and what is shown; callers and phones themselves are `calls`' and `phone_bank`'s. The group that carries
these commands imports `commands` from here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from acd.domain.errors import ConfigurationError, LabError
from acd.lab.asterisk_files import PortBlock
from acd.lab.behaviours import parse_caller_behaviour, parse_phone_behaviour
from acd.lab.calls import MAX_CALLS, Call, CallGenerator, plan_calls
from acd.lab.parts import SIPP, ensure
from acd.lab.phone_bank import PhoneBank
from acd.lab.phones import Phone
from acd.lab.progress import ProgressLine
from acd.lab.sipp_results import SippCounts, SippResult

DEFAULT_DIRECTORY = Path("build/lab")
_LOOK_S = 0.5
_GRACE_S = 0.5
"""For calls that end anyway; nobody waits longer for one that rings on."""


class _Counted(Protocol):
    def counts(self) -> SippCounts: ...


def weighted(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, float]:
    """``TEXT`` or ``TEXT=WEIGHT``, as often as given."""
    weights: dict[str, float] = {}
    for value in values:
        text, sign, weight = value.rpartition("=")
        try:
            weights[text if sign else value] = float(weight) if sign else 1.0
        except ValueError as error:
            raise click.BadParameter(f"{value!r}: the weight after = is a number") from error
    return weights


def json_wanted(context: click.Context, given: bool) -> bool:
    return given or bool(getattr(context.find_root().obj, "json", False))


def _sipp() -> tuple[list[str], dict[str, str]]:
    line = ProgressLine()
    try:
        part = ensure(SIPP, progress=line)
    finally:
        line.clear()
    return part.command("sipp"), part.env()


def _ports(count: int) -> PortBlock:
    """Ports that no other command of this machine uses meanwhile, and that are no lab's media ports."""
    return PortBlock(count, low=14_000, high=19_999)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where SIPp's files go: ``keep``, or a folder that goes away afterwards."""
    if keep is not None:
        yield keep.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="acd-lab-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lab_sip_port(directory: Path, given: int | None) -> int:
    if given is not None:
        return given
    from acd.lab.commands import LabState  # that module imports this one for its group

    state = LabState.load(directory)
    if state is None:
        raise LabError(f"there is no lab in {directory}; run: acd lab start (or name a port with --sip-port)")
    return state.ports.sip


def _lab_phones(directory: Path, names: Sequence[str], behaviours: Sequence[str]) -> list[Phone]:
    """The phones of the lab in ``directory`` with their secrets; behaviours are dealt out in turn."""
    from acd.lab.commands import LabState, listed, secret

    state = LabState.load(directory)
    if state is None or not state.phones:
        raise LabError(f"the lab in {directory} has no phones; run: acd lab start --phones 3")
    unknown = [name for name in names if name not in state.phones]
    if unknown:
        raise LabError(f"the lab has no phone {', '.join(unknown)}; it has {listed(state.phones)}")
    return [
        Phone(
            name, parse_phone_behaviour(behaviours[index % len(behaviours)]), True, secret(directory, f"phone-{name}")
        )
        for index, name in enumerate(names or state.phones)
    ]


def _rows(counts: SippCounts) -> list[tuple[str, str]]:
    rows = [("calls", str(counts.calls)), ("up now", str(counts.current))]
    rows += [(kind.replace("_", " "), str(count)) for kind, count in counts.outcomes.items()]
    return rows + [(f"failed: {kind}", str(count)) for kind, count in counts.failures.items()]


def table(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(title=title, show_header=False, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name, value in rows:
        table.add_row(name, value)
    return table


async def watch(
    title: str, subject: _Counted, end: Awaitable[Any], as_json: bool, timeout_s: float | None = None
) -> None:
    """Show the counts until ``end`` is over, time is up, or somebody presses Ctrl-C (or sends SIGTERM)."""
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, interrupted.set)
    waits = [asyncio.ensure_future(end), asyncio.ensure_future(interrupted.wait())]
    console = Console(highlight=False)
    live = None if as_json or not console.is_terminal else Live(console=console, transient=True)
    deadline = None if timeout_s is None else loop.time() + timeout_s
    try:
        with live if live is not None else contextlib.nullcontext():
            while True:
                pause_s = _LOOK_S if deadline is None else max(min(_LOOK_S, deadline - loop.time()), 0.0)
                done, _ = await asyncio.wait(waits, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
                if waits[0] in done:
                    waits[0].result()
                if done or (deadline is not None and loop.time() >= deadline):
                    return
                if live is not None:
                    live.update(table(title, _rows(subject.counts())))
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        for number in signals:
            loop.remove_signal_handler(number)


def _report(context: click.Context, title: str, result: SippResult, as_json: bool) -> None:
    """Print what came of it; the exit status is 1 when a call was lost."""
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=1))
    else:
        rows = [row for row in _rows(result.counts) if row[0] != "up now"]
        if result.answer_ms:
            times = " / ".join(f"{result.percentile_ms(percent):.1f}" for percent in (50, 90, 99))
            rows.append(("INVITE to answer, p50 / p90 / p99", f"{times} ms"))
        rows.append(("lost", str(result.lost)))
        Console(highlight=False, soft_wrap=True).print(table(title, rows))
        for error in result.errors[:5]:
            click.echo(f"  {error}", err=True)
    context.exit(1 if result.lost else 0)


_Decorated = Callable[..., Any]


def _common(command: _Decorated) -> _Decorated:
    options = (
        click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table."),
        click.option(
            "--dir",
            "directory",
            type=click.Path(file_okay=False, path_type=Path),
            default=DEFAULT_DIRECTORY,
            show_default=True,
            help="The lab's folder.",
        ),
        click.option(
            "--sip-port",
            type=click.IntRange(1, 65535),
            help="Another Asterisk on 127.0.0.1, not the lab's. Phones register there by the lab's names and secrets, from "
            "another port than they listen at: without rewrite_contact.",
        ),
        click.option("--seed", type=int, default=1, show_default=True, help="Fixes everything that is drawn."),
        click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Keep SIPp's files here."),
    )
    for option in options:
        command = option(command)
    return click.pass_context(command)


@click.command("call")
@click.option("--to", "to", multiple=True, required=True, callback=weighted, help="Number to call, or NUMBER=WEIGHT.")
@click.option("--count", type=click.IntRange(1, MAX_CALLS), default=1, show_default=True, help="How many calls.")
@click.option("--rate", type=click.FloatRange(0.01, 2000), default=1.0, show_default=True, help="Calls a second.")
@click.option("--at-once", type=click.IntRange(1), help="At most so many at a time.")
@click.option(
    "--behaviour",
    "behaviours",
    multiple=True,
    default=("until-bye",),
    show_default=True,
    callback=weighted,
    help="What the callers do: until-bye, talk:30, patience:10, dtmf:12#, refused, joined by +; or BEHAVIOUR=WEIGHT.",
)
@click.option("--number", "numbers", multiple=True, help="The caller's number (several: in turn).")
@click.option("--name", "names", multiple=True, help="The caller's name (several: in turn).")
@click.option("--from", "phone", help="Call from this phone of the lab, as its agent would.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0), help="Break off what is still up after so long (s).")
@_common
def call(
    context: click.Context,
    to: dict[str, float],
    count: int,
    rate: float,
    at_once: int | None,
    behaviours: dict[str, float],
    numbers: tuple[str, ...],
    names: tuple[str, ...],
    phone: str | None,
    timeout_s: float | None,
    as_json: bool,
    directory: Path,
    sip_port: int | None,
    seed: int,
    keep: Path | None,
) -> None:
    """Place calls into the lab's Asterisk and say what came of them.

    Durations are seconds or distributions: talk:exp(30), patience:uniform(10,60), normal(20,5), lognormal(180,90).
    A call is lost when it ended otherwise than its behaviour says; then the exit status is 1.

    \b
      acd lab call --to 5551000
      acd lab call --to 5551000=3 --to 5552000=1 --count 200 --rate 5 --behaviour "patience:20+talk:exp(10)"
      acd lab call --from 1001 --to '*45' --behaviour 'dtmf:1234#'
    """
    kinds = {parse_caller_behaviour(text): weight for text, weight in behaviours.items()}
    if phone is not None:
        if numbers or names or len(to) > 1 or len(kinds) > 1:
            raise ConfigurationError("--from goes with one --to and one --behaviour, and without --number and --name")
        agent = _lab_phones(directory.absolute(), [phone], ["answer"])[0]
        did, kind = next(iter(to)), next(iter(kinds))
        calls = [Call.from_phone(agent, did, kind, seed=seed + index) for index in range(count)]
    else:
        calls = plan_calls(to, count, kinds, numbers=numbers, names=names, seed=seed)
    port = _lab_sip_port(directory.absolute(), sip_port)
    command, env = _sipp()

    async def run(folder: Path, first: int) -> SippResult:
        generator = CallGenerator(calls, rate, port, first, command, folder, at_once=at_once, env=env)
        await generator.start()
        as_json_now = json_wanted(context, as_json)
        await watch(f"{count} calls, {rate:g} a second", generator, generator.wait(), as_json_now, timeout_s)
        return await generator.stop(0)

    with _folder(keep) as folder, _ports(CallGenerator.PORTS) as block:
        result = asyncio.run(run(folder, block.first))
    _report(context, "Calls", result, json_wanted(context, as_json))


@click.command("phones")
@click.argument("names", nargs=-1)
@click.option(
    "--behaviour",
    "behaviours",
    multiple=True,
    default=("answer",),
    show_default=True,
    help="What the phones do (several: dealt out in turn): answer, answer-after:3, busy, decline, unavailable, "
    "refuse:404 (these four also with -after:3), never, silent, absent; with an answer also talk:20, transfer:EXTENSION, "
    "joined by +.",
)
@click.option("--for", "for_s", type=click.FloatRange(0), help="Stop after so long (s); else at Ctrl-C.")
@_common
def phones(
    context: click.Context,
    names: tuple[str, ...],
    behaviours: tuple[str, ...],
    for_s: float | None,
    as_json: bool,
    directory: Path,
    sip_port: int | None,
    seed: int,
    keep: Path | None,
) -> None:
    """Play phones of the lab (all, or those named): register, take calls as told, un-register at the end.

    \b
      acd lab phones --behaviour "answer-after:uniform(1,4)+talk:exp(30)"
      acd lab phones 1001 1002 --behaviour busy --behaviour never --for 60
    """
    directory = directory.absolute()
    played = _lab_phones(directory, names, behaviours)
    port = _lab_sip_port(directory, sip_port)
    command, env = _sipp()

    async def run(folder: Path, first: int) -> SippResult:
        bank = PhoneBank(played, port, first, command, folder, env=env, seed=seed)
        await bank.start()
        try:
            try:
                await bank.register()
                title = f"{len(played)} phones; Ctrl-C ends it"
                await watch(title, bank, asyncio.Event().wait(), json_wanted(context, as_json), for_s)
            finally:
                # Also when some were refused or somebody was impatient: what is registered does not stay so
                await bank.unregister()
        finally:
            result = await bank.stop(_GRACE_S)
        return result

    # A phone that is named twice listens twice
    listening = len(behaviours) * max(Counter(phone.name for phone in played).values())
    with _folder(keep) as folder, _ports(listening + 1) as block:
        result = asyncio.run(run(folder, block.first))
    _report(context, "Phones", result, json_wanted(context, as_json))


commands: list[click.Command] = [call, phones]
"""For the group ``acd lab``."""
