"""The pictures of the benchmark, drawn from ``results.json``: set-up times, processor time a call, the saturated hour.

matplotlib is a development dependency, so it is imported only when something is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from acd.lab.bench.contenders import CONTENDERS

COLOURS = {"dial": "#8a8f98", "leastrecent": "#d9822b", "rrmemory": "#b3541e", "acd": "#1f6feb"}
_MARKS = {"dial": "s", "leastrecent": "^", "rrmemory": "v", "acd": "o"}


def draw(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write every picture the results allow as PNG into ``folder``; returns the files."""
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
    drawn = []
    for name, picture in (("setup", _setup), ("cpu", _cpu), ("saturated", _saturated)):
        if any(row["case"] == name for row in results["rows"]):
            figure = picture(pyplot, results)
            version = results["versions"].get("asterisk", "").partition("+")[0]
            note = f"{results['machine']['cores']} cores, Asterisk {version}, {results['began_at'][:10]}"
            figure.supxlabel(note, x=0.99, ha="right", fontsize=7, color="#8a8f98")
            file = folder / f"{name}.png"
            figure.savefig(file)
            pyplot.close(figure)
            drawn.append(file)
    return drawn


def _present(entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    keys = {entry["contender"] for entry in entries}
    return [(contender.key, contender.title) for contender in CONTENDERS if contender.key in keys]


def _setup(pyplot: Any, results: Mapping[str, Any]) -> Any:
    """Grouped bars: to the median filled, on to the 99th percentile light, on a logarithmic scale."""
    entries = [e for e in results["summary"] if e["case"] == "setup" and "setup_p99_ms" in e]
    rates = sorted({entry["rate"] for entry in entries})
    contenders = _present(entries)
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    width = 0.8 / max(len(contenders), 1)
    for index, (key, title) in enumerate(contenders):
        for position, rate in enumerate(rates):
            entry = next((e for e in entries if e["contender"] == key and e["rate"] == rate), None)
            if entry is None:
                continue
            x = position + (index - (len(contenders) - 1) / 2) * width
            p50, p99 = entry["setup_p50_ms"], entry["setup_p99_ms"]
            axes.bar(x, p99, width * 0.9, color=COLOURS[key], alpha=0.35)
            axes.bar(x, p50, width * 0.9, color=COLOURS[key], label=title if position == 0 else None)
            axes.annotate(f"{p99:.0f}", (x, p99), (0, 2), textcoords="offset points", ha="center", fontsize=8)
    axes.set_yscale("log")
    axes.set_ylim(bottom=1)
    axes.margins(y=0.25)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xticks(range(len(rates)), [f"{rate:g} calls/s" for rate in rates])
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("from INVITE to 200 OK, ms")
    agents = entries[0]["agents"] if entries else 0
    axes.set_title(f"Set-up time, {agents} agents (solid: median; light: 99th percentile)")
    axes.legend(ncols=2, loc="upper left")
    return figure


def _cpu(pyplot: Any, results: Mapping[str, Any]) -> Any:
    """Lines over the number of agents; acd's is Asterisk and controller together, with Asterisk's share dashed."""
    entries = [e for e in results["summary"] if e["case"] == "cpu" and "total_ms" in e]
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    agents = sorted({entry["agents"] for entry in entries})
    for key, title in _present(entries):
        mine = sorted((e for e in entries if e["contender"] == key), key=lambda entry: int(entry["agents"]))
        x = [entry["agents"] for entry in mine]
        total = [entry["total_ms"] for entry in mine]
        label = "acd: Asterisk + controller with records" if key == "acd" else title
        axes.plot(x, total, marker=_MARKS[key], color=COLOURS[key], label=label, linewidth=2)
        if key == "acd":
            alone = [entry["asterisk_ms"] for entry in mine]
            axes.plot(x, alone, color=COLOURS[key], linestyle="--", linewidth=1, label="acd: Asterisk alone")
    axes.set_xscale("log")
    axes.set_xticks(agents, [f"{count:,}" for count in agents])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("agents")
    axes.set_ylabel("processor time a call, ms")
    rate = entries[0]["rate"] if entries else 0
    axes.set_title(f"Processor time a call at {rate:g} calls/s")
    axes.legend(loc="upper left")
    return figure


def _saturated(pyplot: Any, results: Mapping[str, Any]) -> Any:
    """Calls answered by agents over time, the median round of each contender, against the ideal switch."""
    rows = [row for row in results["rows"] if row["case"] == "saturated"]
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for key, title in _present(rows):
        mine = sorted((row for row in rows if row["contender"] == key), key=lambda row: float(row["makespan_s"]))
        row = mine[len(mine) // 2]
        x, y = zip(*row["timeline"], strict=True)
        axes.plot(x, y, color=COLOURS[key], linewidth=2, label=f"{title}: {row['makespan_s']:.1f} s")
        # From the last answer to the end of the last conversation
        axes.plot((x[-1], row["makespan_s"]), (y[-1], y[-1]), color=COLOURS[key], linewidth=1, linestyle="--")
        axes.plot(row["makespan_s"], y[-1], marker=_MARKS[key], color=COLOURS[key])
    ideal_s, calls = rows[0]["ideal_s"], rows[0]["calls"]
    axes.axvline(
        ideal_s, color="#2da44e", linestyle=":", linewidth=1.5, label=f"infinitely fast switch: {ideal_s:.1f} s"
    )
    axes.set_xlim(left=0)
    axes.set_ylim(0, calls * 1.05)
    axes.set_xlabel("seconds from the first INVITE")
    axes.set_ylabel("calls answered by agents")
    axes.set_title(f"{calls} callers at {rows[0]['rate']:g}/s for {rows[0]['agents']} agents")
    axes.legend(loc="lower right")
    return figure
