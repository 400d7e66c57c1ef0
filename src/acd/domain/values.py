"""How values are declared: events, commands, records, definitions, places.

A frozen dataclass whose freezing is the type checker's work alone. At run time Python freezes a dataclass by setting each
field through ``object.__setattr__``: nearly four times as dear to build, and a call builds some fifty. Without it the
floor serves a sixth to a quarter more simulated calls a minute. What assigns to a field does not pass mypy, which all of
acd must pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dataclasses import dataclass as valueclass
else:
    from dataclasses import dataclass, fields

    C = TypeVar("C", bound=type)

    def valueclass(*, frozen: bool, slots: bool, **options: Any):
        """``dataclass(frozen=True, slots=True, ...)`` to mypy; at run time the same without the freezing: compared and
        hashed by its fields."""
        if not frozen:
            raise TypeError("a value is frozen: valueclass(frozen=True, slots=True)")

        def decorate(cls: C) -> C:
            made = dataclass(slots=slots, unsafe_hash=True, **options)(cls)
            made.__getstate__, made.__setstate__ = _state, _restore
            return made

        return decorate

    def _state(self) -> list[Any]:
        """What is pickled, as of any frozen dataclass with slots."""
        return [getattr(self, one.name) for one in fields(self)]

    def _restore(self, state: list[Any]) -> None:
        for one, kept in zip(fields(self), state, strict=True):
            setattr(self, one.name, kept)


__all__ = ["valueclass"]
