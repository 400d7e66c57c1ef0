"""The table of the benchmark: the same cells for people at a terminal (rich) and for a README (Markdown). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table as RichTable

from acd.domain.values import valueclass
from acd.lab.bench.contenders import CONTENDERS

MISSING = "–"


@valueclass(frozen=True, slots=True)
class Sheet:
    """One table: ``columns`` are titles, the first of them heads the rows' names."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def number(value: float | None) -> str:
    """Three digits that count, no more than one after the point above ten."""
    if value is None:
        return MISSING
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}" if abs(value) < 1 else f"{value:.1f}"


def sheets(results: Mapping[str, Any]) -> list[Sheet]:
    """Every table of ``results`` (`results.document`) that has at least one figure."""
    summary: list[Mapping[str, Any]] = results["summary"]
    present = {entry["contender"] for entry in summary} | set(results["highest"])
    contenders = [contender for contender in CONTENDERS if contender.key in present]
    keys = [contender.key for contender in contenders]
    titles = tuple(contender.title for contender in contenders)
    found = [
        Sheet("Against app_queue and bare Dial", ("", *titles), tuple(_comparison(summary, results["highest"], keys))),
        Sheet("acd alone", ("", "measured"), tuple(_alone(results["rows"], summary))),
        Sheet("Targets", ("", "measured", "target", "met"), tuple(_targets(results["targets"]))),
    ]
    return [sheet for sheet in found if sheet.rows]


def _comparison(
    summary: Sequence[Mapping[str, Any]], highest: Mapping[str, float | None], keys: Sequence[str]
) -> list[tuple[str, ...]]:
    by_key = {(e["case"], e["contender"], e["agents"], e["rate"]): e for e in summary}
    sizes = list(dict.fromkeys((e["case"], e["agents"], e["rate"]) for e in summary))
    rows: list[tuple[str, ...]] = []

    def row(name: str, case: str, agents: int, rate: float, *figures: str) -> None:
        cells = []
        for key in keys:
            entry = by_key.get((case, key, agents, rate), {})
            values = [entry.get(figure) for figure in figures]
            cells.append(MISSING if all(v is None for v in values) else " / ".join(number(v) for v in values))
        rows.append((name, *cells))

    for case, agents, rate in sizes:
        if case == "setup":
            row(
                f"{agents} agents, {rate:g} calls/s: set-up p50 / p99, ms",
                case,
                agents,
                rate,
                "setup_p50_ms",
                "setup_p99_ms",
            )
    for case, agents, rate in sizes:
        if case in ("setup", "cpu"):
            row(f"{agents} agents, {rate:g} calls/s: CPU a call, ms", case, agents, rate, "total_ms")
    for case, agents, rate in sizes:
        if case == "saturated":
            ideal = next((e["ideal_s"] for e in summary if e["case"] == case and "ideal_s" in e), None)
            row(
                f"saturated, {agents} agents: all served after, s (ideal {number(ideal)})",
                case,
                agents,
                rate,
                "makespan_s",
            )
            row("saturated: agent idle between calls p50 / p99, ms", case, agents, rate, "gap_p50_ms", "gap_p99_ms")
    if highest:
        rows.append(("highest rate held, calls/s", *(number(highest.get(key)) for key in keys)))
    return rows


