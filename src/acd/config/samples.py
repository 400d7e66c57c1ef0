"""The annotated samples, and a private copy of them to begin with: `acd init`.

A copy gets secrets of its own, so that it works as it stands and nobody runs with a secret that the world can read.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from acd.config.pins import hash_pin
from acd.domain.errors import ConfigurationError
from acd.domain.values import valueclass

SAMPLES = ("acd.toml", "floor.yaml", "manager_acd.conf", "pjsip_acd.conf")
SECRETS_DIR = "secrets"
PINS_FILE = "agent-pins"

_PACKAGE = Path(__file__).resolve().parents[1]
_PLACEHOLDER = re.compile(r"CHANGE-ME-([a-z0-9-]+)")
_AGENT_WITH_PIN = re.compile(r"^  ([a-z0-9_-]+):\n((?:    .*\n)*?)    pin_hash: (\S+)$", re.MULTILINE)


@valueclass(frozen=True, slots=True)
class WrittenSamples:
    """What `write_samples` made: every file, in the order written, and the agents' PINs by their names."""

    files: tuple[Path, ...]
    pins: dict[str, str]


def samples_dir() -> Path:
    """The folder with the samples: of the installed package, else of the source tree."""
    for folder in (_PACKAGE / "_share" / "config", _PACKAGE.parents[1] / "config"):
        if (folder / "acd.toml").is_file():
            return folder
    raise ConfigurationError(f"the samples are missing from the installation at {_PACKAGE}; install acd again")


def write_samples(directory: Path) -> WrittenSamples:
    """Copy the samples to ``directory`` (made if need be) with generated secrets and PINs, files 0600.

    The manager users' secrets go to ``secrets/``, as acd.toml says, and into manager_acd.conf; the PINs to
    ``secrets/agent-pins`` in plain text, to be handed out. Takes some tenths of a second. Raises ConfigurationError,
    with nothing written, if one of the files is there already: it never overwrites.
    """
    texts, pins = _fresh_texts()
    wanted = [directory / name for name in texts]
    present = [str(path) for path in wanted if path.exists() or path.is_symlink()]
    if present:
        raise ConfigurationError(
            f"{', '.join(present)} exists already and is not overwritten; move it away or choose another folder"
        )
    try:
        (directory / SECRETS_DIR).mkdir(parents=True, exist_ok=True)
        (directory / SECRETS_DIR).chmod(0o700)
        for path, text in zip(wanted, texts.values(), strict=True):
            _create(path, text)
    except OSError as error:
        raise ConfigurationError(f"cannot write {error.filename or directory}: {error.strerror}") from error
    return WrittenSamples(tuple(wanted), pins)


def _fresh_texts() -> tuple[dict[str, str], dict[str, str]]:
    """Name below the folder -> text, and agent -> PIN."""
    made: dict[str, str] = {}

    def secret(match: re.Match[str]) -> str:
        return made.setdefault(match[1], secrets.token_urlsafe(24))

    source = samples_dir()
    texts = {name: _PLACEHOLDER.sub(secret, (source / name).read_text(encoding="utf-8")) for name in SAMPLES}
    pins: dict[str, str] = {}
    texts["floor.yaml"] = _AGENT_WITH_PIN.sub(_new_pin(pins), texts["floor.yaml"])
    for name in ("ami-calls", "ami-looks"):
        texts[f"{SECRETS_DIR}/{name}"] = f"{made[name]}\n"
    texts[f"{SECRETS_DIR}/{PINS_FILE}"] = "".join(f"{agent} {pin}\n" for agent, pin in pins.items())
    return texts, pins


def _new_pin(pins: dict[str, str]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        pins[match[1]] = f"{secrets.randbelow(10_000):04d}"
        return f"  {match[1]}:\n{match[2]}    pin_hash: {hash_pin(pins[match[1]])}"

    return replace


def _create(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
