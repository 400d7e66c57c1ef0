"""Between the core's words and the store's: contacts with what the gate asks of them, batches, what earlier lives left."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from acd.dialer.gate import Terms
from acd.dialer.retry import Other
from acd.dialer.work import Kind, Piece
from acd.domain.blending import Blend
from acd.domain.campaigns import AttemptOutcome, Campaign, CampaignState, Contact, machine_words_of
from acd.domain.definition import FloorDefinition
from acd.domain.detection import Detected
from acd.domain.dialable import zones as zones_of
from acd.outbound import words as say
from acd.outbound.asidefile import AsideFile
from acd.outbound.optouts import FILE, OptOutFile, OptOuts
from acd.outbound.piecewise import Pieces
from acd.store.backend import UnstorableError
from acd.store.outbound.asked import claim_number, forget
from acd.store.outbound.attempts import Again, Attempt, History, Over, Seen, Settled
from acd.store.outbound.campaigns import Window
from acd.store.outbound.contacts import State, contact_of
from acd.store.outbound.dispositions import Said
from acd.store.outbound.donotcall import scopes_of
from acd.store.outbound.optouts import OptOut
from acd.store.outbound.outbound import Outbound
from acd.store.outbound.turn import Open, Turn
from acd.store.outbound.work import Claimed, Home, Refused, Search, judge_anew, unblock
from acd.store.outbound.work import Kind as StoredKind

log = logging.getLogger(__name__)

SHORT_FACTS_S: Final = 10.0
"""How long the day's count of short calls is good for."""
DETECTED_S: Final = 600.0
"""How long what machine detection was found to do is good for."""
DETECTED_DAYS: Final = 30
ANEW_LEAST: Final = 1000
"""When fewer contacts were made due at once, there are no more to be."""


def terms_of(definition: FloorDefinition) -> tuple[Terms, ...]:
    """What holds for each campaign of a floor."""
    return tuple(
        Terms(
            one,
            definition.trunks[one.trunk],
            definition.caller_ids[one.caller_ids],
            definition.hours[one.hours] if one.hours is not None else None,
        )
        for one in definition.campaigns.values()
    )


def blends_of(definition: FloorDefinition) -> dict[str, Blend]:
    """What queues take from campaigns."""
    return {name: queue.blend for name, queue in definition.queues.items() if queue.blend is not None}


def _is_shut(shut: Set[say.Place], at: Home) -> bool:
    """Whether somebody is where nobody may be called, as `zones_of` of the gate says where he is."""
    if at.number is None:
        return False
    own = at.zone or at.number_zone
    return say.Place((own,) if own is not None else zones_of(at.number), at.country, at.region) in shut


def own_list(campaign: str) -> str:
    """The list of those whom a campaign's agents dialled themselves."""
    return f"dialled-{campaign}"


def _others(campaign: Campaign, contact: int, seen: Sequence[Seen]) -> tuple[Other, ...]:
    """Of attempts at a number those that the campaign made as other contacts of its lists, since its last as ``contact``."""
    lists, found, counts = {*campaign.lists, own_list(campaign.name)}, list[Other](), Counter[str | None]()
    for one in sorted(seen, key=lambda one: one.committed_at):
        if one.campaign != campaign.name:
            continue
        counts[one.outcome] += 1
        if one.contact == contact:
            found = []
        elif one.list in lists:
            outcome = None if one.outcome is None else AttemptOutcome(one.outcome)
            at_s = one.committed_at if one.ended_at is None else one.ended_at
            found.append(Other(one.contact, at_s, outcome, counts[one.outcome]))
    return tuple(found)


