"""``acd campaign``: what is dialled: listed, shown, watched, started and stopped, explained, and accounted for."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from acd.cli import text as say
from acd.cli.client import Client, connect, segment
from acd.cli.console import cell, emit, emit_table, make_console, make_table
from acd.cli.context import EXIT_USAGE, Failure, common_options, options, print_json
from acd.cli.floorview import Column, fitted, plain, why
from acd.cli.lazy import LazyGroup
from acd.domain.detection import LEAST

WATCH_S = 1.0
STATE_STYLES = {"running": "green", "paused": "yellow", "stopped": "dim"}


@click.group(cls=LazyGroup, table={name: ("acd.cli.campaign", attribute, text) for name, attribute, text in (
    ("list", "list_campaigns", "All campaigns, what they do and what they have reached."),
    ("show", "show", "One campaign with its figures."),
    ("status", "status", "A table of all campaigns; --watch keeps it live."),
    ("explain", "explain", "Why a campaign dials nobody, or so few."),
    ("start", "start", "Have a campaign dial, from now on and after every restart."),
    ("pause", "pause", "Dial nobody more for now; whoever was called is served."),
    ("stop", "stop", "Dial nobody more; lines that ring are left to ring, unless --now."),
    ("dial", "dial", "Have one number dialled for an agent."),
    ("evidence", "evidence", "What was dialled, answered, abandoned and refused: the compliance report."),
)})  # fmt: skip
@common_options
def campaign() -> None:
    """What is dialled.

    A campaign of floor.yaml dials once it is started. Its state outlives restarts, and every change of it stands in the
    audit log.
    """


@click.command("list")
@common_options
def list_campaigns() -> None:
    """All campaigns, what they do and what they have reached."""
    given = options()
    with connect(given) as client:
        body = client.get("/v1/campaigns")
    if given.json:
        print_json(body)
        return
    console = make_console(given)
    emit_table(console, _table(body["campaigns"], console), "no campaigns")


@click.command()
@common_options
@click.option("--watch", "-w", is_flag=True, help="Stay, and keep it live (Ctrl-C leaves).")
@click.option("--interval", type=click.FloatRange(0.2, 3600), default=WATCH_S, show_default=True, metavar="S")
def status(watch: bool, interval: float) -> None:
    """All campaigns at a glance: lines, agents, what they came to, and what sets their pace.

    SETTLED: attempts since the service began. ANSWERED, CHARGED (as abandoned) and RATE are those of WINDOW, the legal
    window that leaves least.

    Piped, --watch prints an object a line with --json, else the table again and again.
    """
    given = options()
    console = make_console(given)
    with connect(given) as client:
        body = client.get("/v1/campaigns")
        if not watch:
            if given.json:
                print_json(body)
            else:
                emit_table(console, _table(body["campaigns"], console), "no campaigns")
            return
        try:
            _watch(client, console, body, interval, as_json=given.json)
        except KeyboardInterrupt:
            return


def _watch(client: Client, console: Console, body: dict[str, Any], interval: float, *, as_json: bool) -> None:
    if as_json or not console.is_terminal:
        while True:
            if as_json:
                click.echo(json.dumps(body))
            else:
                emit_table(console, _table(body["campaigns"], console), "no campaigns")
            time.sleep(interval)
            body = client.get("/v1/campaigns")
    with Live(_table(body["campaigns"], console), console=console, auto_refresh=False, screen=True) as live:
        while True:
            live.update(_table(body["campaigns"], console), refresh=True)
            time.sleep(interval)
            body = client.get("/v1/campaigns")


def _lines(body: dict[str, Any]) -> str:
    told = f"{body['ringing']} ringing, {body['waiting']} waiting, {body['connected']} connected"
    return f"{told}, {say.counted(body['machines'], 'machine')}" if body["machines"] else told


def _rate(share: float | None) -> str:
    """Abandonment, where tenths of a per cent matter."""
    return "" if share is None else f"{share:.2%}"


def _of_cap(row: dict[str, Any]) -> Text:
    share = row["ledger"]["share"]
    return Text(_rate(share), style="red" if share is not None and share > row["ledger"]["cap"] else "")


_COLUMNS = (
    Column("CAMPAIGN", 0, lambda row: plain(row["name"]), "left"),
    Column("MODE", 2, lambda row: plain(row["mode"]), "left"),
    Column("STATE", 0, lambda row: plain(row["state"], STATE_STYLES.get(row["state"], "")), "left"),
    Column("IDLE", 4, lambda row: Text(str(row["agents"]["idle"]))),
    Column("BUSY", 3, lambda row: Text(str(row["agents"]["talking"] + row["agents"]["wrapping"]))),
    Column("RINGING", 3, lambda row: Text(str(row["ringing"]))),
    Column("WAITING", 2, lambda row: Text(str(row["waiting"]))),
    Column("TALKING", 4, lambda row: Text(str(row["connected"]))),
    Column("SETTLED", 1, lambda row: Text(str(row["settled"]))),
    # Of one window, the ledger's tightest, so that the rate is that of the counts beside it
    Column("WINDOW", 3, lambda row: plain(row["ledger"]["window"]), "left"),
    Column("ANSWERED", 4, lambda row: Text(f"{row['ledger']['answered']:g}")),
    Column("CHARGED", 4, lambda row: Text(f"{row['ledger']['charged']:g}")),
    Column("RATE", 0, _of_cap),
    Column("OF", 1, lambda row: Text(_rate(row["ledger"]["cap"]))),
    Column("WHY NOT MORE", 0, why, "left"),
)


def _table(rows: list[dict[str, Any]], console: Console) -> Table:
    """As many columns as there is room for, the needed ones to the last."""
    return fitted(_COLUMNS, rows, console.width if console.is_terminal else None)


@click.command()
@common_options
@click.argument("name")
def show(name: str) -> None:
    """One campaign with its figures."""
    given = options()
    with connect(given) as client:
        body = client.get(f"/v1/campaigns/{segment(name)}")
    if given.json:
        print_json(body)
        return
    console = make_console(given)
    emit(console, Text(say.clean(body["name"]), style="bold"))
    for label, value in _told(body):
        emit(console, Text(f"  {label:<16}", style="dim").append(say.clean(value), style="default"))


def _told(body: dict[str, Any]) -> list[tuple[str, str]]:
    ledger, agents = body["ledger"], body["agents"]
    by = f" by {body['by']}" if body["by"] else ""
    reason = f": {body['reason']}" if body["reason"] else ""
    rate, cap = _rate(ledger["share"]), _rate(ledger["cap"])
    rows = [
        ("state", f"{body['state']} since {say.moment(body['since'])}{by}{reason}"),
        ("mode", body["mode"]),
        ("agents of", _whose(body)),
        ("dials over", f"trunk {body['trunk']}"),
        ("lists", ", ".join(body["lists"]) or "none: it dials nobody"),
        ("rules", f"profile {body['profile']}"),
        ("rank", f"priority {body['priority']}, weight {body['weight']:g}"),
        ("agents", f"{agents['idle']} idle, {agents['talking']} talking, {agents['wrapping']} wrapping up"),
        *((f"queue {queue}", _queue_told(one)) for queue, one in body["inbound"].items()),
        ("lines", _lines(body)),
        ("contacts ready", str(body["ready"])),
        ("outcomes", f"{told} (since the service began)" if (told := _counts(body["outcomes"])) else "none yet"),
        ("refused", _counts(body["refusals"]) or "nobody"),
        (
            f"ledger ({ledger['window']})",
            f"{ledger['charged']:g} of {ledger['answered']:g} answered ({rate} of {cap}), {ledger['slack']:g} left",
        ),
        *_detection(body.get("detection")),
        ("answer rate", say.percent(body["answer_rate"])),
        ("talk, wrap-up", f"{say.average(body['talk_s'])}, {say.average(body['wrap_s'])} on average"),
    ]
    if body.get("previews") or body.get("skipped"):
        rows.append(("contacts shown", _counts(body["previews"]) or "none now"))
        rows.append(("skipped", _counts(body["skipped"]) or "none"))
    if body["because_detail"]:
        rows.append(("why not more", body["because_detail"]))
    rows += [("" if n else "script", line) for n, line in enumerate(body.get("script", "").splitlines())]
    return rows


def _detection(found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What machine detection is taken to do to people."""
    if found is None:
        return []
    how = "measured" if found["measured"] else f"until agents have looked at {LEAST} machines"
    charged = f"{_rate(found['charged'])} of people are taken to be lost to it, {how}"
    told = detection_words(found)
    return [("detection", f"{charged}; {told}" if told else charged)]


