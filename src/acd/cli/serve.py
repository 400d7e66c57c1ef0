"""``acd serve``: the composition root. The only module that knows every room, and wires them.

Order of a start: configuration, database (schema, spill, epoch, memory; if it is away, what stands beside us), floor,
journal, engine, AGI server, API socket, nodes. Order of an end: API, nodes (no more offers), AGI, engine, journal,
database. Calls go on in Asterisk meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from acd import __version__
from acd.api import ApiServer, BadFloorError, make_app
from acd.asterisk.agi.request import AgiRequest
from acd.asterisk.agi.server import FastAgiServer
from acd.asterisk.dialcodes import DialCodes
from acd.asterisk.executor import Nodes
from acd.asterisk.node import Node, NodeSettings
from acd.asterisk.registration import Registration
from acd.cli.check import floor_file_of
from acd.cli.context import common_options, options
from acd.cli.databaseurl import numbering_of, policy_of
from acd.cli.desk import Desk
from acd.cli.floorfile import FloorFile
from acd.cli.outbound import DiallingDesk
from acd.cli.retentionjob import RetentionJob
from acd.cli.served import ServedFloor
from acd.config.floor import LoadedFloor, load_floor
from acd.config.load import LoadedSettings, find_config, load_settings
from acd.config.pins import verify_pin
from acd.config.problems import Problem
from acd.config.settings import AsteriskNode, JournalTable, Settings
from acd.domain.commands import RaiseAlarm
from acd.domain.definition import FloorDefinition, ToDialplan
from acd.domain.errors import AcdError, ConfigurationError
from acd.domain.events import MemoryRestored, NodeResynced
from acd.domain.states import AgentState
from acd.engine import Engine, LagMonitor, RecordsWatch
from acd.engine.engine import system_clock
from acd.engine.heap import keep_what_there_is
from acd.engine.journal import Journal, JournalOptions
from acd.floor import Floor
from acd.outbound.optouts import FILE as OPT_OUTS
from acd.records.seal import load_seal
from acd.store import Callers, Store, StoreOptions
from acd.store.outbound.outbound import Outbound

log = logging.getLogger("acd")

BY_SIGNAL = "signal:SIGHUP"
STARTED_ALONE = "started_without_database"


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        body = {
            "at": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            body["exception"] = self.formatException(record.exc_info)
        return json.dumps(body)


class OneLine(logging.Formatter):
    """Text for people. What callers and phones sent may be in a message: control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        head, separator, trace = text.partition("\nTraceback ")
        return head.translate(_ESCAPES) + separator + trace


_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != 9}


