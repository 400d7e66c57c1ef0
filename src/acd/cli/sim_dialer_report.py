"""The suite of the dialer as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from acd.cli import text as say
from acd.cli.console import cell, emit, make_console, make_table
from acd.cli.context import Options, print_json
from acd.sim.dialing.scene import CASES
from acd.sim.dialing.suite import Rival, Verdict
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
            ("predictive", "right"),
            ("abandoned", "right"),
            ("worst day", "right"),
            ("best other, each day", "left"),
            ("ahead", "right"),
            ("best other, on average", "left"),
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
            Text(_plain(ours.utilisation), style="bold"),
            f"{ours.abandonment.value:.2%}",
            Text(f"{ours.worst_day:.2%}", style="red" if not verdict.keeps_cap else "yellow" if ours.above else ""),
            *_rival(verdict.daily, verdict.daily.figures.worst_day),
            *_rival(verdict.average, verdict.average.figures.abandonment.value),
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
        Text(f"±: 95 % confidence from days of {say.counted(seeds, 'seed')}; the others at their best in hindsight,"),
        Text("with what they abandon: on their worst day where they keep the cap each day, as predictive must; on average"),
    )  # fmt: skip


def _rival(rival: Rival, abandoned: float) -> tuple[Text, Text]:
    """Who it is, and how far ours is ahead."""
    who = f"{rival.figures.utilisation.value:.3f} {rival.figures.contender}, {abandoned:.1%}"
    ahead = Text(_plain(rival.ahead, sign=True), style="green" if rival.ahead.value > 0 else "yellow")
    return cell(who if rival.complies else f"none ({who})"), ahead


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
        ours, daily = verdict.ours, verdict.daily
        if not verdict.keeps_cap:
            days = say.counted(ours.above - ours.misjudged, "day")
            found.append(
                f"{where}: {days} of {ours.days} ended above the cap, with up to {ours.worst_day:.2%} abandoned"
            )
        if ours.misjudged:
            days = say.counted(ours.misjudged, "day")
            found.append(
                f"{where}: {days} of {ours.days} above the cap by machine detection alone, nobody else abandoned"
            )
        if verdict.met is False:
            found.append(f"{where}: below the target of {verdict.target:.3f}")
        if not verdict.leads:
            how = "behind" if daily.ahead.high < 0 else "level with"
            found.append(f"{where}: {how} {daily.figures.contender}, which keeps the cap each day as well")
        if verdict.average.ahead.high < 0:
            found.append(f"{where}: behind {verdict.average.figures.contender}, which keeps the cap on average only")
    return found
