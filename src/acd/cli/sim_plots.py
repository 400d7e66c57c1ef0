"""Pictures of a simulation: the floor over time, how long callers waited, how work was shared among agents.

matplotlib is not needed to run acd, so it is imported only when something is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acd.sim import Results

_WAITING, _TALKING, _PRESENT = "#d9822b", "#1f6feb", "#8a8f98"
_POINTS = 2_000


def draw(results: Results, folder: Path) -> list[Path]:
    """Write the pictures as PNG into ``folder``; returns the files. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    pyplot.rcParams.update(
        {
            "figure.dpi": 150,
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e8eb",
            "axes.axisbelow": True,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "legend.frameon": False,
        }
    )
    written = []
    for name, picture in (("floor", _floor), ("waits", _waits), ("occupancy", _occupancy)):
        figure = picture(pyplot, results)
        note = f"{results.scenario}, seed {results.seed}, digest {results.digest}".replace("$", r"\$")
        figure.supxlabel(note, x=0.99, ha="right", fontsize=7, color="#8a8f98")
        file = folder / f"{name}.png"
        figure.savefig(file)
        pyplot.close(figure)
        written.append(file)
    return written


def _floor(pyplot: Any, results: Results) -> Any:
    """Waiting and talking callers and the agents logged in, in the first run."""
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    unit, name = (3600.0, "hours") if results.length_s > 7200 else (60.0, "minutes")
    at = [look.at_s / unit for look in results.looks]
    axes.step(at, [look.present for look in results.looks], color=_PRESENT, where="post", label="agents logged in")
    axes.step(at, [look.talking for look in results.looks], color=_TALKING, where="post", label="callers talking")
    axes.fill_between(
        at, [look.waiting for look in results.looks], step="post", color=_WAITING, alpha=0.6, label="callers waiting"
    )
    if results.warm_up_s:
        axes.axvspan(0, results.warm_up_s / unit, color="#f3f4f6", zorder=0)
    axes.set_xlim(0, results.length_s / unit)
    # Room for the legend above the agents
    most = max((max(look.present, look.talking, look.waiting) for look in results.looks), default=1)
    axes.set_ylim(0, 1.15 * max(most, 1))
    axes.set_xlabel(f"{name} from the start" + (" (grey: warm-up)" if results.warm_up_s else ""))
    axes.set_title("The floor over time")
    axes.legend(loc="upper left", ncols=3)
    return figure


def _waits(pyplot: Any, results: Results) -> Any:
    """The share of callers who waited longer than t, on a logarithmic scale: without memory it is a straight line."""
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    waits = _thinned(results.waits_s)
    count = len(results.waits_s)
    if waits:
        axes.step([wait for wait, _ in waits], [1 - above / count for _, above in waits], color=_TALKING, where="post")
        axes.set_yscale("log")
        axes.set_ylim(max(1.0 / count, 1e-5), 1.05)
        axes.set_xlim(left=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3%}" if value < 0.001 else f"{value:.1%}")
    axes.set_xlabel("seconds")
    axes.set_title("Callers who waited for longer than this")
    return figure


def _thinned(ordered: Sequence[float]) -> list[tuple[float, int]]:
    """(wait, how many waited no longer): no more points than can be seen."""
    step = max(1, len(ordered) // _POINTS)
    return [(ordered[index], index + 1) for index in range(0, len(ordered), step)]


def _occupancy(pyplot: Any, results: Results) -> Any:
    """Each group: from the least to the most occupied agent, the mean with its interval."""
    groups = [(name, group) for name, group in results.groups.items() if group.occupancy is not None]
    shown = groups[:40]
    figure, axes = pyplot.subplots(figsize=(8, max(2.5, 0.4 * len(shown) + 1.6)), layout="constrained")
    for row, (_, group) in enumerate(shown):
        assert group.occupancy is not None
        axes.plot((group.least, group.most), (row, row), color=_PRESENT, linewidth=6, alpha=0.4, solid_capstyle="round")
        axes.errorbar(
            group.occupancy.value, row, xerr=group.occupancy.half_width or 0.0, color=_TALKING, marker="o", capsize=3
        )
    names = [f"{name} ({group.agents})".replace("$", r"\$") for name, group in shown]
    axes.set_yticks(range(len(shown)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="y", visible=False)
    left_out = f"; the first 40 of {len(groups)} groups" if len(groups) > len(shown) else ""
    axes.set_title(f"Occupancy (bar: from least to most busy agent{left_out})")
    return figure