def _whose(body: dict[str, Any]) -> str:
    """Whose agents serve it."""
    named = ", ".join(body.get("named", ()))
    if not body["queue"]:
        return f"its own: {named}"
    return f"queue {body['queue']}" + (f", only {named}" if named else "")


def _queue_told(one: dict[str, Any]) -> str:
    """How a queue stands that may take agents from a campaign."""
    level = "" if one["service_level"] is None else f", service level {say.percent(one['service_level'])} of late"
    now = f"{say.counted(one['waiting'], 'caller')} waiting{level}"
    if not one["kept"] and one["level"] == "calm":
        return f"takes no agents: {now}"
    return f"keeps {say.counted(one['kept'], 'agent')} ({one['level']}): {one['why']}; {now}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {many}" for name, many in sorted(counts.items(), key=lambda one: -one[1])
    )


@click.command()
@common_options
@click.argument("name")
def explain(name: str) -> None:
    """Why a campaign dials nobody, or so few: what stands in the way, the gravest first; what the pacer reckoned with; whom
    the gate refused, and why."""
    given = options()
    with connect(given) as client:
        body = client.get(f"/v1/campaigns/{segment(name)}/explain")
    if given.json:
        print_json(body)
        return
    console = make_console(given)
    emit(console, Text(say.clean(body["campaign"]), style="bold"))
    for one in body["why"]:
        emit(console, Text(f"  {one['what']:<16}", style="dim").append(say.clean(one["detail"]), style="default"))
    decision, supply, trunk, node = body["decision"], body["supply"], body["trunk"], body["node"]
    lines = []
    if supply is not None:
        waiting = say.counted(supply["waiting"], "person", "people")
        lines.append(
            ("agents", f"{supply['idle']} idle, {supply['talking']} talking, {supply['wrapping']} wrapping up")
        )
        lines.append(("lines", f"{supply['ringing']} ringing, {waiting} waiting, room for {supply['room']} more"))
    if decision is not None:
        lines.append(("decided", f"{decision['lines']} lines: {decision['because']}"))
        if decision["next_risk"] is not None:
            lines.append(
                (
                    "risk",
                    f"{decision['next_risk']:.2%} that one more finds no agent, {decision['threshold']:.2%} allowed",
                )
            )
    rests = f", rests for {trunk['rests_s']:.0f} s" if trunk["rests_s"] else ""
    lines.append((f"trunk {trunk['name']}", f"{trunk['lines']} of {trunk['lines_most']} lines in use{rests}"))
    if node is not None:
        took_ms = node["response_s"] * 1000
        lines.append(
            (
                f"node {node['name']}",
                f"{node['under_way']} of {node['window']:g} under way, answers in {took_ms:.0f} ms",
            )
        )
    lines.append(("contacts ready", str(body["ready"])))
    emit(console, "")
    for label, value in lines:
        emit(console, Text(f"  {label:<16}", style="dim").append(say.clean(value), style="default"))
    emit(console, "")
    table = make_table([("REFUSED", "right"), ("FOR", "left"), ("LAST", "left")])
    for reason, many in body["refusals"].items():
        table.add_row(str(many), cell(reason.replace("_", " ")), cell(body["last_refusals"][reason]["detail"]))
    emit_table(console, table, "the gate has refused nobody")


