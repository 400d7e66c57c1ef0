"""Where the running service is to be found, without loading its whole configuration.

A client needs one path. Loading everything would cost it a quarter of a second and ask for secrets that its user may
not read; so the two keys that matter are read here, by the rules of ``acd.config``, and a test holds both together.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from acd.cli.context import Options
from acd.domain.errors import ConfigurationError

SYSTEM_CONFIG = Path("/etc/acd/acd.toml")
STATE_DIR = "/var/lib/acd"
SOCKET_NAME = "acd.sock"


def socket_path(given: Options, environ: Mapping[str, str] = os.environ) -> Path:
    """--socket, else ``[http] socket``, else ``acd.sock`` in ``[service] state_dir`` (both also from the environment).

    Relative paths in the configuration count from its folder. Raises ConfigurationError if it cannot be read.
    """
    if given.socket is not None:
        return given.socket
    config = _config(given.config, environ)
    base = config.absolute().parent if config else Path.cwd()
    table = _read(config) if config else {}
    socket = environ.get("ACD_HTTP__SOCKET") or _text(table, "http", "socket")
    if socket:
        return base / socket
    state_dir = environ.get("ACD_SERVICE__STATE_DIR") or _text(table, "service", "state_dir") or STATE_DIR
    return base / state_dir / SOCKET_NAME


def _config(chosen: Path | None, environ: Mapping[str, str]) -> Path | None:
    if chosen is not None:
        return chosen
    if environ.get("ACD_CONFIG"):
        return Path(environ["ACD_CONFIG"])
    return next((path for path in (Path("acd.toml"), SYSTEM_CONFIG) if path.exists()), None)


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{config} cannot be read ({error.strerror}): name the service's --socket") from error
    except ValueError as error:
        raise ConfigurationError(f"{config} is not TOML: `acd check --config {config}` tells more") from error


def _text(table: Mapping[str, Any], section: str, key: str) -> str | None:
    part = table.get(section)
    value = part.get(key) if isinstance(part, dict) else None
    return value if isinstance(value, str) else None
