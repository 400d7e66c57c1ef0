"""``acd lab``: install the lab's parts, start a private Asterisk to play with, look at it, stop it.

A running lab is written down in ``lab.json`` in its folder, so that the next command finds it; secrets lie beside it in
``secrets/``, one file each, readable by their owner only. How Asterisk is run is `asterisk`'s business.
"""

from __future__ import annotations

import json
import re
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import click
from rich.console import Console
from rich.table import Table

from acd.domain.errors import AcdError, LabError
from acd.domain.values import valueclass
from acd.lab.asterisk import AmiUser, AsteriskOptions, AsteriskPorts, AsteriskProgram, LabAsterisk, find_program
from acd.lab.asterisk_files import free_ports, is_free
from acd.lab.parts import PARTS, ensure, installed
from acd.lab.paths import cache_dir, make_dir, shared_file
from acd.lab.progress import ProgressLine
from acd.lab.service_files import phones_of, write_service_files

STATE_FILE = "lab.json"
DEFAULT_DIRECTORY = Path("build/lab")
CALL_USER, LOOK_USER, COMMAND_USER = "acd-calls", "acd-looks", "acd-commands"
CHANNEL_VARIABLES = ("acd_call", "acd_place", "acd_offer", "acd_agent")
_STATE_VERSION = 1


# --- the state of a lab ---------------------------------------------------------------------------------------------


@valueclass(frozen=True, slots=True)
class LabState:
    """What a later command needs to know of a lab; no secrets. ``phones`` are the names of endpoints; ``customers``: the UDP
    port to which the trunk ``carrier`` calls (0: it has none)."""

    ports: AsteriskPorts
    program: AsteriskProgram
    phones: tuple[str, ...]
    customers: int = 0

    def save(self, directory: Path) -> None:
        """Write ``lab.json``, whole or not at all."""
        program = {
            "command": list(self.program.command),
            "modules": str(self.program.modules),
            "data": str(self.program.data),
            "version": self.program.version,
            "variables": dict(self.program.variables),
        }
        state = {"version": _STATE_VERSION, "ports": asdict(self.ports), "program": program, "phones": self.phones}
        state["customers"] = self.customers
        fresh = directory / f".{STATE_FILE}"
        fresh.write_text(json.dumps(state, indent=1))
        fresh.replace(directory / STATE_FILE)

    @classmethod
    def load(cls, directory: Path) -> LabState | None:
        """The lab of this folder; None where there never was one. LabError for a file that makes no sense."""
        path = directory / STATE_FILE
        try:
            state = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise LabError(f"cannot read {path}: {error}; delete it (a running lab: acd lab stop first)") from error
        try:
            if state["version"] != _STATE_VERSION:
                raise ValueError(f"version {state['version']}")
            program = state["program"]
            found = AsteriskProgram(
                tuple(program["command"]),
                Path(program["modules"]),
                Path(program["data"]),
                program["version"],
                program["variables"],
            )
            return cls(AsteriskPorts(**state["ports"]), found, tuple(state["phones"]), int(state.get("customers", 0)))
        except (KeyError, TypeError, ValueError) as error:
            raise LabError(f"{path} was written by another version of acd ({error}); delete it") from error


def secret(directory: Path, name: str) -> str:
    """The secret called ``name`` of the lab in ``directory``, made on first use and kept."""
    folder = make_dir(directory / "secrets", 0o700)
    path = folder / name
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    path.touch(mode=0o600)
    value = secrets.token_urlsafe(24)
    path.write_text(value + "\n")
    return value


def ami_users(directory: Path) -> list[AmiUser]:
    """The three manager users of a lab: one hears and moves calls, one looks, one may end others' sessions."""
    return [
        AmiUser.for_calls(CALL_USER, secret(directory, CALL_USER)),
        AmiUser.for_looks(LOOK_USER, secret(directory, LOOK_USER)),
        AmiUser.for_commands(COMMAND_USER, secret(directory, COMMAND_USER)),
    ]


