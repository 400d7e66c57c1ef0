"""One compose project under trial: start it, put calls through it, kill its controller, stop it, and tell what was seen.

Calls are SIPp's, played by the lab. Everything else is done as an operator would, by compose.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from outages import RESTART_S, killed_amid_a_call, restarted_amid_calls

from acd.domain.errors import LabError
from acd.lab.behaviours import Answers
from acd.lab.calls import Call, CallGenerator
from acd.lab.parts import SIPP, ensure
from acd.lab.phone_bank import PhoneBank
from acd.lab.phones import Phone
from engine import Engine, run

#: Of the sample floor.yaml: an agent, her phone, and a number that reaches one of her queues.
AGENT, PHONE, DID = "anna", "1001", "4930555100"
HEALTHY_S, RING_S = 120.0, 60.0
TALK_S = 4.0
CALLS = 2 + len(RESTART_S)
LOOPBACK = re.compile(r"^(127\.|\[::1\]|\[::ffff:127\.)")

Say = Callable[[str], None]


class Stack:
    """The compose project ``settings["COMPOSE_PROJECT_NAME"]``; ``postgres``: with the database in a container too."""

    def __init__(self, on: Engine, settings: dict[str, str], folder: Path, say: Say, *, postgres: bool) -> None:
        self.on, self._settings, self._folder, self.say = on, dict(settings), folder, say
        self._services = ["asterisk", "acd"]
        if postgres:
            port = settings["DB_PORT"]
            self._services.append("postgres")
            self._settings |= {
                "COMPOSE_PROFILES": "postgres",
                "ACD_DATABASE__URL": f"postgresql://acd@127.0.0.1:{port}/acd",
                "ACD_DATABASE__PASSWORD_FILE": "/etc/acd/secrets/database",
            }
        self._postgres = postgres
        self._sip_port = int(settings["SIP_PORT"])
        self.seen: dict[str, Any] = {}

    def compose(self, *arguments: str, check: bool = True) -> str:
        return self.on.compose(self._settings, *arguments, check=check)

    def inside(self, service: str, *command: str, check: bool = True) -> str:
        """Run ``command`` in a service's container."""
        return self.compose("exec", "-T", service, *command, check=check)

    def acd(self, *arguments: str) -> Any:
        """``acd ... --json`` in the controller's container."""
        return json.loads(self.inside("acd", "acd", *arguments, "--json"))

    def inspect(self, service: str, template: str) -> str:
        container = self.compose("ps", "-q", service).split()[0]
        return self.on.docker("inspect", "--format", template, container).strip()

    async def until(self, what: str, condition: Callable[[], Any], timeout_s: float, every_s: float = 0.2) -> Any:
        """Ask until ``condition`` is true, and return what it was; a command that fails meanwhile counts as no."""
        deadline = time.monotonic() + timeout_s
        last: Any = None
        while time.monotonic() < deadline:
            try:
                last = await asyncio.to_thread(condition)
                if last:
                    return last
            except (LabError, IndexError) as error:
                last = error
            await asyncio.sleep(every_s)
        raise LabError(f"waited {timeout_s:g} s for {what}; last seen: {last}")

    # -- the trial ---------------------------------------------------------------------------------------------------

    async def trial(self) -> dict[str, Any]:
        """Everything; LabError where something is otherwise than it should be."""
        try:
            await self._come_up()
            await self._look_around()
            await self._let_loopback_in()
            bank = await self._phone()
            try:
                await self._log_in()
                await self._one_call()
                self.seen["killed"] = await killed_amid_a_call(self)
                self.seen["restarted"] = await restarted_amid_calls(self)
            finally:
                await bank.stop(0.0)
            await self._stop_and_start()
        except LabError as error:
            logs = await asyncio.to_thread(self.compose, "logs", "--no-color", "--tail", "40", check=False)
            raise LabError(f"{error}\n--- the containers' last words\n{logs}") from error
        finally:
            await asyncio.to_thread(self.compose, "down", "-v", "--remove-orphans", check=False)
        return self.seen

    async def _come_up(self) -> None:
        began = time.monotonic()
        await asyncio.to_thread(self.compose, "up", "-d", "--no-build")
        await self._healthy()
        self.seen["healthy_s"] = round(time.monotonic() - began, 1)
        self.say(f"up and healthy after {self.seen['healthy_s']} s: {', '.join(self._services)}")

    async def _healthy(self) -> None:
        for service in self._services:
            await self.until(f"{service} to be healthy", partial(self._is_healthy, service), HEALTHY_S)

    def _is_healthy(self, service: str) -> bool:
        return self.inspect(service, "{{.State.Health.Status}}") == "healthy"

    async def _look_around(self) -> None:
        """Users, rights and open ports are as they are meant to be."""
        for service in self._services:
            user = self.inside(service, "id", "-u").strip()
            confined = self.inspect(
                service, "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}"
            )
            rights = self.inside(service, "grep", "-E", "^(CapEff|CapBnd|NoNewPrivs)", "/proc/1/status").split()
            self.say(f"{service}: uid {user}; read-only, dropped, options: {confined}; {' '.join(rights)}")
            if user == "0" or rights[1::2] != ["0" * 16, "0" * 16, "1"] or not confined.startswith("true"):
                raise LabError(f"{service} has more rights than it needs: uid {user}, {confined}, {rights}")
        self.seen["asterisk"] = self.inside("asterisk", "asterisk", "-rx", "core show version").split(" built")[0]
        self.seen["acd"] = self.inside("acd", "acd", "--version").strip()
        self.say(f"{self.seen['asterisk']}; {self.seen['acd']}")
        ports = self._ports()
        self.say(f"listens on: {', '.join(ports)}")
        wanted = f"{self._settings['SIP_BIND']}:{self._sip_port}"
        strange = [port for port in ports if not LOOPBACK.match(port.split(" ")[1]) and wanted not in port]
        # an unbound UDP socket with a port of the kernel's choice is a client's: PJSIP asks DNS servers by it
        low = int(run(["sysctl", "-n", "net.ipv4.ip_local_port_range"]).split()[0])
        strange = [port for port in strange if not port.startswith("udp") or int(re.findall(r":(\d+) ", port)[0]) < low]
        if strange or not any(wanted in port for port in ports):
            raise LabError(f"SIP at {wanted} is to be open, the rest on loopback only; found {ports}")

    def _ports(self) -> list[str]:
        """``udp 0.0.0.0:5060 (asterisk)`` for every port that a process of the containers listens on."""
        owner: dict[str, str] = {}
        for service in self._services:
            container = self.compose("ps", "-q", service).split()[0]
            owner |= dict.fromkeys(self.on.docker("top", container, "-eo", "pid").split()[1:], service)
        found = set()
        for family in ("-t", "-u"):
            for pid, service in owner.items():
                from_ss = _sockets(family).get(pid, [])
                found |= {f"{'tcp' if family == '-t' else 'udp'} {address} ({service})" for address in from_ss}
        return sorted(found)

    async def _let_loopback_in(self) -> None:
        """As an operator: the trunk is this machine. SIPp listens elsewhere than where it registers from."""
        edits = {
            "/etc/asterisk/pjsip_acd.conf": [
                r"s/^match = .*/match = 127.0.0.1/",
                r"s/^rewrite_contact = yes/rewrite_contact = no/",
                r"s/^contact = sip:192.*/max_contacts = 0/",
            ],
            # phones and trunk have the same address here: who a caller is goes by name first
            "/etc/asterisk/pjsip.conf": [r"s/^endpoint_identifier_order.*/endpoint_identifier_order = username,ip/"],
        }
        for path, scripts in edits.items():
            for script in scripts:
                self.inside("asterisk", "sed", "-i", script, path)
        await asyncio.to_thread(self.compose, "restart", "asterisk")
        await self.until("Asterisk to be back", lambda: "fully booted" in self.cli("core waitfullybooted"), HEALTHY_S)
        await self.until("acd to be connected again", lambda: self.health()["ok"], HEALTHY_S)

    def cli(self, command: str) -> str:
        return self.inside("asterisk", "asterisk", "-rx", command)

    def health(self) -> Any:
        """The service's own word; not ok, too, while it does not answer."""
        said = self.inside("acd", "/usr/local/lib/acd/health", check=False)
        return json.loads(said) if said.startswith("{") else {"ok": False}

    async def _phone(self) -> PhoneBank:
        text = self.inside("asterisk", "cat", "/etc/asterisk/pjsip_acd.conf")
        secret = re.search(rf"^username = {PHONE}\npassword = (\S+)$", text, re.MULTILINE)
        if secret is None or "CHANGE-ME" in text:
            raise LabError(f"pjsip_acd.conf has no generated password for phone {PHONE}")
        self._sipp = await asyncio.to_thread(ensure, SIPP)
        phone = Phone(PHONE, Answers(), registers=True, secret=secret[1])
        bank = PhoneBank(
            [phone],
            self._sip_port,
            self._sip_port + 40,
            self._sipp.command("sipp"),
            self._folder / "phones",
            env=self._sipp.env(),
        )
        await bank.start()
        await bank.register()
        return bank

    async def _log_in(self) -> None:
        self.say(f"$ acd agent login {AGENT}\n{self.inside('acd', 'acd', 'agent', 'login', AGENT)}")
        await self.ready()
        self.say(f"$ acd agent list\n{self.inside('acd', 'acd', 'agent', 'list')}")

    async def ready(self) -> None:
        def ready() -> bool:
            agent = self.acd("agent", "show", AGENT)
            return agent["state"] == "AVAILABLE" and "IDLE" in {str(word).upper() for word in agent["phones"].values()}

        await self.until(f"{AGENT} to be ready", ready, RING_S)

    async def wrap_up(self) -> None:
        """Cut the agent's wrap-up short, as she would."""
        await self.until(f"{AGENT} to wrap up", lambda: self.acd("agent", "show", AGENT)["state"] == "WRAP_UP", RING_S)
        self.inside("acd", "acd", "agent", "resume", AGENT)

    def caller(self, number: str, talk_s: float, serial: int) -> CallGenerator:
        call = Call(DID, number, wait_s=RING_S, talk_s=talk_s)
        first_port = self._sip_port + 60 + serial * CallGenerator.PORTS
        command = self._sipp.command("sipp")
        folder = self._folder / f"caller-{serial}"
        return CallGenerator([call], 1.0, self._sip_port, first_port, command, folder, env=self._sipp.env())

    async def _one_call(self) -> None:
        caller = self.caller("15550001", TALK_S, 0)
        await caller.start()
        result = await caller.wait(RING_S + TALK_S)
        if result.lost:
            raise LabError(f"the call was lost: {'; '.join(result.errors)}")
        row = await self.record("15550001", TALK_S)
        self.seen["call"] = row
        self.say(f"SIPp's caller was answered, talked and hung up: {result.counts.outcomes}")
        self.say(f"$ acd call list\n{self.inside('acd', 'acd', 'call', 'list')}")
        self.say(f"$ acd call show {row['call']}\n{self.inside('acd', 'acd', 'call', 'show', row['call'])}")

    async def record(self, number: str, talk_s: float | None = None) -> dict[str, Any]:
        """The record of the one call from ``number``, answered by the agent and ``talk_s`` long (None: any length)."""

        def rows() -> list[dict[str, Any]]:
            return [row for row in self.acd("call", "list", "--number", number)["calls"] if row["ended_at"]]

        (row,) = await self.until(f"the record of the call from {number}", rows, 20.0)
        if row["outcome"] != "answered" or row["agent"] != AGENT:
            raise LabError(f"the record is not of a call that {AGENT} answered: {row}")
        if talk_s is not None and not talk_s - 1 < row["talk_s"] < talk_s + 2:
            raise LabError(f"the record is not of a call of {talk_s:g} s: {row}")
        return dict(row)

    async def _stop_and_start(self) -> None:
        """SIGTERM ends every service in order, and the records are there after the next start."""
        began = time.monotonic()
        await asyncio.to_thread(self.compose, "stop")
        stop_s = round(time.monotonic() - began, 1)
        codes = {service: self._exit_code(service) for service in self._services}
        if any(codes.values()):
            raise LabError(f"a service did not end in order at SIGTERM: exit codes {codes}")
        await asyncio.to_thread(self.compose, "up", "-d", "--no-build")
        await self._healthy()
        calls = self.acd("call", "list")["calls"]
        state = self.acd("agent", "show", AGENT)["state"]
        if len(calls) != CALLS or state == "LOGGED_OUT":
            raise LabError(f"after a stop and a start there are {len(calls)} calls, and {AGENT} is {state}")
        self.seen["stopped"] = {"stop_s": stop_s, "exit_codes": codes}
        self.say(f"stopped in {stop_s} s, exit codes {codes}; after the next start: {CALLS} calls, {AGENT} {state}")
        if self._postgres:
            sql = "SELECT version(), (SELECT count(*) FROM calls)"
            rows = self.inside(
                "postgres", "psql", "-h", "/run/postgresql", "-p", self._settings["DB_PORT"], "-d", "acd", "-Atc", sql
            )
            self.seen["postgres"] = rows.strip()
            self.say(f"in PostgreSQL: {rows.strip()}")

    def _exit_code(self, service: str) -> int:
        container = self.compose("ps", "-aq", service, check=False) or self.compose("ps", "-q", service)
        return int(self.on.docker("inspect", "--format", "{{.State.ExitCode}}", container.split()[0]))


def _sockets(family: str) -> dict[str, list[str]]:
    """Process id -> addresses it listens on."""
    found: dict[str, list[str]] = {}
    for line in run(["ss", "-Hlnp", family]).splitlines():
        columns = line.split()
        for pid in re.findall(r"pid=(\d+)", line):
            found.setdefault(pid, []).append(columns[3])
    return found
