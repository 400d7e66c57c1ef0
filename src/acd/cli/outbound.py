"""Dialling in ``acd serve``: begun when the floor has campaigns, at the start or by a reload, and wired to the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from acd.asterisk.node import Node
from acd.asterisk.outbound import OutboundNodes, OutboundQuestions
from acd.asterisk.registration import Registration
from acd.domain import outbound as wire
from acd.domain.campaigns import CampaignState, machine_words_of
from acd.domain.commands import RaiseAlarm
from acd.domain.definition import FloorDefinition
from acd.domain.dialable import Fault, Undialable, dialable
from acd.domain.errors import AcdError, ConfigurationError, RefusedError, UnknownNameError
from acd.domain.events import AgentAction
from acd.domain.ports import Answer
from acd.engine import Engine
from acd.engine.engine import system_clock
from acd.outbound.asidefile import FILE as ASIDE
from acd.outbound.asidefile import AsideFile
from acd.outbound.hall import Hall
from acd.outbound.optouts import OptOuts
from acd.outbound.runtime import Dialling
from acd.outbound.storing import Shelf
from acd.store.outbound.evidence import LEAST_RING_S, evidence, names
from acd.store.outbound.outbound import Outbound

BEGIN_S: Final = 3.0
WARNINGS_S: Final = 2.0
"""So long whoever starts a campaign waits for what Asterisk says of its trunk and its sounds."""


class DiallingDesk:
    """What the service dials, once it has campaigns. Implements ``OutboundSink`` and ``api.CampaignsPort``. ``opt_outs``:
    the file where they are kept while the database is away, with ``hashed`` as hashes."""

    def __init__(
        self,
        engine: Engine,
        nodes: Mapping[str, Node],
        make_store: Callable[[], Outbound],
        sealed: Callable[[str], str],
        opt_outs: Path,
        *,
        hashed: bool = False,
    ) -> None:
        self._engine, self._nodes = engine, nodes
        self._make_store, self._sealed = make_store, sealed
        self._opt_outs, self._hashed = opt_outs, hashed
        self._wire = OutboundNodes(nodes, self)
        self._dialling: Dialling | None = None
        self._names: tuple[str, ...] = ()

    def questions(self, registration: Registration) -> OutboundQuestions:
        """Who answers what becomes of an answered line."""
        return OutboundQuestions(self._nodes, registration, self)

    def sink_for(self, definition: FloorDefinition) -> wire.OutboundSink | None:
        """What a node is told to tell: nothing while there are no campaigns, so that no dialplan need know of them."""
        return self if definition.campaigns else None

    async def start(self, definition: FloorDefinition, names: tuple[str, ...]) -> None:
        """Begin, if there is anything to dial. ``names``: of all nodes. Before they are connected, what earlier lives left
        is learnt, so that nobody who has answered meets a service that does not know him; but not for ever."""
        self._names = names
        if definition.campaigns:
            dialling = self._begin(definition)
            with suppress(TimeoutError):
                async with asyncio.timeout(BEGIN_S):
                    await dialling.began.wait()

    def _begin(self, definition: FloorDefinition) -> Dialling:
        engine = self._engine

        def alarm(kind: str, detail: str) -> None:
            engine.alarm(RaiseAlarm(kind, detail))

        sealed = self._sealed if self._hashed else None
        opt_outs, aside = OptOuts(self._opt_outs, sealed, alarm), AsideFile(self._opt_outs.with_name(ASIDE), sealed)
        self._dialling = dialling = Dialling(
            definition,
            engine.floor.epoch,
            shelf=Shelf(self._make_store(), self._sealed, opt_outs, aside),
            hall=Hall(engine.floor),
            send=self._wire.execute,
            alarm=alarm,
            nodes=self._names,
            clock=system_clock,
            engage=engine.engage,
            pause=lambda agent: engine.request(agent, AgentAction.PAUSE),
        )
        engine.watchers.append(dialling.records)
        dialling.start()
        return dialling

    def follow(self, definition: FloorDefinition) -> None:
        """The floor goes by another definition now."""
        if self._dialling is not None:
            self._dialling.follow(definition)
        elif definition.campaigns:
            self._begin(definition)
            for node in self._nodes.values():
                node.outbound.sink = self
                node.resync("there are campaigns now")

    async def close(self) -> None:
        """Place nothing more."""
        if self._dialling is not None:
            await self._dialling.close()

    def counters(self) -> Mapping[str, int]:
        """What was counted since the start."""
        return {} if self._dialling is None else self._dialling.counters()

    # -- OutboundSink ----------------------------------------------------------------------------------------------------

    def tell(self, event: wire.OutboundEvent) -> None:
        """Something happened on a line."""
        if self._dialling is not None:
            self._dialling.tell(event)

    def asked(self, question: wire.AttemptAsked) -> wire.OutboundReply | None:
        """What becomes of an answered line."""
        return None if self._dialling is None else self._dialling.asked(question)

    def dialled(self, attempt: str) -> tuple[str, str]:
        """Whom an attempt is at."""
        return ("", "") if self._dialling is None else self._dialling.dialled(attempt)

    # -- CampaignsPort ---------------------------------------------------------------------------------------------------

    def campaigns(self) -> list[dict[str, Any]]:
        return [] if self._dialling is None else self._dialling.campaigns()

    def campaign(self, name: str) -> dict[str, Any]:
        return self._need(name).campaign(name)

    def explain_campaign(self, name: str) -> dict[str, Any]:
        return self._need(name).explain(name)

    async def set_campaign(
        self, name: str, state: CampaignState, by: str, reason: str, *, hang_up: bool = False
    ) -> dict[str, Any]:
        return await self._need(name).set_state(name, state, by, reason, hang_up=hang_up)

    async def start_warnings(self, name: str) -> list[str]:
        definition = self._engine.floor.definition
        campaign = definition.campaigns.get(name)
        if campaign is None:
            return []
        trunk = definition.trunks[campaign.trunk]
        where = trunk.node or _only(self._nodes)
        node = self._nodes.get(where or "")
        if where is None or node is None:
            return []
        heard = {campaign.message: "who gets no agent hears no message"} if campaign.message else {}
        if campaign.machine_message:
            heard.setdefault(campaign.machine_message, "no message is left on machines")
        try:
            async with asyncio.timeout(WARNINGS_S):
                state = await node.state_of(trunk.endpoint) if trunk.endpoint else ""
                missing, folder = await node.lacks(heard)
        except (TimeoutError, AcdError):
            return []
        told = [f"Asterisk {where} has no endpoint {trunk.endpoint}: no call of trunk {trunk.name} can go out"]
        if state != "INVALID":
            # Without a contact of its own it is reached at the address that is dialled
            told = [f"trunk {trunk.name}: {trunk.endpoint} of Asterisk {where} cannot be reached at the moment"]
            if state != "UNAVAILABLE" or "/" in trunk.dial.partition("/")[2]:
                told = []
        return told + [f"Asterisk {where} has no sound {one} under {folder}: {heard[one]}" for one in missing]

    def agent_of(self, name: str) -> str:
        roster = self._engine.floor.roster
        found = roster.find(name)
        if found is None:
            known = [*roster.agents, *roster.by_number]
            raise UnknownNameError("agent", name, next(iter(get_close_matches(name, known, n=1)), None))
        return found.name

    def preview(self, agent: str) -> dict[str, Any] | None:
        return None if self._dialling is None else self._dialling.preview(agent)

    async def accept_preview(self, agent: str) -> dict[str, Any]:
        return await self._or_none(agent).accept(agent)

    def skip_preview(self, agent: str, reason: str) -> dict[str, Any]:
        return self._or_none(agent).skip(agent, reason)

    async def chosen_by_phone(self, agent: str, accepts: bool) -> Answer:
        """What an agent's dial code about the contact he is shown has come to. Raises StoreError."""
        try:
            found = await self.accept_preview(agent) if accepts else self.skip_preview(agent, "by phone")
        except RefusedError:
            # Why, he can ask elsewhere: it may hold a number, and this is logged
            return Answer(False, "has no contact that may be dialled", {})
        return Answer(True, f"{'accepts' if accepts else 'skips'} contact {found['contact']['contact']}", {})

    async def dial(
        self, campaign: str, number: str, agent: str, by: str, *, allow_erased: bool = False
    ) -> dict[str, Any]:
        dialling, found = self._need(campaign), dialable(number)
        if isinstance(found, Undialable):
            why = "its country is not known" if found.fault is Fault.UNKNOWN_COUNTRY else str(found)
            raise ConfigurationError(
                f"{number[:40]!r} cannot be dialled: {why}; write it with + and the country's code"
            )
        return await dialling.dial(campaign, found.number, agent, by, allow_erased=allow_erased)

    async def disposed(self, attempt: str, word: str) -> str | None:
        """What follows of an agent's word for the call of an attempt. Raises StoreError."""
        return None if self._dialling is None else await self._dialling.disposed(attempt, word)

    def _or_none(self, agent: str) -> Dialling:
        if self._dialling is None:
            raise RefusedError(f"agent {agent} is shown no contact: there are no campaigns")
        return self._dialling

    async def evidence(self, name: str, since: float, until: float) -> dict[str, Any]:
        campaign = self._engine.floor.definition.campaigns.get(name)
        least_s, words, zone = LEAST_RING_S, frozenset[str](), None
        if campaign is not None:
            least_s, words = campaign.rules.ring_s, machine_words_of(campaign.dispositions)
            zone = ZoneInfo(campaign.zone)
        store = self._make_store()
        try:
            if campaign is None and name not in (known := await store.look(names)):
                raise UnknownNameError("campaign", name, next(iter(get_close_matches(name, known, n=1)), None))
            return await store.look(evidence, name, since, until, least_s, words, zone)
        finally:
            await store.close()

    def _need(self, name: str) -> Dialling:
        if self._dialling is None:
            raise UnknownNameError("campaign", name)
        return self._dialling


def _only(nodes: Mapping[str, Node]) -> str | None:
    return next(iter(nodes)) if len(nodes) == 1 else None