class Shelf:
    """The store's side. ``sealed``: as the store's; every method raises StoreError when the database is away. ``opt_outs``:
    where they are kept meanwhile; ``aside``: where that is which the database refuses for good."""

    def __init__(
        self,
        store: Outbound,
        sealed: Callable[[str], str],
        opt_outs: OptOuts | None = None,
        aside: AsideFile | None = None,
    ) -> None:
        self._store, self.sealed, self._opt_outs, self._aside = store, sealed, opt_outs, aside
        self._short: dict[str, tuple[float, int, int]] = {}
        self._detected: dict[str, tuple[float, Detected]] = {}

    async def begin(self, definition: FloorDefinition, epoch: int) -> list[say.Told]:
        """Give back what earlier lives had claimed; what they knew, and what they left in flight."""
        await self._store.open()
        await self._store.recover(epoch)
        found: list[say.Told] = list(await self.remembered(list(definition.campaigns)))
        left = await self._store.left_open()
        contacts = {one.attempt: contact_of(one.row) for one in left if one.row is not None}
        numbers = {one.attempt: self._number(one, contacts.get(one.attempt)) for one in left}
        pairs = list({(one.contact, numbers[one.attempt]) for one in left})
        histories = await self._store.histories(pairs, 0.0) if pairs else {}
        charged = await self._charged() if left else frozenset()
        for one in left:
            contact, number = contacts.get(one.attempt), numbers[one.attempt]
            history = histories[one.contact, number]
            earlier = [seen for seen in history.of_contact if seen.attempt != one.attempt]
            found.append(
                say.Left(
                    one.attempt,
                    one.campaign,
                    contact,
                    one.contact,
                    number,
                    one.node,
                    one.trunk,
                    one.committed_at,
                    one.answered_at,
                    one.agent,
                    self._tried(one.campaign, contact, earlier),
                    one.attempt in charged,
                    one.said,
                )
            )
        heard = await self._opt_outs.read() if self._opt_outs is not None else []
        if heard:
            found.append(say.HeardBefore(tuple(heard)))
        return found

    def keep(self, opt_out: say.OptOut) -> None:
        """Have an opt-out outlive a crash though the database is away."""
        if self._opt_outs is not None:
            self._opt_outs.keep(opt_out)

    async def remembered(self, names: Sequence[str]) -> list[say.Remembered]:
        """What is known of these campaigns."""
        states, latest_s = await self._store.states(), await self._store.latest()
        found = []
        for name in names:
            windows = tuple(_counted(one) for one in await self._store.ledger(name, latest=False))
            standing = states.get(name)
            if standing is None:
                if windows or latest_s is not None:
                    stopped = CampaignState.STOPPED
                    found.append(say.Remembered(name, stopped, latest_s or 0.0, "", "", {}, windows, latest_s))
                continue
            found.append(
                say.Remembered(
                    name,
                    standing.state,
                    standing.since,
                    standing.by,
                    standing.reason,
                    standing.statistics,
                    windows,
                    latest_s,
                )
            )
        return found

    async def claim(self, wish: say.Claim, terms: Terms, epoch: int, now_s: float) -> say.Claimed:
        """Claim contacts, and learn what the gate asks of them."""
        campaign = terms.campaign
        wanted = {StoredKind(kind.value): count for kind, count in wish.wanted.items()}
        most = max(wanted.values(), default=0)
        scopes = scopes_of(campaign.name, campaign.client)
        # Asked first: what fails after a claim would leave contacts claimed of which nobody knows
        counted_s, calls, short = await self._short_calls(terms, now_s)
        found_out = await self._found_out(campaign, now_s)
        if wish.rules:
            for one in campaign.lists:
                last: int | None = 0
                while last is not None:
                    last = await self._store.ask(unblock, one, last)
        while wish.anew or wish.rules:
            if await self._store.ask(judge_anew, campaign.lists, now_s, rules=wish.rules) < ANEW_LEAST:
                break
        search = Search(partial(_is_shut, wish.shut), wish.past) if wish.shut else None
        taken = await self._store.claim(
            campaign.lists, wanted, now_s, epoch, agents=wish.agents, scopes=scopes, search=search
        )
        found = tuple(self._ready(one.claimed, campaign, one.history, one.barred, now_s) for one in taken)
        past, more = (search.reached, search.more) if search is not None else ({}, False)
        if taken:
            more = more or len(taken) >= most
            return say.Claimed(campaign.name, found, more, calls, short, counted_s, detected=found_out, past=past)
        later = await self._store.outlook(campaign.lists)
        due_s, missing = later.due_at, later.missing
        more = more or most == 0
        return say.Claimed(campaign.name, found, more, calls, short, counted_s, due_s, missing, found_out, past)

    async def pick(
        self,
        number: str,
        terms: Terms,
        by: str,
        epoch: int,
        now_s: float,
        *,
        ours: Collection[int] = (),
        allow_erased: bool = False,
    ) -> say.Ready:
        """Claim the contact that has ``number`` (E.164), or one made for it, and learn what the gate asks. ``ours``: those
        that were claimed ahead may be taken. Raises RefusedError for who may not be dialled by his state, or was erased."""
        campaign = terms.campaign
        own = own_list(campaign.name)
        whom = (number, campaign.lists, own, by, now_s, epoch, self.sealed)
        one, made = await self._store.ask(claim_number, *whom, ours=ours, allow_erased=allow_erased)
        pairs = [(one.contact.contact, number)]
        every = {one.contact.contact: [each.number for each in one.contact.numbers]}
        histories = await self._store.histories(pairs, 0.0, every)
        ready = replace(self._ready(one, campaign, histories[pairs[0]], (), now_s), made=made, wished=True)
        return replace(ready, do_not_call=await self.barred(ready, campaign, now_s))

    async def past(self, attempt: str) -> say.Past | None:
        """What is known of an attempt that is over; None if there is none."""
        one = await self._store.past(attempt)
        if one is None:
            return None
        contact = None if one.row is None else contact_of(one.row)
        number = self._number(one, contact)
        history = (await self._store.histories([(one.contact, number)], 0.0))[one.contact, number]
        earlier = [seen for seen in history.of_contact if seen.attempt != attempt]
        tried = self._tried(one.campaign, contact, earlier)
        outcome = None if one.outcome is None else AttemptOutcome(one.outcome)
        return say.Past(one.campaign, contact, number, tried, outcome, one.answered_at, one.agent, one.said)

    async def barred(self, ready: say.Ready, campaign: Campaign, now_s: float) -> tuple[str, ...]:
        """What keeps a contact from being called now."""
        people = [(ready.piece.number, [own.number for own in ready.contact.numbers])]
        (found,) = await self._store.barred(people, scopes_of(campaign.name, campaign.client), now_s)
        return found

    async def forget(self, contact: int, epoch: int) -> None:
        """Take away who was made for a dial that came to nothing."""
        await self._store.ask(forget, contact, epoch)

    async def give_back(self, epoch: int, held: Collection[int]) -> int:
        """Give back contacts claimed by this life that are none of ``held``; how many."""
        return await self._store.give_back(epoch, held)

    async def _short_calls(self, terms: Terms, now_s: float) -> tuple[float, int, int]:
        rule = terms.rules.short_calls
        if rule is None:
            return now_s, 0, 0
        name = terms.campaign.name
        at_s, calls, short = self._short.get(name, (float("-inf"), 0, 0))
        if not 0 <= now_s - at_s < SHORT_FACTS_S:
            here = datetime.fromtimestamp(now_s, ZoneInfo(terms.campaign.zone))
            midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
            calls, short = await self._store.calls_since(midnight.timestamp(), rule.short_s)
            at_s = now_s
            self._short[name] = (at_s, calls, short)
        return at_s, calls, short

    async def _found_out(self, campaign: Campaign, now_s: float) -> Detected | None:
        """How many people machine detection hangs up on, as agents have it, of the last days."""
        if not campaign.amd:
            return None
        at_s, found = self._detected.get(campaign.name, (float("-inf"), Detected()))
        if not 0 <= now_s - at_s < DETECTED_S:
            words = machine_words_of(campaign.dispositions)
            since_s = now_s - DETECTED_DAYS * 86_400.0
            found = await self._store.detected(campaign.name, since_s, now_s + 1.0, words)
            self._detected[campaign.name] = now_s, found
        return found

    def _ready(self, one: Claimed, of: Campaign, history: History, barred: tuple[str, ...], now_s: float) -> say.Ready:
        kind, contact, campaign = Kind(one.kind.value), one.contact, of.name
        segment = contact.list
        due_s = 0.0 if one.due_at is None else one.due_at
        of_person = [seen.committed_at for seen in (*history.of_contact, *history.of_person)]
        times = [*of_person, *(seen.committed_at for seen in history.of_number)]
        return say.Ready(
            Piece(contact, one.number, kind, due_s, one.order, one.agent, segment),
            now_s,
            {one.number: zones_of(one.number)},
            tuple(seen.committed_at for seen in history.of_number),
            tuple(of_person),
            self._tried(campaign, contact, [seen for seen in history.of_contact if seen.campaign == campaign]),
            sum(seen.campaign == campaign for seen in history.of_number),
            barred,
            history.abandoned_at,
            history.served_at,
            one.callback,
            max((*times, one.last_at or 0.0), default=None) or None,
            one.note,
            others=_others(of, contact.contact, history.of_number),
        )

    def _tried(self, campaign: str, contact: Contact | None, seen: Sequence[Any]) -> tuple[say.Tried, ...]:
        """Attempts may be kept with hashes in place of numbers."""
        plain = {self.sealed(one.number): one.number for one in contact.numbers} if contact is not None else {}
        return tuple(
            say.Tried(plain.get(one.number, one.number), None if one.outcome is None else AttemptOutcome(one.outcome))
            for one in seen
            if one.campaign == campaign
        )

    def _number(self, one: Open, contact: Contact | None) -> str:
        """The number itself, where its hash was kept."""
        own = contact.numbers if contact is not None else ()
        return next((n.number for n in own if one.number in (n.number, self.sealed(n.number))), one.number)

    async def take(self, batch: say.Batch, epoch: int, now_s: float) -> say.Written:
        """Make a batch durable, but for what the database refuses for good. An empty one asks whether that is possible."""
        refused, why = say.Batch(), ""
        try:
            written = await self._take(batch, epoch, now_s)
        except UnstorableError as error:
            log.error("%s; trying piece by piece", error)
            pieces = Pieces(lambda part: self._take(part, epoch, now_s))
            written, refused = await pieces.store(batch)
            why = pieces.why
        charged = [attempt for attempt, campaign in batch.charged if campaign not in refused.ledgers]
        if charged:
            await self._note_charged(charged, now_s)
        if refused == say.Batch():
            return written
        return replace(written, aside=await self._set_aside(refused, why, now_s))

    async def _note_charged(self, attempts: Sequence[str], now_s: float) -> None:
        """Have the next life know of it. Lost, the worst is that it charges them once more."""
        if self._aside is not None:
            try:
                await asyncio.to_thread(self._aside.charge, attempts, now_s)
            except OSError as error:
                log.warning("the next start charges %d attempts once more: %s", len(attempts), error)

    async def _charged(self) -> frozenset[str]:
        if self._aside is not None:
            try:
                return await asyncio.to_thread(self._aside.charged)
            except OSError as error:
                log.warning("attempts that are charged already are charged once more: %s", error)
        return frozenset()

    async def _set_aside(self, refused: say.Batch, why: str, now_s: float) -> say.SetAside:
        if self._aside is None:
            return say.SetAside(refused, why, "it is kept nowhere")
        try:
            await asyncio.to_thread(self._aside.add, refused, why, now_s)
        except OSError as error:
            return say.SetAside(refused, why, f"it is lost: {error}")
        return say.SetAside(refused, why, f"it is in {self._aside.path}")

    async def _take(self, batch: say.Batch, epoch: int, now_s: float) -> say.Written:
        turn = Turn(
            batch.progress,
            [OptOut(one.attempt, one.number, one.scope, one.at_s) for one in batch.opt_outs],
            [_settled(one) for one in batch.ended],
            [_said(one) for one in batch.said],
            batch.releases,
            [(contact, State.DONE if done else State.BLOCKED) for contact, done in batch.blocks],
            [_attempt(one) for one in batch.made],
            {name: [_window(one) for one in windows] for name, windows in batch.ledgers.items()},
            {one: (Refused(said.reason, said.at_s), said.contact) for one, said in batch.refused.items()},
        )  # fmt: skip
        found = await self._store.take_turn(turn, epoch, now_s)
        if self._opt_outs is not None and batch.opt_outs:
            self._opt_outs.drop([one.attempt for one in batch.opt_outs])
        return say.Written(found.recorded, found.do_not_call, found.unclaimed, changed=found.changed)

    async def set_state(self, campaign: str, state: CampaignState, by: str, reason: str, now_s: float) -> None:
        """Have it known in the next life."""
        await self._store.set_state(campaign, state, by, reason, now_s)

    async def save(self, campaign: str, statistics: Mapping[str, Any], now_s: float) -> None:
        """Keep what a campaign has learnt."""
        await self._store.save_statistics(campaign, statistics, now_s)

    async def close(self) -> None:
        """Let the database go."""
        if self._opt_outs is not None:
            await self._opt_outs.close()
        await self._store.close()


