"""What the commands about lists, contacts and do-not-call share: the database, the seal, numbers as people write them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

import click

from acd.cli.databaseurl import loaded_settings, numbering_of
from acd.domain.dialable import Dialable, Fault, Undialable, dialable, is_country
from acd.domain.errors import ConfigurationError, RefusedError, UnknownNameError
from acd.domain.records import Audited
from acd.records.trail import entry, insert, me
from acd.store.beside import reading, writing

if TYPE_CHECKING:
    import sqlalchemy as sa

    from acd.dialer.gate import Refusal
    from acd.domain.definition import FloorDefinition
    from acd.records.seal import Seal
    from acd.store.outbound.contacts import NewContact

_AHEAD = re.compile(r"(\d{1,5})([smhd])", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SAID_OTHERWISE = {"UK": "GB", "EN": "GB", "EL": "GR"}


class Region(click.ParamType[str]):
    """A country whose numbers may be written without ``+``: its two letters."""

    name = "country"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        code = str(value).strip().upper()
        if not is_country(code):
            near = _near_country(code)
            hint = f" (nearest: {near})" if near else ""
            self.fail(f"{value!r} is no country{hint}: write its two letters, such as DE", param, ctx)
        return code


def _near_country(text: str) -> str | None:
    """For ``UK`` or ``GERMANY``."""
    if text in _SAID_OTHERWISE:
        return _SAID_OTHERWISE[text]
    table = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text("utf-8")
    lines = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    named = {name.upper(): code for code, name in lines if is_country(code)}
    near = get_close_matches(text, named, 1, 0.75)
    return named[near[0]] if near else None


class Ahead(click.ParamType[float]):
    """A time to come: ``30m``, ``2h``, ``1d`` from now; ``14:05`` today, or tomorrow if that is over; a date and time."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text, now = str(value).strip().removeprefix("+"), time.time()
        try:
            found = self._read(text, now)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: write 30m, 2h, 1d (from now), 14:05 or 2026-11-21 14:05", param, ctx)
        if found <= now:
            self.fail(f"{value!r} is over", param, ctx)
        return found

    def _read(self, text: str, now: float) -> float:
        ahead = _AHEAD.fullmatch(text)
        if ahead is not None:
            return now + int(ahead[1]) * _UNITS_S[ahead[2]]
        if re.fullmatch(r"\d{1,2}:\d\d", text, re.ASCII):
            found = datetime.fromisoformat(f"{datetime.now().astimezone():%Y-%m-%d} {text.zfill(5)}")
            return (found if found.timestamp() > now else found + timedelta(days=1)).timestamp()
        return datetime.fromisoformat(text).timestamp()


region_option = click.option(
    "--region", type=Region(), metavar="DE", help="Of numbers without +.  [default: the list's, else country_code's]"
)


