"""The dialler in the service: one event loop, the core in the middle, the store and the wire around it.

What happens goes into an inbox and is handled in order, in the loop's next turn; then the core is shown who is there and
decides. One transaction at a time makes durable what has come together meanwhile; attempts are dialled when it is. Contacts
are claimed beside that. Nothing here decides anything.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from acd.dialer.publicdays import prepare
from acd.dialer.windows import DAY_S
from acd.domain import outbound as wire
from acd.domain import records as rec
from acd.domain.campaigns import CampaignState
from acd.domain.definition import FloorDefinition
from acd.domain.errors import AcdError, RefusedError, StoreError, UnknownNameError
from acd.domain.instant import Instant
from acd.domain.ports import Answer
from acd.outbound import views
from acd.outbound import words as say
from acd.outbound.core import Dialler, Told
from acd.outbound.desks import Desk
from acd.outbound.hall import Hall
from acd.outbound.runner import Runner
from acd.outbound.storing import Shelf, blends_of, terms_of

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
GAP_S: Final = 0.05
"""Between two looks at least: what happens meanwhile is handled at once, and decided upon together."""
RETRY_S: Final = (0.5, 1.0, 2.0, 5.0)
SAVE_S: Final = 30.0
INBOX_MOST: Final = 100_000
CLOSE_S: Final = 5.0
SAID_S: Final = 2.0
"""So long somebody waits for what he says to be durable."""
PLACES_MOST: Final = 2_000
"""Places whose holidays are known to have been worked out."""


class Dialling:
    """Runs a `Dialler`; make and use it inside one event loop. Implements ``OutboundSink``.

    ``shelf``: the store; ``hall``: the floor's agents; ``send``: the wire; ``alarm(kind, detail)``. ``nodes``: names of
    all nodes there are. ``engage(agent, what)`` and ``pause(agent)`` ask the floor; without them nobody previews or dials.
    """

    def __init__(
        self,
        definition: FloorDefinition,
        epoch: int,
        *,
        shelf: Shelf,
        hall: Hall,
        send: Callable[[wire.OutboundCommand], None],
        alarm: Callable[[str, str], None],
        nodes: tuple[str, ...],
        clock: Callable[[], Instant],
        engage: Callable[[str, str | None], Awaitable[Answer]] | None = None,
        pause: Callable[[str], Awaitable[Answer]] | None = None,
    ) -> None:
        self.core = Dialler(epoch, shelf.sealed)
        self._definition, self._epoch = definition, epoch
        self._shelf, self._hall, self._send, self._alarm = shelf, hall, send, alarm
        self._nodes, self._clock = nodes, clock
        self._engage, self._pause = engage, pause
        self._engaging: dict[str, asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._inbox: deque[Told] = deque()
        self._scheduled = self._closed = False
        self._ready = False
        """what earlier lives left is known; before that nothing is handled"""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing: asyncio.Task[None] | None = None
        self._amid: set[asyncio.Task[Any]] = set()
        """tasks that claim or save: cut off amid a transaction, a connection may never end"""
        self._may_claim = asyncio.Event()
        self._may_claim.set()
        self._doubtful = False
        """contacts may stand as claimed of which nobody here knows"""
        self._timer: asyncio.TimerHandle | None = None
        self._look_timer: asyncio.TimerHandle | None = None
        self._due = self._looked = 0.0
        self._lag_s = 0.0
        self._saved_mono = float("-inf")
        self._states = asyncio.Lock()
        self._prepared: set[tuple[str, str, int]] = set()
        self._waits_for = ""
        self._known: set[str] = set()
        """campaigns of which it is known what earlier lives left"""
        self.began = asyncio.Event()
        """what earlier lives left is known, so that questions can be answered"""

    # -- begin and end ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin: learn what earlier lives left, then dial."""
        self._spawn(self._begin(), "outbound-begin")

    async def _begin(self) -> None:
        tries = 0
        while True:
            definition = self._definition
            try:
                found = await self._shelf.begin(definition, self._epoch)
                break
            except StoreError as error:
                self._waits_for = str(error)
                if tries == 0:
                    self._alarm("outbound_waits", f"nobody is dialled: {error}")
                await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
        self._handle(self._defined())
        for event in found:
            self._handle(event)
        self._known.update(definition.campaigns)
        self._ready = True
        self.began.set()
        self._spawn(self._shelf_follow(self._definition), "outbound-follow")
        self._due = time.monotonic() + LOOK_S
        self._tick()
        self._wake()

    def _defined(self) -> say.Defined:
        return say.Defined(terms_of(self._definition), self._nodes, blends_of(self._definition))

    async def close(self) -> None:
        """Place nothing more, and write down what is known. Lines go on; the next life follows them."""
        self._closed = True
        for timer in (self._timer, self._look_timer):
            if timer is not None:
                timer.cancel()
        self._drain_inbox()
        for node in self._nodes:
            # What is recorded from now on is not dialled, but settled
            self._handle(wire.OutboundLost(self._clock().utc, node))
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._write_down()
        except TimeoutError:
            self._alarm("outbound_waits", "what was under way is not written down: the next start looks for it")
        except Exception as error:
            log.exception("what was under way could not be written down")
            self._alarm(
                "outbound_defect", f"what was under way is not written down: {type(error).__name__}; see the log"
            )
        finally:
            for task in list(self._tasks):
                task.cancel()
            await self._shelf.close()

    async def _write_down(self) -> None:
        while self._writing is not None:
            await asyncio.wait({self._writing})
        if self._amid:
            await asyncio.wait(self._amid)
        if self._ready:
            self.core.desks.end(self._clock())
            for runner in self.core.runners.values():
                runner.let_go()
            batch = self.core.batch(self._clock())
            if batch is not None:
                # What was to be dialled is not: it is settled with the rest
                await self._take(self._undialled(batch), say_so=True)
                if self.core.database_up and (batch := self.core.batch(self._clock())) is not None:
                    # Something was refused for good, and is charged
                    await self._take(batch, say_so=True)
            await self._save()

    def _undialled(self, batch: say.Batch) -> say.Batch:
        self._handle(say.NotWritten(batch, "the service ends"))
        found = self.core.batch(self._clock())
        return say.Batch() if found is None else found

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        for agent in [agent for agent, one in self._engaging.items() if one is task]:
            del self._engaging[agent]
        if not task.cancelled() and task.exception() is not None:
            log.error("%s ended by itself", task.get_name(), exc_info=task.exception())
            self._alarm("outbound_defect", f"{task.get_name()} failed; see the log")

    # -- what happens ----------------------------------------------------------------------------------------------------

    def tell(self, event: wire.OutboundEvent) -> None:
        """``OutboundSink.tell``."""
        self._put(event)

    def asked(self, question: wire.AttemptAsked) -> wire.OutboundReply | None:
        """``OutboundSink.asked``. What was told before it is handled before it."""
        if not self._ready:
            return None
        self._drain_inbox()
        self._wake()
        return self.core.asked(question, self._clock())

    def dialled(self, attempt: str) -> tuple[str, str]:
        """``OutboundSink.dialled``."""
        return self.core.dialled(attempt)

    def records(self, records: Sequence[rec.Record]) -> None:
        """The floor has taken a step. Before it is known what earlier lives left, it is of no attempt that is known."""
        if not self._ready:
            return
        for event in self._hall.said(records):
            self._put(event)

    def follow(self, definition: FloorDefinition) -> None:
        """The floor goes by another definition now."""
        self._definition = definition
        if self._ready:
            for name, runner in self.core.runners.items():
                if name not in definition.campaigns and not runner.removed:
                    self._rest(name, runner.state, "taken out of floor.yaml")
            self._put(self._defined())
            self._spawn(self._shelf_follow(definition), "outbound-follow")

    async def _shelf_follow(self, definition: FloorDefinition) -> None:
        """Campaigns that were not there before may have been in an earlier life. They do nothing before that is known."""
        tries = 0
        while not self._closed and definition is self._definition:
            new = [name for name in definition.campaigns if name not in self._known]
            if not new:
                return
            try:
                found = await self._shelf.remembered(new)
            except StoreError as error:
                if tries == 0:
                    self._alarm("outbound_waits", f"what is known of campaigns cannot be read: {error}")
                await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
                continue
            self._drain_inbox()
            for event in found:
                if event.campaign not in self._known:
                    self._handle(event)
                    self._rest(event.campaign, event.state, "came with a reload while it was running")
            self._known.update(new)
            self._wake()

    def _rest(self, campaign: str, state: CampaignState, reason: str) -> None:
        """A campaign that comes and goes by reloads dials when somebody starts it."""
        if state is CampaignState.RUNNING:
            stopped = CampaignState.STOPPED
            self._handle(say.StateSet(campaign, stopped, "reload", reason))
            kept: asyncio.Future[None] = self._loop.create_future()
            kept.add_done_callback(lambda tried: tried.exception())
            keep = self._keep_state(campaign, stopped, "reload", reason, self._clock().utc, kept)
            self._spawn(keep, "outbound-state")

    def _put(self, event: Told) -> None:
        if len(self._inbox) >= INBOX_MOST:
            self.core.counters["inbox_overflow"] += 1
            self._alarm("outbound_overflow", f"more than {INBOX_MOST} events wait; some were dropped")
            return
        self._inbox.append(event)
        self._wake()

    def _wake(self) -> None:
        if self._ready and not self._scheduled and not self._closed:
            self._scheduled = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        if self._closed:
            return
        self._drain_inbox()
        wait_s = self._looked + GAP_S - time.monotonic()
        if wait_s <= 0:
            self._look()
        elif self._look_timer is None:
            self._look_timer = self._loop.call_later(wait_s, self._look_late)
        self._write()

    def _look_late(self) -> None:
        self._look_timer = None
        if not self._closed:
            self._drain_inbox()
            self._look()
            self._write()

    def _drain_inbox(self) -> None:
        while self._inbox:
            self._handle(self._inbox.popleft())

    def _look(self) -> None:
        self._looked = time.monotonic()
        # After a freeze a look may come before the tick that measures it
        self._lag_s = max(self._lag_s, self._looked - self._due)
        self._handle(
            say.Look(self._hall.seats(), self._lag_s, self._hall.counts(self._clock().utc), self._hall.engaged())
        )
        self._lag_s = 0.0

    def _tick(self) -> None:
        now = time.monotonic()
        self._lag_s = max(self._lag_s, now - self._due)
        self._due = now + LOOK_S
        self._timer = self._loop.call_later(LOOK_S, self._tick)
        self._wake()
        if now - self._saved_mono >= SAVE_S:
            self._saved_mono = now
            saving = self._spawn(self._save(), "outbound-save")
            self._amid.add(saving)
            saving.add_done_callback(self._amid.discard)

    def _handle(self, event: Told) -> None:
        try:
            actions = self.core.handle(event, self._clock())
        except Exception as error:
            # A defect of ours must not end the service, nor anybody's call
            self.core.counters["events_failed"] += 1
            self._doubtful = self._doubtful or isinstance(event, say.Claimed | say.Wished)
            # Neither the event nor what the error says: they may hold numbers
            which = f"{type(event).__name__} {getattr(event, 'attempt', '')}".strip()
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("the dialler could not handle %s: %s\n%s", which, type(error).__name__, where)
            self._alarm("outbound_defect", f"{type(event).__name__} could not be handled; see the log")
            return
        for action in actions:
            match action:
                case say.Do(command):
                    self._send(command)
                case say.Claim():
                    self._spawn(self._claim(action), "outbound-claim")
                case say.KeepOptOut(opt_out):
                    self._shelf.keep(opt_out)
                case say.Alarm(kind, detail):
                    self._alarm(kind, detail)
                case say.Engage(agent, what):
                    self._engaging[agent] = self._spawn(self._ask_floor(agent, what), "outbound-engage")
                case say.Pause(agent):
                    self._spawn(self._ask_pause(agent), "outbound-pause")
                case say.RingAgent():
                    self._ring(action)
                case say.Forget(contact):
                    self._spawn(self._forget(contact), "outbound-forget")

    # -- agents who dial themselves ----------------------------------------------------------------------------------------

    async def _ask_floor(self, agent: str, what: str | None) -> None:
        ok, why = False, "nobody asks the floor"
        if self._engage is not None:
            try:
                answer = await self._engage(agent, what)
                ok, why = answer.ok, answer.message
            except (TimeoutError, AcdError) as error:
                ok, why = False, f"the floor did not answer: {error}"
        if what is not None:
            self._handle(say.Engaged(agent, ok, why))
            self._wake()

    async def _ask_pause(self, agent: str) -> None:
        if self._pause is not None:
            with suppress(TimeoutError, AcdError):
                await self._pause(agent)

    def _ring(self, action: say.RingAgent) -> None:
        found = self._hall.phone(action.agent)
        if found is None:
            detail = "no phone of the agent is free"
            self._put(wire.AttemptRefused(self._clock().utc, action.node, action.leg, detail))
            return
        device, ring_s, by_itself = found
        number, name = action.number, action.name
        self._send(wire.CallAgent(action.node, action.leg, device, number, name, ring_s, auto_answer=by_itself))

    def preview(self, agent: str) -> dict[str, Any] | None:
        """The contact that an agent is shown, or that is being dialled for him; None without one. Raises StoreError."""
        self._must_be_ready()
        desk = self.core.desks.by_agent.get(agent)
        return None if desk is None else self._shown(desk)

    def _shown(self, desk: Desk) -> dict[str, Any]:
        return {**views.desk(self.core, desk, self._clock()), "lasting_line": self._hall.lasting(desk.agent)}

    async def accept(self, agent: str) -> dict[str, Any]:
        """Have the contact dialled that an agent is shown. Raises RefusedError: he is shown none, or the gate forbids it."""
        self._must_be_ready()
        desk = self.core.desks.must_be_shown(agent)
        barred: tuple[str, ...] = ()
        # Without an answer nobody is dialled either: the transaction that commits the attempt looks again
        with suppress(StoreError):
            barred = await self._shelf.barred(desk.ready, self._runner(desk.campaign).campaign, self._clock().utc)
        return self._choose(agent, say.Chose(agent, accepts=True, do_not_call=barred))

    def skip(self, agent: str, reason: str) -> dict[str, Any]:
        """Not this one. Raises RefusedError."""
        return self._choose(agent, say.Chose(agent, accepts=False, reason=reason))

    def _choose(self, agent: str, event: say.Chose) -> dict[str, Any]:
        self._must_be_ready()
        desk = self.core.desks.must_be_shown(agent)
        shown = self._shown(desk)
        self._handle(event)
        self._wake()
        if not event.accepts:
            return {**shown, "step": "skipped"}
        if self.core.desks.by_agent.get(agent) is not desk:
            raise RefusedError(f"{desk.ready.piece.number} is not dialled: {self.core.desks.last[agent]}")
        return self._shown(desk)

    async def dial(
        self, campaign: str, number: str, agent: str, by: str, *, allow_erased: bool = False
    ) -> dict[str, Any]:
        """Have a number (E.164) dialled for an agent; ``allow_erased``: also if the person was erased. Raises
        UnknownNameError, RefusedError, StoreError."""
        runner = self._runner(campaign)
        if runner.state is not CampaignState.RUNNING:
            raise RefusedError(f"campaign {campaign} is {runner.state}: it dials nobody before it is started")
        held_up = self.core.held_up(self._clock())
        if held_up is not None and held_up[0] != "lag":
            raise RefusedError(f"nobody is dialled now: {held_up[1]}")
        if campaign not in self._hall.lines(agent):
            raise RefusedError(f"agent {agent} does not serve campaign {campaign}")
        if agent in self.core.desks.by_agent:
            raise RefusedError(f"agent {agent} has a contact already")
        held = self.core.holds(agent)
        if held is not None:
            raise RefusedError(f"agent {agent} is held for a line of campaign {held} that rings: try again in a moment")
        # To its end, even if nobody waits for the answer any more
        wish = self._wish(campaign, number, agent, by, allow_erased=allow_erased)
        ready = await asyncio.shield(self._loop.create_task(wish))
        asked = self._engaging.get(agent)
        desk = self.core.desks.by_agent.get(agent)
        if asked is not None and desk is not None and desk.ready is ready:
            await asyncio.wait({asked})
        if desk is None or self.core.desks.by_agent.get(agent) is not desk or desk.ready is not ready:
            raise RefusedError(f"{number} is not dialled: {self.core.desks.last.get(agent, 'it is over')}")
        return self._shown(desk)

    async def _wish(self, campaign: str, number: str, agent: str, by: str, *, allow_erased: bool) -> say.Ready:
        """Claim the contact that an agent wants dialled; see `_claim`."""
        await self._may_claim.wait()
        task = asyncio.current_task()
        assert task is not None
        self._amid.add(task)
        try:
            terms = self.core.runners[campaign].terms
            now_s = self._clock().utc
            ahead = self._let_go_of(number)
            try:
                ready = await self._shelf.pick(
                    number, terms, by, self._epoch, now_s, ours=ahead.keys(), allow_erased=allow_erased
                )
                ahead.pop(ready.contact.contact, None)
            finally:
                for runner, one in ahead.values():
                    runner.give_back(one, None, self._clock())
            await self._prepare_days(say.Claimed(campaign, (ready,)))
            self._handle(say.Wished(agent, campaign, ready))
        except RefusedError:
            raise
        except BaseException:
            self._doubtful = True
            raise
        finally:
            self._amid.discard(task)
            self._wake()
        return ready

    def _let_go_of(self, number: str) -> dict[int, tuple[Runner, say.Ready]]:
        """Contacts with this number that are claimed ahead, which nobody dials by himself from now on."""
        found = {}
        for runner in self.core.runners.values():
            for contact, one in list(runner.ready.items()):
                if any(own.number == number for own in one.contact.numbers):
                    runner.drop(contact)
                    found[contact] = runner, one
        return found

    async def disposed(self, attempt: str, word: str) -> str | None:
        """An agent says what the call of an attempt came to (empty: nothing): what follows by his campaign's rules, if
        anything. Durable, if the database can be used; else as soon as it can. Raises StoreError."""
        self._must_be_ready()
        past = None
        if attempt not in self.core.flights:
            past = await self._shelf.past(attempt)
        flight = self.core.flights.get(attempt)
        name = flight.campaign if flight is not None else past.campaign if past is not None else ""
        runner = self.core.runners.get(name)
        if runner is None:
            return None
        self._handle(say.Disposed(attempt, word, past))
        # The transaction under way, if any, and the one that has this
        for _ in range(2):
            self._write()
            if self._writing is not None:
                await asyncio.wait({self._writing}, timeout=SAID_S)
        found = runner.campaign.dispositions.get(word)
        return None if found is None else found.effect.value

    async def _forget(self, contact: int) -> None:
        try:
            await self._shelf.forget(contact, self._epoch)
        except StoreError as error:
            log.warning("contact %d, who was made for nothing, is kept: %s", contact, error)
            self._doubtful = True

    # -- the store -------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        if self._writing is not None or self._closed:
            return
        if self._doubtful:
            self._writing = self._spawn(self._come_back(), "outbound-wait")
            return
        batch = self.core.batch(self._clock())
        if batch is not None:
            self._writing = self._spawn(self._written(batch), "outbound-write")

    async def _written(self, batch: say.Batch) -> None:
        try:
            if not await self._take(batch, say_so=True):
                await self._wait_for_store()
        finally:
            self._writing = None
            self._wake()

    async def _take(self, batch: say.Batch, *, say_so: bool) -> bool:
        """Make a batch durable; whether it certainly is. What is not is said again with the next one. ``say_so``: an alarm
        tells why not."""
        try:
            found = await self._shelf.take(batch, self._epoch, self._clock().utc)
        except BaseException as error:
            self._handle(say.NotWritten(batch, str(error)))
            if isinstance(error, StoreError):
                kind, detail = "outbound_waits", f"nobody is dialled: {error}"
            elif isinstance(error, Exception):
                if say_so:
                    log.exception("what was dialled could not be written")
                kind, detail = "outbound_defect", f"nobody is dialled: {type(error).__name__}; see the log"
            else:
                raise
            if say_so:
                self._alarm(kind, detail)
            return False
        self._handle(found)
        return True

    async def _wait_for_store(self) -> None:
        """Until it can be written to again; what is held back meanwhile is said then."""
        tries = 0
        while not self._closed:
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1
            if self._doubtful and not await self._gave_back():
                continue
            if await self._take(self.core.batch(self._clock()) or say.Batch(), say_so=False):
                return

    async def _gave_back(self) -> bool:
        """Give back contacts that stand as claimed and that nobody here knows of; whether that was possible. Nothing is
        claimed meanwhile."""
        self._may_claim.clear()
        try:
            if self._amid:
                await asyncio.wait(self._amid)
            self._drain_inbox()
            count = await self._shelf.give_back(self._epoch, self.core.held())
        except StoreError:
            return False
        except Exception:
            log.exception("contacts that were claimed could not be given back")
            return False
        finally:
            self._may_claim.set()
        self._doubtful = False
        if count:
            log.warning("%d contacts were claimed and not heard of; they were given back", count)
        return True

    async def _claim(self, action: say.Claim) -> None:
        await self._may_claim.wait()
        task = asyncio.current_task()
        assert task is not None
        if self._closed:
            return
        self._amid.add(task)
        found = say.Claimed(action.campaign, None)
        try:
            terms = self.core.runners[action.campaign].terms
            found = await self._shelf.claim(action, terms, self._epoch, self._clock().utc)
            await self._prepare_days(found)
        except StoreError as error:
            log.warning("no contacts for campaign %s: %s", action.campaign, error)
        finally:
            self._amid.discard(task)
            self._doubtful = self._doubtful or found.found is None
            self._drain_inbox()
            self._handle(found)
            self._wake()

    async def _prepare_days(self, claimed: say.Claimed) -> None:
        """Have the holidays of the places where these are worked out beside the loop, which the gate would keep waiting."""
        year = datetime.fromtimestamp(self._clock().utc - DAY_S, UTC).year
        contacts = [one.contact for one in claimed.found or ()]
        places = {(one.country or "", one.region or "", year) for one in contacts} - self._prepared
        if places:
            await asyncio.to_thread(_prepare_all, sorted(places))
            if len(self._prepared) > PLACES_MOST:
                self._prepared.clear()
            self._prepared |= places

    async def _come_back(self) -> None:
        try:
            await self._wait_for_store()
        finally:
            self._writing = None
            self._wake()

    async def _save(self) -> None:
        """Keep what campaigns have learnt; lost, it would be learnt anew."""
        found: Mapping[str, Mapping[str, Any]] = self.core.statistics()
        try:
            for name, statistics in found.items():
                await self._shelf.save(name, statistics, self._clock().utc)
        except StoreError as error:
            log.warning("what campaigns have learnt could not be kept: %s", error)
            for name in found:
                if name in self.core.runners:
                    self.core.runners[name].learnt = True

    # -- for people ------------------------------------------------------------------------------------------------------

    async def set_state(
        self, campaign: str, state: CampaignState, by: str, reason: str = "", *, hang_up: bool = False
    ) -> dict[str, Any]:
        """Have a campaign run, pause or stop: durable first, then in force. ``hang_up``: lines that ring are hung up.
        Raises UnknownNameError, RefusedError, StoreError."""
        runner = self._runner(campaign)
        async with self._states:
            if campaign not in self._known:
                raise StoreError(
                    f"what campaign {campaign} did before is not known yet: the database could not be asked"
                )
            if state is runner.state:
                raise RefusedError(f"campaign {campaign} is {state} already")
            now_s = self._clock().utc
            if state is CampaignState.RUNNING:
                await self._shelf.set_state(campaign, state, by, reason, now_s)
                self._handle(say.StateSet(campaign, state, by, reason))
            else:
                # In force at once: whoever stops it does not wait for a database
                self._handle(say.StateSet(campaign, state, by, reason, hang_up))
        if state is not CampaignState.RUNNING:
            kept: asyncio.Future[None] = self._loop.create_future()
            self._spawn(self._keep_state(campaign, state, by, reason, now_s, kept), "outbound-state")
            try:
                await kept
            except StoreError as error:
                raise StoreError(
                    f"campaign {campaign} is {state}. That is not durable yet: a restart now would have it run on; it will "
                    f"be as soon as the database can be used ({error})"
                ) from error
        self._wake()
        return self.campaign(campaign)

    async def _keep_state(
        self, campaign: str, state: CampaignState, by: str, reason: str, now_s: float, kept: asyncio.Future[None]
    ) -> None:
        """Make durable that a campaign is to rest, whoever asked for it waits or not, unless it is to run again.
        ``kept``: told how the first try ended."""
        tries, task = 0, asyncio.current_task()
        assert task is not None
        while True:
            async with self._states:
                runner = self.core.runners.get(campaign)
                rests = runner is not None and runner.state is state
                self._amid.add(task)
                try:
                    if rests:
                        await self._shelf.set_state(campaign, state, by, reason, now_s)
                    if not kept.done():
                        kept.set_result(None)
                    return
                except StoreError as error:
                    if not kept.done():
                        kept.set_exception(error)
                finally:
                    self._amid.discard(task)
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    def campaigns(self) -> list[dict[str, Any]]:
        """Every campaign as it is now. Raises StoreError."""
        self._must_be_ready()
        now = self._clock()
        return [views.status(self.core, name, now) for name, runner in self.core.runners.items() if not runner.removed]

    def campaign(self, name: str) -> dict[str, Any]:
        """One of them. Raises UnknownNameError."""
        self._runner(name)
        return views.status(self.core, name, self._clock())

    def explain(self, name: str) -> dict[str, Any]:
        """Why it dials nobody, or so few. Raises UnknownNameError."""
        self._runner(name)
        return views.explain(self.core, name, self._clock())

    def _must_be_ready(self) -> None:
        if not self._ready:
            why = self._waits_for or "it is being read: ask again in a moment"
            raise StoreError(f"what campaigns did before is not known yet: {why}")

    def _runner(self, name: str) -> Any:
        self._must_be_ready()
        runner = self.core.runners.get(name)
        if runner is None or runner.removed:
            raise UnknownNameError("campaign", name)
        return runner

    def counters(self) -> Mapping[str, int]:
        """What was counted since the start, by name."""
        return {f"outbound_{name}": count for name, count in self.core.counters.items()}


def _prepare_all(places: Sequence[tuple[str, str, int]]) -> None:
    for country, region, year in places:
        prepare(country, region, year)
