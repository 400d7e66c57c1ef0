"""The domain's words as JSON and back, exactly: events, commands, records and the floor's definition.

Generic over dataclasses, so that a new event needs nothing here. A dataclass is an object whose ``"_"`` names its class;
enums are their values, tuples and sets are lists. Floats come back bit for bit (NaN and infinities are written as
Python's json writes them), an int in a place for a float stays an int, and the order of mappings is kept: what a floor
does may depend on either. Reading is strict: an unknown class, an unknown field, a value of another kind is refused.

Fields that begin with ``_`` are caches and are not written; what is ``WITHHELD`` is written as null. No files here.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date, datetime, time, tzinfo
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from acd.domain.definition import AgentDefinition
from acd.domain.errors import AcdError, MisuseError

TAG = "_"

WITHHELD: Mapping[type, frozenset[str]] = {AgentDefinition: frozenset({"pin_hash"})}
"""Fields that no decision of the floor depends on and that must not leave the service."""

Reader = Callable[[Any], Any]


class CodecError(AcdError):
    """A JSON value is not what the annotation says; ``str()`` names the place in it."""

    def __init__(self, what: str, path: str = "") -> None:
        self.what, self.path = what, path
        super().__init__(f"{path.lstrip('.') or 'the value'} {what}")

    def within(self, step: str) -> CodecError:
        """The same, seen from one level further out."""
        return CodecError(self.what, step + self.path)


# -- writing -----------------------------------------------------------------------------------------------------------


def written_fields(cls: type) -> list[Field[Any]]:
    """The fields of a dataclass that are written."""
    return [field for field in fields(cls) if field.init and not field.name.startswith("_")]


@cache
def _writer(cls: type[Any]) -> Callable[[Any], Any]:
    """How an object that JSON does not know is written. Raises MisuseError if it cannot be."""
    if is_dataclass(cls):
        withheld = WITHHELD.get(cls, frozenset())
        names = [field.name for field in written_fields(cls) if field.name not in withheld]
        head = {TAG: cls.__name__, **dict.fromkeys(withheld)}
        hints = get_type_hints(cls)
        odd = [name for name in names if _has_odd_keys(hints[name])]
        if odd:
            return lambda value: (
                head | {name: _keyed(getattr(value, name)) if name in odd else getattr(value, name) for name in names}
            )
        if len(names) > 1:
            # attrgetter and zip: the whole object in two calls of C
            get = attrgetter(*names)
            return lambda value: head | dict(zip(names, get(value)))  # noqa: B905
        return lambda value: head | {name: getattr(value, name) for name in names}
    if issubclass(cls, Mapping):
        return _keyed
    if issubclass(cls, Enum):
        return lambda value: value.value
    if issubclass(cls, AbstractSet):
        # A set has no order of its own, and Python's differs from process to process
        return lambda value: sorted(value, key=encode)
    if issubclass(cls, date | time):
        return lambda value: value.isoformat()
    if issubclass(cls, tzinfo):
        return str
    raise MisuseError(f"{cls.__module__}.{cls.__qualname__} cannot be written to a journal: it is no dataclass")


def _has_odd_keys(annotation: Any) -> bool:
    """Whether a mapping so annotated has keys that JSON has not."""
    origin, parameters = get_origin(annotation), get_args(annotation)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key = parameters[0]
        return not (isinstance(key, type) and issubclass(key, str | int | float))
    return any(map(_has_odd_keys, parameters))


def _keyed(value: Mapping[Any, Any]) -> dict[Any, Any]:
    """A mapping whose keys JSON can hold."""
    return {key if isinstance(key, str) else _key(key): item for key, item in value.items()}


def _key(key: Any) -> Any:
    return key if isinstance(key, int | float) else _plain(key)


def _plain(value: Any) -> Any:
    kind: Any = type(value)
    return _writer(kind)(value)


_encoder = json.JSONEncoder(default=_plain, separators=(",", ":"), ensure_ascii=True, check_circular=False)


def encode(value: Any) -> str:
    """``value`` as one line of ASCII JSON. Raises MisuseError for what cannot be written."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise MisuseError(f"a {type(value).__name__} cannot be written as JSON: {error}") from error


# -- reading -----------------------------------------------------------------------------------------------------------


def decode(annotation: Any, value: Any) -> Any:
    """The Python value of type ``annotation`` that the JSON ``value`` stands for. Raises CodecError.

    For a class with subclasses, ``"_"`` chooses among them.
    """
    return _reader(annotation)(value)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return f"a {value[TAG]}" if isinstance(value.get(TAG), str) else "an object"
    return {str: "a text", list: "a list", type(None): "null"}.get(type(value), repr(value)[:60])


@cache
def _reader(annotation: Any) -> Reader:
    origin, parameters = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return lambda value: value
    if origin in (Union, types.UnionType):
        return _union(tuple(_reader(member) for member in parameters), annotation)
    if origin is Literal:
        return _expect(lambda value: value in parameters, f"one of {', '.join(map(repr, parameters))}")
    if isinstance(origin, type):
        if issubclass(origin, tuple) and not (len(parameters) == 2 and parameters[1] is ...):
            return _fixed(tuple(_reader(member) for member in parameters))
        if issubclass(origin, Mapping):
            return _mapping(parameters[0], _reader(parameters[1]))
        if issubclass(origin, AbstractSet):
            return _series(_reader(parameters[0]), frozenset)
        if issubclass(origin, Sequence):
            return _series(_reader(parameters[0]), list if origin is list else tuple)
    if annotation is None or annotation is type(None):
        return _expect(lambda value: value is None, "null")
    if isinstance(annotation, type):
        return _of_class(annotation)
    raise MisuseError(f"a value of type {annotation!r} cannot be read from a journal")


