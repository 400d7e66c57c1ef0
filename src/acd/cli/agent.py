"""``acd agent``: the agents, why one has no call, what they may be asked to do, and the hash of a PIN."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.client import connect, segment
from acd.cli.console import emit, emit_table, make_console
from acd.cli.context import EXIT_USAGE, Failure, common_options, options, print_json
from acd.cli.floorview import AGENT_COLUMNS, fitted, line_text, phone_text, skills_text, state_text
from acd.cli.idleness import idle_explained
from acd.domain.errors import ConfigurationError
from acd.domain.events import AgentAction

PIN_LINE_MAX = 1000


@click.group()
@common_options
def agent() -> None:
    """List and show agents, explain why one has no call, log them in and out, pause and resume them.

    NAME is an agent's name or number everywhere.
    """


@agent.command("list")
@common_options
def list_agents() -> None:
    """All agents and what they do."""
    given = options()
    with connect(given) as client:
        body = client.get("/v1/agents")
    if given.json:
        print_json(body)
        return
    console = make_console(given)
    width = console.width if console.is_terminal else None
    emit_table(console, fitted(AGENT_COLUMNS, body["agents"], width), "no agents")


@agent.command()
@common_options
@click.argument("name")
def show(name: str) -> None:
    """One agent."""
    given = options()
    with connect(given) as client:
        body = client.get(f"/v1/agents/{segment(name)}")
    if given.json:
        print_json(body)
        return
    console = make_console(given)
    title = Text(say.clean(body["name"]), style="bold")
    if body["display_name"] and body["display_name"] != body["name"]:
        title.append(f"  {say.clean(body['display_name'])}", style="default")
    emit(console, title)
    state = state_text(body)
    if body["since"]:
        state.append(f"  for {say.duration(body['in_state_s'])}, since {say.moment(body['since'])}", style="dim")
    rows: list[tuple[str, Text | str]] = [
        ("number", say.clean(body["number"])),
        ("state", state),
        ("call", say.clean(body["call"]) or "none"),
        ("phone", phone_text(body)),
        *(("", f"{say.clean(device)}: {say.clean(word).lower()}") for device, word in body["phones"].items()),
        *((("line", line_text(body["line"])),) if body.get("line") else ()),
        ("queues", say.clean(", ".join(body["queues"])) or "none"),
        ("skills", say.clean(skills_text(body["skills"])) or "none"),
        ("calls taken", f"{body['calls_taken']} ({body['rona']} rung out)"),
        ("occupancy", say.percent(body["occupancy"])),
    ]
    if body.get("cut_off"):
        rows.append(("cut off", Text(f"is {say.clean(body['cut_off'])}", style="red")))
    if body["cool_down_s"]:
        rows.append(("passed over", f"for another {body['cool_down_s']:.0f} s after a failed offer"))
    for label, value in rows:
        emit(console, Text(f"  {label:<13}", style="dim").append_text(Text(value) if isinstance(value, str) else value))


@agent.command()
@common_options
@click.argument("name")
def explain(name: str) -> None:
    """Why an agent has no call now: state, phone, and every queue with what keeps its callers from the agent."""
    given = options()
    with connect(given) as client:
        body = client.get(f"/v1/agents/{segment(name)}/explain")
    if given.json:
        print_json(body)
    else:
        emit(make_console(given), *idle_explained(body))


def _ask(name: str, action: AgentAction, *, reason: str | None = None, phone: str | None = None) -> None:
    """Send the request and print what came of it."""
    given = options()
    wish = {key: value for key, value in (("reason", reason), ("phone", phone)) if value is not None}
    with connect(given) as client:
        answer = client.post(f"/v1/agents/{segment(name)}/{action}", wish)
    if given.json:
        print_json(answer)
    else:
        message = say.clean(answer["message"])
        click.echo(message if message.startswith(name) else f"{say.clean(name)}: {message}")


@agent.command()
@common_options
@click.option("--phone", metavar="DEVICE", help="The phone to use, such as PJSIP/1001, if not the agent's own.")
@click.argument("name")
def login(name: str, phone: str | None) -> None:
    """Log an agent in."""
    _ask(name, AgentAction.LOGIN, phone=phone)


@agent.command()
@common_options
@click.option("--reason", help="Why, for the record.")
@click.argument("name")
def logout(name: str, reason: str | None) -> None:
    """Log an agent out; after the call, if there is one."""
    _ask(name, AgentAction.LOGOUT, reason=reason)


@agent.command()
@common_options
@click.option("--reason", help="One of the pause reasons in floor.yaml.")
@click.argument("name")
def pause(name: str, reason: str | None) -> None:
    """Offer an agent no calls; after the call, if there is one."""
    _ask(name, AgentAction.PAUSE, reason=reason)


@agent.command()
@common_options
@click.argument("name")
def resume(name: str) -> None:
    """Offer an agent calls again."""
    _ask(name, AgentAction.RESUME)


@agent.command()
@common_options
@click.argument("name")
@click.option("--accept", is_flag=True, help="Have the contact dialled; the phone rings first, unless the line lasts.")
@click.option("--skip", metavar="REASON", help="Not this contact; it comes back later.")
def preview(name: str, accept: bool, skip: str | None) -> None:
    """The contact that an agent of a preview campaign is shown: dialled with --accept, left with --skip."""
    given = options()
    if accept and skip is not None:
        raise Failure("say --accept or --skip, not both", EXIT_USAGE, kind="usage", as_json=given.json)
    path = f"/v1/agents/{segment(name)}"
    with connect(given) as client:
        if accept:
            body = client.post(f"{path}/accept", {})
        elif skip is not None:
            body = client.post(f"{path}/skip", {"reason": skip})
        else:
            body = client.get(f"{path}/preview")
    if given.json:
        print_json(body)
    elif body["preview"] is None:
        click.echo(f"{say.clean(name)} is shown no contact")
    elif skip is not None:
        click.echo(f"skipped: {say.clean(body['preview']['number'])}")
    else:
        _show_preview(body["preview"])


def _show_preview(body: dict[str, Any]) -> None:
    contact, console = body["contact"], make_console(options())
    emit(console, Text(say.clean(contact["name"]) or say.clean(body["number"]), style="bold"))
    tried = [f"{one['number']} {(one['outcome'] or 'under way').replace('_', ' ')}" for one in body["attempts"]]
    rows = [
        ("step", f"{body['step']}, campaign {body['campaign']}"),
        ("number", body["number"]),
        ("other numbers", ", ".join(one["number"] for one in contact["numbers"] if one["number"] != body["number"])),
        (
            "contact",
            f"{contact['contact']} of list {contact['list']}" + (f", key {contact['key']}" if contact["key"] else ""),
        ),
        ("language", contact["language"] or ""),
        *contact["fields"].items(),
        ("tried", ", ".join(tried)),
        ("time left", "" if body["left_s"] is None else f"{body['left_s']:.0f} s, then {body['then']}"),
    ]
    for label, value in rows:
        if value:
            emit(console, Text(f"  {say.clean(label):<16}", style="dim").append(say.clean(str(value)), style="default"))
    for line in body["script"].splitlines():
        emit(console, Text(f"  {say.clean(line)}"))


@agent.command("hash-pin")
@common_options
def hash_pin() -> None:
    """Print the hash of a PIN, for an agent's pin_hash in floor.yaml.

    Asks for the PIN, or reads one line when piped. It is never an argument: those show in the list of processes.
    """
    from acd.config.pins import PIN_RULE, hash_pin, is_pin

    if sys.stdin.isatty():
        pin = click.prompt("PIN", hide_input=True, confirmation_prompt=True, err=True)
    else:
        pin = sys.stdin.readline(PIN_LINE_MAX).rstrip("\r\n")
    if not is_pin(pin):
        raise ConfigurationError(f"that is no PIN: a PIN is {PIN_RULE}")
    hashed = hash_pin(pin)
    if options().json:
        print_json({"pin_hash": hashed})
    else:
        click.echo(hashed)
