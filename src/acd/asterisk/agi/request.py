"""One FastAGI session as its handler sees it: who calls, on which path, and a way to run commands.

Commands and replies only; connections are accepted, limited and closed by ``server``. A task reads the socket all the
while, so a hang-up is known when it happens and not at the next command, and a line that came before a command was
sent can never be taken for its reply.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from acd.asterisk.agi.assignments import ArrayTrust, Way, check_assignments, plan_assignments
from acd.asterisk.agi.commands import AgiReply, continues, encode_command, parse_reply
from acd.asterisk.agi.counters import AgiCounters
from acd.domain.errors import AsteriskError, MisuseError

MAX_REPLY_LINES = 512
_MAX_QUERY_FIELDS = 100


class AgiClosedError(AsteriskError):
    """Asterisk closed the AGI session (hang-up, redirect, time limit): no command can be run any more."""


class AgiTimeoutError(AsteriskError):
    """Asterisk did not reply in time. The session is closed, because a later reply would be taken for another's."""


class AgiRequest:
    """``path`` is the URL's path without slashes at its ends, ``query`` its decoded query (the last of equal names).

    ``args`` are the further arguments of AGI(), ``variables`` all ``agi_*`` headers. ``hung_up`` turns true when the
    channel hangs up or is redirected; ``closed`` when the session is over. One command at a time.
    """

    def __init__(
        self,
        variables: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        remote: str,
        command_timeout_s: float,
        counters: AgiCounters,
        trust: ArrayTrust,
    ) -> None:
        script, _, query = variables.get("agi_network_script", "").partition("?")
        self.path = unquote(script).strip("/")
        self.query = dict(parse_query(query))
        self.args = _arguments(variables)
        self.variables = variables
        self.remote = remote
        self.hung_up = False
        self.closed = False
        self._reader = reader
        self._writer = writer
        self._command_timeout_s = command_timeout_s
        self._counters = counters
        self._trust = trust
        self._lines: deque[str] = deque()
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._busy = False

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
            reply = await self._run(step.wire, step.way.value)
            if reply.code != 200 or (step.way is Way.MSET and reply.result == "-2"):
                what = ", ".join(step.part)
                raise AsteriskError(
                    f"{self.channel!r:.100}: Asterisk did not set {what:.200}: {reply.code} {reply.text:.200}"
                )
            if step.way is Way.ARRAY and has_array is None:
                has_array = await self._was_set(step.part)
                self._trust.note(self.remote, has_array, loop.time())
                if not has_array:
                    return await self.set_variables(values)
        return None

    async def get_variable(self, name: str) -> str | None:
        """The value of a channel variable or function, up to 1,023 bytes; None when there is no such variable."""
        reply = await self.command("GET VARIABLE", name)
        return (reply.value or "") if reply.code == 200 and reply.result == "1" else None

    async def over(self) -> None:
        """Wait until the channel has hung up or the session has ended: to be raced against what a handler waits for."""
        await self._over.wait()

    # -- for the server -------------------------------------------------------------------------------------------

    async def pump(self) -> None:
        """Read lines until the session ends; never raises but CancelledError."""
        try:
            while True:
                line = (await self._reader.readuntil(b"\n")).decode(errors="replace").rstrip("\r\n")
                if line == "HANGUP":
                    self._counters.hangups += not self.hung_up
                    self.hung_up = True
                    self._over.set()
                elif len(self._lines) < MAX_REPLY_LINES:
                    self._lines.append(line)
                    self._news.set()
                else:
                    self._counters.malformed += 1
                    break
        except asyncio.LimitOverrunError:
            self._counters.malformed += 1
        except (asyncio.IncompleteReadError, OSError):
            pass  # the end of every session
        finally:
            self.abort()

    def abort(self) -> None:
        """End the session now; the dialplan goes on at its next priority."""
        self.closed = True
        self._news.set()
        self._over.set()
        close_writer(self._writer)

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _run(
        self, wire: bytes, verb: str, *, reads_value: bool = False, timeout_s: float | None = None
    ) -> AgiReply:
        if self._busy:
            raise MisuseError(f"AGI command {verb} on {self.channel!r:.100}: another command is still running")
        self._counters.stray_lines += len(self._lines)
        self._lines.clear()
        self._raise_if_closed(verb)
        limit_s = self._command_timeout_s if timeout_s is None else timeout_s
        self._busy = True
        try:
            async with asyncio.timeout(limit_s) as scope:
                self._writer.write(wire)
                return await self._reply(verb, reads_value)
        except BaseException as error:
            # A reply may still come, and nothing would tell it from the reply to a later command.
            self.abort()
            if isinstance(error, TimeoutError) and scope.expired():
                self._counters.command_timeouts += 1
                raise AgiTimeoutError(f"no reply to AGI {verb} on {self.channel!r:.100} within {limit_s:g} s") from None
            raise
        finally:
            self._busy = False

    async def _reply(self, verb: str, reads_value: bool) -> AgiReply:
        while True:
            lines = [await self._next_line(verb)]
            while continues(lines, value_expected=reads_value) and len(lines) < MAX_REPLY_LINES:
                lines.append(await self._next_line(verb))
            reply = parse_reply(lines)
            if reply is None:
                self._counters.stray_lines += len(lines)
            elif reply.code != 100:  # "100 Trying...": the reply is still to come
                self.hung_up = self.hung_up or reply.code == 511
                return reply

    async def _next_line(self, verb: str) -> str:
        while not self._lines:
            self._raise_if_closed(verb)
            self._news.clear()
            await self._news.wait()
        return self._lines.popleft()

    def _raise_if_closed(self, verb: str) -> None:
        if self.closed:
            raise AgiClosedError(f"Asterisk ended the AGI session of {self.channel!r:.100} before {verb} was done")

    async def _was_set(self, part: Mapping[str, str]) -> bool:
        """Whether the last of these variables that says something says it now."""
        for name, value in reversed(list(part.items())):
            if 0 < len(value.encode(errors="replace")) < 1000:
                return await self.get_variable(name.lstrip("_")) == value
        return False


def close_writer(writer: asyncio.StreamWriter) -> None:
    """Close a connection without waiting for a peer that does not read."""
    if writer.transport.get_write_buffer_size():
        writer.transport.abort()
    else:
        writer.close()


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
