"""The suite of the dialer as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from acd.cli import text as say
from acd.cli.console import cell, emit, make_console, make_table
from acd.cli.context import Options, print_json
from acd.sim.dialing.scene import CASES
from acd.sim.dialing.suite import Verdict
from acd.sim.estimates import Estimate


def show_cases(given: Options) -> None:
    """Names and what they are."""
    if given.json:
        print_json([{"case": name, "description": what} for name, (what, _) in CASES.items()])
        return
    table = make_table([("case", "left"), ("", "left")])
    for name, (what, _) in CASES.items():
        table.add_row(cell(name), cell(what))
    emit(make_console(given), table)


def show(verdicts: Sequence[Verdict], seeds: int, given: Options) -> None:
    """A line a cell, and what missed."""
    table = make_table(
        [
            ("case", "left"),
            ("agents", "right"),
            ("answer rate", "right"),
            ("progressive", "right"),
            ("best of the others", "right"),
            ("", "left"),
            ("predictive", "right"),
            ("abandoned", "right"),
            ("worst day", "right"),
            ("ahead", "right"),
            ("target", "right"),
            ("limit", "right"),
            ("gain", "right"),
            ("dials a contact", "right"),
        ],
        title="Utilisation of agents",
    )
    for verdict in verdicts:
        ours = verdict.ours
        table.add_row(
            cell(verdict.cell.case),
            str(verdict.cell.agents),
            f"{verdict.cell.answer_rate:g}",
            f"{verdict.progressive.utilisation.value:.3f}",
            f"{verdict.best.utilisation.value:.3f}",
            cell(f"{verdict.best.contender}, {verdict.best.abandonment.value:.1%}"),
            Text(_plain(ours.utilisation), style="bold"),
            f"{ours.abandonment.value:.2%}",
            Text(f"{ours.worst_day:.2%}", style="" if verdict.keeps_cap else "red"),
            Text(_plain(verdict.ahead, sign=True), style="green" if verdict.ahead.value > 0 else "yellow"),
            _target(verdict),
            "" if verdict.limit is None else f"{verdict.limit:.3f}",
            "" if verdict.gain is None else f"{verdict.gain:.0%}",
            f"{ours.dials_per_contact:.2f}",
        )
    notes = [Text(note, style="yellow") for note in _notes(verdicts)]
    emit(
        make_console(given),
        table,
        *notes,
        Text(f"±: 95 % confidence from days of {say.counted(seeds, 'seed')}; the others at their best in hindsight"),
    )  # fmt: skip


def _plain(figure: Estimate, *, sign: bool = False) -> str:
    value = f"{figure.value:+.3f}" if sign else f"{figure.value:.3f}"
    return value if figure.half_width is None else f"{value} ±{figure.half_width:.3f}"


def _target(verdict: Verdict) -> Text:
    if verdict.target is None:
        return Text("")
    met = verdict.ours.utilisation.value >= verdict.target
    return Text(f"{verdict.target:.3f}", style="green" if met else "yellow" if verdict.met else "red")


def _notes(verdicts: Sequence[Verdict]) -> list[str]:
    found = []
    for verdict in verdicts:
        where = f"{verdict.cell.case}, {verdict.cell.agents} agents, {verdict.cell.answer_rate:g}"
        if not verdict.keeps_cap:
            found.append(f"{where}: {verdict.ours.worst_day:.2%} abandoned at the end of a day, above the cap")
        if verdict.met is False:
            found.append(f"{where}: below the target of {verdict.target:.3f}")
        if verdict.ahead.high < 0:
            found.append(f"{where}: behind {verdict.best.contender}")
    return found
