"""Values of acd.toml and of the environment, merged and validated; remembers where each came from, to name the place.

Which keys exist is ``settings``' matter; what follows from the values is ``load``'s.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from acd.config.problems import Problems, nearest, show
from acd.config.settings import AsteriskNode, Settings
from acd.config.toml_lines import Spot

OVERRIDE_PREFIX = "ACD_"
_SECRET_KEYS = frozenset({"call_secret", "look_secret", "url"})
#: pydantic's kinds of error, by how they begin.
_SAID = {
    "int_": "should be a whole number",
    "bool_": "should be true or false",
    "string_type": "should be a text in quotes",
    "string_pattern": "has characters that cannot stand there",
    "path_type": "should be a path in quotes",
    "model_type": "should be a table",
    "dict_type": "should be a table",
}


Loc = tuple[str, ...]
_T = TypeVar("_T", bound=BaseModel)


class _Given(PydanticBaseSettingsSource):
    """Values that were read already, as a source of pydantic-settings."""

    def __init__(self, settings_class: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_class)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values


class Sources:
    """File and environment, merged; remembers where each value came from."""

    def __init__(
        self, problems: Problems, spots: Mapping[Loc, Spot], table: dict[str, Any], environ: Mapping[str, str]
    ) -> None:
        self._problems = problems
        self._spots = spots
        self._table = table
        self._merged: dict[str, Any] = {}
        self._wrong: set[Loc] = set()
        self._variables: dict[Loc, str] = {}
        self._overrides = self._read_overrides(environ)

    def validated(self, absent: Mapping[str, Any]) -> Settings | None:
        """The settings, or ``None`` after noting what is wrong. ``absent``: what tables are that stand nowhere."""
        environment, file, merged = self._overrides, self._table, self._merged

        class Loaded(Settings):
            @model_validator(mode="before")
            @classmethod
            def keep(cls, values: dict[str, Any]) -> dict[str, Any]:
                merged.update(values)
                return values

            @classmethod
            def settings_customise_sources(
                cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return _Given(settings_cls, environment), _Given(settings_cls, file), _Given(settings_cls, dict(absent))

        try:
            return Loaded()
        except ValidationError as error:
            found = error.errors(include_url=False)
        # outside the handler: nothing that holds the input may hang on the error we raise
        for detail in found:
            self._wrong.add(tuple(str(part) for part in detail["loc"]))
            self._note(detail)
        return None

    def table(self, loc: Loc, model: type[_T]) -> _T | None:
        """One table by itself without the keys that are wrong (``validated`` notes those); ``None`` if it is no table."""
        given: Any = self._merged
        for part in loc:
            given = given.get(part, {}) if isinstance(given, dict) else None
        for _ in range(2):
            try:
                return model.model_validate(given)
            except ValidationError as error:
                wrong = {detail["loc"][0] for detail in error.errors(include_url=False) if detail["loc"]}
            if not isinstance(given, dict):
                return None
            given = {key: value for key, value in given.items() if key not in wrong}
        return None

    def nodes(self) -> dict[str, AsteriskNode]:
        """The ``[asterisk.NAME]`` tables that are right in themselves."""
        given = self._merged.get("asterisk")
        names = list(given) if isinstance(given, dict) else []
        found = ((name, self.table(("asterisk", name), AsteriskNode)) for name in names)
        return {name: node for name, node in found if node is not None}

    def has_empty(self, table: str) -> bool:
        """Whether the top table is there with nothing in it."""
        return self._merged.get(table) == {}

    def is_wrong(self, table: Loc, keys: Collection[str]) -> bool:
        """Whether one of the table's keys did not validate."""
        return any((*table, key) in self._wrong for key in keys)

    def note(self, loc: Loc, message: str) -> None:
        """An error at the place where ``loc``, or the nearest table around it, was given."""
        for length in range(len(loc), -1, -1):
            if loc[:length] in self._variables:
                file = f"environment variable {self._variables[loc[:length]]}"
                self._problems.error_in(file, message)
                return
            spot = self._spots.get(loc[:length])
            if spot is not None:
                self._problems.error(spot.line, spot.column, message)
                return
            made = [name for place, name in self._variables.items() if length and place[:length] == loc[:length]]
            if made:
                # a table that stands in no file, only in the environment
                self._problems.error_in(f"environment variable {made[0]}", message)
                return
        self._problems.error(None, None, message)

    def _read_overrides(self, environ: Mapping[str, str]) -> dict[str, Any]:
        """``ACD_HTTP__PORT=8080`` -> ``{"http": {"port": "8080"}}``; names of nodes as the file writes them."""
        overrides: dict[str, Any] = {}
        for variable, value in sorted(environ.items()):
            if not variable.upper().startswith(OVERRIDE_PREFIX) or "__" not in variable:
                continue
            loc = self._loc_of(variable)
            if loc is None:
                continue
            self._variables[loc] = variable
            table = overrides
            for part in loc[:-1]:
                table = table.setdefault(part, {})
            table[loc[-1]] = value
            self._displace(table, loc)
        return overrides

    def _loc_of(self, variable: str) -> Loc | None:
        parts = variable[len(OVERRIDE_PREFIX) :].lower().split("__")
        depth = 3 if parts[0] == "asterisk" else 2
        if parts[0] not in Settings.model_fields:
            self._problems.error_in(
                f"environment variable {variable}",
                f"there is no table [{parts[0]}]{nearest(parts[0], Settings.model_fields)}",
            )
            return None
        if len(parts) != depth or not all(parts):
            shape = "ACD_ASTERISK__NODE__KEY" if depth == 3 else "ACD_SECTION__KEY"
            self._problems.error_in(f"environment variable {variable}", f"an override has the form {shape}")
            return None
        nodes = self._table.get("asterisk")
        if depth == 3 and isinstance(nodes, dict):
            parts[1] = next((name for name in nodes if name.lower() == parts[1]), parts[1])
        return tuple(parts)

    def _displace(self, table: dict[str, Any], loc: Loc) -> None:
        """A secret from the environment takes the place of the file's secret file, and the other way round."""
        key = loc[-1]
        other = key.removesuffix("_file") if key.endswith("_secret_file") else f"{key}_file"
        if key.removesuffix("_file") in ("call_secret", "look_secret"):
            table.setdefault(other, None)

    def _note(self, detail: Any) -> None:
        loc: Loc = tuple(str(part) for part in detail["loc"])
        where = f"[{'.'.join(loc[:-1])}]"
        kind, key = detail["type"], loc[-1] if loc else ""
        if kind == "extra_forbidden":
            known = _keys_of(loc[:-1])
            what = f"unknown key {show(key)} in {where}" if len(loc) > 1 else f"unknown table or key {show(key)}"
            self.note(loc, what + nearest(key, known))
        elif kind == "missing":
            needed = "needs a table [asterisk.NAME] with host and secrets" if loc == ("asterisk",) else f"needs {key}"
            self.note(loc[:-1], f"{where} {needed}" if len(loc) > 1 else needed)
        else:
            text = _said(detail)
            given = detail["input"]
            shown = "" if key in _SECRET_KEYS or isinstance(given, (dict, BaseModel)) else f", not {show(given)}"
            self.note(loc, f"{key} in {where} {text}{shown}" if len(loc) > 1 else f"{key} {text}{shown}")


def _said(detail: Any) -> str:
    """What pydantic found, in an operator's words."""
    kind = detail["type"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    known = next((said for prefix, said in _SAID.items() if kind.startswith(prefix)), None)
    return known or str(detail["msg"]).removeprefix("Input ").removeprefix("String ")


def _keys_of(table: Loc) -> Sequence[str]:
    """The keys that the table at ``table`` knows."""
    if not table:
        return list(Settings.model_fields)
    if table[0] == "asterisk":
        return list(AsteriskNode.model_fields)
    annotation = Settings.model_fields[table[0]].annotation
    assert isinstance(annotation, type)
    assert issubclass(annotation, BaseModel)
    return list(annotation.model_fields)
