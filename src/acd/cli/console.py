"""How things look: one console, tables that pipe well, the colours of states, bars that add up.

Every text that came from outside goes through `text.clean` and into a ``Text``, never into markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from acd.cli.context import Options
from acd.cli.text import clean, shares
from acd.domain.states import AgentState, SegmentKind

PIPE_WIDTH = 100_000
Justify = Literal["left", "right", "center"]

#: The order in which states are counted up, and how each looks: (state, word, style, cell without colour).
STATES: tuple[tuple[AgentState, str, str, str], ...] = (
    (AgentState.TALKING, "talking", "green", "#"),
    (AgentState.RINGING, "ringing", "cyan", "%"),
    (AgentState.RESERVED, "reserved", "blue", "&"),
    (AgentState.WRAP_UP, "wrap-up", "yellow", "+"),
    (AgentState.PREVIEW, "preview", "bright_cyan", "~"),
    (AgentState.AVAILABLE, "available", "bright_white", "="),
    (AgentState.PAUSED, "paused", "magenta", "-"),
    (AgentState.LOGGED_OUT, "logged out", "bright_black", "."),
)
STATE_STYLES: dict[str, str] = {state: style for state, _, style, _ in STATES}
STATE_WORDS: dict[str, str] = {state: word for state, word, _, _ in STATES}

SEGMENT_STYLES: dict[str, tuple[str, str]] = {
    SegmentKind.ENTERED: ("bright_black", "."),
    SegmentKind.WAITED: ("yellow", "-"),
    SegmentKind.OFFERED: ("blue", "o"),
    SegmentKind.RANG: ("cyan", "%"),
    SegmentKind.TALKED: ("green", "#"),
    SegmentKind.HELD: ("bright_yellow", "h"),
    SegmentKind.CONSULTED: ("bright_cyan", "c"),
    SegmentKind.CONFERENCED: ("bright_green", "3"),
    SegmentKind.AFTER: ("magenta", "a"),
    SegmentKind.WRAPPED: ("bright_black", "+"),
}

OUTCOME_STYLES = {
    "answered": "green",
    "transferred": "green",
    "abandoned": "red",
    "overflowed": "yellow",
    "fallback": "yellow",
    "lost_track": "red",
}


def make_console(given: Options) -> Console:
    """Standard output. Not a terminal: no colours, and so wide that nothing is cut or folded."""
    console = Console(no_color=True if given.no_color else None, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console = Console(
            no_color=True,
            width=PIPE_WIDTH,
            markup=False,
            emoji=False,
            highlight=False,
            color_system=None,
            soft_wrap=True,
        )
    return console


def cell(value: object, style: str = "") -> Text:
    """Text from outside, harmless, for a table."""
    return Text(clean(value), style=style, no_wrap=True, overflow="ellipsis")


def make_table(columns: Sequence[tuple[str, Justify]], *, title: str | None = None) -> Table:
    """A table without lines but one under its head. Texts may be cut to the terminal's width, figures never."""
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title=title, title_justify="left", title_style="bold",
        header_style="bold", show_edge=False,
    )  # fmt: skip
    for name, justify in columns:
        if justify == "right":
            table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
        else:
            table.add_column(name, no_wrap=True, overflow="ellipsis")
    return table


def emit(console: Console, *renderables: RenderableType) -> None:
    """Print them; piped, without the blanks that fill lines up."""
    if console.is_terminal:
        for renderable in renderables:
            console.print(renderable)
        return
    with console.capture() as captured:
        for renderable in renderables:
            console.print(renderable)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    console.file.flush()


def emit_table(console: Console, table: Table, empty: str) -> None:
    """The table, without the line under its head if piped; or ``empty`` if it has no row."""
    if not console.is_terminal:
        table.box = None
    emit(console, table if table.row_count else Text(empty, style="dim"))


def bar(parts: Sequence[tuple[float, str, str]], width: int, *, colour: bool, ascii_only: bool = False) -> Text:
    """``parts`` of (amount, style, cell without colour) in ``width`` cells, in proportion, adding up to it."""
    text = Text(no_wrap=True)
    for cells, (_, style, plain) in zip(shares([part[0] for part in parts], width), parts, strict=True):
        text.append((plain if ascii_only or not colour else "█") * cells, style=style)
    return text


def has_colour(console: Console) -> bool:
    """Whether colours tell anything on this console."""
    return console.color_system is not None and not console.no_color


def agents_bar(counts: Mapping[str, int], width: int, console: Console) -> Text:
    """Agents by state as one bar."""
    parts = [(float(counts.get(state, 0)), style, plain) for state, _, style, plain in STATES]
    return bar(parts, width, colour=has_colour(console), ascii_only=not console.encoding.lower().startswith("utf"))


def agents_legend(counts: Mapping[str, int], console: Console) -> Text:
    """``31 talking  4 ringing ...`` in the bar's colours (or with its signs); states nobody is in are left out."""
    text = Text()
    for state, word, style, plain in STATES:
        if counts.get(state):
            sign = "" if has_colour(console) else f"{plain} "
            text.append("  " if text else "")
            text.append(f"{sign}{counts[state]} {word}", style=style)
    return text or Text("none", style="dim")


def wait_style(wait_s: float | None, threshold_s: float | None) -> str:
    """Red beyond the service-level threshold, yellow from half of it."""
    if not wait_s or not threshold_s:
        return ""
    return "bold red" if wait_s > threshold_s else "yellow" if wait_s > threshold_s / 2 else "green"


def level_style(share: float | None) -> str:
    """A service level: green from 80 %, red below 60 %."""
    return "" if share is None else "green" if share >= 0.8 else "yellow" if share >= 0.6 else "bold red"
