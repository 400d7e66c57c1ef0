"""One FastAGI session as its handler sees it: who calls, on which path, and a way to run commands.

Commands and replies only; connections are accepted, limited and closed by ``server``. Lines are taken as they come, so
a hang-up is known when it happens and not at the next command, and a line that came before a command was sent can never
be taken for its reply. Who is in a hurry is called back (``set_variables_last``), who is not awaits.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from acd.asterisk.agi.assignments import ArrayTrust, Assignment, Way, check_assignments, plan_assignments
from acd.asterisk.agi.commands import AgiReply, continues, encode_command, parse_reply
from acd.asterisk.agi.counters import AgiCounters
from acd.asterisk.agi.link import AgiLink
from acd.asterisk.patience import Patience
from acd.domain.errors import AsteriskError, MisuseError

MAX_REPLY_LINES = 512
_MAX_QUERY_FIELDS = 100


class AgiClosedError(AsteriskError):
    """Asterisk closed the AGI session (hang-up, redirect, time limit): no command can be run any more."""


class AgiTimeoutError(AsteriskError):
    """Asterisk did not reply in time. The session is closed, because a later reply would be taken for another's."""


class Ending(enum.Enum):
    """What a handler may return besides None."""

    LATER = "later"
    """the session goes on until somebody calls ``AgiRequest.abort``"""


def entered_at(text: str, default: float) -> float:
    """Asterisk's own time of a caller's entry, told by the dialplan; ``default`` if that is none."""
    try:
        value = float(text)
    except ValueError:
        return default
    return value if 0 < value < default + 60 else default


Done = Callable[["AgiReply | AsteriskError"], None]


@dataclass(slots=True)
class _Running:
    """The command that awaits its reply."""

    verb: str
    reads_value: bool
    done: Done
    timer: Patience
    lines: list[str]


