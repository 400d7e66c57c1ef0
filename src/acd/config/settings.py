"""acd.toml as values: which tables and keys there are, their defaults and limits.

Values only. Where they come from (file, environment, secret files) is ``load``'s matter; nothing here opens a file.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

#: sun_path holds 108 bytes with its closing zero.
SOCKET_PATH_MAX_BYTES = 107
NODE_NAME_RULE = "letters, digits, - and _, at most 40 characters"

_NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", re.ASCII)
_SECRET_PARAMETERS = frozenset({"password", "sslpassword", "passfile"})


def _mode_of(value: Any) -> Any:
    """``"0660"`` is octal; a bare number is taken as TOML took it (0o660), which makes 660 nonsense."""
    if isinstance(value, str):
        if not re.fullmatch(r"(?:0o)?[0-7]{3,4}", value, re.ASCII):
            raise ValueError('should be an octal mode such as "0600" or "0660"')
        value = int(value.removeprefix("0o"), 8)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0o777:
        raise ValueError('should be an octal mode in quotes, such as "0600" or "0660"')
    if value & 0o007:
        raise ValueError(
            'would let every user of this machine steer the call centre; use "0600", or "0660" and a group'
        )
    return value


def is_loopback(host: str) -> bool:
    """Whether ``host`` can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Host = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_.:%-]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]
UserName = Annotated[str, StringConstraints(min_length=1, max_length=79, pattern=r"^[A-Za-z0-9_.@-]+$")]
FilePath = Annotated[Path, BeforeValidator(lambda v: _path_of(v))]


def _path_of(value: Any) -> Any:
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError("should be a path")
    return value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)


class AsteriskNode(_Table):
    """``[asterisk.NAME]``: one Asterisk. After loading, both secrets are filled in, whichever way they were given."""

    host: Host = "127.0.0.1"
    ami_port: Port = 5038
    call_user: UserName = "acd-calls"
    call_secret: SecretStr | None = None
    call_secret_file: FilePath | None = None
    look_user: UserName = "acd-looks"
    look_secret: SecretStr | None = None
    look_secret_file: FilePath | None = None
    tls: bool = False
    ca_file: FilePath | None = None

    def complaints(self, *, complete: bool = True) -> Iterator[tuple[str, str]]:
        """``(key, what is wrong)`` where keys do not go together, or a secret is missing. Not ``complete``: it may be."""
        if self.call_user == self.look_user:
            yield "look_user", "call_user and look_user must be two users: each may be logged in once"
        for name in ("call_secret", "look_secret"):
            secret, file = getattr(self, name), getattr(self, f"{name}_file")
            if secret is None and file is None:
                if complete:
                    yield name, f"needs {name}_file (a file that holds the secret) or {name}"
            elif secret is not None and file is not None:
                yield name, f"has {name} and {name}_file; keep one"
            elif secret is not None:
                wrong = secret_fault(secret.get_secret_value())
                if wrong:
                    yield name, f"{name} {wrong}"
        if self.ca_file is not None and not self.tls:
            yield "ca_file", "has ca_file without tls = true"

    def secret(self, which: Literal["call", "look"]) -> SecretStr:
        """The secret of one of the two users."""
        found = self.call_secret if which == "call" else self.look_secret
        assert found is not None, "settings that were not loaded by load_settings"
        return found


def secret_fault(text: str) -> str | None:
    """Why the manager interface could not carry this secret on one line, without the secret; ``None`` if it could."""
    if not text:
        return "is empty"
    if len(text.encode("utf-8", "replace")) > 512 or not text.isprintable():
        return "must be one line of at most 512 bytes, without control characters"
    return None


class AgiTable(_Table):
    """``[agi]``: where Asterisk's dialplan reaches us. FastAGI knows no password: keep it on loopback or a private net.

    ``advertise`` is the ``host:port`` that Asterisk is told, where that differs from what we listen on.
    """

    host: Host = "127.0.0.1"
    port: Port = 4573
    max_connections: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    advertise: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$")] | None = None


