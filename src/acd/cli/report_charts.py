"""Small charts as SVG marks within a page: bars over time, a share over time, an agent's day. They take their colours from
the page's style sheet, so one drawing serves light, dark and paper. Every number in them also stands in the page's table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from acd.domain.values import valueclass

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 960, 52, 8, 10, 26
_LABELS_MAX = 12


@valueclass(frozen=True, slots=True)
class Series:
    """``style`` is a class of the style sheet; a value None is a gap."""

    name: str
    style: str
    values: Sequence[float | None]


def nice_ticks(most: float, count: int = 4) -> list[float]:
    """Round numbers from 0 to at least ``most``."""
    if most <= 0:
        return [0, 1]
    rough = most / count
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= rough)
    step = max(step, 1) if most >= 1 else step
    return [step * n for n in range(math.ceil(most / step) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f") if value == int(value) else f"{value:g}"


def _frame(height: int, ticks: Sequence[tuple[float, str]], labels: Sequence[str], top: float, width: int) -> list[str]:
    """Lines and figures at the left, labels below."""
    made = []
    for value, text in ticks:
        y = _y(value, top, height)
        made.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        made.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>')
    every = math.ceil(len(labels) / (_LABELS_MAX * width / WIDTH))
    slot = (width - LEFT - RIGHT) / max(len(labels), 1)
    for n, label in enumerate(labels):
        if n % every == 0:
            x = LEFT + slot * (n + 0.5)
            made.append(f'<text class="tick" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{escape(label)}</text>')
    return made


def _y(value: float, top: float, height: int) -> float:
    return TOP + (height - TOP - BOTTOM) * (1 - value / top)


def _svg(height: int, says: str, marks: Sequence[str], width: int = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(says)}" '
        f'preserveAspectRatio="xMidYMid meet">{"".join(marks)}</svg>'
    )


def legend(series: Sequence[Series]) -> str:
    """What the colours mean."""
    items = "".join(f'<li><i class="swatch {one.style}"></i>{escape(one.name)}</li>' for one in series)
    return f'<ul class="legend">{items}</ul>'


def stacked_bars(
    series: Sequence[Series],
    labels: Sequence[str],
    names: Sequence[str],
    says: str,
    *,
    height: int = 210,
    width: int = WIDTH,
    most: float | None = None,
) -> str:
    """Bars on top of each other, one an interval. ``labels`` stand below, ``names`` in full when pointed at; ``most`` is the
    highest of all charts that are to be compared."""
    sums = [sum(one.values[n] or 0 for one in series) for n in range(len(labels))]
    ticks = nice_ticks(max(sums, default=0) if most is None else most)
    top = ticks[-1]
    marks = _frame(height, [(tick, _number(tick)) for tick in ticks], labels, top, width)
    slot = (width - LEFT - RIGHT) / max(len(labels), 1)
    wide = max(min(slot * 0.74, 42), 0.6)
    for n in range(len(labels)):
        x, below = LEFT + slot * (n + 0.5) - wide / 2, 0.0
        parts = []
        for one in series:
            value = one.values[n] or 0
            if value:
                y, base = _y(below + value, top, height), _y(below, top, height)
                parts.append(
                    f'<rect class="{one.style}" x="{x:.2f}" y="{y:.2f}" width="{wide:.2f}" height="{base - y:.2f}"/>'
                )
            below += value
        said = ", ".join(f"{one.name} {_number(one.values[n] or 0)}" for one in series)
        marks.append(f"<g><title>{escape(names[n])}: {escape(said)}</title>{''.join(parts)}</g>")
    return _svg(height, says, marks, width)


def share_line(one: Series, labels: Sequence[str], names: Sequence[str], says: str, height: int = 150) -> str:
    """A line from 0 to 100 %, broken where there is no value."""
    width = WIDTH
    marks = _frame(height, [(tick / 100, f"{tick} %") for tick in (0, 50, 80, 100)], labels, 1.0, width)
    slot = (width - LEFT - RIGHT) / max(len(labels), 1)
    runs: list[list[tuple[float, float]]] = [[]]
    for n, value in enumerate(one.values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((LEFT + slot * (n + 0.5), _y(value, 1.0, height)))
    for run in filter(None, runs):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
        marks.append(f'<polyline class="line {one.style}" points="{points}"/>')
    for n, value in enumerate(one.values):
        if value is not None:
            x, y = LEFT + slot * (n + 0.5), _y(value, 1.0, height)
            said = f"{names[n]}: {one.name} {value * 100:.1f} %"
            radius = 3.2 if len(labels) <= 60 else 1.6
            dot = f'<circle class="dot {one.style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
            marks.append(f"{dot}<title>{escape(said)}</title></circle>")
    return _svg(height, says, marks)


@valueclass(frozen=True, slots=True)
class Stretch:
    """From ``begin`` to ``end``, shares of the lane's width."""

    begin: float
    end: float
    style: str
    says: str


def lane(stretches: Sequence[Stretch], ticks: Sequence[tuple[float, str]], says: str) -> str:
    """One agent's day from left to right; ``ticks`` are hours, at shares of the width."""
    height, inner = (46 if ticks else 28), WIDTH - 2 * RIGHT
    marks = [
        f'<rect class="{one.style}" x="{RIGHT + inner * one.begin:.2f}" y="4" '
        f'width="{max(inner * (one.end - one.begin), 0.4):.2f}" height="22"><title>{escape(one.says)}</title></rect>'
        for one in stretches
    ]
    for at, text in ticks:
        x = RIGHT + inner * at
        marks.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="26" y2="31"/>')
        marks.append(f'<text class="tick" x="{x:.1f}" y="43" text-anchor="middle">{escape(text)}</text>')
    return _svg(height, says, marks)