def _of_class(cls: type) -> Reader:
    if cls is float:
        # An int stays what it was: 20 is not written as 20.0
        return _expect(lambda value: type(value) in (float, int), "a number")
    if cls in (str, int, bool):
        return _expect(
            lambda value: type(value) is cls, {str: "a text", int: "a whole number"}.get(cls, "true or false")
        )
    if issubclass(cls, Enum):
        return _enum(cls)
    if issubclass(cls, datetime | date | time):
        return _iso(cls)
    if issubclass(cls, tzinfo):
        return _zone
    # A base class need not be a dataclass itself, as long as one of its kind is
    if is_dataclass(cls) or any(map(is_dataclass, cls.__subclasses__())):
        return _object(cls)
    raise MisuseError(f"{cls.__module__}.{cls.__qualname__} cannot be read from a journal: it is no dataclass")


def _expect(fits: Callable[[Any], bool], what: str) -> Reader:
    def read(value: Any) -> Any:
        if not fits(value):
            raise CodecError(f"should be {what}, not {_kind(value)}")
        return value

    return read


def _union(readers: tuple[Reader, ...], annotation: Any) -> Reader:
    def read(value: Any) -> Any:
        errors = []
        for reader in readers:
            try:
                return reader(value)
            except CodecError as error:
                errors.append(error)
        # The member that got furthest knows best what is wrong
        best = max(errors, key=lambda error: len(error.path))
        raise best if best.path else CodecError(f"should be {annotation}, not {_kind(value)}")

    return read


def _series(item: Reader, make: Callable[[list[Any]], Any]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise CodecError(f"should be a list, not {_kind(value)}")
        found = []
        for index, one in enumerate(value):
            try:
                found.append(item(one))
            except CodecError as error:
                raise error.within(f"[{index}]") from None
        return make(found)

    return read


def _fixed(items: tuple[Reader, ...]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, list) or len(value) != len(items):
            raise CodecError(f"should be a list of {len(items)}, not {_kind(value)}")
        found = []
        for index, (item, one) in enumerate(zip(items, value, strict=True)):
            try:
                found.append(item(one))
            except CodecError as error:
                raise error.within(f"[{index}]") from None
        return tuple(found)

    return read


def _mapping(key_type: Any, item: Reader) -> Reader:
    # JSON's keys are texts
    key = {int: int, float: float}.get(key_type) or _reader(key_type)

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise CodecError(f"should be an object, not {_kind(value)}")
        found = {}
        for name, one in value.items():
            try:
                found[key(name)] = item(one)
            except CodecError as error:
                raise error.within(f"[{name!r}]") from None
            except ValueError:
                raise CodecError(f"should have numbers as keys, not {name!r}") from None
        return found

    return read


def _enum(cls: type[Enum]) -> Reader:
    members = {member.value: member for member in cls}

    def read(value: Any) -> Any:
        member = members.get(value) if isinstance(value, str | int) else None
        if member is None:
            raise CodecError(f"should be one of {', '.join(map(str, members))}, not {value!r}"[:300])
        return member

    return read


def _iso(cls: Any) -> Reader:
    def read(value: Any) -> Any:
        try:
            return cls.fromisoformat(value)
        except (TypeError, ValueError):
            raise CodecError(f"should be a {cls.__name__}, not {_kind(value)}") from None

    return read


def _zone(value: Any) -> tzinfo:
    try:
        return ZoneInfo(value)
    except (TypeError, ValueError, OSError, ZoneInfoNotFoundError):
        raise CodecError(f"should be a time zone of this machine, not {_kind(value)}") from None


def _object(cls: type) -> Reader:
    known = {kind.__name__: kind for kind in _kinds(cls)}

    def read(value: Any) -> Any:
        tag = value.get(TAG) if isinstance(value, dict) else None
        kind = known.get(tag) if isinstance(tag, str) else None
        if kind is None or tag is None:
            raise CodecError(f"should be a {cls.__name__}, not {_kind(value)}")
        readers, required = _fields_of(kind)
        found = {}
        for name, one in value.items():
            if name == TAG:
                continue
            reader = readers.get(name)
            if reader is None:
                raise CodecError(f"has a field {name!r} that {tag} does not know", f".{tag}")
            try:
                found[name] = reader(one)
            except CodecError as error:
                raise error.within("." + name) from None
        missing = required - found.keys()
        if missing:
            raise CodecError(f"lacks {', '.join(sorted(missing))}", f".{tag}")
        return kind(**found)

    return read


def _kinds(cls: type) -> list[type]:
    """``cls`` and all its subclasses, as far as they are dataclasses."""
    found = [cls] if is_dataclass(cls) else []
    subclasses: list[type] = cls.__subclasses__()
    for sub in subclasses:
        # dataclass(slots=True) makes a second class of the same name; the first is no longer anybody's
        if getattr(sys.modules[sub.__module__], sub.__name__, None) is sub:
            found += _kinds(sub)
    return found


@cache
def _fields_of(cls: type) -> tuple[dict[str, Reader], frozenset[str]]:
    """A reader a field, and the fields that have no default. Late, since dataclasses may contain their own kind."""
    hints = get_type_hints(cls)
    written = written_fields(cls)
    required = (f.name for f in written if f.default is MISSING and f.default_factory is MISSING)
    return {field.name: _reader(hints[field.name]) for field in written}, frozenset(required)
