"""acd.toml and the environment -> Settings: finding the file, overriding keys, reading secrets, naming every mistake.

The only place that reads the environment. Which keys exist is ``settings``' matter.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from acd.config.files import read_plain_file, read_text
from acd.config.problems import Problem, Problems, ProblemsError, nearest, show
from acd.config.settings import (
    SOCKET_PATH_MAX_BYTES,
    AsteriskNode,
    DatabaseTable,
    FloorTable,
    HttpTable,
    ServiceTable,
    Settings,
    has_password,
    node_complaints,
    normalize_url,
    secret_fault,
)
from acd.config.toml_lines import Spot, locate_keys
from acd.domain.errors import ConfigurationError

CONFIG_VARIABLE = "ACD_CONFIG"
OVERRIDE_PREFIX = "ACD_"
MAX_TOML_BYTES = 1024 * 1024
MAX_SECRET_BYTES = 4096
SYSTEM_CONFIG = Path("/etc/acd/acd.toml")

_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_SECRET_KEYS = frozenset({"event_secret", "action_secret", "url"})
_ADDRESS = ("host", "ami_port")
_HINT = "; `acd init DIRECTORY` writes samples to begin with"

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


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings that can be used, the file they came from, and what is nevertheless odd about it."""

    settings: Settings
    path: Path
    warnings: tuple[Problem, ...]