def _counted(one: Window) -> say.Counted:
    return say.Counted(one.window, one.key, one.answered, one.abandoned, one.misjudged, one.unknown, one.in_flight)


def _window(one: say.Counted) -> Window:
    return Window(one.span, one.key, one.answered, one.abandoned, one.misjudged, one.unknown, one.in_flight)


def _attempt(one: say.Made) -> Attempt:
    return Attempt(
        one.attempt, one.campaign, one.contact, one.number, one.mode, one.caller_id, one.trunk, one.node, one.callback,
        one.client, one.facts, one.judged,
    )  # fmt: skip


def _settled(one: say.Ended) -> Settled:
    after = (
        Again(one.due_s, one.number) if one.due_s is not None else Over(State.BLOCKED if one.blocked else State.DONE)
    )
    return Settled(
        one.attempt,
        one.outcome,
        one.ended_s,
        after,
        dialled_at=one.dialled_s,
        rang_at=one.rang_s,
        answered_at=one.answered_s,
        cause=one.cause,
        call=one.call,
        agent=one.agent,
        message=one.message,
        verdict=one.verdict,
        given_up=one.given_up,
    )


def _said(one: say.Said) -> Said:
    after: Again | Over | None = Over() if one.done else None
    if one.due_s is not None:
        after = Again(one.due_s, one.number)
    return Said(one.attempt, one.word, one.outcome, after, one.bad, one.good)


async def drain(directory: Path, store: Outbound, now: float) -> int:
    """Put on the do-not-call list who opted out in a life that is over, as the next one would; how many. ``directory``: the
    spill's. No service may run. Raises StoreError and OSError."""
    file = OptOutFile(directory / FILE)
    found, _ = await asyncio.to_thread(file.read)
    if found:
        heard = [OptOut(one.attempt, one.number, one.scope, one.at_s) for one in found]
        await store.take_turn(Turn(opt_outs=heard), 0, now)
        await asyncio.to_thread(file.drop, [one.attempt for one in found])
    return len(found)