def _set(name: str, action: str, body: dict[str, Any]) -> None:
    given = options()
    with connect(given) as client:
        found = client.post(f"/v1/campaigns/{segment(name)}/{action}", body)
    if given.json:
        print_json(found)
        return
    one = found["campaign"]
    more = ""
    if action != "start" and one["ringing"]:
        more = f"; {say.counted(one['ringing'], 'line')} still under way"
    click.echo(f"{say.clean(one['name'])} is {one['state']}{more}")
    for warning in found["warnings"]:
        click.echo(f"acd: warning: {say.clean(warning)}", err=True)


_reason = click.option("--reason", default="", metavar="TEXT", help="Why, for the audit log.")


@click.command()
@common_options
@click.argument("name")
@_reason
def start(name: str, reason: str) -> None:
    """Have a campaign dial, from now on and after every restart, until it is paused or stopped."""
    _set(name, "start", {"reason": reason})


@click.command()
@common_options
@click.argument("name")
@_reason
def pause(name: str, reason: str) -> None:
    """Dial nobody more for now. Lines that ring are left to ring, and whoever answers is served."""
    _set(name, "pause", {"reason": reason})


@click.command()
@common_options
@click.argument("name")
@_reason
@click.option("--now", is_flag=True, help="Hang up lines that still ring, too. Whoever has answered is served.")
def stop(name: str, reason: str, now: bool) -> None:
    """Dial nobody more. Lines that ring are left to ring, unless --now, and whoever answers is served."""
    _set(name, "stop", {"reason": reason, "now": now})


