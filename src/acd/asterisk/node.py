"""One Asterisk node: two manager sessions, the translator between them and the floor, and the resynchronisation.

Events come by one session, actions go by the other. Whenever both are up: check what Asterisk is, set the globals,
look at all channels while events are kept back, hand the look to the floor, then the events. A heartbeat tells the
dialplan that we live; a running comparison finds what was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from acd.asterisk.ami.messages import Message
from acd.asterisk.ami.session import AmiSession
from acd.asterisk.executor import NodeExecutor
from acd.asterisk.snapshot import read_channels
from acd.asterisk.translate import WANTED, Translator, phone_state
from acd.domain.errors import AcdError, AsteriskError, AsteriskUnsuitableError
from acd.domain.events import Event, NodeLost, NodeResynced
from acd.domain.states import PhoneState

log = logging.getLogger(__name__)

OLDEST = (20, 11)
NEEDED_MODULES = (
    "app_dial",
    "app_playtones",
    "app_userevent",
    "app_verbose",
    "res_agi",
    "res_musiconhold",
    "func_callerid",
    "func_strings",
    "func_logic",
    "func_timeout",
    "func_global",
    "func_dialplan",
)
NEEDED_CONTEXTS = ("acd-inbound", "acd-arrive", "acd-register", "acd-hold", "acd-offer", "acd-after", "acd-leave")
HEARTBEAT_S = 1.0
RECONCILE_S = 30.0
RECONCILE_MARGIN_S = 3.0
UNSUITABLE_PAUSE_S = 5.0
MAX_BUFFERED = 200_000


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How to reach a node, and what to tell it. ``agi_address`` is what the node's dialplan dials (host:port)."""

    name: str
    host: str
    port: int
    event_user: str
    event_secret: str
    action_user: str
    action_secret: str
    agi_address: str
    fallback: str = ""
    tls: Any = None


