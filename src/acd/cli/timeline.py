"""A call's life as a timeline: its stretches end to end, in proportion, adding up to its length. No IO.

The agent's wrap-up is shown and not added: it lies behind the call, or beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from acd.cli import text as say
from acd.cli.console import OUTCOME_STYLES, SEGMENT_STYLES, bar, cell, has_colour, make_table
from acd.domain.states import SegmentKind

BAR_WIDTH_MAX = 100
#: What rounding of times may leave between the sum of the stretches and the call's length.
TOLERANCE_S = 0.0015


def timeline(body: dict[str, Any], console: Console) -> Iterator[RenderableType]:
    """The lines of ``acd call show`` below its heading, for the body of /v1/calls/{id}."""
    row, live = body["call"], body["live"]
    if live is not None:
        yield _live_line(live)
        yield from still_waits(live)
    if row is None:
        yield Text("  not in the records yet", style="dim")
        return
    if row["outcome"] is not None:
        yield _outcome_line(row)
    now = None if live is None else live["entered_at"] + live["wait_s"] + (live["talk_s"] or 0)
    segments = [_measured(segment, now) for segment in row["segments"]]
    parts = [segment for segment in segments if segment["kind"] != SegmentKind.WRAPPED]
    if not segments:
        yield Text("  no stretches recorded", style="dim")
        return
    colour, plain = has_colour(console), not console.encoding.lower().startswith("utf")
    width = min(console.width if console.is_terminal else 80, BAR_WIDTH_MAX + 4) - 4
    cells = [(segment["length_s"], *SEGMENT_STYLES.get(segment["kind"], ("white", "?"))) for segment in parts]
    yield Text("")
    yield Text("  ").append_text(bar(cells, width, colour=colour, ascii_only=plain))
    yield Text("")
    table = _table(segments, parts, row["entered_at"], signs=plain or not colour)
    if not console.is_terminal:
        table.box = None
    yield table
    yield from _sum(parts, row["length_s"])


def _measured(segment: dict[str, Any], now: float | None) -> dict[str, Any]:
    """The segment with a length: an open one lasts until now."""
    length = segment["length_s"]
    if length is None:
        length = max((now or segment["started_at"]) - segment["started_at"], 0.0)
    return {**segment, "length_s": length, "open": segment["ended_at"] is None}


def _live_line(live: dict[str, Any]) -> Text:
    text = Text("  now ", style="dim").append(say.clean(live["state"]).lower(), style="bold cyan")
    if live["position"] is not None:
        text.append(f", number {live['position']} in {say.clean(live['queue'])}", style="default")
    if live["agent"]:
        text.append(f", with {say.clean(live['agent'])}", style="default")
    waited = f", waited {say.duration(live['wait_s'])}"
    talked = f", talking {say.duration(live['talk_s'])}" if live["talk_s"] else ""
    return text.append(
        f"{waited}{talked} (on {say.clean(live['node'])}, {say.clean(live['channel'])})", style="default"
    )


def still_waits(live: dict[str, Any] | None) -> Iterator[Text]:
    """How much longer a waiting call is expected to wait, if that is known."""
    expected = None if live is None else live.get("expected_wait")
    if expected is not None:
        low, high = say.average(expected["low_s"]), say.average(expected["high_s"])
        yield Text(f"  expected to wait another {say.average(expected['wait_s'])}, likely {low} to {high}")


def _outcome_line(row: dict[str, Any]) -> Text:
    text = Text("  ").append(say.clean(row["outcome"]).replace("_", " "), style=OUTCOME_STYLES.get(row["outcome"], ""))
    if row["agent"]:
        text.append(f" by {say.clean(row['agent'])}")
    if row["target"]:
        text.append(f" to {say.clean(row['target'])}")
    if row["ended_by"]:
        text.append(f", ended by {say.clean(row['ended_by'])} at {say.clock(row['ended_at'], 1)}")
    if row["cause"] is not None:
        text.append(f" (cause {row['cause']})", style="dim")
    return text


def _table(segments: list[dict[str, Any]], parts: list[dict[str, Any]], entered_at: float, *, signs: bool) -> Table:
    table = make_table(
        [("", "left"), ("STRETCH", "left"), ("AT", "left"), ("FROM", "right"), ("LENGTH", "right"), ("SHARE", "right"),
         ("QUEUE", "left"), ("AGENT", "left"), ("OUTCOME", "left")]
    )  # fmt: skip
    percents = iter(say.shares([part["length_s"] for part in parts], 100))
    for segment in segments:
        style, sign = SEGMENT_STYLES.get(segment["kind"], ("white", "?"))
        beside = segment["kind"] == SegmentKind.WRAPPED
        table.add_row(
            Text(f"  {sign if signs else '█'}", style=style),
            cell(" ".join(filter(None, (segment["kind"], segment.get("target")))), style),
            say.clock(segment["started_at"], 1),
            f"+{say.exact(segment['started_at'] - entered_at)}",
            say.exact(segment["length_s"]) + ("..." if segment["open"] else ""),
            Text("beside", style="dim") if beside else f"{next(percents)}%",
            cell(segment["queue"]),
            cell(segment["agent"]),
            cell(segment["outcome"]),
        )
    return table


def _sum(parts: list[dict[str, Any]], length_s: float | None) -> Iterator[Text]:
    """That the stretches add up to the call, or by how much they do not."""
    total = sum(part["length_s"] for part in parts)
    yield Text("")
    if any(part["open"] for part in parts) or length_s is None:
        yield Text(f"  {say.exact(total)} so far", style="bold")
    elif abs(total - length_s) <= TOLERANCE_S * max(len(parts), 1):
        yield Text(f"  {say.exact(total)} in all, the call's length", style="bold")
    else:
        gap = f"{total - length_s:+.3f} s unaccounted for"
        yield Text(f"  {say.exact(total)} in all, but the call lasted {say.exact(length_s)}: {gap}", style="bold red")