class HttpTable(_Table):
    """``[http]``: the Unix socket of the CLI, and TCP only if ``port`` is set."""

    socket: FilePath | None = None
    socket_mode: Annotated[int, BeforeValidator(_mode_of)] = 0o600
    host: Host = "127.0.0.1"
    port: Port | None = None
    allow_public: bool = False

    def complaints(self) -> Iterator[tuple[str, str]]:
        """``(key, what is wrong)`` where keys do not go together."""
        if self.port is not None and not self.allow_public and not is_loopback(self.host):
            message = (
                f"host {self.host} can be reached from other machines, and whoever reaches it steers the call centre; "
                "put a proxy with TLS and log-in before 127.0.0.1, or write allow_public = true"
            )
            yield "host", message


class DatabaseTable(_Table):
    """``[database]``. After loading, ``url`` names an async driver and holds the password."""

    url: SecretStr | None = None
    password_file: FilePath | None = None
    spill_dir: FilePath | None = None
    spill_max_mb: Annotated[int, Field(ge=1, le=1_000_000)] = 256
    durable_in: Literal["log", "database"] = "log"
    when_full: Literal["serve", "turn_away"] = "serve"

    @field_validator("url")
    @classmethod
    def _usable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            normalize_url(value.get_secret_value(), Path("/"), Path("/acd.sqlite3"))
        return value

    @property
    def url_masked(self) -> str:
        """The URL as it may be shown."""
        return mask_url(self.url.get_secret_value()) if self.url else ""


class FloorTable(_Table):
    """``[floor]``."""

    file: FilePath = Path("floor.yaml")


class JournalTable(_Table):
    """``[journal]``: everything that the floor is told, on disk, for ``acd replay``. Off unless ``directory`` is set, which
    counts from acd.toml's folder: ask ``LoadedSettings.path``.

    Parts of about ``max_mb`` MB, at most ``keep`` of them; ``outputs``: also what the floor gave.
    """

    directory: FilePath | None = None
    max_mb: Annotated[int, Field(ge=1, le=100_000)] = 100
    keep: Annotated[int, Field(ge=1, le=100_000)] = 20
    outputs: bool = True


Days = Annotated[int, Field(ge=1, le=36_500)]


class RecordsTable(_Table):
    """``[records]``: how callers' numbers are kept and shown, and where sound is. ``operators``: the group of this machine
    whose members see numbers that ``mask`` keeps from others. ``country_code`` and ``national_prefix``:
    how numbers are written here, so that ``0171...`` and ``+49171...`` are one."""

    numbers: Literal["plain", "hashed"] = "plain"
    mask: bool = True
    operators: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}$")] | None = None
    country_code: Annotated[str, Field(pattern=r"^([1-9][0-9]{0,3})?$")] = ""
    national_prefix: Annotated[str, Field(pattern=r"^[0-9]{0,3}$")] = "0"
    recordings: FilePath | None = None

    def complaints(self, journal: JournalTable) -> Iterator[tuple[str, str]]:
        """``(key, what is wrong)`` where keys do not go together."""
        if self.numbers == "hashed" and journal.directory is not None:
            yield (
                "numbers",
                'numbers = "hashed" does not go with a [journal], which holds every number as it is; take one away',
            )


class RetentionTable(_Table):
    """``[retention]``: after how many days what goes. What is not set is kept for ever."""

    calls_days: Days | None = None
    recordings_days: Days | None = None
    notes_days: Days | None = None
    callers_days: Days | None = None
    decisions_days: Days | None = None
    agent_states_days: Days | None = None
    lists_days: Days | None = None
    audit_days: Days | None = None


class ServiceTable(_Table):
    """``[service]``."""

    state_dir: FilePath = Path("/var/lib/acd")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = "text"