@click.command()
@common_options
@click.argument("name")
@click.argument("number")
@click.option("--agent", required=True, metavar="NAME", help="Who talks then; his phone rings first.")
@click.option("--allow-erased", is_flag=True, help="Also if the person was erased (acd person erase).")
def dial(name: str, number: str, agent: str, allow_erased: bool) -> None:
    """Have one number dialled for an agent, who serves the campaign.

    The agent's phone rings first, unless he has a lasting line. Then NUMBER (+49...) is dialled: the contact of the
    campaign's lists that has it, else one made for it in the list dialled-NAME. The gate is asked as for every attempt.
    """
    given = options()
    wish = {"number": number, "agent": agent} | ({"allow_erased": True} if allow_erased else {})
    with connect(given) as client:
        found = client.post(f"/v1/campaigns/{segment(name)}/dial", wish)
    if given.json:
        print_json(found)
        return
    one = found["preview"]
    who, whom = say.clean(one["agent"]), say.clean(one["number"])
    if one["lasting_line"]:
        click.echo(f"{whom} is dialled on {who}'s lasting line: no phone rings first")
    else:
        click.echo(f"{who}'s phone rings, then {whom} is dialled")


# -- evidence ----------------------------------------------------------------------------------------------------------


@click.command()
@common_options
@click.argument("name")
@click.option("--from", "since", metavar="TIME", help="From the beginning of this time on.  [default: today]")
@click.option("--to", "until", metavar="TIME", help="To the end of this time.  [default: now]")
@click.option("--zone", metavar="ZONE", help="By whose clock these times are meant.  [default: this machine's]")
@click.option("--format", "shape", type=click.Choice(["table", "json", "csv"]), help="[default: table]")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write into this file.")
def evidence(
    name: str, since: str | None, until: str | None, zone: str | None, shape: str | None, output: Path | None
) -> None:
    """What a campaign did: attempts and what they came to, abandonments by legal window, ring times, messages, refusals.

    Asked of the database, whether or not the service runs. TIME: today, yesterday, 2026-11-21, 2026-11, -4h...
    """
    given = options()
    found = _account(name, since, until, zone)
    shape = "json" if given.json and shape is None else shape or "table"
    if shape == "table":
        if output is not None:
            message = "a table is for people: write json or csv into a file"
            raise Failure(message, EXIT_USAGE, kind="usage", as_json=given.json)
        _show_account(found, make_console(given))
        return
    if shape == "json":
        text = json.dumps(found, indent=2) + "\n"
    else:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(("campaign", "group", "item", "figure", "value"))
        writer.writerows(_rows(found))
        text = buffer.getvalue()
    if output is None:
        click.echo(text, nl=False)
        return
    from acd.reports.files import new_file

    with new_file(output) as file:
        file.write(text.encode())
    click.echo(f"acd: {say.clean(output)}", err=True)


