"""One Asterisk node: its manager session, the translator between it and the floor, and the resynchronisation.

Events come and actions go by one lasting session: up to 22.10 Asterisk wakes every session for every event, also one
that hears none (a second session cost it half a millisecond a call). Long lists come by a second user's session of
seconds, so that no event waits behind them. Whenever the session is up: check what Asterisk is, set the globals, look at
all channels while events are kept back, hand the look to the floor, then the events. A heartbeat tells the dialplan that
we live; a running comparison finds what was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from acd.asterisk.agi.request import entered_at
from acd.asterisk.ami.messages import Message
from acd.asterisk.ami.quietlog import QuietLog
from acd.asterisk.ami.session import AmiSession
from acd.asterisk.executor import NodeExecutor
from acd.asterisk.lasting import LastingLines
from acd.asterisk.outbound import NodeOutbound
from acd.asterisk.snapshot import asking, read_channels
from acd.asterisk.sounds import is_here, lacks
from acd.asterisk.suitable import (
    TO_CALL,
    TO_DIAL,
    TO_LOOK,
    RightsMissingError,
    check_parts,
    check_rights,
    version_of,
)
from acd.asterisk.translate import WANTED, Translator, phone_state
from acd.domain.errors import (
    AcdError,
    AmiAuthenticationError,
    AmiDisconnectedError,
    AsteriskError,
    AsteriskUnsuitableError,
)
from acd.domain.events import CallEnded, Event, LineEnded, NodeLost, NodeResynced
from acd.domain.outbound import OutboundSink
from acd.domain.states import PhoneState
from acd.domain.values import valueclass

log = logging.getLogger(__name__)

HEARTBEAT_S = 1.0
RECONCILE_S = 30.0
APART_S = 1.0
"""Clocks that are farther apart are told of."""
RECONCILE_MARGIN_S = 3.0
UNSUITABLE_PAUSE_S = 5.0
LOCKED_OUT_PAUSE_S = 60.0
MAX_AGAIN_S = 16.0
"""What fails at the start is tried again after a second, then after twice that each time, up to this."""
LOOK_WITHIN_S = 5.0
HEAR_WITHIN_S = 1.0
MAX_BUFFERED = 200_000
ASKED_AT_ONCE = 500
STOPPING = "shutting down"
"""Part of what Asterisk answers to any action from when it was told to stop."""
_HOST = re.compile(r"sips?:(?:[^@&;]*@)?(\[[0-9a-fA-F:.]+\]|[^:;&>]+)")


@valueclass(frozen=True, slots=True)
class NodeSettings:
    """How to reach a node, and what to tell it. ``agi_address`` is what the node's dialplan dials (host:port)."""

    name: str
    host: str
    port: int
    call_user: str
    call_secret: str
    look_user: str
    look_secret: str
    agi_address: str
    fallback: str = ""
    tls: Any = None


