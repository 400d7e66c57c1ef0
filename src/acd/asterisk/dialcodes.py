"""The FastAGI side of agents' dial codes: log in with number and PIN, log out, pause, resume from the phone itself, and
accept or skip the contact that is shown."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Protocol

from acd.asterisk.agi.request import AgiClosedError, AgiRequest
from acd.asterisk.translate import device_of
from acd.domain.campaignlines import SILENCE
from acd.domain.definition import AgentDefinition
from acd.domain.errors import AcdError, AsteriskError
from acd.domain.events import AgentAction
from acd.domain.ports import Answer
from acd.domain.states import LineStage

log = logging.getLogger(__name__)

TRIES = 3
LOCKED_S = 60.0
_MAX_LOCKS = 10_000


class Choice(StrEnum):
    """What an agent does about the contact he is shown."""

    ACCEPT = "accept"
    SKIP = "skip"


SOUNDS: dict[AgentAction | Choice, str] = {
    AgentAction.LOGIN: "agent-loginok",
    AgentAction.LOGOUT: "agent-loggedoff",
    AgentAction.PAUSE: "auth-thankyou",
    AgentAction.RESUME: "auth-thankyou",
    Choice.ACCEPT: "auth-thankyou",
    Choice.SKIP: "auth-thankyou",
}
SOUND_WRONG = "agent-incorrect"
_STAYS_AFTER = frozenset({AgentAction.LOGIN, AgentAction.RESUME})
"""The call on which one of these is asked for can become the agent's lasting line."""
SOUND_REFUSED = "beeperr"


class Request(Protocol):
    """The engine's way of asking the floor."""

    def __call__(
        self,
        agent: str,
        action: AgentAction,
        *,
        reason: str | None = None,
        phone: str | None = None,
        channel: str = "",
    ) -> Awaitable[Answer]: ...


class DialCodes:
    """Handles ``agi://controller/agent,node,action,reason``. ``agent_at(device)`` is who is logged in at a phone;
    ``noted(device, agent, action, answer)`` is told what came of each. ``choose(agent, accepts)``: about a contact."""

    def __init__(
        self,
        agents: Mapping[str, AgentDefinition],
        pause_reasons: tuple[str, ...],
        ask: Request,
        agent_at: Callable[[str], str | None],
        verify_pin: Callable[[str, str], bool],
        noted: Callable[[str, str, AgentAction | Choice, Answer], None] | None = None,
        choose: Callable[[str, bool], Awaitable[Answer]] | None = None,
    ) -> None:
        self._lines = {name: agent.lasting_line for name, agent in agents.items() if agent.lasting_line is not None}
        self._by_number = {agent.number: agent for agent in agents.values() if agent.number}
        self._pause_reasons = pause_reasons
        self._ask = ask
        self._agent_at = agent_at
        self._verify_pin = verify_pin
        self._noted = noted
        self._choose = choose
        self._failures: dict[str, tuple[int, float]] = {}
        self._checks = asyncio.Semaphore(2)

    async def agent(self, request: AgiRequest) -> None:
        """Carry out one dial code; the sound to play is the last thing set."""
        try:
            await self._agent(request)
        except AgiClosedError:
            raise  # hung up: that was all he wanted
        except AsteriskError as error:
            log.warning("dial code at %s: %s", device_of(request.channel), error)

    async def _agent(self, request: AgiRequest) -> None:
        _, action_name, reason = (*request.args, "", "", "")[:3]
        device = device_of(request.channel)
        action: AgentAction | Choice
        try:
            action = Choice(action_name) if action_name in tuple(Choice) else AgentAction(action_name)
        except ValueError:
            log.error("the dialplan asked for the agent action %r, which does not exist", action_name[:40])
            return
        name = await self._login_name(request, device) if action is AgentAction.LOGIN else self._agent_at(device)
        if name is None:
            await request.set_variables({"acd_say": SOUND_WRONG})
            return
        began = time.monotonic()
        try:
            channel = request.uniqueid if name in self._lines and action in _STAYS_AFTER else ""
            answer = await self._answer(name, action, device, reason, channel)
        except (AcdError, TimeoutError) as error:
            # A TimeoutError says nothing of itself
            why = str(error) or f"no answer within {time.monotonic() - began:.0f} s"
            log.warning("dial code %s of %s: %s", action, device, why)
            await request.set_variables({"acd_say": SOUND_REFUSED})
            return
        log.info("dial code %s at %s, agent %s: %s", action, device, name, answer.message)
        if self._noted is not None:
            self._noted(device, name, action, answer)
        values = {"acd_say": SOUNDS[action] if answer.ok else SOUND_REFUSED}
        if answer.ok and answer.data.get("line") == LineStage.STAYS:
            music = self._lines.get(name, SILENCE)
            values = {"acd_agent": name, "acd_hold": "" if music == SILENCE else music, "acd_stays": "1", **values}
        await request.set_variables(values)

    async def _answer(self, name: str, action: AgentAction | Choice, device: str, reason: str, channel: str) -> Answer:
        if isinstance(action, Choice):
            if self._choose is None:
                return Answer(False, "there are no contacts to be shown", {})
            return await self._choose(name, action is Choice.ACCEPT)
        why = self._pause_reason(reason)
        if action is AgentAction.PAUSE and reason and why is None:
            return Answer(False, f"there is no pause reason {reason[:8]!r}", {})
        return await self._ask(
            name,
            action,
            reason=why if action is AgentAction.PAUSE else None,
            phone=device if action is AgentAction.LOGIN else None,
            channel=channel,
        )

    async def _login_name(self, request: AgiRequest, device: str) -> str | None:
        number = await request.get_variable("acd_number") or ""
        pin = await request.get_variable("acd_pin") or ""
        failures, until = self._failures.get(device, (0, 0.0))
        if failures >= TRIES and time.monotonic() < until:
            log.warning("log-in at %s refused: too many wrong tries, locked for a minute", device)
            return None
        # Counted before it is checked: several tries at once are several tries
        if len(self._failures) >= _MAX_LOCKS:
            self._failures.pop(next(iter(self._failures)))
        self._failures[device] = (failures % TRIES + 1, time.monotonic() + LOCKED_S)
        agent = self._by_number.get(number)
        good = False
        if agent is not None and agent.pin_hash is not None:
            async with self._checks:  # scrypt takes tens of milliseconds of a core, off the event loop
                good = await asyncio.to_thread(self._verify_pin, pin, agent.pin_hash)
        if agent is None or not good:
            log.warning("log-in at %s refused: wrong agent number or PIN", device)
            return None
        self._failures.pop(device, None)
        return agent.name

    def _pause_reason(self, code: str) -> str | None:
        index = int(code) - 1 if code.isdigit() else -1
        return self._pause_reasons[index] if 0 <= index < len(self._pause_reasons) else None