def find_config(chosen: Path | str | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """``chosen`` (--config), else $ACD_CONFIG, else ./acd.toml, else /etc/acd/acd.toml. ConfigurationError if none is
    there; whether a chosen one exists is found out when it is read."""
    if chosen is not None:
        return Path(chosen)
    if environ.get(CONFIG_VARIABLE):
        return Path(environ[CONFIG_VARIABLE])
    candidates = (Path("acd.toml"), SYSTEM_CONFIG)
    for candidate in candidates:
        if os.path.exists(candidate):
            return candidate
    looked = " and ".join(str(candidate) for candidate in candidates)
    raise ConfigurationError(
        f"no configuration: looked for {looked}; name one with --config or {CONFIG_VARIABLE}{_HINT}"
    )


def load_settings(path: Path | str, environ: Mapping[str, str] = os.environ) -> LoadedSettings:
    """Read ``path`` and the overrides ``ACD_SECTION__KEY``. Raises ProblemsError with every problem found."""
    problems = Problems(str(path))
    text = read_text(Path(path), problems, max_bytes=MAX_TOML_BYTES, hint=_HINT)
    table = _parse(text, problems)
    sources = _Sources(problems, locate_keys(text), table, environ)
    settings = sources.validated()
    absolute = Path(os.path.abspath(path))
    # run on every table that is right in itself, also when others are wrong: all errors at once
    updates = _Completion(sources, absolute.parent).updates()
    _warn_of_readable_secrets(absolute, table, problems)
    problems.raise_if_any_error()
    assert settings is not None, "a validation error was not noted"
    completed = Settings.model_construct(**{**dict(settings), **updates})
    return LoadedSettings(completed, absolute, tuple(problems.sorted()))


def _parse(text: str, problems: Problems) -> dict[str, Any]:
    """The TOML document, or ProblemsError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _AT.search(str(error))
        what = str(error)[: match.start()] if match else str(error)
        line, column = (int(match[1]), int(match[2])) if match and match[1] else (text.count("\n") + 1, 1)
    except (ValueError, RecursionError):
        # numbers of thousands of digits, lists nested a thousand deep
        line, column, what = 1, 1, "a number is too long or a list nested too deep"
    problems.error(line, column, f"not TOML: {what}")
    raise ProblemsError(problems.sorted())


class _Given(PydanticBaseSettingsSource):
    """Values that were read already, as a source of pydantic-settings."""

    def __init__(self, settings_class: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_class)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values


class _Sources:
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

    def validated(self) -> Settings | None:
        """The settings, or ``None`` after noting what is wrong."""
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
                return _Given(settings_cls, environment), _Given(settings_cls, file)

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
        if key.removesuffix("_file") in ("event_secret", "action_secret"):
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


class _Completion:
    """What can only be said of tables that are right in themselves: what goes together, absolute paths, secrets."""

    def __init__(self, sources: _Sources, base: Path) -> None:
        self._sources, self._base = sources, base

    def updates(self) -> dict[str, Any]:
        """The settings' tables with every path absolute and every secret filled in; notes what is wrong."""
        sources, base = self._sources, self._base
        service = sources.table(("service",), ServiceTable) or ServiceTable()
        http = sources.table(("http",), HttpTable) or HttpTable()
        database = sources.table(("database",), DatabaseTable) or DatabaseTable()
        floor = sources.table(("floor",), FloorTable) or FloorTable()
        state_dir = base / service.state_dir
        for key, message in http.complaints():
            sources.note(("http", key), f"[http] {message}")
        url = self._database_url(database, state_dir)
        spill_dir = base / database.spill_dir if database.spill_dir else state_dir / "spill"
        return {
            "asterisk": self._nodes(),
            "http": http.model_copy(update={"socket": self._socket(http, state_dir)}),
            "database": database.model_copy(update={"url": url, "spill_dir": spill_dir}),
            "floor": floor.model_copy(update={"file": base / floor.file}),
            "service": service.model_copy(update={"state_dir": state_dir}),
        }

    def _socket(self, http: HttpTable, state_dir: Path) -> Path:
        path = self._base / http.socket if http.socket else state_dir / "acd.sock"
        if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
            loc = ("http", "socket") if http.socket else ("service", "state_dir")
            self._sources.note(
                loc,
                f"the socket {show(str(path))} has more than {SOCKET_PATH_MAX_BYTES} bytes; set a shorter [http] socket",
            )
        return path

    def _nodes(self) -> dict[str, AsteriskNode]:
        nodes = self._sources.nodes()
        if self._sources.has_empty("asterisk"):
            self._sources.note(("asterisk",), "no table [asterisk.NAME]: write one with host and secrets")
        # a node whose address is itself wrong stands here with the default one
        placed = {
            name: node for name, node in nodes.items() if not self._sources.is_wrong(("asterisk", name), _ADDRESS)
        }
        for name, message in node_complaints(placed):
            self._sources.note(("asterisk", name), f"[asterisk.{name}] {message}")
        for name, node in nodes.items():
            for key, message in node.complaints():
                self._sources.note(("asterisk", name, key), f"[asterisk.{name}] {message}")
        return {name: self._node(name, node) for name, node in nodes.items()}

    def _node(self, name: str, node: AsteriskNode) -> AsteriskNode:
        update: dict[str, Any] = {}
        for key in ("event_secret", "action_secret"):
            file: Path | None = getattr(node, f"{key}_file")
            if file is not None:
                update[f"{key}_file"] = self._base / file
                update[key] = self._secret(("asterisk", name, f"{key}_file"), self._base / file)
        if node.ca_file is not None:
            update["ca_file"] = self._base / node.ca_file
            if not (self._base / node.ca_file).is_file():
                self._sources.note(("asterisk", name, "ca_file"), f"ca_file {self._base / node.ca_file} does not exist")
        return node.model_copy(update=update)

    def _database_url(self, database: DatabaseTable, state_dir: Path) -> SecretStr | None:
        password: SecretStr | None = None
        if database.password_file is not None:
            password = self._secret(("database", "password_file"), self._base / database.password_file)
        given = database.url.get_secret_value() if database.url else ""
        try:
            return SecretStr(
                normalize_url(
                    given, self._base, state_dir / "acd.sqlite3", password.get_secret_value() if password else None
                )
            )
        except ValueError as error:
            reason = str(error)
        self._sources.note(("database", "url"), f"url in [database] {reason}")
        return None

    def _secret(self, loc: Loc, file: Path) -> SecretStr | None:
        """The secret that ``file`` holds, or ``None`` after noting why it cannot be used."""
        try:
            raw, mode = read_plain_file(file, MAX_SECRET_BYTES)
            if mode & 0o007:
                raise ValueError(f"can be read by every user of this machine; run: chmod o= {file}")
            if len(raw) > MAX_SECRET_BYTES:
                raise ValueError("is too large to be a secret")
            text = raw.decode("utf-8").rstrip("\r\n")
            fault = secret_fault(text)
            if fault is None:
                return SecretStr(text)
            reason = f"holds a secret that {fault}"
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            reason = "is not UTF-8 text"
        except ValueError as error:
            reason = str(error)
        self._sources.note(loc, f"{loc[-1]} {file} {reason}")
        return None


def _warn_of_readable_secrets(path: Path, table: Mapping[str, Any], problems: Problems) -> None:
    nodes = table.get("asterisk")
    tables = [node for node in nodes.values() if isinstance(node, dict)] if isinstance(nodes, dict) else []
    holds_secret = any("event_secret" in node or "action_secret" in node for node in tables)
    database = table.get("database")
    holds_secret |= isinstance(database, dict) and has_password(database.get("url"))
    if holds_secret and path.stat().st_mode & 0o007:
        problems.warning(
            None, None, f"holds a secret and can be read by every user of this machine; run: chmod o= {path}"
        )
