"""What dialling keeps of a person: contacts with the number, what was promised to them, rows of lists that became none,
attempts, do-not-call. Functions within the caller's transaction.

A contact with the number is the person, with all its numbers: its attempts are the person's, whichever was dialled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from phonenumbers import NumberParseException, ndd_prefix_for_region, parse, region_code_for_country_code

from acd.domain.errors import RefusedError
from acd.domain.numbers import DIGITS_MIN, Numbering
from acd.records.mentions import ERASED, Mention
from acd.records.places import key_is
from acd.records.seal import Seal
from acd.records.written import FOREIGN, Written
from acd.store.outbound import contacts as of_contacts
from acd.store.outbound import donotcall
from acd.store.outbound.bulk import pieces
from acd.store.outbound.contacts import State
from acd.store.outbound.listed import CELL_KEPT_MAX
from acd.store.outbound.tables import attempts, callbacks, contact_numbers, contacts, do_not_call, list_rejects
from acd.store.unreadable import Unreadable

PAGE = 2000
NAMED_MAX = 5
KINDS = ("contacts", "contact_numbers", "callbacks", "list_rejects", "attempts", "do_not_call")
Keys = dict[str, list[tuple[Any, ...]]]
"""Table -> keys of the person's rows."""


class Contacted:
    """The person behind a number, as dialling knows him."""

    def __init__(self, mention: Mention, seal: Seal) -> None:
        self.mention, self._seal = mention, seal
        self.e164 = f"+{mention.canonical}"
        self.sealed = seal.of(self.e164)
        at_home = _at_home(mention)
        self._in_words = (mention, *(Mention(self.e164, one) for one in at_home))
        self._written = Written(mention, (mention.numbering, *at_home))

    # -- finding -----------------------------------------------------------------------------------------------------

    def find(self, connection: sa.Connection) -> Keys:
        """His rows: one look."""
        found: Keys = {name: [] for name in KINDS}
        holders = self._like(connection, contact_numbers, [contact_numbers.c.contact], contact_numbers.c.number)
        ids = sorted({row.contact for row in holders if self.mention.is_it(row.number)})
        found["contacts"] = [(contact,) for contact in ids]
        mine: set[str] = set()
        for some in pieces(ids):
            for table in (contact_numbers, callbacks):
                query = sa.select(*table.primary_key).where(table.c.contact.in_(some)).order_by(*table.primary_key)
                found[table.name] += [tuple(row) for row in connection.execute(query)]
            query = sa.select(attempts.c.attempt).where(attempts.c.contact.in_(some))
            mine.update(connection.execute(query).scalars())
        dialled = self._like(connection, attempts, [attempts.c.attempt], attempts.c.number)
        mine.update(row.attempt for row in dialled if row.number == self.sealed or self.mention.is_it(row.number))
        found["attempts"] = [(attempt,) for attempt in sorted(mine)]
        forms = self.sealed, donotcall.sha256_of(self.e164)
        entries = self._like(connection, do_not_call, list(do_not_call.primary_key), do_not_call.c.number, forms)
        found["do_not_call"] = [
            (row.number, row.scope) for row in entries if row.number in forms or self.mention.is_it(row.number)
        ]
        key = list(list_rejects.primary_key)
        rejects = {
            tuple(row[:-1])
            for row in self._like(connection, list_rejects, key, list_rejects.c.cells, more=self._may_be_in_cells())
            if self._is_in_cells(row.cells)
        }
        for row in self._like(connection, list_rejects, key, list_rejects.c.detail):
            if any(one.in_text(row.detail) for one in self._in_words):
                rejects.add(tuple(row[:-1]))
        found["list_rejects"] = sorted(rejects)
        return found

    def _like(
        self,
        connection: sa.Connection,
        table: sa.Table,
        keys: list[sa.Column[Any]],
        column: sa.Column[Any],
        forms: tuple[str, ...] | None = None,
        more: Sequence[sa.ColumnElement[bool]] = (),
    ) -> Iterator[Any]:
        """Rows that may be meant, a page at a time; ``forms``: what else the column may hold in the number's place;
        ``more``: by what else they may be known."""
        text = sa.cast(column, sa.Text)
        wanted: list[sa.ColumnElement[bool]] = [text.like("%" + "%".join(self.mention.core) + "%")]
        wanted += more
        wanted += [text == form for form in forms or (self.sealed,)]
        columns = list(dict.fromkeys((*keys, column)))
        query = sa.select(*columns).where(sa.or_(*wanted)).execution_options(yield_per=PAGE)
        with connection.execute(query) as rows:
            yield from rows

    def _may_be_in_cells(self) -> list[sa.ColumnElement[bool]]:
        """How the cells of a rejected row may look that holds the number in other digits, or cut off."""
        text = sa.cast(list_rejects.c.cells, sa.Text)
        whole = [text.like(one, escape="!") for one in _scripts(self.mention.core)]
        stems = [one for stem in sorted(self._written.stems) for one in (f"%{'%'.join(stem)}%", *_scripts(stem))]
        cut_off = sa.or_(sa.false(), *(text.like(one, escape="!") for one in stems))
        return [*whole, sa.and_(sa.func.length(text) >= CELL_KEPT_MAX, cut_off)]

    def _is_in_cells(self, cells: Any) -> bool:
        """``cells`` as they were kept; what is no JSON is one."""
        several = cells if isinstance(cells, list) else [cells]
        return self._written.is_in_row([str(cell) for cell in several], CELL_KEPT_MAX)

    def unsealed(self, found: Keys) -> int:
        """How many do-not-call entries hold the number, or a hash of it that anybody can make."""
        return sum(number != self.sealed for number, _ in found["do_not_call"])

    def names(self, connection: sa.Connection, found: Keys) -> tuple[set[str], set[str]]:
        """The names of his contacts, and their numbers."""
        ids = [key[0] for key in found["contacts"]]
        called: set[str] = set()
        numbers = {number for number, _ in found["do_not_call"] if self.mention.is_it(number)}
        for some in pieces(ids):
            called.update(connection.execute(sa.select(contacts.c.name).where(contacts.c.contact.in_(some))).scalars())
            query = sa.select(contact_numbers.c.number).where(contact_numbers.c.contact.in_(some))
            numbers.update(connection.execute(query).scalars())
        return called - {""}, numbers

    def in_flight(self, connection: sa.Connection, found: Keys) -> list[str]:
        """Which of his contacts are being dialled, and which of his attempts have not ended, in words."""
        words: list[str] = []
        for some in pieces([key[0] for key in found["contacts"]]):
            query = sa.select(contacts.c.contact).where(
                contacts.c.contact.in_(some), contacts.c.state == State.IN_FLIGHT
            )
            words += [
                f"contact {contact}" for contact in connection.execute(query.order_by(contacts.c.contact)).scalars()
            ]
        for some in pieces([key[0] for key in found["attempts"]]):
            query = sa.select(attempts.c.attempt).where(attempts.c.attempt.in_(some), attempts.c.ended_at.is_(None))
            words += [f"attempt {name}" for name in connection.execute(query.order_by(attempts.c.attempt)).scalars()]
        return words

    # -- taking away -------------------------------------------------------------------------------------------------

    def take(self, connection: sa.Connection, found: Keys) -> dict[str, int]:
        """Take his contacts away with their numbers and callbacks, and keep do-not-call by the hash alone: what went. Raises
        RefusedError while he is being dialled: undo the transaction then."""
        ids = [key[0] for key in found["contacts"]]
        done = dict.fromkeys(("contact_numbers", "callbacks"), 0)
        for some in pieces(ids):
            for table in (contact_numbers, callbacks):
                count = sa.select(sa.func.count()).select_from(table).where(table.c.contact.in_(some))
                done[table.name] += connection.execute(count).scalar_one()
        done["contacts"] = of_contacts.remove(connection, ids)
        # What is in flight was passed over, and the transaction is undone with it
        refuse(self.in_flight(connection, found))
        plain = {self.e164, *(number for number, _ in found["do_not_call"] if self.mention.is_it(number))}
        done["do_not_call"] = sum(donotcall.seal_up(connection, number, self._seal.of) for number in sorted(plain))
        return done

    def keep_away(self, connection: sa.Connection, now: float, who: str) -> None:
        """Have the next list not bring him back: by the hash alone, of his own number and none that others may share."""
        donotcall.keep_away(connection, self.e164, self._seal.of, now, who)

    def strip_attempt(
        self, connection: sa.Connection, attempt: str, token: str, others: tuple[Mention, ...], names: frozenset[str]
    ) -> int:
        """An attempt stays, with ``token`` in its number's place and without the person's numbers in what the gate saw."""
        here = attempts.c.attempt == attempt
        facts = connection.execute(sa.select(attempts.c.facts).where(here)).scalar_one_or_none()
        if isinstance(facts, Unreadable):
            facts = {}
        for mention in (self.mention, *others):
            facts = mention.scrubbed(facts, names)
        return connection.execute(sa.update(attempts).where(here).values(number=token, facts=facts or {})).rowcount

    def strip_reject(self, connection: sa.Connection, key: tuple[Any, ...]) -> int:
        """A row that became no contact stays for its reason alone."""
        blank = {"cells": [], "detail": ERASED}
        return connection.execute(sa.update(list_rejects).where(*key_is(list_rejects, key)).values(blank)).rowcount