class Settings(BaseSettings):
    """All of acd.toml. Made by ``load_settings``: then every path is absolute (but the journal's) and every secret filled
    in."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)

    asterisk: dict[str, AsteriskNode]
    agi: AgiTable = AgiTable()
    http: HttpTable = HttpTable()
    database: DatabaseTable = DatabaseTable()
    floor: FloorTable = FloorTable()
    journal: JournalTable = JournalTable()
    records: RecordsTable = RecordsTable()
    retention: RetentionTable = RetentionTable()
    service: ServiceTable = ServiceTable()


def node_complaints(nodes: Mapping[str, AsteriskNode]) -> Iterator[tuple[str, str]]:
    """``(node, what is wrong)`` where nodes have impossible names or are the same Asterisk twice."""
    seen: dict[str, str] = {}
    addresses: dict[tuple[str, int], str] = {}
    for name, node in nodes.items():
        if not _NODE_NAME.fullmatch(name) or "__" in name:
            yield name, f"a node's name has {NODE_NAME_RULE}, and no two _ in a row"
        first = seen.setdefault(name.lower(), name)
        if first != name:
            yield name, f"differs from [asterisk.{first}] only in case"
        other = addresses.setdefault((node.host.lower(), node.ami_port), name)
        if other != name:
            yield name, f"is the same {node.host}:{node.ami_port} as [asterisk.{other}]; every call would count twice"


def normalize_url(url: str, base: Path, default: Path, password: str | None = None) -> str:
    """The database URL with the driver acd uses, an absolute SQLite path and the password in it.

    ``base``: folder that a relative SQLite path counts from. ``default``: SQLite file if ``url`` is empty. Raises
    ValueError, without the URL in it, for what acd cannot use.
    """
    if not url:
        return f"sqlite+aiosqlite:///{default}"
    scheme, colon, rest = url.partition("://")
    if not colon:
        raise ValueError("should be a URL such as sqlite:///acd.sqlite3 or postgresql://acd@host/acd")
    if scheme in ("sqlite", "sqlite+aiosqlite"):
        path, mark, query = rest.removeprefix("/").partition("?")
        if not rest.startswith("/") or not path or ":memory:" in path or path.startswith("file:"):
            raise ValueError("should name a file: sqlite:///acd.sqlite3 (beside acd.toml) or sqlite:////var/lib/acd/db")
        return f"sqlite+aiosqlite:///{base / path}{mark}{query}"
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        parts = _split(rest)
        user_info, at, address = parts.netloc.rpartition("@")
        if password is not None:
            user = user_info.partition(":")[0]
            if not user:
                raise ValueError("needs a user where password_file is set: postgresql://USER@host/name")
            user_info = f"{user}:{quote(password, safe='')}"
        query = f"?{parts.query}" if parts.query else ""
        return f"postgresql+psycopg://{user_info}{at}{address}{parts.path}{query}"
    raise ValueError("should begin with sqlite:// or postgresql://")


def _split(rest: str) -> SplitResult:
    """What follows ``postgresql://``. Raises ValueError if it could be read in two ways, such as a password with /."""
    try:
        parts: SplitResult | None = urlsplit(f"postgresql://{rest}")
    except ValueError:
        # its text may quote the password
        parts = None
    if parts is None or "#" in rest or "@" in parts.path + parts.query or parts.netloc.count("@") > 1:
        raise ValueError("has characters that must be written as %XX, mostly in the password; better use password_file")
    return parts


def has_password(url: object) -> bool:
    """Whether ``url`` is a database URL with a password in it."""
    try:
        return isinstance(url, str) and "***" in mask_url(normalize_url(url, Path("/"), Path("/x")))
    except ValueError:
        return False


def mask_url(url: str) -> str:
    """A URL that came from ``normalize_url`` with ``***`` for its passwords."""
    head, _, rest = url.partition("://")
    if not head.startswith("postgresql"):
        return url
    parts = _split(rest)
    user_info, at, address = parts.netloc.rpartition("@")
    user, colon, _ = user_info.partition(":")
    query = [(k, "***" if k.lower() in _SECRET_PARAMETERS else v) for k, v in parse_qsl(parts.query, True)]
    shown = f"?{urlencode(query, safe='*/')}" if query else ""
    return f"{head}://{user}{':***' if colon else ''}{at}{address}{parts.path}{shown}"