class AgiRequest:
    """``path`` is the URL's path without slashes at its ends, ``query`` its decoded query (the last of equal names).

    ``args`` are the further arguments of AGI(), ``variables`` all ``agi_*`` headers. ``hung_up`` turns true when the
    channel hangs up or is redirected; ``closed`` when the session is over. One command at a time. ``spawn`` runs a
    coroutine as a task of the server's.
    """

    def __init__(
        self,
        variables: dict[str, str],
        link: AgiLink,
        *,
        command_timeout_s: float,
        counters: AgiCounters,
        trust: ArrayTrust,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        script, _, query = variables.get("agi_network_script", "").partition("?")
        self.path = (unquote(script) if "%" in script else script).strip("/")
        self.query = dict(parse_query(query)) if query else {}
        self.args = _arguments(variables)
        self.variables = variables
        self.remote = link.remote
        self.hung_up = False
        self.closed = False
        self.spawn = spawn
        self._link = link
        self._command_timeout_s = command_timeout_s
        self._counters = counters
        self._trust = trust
        self._running: _Running | None = None
        self._strays = 0
        self._over: asyncio.Event | None = None
        link.on_line = self._line
        link.on_overrun = self._overrun

    @property
    def uniqueid(self) -> str:
        return self.variables.get("agi_uniqueid", "")

    @property
    def channel(self) -> str:
        return self.variables.get("agi_channel", "")

    @property
    def callerid(self) -> str:
        """The caller's number, or ``unknown``."""
        return self.variables.get("agi_callerid", "")

    @property
    def calleridname(self) -> str:
        """The caller's name, or ``unknown``; from the other end of the line, so believe nothing in it."""
        return self.variables.get("agi_calleridname", "")

    @property
    def dnid(self) -> str:
        """The number dialled, or ``unknown``."""
        return self.variables.get("agi_dnid", "")

    @property
    def extension(self) -> str:
        return self.variables.get("agi_extension", "")

    @property
    def context(self) -> str:
        return self.variables.get("agi_context", "")

    @property
    def language(self) -> str:
        return self.variables.get("agi_language", "")

    async def command(self, verb: str, *arguments: str, timeout_s: float | None = None) -> AgiReply:
        """Run one command (``command("SET VARIABLE", "a", "1")``); arguments are quoted here. Returns its reply.

        Raises AgiClosedError when the session is over, AgiTimeoutError after ``timeout_s``, MisuseError for what
        cannot be sent or while another command runs. A reply of any code is returned, not raised.
        """
        reads_value = verb.upper().startswith("GET ")
        return await self._run(encode_command(verb, *arguments), verb, reads_value=reads_value, timeout_s=timeout_s)

    async def set_variables(self, values: Mapping[str, str]) -> None:
        """Set channel variables in the order given, in as few round trips as is safe (mostly one).

        Any text may be a value but CR, LF and NUL. A variable named last is set last: it may serve as proof. Raises as
        ``command``, MisuseError before anything is set, and AsteriskError when Asterisk refuses.
        """
        check_assignments(values)
        loop = asyncio.get_running_loop()
        has_array = self._trust.has_array(self.remote, loop.time())
        for step in plan_assignments(values, Way.MSET if has_array is False else Way.ARRAY):
            refusal = self._refusal(step, await self._run(step.wire, step.way.value))
            if refusal is not None:
                raise refusal
            if step.way is Way.ARRAY and has_array is None:
                has_array = await self._was_set(step.part)
                self._trust.note(self.remote, has_array, loop.time())
                if not has_array:
                    return await self.set_variables(values)
        return None

    def set_variables_last(self, values: Mapping[str, str], done: Callable[[AsteriskError | None], None]) -> None:
        """As ``set_variables``, as the session's last word, for who does not await: ``done`` gets None, or what went wrong.
        Raises MisuseError.

        Where one command does, the end of the session goes with it: the dialplan goes on at once, and need not wait until
        we have heard of its reply and have closed.
        """
        if self._trust.has_array(self.remote, asyncio.get_running_loop().time()):
            check_assignments(values)
            steps = list(plan_assignments(values, Way.ARRAY))
            if len(steps) == 1:
                step = steps[0]

                def replied(reply: AgiReply | AsteriskError) -> None:
                    done(self._refusal(step, reply) if isinstance(reply, AgiReply) else reply)

                self._begin(step.wire, step.way.value, replied, last=True)
                return

        async def slowly() -> None:
            try:
                await self.set_variables(values)
            except AsteriskError as error:
                done(error)
            else:
                done(None)

        self.spawn(slowly())

    async def get_variable(self, name: str) -> str | None:
        """The value of a channel variable or function, up to 1,023 bytes; None when there is no such variable."""
        reply = await self.command("GET VARIABLE", name)
        return (reply.value or "") if reply.code == 200 and reply.result == "1" else None

    async def waits(self) -> bool:
        """Whether the dialplan still waits for an answer, told by its answering us."""
        try:
            await self.get_variable("acd_call")
        except AsteriskError:
            return False
        return True

    async def over(self) -> None:
        """Wait until the channel has hung up or the session has ended: to be raced against what a handler waits for."""
        if self._over is None:
            self._over = asyncio.Event()
            if self.hung_up or self.closed:
                self._over.set()
        await self._over.wait()

    # -- for the server -------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """End the session now, whatever is under way; the dialplan goes on at its next priority. Twice does no harm."""
        self.ended()
        self._link.close()

    def ended(self) -> None:
        """The connection is over."""
        self.closed = True
        self._set_over()
        running = self._running
        if running is not None:
            self._settle(running, self._closed_error(running.verb))

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _run(
        self, wire: bytes, verb: str, *, reads_value: bool = False, timeout_s: float | None = None
    ) -> AgiReply:
        future: asyncio.Future[AgiReply | AsteriskError] = asyncio.get_running_loop().create_future()

        def done(reply: AgiReply | AsteriskError) -> None:
            if not future.done():
                future.set_result(reply)

        self._begin(wire, verb, done, reads_value=reads_value, timeout_s=timeout_s)
        try:
            reply = await future
        except BaseException:
            # A reply may still come, and nothing would tell it from the reply to a later command.
            self.abort()
            raise
        if isinstance(reply, AsteriskError):
            raise reply
        return reply

    def _begin(
        self,
        wire: bytes,
        verb: str,
        done: Done,
        *,
        reads_value: bool = False,
        timeout_s: float | None = None,
        last: bool = False,
    ) -> None:
        """Send a command, perhaps the last; ``done`` gets its reply, or AgiClosedError or AgiTimeoutError. Raises
        MisuseError."""
        if self._running is not None:
            raise MisuseError(f"AGI command {verb} on {self.channel!r:.100}: another command is still running")
        if self.closed:
            done(self._closed_error(verb))
            return
        limit_s = self._command_timeout_s if timeout_s is None else timeout_s
        timer = Patience(limit_s, self._too_late, limit_s)
        self._running = _Running(verb, reads_value, done, timer, [])
        if last:
            self._link.write_last(wire)
        else:
            self._link.write(wire)

    def _line(self, line: str) -> None:
        running = self._running
        if line == "HANGUP":
            self._counters.hangups += not self.hung_up
            self.hung_up = True
            self._set_over()
        elif running is None:
            self._stray(1)
        else:
            lines = running.lines
            lines.append(line)
            if continues(lines, value_expected=running.reads_value) and len(lines) < MAX_REPLY_LINES:
                return
            running.lines = []
            reply = parse_reply(lines)
            if reply is None:
                self._stray(len(lines))
            elif reply.code != 100:  # "100 Trying...": the reply is still to come
                self.hung_up = self.hung_up or reply.code == 511
                self._settle(running, reply)

    def _stray(self, lines: int) -> None:
        self._counters.stray_lines += lines
        self._strays += lines
        if self._strays > MAX_REPLY_LINES:
            self._overrun()

    def _overrun(self) -> None:
        self._counters.malformed += 1
        self.abort()

    def _settle(self, running: _Running, reply: AgiReply | AsteriskError) -> None:
        self._running = None
        running.timer.cancel()
        running.done(reply)

    def _too_late(self, limit_s: float) -> None:
        running = self._running
        if running is not None:
            self._counters.command_timeouts += 1
            text = f"no reply to AGI {running.verb} on {self.channel!r:.100} within {limit_s:g} s"
            self._settle(running, AgiTimeoutError(text))
            self.abort()

    def _set_over(self) -> None:
        if self._over is not None:
            self._over.set()

    def _closed_error(self, verb: str) -> AgiClosedError:
        return AgiClosedError(f"Asterisk ended the AGI session of {self.channel!r:.100} before {verb} was done")

    def _refusal(self, step: Assignment, reply: AgiReply) -> AsteriskError | None:
        if reply.code == 200 and not (step.way is Way.MSET and reply.result == "-2"):
            return None
        what = ", ".join(step.part)
        return AsteriskError(f"{self.channel!r:.100}: Asterisk did not set {what:.200}: {reply.code} {reply.text:.200}")

    async def _was_set(self, part: Mapping[str, str]) -> bool:
        """Whether the last of these variables that says something says it now."""
        for name, value in reversed(list(part.items())):
            if 0 < len(value.encode(errors="replace")) < 1000:
                return await self.get_variable(name.lstrip("_")) == value
        return False


def parse_query(query: str) -> list[tuple[str, str]]:
    """Decoded pairs of a query; a query with over 100 fields counts as empty."""
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError:
        return []


def _arguments(variables: dict[str, str]) -> list[str]:
    arguments: list[str] = []
    while (argument := variables.get(f"agi_arg_{len(arguments) + 1}")) is not None:
        arguments.append(argument)
    return arguments
