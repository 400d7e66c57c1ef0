"""What the processes do that prepare rows: a process of its own imports this and nothing of the command line.

Rows go to them and come back as ``marshal`` writes plain tuples: pickled objects would cost as much as preparing them. Both
ends are this program, in one version of Python.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import fields
from multiprocessing import parent_process
from operator import attrgetter
from typing import Any

from acd.lists.prepare import Reject, Terms, prepared
from acd.lists.rows import Row
from acd.store.outbound.contacts import NewContact, NewNumber

GARBAGE = 100_000
"""Objects until garbage is looked for: a piece has many, all of which go with it, and none in circles."""
_FIELDS = tuple(one.name for one in fields(NewContact))
_NUMBERS = _FIELDS.index("numbers")
_values = attrgetter(*_FIELDS)
_terms: Terms | None = None


def ready(terms: Terms) -> None:
    """Begin a process: Ctrl-C is for the one that started it, and it does not outlive that one."""
    global _terms
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    gc.set_threshold(GARBAGE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _terms = terms


def _end_with_parent() -> None:
    """However that one ends: a process that was killed takes nobody along."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def work(packed: bytes) -> bytes:
    """What the rows are. As `pack_rows` and `pack` give them."""
    assert _terms is not None
    return pack([prepared(Row(*row), _terms) for row in marshal.loads(packed)])


def pack_rows(rows: Sequence[Row]) -> bytes:
    """Rows for `work`."""
    return marshal.dumps([tuple(row) for row in rows])


def pack(found: Sequence[NewContact | Reject]) -> bytes:
    """What `unpack` makes the same of."""
    return marshal.dumps([_plain(one) for one in found])


def unpack(packed: bytes) -> list[NewContact | Reject]:
    """What `work` has found."""
    return [_whole(one) for one in marshal.loads(packed)]


def _plain(one: NewContact | Reject) -> tuple[Any, ...]:
    if isinstance(one, Reject):
        return tuple(one)
    values = list(_values(one))
    values[_NUMBERS] = [tuple(number) for number in one.numbers]
    return tuple(values)


def _whole(values: tuple[Any, ...]) -> NewContact | Reject:
    if len(values) != len(_FIELDS):
        return Reject(*values)
    found = NewContact(*values)
    found.numbers = [NewNumber(*number) for number in found.numbers]
    return found
