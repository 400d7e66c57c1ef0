"""acd.toml and the environment -> Settings: finding the file, reading it, its secrets, and what goes together.

The only place that reads the environment. Which keys exist is ``settings``' matter, merging and validating ``sources``'.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from acd.config.files import read_plain_file, read_text
from acd.config.problems import Problem, Problems, ProblemsError, show
from acd.config.settings import (
    SOCKET_PATH_MAX_BYTES,
    AsteriskNode,
    DatabaseTable,
    FloorTable,
    HttpTable,
    JournalTable,
    RecordsTable,
    ServiceTable,
    Settings,
    has_password,
    node_complaints,
    normalize_url,
    secret_fault,
)
from acd.config.sources import Loc, Sources
from acd.config.toml_lines import locate_keys
from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass

CONFIG_VARIABLE = "ACD_CONFIG"
MAX_TOML_BYTES = 1024 * 1024
MAX_SECRET_BYTES = 4096
SYSTEM_CONFIG = Path("/etc/acd/acd.toml")

#: The tables that `load_settings` demands whole, with their secrets, unless told otherwise.
NEEDED = ("asterisk", "database")

_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_ADDRESS = ("host", "ami_port")
_HINT = "; `acd init DIRECTORY` writes samples to begin with"


@valueclass(frozen=True, slots=True)
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


def load_settings(
    path: Path | str, environ: Mapping[str, str] = os.environ, needed: Collection[str] = NEEDED
) -> LoadedSettings:
    """Read ``path`` and the overrides ``ACD_SECTION__KEY``. Raises ProblemsError with every problem found.

    Of `NEEDED`, what is not in ``needed`` may be missing, its secrets too, and no file that it names is opened; keys that
    are there must be right all the same.
    """
    problems = Problems(str(path))
    text = read_text(Path(path), problems, max_bytes=MAX_TOML_BYTES, hint=_HINT)
    table = _parse(text, problems)
    sources = Sources(problems, locate_keys(text), table, environ)
    settings = sources.validated({} if "asterisk" in needed else {"asterisk": {}})
    absolute = Path(os.path.abspath(path))
    # run on every table that is right in itself, also when others are wrong: all errors at once
    updates = _Completion(sources, absolute.parent, needed).updates()
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


class _Completion:
    """What can only be said of tables that are right in themselves: what goes together, absolute paths, secrets."""

    def __init__(self, sources: Sources, base: Path, needed: Collection[str]) -> None:
        self._sources, self._base, self._needed = sources, base, needed

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
        records = sources.table(("records",), RecordsTable) or RecordsTable()
        for key, message in records.complaints(sources.table(("journal",), JournalTable) or JournalTable()):
            sources.note(("records", key), f"[records] {message}")
        url = self._database_url(database, state_dir)
        spill_dir = base / database.spill_dir if database.spill_dir else state_dir / "spill"
        return {
            "asterisk": self._nodes(),
            "http": http.model_copy(update={"socket": self._socket(http, state_dir)}),
            "database": database.model_copy(update={"url": url, "spill_dir": spill_dir}),
            "floor": floor.model_copy(update={"file": base / floor.file}),
            "records": records.model_copy(update={"recordings": self._recordings(records, state_dir)}),
            "service": service.model_copy(update={"state_dir": state_dir}),
        }

    def _recordings(self, records: RecordsTable, state_dir: Path) -> Path:
        return self._base / records.recordings if records.recordings else state_dir / "recordings"

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
        nodes, needed = self._sources.nodes(), "asterisk" in self._needed
        if needed and self._sources.has_empty("asterisk"):
            self._sources.note(("asterisk",), "no table [asterisk.NAME]: write one with host and secrets")
        # a node whose address is itself wrong stands here with the default one
        placed = {
            name: node for name, node in nodes.items() if not self._sources.is_wrong(("asterisk", name), _ADDRESS)
        }
        for name, message in node_complaints(placed):
            self._sources.note(("asterisk", name), f"[asterisk.{name}] {message}")
        for name, node in nodes.items():
            for key, message in node.complaints(complete=needed):
                self._sources.note(("asterisk", name, key), f"[asterisk.{name}] {message}")
        if not needed:
            return nodes
        return {name: self._node(name, node) for name, node in nodes.items()}

    def _node(self, name: str, node: AsteriskNode) -> AsteriskNode:
        update: dict[str, Any] = {}
        for key in ("call_secret", "look_secret"):
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
        if database.password_file is not None and "database" in self._needed:
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
    holds_secret = any("call_secret" in node or "look_secret" in node for node in tables)
    database = table.get("database")
    holds_secret |= isinstance(database, dict) and has_password(database.get("url"))
    if holds_secret and path.stat().st_mode & 0o007:
        problems.warning(
            None, None, f"holds a secret and can be read by every user of this machine; run: chmod o= {path}"
        )
