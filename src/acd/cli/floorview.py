"""The whole floor as one screen: a function of what the service said and of the room there is. No IO, no clock.

Everything fits by choice and not by chance: columns leave in the order of their worth when it is narrow, rows are
counted out before they are drawn, and what is not shown is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from acd.cli import text as say
from acd.cli.console import (
    STATE_STYLES,
    STATE_WORDS,
    Justify,
    agents_bar,
    agents_legend,
    level_style,
    wait_style,
)
from acd.domain.states import AgentState

GAP = 2
NAME_WIDTH_MIN = 10
AGENT_ROWS_MIN = 2
#: Agents side by side: (width at least, columns shown), the roomier first.
BLOCKS = ((58, 7), (36, 3))
BLOCK_GAP = 3
ALARM_SHOWN_S, ALARM_FRESH_S = 3600.0, 600.0
_AGENT_HEADS = 2


@dataclass(frozen=True)
class Floor:
    """What the service said: the bodies of /v1/status, /v1/queues and /v1/agents. ``campaigns``: of /v1/campaigns, each
    with its agents' ``utilisation`` (left out, or None, where it is not known)."""

    status: dict[str, Any]
    queues: list[dict[str, Any]]
    agents: list[dict[str, Any]]
    campaigns: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """One column: ``worth`` says how long it stays when room gets short (1 leaves first, 0 never leaves)."""

    head: str
    worth: int
    cell: Callable[[dict[str, Any]], Text]
    justify: Justify = "right"


def plain(value: object, style: str = "") -> Text:
    return Text(say.clean(value), style=style, no_wrap=True)


def _dim(text: str) -> Text:
    return Text(text, style="dim", no_wrap=True, overflow="ellipsis")


def _number(value: int | None, style: str = "") -> Text:
    return Text("-" if value is None else str(value), style=style if value else "dim")


def _lost(queue: dict[str, Any]) -> Text:
    """Abandoned calls, red from a tenth of those offered, yellow from a twentieth."""
    abandoned, offered = queue["abandoned"], queue["offered"]
    share = abandoned / offered if offered else 0
    return _number(abandoned, "red" if share >= 0.1 else "yellow" if share >= 0.05 else "")


def _free(queue: dict[str, Any]) -> Text:
    free = queue["agents"].get(AgentState.AVAILABLE, 0) - (queue.get("cut_off") or 0)
    return Text(str(free), style="bold red" if not free and queue["waiting"] else "" if free else "dim")


QUEUE_COLUMNS = (
    Column("QUEUE", 0, lambda q: plain(q["name"], "bold"), "left"),
    Column("WAIT", 0, lambda q: _number(q["waiting"], f"bold {wait_style(q['longest_wait_s'], q['service_level_s'])}")),
    Column(
        "LONGEST",
        9,
        lambda q: Text(
            say.duration(q["longest_wait_s"]) if q["waiting"] else "-",
            style=wait_style(q["longest_wait_s"], q["service_level_s"]) if q["waiting"] else "dim",
        ),
    ),
    Column("LEVEL", 8, lambda q: Text(say.percent(q["service_level"]), style=level_style(q["service_level"]) or "dim")),
    Column("TALK", 7, lambda q: _number(q["talking"], "green")),
    Column("FREE", 9, _free),
    Column("OFFERED", 5, lambda q: _number(q["offered"])),
    Column("ANSW", 4, lambda q: _number(q["answered"])),
    Column("ABAND", 6, _lost),
    Column("OVER", 2, lambda q: _number(q["overflowed"], "yellow")),
    Column("ASA", 5, lambda q: Text(say.average(q["asa_s"]))),
    Column("AHT", 3, lambda q: Text(say.average(q["aht_s"]))),
    Column("WITHIN", 1, lambda q: Text(say.average(q["service_level_s"]), style="dim")),
)


def dialled(campaign: dict[str, Any]) -> int:
    """Lines placed so far."""
    return int(campaign["settled"]) + lines_of(campaign)


def lines_of(campaign: dict[str, Any]) -> int:
    """Lines that ring, wait or talk."""
    return int(campaign["ringing"]) + int(campaign["waiting"]) + int(campaign["connected"])


