"""A floor's whole state as bytes, and back into a fresh floor: so that a replay need not begin with the first event.

A pickle, since what a floor holds refers to itself in many places and must do so afterwards. What the floor's definition
holds is referred to by name. Reading admits the classes of the pure rooms and a few plain containers, nothing that could
do anything else. What the constructor wires (tables of functions) is taken from the fresh floor, not from the bytes.
"""

from __future__ import annotations

import importlib
import io
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from itertools import count
from types import MappingProxyType, MethodType
from typing import Any

from acd.domain.definition import AgentDefinition, QueueDefinition
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


def _the(kind: str, name: str) -> Any:
    """Stands in the bytes for something of the fresh floor's; replaced when they are read."""
    raise AssertionError(f"{kind} {name} was not resolved")


def _proxy(inner: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(inner)


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, floor: Floor) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._floor = floor
        self._named: Mapping[type, Mapping[str, Any]] = {
            AgentDefinition: floor.definition.agents,
            QueueDefinition: floor.definition.queues,
        }

    def reducer_override(self, value: Any) -> Any:
        kind: type[Any] = type(value)
        if value is self._floor:
            return _the, ("floor", "")
        if value is self._floor.definition:
            return _the, ("definition", "")
        if kind in self._named:
            name = value.name
            # An agent of an earlier definition is none of this one, whatever his name
            if self._named[kind].get(name) is value:
                return _the, (kind.__name__, name)
        if kind is MappingProxyType:
            return _proxy, (dict(value),)
        if kind is MethodType:
            return getattr, (value.__self__, value.__name__)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, floor: Floor) -> None:
        super().__init__(file)
        self._floor = floor

    def find_class(self, module: str, name: str) -> Any:
        special: Mapping[tuple[str, str], Callable[..., Any]] = {
            (_HERE, "_the"): self._resolve,
            (_HERE, "_proxy"): _proxy,
            ("builtins", "getattr"): self._method,
        }
        found = special.get((module, name)) or _PLAIN.get((module, name))
        if found is not None:
            return found
        if any(module == room or module.startswith(room + ".") for room in _ROOMS):
            found = getattr(importlib.import_module(module), name, None)
            # What these modules import themselves is not meant
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise JournalError(f"a checkpoint may not hold {module}.{name}")

    def _resolve(self, kind: str, name: str) -> Any:
        definition = self._floor.definition
        found = {"floor": self._floor, "definition": definition}.get(kind)
        if found is None:
            found = (definition.agents if kind == AgentDefinition.__name__ else definition.queues)[name]
        return found

    def _method(self, owner: Any, name: str) -> Any:
        """A method of one of the rooms' own objects, which the floor passes on as a callback."""
        method = getattr(owner, name)
        if not isinstance(method, MethodType) or name.startswith("__") or not type(owner).__module__.startswith("acd."):
            raise JournalError(f"a checkpoint may not hold {name} of {type(owner).__name__}")
        return method
