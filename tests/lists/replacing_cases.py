"""A list imported once more: what was forbidden stays so. A module that collects these has a fixture ``url``."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from importing_cases import brought, rows_in

from acd.domain.campaigns import AttemptOutcome
from acd.domain.errors import RefusedError
from acd.lists.importing import How
from acd.store.beside import writing
from acd.store.outbound import attempts as tried
from acd.store.outbound import work
from acd.store.outbound.attempts import Again, Attempt, Over, Settled
from acd.store.outbound.tables import callbacks, contact_numbers, contacts
from acd.store.outbound.work import Kind

NOW = 1_710_928_800.0
REPLACE = How(country="DE", replace=True)
BERLIN = "+49301234567"
_lists = count()


def sealed(number: str) -> str:
    return f"hmac:{number}"


class List:
    """One list of its own in a database that others use."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.path, self.name = url, folder / "l.csv", f"again{next(_lists)}"
        self.serial = count(1)

    def read(self, text: str, how: How = REPLACE) -> Any:
        return brought(self.url, self.path, self.name, text, how)

    def now(self, *names: str) -> list[tuple[Any, ...]]:
        return [tuple(row[name] for name in names) for row in rows_in(self.url, contacts, contacts.c.list == self.name)]

    def numbers(self) -> list[tuple[str, str]]:
        mine = sa.select(contacts.c.contact).where(contacts.c.list == self.name)
        rows = rows_in(self.url, contact_numbers, contact_numbers.c.contact.in_(mine))
        return [(row["number"], row["state"]) for row in rows]

    def claim(self, most: int = 1, at: float = NOW) -> list[work.Claimed]:
        with writing(self.url) as connection, connection.begin():
            return work.claim(connection, [self.name], dict.fromkeys(Kind, most), at, 1)

    def dial(self, one: work.Claimed) -> tuple[str, tuple[str, ...]]:
        attempt = f"{self.name[5:]:0>6}{next(self.serial):08d}"
        made = Attempt(attempt, "win", one.contact.contact, one.number, "power", "+4930555", "out", "pbx")
        with writing(self.url) as connection, connection.begin():
            return attempt, tried.record(connection, [made], 1, NOW, sealed).recorded

    def settle(self, attempt: str, outcome: AttemptOutcome, after: Again | Over) -> None:
        with writing(self.url) as connection, connection.begin():
            tried.settle(connection, [Settled(attempt, outcome, NOW + 5, after, dialled_at=NOW)], sealed)


@pytest.fixture
def of(url: str, tmp_path: Path) -> List:
    return List(url, tmp_path)


@pytest.mark.parametrize("by", ["key", "number"])
def test_who_is_in_the_file_again_keeps_what_has_become_of_him(of: List, by: str) -> None:
    of.read("key,name,phone,phone2\n1,Ann,030 1234567,030 1234568\n2,Bob,030 1234569,\n3,Cy,030 1234560,\n")
    ann, bob, _ = of.claim(3)
    attempt, _ = of.dial(ann)
    of.settle(attempt, AttemptOutcome.INVALID, Again(NOW + 900, "+49301234568"))
    attempt, _ = of.dial(bob)
    of.settle(attempt, AttemptOutcome.DECLINED, Over())
    before = {row[0]: row for row in of.now("contact", "state", "due_at", "attempts", "last_outcome")}
    first = "1,Anna,030 1234568,030 1234567" if by == "key" else "9,Anna,030 1234568,030 1234567"
    report = of.read(f"key,name,phone,phone2\n{first}\n2,Bob,030 1234569,\n4,Di,030 1234561,\n")
    assert (report.rows, report.imported, report.carried, report.removed, report.in_calls) == (3, 3, 2, 1, 0)
    after = {row[0]: row for row in of.now("contact", "state", "due_at", "attempts", "last_outcome")}
    ids = ann.contact.contact, bob.contact.contact
    assert [after[one] for one in ids] == [before[one] for one in ids]
    assert [row[1] for row in after.values()] == ["due", "done", "new"]
    assert of.now("name") == [("Anna",), ("Bob",), ("Di",)]
    # The turn is that of the number it was, which stands elsewhere now
    assert of.numbers()[:2] == [("+49301234568", "ok"), (BERLIN, "bad")]
    (again,) = of.claim(1, NOW + 1000)[:1]
    assert (again.contact.contact, again.number, again.attempts) == (ids[0], "+49301234568", 1)
    assert of.dial(again)[1]