def _of_cap(campaign: dict[str, Any]) -> Text:
    """The share abandoned in the tightest window, red above its cap."""
    share, cap = campaign["ledger"]["share"], campaign["ledger"]["cap"]
    return Text("-" if share is None else f"{share:.1%}", style="bold red" if share is not None and share > cap else "")


_WHY = {
    "state": "not running",
    "database": "database away",
    "refused": "database refuses",
    "clock": "clock went back",
    "lag": "service too busy",
    "node": "no Asterisk",
    "trunk_rests": "trunk rests",
    "lines": "all lines in use",
    "agents": "no agent free",
    "agents_choose": "agents choose",
    "contacts": "nobody due",
    "inbound:recall": "agents recalled",
    "inbound:reserve": "agents reserved",
    "pacer:pulled": "all accepted",
    "pacer:covered": "all idle agents",
    "pacer:ratio": "ratio reached",
    "pacer:risk": "risk reached",
    "pacer:ledger": "cap reached",
    "pacer:lines": "no line or contact",
    "pacer:nothing": "none ahead",
}


def why(campaign: dict[str, Any]) -> Text:
    """What holds a campaign back, or sets its pace, in a few words."""
    because = str(campaign["because"] or "")
    waits = because and not because.startswith(("pacer:", "state"))
    said = _WHY.get(because) or because.replace(":", ": ").replace("_", " ")
    return plain(said, "yellow" if waits else "dim")


CAMPAIGN_COLUMNS = (
    Column("CAMPAIGN", 0, lambda c: plain(c["name"], "bold"), "left"),
    Column("MODE", 2, lambda c: plain(c["mode"]), "left"),
    Column("STATE", 5, lambda c: plain(c["state"]), "left"),
    Column("AGENTS", 4, lambda c: _number(sum(c["agents"].values()))),
    Column("DIALLED", 3, lambda c: _number(dialled(c))),
    Column("LINES", 8, lambda c: _number(lines_of(c))),
    Column("RING", 5, lambda c: _number(c["ringing"])),
    Column("TALK", 6, lambda c: _number(c["connected"], "green")),
    Column("ANSW", 9, lambda c: _number(c["outcomes"].get("answered", 0))),
    Column("ABAND", 7, _of_cap),
    Column("CAP", 1, lambda c: Text(say.percent(c["ledger"]["cap"]), style="dim")),
    Column("WHY", 6, why, "left"),
)
UTILISATION = Column("UTIL", 8, lambda c: Text(say.percent(c.get("utilisation"))))


def campaign_columns(campaigns: Sequence[dict[str, Any]]) -> Sequence[Column]:
    """Those of campaigns; their agents' utilisation where it is known."""
    known = any(one.get("utilisation") is not None for one in campaigns)
    return (*CAMPAIGN_COLUMNS, UTILISATION) if known else CAMPAIGN_COLUMNS


def state_text(agent: dict[str, Any]) -> Text:
    """``talking -> logout``, ``paused (lunch)``: the state, why, and what follows it."""
    state = agent["state"]
    text = Text(STATE_WORDS.get(state, say.clean(state)), style=STATE_STYLES.get(state, ""), no_wrap=True)
    if agent.get("reason"):
        text.append(f" ({say.clean(agent['reason'], 20)})")
    if agent.get("cut_off") and state == AgentState.AVAILABLE:
        text.append(" (cut off)", style="bold red")
    if agent.get("pending"):
        text.append(f" > {say.clean(agent['pending'], 30)}", style="italic")
    return text


def phone_text(agent: dict[str, Any]) -> Text:
    """The phone's state; red if it cannot ring though the agent wants calls."""
    state = say.clean(agent["phone_state"]).lower()
    wanted = agent["state"] == AgentState.AVAILABLE and not agent.get("line")
    style = "bold red" if state == "unreachable" and agent["state"] != AgentState.LOGGED_OUT else "dim"
    return Text(state, style="yellow" if wanted and state == "busy" else style, no_wrap=True)


def line_text(line: dict[str, Any]) -> Text:
    """An agent's lasting line: what it does, or why there is none."""
    state = say.clean(line["state"])
    text = Text(LINE_WORDS.get(state, state), style="" if state in ("waits", "in use") else "yellow")
    if line["on_hold"]:
        text.append(" (on hold)", style="yellow")
    if line["detail"]:
        text.append(f": {say.clean(line['detail'], 200)}")
    return text


