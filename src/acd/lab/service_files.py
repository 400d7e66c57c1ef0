"""What ``acd lab start`` writes so that ``acd serve`` fits the lab: acd.toml, and a floor.yaml to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from acd.config.floor import load_floor
from acd.domain.errors import ConfigurationError
from acd.lab.asterisk_files import AsteriskPorts


def phones_of(floor: Path) -> tuple[str, ...]:
    """The PJSIP endpoints that the agents of a floor.yaml ring, each once. Raises ConfigurationError."""
    definition = load_floor(floor).definition
    names: dict[str, None] = {}
    for agent in definition.agents.values():
        for phone in agent.phones:
            technology, _, name = phone.partition("/")
            if technology != "PJSIP" or "@" in name or "/" in name:
                raise ConfigurationError(f"{floor}: the lab has PJSIP phones only, agent {agent.name} has {phone}")
            names[name] = None
    return tuple(names)


def write_service_files(
    directory: Path, ports: AsteriskPorts, agi_port: int, phones: Sequence[str], *, floor: Path | None
) -> Path:
    """Write acd.toml anew (ports change), floor.yaml only if there is none; returns acd.toml's path.

    ``floor``: a floor.yaml of the operator's own, used where it lies.
    """
    path = directory / "acd.toml"
    own = directory / "floor.yaml"
    if floor is None and not own.exists():
        own.write_text(_floor_text(phones))
    path.touch(mode=0o600)
    path.write_text(
        "# Written by `acd lab start` each time, because its ports may change.\n"
        f"[asterisk.lab]\nami_port = {ports.ami}\n"
        'call_secret_file = "secrets/acd-calls"\nlook_secret_file = "secrets/acd-looks"\n\n'
        f"[agi]\nport = {agi_port}\n\n"
        f'[floor]\nfile = "{(floor or own).absolute()}"\n\n'
        '[service]\nstate_dir = "state"\n'
    )
    return path


def _floor_text(phones: Sequence[str]) -> str:
    agents = {f"agent-{name}": {"number": name, "phones": [f"PJSIP/{name}"], "queues": ["support"]} for name in phones}
    floor = {
        "queues": {"support": {"ring_timeout": "20s", "wrap_up": "10s", "service_level": "20s"}},
        "agents": agents,
        "entry_points": {"100": "support"},
    }
    head = (
        "# One queue, reached at 100, and an agent for each phone of the lab. Yours to change; `acd check` reads it.\n"
    )
    return head + yaml.safe_dump(floor, sort_keys=False)
