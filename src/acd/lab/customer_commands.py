"""``acd lab customers``: play the people whom a running lab's Asterisk calls, from the command line.

Arguments and what is shown; the customers are `customers`'. The group that carries this command imports it from here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click
from rich.console import Console

from acd.domain.errors import ConfigurationError, LabError
from acd.lab.call_commands import DEFAULT_DIRECTORY, json_wanted, table, watch, weighted
from acd.lab.customer_words import Chooser, CustomerBehaviour, parse_customer
from acd.lab.customers import CustomerCall, Customers
from acd.lab.sipp_results import SippCounts, percentile

USUAL = {
    "answer-after:lognormal(9,5)+hello+talk:lognormal(60,50)": 30.0,
    "answer-after:uniform(12,24)+machine": 20.0,
    "never": 38.0,
    "busy": 6.0,
    "invalid": 3.0,
    "decline-after:exp(6)": 2.0,
    "congestion": 1.0,
}
"""Who is called on an ordinary evening: three in ten pick up."""


class _Shown:
    """The customers as the table of calls wants them."""

    def __init__(self, customers: Customers) -> None:
        self._customers = customers

    def counts(self) -> SippCounts:
        """The totals so far."""
        counted = self._customers.counts
        return SippCounts(created=counted["called"], current=self._customers.up, outcomes=outcomes_of(self._customers))


def outcomes_of(customers: Customers) -> dict[str, int]:
    """How often what happened, without what did not."""
    return {kind: count for kind, count in customers.counts.items() if kind != "called" and count}


def _numbers(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """``NUMBER=BEHAVIOUR``, as often as given."""
    found: dict[str, str] = {}
    for value in values:
        number, sign, text = value.partition("=")
        if not sign or not number.strip("+*").isdigit() or "*" in number[:-1]:
            raise click.BadParameter(f"{value!r}: say NUMBER=BEHAVIOUR, such as 4930555*=busy")
        if number in found:
            raise click.BadParameter(f"{number} is given twice")
        found[number] = text
    return found


@contextlib.contextmanager
def _log(path: Path | None) -> Iterator[IO[str] | None]:
    if path is None:
        yield None
        return
    try:
        with path.open("a", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise LabError(f"cannot write {path}: {error}") from error


def _port(directory: Path, given: int | None) -> int:
    if given is not None:
        return given
    from acd.lab.commands import LabState  # that module imports this one for its group

    state = LabState.load(directory)
    if state is None:
        raise LabError(f"there is no lab in {directory}; run: acd lab start (or name a port with --port)")
    if not state.customers:
        raise LabError(
            f"the lab in {directory} was started without a trunk to customers; run: acd lab stop, then start"
        )
    return state.customers


def summary(customers: Customers) -> dict[str, object]:
    """What came of it, JSON-able; times in ms."""
    calls = customers.calls
    return {
        "called": customers.counts["called"],
        "most_at_once": customers.most_at_once,
        "outcomes": outcomes_of(customers),
        "hung_up_by": {by: sum(call.by == by for call in calls) for by in ("customer", "far_end")},
        "heard": sum(call.heard_at is not None for call in calls),
        "heard_after_ms": {f"p{p}": _ms(percentile(_heard_after(calls), p)) for p in (50, 90, 99, 100)},
        "caller_ids": sorted({call.caller_id for call in calls})[:50],
    }


def _heard_after(calls: list[CustomerCall]) -> list[float]:
    return [call.heard_at - call.answered_at for call in calls if call.heard_at and call.answered_at]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


@click.command("customers")
@click.option(
    "--behaviour",
    "behaviours",
    multiple=True,
    callback=weighted,
    help="What customers do, or BEHAVIOUR=WEIGHT (several: by chance). Without any: an ordinary evening.",
)
@click.option(
    "--number", "numbers", multiple=True, callback=_numbers, help="NUMBER=BEHAVIOUR: that of one number, or of 4930*."
)
@click.option(
    "--log", "log_path", type=click.Path(dir_okay=False, path_type=Path), help="A line of JSON for each call."
)
@click.option("--for", "for_s", type=click.FloatRange(0), help="Stop after so long (s); else at Ctrl-C.")
@click.option("--port", type=click.IntRange(1024, 65535), help="Listen here, not where the lab's trunk calls.")
@click.option("--seed", type=int, default=1, show_default=True, help="Fixes everything that is drawn.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DIRECTORY,
    show_default=True,
    help="The lab's folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def customers(
    context: click.Context,
    behaviours: dict[str, float],
    numbers: dict[str, str],
    log_path: Path | None,
    for_s: float | None,
    port: int | None,
    seed: int,
    directory: Path,
    as_json: bool,
) -> None:
    """Play the people who are called: whatever number is dialled at the lab's trunk, PJSIP/NUMBER@carrier, reaches one.

    \b
    answer, answer-after:S   picks up; with +hello (says it), +machine or +machine:FILE.wav (a greeting and a beep),
                             +fax, +tone, +press:9 (a key once something is heard), +early (183 and music before),
                             +talk:S (hangs up then; else the far end does)
    busy congestion invalid decline unavailable refuse:CODE   each also with -after:S, +cause:N (of Q.850), +early
    never, silent            rings for ever (also +early); says no word

    Seconds may be drawn: exp(20), uniform(1,4), normal(20,5), lognormal(60,50). The same number and seed give the same.

    \b
      acd lab customers
      acd lab customers --behaviour "answer-after:exp(8)+hello+talk:exp(30)=3" --behaviour busy=1 --log calls.jsonl
      acd lab customers --number "4930555*=answer+machine" --behaviour never
    """
    mix: dict[CustomerBehaviour, float] = {
        parse_customer(text): weight for text, weight in (behaviours or USUAL).items()
    }
    chooser = Chooser(mix, {number: parse_customer(text) for number, text in numbers.items()}, seed=seed)
    for one in mix:
        if one.file is not None and not one.file.exists():
            raise ConfigurationError(f"{one}: there is no file {one.file}")
    where = _port(directory.absolute(), port)
    wanted = json_wanted(context, as_json)

    async def run(file: IO[str] | None) -> Customers:
        bank = await Customers.open(chooser, where, log=file)
        try:
            title = f"customers at UDP port {bank.port}; Ctrl-C ends it"
            await watch(title, _Shown(bank), asyncio.Event().wait(), wanted, for_s)
        finally:
            bank.close()
        return bank

    with _log(log_path) as file:
        told = summary(asyncio.run(run(file)))
    if wanted:
        click.echo(json.dumps(told, indent=1))
        return
    rows = [("called", str(told["called"])), ("most at once", str(told["most_at_once"]))]
    rows += [(kind.replace("_", " "), str(count)) for kind, count in dict(told["outcomes"]).items()]  # type: ignore[call-overload]
    rows += [("heard something", str(told["heard"])), ("numbers shown", ", ".join(told["caller_ids"]) or "none")]  # type: ignore[arg-type]
    Console(highlight=False, soft_wrap=True).print(table("Customers", rows))