def open_lab(directory: Path) -> LabAsterisk:
    """The Asterisk of the lab in ``directory``, running or not; LabError where there is no lab.

    It is there to be asked and stopped: of the configuration it was started with it knows the ports alone.
    """
    state = LabState.load(directory)
    if state is None:
        raise LabError(f"there is no lab in {directory}; run: acd lab start (or name its folder with --dir)")
    return LabAsterisk(directory, state.program, state.ports)


# --- commands -------------------------------------------------------------------------------------------------------

Command = TypeVar("Command", bound=Callable[..., Any])


def _json(context: click.Context, given: bool) -> bool:
    """Whether JSON was asked for, here or in front of ``lab``."""
    return given or bool(getattr(context.find_root().obj, "json", False))


def _options(*, directory: bool = True) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        command = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)
        if directory:
            command = click.option(
                "--dir",
                "directory",
                type=click.Path(file_okay=False, path_type=Path),
                default=DEFAULT_DIRECTORY,
                show_default=True,
                help="The lab's folder.",
            )(command)
        return click.pass_context(command)  # type: ignore[return-value]

    return decorate


def _print(as_json: bool, value: dict[str, object], title: str, rows: Iterable[tuple[str, str]]) -> None:
    if as_json:
        click.echo(json.dumps(value, indent=1))
        return
    table = Table(title=title, show_header=False, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name, text in rows:
        table.add_row(name, text)
    Console(highlight=False, soft_wrap=True).print(table)


class _LabGroup(click.Group):
    """The group, with the commands of callers and phones beside its own; those are imported when they are used."""

    _elsewhere: ClassVar[dict[str, str]] = {
        "call": "acd.lab.call_commands",
        "phones": "acd.lab.call_commands",
        "customers": "acd.lab.customer_commands",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self._elsewhere])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._elsewhere:
            found = getattr(import_module(self._elsewhere[cmd_name]), cmd_name)
            assert isinstance(found, click.Command)
            return found
        return super().get_command(ctx, cmd_name)


@click.group(cls=_LabGroup, context_settings={"help_option_names": ["-h", "--help"]})
def lab() -> None:
    """A private Asterisk on this machine, with phones and callers, to try things against.

    Nothing is installed and no root is needed: Debian's packages are unpacked into a cache ($ACD_LAB_CACHE, else
    /var/cache/acd/lab for root and ~/.cache/acd/lab for others) and run from there.

    \b
      acd lab install              fetch what is missing (start does that too)
      acd lab start --phones 3     Asterisk with three phones to register
      acd lab status
      acd lab cli "pjsip show contacts"
      acd lab phones               let its phones answer
      acd lab call --to 5551000    place a call from outside
      acd lab customers            be the people who are called at PJSIP/NUMBER@carrier
      acd lab stop
    """


@lab.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(PARTS)))
@click.option("--upgrade", is_flag=True, help="Look for newer packages although the part is there.")
@_options(directory=False)
def install(context: click.Context, names: tuple[str, ...], upgrade: bool, as_json: bool) -> None:
    """Fetch and unpack parts of the lab; without NAMES, Asterisk and SIPp.

    What is there already is left alone. A broken-off download goes on where it stopped.
    """
    line = ProgressLine()
    done: dict[str, object] = {}
    rows = []
    for name in names or ("asterisk", "sipp"):
        began = time.monotonic()
        try:
            part = ensure(PARTS[name], progress=line, upgrade=upgrade)
        finally:
            line.clear()
        took_s = time.monotonic() - began
        version = part.versions[PARTS[name].packages[0]]
        done[name] = {
            "root": str(part.root),
            "suite": part.suite,
            "version": version,
            "packages": len(part.versions),
            "took_s": round(took_s, 2),
        }
        rows.append((name, f"{version} (Debian {part.suite}, {len(part.versions)} packages, {took_s:.1f} s)"))
    rows.append(("cache", str(cache_dir())))
    _print(_json(context, as_json), {"cache": str(cache_dir()), "parts": done}, "Parts of the lab", rows)