def refuse(in_flight: list[str]) -> None:
    """Raise RefusedError if anything is in flight."""
    if in_flight:
        more = f" and {len(in_flight) - NAMED_MAX} more" if len(in_flight) > NAMED_MAX else ""
        raise RefusedError(
            f"this person is being dialled ({', '.join(in_flight[:NAMED_MAX])}{more}): nothing was erased, try again when "
            "that is over; what a service that was killed left open is settled when it is started again"
        )


def _at_home(mention: Mention) -> tuple[Numbering, ...]:
    """The number as it is written in its own country, with and without what is dialled before it: lists are of any country,
    and spreadsheets take leading zeros away."""
    try:
        parsed = parse(f"+{mention.canonical}")
    except NumberParseException:
        return ()
    code = parsed.country_code or 0
    if len(mention.canonical) - len(str(code)) < DIGITS_MIN:
        return ()
    prefix = ndd_prefix_for_region(region_code_for_country_code(code), True) or ""
    return tuple(Numbering(str(code), one) for one in dict.fromkeys((prefix, "")))


def _scripts(digits: str) -> Iterator[str]:
    """Patterns of what may hold these digits in other scripts, as they are or as JSON escapes them."""
    for zero in FOREIGN:
        theirs = [chr(ord(zero) + int(digit)) for digit in digits]
        for form in (theirs, [json.dumps(one)[1:-1] for one in theirs]):
            yield f"%{'%'.join(form)}%"