def _alone(rows: Sequence[Mapping[str, Any]], summary: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for entry in summary:
        if entry["contender"] != "acd":
            continue
        if entry["case"] in ("setup", "cpu"):
            name = f"{entry['agents']} agents, {entry['rate']:g} calls/s: CPU a call, Asterisk + controller, ms"
            found.append((name, f"{number(entry.get('asterisk_ms'))} + {number(entry.get('controller_ms'))}"))
        elif entry["case"] == "start":
            found.append((f"acd serve ready, {entry['agents']} agents, s", _seconds(entry["ready_s"])))
        elif entry["case"] == "rebuild":
            callers = next(row["callers"] for row in rows if row["case"] == "rebuild")
            found.append((f"killed and started: {callers:,} held callers known again, s", _seconds(entry["rebuild_s"])))
    for row in rows:
        if row["case"] == "parse":
            what = "all handed on" if row["wanted"] == "all" else "those we want handed on"
            found.append((f"AMI events parsed a second, {what}", number(row["events_per_s"])))
        elif row["case"] == "routing":
            what = f"{row['agents']:,} agents, {row['waiting']:,} waiting, {row['types']} requirements"
            found.append(
                (f"routing, {what}: events/s, p99 µs", f"{number(row['events_per_s'])}, {number(row['p99_us'])}")
            )
        elif row["case"] == "simulation":
            what = f"{row['agents']:,} agents, {row['queues']} queues"
            found.append((f"simulated calls a minute of computing, {what}", number(row["calls_per_minute"])))
        elif row["case"] == "records" and row["durable_in"] == "log":
            name = f"records, {row['database']}"
            if "rate" in row:
                figures = f"{number(row['cpu_ms_a_call'])}, {number(row['durable_p99_ms'])}"
                found.append((f"{name}, {row['rate']:g} calls/s: CPU ms a call, event to durable p99 ms", figures))
            else:
                found.append((f"{name}: calls a second stored", number(row["in_database_a_s"])))
        elif row["case"] == "lists":
            what = f"{row['rows']:,} rows of a list imported, {row['database']}: rows/s, CPU s, peak MB"
            found.append((what, f"{number(row['rows_a_s'])}, {number(row['cpu_s'])}, {number(row['peak_mb'])}"))
        elif row["case"] == "campaign":
            found += _campaign(row)
    return found


def _campaign(row: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Real calls and, in brackets, the simulator."""

    def both(name: str, form: str) -> str:
        return f"{format(row[name], form)} ({format(row[f'{name}_simulated'], form)})"

    what = f"campaign, {row['agents']} agents, {row['length_s']:g} s, {row['dialled']:,} dialled"
    connected = f"{number(row['connected_p50_ms'])}, {number(row['connected_p99_ms'])}"
    return [
        (f"{what}: utilisation (simulated)", both("utilisation", ".1%")),
        (f"campaign: abandoned, the cap is {row['cap']:.0%} (simulated)", both("abandonment", ".2%")),
        ("campaign: dialled for one who answers (simulated)", both("dialled_for_one", ".2f")),
        ("campaign: answer to agent p50, p99, ms", connected),
    ]


def _seconds(value: float) -> str:
    return f"{value:.2f}"


def _targets(targets: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    words = {True: "yes", False: "NO", None: MISSING}
    return [
        (
            target["name"],
            f"{_amount(target['value'])} {target['unit']}",
            f"{'≥' if target['at_least'] else '≤'} {_amount(target['bound'])} {target['unit']}",
            words[target["met"]],
        )
        for target in targets
    ]


def _amount(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")


def markdown(results: Mapping[str, Any]) -> str:
    """The tables as Markdown, with the command that repeats them and what they were measured on."""
    machine, versions = results["machine"], results["versions"]
    lines = [
        (
            f"`{results['command']}`, {results['began_at'][:10]}, {machine['cores']} cores ({machine['cpu']}) shared by "
            f"SIPp, Asterisk {versions.get('asterisk', '').partition('+')[0]} and the controller; "
            f"medians of {results['plan'].get('rounds', '?')} rounds."
        ),
    ]
    for sheet in sheets(results):
        lines += ["", f"**{sheet.title}**", "", "| " + " | ".join(sheet.columns) + " |"]
        lines.append("|" + "|".join(["---", *["---:"] * (len(sheet.columns) - 1)]) + "|")
        lines += ["| " + " | ".join(row) + " |" for row in sheet.rows]
    return "\n".join(lines) + "\n"


def rich_tables(results: Mapping[str, Any]) -> list[RichTable]:
    """The tables for a terminal."""
    tables = []
    for sheet in sheets(results):
        table = RichTable(title=sheet.title, title_justify="left", title_style="bold")
        for index, column in enumerate(sheet.columns):
            table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
        for row in sheet.rows:
            style = "red" if row[-1] == "NO" else "bold" if row[0].startswith("highest") else None
            table.add_row(*row, style=style)
        tables.append(table)
    return tables