class Node:
    """Runs for ever once started. ``submit`` gets events, ``alarm(kind, detail)`` what a person should know; ``devices``
    are the phones whose states matter; ``outbound`` is told of dialled lines, where any are dialled; ``lasting``: whether
    agents are to have lasting lines; ``no_hurry``: whether no caller waits for what an event may bring."""

    def __init__(
        self,
        settings: NodeSettings,
        *,
        epoch: int,
        submit: Callable[[Event], None],
        alarm: Callable[[str, str], None],
        devices: Callable[[], Iterable[str]] = tuple,
        outbound: OutboundSink | None = None,
        lasting: Callable[[], bool] = lambda: False,
        no_hurry: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self._epoch = epoch
        self._submit = submit
        self._alarm = alarm
        self._devices = devices
        self._clock = clock
        self.translator = Translator(self.name, submit, warn=alarm, clock=clock, doubt=self._explain)
        self._buffer: list[Message] | None = None
        self._generation = itertools.count(1)
        self._started_uptime: float | None = None
        self._restarted = False
        self._phones: dict[str, PhoneState] = {}
        self._synced = asyncio.Event()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._state, self._detail, self._since = "down", "not yet connected", clock()
        self._quiet = QuietLog(log)
        self.version = ""
        self.calls = AmiSession(
            name=self.name,
            host=settings.host,
            port=settings.port,
            username=settings.call_user,
            secret=settings.call_secret,
            on_event=self._on_event,
            on_up=self._on_up,
            on_down=self._on_down,
            wanted=WANTED,
            tls=settings.tls,
            no_hurry=lambda: self._buffer is None and not self.outbound.busy and not self.lasting.busy and no_hurry(),
        )
        self.executor = NodeExecutor(self.name, self.calls, submit, clock)
        self.outbound = NodeOutbound(self.name, self.calls, outbound, clock)
        self.lasting = LastingLines(self.name, self.calls, submit, clock, doubt=self._explain_line)
        self._has_lasting = lasting
        self.executor.joins, self.executor.lasting = self._joins, self.lasting.execute
        self.executor.lines, self.executor.unserved = self.outbound.lines.lines, self.outbound.lines.unserved

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Connect, and stay connected."""
        await self.calls.start()
        self._task = asyncio.create_task(self._run(), name=f"node-{self.name}")
        self._task.add_done_callback(_report)

    async def close(self) -> None:
        """Stop. Calls go on in Asterisk; the heartbeat stands still from now on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self.calls.close()

    async def wait_synced(self, timeout_s: float) -> bool:
        """Whether the node was resynchronised within ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._synced.wait(), timeout_s)
        return self._synced.is_set()

    def status(self) -> dict[str, Any]:
        """``{"name", "state": up|down|syncing|unsuitable, "version", "since", "detail"}``."""
        error = self.calls.last_error
        detail = str(error) if error is not None and not self.calls.up else self._detail
        return {
            "name": self.name,
            "state": self._state,
            "version": self.version,
            "since": self._since,
            "detail": detail if self._state != "up" else "",
        }

    def counters(self) -> Mapping[str, int]:
        """Counters of the lasting session, prefixed."""
        return {f"ami_{name}": value for name, value in asdict(self.calls.counters).items()}

    async def has_place(self, place: str) -> bool:
        """Whether the dialplan has ``place``, CONTEXT,EXTEN,PRIORITY. Raises AsteriskError if the node does not answer."""
        answer = await self.calls.send("Getvar", (("Variable", f"DIALPLAN_EXISTS({place})"),))
        return answer.get("Value") == "1"

    async def lacks(self, sounds: Iterable[str]) -> tuple[list[str], str]:
        """Which of these sounds the node has not, and where it would have them. Of an Asterisk on another machine, or whose
        files cannot be read, nothing is known: none. Raises AsteriskError if the node does not answer."""
        if not is_here(self.settings.host):
            return [], ""
        answer = await self.calls.send("Getvar", (("Variable", "ASTDATADIR"),))
        folder = Path(answer.get("Value") or ".") / "sounds"
        return await asyncio.to_thread(_lacking, folder, list(sounds)), str(folder)

    async def hear(self) -> None:
        """Have taken all that Asterisk had said when this was asked for. Returns in any case within ``HEAR_WITHIN_S``."""
        with contextlib.suppress(AcdError, TimeoutError):
            async with asyncio.timeout(HEAR_WITHIN_S):
                await self.calls.send("Ping")
                await self.calls.caught_up()

    async def state_of(self, device: str) -> str:
        """What ``DEVICE_STATE`` says of a device: ``INVALID`` where there is none. Raises AsteriskError if the node does not
        answer."""
        answer = await self.calls.send("Getvar", (("Variable", f"DEVICE_STATE({device})"),))
        return answer.get("Value", "")

    def resync(self, reason: str) -> None:
        """Ask for a fresh look at everything, because events were lost."""
        log.warning("%s: resynchronising: %s", self.name, reason)
        self.calls.drop(reason)

    # -- sessions ----------------------------------------------------------------------------------------------------

    def _joins(self, offer: str, caller: str, leg: str, leg_name: str) -> None:
        self.translator.prime(offer, caller, leg, None, rang=False, channel_name=leg_name)

    def _set(self, state: str, detail: str) -> None:
        if state != self._state:
            self._since = self._clock()
            log.info("%s is %s%s", self.name, state, f": {detail}" if detail else "")
        self._state, self._detail = state, detail

    def _on_event(self, message: Message) -> None:
        if self._buffer is None:
            self._feed(message)
        elif len(self._buffer) < MAX_BUFFERED:
            self._buffer.append(message)
        else:
            self._buffer = []
            self.resync("too many events while resynchronising")

    def _feed(self, message: Message) -> None:
        self.translator.feed(message)
        self.outbound.feed(message)
        self.lasting.feed(message)

    def _explain(self, ended: CallEnded) -> None:
        self._if_stopping(lambda stopping: self._submit(replace(ended, stopped=stopping)))

    def _explain_line(self, ended: LineEnded) -> None:
        # Of a line that a stopping Asterisk hung up the next look tells: it is lost, and called for again
        self._if_stopping(lambda stopping: None if stopping else self._submit(ended))

    def _if_stopping(self, then: Callable[[bool], None]) -> None:
        """Who hung up a channel whose end has no cause? An Asterisk that is being stopped does it to all, and from then on
        refuses whatever it is asked; the event that says so comes a second later, or never. Else it may be who was on it.
        ``then`` is not called if the connection is lost: the resynchronisation will not find the channel."""

        def answered(answer: asyncio.Future[Message]) -> None:
            error = None if answer.cancelled() else answer.exception()
            if not answer.cancelled() and not isinstance(error, AmiDisconnectedError):
                then(error is None and STOPPING in answer.result().get("Message", ""))

        self.calls.send("Ping").add_done_callback(answered)

    def _on_up(self, message: Message) -> None:
        uptime = message.get("Uptime", "")
        if uptime.isdigit():
            started = self._clock() - int(uptime)
            # Uptime is in whole seconds; two starts are never that close
            self._restarted = self._started_uptime is not None and abs(started - self._started_uptime) > 3.0
            self._started_uptime = started
        self._buffer = []
        self._wake.set()

    def _on_down(self, reason: str) -> None:
        self._buffer = []
        if self._synced.is_set():
            self._synced.clear()
            self._submit(NodeLost(self._clock(), self.name))
            self.outbound.lost()
        self._set("down", reason)
        self._wake.set()

    # -- the work ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        beat = itertools.count(int(self._clock()))
        next_look, again_s = 0.0, HEARTBEAT_S
        while True:
            if not self.calls.up:
                self._wake.clear()
                if not self.calls.up:
                    await self._wake.wait()
                continue
            try:
                if not self._synced.is_set():
                    if self._state not in ("unsuitable", "syncing"):
                        self._set("syncing", "")
                    async with self._looking() as session:
                        await self._check(session)
                        await self._set_globals()
                        await self._look(session, first=True)
                    self._set("up", "")
                    next_look = time.monotonic() + RECONCILE_S
                elif time.monotonic() >= next_look:
                    next_look = time.monotonic() + RECONCILE_S
                    async with self._looking() as session:
                        await self._look(session, first=False)
                self.calls.send("Setvar", (("Variable", "acd_beat"), ("Value", str(next(beat)))))
            except AsteriskUnsuitableError as error:
                self._set("unsuitable", str(error))
                self._alarm("asterisk_unsuitable", f"{self.name}: {error}")
                if isinstance(error, RightsMissingError):
                    await self._pause(LOCKED_OUT_PAUSE_S)
                    self.calls.drop("to log in again, for rights that were missing")
                else:
                    await self._pause(UNSUITABLE_PAUSE_S)
                continue
            except AmiAuthenticationError as error:
                # Only the second user's can come here, and his session has said so in the log. Whoever asks again and
                # again is locked out
                self._detail = str(error)
                who = self.settings.look_user
                self._alarm("look_refused", f"{self.name}: {who} cannot log in, so nothing that was missed is found")
                if not self._synced.is_set():
                    await self._pause(LOCKED_OUT_PAUSE_S)
                    continue
            except AcdError as error:
                self._quiet.say(logging.WARNING, str(error), "%s: %s", self.name, error)
                if not self._synced.is_set():
                    self._detail = str(error)
                    await self._pause(again_s)
                    again_s = min(2 * again_s, MAX_AGAIN_S)
                    continue
            else:
                again_s = HEARTBEAT_S
            await asyncio.sleep(HEARTBEAT_S)

    async def _pause(self, length_s: float) -> None:
        """Wait, but not longer than until the connection was lost or made: an Asterisk that comes back may be mended."""
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), length_s)

    @contextlib.asynccontextmanager
    async def _looking(self) -> AsyncIterator[AmiSession]:
        """The second user's session, for the time of a look. Raises what keeps it from coming up."""
        settings = self.settings
        session = AmiSession(
            name=f"{self.name}-look",
            host=settings.host,
            port=settings.port,
            username=settings.look_user,
            secret=settings.look_secret,
            on_event=lambda _: None,
            on_up=lambda _: None,
            on_down=lambda _: None,
            wanted=frozenset(),
            events="off",
            tls=settings.tls,
        )
        await session.start()
        try:
            await session.wait_up(LOOK_WITHIN_S)
            yield session
        finally:
            await session.close()

    async def _check(self, session: AmiSession) -> None:
        settings = self.settings
        await check_rights(session, settings.look_user, TO_LOOK)
        await check_rights(self.calls, settings.call_user, TO_CALL)
        self.version = await version_of(session)
        outbound = self.outbound.sink is not None
        lasting = self._has_lasting()
        await check_parts(session, outbound=outbound, lasting=lasting)
        if outbound or lasting:
            try:
                await check_rights(self.calls, settings.call_user, TO_DIAL)
            except RightsMissingError as error:
                # Callers are served all the same
                self._alarm("cannot_dial" if outbound else "cannot_call_lines", f"{self.name}: {error}")

    async def _set_globals(self) -> None:
        values = {
            "acd_agi": self.settings.agi_address,
            "acd_node": self.name,
            "acd_epoch": f"{self._epoch:06d}",
        }
        if self.settings.fallback:
            values["ACD_FALLBACK"] = self.settings.fallback
        batch = [("Setvar", (("Variable", name), ("Value", value))) for name, value in values.items()]
        for answer in await asyncio.gather(*self.calls.send_many(batch)):
            if answer.get("Response") != "Success":
                raise AsteriskError(f"{self.name} refused to set a global variable: {answer.get('Message')}")

    async def _compare_clocks(self, session: AmiSession) -> None:
        """Tell if Asterisk's clock is not ours: times in the records are Asterisk's, and limits are kept by both."""
        asked = self._clock()
        stamp = (await session.action("Ping")).get("Timestamp", "")
        answered = self._clock()
        try:
            ahead_s = float(stamp) - (asked + answered) / 2
        except ValueError:
            return
        if APART_S < abs(ahead_s) - abs(answered - asked) / 2 < float("inf"):
            which = "ahead of" if ahead_s > 0 else "behind"
            detail = (
                f"the clock of Asterisk {self.name} is {abs(ahead_s):.0f} s {which} this machine's: times in records do not "
                "fit together, and campaigns charge people as abandoned who were not; keep both right, as with NTP"
            )
            self._alarm("clocks_apart", detail)

    async def _look(self, session: AmiSession, *, first: bool) -> None:
        await self._compare_clocks(session)
        at = self._clock()
        buffer = self._buffer
        channels = await session.list_action("CoreShowChannels")
        devices = await session.list_action("DeviceStateList")
        phones = await self._phone_states(session, devices)
        hosts = await self._hosts(session)
        # Of use only to tell callers of an earlier life from those who have come back since
        entered = await self._entered(session, asking(channels)) if first else {}
        # Before what they came to is known: an attempt that is over has come to that
        await self.outbound.read_opt_outs(session)
        if first and (self._buffer is not buffer or self._buffer is None or not self.calls.up):
            raise AsteriskError(f"{self.name}: the connection was lost while resynchronising")
        if first:
            self.translator.clear()
        phones_of_ours = frozenset(self._devices())
        seen = read_channels(channels, self.translator, prime=first, phones=phones_of_ours, entered=entered)
        seen = self.outbound.named(seen)
        lines = self.lasting.look(channels, first=first)
        margin_s = 0.0 if first else RECONCILE_MARGIN_S
        restarted = first and self._restarted
        if not first:
            # Overrule the events only by what stood still from one look to the next and was not heard of meanwhile
            heard = self.translator.devices_heard
            steady = {d: s for d, s in phones.items() if self._phones.get(d) is s and heard.get(d, 0.0) < at - 1.0}
            self._phones, phones = phones, steady
        self._submit(NodeResynced(at, self.name, seen, phones, margin_s, restarted, hosts, lines))
        self.outbound.look(at, channels, first=first, margin_s=margin_s)
        if first:
            self._restarted = False
            kept, self._buffer = self._buffer or [], None
            for message in kept:
                self._feed(message)
            self._synced.set()
            self.outbound.back()

    async def _entered(self, session: AmiSession, channels: Sequence[str]) -> dict[str, float]:
        """Since when, by the dialplan, these callers are with us; those only of whom that is known."""
        asked = [(("Channel", channel), ("Variable", "acd_entered")) for channel in channels]
        values = zip(channels, await _values(session, asked), strict=True)
        return {channel: entered_at(since, self._clock()) for channel, since in values if since}

    async def _hosts(self, session: AmiSession) -> dict[str, str]:
        """From where our PJSIP phones are registered."""
        devices = [d for d in self._devices() if d.upper().startswith("PJSIP/") and not set(d[6:]) & {"@", "/"}]
        hosts: dict[str, str] = {}
        asked = [(("Variable", f"PJSIP_DIAL_CONTACTS({device[6:]})"),) for device in devices]
        for device, contacts in zip(devices, await _values(session, asked), strict=True):
            host = host_of(contacts)
            if host is not None:
                hosts[device] = host
        return hosts

    async def _phone_states(self, session: AmiSession, listed: Sequence[Message]) -> dict[str, PhoneState]:
        """The states Asterisk lists, and those of our phones that it has not had a reason to list since its start."""
        texts = {device.get("Device", ""): device.get("State", "") for device in listed}
        # Numbers behind a trunk have no state of their own; only endpoints are asked for
        unlisted = [
            device
            for device in self._devices()
            if device not in texts and device.upper().startswith("PJSIP/") and not set(device[6:]) & {"@", "/"}
        ]
        asked = [(("Variable", f"DEVICE_STATE({device})"),) for device in unlisted]
        texts.update(zip(unlisted, await _values(session, asked), strict=True))
        states = {device: phone_state(text) for device, text in texts.items()}
        return {device: state for device, state in states.items() if state is not None}


async def _values(session: AmiSession, asked: Sequence[Sequence[tuple[str, str]]]) -> list[str]:
    """What Getvar answers to each, so many at a time."""
    values: list[str] = []
    for start in range(0, len(asked), ASKED_AT_ONCE):
        batch = [("Getvar", fields) for fields in asked[start : start + ASKED_AT_ONCE]]
        values += [answer.get("Value", "") for answer in await asyncio.gather(*session.send_many(batch))]
    return values


def _lacking(folder: Path, sounds: Sequence[str]) -> list[str]:
    try:
        # In a container, say, they are elsewhere
        return [one for one in sounds if lacks(folder, one)] if folder.is_absolute() and folder.is_dir() else []
    except OSError as error:
        log.debug("whether sounds are there is not known: %s", error)
        return []


def host_of(contacts: str) -> str | None:
    """The host in what PJSIP_DIAL_CONTACTS says (``PJSIP/1001/sip:1001@192.0.2.7:5060;ob&...``), if all contacts of the
    phone are at the same."""
    hosts = {match[1].strip("[]") for match in _HOST.finditer(contacts)}
    return hosts.pop() if len(hosts) == 1 else None


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("%s ended by itself", task.get_name(), exc_info=task.exception())