@lab.command()
@click.option("--phones", "count", type=click.IntRange(0, 1000), default=3, show_default=True, help="How many phones.")
@click.option("--asterisk", type=click.Path(path_type=Path), help="Use this Asterisk (20.11 or newer), not the lab's.")
@click.option("--sip-port", type=click.IntRange(1024, 65535), help="UDP port for SIP (default: a free one).")
@click.option("--ami-port", type=click.IntRange(1024, 65535), help="TCP port of the manager (default: a free one).")
@click.option("--agi-port", type=click.IntRange(1, 65535), default=4573, show_default=True, help="Where acd listens.")
@click.option("--dialplan", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="More dialplan.")
@click.option(
    "--floor",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A floor.yaml to try: its agents' phones are made (instead of --phones).",
)
@click.option(
    "--verbose",
    type=click.IntRange(0, 10),
    default=2,
    show_default=True,
    help="Level of log/full.log (from 3 on it shows the PINs that are keyed in).",
)
@_options()
def start(
    context: click.Context,
    directory: Path,
    count: int,
    asterisk: Path | None,
    sip_port: int | None,
    ami_port: int | None,
    agi_port: int,
    dialplan: Path | None,
    floor: Path | None,
    verbose: int,
    as_json: bool,
) -> None:
    """Start an Asterisk of your own on loopback ports, with acd's dialplan and phones 1001, 1002...

    Register a softphone with the name and the secret that `status` shows. A call from anybody else comes in from the
    trunk: it goes to acd, and the number called is the DID. Beside it, acd.toml and a floor.yaml are written:

    \b
      acd --config build/lab/acd.toml db upgrade
      acd --config build/lab/acd.toml serve
    """
    directory = directory.absolute()
    before = LabState.load(directory)
    if before is not None and LabAsterisk(directory, before.program, before.ports).running:
        raise LabError(f"the lab in {directory} runs already; see: acd lab status, or stop it: acd lab stop")
    make_dir(directory)
    line = ProgressLine()
    try:
        program = find_program(asterisk=asterisk, progress=line)
    finally:
        line.clear()
    free = AsteriskPorts.free()
    if before is not None and is_free(before.ports.sip) and is_free(before.ports.ami):
        free = before.ports
    ports = AsteriskPorts(sip_port or free.sip, ami_port or free.ami, free.rtp_from, free.rtp_to)
    phones, endpoints = _phones(directory, phones_of(floor) if floor else [str(1001 + n) for n in range(count)])
    from acd.lab.customers import carrier_conf

    customers = before.customers if before is not None and is_free(before.customers) else 0
    customers = customers or free_ports(1, low=32_701, high=32_767)[0]
    instance = LabAsterisk(
        directory,
        program,
        ports,
        agi_port=agi_port,
        dialplan_files=[shared_file("dialplan/extensions_acd.conf"), *([dialplan] if dialplan else [])],
        endpoints=endpoints + "\n" + carrier_conf(customers),
        ami_users=ami_users(directory),
        channelvars=CHANNEL_VARIABLES,
        options=AsteriskOptions(verbose=verbose),
    )
    instance.start()
    LabState(ports, program, phones, customers).save(directory)
    write_service_files(directory, ports, agi_port, phones, floor=floor)
    _show(context, directory, as_json)


