"""``acd contact``: single people on lists: shown, found, added, changed, promised a call, beside a running service."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click
from rich.text import Text

from acd.cli import text as say
from acd.cli.console import cell, emit, emit_table, make_console, make_table
from acd.cli.context import EXIT_USAGE, Failure, common_options, options, print_json
from acd.cli.dialled import Ahead, Place, Region, audited, known, made_contact, plain, read_number, region_option
from acd.cli.lazy import LazyGroup
from acd.domain.dialable import NOWHERE
from acd.domain.errors import RefusedError
from acd.records.trail import me
from acd.store.outbound import attempts, callbacks, contacts, donotcall, listed, optouts
from acd.store.outbound.contacts import NewNumber, State

TEXT_MAX = 200
PROMISE_DAYS_MAX = 366
_TIMES = ("consent_at", "consent_until", "customer_until")


@click.group(cls=LazyGroup, table={name: ("acd.cli.contact", attribute, text) for name, attribute, text in (
    ("show", "show", "All that is kept of a contact: numbers, attempts, callbacks."),
    ("find", "find", "Contacts that have a number."),
    ("add", "add", "One contact more, on a list that is there."),
    ("edit", "edit", "Change what is known of a contact, or whether it is dialled."),
    ("callback", "callback", "Promise a call, or take the promise back."),
    ("opt-out", "opt_out", "Who does not want to be called: none of the numbers is dialled any more."),
)})  # fmt: skip
@common_options
def contact() -> None:
    """People on lists, by the number that acd gave them (acd contact find NUMBER tells it)."""


@click.command()
@common_options
@click.argument("contact", type=click.IntRange(1))
@click.option(
    "--attempts", "most", type=click.IntRange(0, 1000), default=20, show_default=True, help="At most so many."
)
def show(contact: int, most: int) -> None:
    """All that is kept of CONTACT: numbers, whether they may be called, attempts, callbacks."""
    given = options()
    place, now = Place(), time.time()
    with place.look() as connection:
        row = contacts.one(connection, contact)
        made = attempts.made_of(connection, contact, most) if most else []
        promised = callbacks.of_contact(connection, contact)
        held = {
            one["number"]: donotcall.held(connection, one["number"], place.seal.of) for one in row["numbers"]
        }  # fmt: skip
    if given.json:
        entries = {number: [asdict(entry) for entry in found] for number, found in held.items() if found}
        print_json({**row, "do_not_call": entries, "attempts_made": made, "callbacks": promised})
        return
    console = make_console(given)
    emit(console, Text(f"{contact}  {say.clean(row['name'])}".rstrip(), style="bold"))
    for label, value in _told(row):
        emit(console, Text(f"  {label:<16}", style="dim").append(say.clean(value), style="default"))
    table = make_table(
        [("NUMBER", "left"), ("KIND", "left"), ("ZONE", "left"), ("EXTENSION", "left"), ("STATE", "left"),
         ("NOT TO BE CALLED", "left")]
    )  # fmt: skip
    for one in row["numbers"]:
        entries_now = [entry for entry in held[one["number"]] if entry.until is None or entry.until > now]
        table.add_row(
            cell(one["number"]), cell(one["kind"]), cell(one["zone"]), cell(one["extension"]), cell(one["state"]),
            cell(", ".join(entry.scope for entry in entries_now), style="red"),
        )  # fmt: skip
    emit_table(console, table, "no numbers")
    table = make_table(
        [("ATTEMPT", "left"), ("CAMPAIGN", "left"), ("NUMBER", "left"), ("AT", "left"), ("OUTCOME", "left"),
         ("AGENT", "left"), ("SAYS", "left")]
    )  # fmt: skip
    for one in made:
        table.add_row(
            cell(one["attempt"]), cell(one["campaign"]), cell(one["number"]), cell(say.moment(one["committed_at"])),
            cell((one["outcome"] or "under way").replace("_", " ")), cell(one["agent"]), cell(one["said"]),
        )  # fmt: skip
    emit_table(console, table, "never dialled")
    if promised:
        table = make_table(
            [("CALLBACK", "right"), ("DUE", "left"), ("UNTIL", "left"), ("BY", "left"), ("NOTE", "left"),
             ("PROMISED BY", "left"), ("CAME TO", "left")]
        )  # fmt: skip
        for one in promised:
            table.add_row(
                str(one["callback"]), cell(say.moment(one["due_at"])),
                cell(say.moment(one["until"]) if one["until"] is not None else ""), cell(one["agent"] or "anybody"),
                cell(one["note"]), cell(one["made_by"]), cell(one["outcome"] or "open"),
            )  # fmt: skip
        emit_table(console, table, "")


def _told(row: dict[str, Any]) -> list[tuple[str, str]]:
    due = f", due {say.moment(row['due_at'])}" if row["due_at"] is not None else ""
    why = f" ({row['refused'].replace('_', ' ')})" if row["refused"] else ""
    rows = [
        ("list", row["list"]),
        ("state", f"{row['state'].replace('_', ' ')}{due}{why}"),
        ("attempts", str(row["attempts"])),
    ]
    rows += [(name, row[name]) for name in ("key", "country", "region", "zone", "language") if row[name]]
    rows += [(name.replace("_", " "), say.moment(row[name])) for name in _TIMES if row[name] is not None]
    if row["best_from"] is not None:
        clock = (f"{minutes // 60}:{minutes % 60:02}" for minutes in (row["best_from"], row["best_to"]))
        rows.append(("best", " to ".join(clock)))
    if row["rank"]:
        rows.append(("rank", str(row["rank"])))
    return rows + [(say.clean(name, 40), value) for name, value in row["fields"].items()]


@click.command()
@common_options
@click.argument("number")
@click.option("--region", type=Region(), metavar="DE", help="Of numbers without +.  [default: country_code's]")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
def find(number: str, region: str | None, limit: int) -> None:
    """Contacts that have NUMBER, in any spelling, the latest first."""
    given = options()
    place = Place()
    found = read_number(number, region or place.country).number
    with place.look() as connection:
        rows = contacts.rows_of(connection, contacts.by_number(connection, found, limit))
    if given.json:
        print_json({"number": found, "contacts": rows})
        return
    table = make_table(
        [("CONTACT", "right"), ("LIST", "left"), ("NAME", "left"), ("KEY", "left"), ("STATE", "left"),
         ("ATTEMPTS", "right"), ("LAST", "left"), ("CAME TO", "left")]
    )  # fmt: skip
    for row in rows:
        table.add_row(
            str(row["contact"]), cell(row["list"]), cell(row["name"]), cell(row["key"]),
            cell(row["state"].replace("_", " ")), str(row["attempts"]), cell(say.moment(row["last_at"])),
            cell((row["last_outcome"] or "").replace("_", " ")),
        )  # fmt: skip
    emit_table(make_console(given), table, f"nobody has {found}")


def _known_options(command: Any) -> Any:
    """What may be said of a contact."""
    for decorate in reversed((
        click.option("--name", help="Who it is."),
        click.option("--key", help="Your own key for it, such as a customer's number."),
        click.option("--country", metavar="DE", help="Where it is."),
        click.option("--in-region", "region_of", help="State or province."),
        click.option("--zone", help="Time zone, such as Europe/Berlin."),
        click.option("--language", help="de, en-GB."),
        click.option("--best", metavar="18:00-20:00", help="When to call."),
        click.option("--rank", type=int, help="Lower ones are dialled earlier."),
        click.option("--consent-at", metavar="DATE", help="When it agreed to be called."),
        click.option("--consent-until", metavar="DATE", help="Until when that holds."),
        click.option("--customer-until", metavar="DATE", help="Until when it is, or was, a customer."),
        click.option("--field", "fields", multiple=True, metavar="NAME=VALUE", help="Any other; several times."),
    )):  # fmt: skip
        command = decorate(command)
    return command


def _fields_of(fields: Sequence[str]) -> dict[str, str]:
    found = {}
    for one in fields:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise Failure(f"{one!r} is no field: write NAME=VALUE", EXIT_USAGE, kind="usage", as_json=options().json)
        found[plain(name.strip())] = plain(value)
    return found


def _numbers_of(numbers: Sequence[str], region: str | None, *, premium: bool) -> list[NewNumber]:
    found: dict[str, NewNumber] = {}
    for text in numbers:
        one = read_number(text, region, premium=premium)
        made = NewNumber(one.number, contacts.KINDS.get(one.kind, "other"), one.zone, one.extension)
        found.setdefault(one.number, made)
    return list(found.values())


@click.command()
@common_options
@click.argument("numbers", nargs=-1, required=True, metavar="NUMBER...")
@click.option("--list", "of_list", required=True, metavar="NAME", help="On this list.")
@region_option
@_known_options
@click.option("--premium", is_flag=True, help="Take a premium-rate number, too.")
@click.option("--again", is_flag=True, help="Also if the list has a contact with this number.")
@click.option("--allow-erased", is_flag=True, help="Also if the person was erased (acd person erase).")
def add(
    numbers: tuple[str, ...], of_list: str, region: str | None, fields: tuple[str, ...], premium: bool, again: bool,
    allow_erased: bool, **said: Any,
) -> None:  # fmt: skip
    """Add a contact with these NUMBERs, tried in this order, to a list that is there."""
    given = options()
    place = Place()
    values = made_contact(said)
    values.fields = _fields_of(fields)
    with place.change() as connection:
        row = listed.get(connection, of_list)
        country = region or row["country"] or place.country
        values.numbers = _numbers_of(numbers, country, premium=premium)
        taken = contacts.taken_numbers(connection, [one.number for one in values.numbers], [of_list])
        if taken and not again:
            number, (there, _, state) = next(iter(taken.items()))
            raise RefusedError(f"contact {there} of list {of_list} has {number} ({state}): --again adds another one")
        _mind_erased(connection, place, values.numbers, values.consent_at, allow=allow_erased)
        if values.country is None:
            first = read_number(numbers[0], country, premium=premium).country
            values.country = None if first == NOWHERE else first
        made = contacts.add(connection, of_list, [values], time.time())
        audited(connection, "contact_added", str(made), {"list": of_list, "numbers": len(values.numbers)})
    if given.json:
        print_json({"contact": made, "list": of_list, "numbers": [one.number for one in values.numbers]})
        return
    click.echo(f"contact {made} of list {of_list}: {', '.join(one.number for one in values.numbers)}")


def _mind_erased(
    connection: Any, place: Place, numbers: Sequence[NewNumber], consent_at: float | None, *, allow: bool
) -> None:
    """Who was erased comes back only by consent given since, or where that is said."""
    plainly, so = [one.number for one in numbers], "--allow-erased, or --consent-at since then, adds them"
    donotcall.let_back(connection, plainly, consent_at, place.seal.of, allow=allow, so=so)


@click.command()
@common_options
@click.argument("contact", type=click.IntRange(1))
@click.option("--number", "numbers", multiple=True, help="These instead of its numbers, in this order; several times.")
@region_option
@_known_options
@click.option("--no-field", "gone", multiple=True, metavar="NAME", help="Without this field.")
@click.option(
    "--state", type=click.Choice([State.NEW.value, State.DONE.value, State.BLOCKED.value]),
    help="new: dialled anew; done, blocked: dialled no more, and an open callback ends.",
)  # fmt: skip
@click.option("--premium", is_flag=True, help="Take a premium-rate number, too.")
@click.option("--allow-erased", is_flag=True, help="Also if who has a --number was erased (acd person erase).")
def edit(
    contact: int, numbers: tuple[str, ...], region: str | None, fields: tuple[str, ...], gone: tuple[str, ...],
    state: str | None, premium: bool, allow_erased: bool, **said: Any,
) -> None:  # fmt: skip
    """Change what is known of CONTACT, its numbers, or whether it is dialled. "" takes a value away.

    Its history stays. While it is being dialled, its numbers and its state cannot be changed. What is changed counts from
    the next attempt on: who was put off, or blocked for want of consent or of a place, is asked about anew.
    """
    given = options()
    place, now = Place(), time.time()
    values = made_contact(said)
    changes: dict[str, Any] = {}
    for option, value in said.items():
        name = "region" if option == "region_of" else option
        if value is None:
            continue
        if name == "best":
            changes["best_from"], changes["best_to"] = values.best or (None, None)
        else:
            # Of what is said to be nothing, a new contact's own: "" or none
            changes[name] = getattr(values, name)
    set_fields = _fields_of(fields)
    with place.change() as connection:
        row = contacts.one(connection, contact)
        if set_fields or gone:
            names = {name: name for name in row["fields"]}
            for name in gone:
                known("field", name, names)
            kept = {name: value for name, value in row["fields"].items() if name not in gone}
            changes["fields"] = kept | set_fields
        if not changes and not numbers and state is None:
            raise Failure("say what is to be changed: --name, --number, --state...", EXIT_USAGE, kind="usage",
                          as_json=given.json)  # fmt: skip
        if changes:
            contacts.edit(connection, contact, changes, now)
        if numbers:
            country = region or changes.get("country") or row["country"] or place.country
            fresh = _numbers_of(numbers, country, premium=premium)
            consent_at = changes.get("consent_at", row["consent_at"])
            _mind_erased(connection, place, fresh, consent_at, allow=allow_erased)
            contacts.set_numbers(connection, contact, fresh, now)
        if state is not None:
            contacts.set_state(connection, contact, State(state), now)
        # Which, and not what: what is taken away here must be gone
        changed = sorted({*changes, *(["numbers"] if numbers else []), *(["state"] if state else [])})
        audited(connection, "contact_edited", str(contact), {"changed": changed} | ({"state": state} if state else {}))
        after = contacts.one(connection, contact)
        entries = [
            entry for one in after["numbers"] for entry in donotcall.held(connection, one["number"], place.seal.of)
        ]
    scopes = sorted({entry.scope for entry in entries if entry.until is None or entry.until > now})
    judged = bool(numbers) or state == State.NEW or not set(changes).isdisjoint(contacts.JUDGED)
    became = _became(row, after, scopes) if judged else ""
    if given.json:
        print_json({**after, "became": became})
        return
    click.echo(f"contact {contact}: {', '.join(one.replace('_', ' ') for one in changed)} changed")
    if became:
        click.echo(f"contact {contact} {became}")


def _became(before: dict[str, Any], after: dict[str, Any], scopes: Sequence[str]) -> str:
    """What an edit means for whether somebody is dialled, if that is to be said. ``scopes``: of do-not-call entries that his
    numbers have."""
    entered = f"on the do-not-call list ({', '.join(say.clean(one) for one in scopes)})"
    anew = "`--state new` has it dialled anew"
    match State(after["state"]):
        case State.BLOCKED if scopes:
            return f"stays blocked: {entered}"
        case State.BLOCKED if after["refused"]:
            was = "it was on the do-not-call list" if after["refused"] == "do_not_call" else say.clean(after["refused"])
            return f"stays blocked ({was}): {anew}"
        case State.BLOCKED:
            return f"stays blocked, by a person, by what was said in a call, or for want of a number: {anew}"
        case State.NEW | State.DUE if scopes:
            return f"is {entered}: it is blocked again at its turn. First `acd dnc remove`, then `--state new`"
        case State.NEW | State.DUE if before["state"] == State.BLOCKED:
            return "is to be dialled again"
        case State.DUE if before["refused"] and not after["refused"]:
            return "is due again"
        case State.IN_FLIGHT:
            return "is being dialled, or about to be: that is judged by what is known now, unless it was begun before"
    return ""


@click.command()
@common_options
@click.argument("contact", type=click.IntRange(1))
@click.option("--at", type=Ahead(), help="When: 30m, 2h, 1d from now, 14:05, 2026-11-21 14:05.")
@click.option("--until", type=Ahead(), help="Not after that: then the promise is missed.")
@click.option("--agent", help="While this agent (name or number) is free, and offered to that one first.")
@click.option("--number", help="On this number of the contact's.")
@click.option("--note", default="", metavar="TEXT", help="What for: the attribute callback_note of the call.")
@click.option("--cancel", is_flag=True, help="Take back what was promised.")
def callback(
    contact: int, at: float | None, until: float | None, agent: str | None, number: str | None, note: str, cancel: bool
) -> None:
    """Promise CONTACT a call --at a time, or --cancel what was promised. A new promise takes an open one's place.

    With --agent it is dialled only while that agent is free to take it, and offered to that agent first. An agent who
    does not take it within half of what the campaign's connect allows loses it to another one: whoever has answered is
    not left waiting. One who serves no campaign that dials the list is refused. A promise that was missed ends the
    contact's work, as --cancel does.
    """
    given = options()
    if cancel == (at is not None) or (at is not None and until is not None and until <= at):
        message = "--until is to be after --at" if at is not None and not cancel else "say --at TIME, or --cancel"
        raise Failure(message, EXIT_USAGE, kind="usage", as_json=given.json)
    place, now = Place(), time.time()
    if cancel:
        with place.change() as connection:
            contacts.one(connection, contact)
            if not callbacks.cancel(connection, contact, now):
                raise RefusedError(f"contact {contact} was promised nothing")
            audited(connection, "contact_callback_cancelled", str(contact), {})
        if given.json:
            print_json({"contact": contact, "cancelled": True})
        else:
            click.echo(f"contact {contact}: the callback is taken back")
        return
    assert at is not None
    if at > now + PROMISE_DAYS_MAX * 86_400:
        message = f"--at {say.moment(at)} is more than {PROMISE_DAYS_MAX} days ahead"
        raise Failure(message, EXIT_USAGE, kind="usage", as_json=given.json)
    name = known("agent", agent, place.agents()) if agent else None
    with place.change() as connection:
        row = contacts.one(connection, contact)
        if name is not None:
            place.check_serves(name, row["list"])
        mine = None if number is None else read_number(number, row["country"] or place.country).number
        made = callbacks.promise(
            connection, contact, at, me(), now, agent=name, number=mine, until=until, note=say.clean(note, TEXT_MAX)
        )
        audited(connection, "contact_callback", str(contact), {"callback": made, "due_at": at, "agent": name})
    untimely = place.untimely(row, mine, max(at, now))
    if given.json:
        hours = [{"campaign": one, "why": said.detail, "opens_at": said.until_s} for one, said in untimely.items()]
        told = {"contact": contact, "callback": made, "due_at": at, "until": until, "agent": name, "number": mine}
        print_json({**told, "untimely": hours})
        return
    click.echo(f"contact {contact} is called at {say.moment(at)} by {say.clean(name) if name else 'whoever serves it'}")
    for one, why in untimely.items():
        opens = "never" if why.until_s is None else f"from {say.moment(why.until_s)} on"
        missed = until is not None and (why.until_s is None or why.until_s >= until)
        detail = f"({say.clean(why.detail)}); it calls {opens}{', when it is too late' if missed else ''}"
        click.echo(f"but campaign {say.clean(one)} may not call there then {detail}", err=True)


@click.command("opt-out")
@common_options
@click.argument("contact", type=click.IntRange(1))
@click.option("--reason", default="opted out", metavar="TEXT", show_default=True, help="What the person said.")
def opt_out(contact: int, reason: str) -> None:
    """CONTACT does not want to be called: all its numbers go on the do-not-call list, and it is dialled no more.

    This holds from the next attempt on, in every list: for the client of the contact's list, or for all where that has none.
    Other people with one of these numbers are not called at it, and not at their other numbers either.
    """
    given = options()
    place, now = Place(), time.time()
    with place.change() as connection:
        donotcall.check_seal(connection, place.seal.of)
        row = contacts.one(connection, contact)
        client = listed.get(connection, row["list"])["client"]
        scope = f"client:{client}" if client else donotcall.ALL
        numbers = [one["number"] for one in row["numbers"]]
        what = (scope, f"contact:{contact}", say.clean(reason, TEXT_MAX), now, me())
        donotcall.add(connection, [donotcall.Entry(place.kept(number), *what) for number in numbers], place.seal.of)
        optouts.block(connection, [contact], now)
        audited(connection, "contact_opted_out", str(contact), {"scope": scope, "numbers": len(numbers)})
    busy = row["state"] == State.IN_FLIGHT
    if given.json:
        print_json({"contact": contact, "scope": scope, "numbers": numbers, "in_flight": busy})
        return
    click.echo(f"contact {contact}: {say.counted(len(numbers), 'number')} not to be called for {say.clean(scope)}")
    if busy:
        click.echo("acd: it is being dialled now, or talks; that call goes on", err=True)