LINE_WORDS = {
    "down": "none",
    "due": "none, is to be called",
    "stays": "none yet, the phone stays on its call",
    "called": "none yet, the phone is called",
}


AGENT_COLUMNS = (
    Column("AGENT", 0, lambda a: plain(a["name"], "bold" if a["state"] == AgentState.TALKING else ""), "left"),
    Column("STATE", 9, state_text, "left"),
    Column("FOR", 9, lambda a: Text(say.duration(a["in_state_s"]))),
    Column("PHONE", 6, phone_text, "left"),
    Column("CALL", 3, lambda a: plain(a["call"]), "left"),
    Column("TAKEN", 5, lambda a: _number(a["calls_taken"])),
    Column("RONA", 4, lambda a: _number(a["rona"], "yellow")),
    Column("OCC", 3, lambda a: Text(say.percent(a["occupancy"]))),
    Column("QUEUES", 2, lambda a: plain(", ".join(a["queues"]), "dim"), "left"),
    Column("SKILLS", 1, lambda a: plain(skills_text(a["skills"]), "dim"), "left"),
)


def skills_text(skills: dict[str, int]) -> str:
    """``billing 40, english 80``."""
    return ", ".join(f"{name} {level}" for name, level in skills.items())


def fitted(columns: Sequence[Column], rows: Sequence[dict[str, Any]], width: int | None) -> Table:
    """The rows as a table of at most ``width`` cells; the first column is cut only when no other is left to leave."""
    cells = {column.head: [column.cell(row) for row in rows] for column in columns}
    wide = {head: max([len(head), *(text.cell_len for text in texts)]) for head, texts in cells.items()}
    kept = list(columns)
    if width is not None:
        name = columns[0].head
        while sum(wide[c.head] for c in kept) + GAP * (len(kept) - 1) > width:
            leaving = min((c for c in kept if c.worth), key=lambda c: c.worth, default=None)
            spare = wide[name] - NAME_WIDTH_MIN
            needed = sum(wide[c.head] for c in kept) + GAP * (len(kept) - 1) - width
            if leaving is None or (leaving.worth > 4 and 0 < needed <= spare):
                wide[name] = max(wide[name] - needed, 1)
                break
            kept.remove(leaving)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold dim", show_edge=False)
    for column in kept:
        table.add_column(
            column.head, justify=column.justify, no_wrap=True, overflow="ellipsis", width=wide[column.head]
        )
    for index in range(len(rows)):
        table.add_row(*(cells[column.head][index] for column in kept))
    return table


def _joined(parts: Sequence[tuple[str, str, str]], width: int | None) -> Text:
    """``label value`` pairs in one line; those that do not fit are left out whole, from the end."""
    line = Text(no_wrap=True, overflow="crop")
    for label, value, style in parts:
        piece = Text("   " if line else "")
        piece.append(f"{label} " if label else "", style="dim")
        piece.append(value, style=style)
        if width is None or line.cell_len + piece.cell_len <= width:
            line.append_text(piece)
    return line


def _title(floor: Floor, width: int | None, note: str) -> Text:
    status = floor.status
    parts = [
        f"acd {say.clean(status.get('version'))}",
        f"up {say.duration(status['now'] - status['started_at'])}",
        f"revision {say.clean(status['revision'], 12)}",
    ]
    right = f"{say.clean(note)} {say.clock(status['now'])}".strip()
    if width is None:
        return Text("   ".join([*parts, right]), style="bold")
    while parts and len("   ".join(parts)) + len(right) + 4 > width:
        parts.pop()
    left = "   ".join(parts)
    text = Text(f" {left}{right:>{max(width - len(left) - 2, 0)}} ", "bold white on red" if note else "bold reverse")
    text.truncate(width)
    return text


