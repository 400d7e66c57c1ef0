"""Utilisation against abandonment, a picture a cell: ours, what the others reach at each setting, and the limit.

Marks of the others are full where the cap is kept at the end of every day, as ours has to, and hollow where it is not; rings
show the best by that rule and the best that keeps the cap on average.

matplotlib is not needed to run acd, so it is imported only when something is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from acd.sim.dialing.suite import Verdict

OURS, LIMIT, CAP = "#1f6feb", "#2da44e", "#8a8f98"
_DAILY, _AVERAGE = "#1b1f24", "#b0b6be"
_KINDS = {
    "progressive": ("#8a8f98", "s"),
    "ratio": ("#d9822b", "^"),
    "vicidial": ("#b3541e", "v"),
    "issabel": ("#8250df", "D"),
    "blind": ("#57606a", "P"),
}
_COLUMNS, _MOST = 3, 24


def draw(verdicts: Sequence[Verdict], folder: Path) -> list[Path]:
    """Write ``dialer.png`` into ``folder``; returns the files. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    pyplot.rcParams.update(
        {
            "figure.dpi": 150,
            "font.size": 9,
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
    shown = verdicts[:_MOST]
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure, grid = pyplot.subplots(
        rows, columns, figsize=(4.2 * columns, 3.1 * rows + 0.6), layout="constrained", squeeze=False
    )
    places = [axes for row in grid for axes in row]
    for axes, verdict in zip(places, shown, strict=False):
        _cell(axes, verdict)
    for axes in places[len(shown) :]:
        axes.set_visible(False)
    handles: dict[str, Any] = {}
    for axes in places[: len(shown)]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=min(2 * columns, len(handles)))
    left_out = f"; the first {_MOST} of {len(verdicts)} cells" if len(verdicts) > len(shown) else ""
    figure.supxlabel(
        f"people abandoned, of those who answered{left_out}\nhollow: above the cap at the end of some day", fontsize=9
    )
    figure.supylabel("utilisation of agents", fontsize=9)
    file = folder / "dialer.png"
    figure.savefig(file)
    pyplot.close(figure)
    return [file]


def _cell(axes: Any, verdict: Verdict) -> None:
    cap = verdict.cell.scene.cap
    axes.axvline(cap, color=CAP, linestyle=":", linewidth=1)
    for kind, (colour, mark) in _KINDS.items():
        for other in verdict.others:
            if other.contender.split()[0] != kind or other.abandonment.value > 4 * cap:
                continue
            axes.plot(
                other.abandonment.value,
                other.utilisation.value,
                color=colour,
                marker=mark,
                markersize=4,
                markerfacecolor="none" if other.above else colour,
                linestyle="none",
                label=kind,
            )
    for rival, colour, size, label in (
        (verdict.average, _AVERAGE, 12, "best other, cap on average"),
        (verdict.daily, _DAILY, 9, "best other, cap each day"),
    ):
        if rival.complies:
            axes.plot(
                rival.figures.abandonment.value,
                rival.figures.utilisation.value,
                color=colour,
                marker="o",
                markersize=size,
                markerfacecolor="none",
                linestyle="none",
                label=label,
            )
    if verdict.limit is not None:
        axes.plot(cap, verdict.limit, color=LIMIT, marker="_", markersize=14, linestyle="none", label="exact limit")
    ours = verdict.ours
    axes.errorbar(
        ours.abandonment.value,
        ours.utilisation.value,
        xerr=ours.abandonment.half_width or 0.0,
        yerr=ours.utilisation.half_width or 0.0,
        color=OURS,
        marker="o",
        capsize=2,
        linestyle="none",
        label="predictive",
    )
    axes.set_xlim(-0.001, 4.2 * cap)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_title(
        f"{verdict.cell.case}, {verdict.cell.agents} agents, {verdict.cell.answer_rate:.0%} answer", fontsize=9
    )
