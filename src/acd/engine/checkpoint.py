"""A floor's whole state as bytes, and back into a fresh floor: so that a replay need not begin with the first event.

A pickle, since what a floor holds refers to itself in many places and must do so afterwards. What belongs to the floor's
definition is referred to by its place in it, so that a call's queue is the definition's own. Reading admits the classes
of the pure rooms and a few plain containers, nothing that could do anything else. What the constructor wires (tables of
functions) is taken from the fresh floor, not from the bytes.
"""

from __future__ import annotations

import array
import importlib
import io
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import tzinfo
from enum import Enum
from functools import partial
from inspect import signature
from itertools import count
from operator import itemgetter
from types import FunctionType, MappingProxyType, MethodType
from typing import Any
from zoneinfo import ZoneInfo

from acd.domain.definition import FloorDefinition
from acd.domain.expression import Requirement
from acd.engine.codec import written_fields
from acd.engine.journal_lines import JournalError
from acd.floor import Floor

_ROOMS = ("acd.domain", "acd.routing", "acd.floor")
_HERE = __name__
_PLAIN: Mapping[tuple[str, str], Any] = {
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "bytearray"): bytearray,
    ("collections", "Counter"): Counter,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    ("collections", "deque"): deque,
    ("itertools", "count"): count,
    # Picks items of sequences, nothing else: the order in which an agent's flags are read
    ("operator", "itemgetter"): itemgetter,
    # An order by the marks of a requirement's skills: a sort key with its table
    ("functools", "partial"): partial,
    ("array", "array"): array.array,
    ("array", "_array_reconstructor"): array._array_reconstructor,  # type: ignore[attr-defined]
}


def freeze(floor: Floor) -> bytes:
    """The floor's state, between two events. Raises JournalError if something in it cannot be written."""
    state = {name: value for name, value in vars(floor).items() if not _is_wiring(value)}
    file = io.BytesIO()
    try:
        _Pickler(file, floor).dump(state)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
        raise JournalError(f"the floor's state cannot be written: {error}") from error
    return file.getvalue()


def prepare(definition: FloorDefinition) -> None:
    """Look through a definition beforehand, so that the first ``freeze`` takes no longer than any other."""
    _Places.of(definition)


def thaw(floor: Floor, state: bytes) -> None:
    """Put a state into a fresh ``floor`` of the same definition and epoch. Raises JournalError."""
    try:
        vars(floor).update(_Unpickler(io.BytesIO(state), floor).load())
    except JournalError:
        raise
    except Exception as error:
        # Damaged bytes make an unpickler raise anything
        raise JournalError(f"the floor's state in the journal cannot be read by this acd: {error!r}") from error


def _is_wiring(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(callable, value.values()))


def _the_floor() -> Any:
    """Stands in the bytes for the fresh floor; replaced when they are read, as is the next."""
    raise AssertionError("not resolved")


def _defined(place: int) -> Any:
    raise AssertionError(f"thing {place} of the definition was not resolved")


def _zone(name: str) -> tzinfo:
    return ZoneInfo(name)


def _proxy(inner: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(inner)


def _things(value: Any) -> Iterator[Any]:
    """Every dataclass in ``value``, itself first, in an order that only its structure decides; the same one as often as
    it is met."""
    if is_dataclass(value):
        yield value
        for field in written_fields(type(value)):
            yield from _things(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _things(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _things(item)


class _Places:
    """Where each thing of a definition is. One is remembered, since a life has few."""

    definition: FloorDefinition | None = None
    known: Mapping[int, int] = {}

    @classmethod
    def of(cls, definition: FloorDefinition) -> Mapping[int, int]:
        """``{id: place}``."""
        if cls.definition is not definition:
            known: dict[int, int] = {}
            for place, thing in enumerate(_things(definition)):
                known.setdefault(id(thing), place)
            cls.definition, cls.known = definition, known
        return cls.known


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, floor: Floor) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._floor = floor
        self._places = _Places.of(floor.definition)

    def reducer_override(self, value: Any) -> Any:
        place = self._places.get(id(value))
        if place is not None:
            return _defined, (place,)
        kind: type[Any] = type(value)
        if value is self._floor:
            return _the_floor, ()
        if kind is MappingProxyType:
            return _proxy, (dict(value),)
        if kind is MethodType:
            return getattr, (value.__self__, value.__name__)
        if isinstance(value, Requirement):
            # Cannot be changed once made, and knows its hash, which is another one in every process
            return kind, tuple(getattr(value, name) for name in signature(kind).parameters)
        if isinstance(value, tzinfo):
            return _zone, (str(value),)
        if isinstance(value, Enum):
            # Python 3.11 up to 3.11.3 writes them as attributes of their class, others by their value
            return kind, (value.value,)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, floor: Floor) -> None:
        super().__init__(file)
        self._floor = floor
        self._things = list(_things(floor.definition))

    def find_class(self, module: str, name: str) -> Any:
        special: Mapping[tuple[str, str], Callable[..., Any]] = {
            (_HERE, "_the_floor"): lambda: self._floor,
            (_HERE, "_defined"): self._things.__getitem__,
            (_HERE, "_proxy"): _proxy,
            (_HERE, "_zone"): _zone,
            ("builtins", "getattr"): self._method,
        }
        found = special.get((module, name)) or _PLAIN.get((module, name))
        if found is not None:
            return found
        if any(module == room or module.startswith(room + ".") for room in _ROOMS):
            found = getattr(importlib.import_module(module), name, None)
            # What these modules import themselves is not meant. The matcher's orders hold their sort keys: plain functions
            kinds = (type, FunctionType) if module.startswith("acd.routing.") else (type,)
            if isinstance(found, kinds) and found.__module__ == module:
                return found
        raise JournalError(f"a checkpoint may not hold {module}.{name}")

    def _method(self, owner: Any, name: str) -> Any:
        """A method of one of the rooms' own objects, which the floor passes on as a callback."""
        method = getattr(owner, name)
        if not isinstance(method, MethodType) or name.startswith("__") or not type(owner).__module__.startswith("acd."):
            raise JournalError(f"a checkpoint may not hold {name} of {type(owner).__name__}")
        return method
