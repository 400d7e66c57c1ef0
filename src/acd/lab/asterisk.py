"""One private Asterisk in a folder of its own: found, configured, started, watched, frozen, killed.

It needs no root and no installed Asterisk, and several run side by side. What its files say is written in
`asterisk_files`; phones and callers are made elsewhere. Calls here block for up to their timeouts: asyncio code wraps
them in `asyncio.to_thread` (`started` does that for the usual case).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from acd.domain.errors import AsteriskUnsuitableError, LabError
from acd.lab import asterisk_files
from acd.lab.asterisk_files import AmiUser, AsteriskOptions, AsteriskPorts, Tree
from acd.lab.parts import ASTERISK, ensure, environment
from acd.lab.paths import make_dir, socket_dir
from acd.lab.processes import Process
from acd.lab.progress import Progress, no_progress

__all__ = ["AmiUser", "AsteriskOptions", "AsteriskPorts", "AsteriskProgram", "LabAsterisk", "find_program"]

#: Older ones lack the event filters by name that keep the manager sessions small.
OLDEST_VERSION = (20, 11)
_MAX_FILES = 65_536
_POLL_S = 0.01
_CLI_TIMEOUT_S = 30.0
_PORTS_GRACE_S = 2.0
_LOG_LINES = 8
# What it prints on every start.
_CHATTER = (
    "Asterisk ",
    "Created by",
    "This is free",
    "License ",
    "certain conditions",
    "====",
    "PBX UUID",
    "Could not find",
)


@dataclass(frozen=True)
class AsteriskProgram:
    """An Asterisk that can be run: the command line up to its own arguments, and where its modules and data lie.

    ``variables`` go into its environment.
    """

    command: tuple[str, ...]
    modules: Path
    data: Path
    version: str
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def version_numbers(self) -> tuple[int, int]:
        return _numbers(self.version)


def find_program(
    cache: Path | None = None, asterisk: Path | None = None, progress: Progress = no_progress
) -> AsteriskProgram:
    """The Asterisk to use: ``asterisk`` if given, else the lab's own part, installed first if need be.

    Raises AsteriskUnsuitableError for one that is older than 20.11, LabError when it cannot be found or installed.
    """
    if asterisk is None:
        part = ensure(ASTERISK, cache, progress)
        command, variables = tuple(part.command("asterisk")), part.variables
        modules = next(iter(sorted(part.root.glob("usr/lib/*/asterisk/modules"))), None)
        data = part.root / "usr/share/asterisk"
    else:
        found = shutil.which(asterisk)
        if found is None:
            raise LabError(f"there is no program {asterisk}; name an Asterisk binary, or leave --asterisk out")
        command, variables = (str(Path(found).absolute()),), {}
        modules, data = _system_folders(Path(found).resolve())
    version = _version(command, variables)
    if _numbers(version) < OLDEST_VERSION:
        raise AsteriskUnsuitableError(
            f"{command[-1]} is Asterisk {version}; acd needs 20.11 or newer (event filters by name). "
            "Leave --asterisk out to use the lab's own"
        )
    if modules is None:
        raise LabError(f"found no modules for {command[-1]}; is the package asterisk-modules installed?")
    return AsteriskProgram(command, modules, data, version, variables)


def _system_folders(binary: Path) -> tuple[Path | None, Path]:
    """Modules and data of an Asterisk installed on this machine: as its asterisk.conf says, else the usual places."""
    said: dict[str, str] = {}
    with contextlib.suppress(OSError):
        text = Path("/etc/asterisk/asterisk.conf").read_text(errors="replace")
        said = dict(re.findall(r"^\s*(ast\w+dir)\s*=>?\s*([^;\n]+?)\s*(?:;.*)?$", text, re.MULTILINE))
    prefix = binary.parent.parent
    places = [Path(said["astmoddir"])] if "astmoddir" in said else []
    for root in (prefix, Path("/usr"), Path("/usr/local")):
        places += [*sorted(root.glob("lib/*/asterisk/modules")), root / "lib/asterisk/modules"]
        places.append(root / "lib64/asterisk/modules")
    modules = next((place for place in places if (place / "chan_pjsip.so").exists()), None)
    datas = [Path(said["astdatadir"])] if "astdatadir" in said else []
    datas += [prefix / "share/asterisk", Path("/usr/share/asterisk"), Path("/var/lib/asterisk")]
    return modules, next((place for place in datas if (place / "sounds").is_dir()), datas[0])


def _version(command: Sequence[str], variables: Mapping[str, str]) -> str:
    env = environment(variables)
    try:
        result = subprocess.run([*command, "-V"], capture_output=True, text=True, timeout=10, check=False, env=env)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"cannot run {command[-1]}: {error}") from error
    match = re.search(r"^Asterisk (?:GIT-|certified[-/])?(\S+)", result.stdout)
    if match is None:
        said = (result.stdout + result.stderr).strip()[-200:]
        raise LabError(f"{command[-1]} does not answer as Asterisk does: {said or 'it said nothing'}")
    return match[1]


def _numbers(version: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


class LabAsterisk:
    """One instance below ``directory``: ``etc``, ``var``, ``spool``, ``log``, and ``run`` with its control socket.

    ``dialplan_files`` are included where they lie; ``dialplan_text`` and ``extra_files`` (name below etc -> text, also
    in place of a usual file) add to them; ``endpoints`` is PJSIP text for the phones. With ``agi_port`` the dialplan
    knows from the start where to ask (the global ``acd_agi``), without it only once a controller has told it.
    A second object on the same directory finds the running instance again.
    """

    def __init__(
        self,
        directory: Path,
        program: AsteriskProgram,
        ports: AsteriskPorts,
        *,
        agi_port: int | None = None,
        dialplan_files: Sequence[Path] = (),
        dialplan_text: str = "",
        endpoints: str = "",
        ami_users: Sequence[AmiUser] = (),
        channelvars: Sequence[str] = (),
        extra_files: Mapping[str, str] | None = None,
        options: AsteriskOptions | None = None,
        die_with_parent: bool = False,
    ) -> None:
        self.directory, self.program, self.ports = directory.absolute(), program, ports
        self.agi_port = agi_port
        self._dialplan_files, self._dialplan_text = [path.absolute() for path in dialplan_files], dialplan_text
        self._endpoints, self._ami_users, self._channelvars = endpoints, list(ami_users), list(channelvars)
        self._extra_files, self._options = dict(extra_files or {}), options or AsteriskOptions()
        self._die_with_parent = die_with_parent
        here = self.directory
        run = socket_dir(here / "run", "asterisk.ctl")
        sbin = Path(program.command[-1]).parent
        self.tree = Tree(
            here / "etc", here / "var", here / "spool", here / "log", run, program.modules, program.data, sbin
        )
        self._pid_file = here / "asterisk.process"
        self._process = Process.recall(self._pid_file)
        self._log_start = self._console_start = 0

    # --- configuration --------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write the whole configuration tree (files 0600: it holds secrets); files of an earlier one are removed."""
        for folder in (
            self.tree.etc,
            self.tree.var / "agi-bin",
            self.tree.var / "keys",
            self.tree.spool,
            self.tree.log / "cel-custom",
        ):
            make_dir(folder)
        make_dir(self.tree.run, 0o700)
        if self.tree.run.stat().st_uid != os.getuid():
            raise LabError(f"{self.tree.run} belongs to another user; remove it or choose a shorter directory")
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = asterisk_files.write_tree(
            self.tree,
            self.ports,
            self._options,
            dialplan_files=self._dialplan_files,
            dialplan_text=self._globals() + self._dialplan_text,
            endpoints=self._endpoints,
            users=self._ami_users,
            channelvars=self._channelvars,
            max_files=_MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES),
        )
        files |= self._extra_files
        for old in self.tree.etc.iterdir():
            if old.name not in files and old.is_file():
                old.unlink()
        for name, text in files.items():
            path = self.tree.etc / name
            make_dir(path.parent)
            path.touch(mode=0o600)
            path.write_text(text)

    def _globals(self) -> str:
        variables = {} if self.agi_port is None else {"acd_agi": f"127.0.0.1:{self.agi_port}"}
        return asterisk_files.section("globals", {**variables, **self._options.globals}) + "\n"

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self, timeout_s: float = 20.0) -> None:
        """Write the files, start, and wait until every module is up. On failure nothing is left running."""
        if self.running:
            raise LabError(f"Asterisk already runs in {self.directory} (process {self.pid}); run: acd lab stop")
        self.write()
        self._check_ports()
        (self.tree.run / "asterisk.ctl").unlink(missing_ok=True)
        self._log_start, self._console_start = _size(self.log_file), _size(self.tree.log / "console.log")
        deadline = time.monotonic() + timeout_s
        self._process = Process.spawn(
            [*self._restartable(), "-f", "-q", "-C", str(self.tree.etc / "asterisk.conf")],
            log=self.tree.log / "console.log",
            env=environment(self.program.variables),
            cwd=self.directory,
            die_with_parent=self._die_with_parent,
        )
        self._process.remember(self._pid_file)
        try:
            self._await_boot(deadline, timeout_s)
        except BaseException:
            self.kill()
            raise

    def _restartable(self) -> list[str]:
        """The program's command line. On ``core restart`` Asterisk runs what it was called by: a script that goes through
        the program's own loader again, if it has one."""
        command = list(self.program.command)
        script = self.tree.var / "asterisk"
        # Called by a path with "rasterisk" anywhere in it, it would be a remote console
        if "--argv0" not in command or "rasterisk" in str(script):
            return command
        command[command.index("--argv0") + 1] = str(script)
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        script.chmod(0o700)
        return command

    def _await_boot(self, deadline: float, timeout_s: float) -> None:
        control = self.tree.run / "asterisk.ctl"
        while time.monotonic() < deadline:
            if not self.running:
                raise LabError(f"Asterisk ended while starting in {self.directory}; {self._said()}")
            if control.exists():
                left_s = max(deadline - time.monotonic(), _POLL_S)
                result = self._remote("core waitfullybooted", left_s)
                if result is not None and "fully booted" in result.stdout:
                    return
            time.sleep(_POLL_S)
        raise LabError(f"Asterisk in {self.directory} did not come up within {timeout_s:g} s; {self._said()}")

    def stop(self, timeout_s: float = 10.0) -> None:
        """End it as an operator would (phones get BYE), and by SIGKILL what does not end in time."""
        process = self._process
        if process is None or not process.running:
            self._forget()
            return
        deadline = time.monotonic() + timeout_s
        process.send(signal.SIGCONT)
        self._remote("core stop now", timeout_s)
        if not process.wait(max(deadline - time.monotonic(), 0.0)):
            process.end(signal.SIGKILL, timeout_s)
        self._forget()

    def kill(self) -> None:
        """SIGKILL, as a crash: nobody is told."""
        if self._process is not None:
            self._process.end(signal.SIGKILL, 10.0)
        self._forget()

    def freeze(self) -> None:
        """Stop it in its tracks; sockets stay open and nothing is answered until `thaw`."""
        self._require().send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen instance go on."""
        self._require().send(signal.SIGCONT)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.running else None

    @property
    def version(self) -> str:
        return self.program.version

    @property
    def cpu_s(self) -> float:
        """Processor time used since the start, in seconds."""
        return self._process.cpu_s if self._process is not None else 0.0

    # --- talking to it ----------------------------------------------------------------------------------------------

    def cli(self, command: str, timeout_s: float = _CLI_TIMEOUT_S) -> str:
        """What Asterisk's console answers to ``command``."""
        self._require()
        result = self._remote(command, timeout_s)
        if result is None:
            raise LabError(f"Asterisk in {self.directory} did not answer {command!r} within {timeout_s:g} s")
        if result.returncode != 0 and not result.stdout:
            raise LabError(f"Asterisk's console refused {command!r}: {result.stderr.strip() or 'no reason given'}")
        return result.stdout

    def reload_dialplan(self) -> None:
        """Read the dialplan files again, as they are now."""
        self.write()
        self.cli("dialplan reload")

    def log_tail(self, lines: int = 40) -> list[str]:
        """The last lines of its log of notices, warnings and errors."""
        with contextlib.suppress(FileNotFoundError):
            return self.log_file.read_text(errors="replace").splitlines()[-lines:]
        return []

    @property
    def log_file(self) -> Path:
        return self.tree.log / "messages.log"

    @property
    def cel_file(self) -> Path:
        """Where channel events are written with ``AsteriskOptions.cel``."""
        return self.tree.log / "cel-custom" / "events.csv"

    @contextlib.asynccontextmanager
    async def started(self, timeout_s: float = 20.0) -> AsyncIterator[LabAsterisk]:
        """Started on entry, stopped at the end, without blocking the event loop."""
        starting = asyncio.ensure_future(asyncio.to_thread(self.start, timeout_s))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The thread cannot be called off: let it come to its end, or it would start what nobody stops.
            await asyncio.wait([starting])
            if starting.exception() is None:
                await asyncio.to_thread(self.stop)
            raise
        try:
            yield self
        finally:
            await asyncio.to_thread(self.stop)

    # --- details ----------------------------------------------------------------------------------------------------

    def _remote(self, command: str, timeout_s: float) -> subprocess.CompletedProcess[str] | None:
        """Run one console command in a second process; None when it does not answer in time."""
        line = [*self.program.command, "-C", str(self.tree.etc / "asterisk.conf"), "-rx", command]
        env = environment({**self.program.variables, "HOME": str(self.directory)})
        try:
            return subprocess.run(
                line, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False, env=env
            )
        except subprocess.TimeoutExpired:
            return None

    def _require(self) -> Process:
        if self._process is None or not self._process.running:
            raise LabError(
                f"Asterisk does not run in {self.directory} (run: acd lab start); its log is {self.log_file}"
            )
        return self._process

    def _check_ports(self) -> None:
        """Wait a little for ports in use: of an Asterisk that was killed the last thread may still be letting them go."""
        until = time.monotonic() + _PORTS_GRACE_S
        for name, port in (("SIP", self.ports.sip), ("manager", self.ports.ami)):
            while not asterisk_files.is_free(port):
                if time.monotonic() > until:
                    raise LabError(f"port {port} for {name} is in use; stop what holds it, or choose another")
                time.sleep(0.02)

    def _said(self) -> str:
        """Why it does not come up or is gone: the errors it logged since the start, else its console's last lines."""
        with contextlib.suppress(FileNotFoundError), self.log_file.open(errors="replace") as file:
            file.seek(self._log_start)
            errors = [line.strip() for line in file if " ERROR[" in line][-_LOG_LINES:]
            if errors:
                return "its log says: " + " | ".join(errors)
        with contextlib.suppress(FileNotFoundError):
            text = (self.tree.log / "console.log").read_bytes()[self._console_start :].decode(errors="replace")
            lines = [line for line in text.splitlines() if not line.startswith(_CHATTER)][-_LOG_LINES:]
            if lines:
                return "its console says: " + " | ".join(lines)
        return f"its log is {self.log_file}"

    def _forget(self) -> None:
        self._process = None
        self._pid_file.unlink(missing_ok=True)
        (self.tree.run / "asterisk.ctl").unlink(missing_ok=True)
        if not self.tree.run.is_relative_to(self.directory):
            shutil.rmtree(self.tree.run, ignore_errors=True)


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0