def _account(name: str, since: str | None, until: str | None, zone: str | None) -> dict[str, Any]:
    from acd.cli.databaseurl import loaded_settings
    from acd.config.floor import load_floor
    from acd.domain.campaigns import machine_words_of
    from acd.domain.errors import ConfigurationError, ReportError, StoreError, UnknownNameError
    from acd.reports.moments import find_zone, machine_zone, period
    from acd.store.location import first_line, locate
    from acd.store.outbound.evidence import LEAST_RING_S, names
    from acd.store.outbound.evidence import evidence as ask

    loaded = loaded_settings().settings
    try:
        when = period(since, until, find_zone(zone) if zone else machine_zone(), time.time())
    except ReportError as error:
        raise Failure(str(error), EXIT_USAGE, kind="usage", as_json=options().json) from error
    least_s, words = LEAST_RING_S, frozenset[str]()
    by_clock: ZoneInfo | None = None
    try:
        definition = load_floor(loaded.floor.file).definition
        if name in definition.campaigns:
            least_s = definition.campaigns[name].rules.ring_s
            words = machine_words_of(definition.campaigns[name].dispositions)
            by_clock = ZoneInfo(definition.campaigns[name].zone)
        known = set(definition.campaigns)
    except ConfigurationError:
        known = set()
    assert loaded.database.url is not None, "filled in by load_settings"
    location = locate(loaded.database.url.get_secret_value())
    from sqlalchemy.exc import SQLAlchemyError

    engine = location.bulk_engine()
    try:
        with engine.begin() as connection:
            known |= set(names(connection))
            if name not in known:
                from difflib import get_close_matches

                near = get_close_matches(name, sorted(known), n=1, cutoff=0.5)
                raise UnknownNameError("campaign", name, near[0] if near else None)
            return ask(connection, name, when.from_s, when.to_s, least_s, words, by_clock)
    except (SQLAlchemyError, OSError) as error:
        raise StoreError(f"{location} cannot be asked: {first_line(error)}") from error
    finally:
        engine.dispose()


def _show_account(found: dict[str, Any], console: Console) -> None:
    emit(console, Text(say.clean(found["campaign"]), style="bold"))
    rings, messages = found["rings"], found["messages"]
    rows = [
        ("from, to", f"{say.moment(found['since'])} to {say.moment(found['until'])}"),
        ("attempts", f"{found['attempts']}, {found['dialled']} of them dialled, {found['unsettled']} not settled yet"),
        ("people", _people(found)),
        *differences_told(found["differences"]),
        ("messages", f"{messages['played']} heard, {messages['cut']} cut short, {messages['none']} without"),
        *([("on machines", _on_machines(found["on_machines"]))] if any(found["on_machines"].values()) else []),
        ("opted out", str(found["opted_out"])),
        *([("detection", told)] if (told := detection_words(found["detection"])) else []),
    ]
    if rings["unanswered"]:
        rows.append(("rang out", rings_words(rings)))
    for label, value in rows:
        emit(console, Text(f"  {label:<16}", style="dim").append(value, style="default"))
    emit(console, "")
    table = make_table(
        [("WINDOW", "left"), ("", "left"), ("ANSWERED", "right"), ("ABANDONED", "right"), ("MISJUDGED", "right"),
         ("UNKNOWN", "right"), ("CHARGED", "right"), ("RATE", "right")]
    )  # fmt: skip
    for one in found["windows"]:
        table.add_row(
            cell(one["window"]), cell(one["label"]), f"{one['answered']:g}", f"{one['abandoned']:g}",
            f"{one['misjudged']:g}", f"{one['unknown']:g}", f"{one['charged']:g}", _rate(one["share"]),
        )  # fmt: skip
    emit_table(console, table, "no window was counted")
    emit(console, "")
    table = make_table([("OUTCOME", "left"), ("ATTEMPTS", "right")])
    for outcome, many in found["outcomes"].items():
        table.add_row(cell(outcome.replace("_", " ")), str(many))
    emit_table(console, table, "nobody was dialled")
    emit(console, "")
    if found["dispositions"]:
        table = make_table([("AGENTS SAY", "left"), ("ATTEMPTS", "right")])
        for word, many in found["dispositions"].items():
            table.add_row(cell(word), str(many))
        emit_table(console, table, "")
        emit(console, "")
    table = make_table([("REFUSED BY THE GATE", "left"), ("TIMES", "right")])
    for reason, many in found["refusals"].items():
        table.add_row(cell(reason.replace("_", " ")), str(many))
    emit_table(console, table, "the gate has refused nobody")