def set_up_logging(settings: Settings) -> None:
    """Log to standard error, in the chosen form."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.service.log_format == "json":
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(OneLine("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.service.log_level.upper(), handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)


class Service:
    """Everything of one running controller. ``base``: the folder that a relative path of [journal] counts from."""

    def __init__(self, settings: Settings, floor: FloorDefinition, base: Path) -> None:
        self.settings = settings
        self.definition = floor
        self.base = base
        self.nodes: dict[str, Node] = {}
        self.lag = LagMonitor()
        self.engine: Engine
        self.file: FloorFile
        self._desk: Desk
        self._dialling: DiallingDesk
        self._codes: DialCodes
        self._counters: list[Callable[[], Mapping[str, int]]] = []
        self._closers: list[Callable[[], Any]] = []

    async def start(self) -> None:
        """Bring everything up; on failure whatever came up is taken down again by ``close``."""
        settings, database = self.settings, self.settings.database
        assert database.url is not None, "filled in by load_settings"
        seal = load_seal(settings.service.state_dir, numbering_of(settings.records))
        sealed = seal.of if settings.records.numbers == "hashed" else None
        spill_limit_bytes = database.spill_max_mb * 1024 * 1024
        store = Store(
            database.url.get_secret_value(),
            settings.service.state_dir,
            StoreOptions(spill_limit_bytes=spill_limit_bytes, durable_in=database.durable_in),
            spill_dir=database.spill_dir,
            sealed=sealed,
        )
        memory = await store.open(on_return=self._caught_up)
        self._closers.append(store.close)

        executors = Nodes()
        floor = Floor(self.definition, epoch=memory.epoch, started_at=time.time())
        floor.caller_key = sealed
        journal = await self._open_journal(floor)
        engine = Engine(floor, store, executors, on_overflow=self._resync_all, journal=journal)
        self.engine = engine
        self._closers.append(engine.close)
        self._desk = Desk(
            *(engine, store, seal), journal=journal, mask=settings.records.mask, operators=settings.records.operators
        )
        self._closers.append(self._desk.close)
        self.file = FloorFile(settings.floor.file, engine, self._follow, self._desk.loaded)
        engine.submit(MemoryRestored(system_clock().utc, memory.agents, memory.calls, memory.wraps, memory.callers))
        for gone in {call.node for call in memory.calls} - set(settings.asterisk):
            log.warning("node %s is no longer in the configuration: its remembered calls are closed", gone)
            engine.submit(NodeResynced(system_clock().utc, gone, (), {}, restarted=True))
        if store.alone:
            detail = f"what it knew of agents may be some seconds old, calls of before are taken up anew: {store.alone}"
            engine.alarm(RaiseAlarm(STARTED_ALONE, detail))
        self.lag.start()
        self._closers.append(self.lag.stop)
        watch = RecordsWatch(
            store.state,
            spill_limit_bytes,
            submit=engine.submit,
            alarm=engine.alarm,
            over=engine.over,
            clock=lambda: system_clock().utc,
            turn_away=database.when_full == "turn_away",
        )
        watch.start()
        self._closers.append(watch.stop)

        url = database.url.get_secret_value()
        hashed = settings.records.numbers == "hashed"
        opt_outs = _path(database.spill_dir) / OPT_OUTS
        self._dialling = DiallingDesk(
            engine, self.nodes, lambda: Outbound(url, seal.of, hashed=hashed), seal.of, opt_outs, hashed=hashed
        )
        self._desk.disposed = self._dialling.disposed
        self._closers.append(self._dialling.close)
        self._counters.append(self._dialling.counters)
        port = await self._answer_agi()
        for name, table in settings.asterisk.items():
            node = self._node(name, table, memory.epoch, port)
            self.nodes[name] = node
            executors.executors[name] = node.executor
            self._counters.append(node.counters)
            self._closers.append(node.close)
        engine.callers_wait = self._listen

        # Whoever can ask sees every node, be it up or not
        live = ServedFloor(
            *(engine, store, self.lag),
            file=self.file,
            journal=journal,
            nodes=self._node_rows,
            counters=self._all_counters,
            has_place=self._has_place,
            hear=self._hear,
        )
        server = ApiServer(
            make_app(live, store.records, version=__version__, desk=self._desk, campaigns=self._dialling),
            _path(settings.http.socket),
            mode=settings.http.socket_mode,
            tcp=None if settings.http.port is None else (settings.http.host, settings.http.port),
            tcp_public=settings.http.allow_public,
        )
        await server.start()
        self._closers.append(server.close)
        job = RetentionJob(
            *(database.url.get_secret_value(), policy_of(settings.retention)),
            *(_path(settings.records.recordings), settings.service.state_dir),
            spill=_path(database.spill_dir),
            sealed=seal.of,
        )
        job.start()
        self._closers.append(job.stop)
        self._desk.loaded(self.definition, "start", unless_last=True)
        await self._dialling.start(self.definition, tuple(self.nodes))
        for node in self.nodes.values():
            await node.start()
        log.info(
            "acd %s serves: %d queues, %d agents, floor %s, epoch %d, AGI on %s:%d, socket %s",
            *(__version__, len(self.definition.queues), len(self.definition.agents), self.definition.revision),
            *(memory.epoch, settings.agi.host, port, settings.http.socket),
        )

    def _caught_up(self, callers: Callers) -> None:
        """The database is back after a start without it."""
        self.engine.over(STARTED_ALONE)
        self.engine.submit(MemoryRestored(system_clock().utc, (), (), (), callers))

    async def _open_journal(self, floor: Floor) -> Journal | None:
        options = _journal_options(self.settings.journal, self.base)
        if options is None:
            return None
        loop = asyncio.get_running_loop()

        def alarm(alarm: RaiseAlarm) -> None:
            loop.call_soon_threadsafe(self.engine.alarm, alarm)

        journal = Journal(floor, options, alarm=alarm)
        await asyncio.to_thread(journal.open)
        self._closers.append(lambda: asyncio.to_thread(journal.close))
        log.info("everything is journalled to %s, callers' numbers included", options.directory)
        return journal

    async def _answer_agi(self) -> int:
        """Start the FastAGI server; the port it has."""
        settings = self.settings.agi
        agi = FastAgiServer(max_connections=settings.max_connections)
        self._codes = self._dial_codes(self.definition)
        registration = Registration(self.nodes, self.engine.submit)
        agi.add_route("inbound", registration.inbound)
        agi.add_route("outbound", self._dialling.questions(registration).outbound)
        agi.add_route("agent", self._dial_code)
        port = await agi.start(settings.host, settings.port)
        self._closers.append(agi.close)
        self._counters.append(lambda: {f"agi_{k}": v for k, v in asdict(agi.counters).items()})
        return port

    def _dial_codes(self, definition: FloorDefinition) -> DialCodes:
        return DialCodes(
            definition.agents,
            definition.pause_reasons,
            self.engine.request,
            agent_at=lambda device: _agent_at(self.engine.floor, device),
            verify_pin=verify_pin,
            noted=self._desk.dial_code,
            choose=self._dialling.chosen_by_phone,
        )

    async def _dial_code(self, request: AgiRequest) -> None:
        self._listen()  # what his phone does was perhaps left unread
        await self._codes.agent(request)

    def _listen(self) -> None:
        """Read on at every node: an agent on one may be free for a caller on another."""
        for node in self.nodes.values():
            node.calls.listen()

    def _node(self, name: str, table: AsteriskNode, epoch: int, agi_port: int) -> Node:
        engine, agi = self.engine, self.settings.agi
        return Node(
            NodeSettings(
                name=name,
                host=table.host,
                port=table.ami_port,
                call_user=table.call_user,
                call_secret=table.secret("call").get_secret_value(),
                look_user=table.look_user,
                look_secret=table.secret("look").get_secret_value(),
                agi_address=agi.advertise or f"{agi.host}:{agi_port}",
                fallback=_fallback(self.definition),
                tls=_tls(table.tls, table.ca_file),
            ),
            epoch=epoch,
            submit=engine.submit,
            alarm=lambda kind, detail: engine.alarm(RaiseAlarm(kind, detail)),
            devices=lambda: list(engine.floor.roster.by_device),
            outbound=self._dialling.sink_for(self.definition),
            lasting=lambda: any(agent.lasting_line is not None for agent in self.definition.agents.values()),
            no_hurry=lambda: not engine.floor.matcher.waiting_count,
        )

    # -- while it runs -----------------------------------------------------------------------------------------------

    async def reload_floor(self) -> None:
        """Put floor.yaml as it is now in force; if that cannot be, say so in the log and by an alarm. Never raises."""
        try:
            found = await self.file.reload(BY_SIGNAL)
            if found["reloaded"]:
                detail = {"from": found["revision"], "to": found["new_revision"], "summary": found["summary"]}
                self._desk.audited(BY_SIGNAL, "floor_reload", "floor", detail)
        except BadFloorError as error:
            for problem in error.found:
                log.error("%s", Problem(**{**problem, "excerpt": ()}))
            self.engine.alarm(RaiseAlarm("floor_not_reloaded", str(error)))
        except (AcdError, TimeoutError) as error:
            self.engine.alarm(RaiseAlarm("floor_not_reloaded", str(error) or "the floor did not answer in time"))
        except Exception:
            # A defect of ours must not end the service
            log.exception("the floor could not be reloaded")
            self.engine.alarm(RaiseAlarm("floor_not_reloaded", "a defect in acd; see the log"))

    def _follow(self, definition: FloorDefinition) -> None:
        """The floor goes by another definition now; so must everything else."""
        self.definition = definition
        self._codes = self._dial_codes(definition)
        self._dialling.follow(definition)
        fallback = _fallback(definition)
        for node in self.nodes.values():
            if node.settings.fallback != fallback:
                node.settings = replace(node.settings, fallback=fallback)
                # Now if the node is there, else when it is
                node.calls.send("Setvar", (("Variable", "ACD_FALLBACK"), ("Value", fallback)))

    async def close(self) -> None:
        """Take everything down in the reverse order of its start; one failure does not keep the rest up."""
        for closer in reversed(self._closers):
            try:
                result = closer()
                if asyncio.iscoroutine(result):
                    await asyncio.wait_for(result, 10.0)
            except Exception:
                log.exception("closing did not go well")
        self._closers.clear()

    def _resync_all(self) -> None:
        for node in self.nodes.values():
            node.resync("events were dropped")

    async def _has_place(self, node: str, place: ToDialplan) -> bool:
        return await self.nodes[node].has_place(f"{place.context},{place.exten},{place.priority}")

    async def _hear(self, name: str) -> None:
        node = self.nodes.get(name)
        if node is not None:
            await node.hear()

    def _node_rows(self) -> list[dict[str, Any]]:
        return [node.status() for node in self.nodes.values()]

    def _all_counters(self) -> Mapping[str, int]:
        totals: dict[str, int] = {}
        for counters in self._counters:
            for name, value in counters().items():
                totals[name] = totals.get(name, 0) + value
        return totals


def _agent_at(floor: Floor, device: str) -> str | None:
    """Who is logged in at a phone; if nobody is, whose phone it is."""
    agents = floor.roster.by_device.get(device, ())
    here = [a for a in agents if a.state is not AgentState.LOGGED_OUT and device in a.devices]
    chosen = here or [a for a in agents if device in a.definition.phones]
    return chosen[0].name if len(chosen) == 1 else None


def _journal_options(table: JournalTable, base: Path) -> JournalOptions | None:
    if table.directory is None:
        return None
    return JournalOptions(base / table.directory, max_mb=table.max_mb, keep=table.keep, outputs=table.outputs)


def _fallback(definition: FloorDefinition) -> str:
    to = definition.fallback
    return f"{to.context},{to.exten},{to.priority}" if isinstance(to, ToDialplan) else ""


def _path(path: Path | None) -> Path:
    assert path is not None, "filled in by load_settings"
    return path


def _tls(wanted: bool, ca_file: Path | None) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file)) if wanted else None


async def run(settings: Settings, floor: FloorDefinition, base: Path) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads the floor."""
    stop, again, woken = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def heard(what: asyncio.Event) -> None:
        what.set()
        woken.set()

    for number, what in ((signal.SIGTERM, stop), (signal.SIGINT, stop), (signal.SIGHUP, again)):
        loop.add_signal_handler(number, heard, what)
    service = Service(settings, floor, base)
    try:
        await service.start()
        keep_what_there_is()
        while not stop.is_set():
            await woken.wait()
            woken.clear()
            if again.is_set() and not stop.is_set():
                again.clear()
                await service.reload_floor()
        log.info("stopping; calls go on in Asterisk")
    finally:
        await service.close()