def test_what_the_file_does_not_say_any_more_is_no_longer_so(of: List) -> None:
    of.read("key,phone,consent,Colour\n1,030 1234567,2024-01-01,red\n", How(country="DE"))
    assert of.now("consent_at") != [(None,)]
    assert of.read("key,phone\n1,030 1234567\n").carried == 1
    assert of.now("consent_at", "fields") == [(None, {})]


@pytest.mark.parametrize(("within", "figures"), [("skip", (2, 1, 0)), ("update", (2, 1, 1)), ("keep", (3, 0, 0))])
def test_doubles_within_the_file_are_what_they_always_are(of: List, within: Any, figures: tuple[int, ...]) -> None:
    of.read("key,name,phone\n1,Ann,030 1234567\n")
    text = "key,name,phone\n1,Ann,030 1234567\n1,Anna,030 1234567\n2,Bob,030 1234569\n"
    report = of.read(text, How(country="DE", replace=True, within=within))
    assert (report.imported, report.duplicates, report.updated, report.carried) == (*figures, 1)
    names = {"skip": ["Ann", "Bob"], "update": ["Anna", "Bob"], "keep": ["Ann", "Anna", "Bob"]}[within]
    assert [row[0] for row in of.now("name")] == names


def test_who_is_claimed_ahead_and_not_in_the_file_is_not_dialled(of: List) -> None:
    of.read("phone\n030 1234567\n030 1234568\n")
    first, second = of.claim(2)
    attempt, recorded = of.dial(second)
    assert recorded == (attempt,)
    report = of.read("phone\n030 1234569\n")
    assert (report.removed, report.in_calls) == (1, 1)
    assert of.dial(first)[1] == ()
    # The call goes on, and nothing follows it
    of.settle(attempt, AttemptOutcome.BUSY, Again(NOW + 60))
    assert of.now("state", "due_at", "last_outcome") == [("blocked", None, "busy"), ("new", None, None)]
    assert of.read("phone\n030 1234569\n030 1234570\n").removed == 1
    assert len(of.now("state")) == 2


def test_who_is_claimed_ahead_and_in_the_file_stays_with_his_promise(of: List) -> None:
    of.read("phone\n030 1234567\n")
    (one,) = of.claim()
    report = of.read("phone,name\n030 1234567,Ann\n")
    assert (report.carried, report.removed) == (1, 0)
    assert of.now("name", "state") == [("Ann", "in_flight")]
    assert of.dial(one)[1]
    assert rows_in(of.url, callbacks, callbacks.c.contact == one.contact.contact) == []


def test_a_number_found_to_be_nobodys_stays_so_in_an_update(of: List) -> None:
    text = "phone,phone2\n030 1234567,030 1234568\n"
    of.read(text, How(country="DE"))
    (one,) = of.claim()
    attempt, _ = of.dial(one)
    of.settle(attempt, AttemptOutcome.INVALID, Again(NOW + 60, "+49301234568"))
    assert of.read(text + " \n", How(country="DE", within="update")).updated == 1
    assert of.numbers() == [(BERLIN, "bad"), ("+49301234568", "ok")]
    (again,) = of.claim(1, NOW + 61)
    assert again.number == "+49301234568"


def test_who_is_moved_here_from_another_list_stays(of: List, tmp_path: Path) -> None:
    other = List(of.url, tmp_path)
    other.read("phone\n030 7654321\n", How(country="DE"))
    report = of.read("phone\n030 7654321\n", How(country="DE", replace=True, across="move"))
    assert (report.moved, report.removed) == (1, 0)
    assert of.now("state") == [("new",)]


@pytest.mark.parametrize("text", ["phone\n", "phone\nnobody\n12\n", "phone\n=1+1\n"])
def test_a_file_without_a_contact_replaces_nobody(of: List, text: str) -> None:
    of.read(f"phone\n{BERLIN}\n")
    with pytest.raises(RefusedError, match=r"holds no contact, so none of list again[0-9]+ was taken away"):
        of.read(text)
    assert of.numbers() == [(BERLIN, "ok")]
    # The same people once more are contacts of it, though none is new
    of.read(f"phone\n{BERLIN}\n")
    assert of.numbers() == [(BERLIN, "ok")]