def rings_words(found: dict[str, Any]) -> str:
    """How long lines were let ring that nobody took, and why some were not for as long as the rules want."""
    text = f"{found['unanswered']}, {found['mean_s']:g} s on average, {found['least_s']:g} s at least"
    if not found["early"]:
        return f"{text}, none given up too early"
    why = [
        f"{many} {how}"
        for many, how in (
            (found["early_by_stop"], "by stop --now"),
            (found["early_by_agent"], "whose agent was gone"),
            (found["early_begun_late"], "that a frozen Asterisk began late"),
        )
        if many
    ]
    return f"{text}, {found['early']} given up too early" + (f" ({', '.join(why)})" if why else "")


def _people(found: dict[str, Any]) -> str:
    """By what became of attempts."""
    served = found["outcomes"].get("answered", 0)
    out = found["outcomes"].get("opted_out", 0)
    rest = f", {out} opted out" if out else ""
    share = _rate(found["abandonment"])
    return f"{found['people']} answered: {served} put through, {found['abandoned']} abandoned ({share}){rest}"


def _on_machines(found: dict[str, int]) -> str:
    return f"{say.counted(found['played'], 'message')} left, {found['cut']} cut short"


def detection_words(found: dict[str, Any]) -> str:
    """What machine detection did to people; empty if there was none."""
    if not found["hung_up"] and not found["audited"]:
        return ""
    counts = f"{say.counted(found['hung_up'], 'machine')} hung up on"
    if not found["said"]:
        return f"{counts}, nobody has looked how many of them were people"
    looked = f"of {found['said']} more that agents looked at, {found['people']} were people"
    return (
        f"{counts}; {looked}: {_rate(found['share'])} of people lost ({_rate(found['low'])} to {_rate(found['high'])})"
    )


def differences_told(differences: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """By the ledger, which is what the law counts, for every kind of window that counts otherwise than attempts do."""
    from acd.store.outbound.differences import words

    return [(f"by {words(one['window'])}", one["detail"]) for one in differences]


def _rows(found: dict[str, Any]) -> list[tuple[str, str, str, str, Any]]:
    """One figure a row."""
    name, rows = found["campaign"], []
    plain = ("since", "until", "attempts", "dialled", "unsettled", "people", "abandoned", "abandonment", "opted_out")
    rows += [(name, "all", "", key, found[key]) for key in plain]
    for group in ("outcomes", "messages", "on_machines", "rings", "refusals", "trunks", "detection"):
        rows += [(name, group, "", key, value) for key, value in found[group].items()]
    # A number must not be taken for a formula, nor a word
    rows += [(name, "dispositions", "", f"'{key}", value) for key, value in found["dispositions"].items()]
    rows += [(name, "caller_ids", "", f"'{key}", value) for key, value in found["caller_ids"].items()]
    for one in found["windows"]:
        label = f"{one['window']} {one['label']}"
        figures = ("answered", "abandoned", "misjudged", "unknown", "charged", "share")
        rows += [(name, "windows", label, key, one[key]) for key in figures]
    for one in found["differences"]:
        rows += [
            (name, "differences", one["window"], key, one[key]) for key in ("answered", "charged", "share", "detail")
        ]
        for part in one["parts"]:
            item = f"{one['window']} {part['what']}"
            rows += [(name, "differences", item, key, part[key]) for key in ("answered", "charged", "detail")]
    return rows