def _nodes(status: dict[str, Any], width: int | None) -> Text:
    parts = []
    for node in status["nodes"]:
        up = node["state"] == "up"
        value = f"{say.clean(node['state'])}"
        if not up:
            value += f" {say.duration(status['now'] - node['since'])}" if node.get("since") else ""
        parts.append((say.clean(node["name"], 20), value, "green" if up else "bold red"))
    # a node that is away must be seen even where not all fit
    parts.sort(key=lambda part: part[2] == "green")
    database, lag = status["database"], status["loop_lag_ms"]
    state = say.clean(database["state"])
    if database.get("spilled"):
        state += f", {say.counted(database['spilled'], 'batch', 'batches')} on disk"
    parts.append(("database", state, "green" if database["state"] == "ok" else "bold red"))
    journal = status.get("journal") or {}
    if journal.get("state", "off") != "off":
        parts.append(("journal", say.clean(journal["state"]), "green" if journal["state"] == "writing" else "bold red"))
    if lag.get("p99") is not None:
        late = "bold red" if lag["p99"] > 100 else "yellow" if lag["p99"] > 20 else ""
        parts.append(("loop", f"{lag['p99']:.1f} ms (max {lag.get('max') or 0:.0f})", late))
    return _joined(parts or [("", "no node configured", "bold red")], width)


def _troubles(status: dict[str, Any], width: int | None, rows: int | None) -> list[Text]:
    """Why nodes are not up, and what to do; of unsuitable ones the alarm says so already."""
    lines = []
    for node in [node for node in status["nodes"] if node["state"] in ("down", "syncing") and node.get("detail")][
        :rows
    ]:
        line = Text(f"! {say.clean(node['name'], 20)}: {say.clean(node['detail'])}", "bold red", no_wrap=True)
        if width is not None:
            line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return lines


def _sums(floor: Floor, width: int | None) -> list[Text]:
    status = floor.status
    threshold = min((queue["service_level_s"] for queue in floor.queues), default=None)
    longest = status["longest_wait_s"] if status["waiting"] else None
    abandoned = status["abandoned"]
    share = f" ({say.percent(abandoned / status['offered'])})" if status["offered"] and abandoned else ""
    now = [
        ("waiting", str(status["waiting"]), "bold"),
        ("longest", say.duration(longest) or "-", wait_style(longest, threshold)),
        ("talking", str(status["talking"]), "bold green"),
        ("service level", say.percent(status["service_level"]), level_style(status["service_level"])),
        ("ASA", say.average(status["asa_s"]), ""),
        ("AHT", say.average(status["aht_s"]), ""),
        ("occupancy", say.percent(status["occupancy"]), ""),
    ]
    since = [
        ("offered", str(status["offered"]), "bold"),
        ("answered", str(status["answered"]), "green"),
        ("abandoned", f"{abandoned}{share}", "yellow" if abandoned else ""),
        *((word, str(status[key]), style) for key, word, style in (
            ("lost_track", "lost track", "bold red"), ("unrouted", "unrouted", "bold red"),
            ("overflowed", "overflowed", "yellow"), ("transferred", "transferred", "")) if status.get(key)),
    ]  # fmt: skip
    if status["drift"]:
        since.append(("drift", str(sum(status["drift"].values())), "yellow"))
    return [_joined(now, width), _joined(since, width)]


def _alarms(status: dict[str, Any], width: int | None, rows: int | None) -> list[Text]:
    """The latest alarms, newest first, and those that are over behind the others; on a screen of few ``rows`` those of the
    last hour only."""
    lines = []
    alarms = [alarm for alarm in status["alarms"] if rows is None or status["now"] - alarm["at"] < ALARM_SHOWN_S]
    for alarm in sorted(alarms, key=lambda alarm: (alarm.get("over_at") is not None, -alarm["at"]))[:rows]:
        times = f" x{alarm['count']}" if (alarm.get("count") or 1) > 1 else ""
        ago_s = status["now"] - alarm["at"]
        what = f"{say.clean(alarm['kind']).replace('_', ' ')}{times}: {say.clean(alarm['detail'])}"
        when, style = f"{say.duration(ago_s)} ago", "bold red" if ago_s < ALARM_FRESH_S else "red"
        if (over_at := alarm.get("over_at")) is not None:
            when, style = f"{when}, over for {say.duration(status['now'] - over_at)}", "dim"
        line = Text(f"{'!' if over_at is None else '-'} {what} ({when})", style, no_wrap=True)
        if width is not None:
            line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return lines


