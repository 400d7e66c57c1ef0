"""What a simulation found, as tables for people, and the bar while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from acd.cli import text as say
from acd.cli.console import cell, emit, make_console, make_table
from acd.cli.context import Options
from acd.sim import Results
from acd.sim.estimates import Estimate
from acd.sim.results import GroupLine, Line

LAG_MAX = 0.35
"""From here on a batch depends on the one before so much that its intervals should not be believed."""


@contextmanager
def bar(label: str) -> Iterator[Callable[[float], None] | None]:
    """A progress bar on standard error while inside, if that is a terminal; tell it the share that is done."""
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(32),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, refresh_per_second=5) as progress:
        task = progress.add_task(say.clean(label), total=1.0)
        yield lambda share: progress.update(task, completed=share)


def show(results: Results, took_s: float, given: Options) -> None:
    """Print everything."""
    console = make_console(given)
    length = say.duration(results.length_s)
    warm_up = f" after {say.duration(results.warm_up_s)} of warm-up" if results.warm_up_s else ""
    runs = say.counted(results.replications, "run")
    head = f"{say.clean(results.scenario)}: {runs} of {length}, counted{warm_up}; seed {results.seed}"
    lines = [Text(head, style="bold")]
    if results.description:
        lines.append(Text(say.clean(results.description), style="bright_black"))
    emit(console, *lines, Text(""), _callers(results), Text(""), _waits(results), Text(""), _agents(results))
    rate = 60 * results.calls / took_s if took_s > 0 else 0.0
    emit(
        console,
        Text(""),
        *(Text(note, style="yellow") for note in _notes(results)),
        Text(f"{results.calls:,} calls, {results.events:,} events in {took_s:.1f} s ({rate:,.0f} calls a minute)"),
        Text(
            f"±: {results.confidence:.4g} confidence from {results.batches} batches; "
            f"floor revision {say.clean(results.revision)}; digest of all commands {results.digest}"
        ),
    )


def _lines(results: Results) -> Iterator[tuple[str, str, Line]]:
    yield "all", "bold", results.total
    if len(results.callers) > 1:
        for name, line in results.callers.items():
            yield f"callers {name}", "", line
    if len(results.queues) > 1:
        for name, line in results.queues.items():
            yield f"queue {name}", "", line


def _callers(results: Results) -> Table:
    table = make_table(
        [
            ("", "left"),
            ("callers", "right"),
            ("answered", "right"),
            ("gave up", "right"),
            ("turned away", "right"),
            ("sent on", "right"),
            ("in time", "right"),
        ],
        title="What became of them",
    )
    for name, style, line in _lines(results):
        figures = (line.figures.get(key) for key in ("answered", "abandoned", "blocked", "sent_away", "service_level"))
        table.add_row(cell(name, style), f"{line.callers:,}", *(_percent(figure) for figure in figures), style=style)
    return table


def _waits(results: Results) -> Table:
    table = make_table(
        [
            ("", "left"),
            ("had to wait", "right"),
            ("mean wait", "right"),
            ("of those who waited", "right"),
            ("of those answered", "right"),
            ("half", "right"),
            ("90 %", "right"),
            ("99 %", "right"),
            ("longest", "right"),
        ],
        title="How long they waited",
    )
    for name, style, line in _lines(results):
        means = (line.figures.get(key) for key in ("wait_s", "delayed_s", "asa_s"))
        quantiles = (line.wait_p50_s, line.wait_p90_s, line.wait_p99_s, line.longest_s)
        table.add_row(
            cell(name, style),
            _percent(line.figures.get("waited")),
            *(_seconds(figure) for figure in means),
            *(say.exact(value) or "-" for value in quantiles),
            style=style,
        )
    return table


def _agents(results: Results) -> Table:
    table = make_table(
        [
            ("agents", "left"),
            ("", "right"),
            ("calls", "right"),
            ("occupancy", "right"),
            ("least", "right"),
            ("most", "right"),
            ("Gini", "right"),
        ],
        title="How busy agents were",
    )
    for name, group in results.groups.items():
        table.add_row(cell(name), *_group(group))
    return table


def _group(group: GroupLine) -> tuple[str, ...]:
    return (
        str(group.agents),
        f"{group.calls:,}",
        _percent(group.occupancy),
        "-" if group.least is None else f"{group.least:.1%}",
        "-" if group.most is None else f"{group.most:.1%}",
        f"{group.gini:.3f}",
    )


def _notes(results: Results) -> Iterator[str]:
    if results.total.stuck:
        callers = say.counted(results.total.stuck, "caller")
        yield f"{callers} still waited when nothing more could happen: nobody may serve them"
    for what, counts in (("drift", results.drift), ("alarm", results.alarms)):
        for kind, count in sorted(counts.items()):
            yield f"{what} {say.clean(kind)}: {count:,} times"
    lag = results.total.lag
    if lag is not None and lag > LAG_MAX:
        yield (
            f"batches hang together (correlation {lag:.2f}): intervals are too narrow; "
            "let it run for longer, or in more replications"
        )


def _percent(figure: Estimate | None) -> str:
    if figure is None:
        return "-"
    if figure.half_width is None:
        return f"{figure.value:.2%}"
    return f"{figure.value * 100:.2f} ±{figure.half_width * 100:.2f} %"


def _seconds(figure: Estimate | None) -> str:
    if figure is None:
        return "-"
    if figure.half_width is None:
        return f"{figure.value:.2f} s"
    return f"{figure.value:.2f} ±{figure.half_width:.2f} s"