class Node:
    """Runs for ever once started. ``submit`` gets events, ``alarm(kind, detail)`` what a person should know; ``devices``
    are the phones whose states matter."""

    def __init__(
        self,
        settings: NodeSettings,
        *,
        epoch: int,
        submit: Callable[[Event], None],
        alarm: Callable[[str, str], None],
        devices: Callable[[], Iterable[str]] = tuple,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self._epoch = epoch
        self._submit = submit
        self._alarm = alarm
        self._devices = devices
        self._clock = clock
        self.translator = Translator(self.name, submit, warn=alarm, clock=clock)
        self._buffer: list[Message] | None = None
        self._generation = itertools.count(1)
        self._started_uptime: float | None = None
        self._restarted = False
        self._phones: dict[str, PhoneState] = {}
        self._synced = asyncio.Event()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._state, self._detail, self._since = "down", "not yet connected", clock()
        self.version = ""
        self.events = AmiSession(
            name=f"{self.name}-events",
            host=settings.host,
            port=settings.port,
            username=settings.event_user,
            secret=settings.event_secret,
            on_event=self._on_event,
            on_up=self._on_events_up,
            on_down=self._on_down,
            wanted=WANTED,
            tls=settings.tls,
        )
        self.actions = AmiSession(
            name=f"{self.name}-actions",
            host=settings.host,
            port=settings.port,
            username=settings.action_user,
            secret=settings.action_secret,
            on_event=lambda _: None,
            on_up=self._on_actions_up,
            on_down=self._on_down,
            wanted=frozenset(),
            events="off",
            tls=settings.tls,
        )
        self.executor = NodeExecutor(self.name, self.actions, submit, clock)

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect, and stay connected."""
        await self.events.start()
        await self.actions.start()
        self._task = asyncio.create_task(self._run(), name=f"node-{self.name}")
        self._task.add_done_callback(_report)

    async def close(self) -> None:
        """Stop. Calls go on in Asterisk; the heartbeat stands still from now on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.events.close()
        await self.actions.close()

    async def wait_synced(self, timeout_s: float) -> bool:
        """Whether the node was resynchronised within ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._synced.wait(), timeout_s)
        return self._synced.is_set()

    def status(self) -> dict[str, Any]:
        """``{"name", "state": up|down|syncing|unsuitable, "version", "since", "detail"}``."""
        errors = [str(s.last_error) for s in (self.events, self.actions) if not s.up and s.last_error is not None]
        detail = "; ".join(dict.fromkeys(errors)) or self._detail
        return {
            "name": self.name,
            "state": self._state,
            "version": self.version,
            "since": self._since,
            "detail": detail if self._state != "up" else "",
        }

    def counters(self) -> Mapping[str, int]:
        """Counters of both sessions, prefixed."""
        counts: dict[str, int] = {}
        for label, session in (("ami_events", self.events), ("ami_actions", self.actions)):
            for name, value in asdict(session.counters).items():
                counts[f"{label}_{name}"] = value
        return counts

    def resync(self, reason: str) -> None:
        """Ask for a fresh look at everything, because events were lost."""
        log.warning("%s: resynchronising: %s", self.name, reason)
        self.events.drop(reason)

    # -- sessions ----------------------------------------------------------------------------------------------------

    def _set(self, state: str, detail: str) -> None:
        if state != self._state:
            self._since = self._clock()
            log.info("%s is %s%s", self.name, state, f": {detail}" if detail else "")
        self._state, self._detail = state, detail

    def _on_event(self, message: Message) -> None:
        if self._buffer is None:
            self.translator.feed(message)
        elif len(self._buffer) < MAX_BUFFERED:
            self._buffer.append(message)
        else:
            self._buffer = []
            self.resync("too many events while resynchronising")

    def _on_events_up(self, message: Message) -> None:
        uptime = message.get("Uptime", "")
        if uptime.isdigit():
            started = self._clock() - int(uptime)
            # Uptime is in whole seconds; two starts are never that close
            self._restarted = self._started_uptime is not None and abs(started - self._started_uptime) > 3.0
            self._started_uptime = started
        self._buffer = []
        self._wake.set()

    def _on_actions_up(self, message: Message) -> None:
        self._wake.set()

    def _on_down(self, reason: str) -> None:
        self._buffer = []
        if self._synced.is_set():
            self._synced.clear()
            self._submit(NodeLost(self._clock(), self.name))
        self._set("down", reason)
        self._wake.set()

    # -- the work ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        beat = itertools.count(int(self._clock()))
        next_look = 0.0
        while True:
            if not (self.events.up and self.actions.up):
                self._wake.clear()
                if not (self.events.up and self.actions.up):
                    await self._wake.wait()
                continue
            try:
                if not self._synced.is_set():
                    if self._state != "unsuitable":
                        self._set("syncing", "")
                    await self._check()
                    await self._set_globals()
                    await self._look(first=True)
                    self._set("up", "")
                    next_look = time.monotonic() + RECONCILE_S
                elif time.monotonic() >= next_look:
                    next_look = time.monotonic() + RECONCILE_S
                    await self._look(first=False)
                self.actions.send("Setvar", (("Variable", "acd_beat"), ("Value", str(next(beat)))))
            except AsteriskUnsuitableError as error:
                self._set("unsuitable", str(error))
                self._alarm("asterisk_unsuitable", f"{self.name}: {error}")
                # An Asterisk that comes back may have been mended
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), UNSUITABLE_PAUSE_S)
                continue
            except AcdError as error:
                log.warning("%s: %s", self.name, error)
            await asyncio.sleep(HEARTBEAT_S)

    async def _check(self) -> None:
        settings = await self.actions.action("CoreSettings")
        self.version = settings.get("AsteriskVersion", "")
        match = re.match(r"(?:GIT-|certified[-/])?(\d+)\.(\d+)", self.version)
        if match is None or (int(match[1]), int(match[2])) < OLDEST:
            raise AsteriskUnsuitableError(
                f"Asterisk {self.version} is too old: acd needs {OLDEST[0]}.{OLDEST[1]} or newer (tested with 22)"
            )
        missing = []
        for module in NEEDED_MODULES:
            answer = await self.actions.send("Getvar", (("Variable", f"IFMODULE({module}.so)"),))
            if answer.get("Value") == "0":
                missing.append(module)
        if missing:
            raise AsteriskUnsuitableError(
                f"Asterisk lacks {', '.join(missing)}: load them (modules.conf), or install the package that has them"
            )
        absent = []
        for context in NEEDED_CONTEXTS:
            answer = await self.actions.send("Getvar", (("Variable", f"DIALPLAN_EXISTS({context})"),))
            if answer.get("Value") != "1":
                absent.append(context)
        if absent:
            raise AsteriskUnsuitableError(
                f"the dialplan has no {', '.join(absent)}: #include extensions_acd.conf and run `dialplan reload`"
            )

    async def _set_globals(self) -> None:
        values = {
            "acd_agi": self.settings.agi_address,
            "acd_node": self.name,
            "acd_epoch": f"{self._epoch:06d}",
        }
        if self.settings.fallback:
            values["ACD_FALLBACK"] = self.settings.fallback
        batch = [("Setvar", (("Variable", name), ("Value", value))) for name, value in values.items()]
        for answer in await asyncio.gather(*self.actions.send_many(batch)):
            if answer.get("Response") != "Success":
                raise AsteriskError(f"{self.name} refused to set a global variable: {answer.get('Message')}")

    async def _look(self, *, first: bool) -> None:
        at = self._clock()
        buffer = self._buffer
        channels = await self.actions.list_action("CoreShowChannels")
        devices = await self.actions.list_action("DeviceStateList")
        phones = await self._phone_states(devices)
        if first and (self._buffer is not buffer or self._buffer is None or not self.events.up):
            raise AsteriskError(f"{self.name}: the connection was lost while resynchronising")
        if first:
            self.translator.clear()
        seen = read_channels(channels, self.translator, prime=first)
        margin_s = 0.0 if first else RECONCILE_MARGIN_S
        restarted = first and self._restarted
        if not first:
            # Overrule the events only by what stood still from one look to the next and was not heard of meanwhile
            heard = self.translator.devices_heard
            steady = {d: s for d, s in phones.items() if self._phones.get(d) is s and heard.get(d, 0.0) < at - 1.0}
            self._phones, phones = phones, steady
        self._submit(NodeResynced(at, self.name, seen, phones, margin_s, restarted))
        if first:
            self._restarted = False
            kept, self._buffer = self._buffer or [], None
            for message in kept:
                self.translator.feed(message)
            self._synced.set()

    async def _phone_states(self, listed: Sequence[Message]) -> dict[str, PhoneState]:
        """The states Asterisk lists, and those of our phones that it has not had a reason to list since its start."""
        texts = {device.get("Device", ""): device.get("State", "") for device in listed}
        # Numbers behind a trunk have no state of their own; only endpoints are asked for
        unlisted = [
            device
            for device in self._devices()
            if device not in texts and device.upper().startswith("PJSIP/") and not set(device[6:]) & {"@", "/"}
        ]
        questions = [("Getvar", (("Variable", f"DEVICE_STATE({device})"),)) for device in unlisted]
        for start in range(0, len(questions), 500):
            answers = await asyncio.gather(*self.actions.send_many(questions[start : start + 500]))
            for device, answer in zip(unlisted[start : start + 500], answers, strict=True):
                texts[device] = answer.get("Value", "")
        states = {device: phone_state(text) for device, text in texts.items()}
        return {device: state for device, state in states.items() if state is not None}


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("%s ended by itself", task.get_name(), exc_info=task.exception())