class Place:
    """The configured database, and how numbers are written and kept here. Raises ConfigurationError."""

    def __init__(self) -> None:
        self.settings = loaded_settings().settings
        assert self.settings.database.url is not None, "filled in by load_settings"
        self.url = self.settings.database.url.get_secret_value()

    @cached_property
    def seal(self) -> Seal:
        """Makes hashes of numbers."""
        from acd.records.seal import load_seal

        return load_seal(self.settings.service.state_dir, numbering_of(self.settings.records))

    @property
    def country(self) -> str | None:
        """What country_code in ``[records]`` says, if it is one country's."""
        from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

        code = self.settings.records.country_code
        found = COUNTRY_CODE_TO_REGION_CODE.get(int(code), ()) if code else ()
        return found[0] if found and is_country(found[0]) else None

    def kept(self, number: str) -> str:
        """A number (E.164) as do-not-call keeps it: hashed where ``[records] numbers`` says so."""
        return self.seal.of(number) if self.settings.records.numbers == "hashed" else number

    @contextmanager
    def look(self) -> Iterator[sa.Connection]:
        """One look at everything."""
        with reading(self.url) as connection, connection.begin():
            yield connection

    @contextmanager
    def change(self) -> Iterator[sa.Connection]:
        """One transaction."""
        with writing(self.url) as connection, connection.begin():
            yield connection

    @cached_property
    def _floor(self) -> FloorDefinition:
        """floor.yaml. Raises ConfigurationError."""
        from acd.config.floor import load_floor

        return load_floor(self.settings.floor.file).definition

    def agents(self) -> Mapping[str, str]:
        """Every agent of floor.yaml by name and by number: its name."""
        agents = self._floor.agents
        return {agent.number: name for name, agent in agents.items() if agent.number} | {name: name for name in agents}

    def campaigns_of(self, name: str) -> list[str]:
        """Campaigns of floor.yaml that dial a list; none if that cannot be read."""
        with suppress(ConfigurationError):
            return sorted(one for one, campaign in self._floor.campaigns.items() if name in campaign.lists)
        return []

    def beside(self, name: str) -> dict[str, list[str]]:
        """Campaigns of floor.yaml that dial a list and others: these others; none if that cannot be read."""
        with suppress(ConfigurationError):
            found = {one: sorted({*of.lists} - {name}) for one, of in self._floor.campaigns.items() if name in of.lists}
            return {one: lists for one, lists in sorted(found.items()) if lists}
        return {}

    def untimely(self, row: Mapping[str, Any], number: str | None, at: float) -> dict[str, Refusal]:
        """Campaigns that dial a contact's list and may not call the person at a time (UTC s), by what the gate says of it;
        none if floor.yaml cannot be read. ``number``: at which, None: the first."""
        from acd.dialer.gate import hours
        from acd.dialer.publicdays import public_holidays
        from acd.domain.dialable import zones
        from acd.outbound.storing import terms_of
        from acd.store.outbound.contacts import contact_of

        contact = contact_of(row)
        at_it = next((one for one in contact.numbers if number in (None, one.number)), None)
        if at_it is None:
            return {}
        with suppress(ConfigurationError):
            holidays, by_prefix = public_holidays(contact.country, contact.region), zones(at_it.number)
            found = {
                one.campaign.name: hours(contact, at_it, by_prefix, one, holidays, at)
                for one in terms_of(self._floor)
                if contact.list in one.campaign.lists
            }
            return {name: said for name, said in sorted(found.items()) if said is not None}
        return {}

    def check_scope(self, scope: str) -> None:
        """A campaign or client of do-not-call that is misspelt would keep nobody from being called. Raises
        UnknownNameError, where floor.yaml has any to compare with."""
        kind, _, name = scope.partition(":")
        right: set[str | None] = set()
        with suppress(ConfigurationError):
            campaigns, queues = self._floor.campaigns.values(), self._floor.queues.values()
            if kind == "campaign":
                right = {one.name for one in campaigns}
            elif kind == "client":
                right = {*(one.client for one in campaigns), *(one.client for one in queues)} - {None}
        if right and name not in right:
            near = get_close_matches(name, sorted(one for one in right if one), 1, 0.5)
            raise UnknownNameError(kind, name, near[0] if near else None)

    def check_serves(self, agent: str, name: str) -> None:
        """Raises RefusedError if ``agent`` (a name) serves none of the campaigns that dial list ``name``, if any do."""
        dialled_by = self.campaigns_of(name)
        would = sorted(one.name for one in self._floor.agents.values() if not set(dialled_by).isdisjoint(one.queues))
        if not dialled_by or agent in would:
            return
        who = f": {', '.join(would[:10])} would" if would else ""
        raise RefusedError(f"agent {agent} does not serve {' or '.join(dialled_by)}, which dials list {name}{who}")


def known(what: str, name: str, names: Mapping[str, str]) -> str:
    """What ``name`` stands for. Raises UnknownNameError with the nearest."""
    if name not in names:
        raise UnknownNameError(what, name, next(iter(get_close_matches(name, names, 1, 0.5)), None))
    return names[name]


def read_number(text: str, region: str | None, *, premium: bool = True) -> Dialable:
    """A number as somebody wrote it. Raises ConfigurationError."""
    found = dialable(text, region, allow=frozenset({Fault.PREMIUM}) if premium else frozenset())
    if isinstance(found, Dialable):
        return found
    hint = "" if found.fault is not Fault.UNKNOWN_COUNTRY else " with --region"
    raise ConfigurationError(f"{text[:60]!r} cannot be used: {found}{hint}")


def read_numbers(text: str, region: str | None) -> list[str]:
    """Every number (E.164) that a text may be: one, or two of what begins with its country's code without +. Raises
    ConfigurationError."""
    found = dialable(text, region, allow=frozenset({Fault.PREMIUM}))
    if isinstance(found, Undialable) and found.either:
        return [one.number for one in found.either]
    return [read_number(text, region).number]


def audited(connection: sa.Connection, action: str, subject: str, detail: dict[str, Any]) -> None:
    """Note in the same transaction who did it."""
    insert(connection, made(action, subject, detail))


def made(action: str, subject: str, detail: dict[str, Any]) -> Audited:
    """An entry of the audit log by who runs this program."""
    return entry(me(), action, subject, detail)


def plain(text: str) -> str:
    """An argument of any bytes, without what a database cannot hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def made_contact(said: Mapping[str, Any]) -> NewContact:
    """A contact of what options say, without numbers; read as the cells of a list are. Raises ConfigurationError."""
    from acd.lists.prepare import Reject, described

    words = {"region_of": "region"}
    found = described({words.get(name, name): str(value) for name, value in said.items() if value is not None})
    if isinstance(found, Reject):
        raise ConfigurationError(found.detail)
    return found