def _blocks(count: int, width: int, rows: int) -> tuple[int, Sequence[Column]]:
    """How many tables side by side, and with which columns: as roomy as all ``count`` can be shown, if they can."""
    needed = -(-count // rows)
    if needed <= 1:
        return 1, AGENT_COLUMNS
    fits = [(max(1, (width + BLOCK_GAP) // (least + BLOCK_GAP)), columns) for least, columns in BLOCKS]
    blocks, columns = next((fit for fit in fits if fit[0] >= needed), fits[-1])
    return (1, AGENT_COLUMNS) if blocks == 1 else (min(blocks, needed), AGENT_COLUMNS[:columns])


def _agent_tables(agents: list[dict[str, Any]], width: int | None, rows: int | None) -> list[RenderableType]:
    """The agents in their own order, side by side where they are many; those left out are counted."""
    if not agents:
        return []
    if rows is None or width is None or len(agents) <= rows:
        return [Text(""), fitted(AGENT_COLUMNS, agents, width)]
    present = [agent for agent in agents if agent["state"] != AgentState.LOGGED_OUT]
    shown = present if len(present) < len(agents) else agents
    rows -= 1  # for the line that counts the rest
    if rows < AGENT_ROWS_MIN:
        return []
    blocks, columns = _blocks(len(shown), width, rows)
    shown = shown[: blocks * rows]
    grid = Table.grid(padding=(0, BLOCK_GAP, 0, 0))
    block_width = (width - BLOCK_GAP * (blocks - 1)) // blocks
    for _ in range(blocks):
        grid.add_column(width=block_width)
    per_block = -(-len(shown) // blocks)
    parts = [shown[start : start + per_block] for start in range(0, len(shown), per_block)]
    grid.add_row(*(fitted(columns, part, block_width) for part in parts))
    lines: list[RenderableType] = [Text(""), grid]
    if len(shown) < len(agents):  # with none logged out, all may fit side by side
        out = sum(1 for agent in agents if agent["state"] == AgentState.LOGGED_OUT)
        hidden = len(agents) - len(shown)
        what = "logged out" if hidden == out and len(shown) == len(present) else "more"
        lines.append(_dim(f"+ {hidden} {what}"))
    return lines


def render(
    floor: Floor, console: Console, *, width: int | None = None, height: int | None = None, note: str = ""
) -> RenderableType:
    """The screen. ``None`` for width or height: as much as there is. ``note`` (such as a lost service) is shown red."""
    lines: list[RenderableType] = [_title(floor, width, note), _nodes(floor.status, width), *_sums(floor, width)]
    rows = None if height is None else 1 if height < 30 else 3
    lines += [*_troubles(floor.status, width, rows), *_alarms(floor.status, width, rows)]
    counts = floor.status["agents"]
    bar_width = 40 if width is None else max(min(width, 160), 10)
    lines += [Text(""), agents_bar(counts, bar_width, console)]
    legend = agents_legend(counts, console)
    if width is not None:
        legend.no_wrap = True
        legend.truncate(width, overflow="ellipsis")
    lines += [legend, Text("")]

    queues = floor.queues
    room = None if height is None else height - len(lines) - 1
    campaign_rows = 2 + len(floor.campaigns) if floor.campaigns else 0
    if room is not None and len(queues) + campaign_rows > room:
        campaign_rows = 0
    room = None if room is None else room - campaign_rows
    if room is not None and len(queues) > room:
        room = max(room - 1, 1)
        by_need = sorted(queues, key=lambda queue: (-queue["waiting"], -(queue["longest_wait_s"] or 0)))
        chosen = {id(queue) for queue in by_need[:room]}
        shown = [queue for queue in queues if id(queue) in chosen]
    else:
        shown = queues
    lines.append(fitted(QUEUE_COLUMNS, shown, width) if shown else _dim("no queues"))
    if len(shown) < len(queues):
        lines.append(_dim(f"+ {len(queues) - len(shown)} queues with fewer waiting"))
        return Group(*lines)
    if campaign_rows:
        lines += [Text(""), fitted(campaign_columns(floor.campaigns), floor.campaigns, width)]
    agent_rows = None if room is None else room - len(shown) - _AGENT_HEADS
    if agent_rows is None or agent_rows >= AGENT_ROWS_MIN:
        lines += _agent_tables(floor.agents, width, agent_rows)
    return Group(*lines)