def _phones(directory: Path, names: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """PJSIP text of phones that register; each keeps its secret from one start to the next."""
    if not names:
        return (), ""
    from acd.lab.phones import Phone, endpoints_conf

    phones = [Phone(name, registers=True, secret=secret(directory, f"phone-{name}")) for name in names]
    return tuple(names), endpoints_conf(phones, lambda phone: 0)


@lab.command()
@_options()
def stop(context: click.Context, directory: Path, as_json: bool) -> None:
    """Stop the lab's Asterisk; calls in it end. Nothing happens when it does not run."""
    instance = open_lab(directory)
    was_running = instance.running
    instance.stop()
    if _json(context, as_json):
        click.echo(json.dumps({"stopped": was_running}))
    else:
        click.echo("stopped" if was_running else "was not running")


@lab.command()
@_options()
def status(context: click.Context, directory: Path, as_json: bool) -> None:
    """Show whether the lab runs, its ports, its phones, and which parts are installed."""
    _show(context, directory, as_json)


def _show(context: click.Context, directory: Path, as_json: bool) -> None:
    directory = directory.absolute()
    parts = {name: installed(part) for name, part in PARTS.items()}
    value: dict[str, object] = {
        "directory": str(directory),
        "running": False,
        "parts": {name: part.versions[PARTS[name].packages[0]] if part else None for name, part in parts.items()},
    }
    rows = [("folder", str(directory))]
    state = LabState.load(directory)
    if state is not None:
        instance = LabAsterisk(directory, state.program, state.ports)
        value |= {
            "running": instance.running,
            "pid": instance.pid,
            "version": state.program.version,
            "sip": f"127.0.0.1:{state.ports.sip}",
            "ami": f"127.0.0.1:{state.ports.ami}",
            "ami_users": [CALL_USER, LOOK_USER, COMMAND_USER],
            "secrets": str(directory / "secrets"),
            "phones": list(state.phones),
            "customers": f"127.0.0.1:{state.customers}" if state.customers else None,
            "log": str(instance.log_file),
        }
        rows += [
            ("Asterisk", f"{state.program.version}, " + (f"process {instance.pid}" if instance.running else "stopped")),
            ("SIP", f"127.0.0.1:{state.ports.sip} (UDP)"),
            ("manager", f"127.0.0.1:{state.ports.ami}, users {CALL_USER}, {LOOK_USER}, {COMMAND_USER}"),
            ("secrets", f"{directory / 'secrets'} (a file for each user and phone)"),
            ("phones", listed(state.phones)),
            ("customers", f"PJSIP/NUMBER@carrier calls 127.0.0.1:{state.customers} (acd lab customers answers there)"),
            ("log", str(instance.log_file)),
            ("acd.toml", f"{directory / 'acd.toml'} (acd --config ... db upgrade, then serve)"),
        ]
        if instance.running:
            counted = re.search(r"(\d+) active channel", instance.cli("core show channels count"))
            value["channels"] = int(counted[1]) if counted else 0
            rows.append(("channels", str(value["channels"])))
    else:
        rows.append(("Asterisk", "never started here; run: acd lab start"))
    for name, part in parts.items():
        rows.append((f"part {name}", part.versions[PARTS[name].packages[0]] if part else "not installed"))
    _print(_json(context, as_json), value, "The lab", rows)


def listed(names: Iterable[str]) -> str:
    """Names of phones in order, numbers that follow each other as a range: ``1001 to 1003, 1007, desk``."""
    runs: list[list[str]] = []
    for name in sorted(names, key=lambda name: (not name.isdecimal(), len(name) if name.isdecimal() else 0, name)):
        if runs and name.isdecimal() and runs[-1][-1].isdecimal() and int(name) == int(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs) or "none"


@lab.command()
@click.argument("command", nargs=-1, required=True)
@_options()
def cli(context: click.Context, command: tuple[str, ...], directory: Path, as_json: bool) -> None:
    """Give COMMAND to the console of the lab's Asterisk and print what it answers.

    For example: acd lab cli "pjsip show endpoints"
    """
    answer = open_lab(directory).cli(" ".join(command))
    if _json(context, as_json):
        click.echo(json.dumps({"output": answer}))
    else:
        click.echo(answer, nl=not answer.endswith("\n"))


def main() -> None:
    """Run the group by itself: ``python -m acd.lab.commands``."""
    try:
        lab(prog_name="acd lab")
    except AcdError as error:
        click.echo(f"acd lab: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
