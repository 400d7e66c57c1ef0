"""One compose project under trial: start it, put calls through it, kill its controller, stop it, and tell what was seen.

Calls are SIPp's, played by the lab. Everything else is done as an operator would, by compose.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

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
#: The long one leaves a slow machine time for a restart; it stays below the phones' rtp_timeout, for SIPp sends no media.
TALK_S, LONG_TALK_S = 4.0, 45.0
LOOPBACK = re.compile(r"^(127\.|\[::1\]|\[::ffff:127\.)")

Say = Callable[[str], None]


class Stack:
    """The compose project ``settings["COMPOSE_PROJECT_NAME"]``; ``postgres``: with the database in a container too."""

    def __init__(self, on: Engine, settings: dict[str, str], folder: Path, say: Say, *, postgres: bool) -> None:
        self._on, self._settings, self._folder, self._say = on, dict(settings), folder, say
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
        return self._on.compose(self._settings, *arguments, check=check)

    def inside(self, service: str, *command: str, check: bool = True) -> str:
        """Run ``command`` in a service's container."""
        return self.compose("exec", "-T", service, *command, check=check)

    def acd(self, *arguments: str) -> Any:
        """``acd ... --json`` in the controller's container."""
        return json.loads(self.inside("acd", "acd", *arguments, "--json"))

    def _inspect(self, service: str, template: str) -> str:
        container = self.compose("ps", "-q", service).split()[0]
        return self._on.docker("inspect", "--format", template, container).strip()

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
                await self._killed_amid_a_call()
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
        self._say(f"up and healthy after {self.seen['healthy_s']} s: {', '.join(self._services)}")

    async def _healthy(self) -> None:
        for service in self._services:
            await self.until(f"{service} to be healthy", partial(self._is_healthy, service), HEALTHY_S)

    def _is_healthy(self, service: str) -> bool:
        return self._inspect(service, "{{.State.Health.Status}}") == "healthy"

    async def _look_around(self) -> None:
        """Users, rights and open ports are as they are meant to be."""
        for service in self._services:
            user = self.inside(service, "id", "-u").strip()
            confined = self._inspect(
                service, "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}"
            )
            rights = self.inside(service, "grep", "-E", "^(CapEff|CapBnd|NoNewPrivs)", "/proc/1/status").split()
            self._say(f"{service}: uid {user}; read-only, dropped, options: {confined}; {' '.join(rights)}")
            if user == "0" or rights[1::2] != ["0" * 16, "0" * 16, "1"] or not confined.startswith("true"):
                raise LabError(f"{service} has more rights than it needs: uid {user}, {confined}, {rights}")
        self.seen["asterisk"] = self.inside("asterisk", "asterisk", "-rx", "core show version").split(" built")[0]
        self.seen["acd"] = self.inside("acd", "acd", "--version").strip()
        self._say(f"{self.seen['asterisk']}; {self.seen['acd']}")
        ports = self._ports()
        self._say(f"listens on: {', '.join(ports)}")
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
            owner |= dict.fromkeys(self._on.docker("top", container, "-eo", "pid").split()[1:], service)
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
        await self.until("Asterisk to be back", lambda: "fully booted" in self._cli("core waitfullybooted"), HEALTHY_S)
        await self.until("acd to be connected again", lambda: self._health()["ok"], HEALTHY_S)

    def _cli(self, command: str) -> str:
        return self.inside("asterisk", "asterisk", "-rx", command)

    def _health(self) -> Any:
        return json.loads(self.inside("acd", "/usr/local/lib/acd/health", check=False) or '{"ok": false}')

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
        self._say(f"$ acd agent login {AGENT}\n{self.inside('acd', 'acd', 'agent', 'login', AGENT)}")
        await self._ready()
        self._say(f"$ acd agent list\n{self.inside('acd', 'acd', 'agent', 'list')}")

    async def _ready(self) -> None:
        def ready() -> bool:
            agent = self.acd("agent", "show", AGENT)
            return agent["state"] == "AVAILABLE" and "IDLE" in {str(word).upper() for word in agent["phones"].values()}

        await self.until(f"{AGENT} to be ready", ready, RING_S)

    def _caller(self, number: str, talk_s: float, serial: int) -> CallGenerator:
        call = Call(DID, number, wait_s=RING_S, talk_s=talk_s)
        first_port = self._sip_port + 60 + serial * CallGenerator.PORTS
        command = self._sipp.command("sipp")
        folder = self._folder / f"caller-{serial}"
        return CallGenerator([call], 1.0, self._sip_port, first_port, command, folder, env=self._sipp.env())

    async def _one_call(self) -> None:
        caller = self._caller("15550001", TALK_S, 0)
        await caller.start()
        result = await caller.wait(RING_S + TALK_S)
        if result.lost:
            raise LabError(f"the call was lost: {'; '.join(result.errors)}")
        row = await self._record("15550001", TALK_S)
        self.seen["call"] = row
        self._say(f"SIPp's caller was answered, talked and hung up: {result.counts.outcomes}")
        self._say(f"$ acd call list\n{self.inside('acd', 'acd', 'call', 'list')}")
        self._say(f"$ acd call show {row['call']}\n{self.inside('acd', 'acd', 'call', 'show', row['call'])}")

    async def _record(self, number: str, talk_s: float) -> dict[str, Any]:
        def rows() -> list[dict[str, Any]]:
            return [row for row in self.acd("call", "list", "--number", number)["calls"] if row["ended_at"]]

        (row,) = await self.until(f"the record of the call from {number}", rows, 20.0)
        if row["outcome"] != "answered" or row["agent"] != AGENT or not talk_s - 1 < row["talk_s"] < talk_s + 2:
            raise LabError(f"the record is not of an answered call of {talk_s:g} s: {row}")
        return dict(row)

    async def _killed_amid_a_call(self) -> None:
        await self._ready()
        caller = self._caller("15550002", LONG_TALK_S, 1)
        await caller.start()

        def talking() -> list[dict[str, Any]]:
            live = self.acd("call", "list", "--live")["calls"]
            return [c for c in live if c["caller_number"] == "15550002" and c["state"].upper() == "TALKING"]

        (before,) = await self.until("the second call to be answered", talking, RING_S)
        starts = len(self._ups())
        pid = int(self._inspect("acd", "{{.State.Pid}}"))
        killed_at = time.time()
        os.kill(pid, signal.SIGKILL)
        self._both_up("right after the kill")
        ups = await self.until("acd to be up again", lambda: self._ups()[starts:], LONG_TALK_S)
        away_s = round(ups[0] - killed_at, 1)
        (after,) = await self.until("the call to be adopted", talking, LONG_TALK_S)
        if after["call"] != before["call"] or after["agent"] != AGENT:
            raise LabError(f"another call than before: {before} and then {after}")
        channels = self._both_up("after it has come back")
        result = await caller.wait(LONG_TALK_S + RING_S)
        if result.lost:
            raise LabError(f"the call did not outlive the controller: {'; '.join(result.errors)}")
        row = await self._record("15550002", LONG_TALK_S)
        restarts = self._inspect("acd", "{{.RestartCount}}")
        self.seen["killed"] = {"away_s": away_s, "restarts": int(restarts), "record": row}
        self._say(
            f"kill -9 of the controller (process {pid}) amid call {before['call']}: the engine restarted it "
            f"({restarts} restart), after {away_s} s it had looked at Asterisk and found the call again; SIPp's caller "
            f"noticed nothing ({result.counts.outcomes})"
        )
        self._say(f"its record: {row['outcome']} by {row['agent']}, talked {row['talk_s']:.1f} s; channels meanwhile:")
        self._say(channels)

    def _both_up(self, when: str) -> str:
        """Asterisk's channels: caller and phone, and nobody else."""
        channels = self._cli("core show channels concise")
        states = [line.split("!")[4] for line in channels.splitlines() if "!" in line]
        if states != ["Up", "Up"]:
            raise LabError(f"{when} there should be two channels that are up; Asterisk has: {channels!r}")
        return channels

    def _ups(self) -> list[float]:
        """When acd had looked at Asterisk and was ready to serve, each time, by the engine's clock."""
        container = self.compose("ps", "-q", "acd").split()[0]
        lines = self._on.docker("logs", "--timestamps", container, merge=True).splitlines()
        stamps = [line.split(" ", 1)[0] for line in lines if line.endswith("pbx1 is up")]
        return [datetime.fromisoformat(f"{stamp[:26]}+00:00").timestamp() for stamp in stamps]

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
        if len(calls) != 2 or state == "LOGGED_OUT":
            raise LabError(f"after a stop and a start there are {len(calls)} calls, and {AGENT} is {state}")
        self.seen["stopped"] = {"stop_s": stop_s, "exit_codes": codes}
        self._say(f"stopped in {stop_s} s, exit codes {codes}; after the next start: 2 calls, {AGENT} {state}")
        if self._postgres:
            sql = "SELECT version(), (SELECT count(*) FROM calls)"
            rows = self.inside(
                "postgres", "psql", "-h", "/run/postgresql", "-p", self._settings["DB_PORT"], "-d", "acd", "-Atc", sql
            )
            self.seen["postgres"] = rows.strip()
            self._say(f"in PostgreSQL: {rows.strip()}")

    def _exit_code(self, service: str) -> int:
        container = self.compose("ps", "-aq", service, check=False) or self.compose("ps", "-q", service)
        return int(self._on.docker("inspect", "--format", "{{.State.ExitCode}}", container.split()[0]))


def _sockets(family: str) -> dict[str, list[str]]:
    """Process id -> addresses it listens on."""
    found: dict[str, list[str]] = {}
    for line in run(["ss", "-Hlnp", family]).splitlines():
        columns = line.split()
        for pid in re.findall(r"pid=(\d+)", line):
            found.setdefault(pid, []).append(columns[3])
    return found