def _warn(loaded: LoadedSettings | LoadedFloor) -> None:
    for problem in loaded.warnings:
        log.warning("%s", problem)


def read_all(path: Path) -> tuple[LoadedSettings, LoadedFloor]:
    """acd.toml and floor.yaml. Raises ConfigurationError with the mistakes of both."""
    problems: list[str] = []
    loaded: LoadedSettings | None = None
    try:
        loaded = load_settings(path)
        floor_file = loaded.settings.floor.file
    except ConfigurationError as error:
        problems += error.problems
        floor_file = floor_file_of(path)
    try:
        floor = load_floor(floor_file)
    except ConfigurationError as error:
        problems += error.problems
    if problems or loaded is None:
        raise ConfigurationError(problems)
    return loaded, floor


@click.command()
@common_options
def serve() -> None:
    """Run the service until it is stopped (SIGTERM, Ctrl-C). SIGHUP does what `acd floor reload` does.

    Calls are held by Asterisk, not by this process: it may be stopped, killed and started at any time.
    """
    path = find_config(options().config)
    loaded, floor = read_all(path)
    set_up_logging(loaded.settings)
    _warn(loaded)
    _warn(floor)
    os.umask(0o077)
    # The threads that store records give way to a call after half a millisecond, not after five
    sys.setswitchinterval(0.0005)
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner, contextlib.suppress(KeyboardInterrupt):
        try:
            runner.run(run(loaded.settings, floor.definition, loaded.path.parent))
        except OSError as error:
            raise AcdError(f"cannot serve: {error}") from error
