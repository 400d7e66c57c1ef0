"""A whole call centre in one folder: a private Asterisk, phones, a migrated database and ``acd serve`` as a process.

The demo, the tests with real calls and the benchmarks stand on it. It speaks to the service as anybody would: by its
command line, its Unix socket and its signals. Nothing of the service is imported here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml

from acd.domain.errors import LabError
from acd.lab.asterisk import AmiUser, AsteriskOptions, AsteriskPorts, AsteriskProgram, LabAsterisk, find_program
from acd.lab.asterisk_files import PortBlock, free_ports
from acd.lab.calls import Call, CallGenerator
from acd.lab.parts import SIPP, Unpacked, ensure
from acd.lab.paths import make_dir, socket_dir
from acd.lab.phone_bank import PhoneBank
from acd.lab.phones import Phone
from acd.lab.processes import Process
from acd.lab.sipp_results import SippResult

NODE = "pbx1"
CHANNELVARS = ("acd_call", "acd_place", "acd_offer", "acd_agent")

T = TypeVar("T")

_PHONE_PORTS, _CALLER_PORTS = 40, 120
_START_S = 60.0
"""Asterisk needs half a second, and on a machine with too much to do many times that."""


def share_dir(name: str) -> Path:
    """``dialplan``, ``config`` or ``migrations``: of the installed package, else of the source tree."""
    packaged = Path(__file__).parents[1] / "_share" / name
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / name


@dataclass(frozen=True)
class RigPlan:
    """What to build. ``floor`` is the content of floor.yaml; ``serve_env`` goes to the service's environment.

    ``ami_port`` is where the service finds the manager interface, if something stands between it and Asterisk.
    ``endpoints``: more text for pjsip.conf, such as a trunk to `customers`.
    """

    phones: Sequence[Phone]
    floor: Mapping[str, Any]
    dialplan_text: str = ""
    options: AsteriskOptions = field(default_factory=AsteriskOptions)
    extra_files: Mapping[str, str] = field(default_factory=dict)
    serve_env: Mapping[str, str] = field(default_factory=dict)
    database_url: str | None = None
    ami_port: int | None = None
    endpoints: str = ""
    log_level: str = "info"
    seed: int = 1


class Rig:
    """``start`` brings everything up, ``stop`` takes everything down; in between, call, look, break and mend."""

    def __init__(
        self,
        directory: Path,
        plan: RigPlan,
        *,
        program: AsteriskProgram | None = None,
        sipp: Unpacked | None = None,
        die_with_parent: bool = True,
    ) -> None:
        self.directory = directory.absolute()
        self.plan = plan
        self._program, self._sipp = program, sipp
        self._die_with_parent = die_with_parent
        self.ports = AsteriskPorts.free()
        (self.agi_port,) = free_ports(1, low=32_000, high=32_700)
        self._phone_ports = PortBlock(_PHONE_PORTS, low=12_000, high=13_999)
        self._caller_ports = PortBlock(_CALLER_PORTS, low=14_000, high=19_999)
        self._secrets = {name: secrets.token_urlsafe(24) for name in ("calls", "looks")}
        self.socket = socket_dir(self.directory / "run", "acd.sock") / "acd.sock"
        self.config = self.directory / "acd.toml"
        self.serve: Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._generators: list[CallGenerator] = []
        self.asterisk: LabAsterisk
        self.bank: PhoneBank

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self, *, serve: bool = True) -> Rig:
        """Everything up: phones first, then Asterisk, the database, the service and its connection to Asterisk."""
        make_dir(self.directory)
        program = self._program
        if program is None:
            program = await asyncio.to_thread(find_program)
        sipp = self._sipp
        if sipp is None:
            sipp = self._sipp = await asyncio.to_thread(ensure, SIPP)
        self.bank = PhoneBank(
            self.plan.phones,
            self.ports.sip,
            self._phone_ports.first,
            sipp.command("sipp"),
            self.directory / "phones",
            env=sipp.env(),
            seed=self.plan.seed,
        )
        self.asterisk = LabAsterisk(
            self.directory / "asterisk",
            program,
            self.ports,
            agi_port=self.agi_port,
            dialplan_files=[share_dir("dialplan") / "extensions_acd.conf"],
            dialplan_text=self.plan.dialplan_text,
            endpoints=self.bank.endpoints + self.plan.endpoints,
            ami_users=[
                AmiUser.for_calls("acd-calls", self._secrets["calls"]),
                AmiUser.for_looks("acd-looks", self._secrets["looks"]),
            ],
            channelvars=CHANNELVARS,
            extra_files=self.plan.extra_files,
            options=self.plan.options,
            die_with_parent=self._die_with_parent,
        )
        self.write_config()
        try:
            await self._all_up()
            if serve:
                await self.start_serve()
        except BaseException:
            await self.stop()
            raise
        return self

    async def _all_up(self) -> None:
        """All that needs nothing else, side by side; the first failure is raised once none of them is under way."""
        outcomes = await asyncio.gather(
            asyncio.to_thread(self.asterisk.start, _START_S),
            self.bank.start(),
            self.acd("db", "upgrade"),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def stop(self) -> None:
        """Everything down, in whatever state it is."""
        with contextlib.suppress(ProcessLookupError):
            await self.stop_serve()
        if self._session is not None:
            await self._session.close()
            self._session = None
        running = [callers for callers in self._generators if callers.running]
        # A generator that could not be started in full has nothing to stop in part
        await asyncio.gather(*(callers.stop(0.0) for callers in running), return_exceptions=True)
        if hasattr(self, "bank"):
            await self.bank.stop(0.0)
        if hasattr(self, "asterisk"):
            await asyncio.to_thread(self.asterisk.stop)
        self._phone_ports.release()
        self._caller_ports.release()

    @contextlib.asynccontextmanager
    async def running(self, *, serve: bool = True) -> AsyncIterator[Rig]:
        """Up on entry, down at the end."""
        await self.start(serve=serve)
        try:
            yield self
        finally:
            await self.stop()

    def write_config(self) -> None:
        """acd.toml, floor.yaml and the secrets, as an operator would write them."""
        make_dir(self.directory / "state", 0o700)
        for name, secret in self._secrets.items():
            path = self.directory / f"ami-{name}"
            path.touch(mode=0o600)
            path.write_text(secret + "\n")
        url = self.plan.database_url
        database = f'[database]\nurl = "{url}"\n' if url else ""
        self.config.touch(mode=0o600)
        self.config.write_text(
            f"[asterisk.{NODE}]\n"
            f"ami_port = {self.plan.ami_port or self.ports.ami}\n"
            'call_secret_file = "ami-calls"\nlook_secret_file = "ami-looks"\n'
            f"[agi]\nport = {self.agi_port}\n"
            f'[http]\nsocket = "{self.socket}"\n'
            f"{database}"
            f'[service]\nstate_dir = "state"\nlog_level = "{self.plan.log_level}"\n'
        )
        self.write_floor(self.plan.floor)

    def write_floor(self, floor: Mapping[str, Any]) -> None:
        """Write floor.yaml; the service reads it at its next start."""
        (self.directory / "floor.yaml").write_text(yaml.safe_dump(_plain(floor), sort_keys=False))

    # -- the service -------------------------------------------------------------------------------------------------

    def command(self, *arguments: str) -> list[str]:
        """The command line of ``acd`` with this rig's configuration."""
        return [sys.executable, "-m", "acd", "--config", str(self.config), *arguments]

    async def acd(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        """Run ``acd`` and return what it printed; LabError if it failed and ``check``."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments),
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**self._environment(), "NO_COLOR": "1"},
        )
        out, err = await process.communicate(None if stdin is None else stdin.encode())
        if check and process.returncode != 0:
            raise LabError(f"acd {' '.join(arguments)} failed ({process.returncode}): {err.decode()[-2000:]}")
        return out.decode() + ("" if process.returncode == 0 else err.decode())

    def _environment(self) -> dict[str, str]:
        """Ours, but with Python's byte code kept, as an installed service has it: it starts in half the time."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**kept, **self.plan.serve_env}

    async def start_serve(self, *, wait: bool = True, timeout_s: float = 60.0) -> None:
        """Start ``acd serve``; with ``wait``, until it has looked at Asterisk and offers calls."""
        if self.serve is not None and self.serve.running:
            raise LabError("acd serve runs already")
        self.serve = Process.spawn(
            self.command("serve"),
            log=self.directory / "serve.log",
            env=self._environment(),
            cwd=self.directory,
            die_with_parent=self._die_with_parent,
        )
        if wait:
            await self.until(self._is_up, timeout_s, "acd serve to come up", allow_down=True)

    async def _is_up(self) -> bool:
        if self.serve is None or not self.serve.running:
            raise LabError(f"acd serve ended: {self.serve_log()[-2000:]}")
        status = await self.status()
        return all(node["state"] == "up" for node in status["nodes"])

    async def stop_serve(self) -> None:
        """SIGTERM, and wait."""
        if self.serve is not None and self.serve.running:
            self.serve.send(signal.SIGCONT)
            await asyncio.to_thread(self.serve.end, signal.SIGTERM, 15.0)

    async def kill_serve(self) -> None:
        """SIGKILL, as a crash."""
        if self.serve is not None:
            await asyncio.to_thread(self.serve.end, signal.SIGKILL, 5.0)

    def serve_log(self) -> str:
        """What the service logged so far."""
        try:
            return (self.directory / "serve.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    # -- the API -----------------------------------------------------------------------------------------------------

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.socket), limit=20))
        return self._session

    async def api(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """GET ``/v1/path``, or POST ``body`` there; LabError unless it succeeds."""
        method = "GET" if body is None else "POST"
        async with self._http().request(method, f"http://acd/v1/{path}", json=body) as response:
            answer = await response.json()
            if response.status >= 400:
                raise LabError(f"{method} {path}: {response.status} {json.dumps(answer)}")
            return answer

    async def health(self) -> dict[str, Any]:
        """What ``/health`` says, be it well or ill."""
        async with self._http().get("http://acd/health") as response:
            return dict(await response.json())

    async def metrics(self) -> str:
        """What Prometheus would read."""
        async with self._http().get("http://acd/metrics") as response:
            return await response.text()

    async def status(self) -> dict[str, Any]:
        """The floor's totals."""
        return dict(await self.api("status"))

    async def agent(self, name: str, action: str, **body: str) -> Any:
        """Ask something of an agent: login, logout, pause, resume."""
        return await self.api(f"agents/{name}/{action}", body)

    async def login_all(self) -> None:
        """Log in every agent of the floor."""
        await asyncio.gather(*(self.agent(name, "login") for name in self.plan.floor["agents"]))

    async def until(
        self,
        condition: Callable[[], Awaitable[T]],
        timeout_s: float,
        what: str,
        *,
        allow_down: bool = False,
        every_s: float = 0.02,
    ) -> T:
        """Ask again and again until ``condition`` is true; LabError names ``what`` did not come."""
        last: object = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    try:
                        last = value = await condition()
                        if value:
                            return value
                    except (aiohttp.ClientError, OSError) as error:
                        if not allow_down:
                            raise
                        last = error
                    await asyncio.sleep(every_s)
        except TimeoutError:
            log = self.serve_log()[-1500:]
            raise LabError(f"waited {timeout_s:g} s for {what}; last seen: {last!r}; log: {log}") from None

    async def until_status(
        self, what: str, condition: Callable[[dict[str, Any]], bool], timeout_s: float = 10.0
    ) -> None:
        """Wait for a status."""

        async def holds() -> bool:
            return condition(await self.status())

        await self.until(holds, timeout_s, what)

    async def until_status_up(
        self, what: str, condition: Callable[[dict[str, Any]], bool], timeout_s: float = 10.0
    ) -> None:
        """Wait for a status of a service that is only just starting, connected to Asterisk."""

        async def holds() -> bool:
            return await self._is_up() and condition(await self.status())

        await self.until(holds, timeout_s, what, allow_down=True)

    # -- calls -------------------------------------------------------------------------------------------------------

    def callers(self, calls: Sequence[Call], rate: float, *, at_once: int | None = None) -> CallGenerator:
        """Callers to be started; each generator has ports and a folder of its own."""
        assert self._sipp is not None, "the rig was not started"
        first_port = self._caller_ports.first + len(self._generators) * CallGenerator.PORTS
        generator = CallGenerator(
            calls,
            rate,
            self.ports.sip,
            first_port,
            self._sipp.command("sipp"),
            self.directory / f"callers-{len(self._generators) + 1}",
            at_once=at_once,
            env=self._sipp.env(),
        )
        self._generators.append(generator)
        return generator

    async def place(self, calls: Sequence[Call], rate: float, *, timeout_s: float = 60.0) -> SippResult:
        """Place calls and wait for their end; after ``timeout_s`` what is still up counts as lost."""
        generator = self.callers(calls, rate)
        await generator.start()
        try:
            return await generator.wait(timeout_s)
        except TimeoutError:
            return await generator.stop(0)

    # -- records -----------------------------------------------------------------------------------------------------

    @property
    def database(self) -> Path:
        """The SQLite file of the records (not there if the plan names another database)."""
        return self.directory / "state" / "acd.sqlite3"

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """Read from the SQLite database, past the service."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, parameters).fetchall()


def simple_floor(
    agents: Mapping[str, str] | Sequence[str],
    *,
    queue: Mapping[str, Any] | None = None,
    did: str = "100",
) -> dict[str, Any]:
    """A floor of one queue, ``main``, reached at ``did``; ``agents`` are names (-> phones), or phones (named a<phone>)."""
    phones = dict(agents) if isinstance(agents, Mapping) else {f"a{phone}": phone for phone in agents}
    return {
        "queues": {"main": {"wrap_up": 0, "ring_timeout": 10, **(queue or {})}},
        "agents": {
            name: {"number": str(2000 + index), "phones": [f"PJSIP/{phone}"], "queues": ["main"]}
            for index, (name, phone) in enumerate(phones.items())
        },
        "entry_points": {did: "main"},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
