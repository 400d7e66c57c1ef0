"""One campaign as it runs: its terms and state, what it has learnt, the contacts it has claimed, the attempts in flight.

Pure. Which contact is next, what the gate says of it, and what follows a refusal is decided here; whether and how many
lines are placed, `core` decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, replace
from datetime import datetime, tzinfo
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from acd.dialer.gate import Facts, Permit, Reason, Refusal, Terms, TrunkState, permit, zones_of
from acd.dialer.ledger import Slack
from acd.dialer.pacing import Decision, Forecaster, Pacer, Power, Preview, Progressive
from acd.dialer.predictive import Predictive
from acd.dialer.publicdays import public_holidays
from acd.dialer.retry import Again, Other, Over, after_other, decide, once_more
from acd.dialer.retry import Tried as NumberTried
from acd.dialer.statistics import Statistics
from acd.dialer.supply import MAX_LINES, Busy, Line, Supply
from acd.dialer.windows import DAY_S, Wall, next_allowed, schedule_ranges
from acd.dialer.work import KINDS, Kind, Work
from acd.domain.campaigns import AttemptOutcome, Campaign, CampaignState, Contact, Disposition, Effect, Mode
from acd.domain.detection import Detected
from acd.domain.dialrules import SPANS
from acd.domain.instant import Instant
from acd.domain.values import valueclass
from acd.outbound.book import Book
from acd.outbound.flight import RINGS, Flight
from acd.outbound.recent import Dialled, Recent
from acd.outbound.sharing import Part, Shared
from acd.outbound.words import Claim, Claimed, Counted, Mark, Place, Ready, Refused, Remembered, Seat, Tried

READY_LEAST: Final = 20
READY_MOST: Final = 400
"""Contacts claimed ahead, at least and at most; three for each agent who is there in between."""
READY_AGE_S: Final = 60.0
"""What is known of a contact is read again after so long."""
CLAIM_EVERY_S: Final = 0.5
EMPTY_S: Final = 5.0
"""How soon to ask again when nothing was due."""
FAILED_S: Final = 1.0
"""How soon when the store could not be asked."""
REFUSED_AT_ONCE: Final = 100
"""So many refusals, and the rest is asked about at the next look."""
SEARCH_S: Final = 600.0
"""How soon a list is looked through from its beginning again, where nobody may be called at some places."""
PLACES_MOST: Final = 1_000
"""Places that are shut and are passed over."""
NEVER_S: Final = float(DAY_S)
"""When to look again at a contact whose calling hours and the campaign's have no moment in common."""
CLOCK_S: Final = 1.0
"""A clock that shows a time so long before one that was has gone back: waits that were reckoned by it are void."""
BUSY_S: Final = 60.0
"""When to look again at a contact that is in a call."""
SKIPS_MOST: Final = 50
"""Reasons for skipping that are told apart."""
DAYS_KEPT: Final = 400

#: It is the campaign that may not dial, not this contact that may not be called
OF_CAMPAIGN: Final = frozenset(
    {Reason.CAMPAIGN, Reason.SCHEDULE, Reason.SHORT_CALLS, Reason.CALLER_ID, Reason.TRUNK, Reason.LEDGER}
)
_BY_CLOCK: Final = frozenset({Reason.HOURS, Reason.HOLIDAY, Reason.SCHEDULE})
_BY_PLACE: Final = frozenset({Reason.HOURS, Reason.HOLIDAY})
_UNJUDGED: Final = frozenset({"caps", "connect_s", "ring_s", "message", "false_positives"})
"""Figures of the rules that no contact is judged by."""
_OVER_FOR_GOOD: Final = frozenset({Reason.DO_NOT_CALL, Reason.OPTED_OUT, Reason.PLACE_UNKNOWN, Reason.EXHAUSTED})


@valueclass(frozen=True, slots=True)
class Chosen:
    """A contact that may be dialled now."""

    ready: Ready
    permit: Permit
    facts: Facts


def pacer_of(campaign: Campaign) -> Pacer:
    """How many lines, by the campaign's mode."""
    match campaign.mode:
        case Mode.PREVIEW | Mode.MANUAL:
            return Preview()
        case Mode.PROGRESSIVE:
            return Progressive()
        case Mode.POWER:
            return Power(campaign.ratio, campaign.connect_s)
        case Mode.PREDICTIVE:
            return Predictive(campaign.connect_s)


class Runner:
    """``began_s``: when the campaign was first run, for windows that count from there."""

    def __init__(self, terms: Terms, now_s: float) -> None:
        self.terms = terms
        self.state, self.since_s, self.by, self.reason = CampaignState.STOPPED, now_s, "", ""
        self.began_s: float | None = None
        self.statistics = Statistics(cap=max(terms.rules.cap, 1e-4))
        self.book = Book(self.campaign, now_s)
        self.pacer = pacer_of(self.campaign)
        self.forecaster = Forecaster(self.campaign.connect_s)
        self.work = Work(self.campaign, self.zone_of)
        self.ready: dict[int, Ready] = {}
        self.promised: Counter[str] = Counter()
        """agent -> how many of those ready are callbacks that he promised"""
        self.free: frozenset[str] = frozenset()
        """agents who are idle"""
        self.flights: dict[str, Flight] = {}
        self.removed = False
        self.claiming = False
        self.renews = False
        """contacts were given back to be read anew: there is work, though none is at hand for a moment"""
        self.returning = self._rereads = False
        """what was given back is being written; some of it is to be found again"""
        self.beyond_cap = False
        self.unmet = self.rests = self.present = 0
        """people in a row who met no agent, and how often the campaign has rested for that; agents who are there"""
        self.silent: list[frozenset[str]] = []
        """of those people, agents whose phones were called for each and not answered since"""
        self.seats: frozenset[str] = frozenset()
        """agents who are there, by name"""
        self.due_s: float | None = None
        self.missing: tuple[str, ...] = ()
        """as the last claim told, if it gave nothing"""
        self.empty = False
        """the last claim gave nothing"""
        self.claim_mono = self.callbacks_mono = float("-inf")
        self._asks_all = False
        self._waits_from_s = self._waits_until_s = float("-inf")
        self.waits_for: Refusal | None = None
        self.shut: Refusal | None = None
        """its own hours are over: until when, if they ever begin again"""
        self._hours: Wall | None = None
        self._set_hours()
        self.places: dict[Place, tuple[float, float]] = {}
        """where nobody may be called, and from when to when"""
        self.searches = False
        """its lists are being looked through for people elsewhere"""
        self._past: dict[str, Mark] = {}
        self._search_mono = float("-inf")
        self._search_begun = self._search_asked = 0
        """so often it began elsewhere than where the last claim came to, now and when the claim under way was made"""
        self.refused_in_row = 0
        self.calls_today = self.short_today = 0
        self.counted_s = float("inf")
        self.detected: Detected | None = None
        self.segment = ""
        self.refusals: Counter[str] = Counter()
        self.last_refusal: dict[str, Refusal] = {}
        self.days: dict[str, Counter[str]] = {}
        self.outcomes: Counter[str] = Counter()
        self.skips: Counter[str] = Counter()
        """previews that agents did not have dialled, by their reason"""
        self.decision: Decision | None = None
        self.supply: Supply | None = None
        self.spare = 0
        """agents who are idle, above people and lines that may need one"""
        self.kept: dict[str, int] = {}
        """queue -> how many agents it keeps from this campaign, of those that may"""
        self.learnt = False
        self._releases: list[tuple[int, float | None]] = []
        self._blocks: list[tuple[int, bool]] = []
        self._refused: dict[int, Refused] = {}
        self._anew = True
        """whoever was put off by a clock that was ahead is to be asked about anew, before the next claim"""
        self._rules_anew = False
        """so is whoever was put off, or blocked, by rules, for they are others now"""
        self._asked_anew = False, False
        """as the claim under way says"""

    @property
    def campaign(self) -> Campaign:
        """Its definition."""
        return self.terms.campaign

    @property
    def name(self) -> str:
        return self.campaign.name

    # -- as it was and as it is to be -----------------------------------------------------------------------------------

    def remember(self, known: Remembered, now_s: float) -> str:
        """Take over what earlier lives knew; what could not be used, in words."""
        self.state, self.since_s, self.by, self.reason = known.state, known.since_s, known.by, known.reason
        saved, fault = known.statistics, ""
        began = saved.get("began_s")
        self.began_s = float(began) if isinstance(began, int | float) else None
        if self.began_s is None and known.since_s > 0.0 and (self.state is CampaignState.RUNNING or known.windows):
            # Killed before that was kept; its state was at once
            self.began_s, self.learnt = known.since_s, True
        rules = saved.get("rules")
        self._rules_anew = self._rules_anew or (rules is not None and rules != self._rules_digest())
        try:
            if "statistics" in saved:
                self.statistics = Statistics.from_json(saved["statistics"])
                self.statistics.cap = max(self.terms.rules.cap, 1e-4)
            self.days = {str(day): Counter(counts) for day, counts in saved.get("refusals", {}).items()}
        except (ValueError, KeyError, TypeError) as error:
            fault = f"what campaign {self.name} had learnt cannot be used, it learns anew: {error!r}"
            self.statistics, self.days = Statistics(cap=max(self.terms.rules.cap, 1e-4)), {}
        self.book = Book(self.campaign, self.began_s if self.began_s is not None else now_s)
        # By a clock that is behind, windows are those of the last attempt
        self.book.restore(known.windows, max(now_s, known.latest_s or now_s), beside=_beside(saved))
        return fault

    def redefine(self, terms: Terms) -> None:
        """Other terms; what was learnt and counted stays."""
        old, rules = self.campaign, self._rules_digest()
        self.terms = terms
        self.removed = False
        if self._rules_digest() != rules:
            self._rules_anew = self.learnt = True
            self.claim_mono = float("-inf")
            self.wait_no_more()
        new = self.campaign
        if new == old:
            self._set_hours()
            return
        self.statistics.cap = max(terms.rules.cap, 1e-4)
        self.book = self.book.under(new)
        self.pacer, self.forecaster = pacer_of(new), Forecaster(new.connect_s)
        self._set_hours()
        self.wait_no_more()
        self.let_go()
        self.work = Work(new, self.zone_of)

    def as_saved(self) -> dict[str, Any]:
        """What `remember` takes over."""
        refusals = {day: dict(counts) for day, counts in self.days.items()}
        return {"statistics": self.statistics.as_json(), "began_s": self.began_s, "refusals": refusals,
                "rules": self._rules_digest(), "beside": [asdict(one) for one in self.book.beside()]}  # fmt: skip

    def _rules_digest(self) -> str:
        """What stands for all that people may be put off or blocked by."""
        of = self.terms
        own = [(one.name, getattr(of.rules, one.name)) for one in fields(of.rules) if one.name not in _UNJUDGED]
        return sha256(repr((own, of.schedule)).encode()).hexdigest()[:16]

    # -- contacts --------------------------------------------------------------------------------------------------------

    def zone_of(self, contact: Contact) -> tzinfo:
        """By whose clock a contact's best times are meant."""
        ready = self.ready.get(contact.contact)
        guessed = ready.zones.get(ready.piece.number, ()) if ready is not None else ()
        for name in (contact.zone, *(one.zone for one in contact.numbers), *guessed, self.campaign.zone):
            if name:
                try:
                    return ZoneInfo(name)
                except (ZoneInfoNotFoundError, ValueError, OSError):
                    continue
        return ZoneInfo("UTC")

    def take_in(self, found: tuple[Ready, ...], more: bool, now: Instant) -> None:
        """What was claimed. What does not fit any more is given back."""
        if self._asks_all:
            self.claim_mono = now.mono + (CLAIM_EVERY_S if found or more else EMPTY_S)
        self.renews = False
        some = any(one.piece.agent is not None for one in found)
        self.callbacks_mono = now.mono + (CLAIM_EVERY_S if some else EMPTY_S)
        if self.state is not CampaignState.RUNNING or self.removed or self.rests_by(now) is not None:
            for one in found:
                self._as_it_was(one)
            return
        for one in found:
            # A reload may have taken the list away
            if one.contact.list not in self.campaign.lists or not self._keep(one):
                self._as_it_was(one)

    def _as_it_was(self, one: Ready) -> None:
        """Give a contact back, to be found again."""
        contact = one.contact.contact
        self._releases.append((contact, None))
        self._rereads = True
        past = self._past.get(one.contact.list)
        if past is not None and one.piece.kind is Kind.NEW:
            self._past[one.contact.list] = min(past, (one.piece.order, contact - 1))
            self._search_begun += 1

    def _keep(self, one: Ready) -> bool:
        """Have a contact ready; whether there is room."""
        self.ready[one.contact.contact] = one
        if not self.work.add([one.piece]):
            del self.ready[one.contact.contact]
            return False
        if one.piece.agent is not None:
            self.promised[one.piece.agent] += 1
        return True

    def _remove(self, contact: int) -> Ready | None:
        one = self.ready.pop(contact, None)
        if one is not None and one.piece.agent is not None:
            self.promised[one.piece.agent] -= 1
            if not self.promised[one.piece.agent]:
                del self.promised[one.piece.agent]
        return one

    @property
    def dialable(self) -> int:
        """Contacts ready that somebody could take now: promises wait for their agents."""
        return len(self.ready) - sum(count for agent, count in self.promised.items() if agent not in self.free)

    def wants(self, present: int, now: Instant) -> Claim | None:
        """What to claim now; nothing while nobody is there to talk to them. Promises are claimed for agents who are idle and
        have none ready, so that they never stand in the way of the others."""
        if self.claiming or self.removed or self.state is not CampaignState.RUNNING or not present:
            return None
        if self.campaign.mode is Mode.MANUAL or self.rests_by(now) is not None:
            return None
        if self._rereads:
            if self._releases or self.returning:
                # They come before those behind them
                return None
            self._rereads = False
        kinds: dict[Kind, int] = {}
        promised = self.promised.total()
        usual = max(READY_LEAST, min(READY_MOST, 3 * present))
        if now.mono >= self.claim_mono:
            # More and more, as long as nobody of them may be called
            target = max(usual, min(READY_MOST, self.refused_in_row))
            others = len(self.ready) - promised
            if others <= target // 2:
                kinds = {kind: target - others for kind in KINDS if kind is not Kind.CALLBACK}
        self._asks_all = bool(kinds)
        agents = sorted(agent for agent in self.free if agent not in self.promised)
        if kinds or now.mono >= self.callbacks_mono:
            if not kinds:
                # Due since new ones were claimed, and before them
                few = usual // 4
                kinds = {kind: few for kind in (Kind.QUEUE_CALLBACK, Kind.RETRY) if self.work.held(kind) < few}
            if agents and promised < READY_MOST:
                kinds[Kind.CALLBACK] = len(agents)
        if not kinds:
            return None
        self._asked_anew = self._anew, self._rules_anew
        self._anew = self._rules_anew = False
        return Claim(self.name, kinds, tuple(agents), *self._asked_anew, *self._search(now))

    def _search(self, now: Instant) -> tuple[frozenset[Place], dict[str, Mark]]:
        """The places to be passed over, and how far that has come."""
        open_ = [one for one, (from_s, until_s) in self.places.items() if not from_s - CLOCK_S <= now.utc < until_s]
        if open_ or now.mono >= self._search_mono:
            for one in open_:
                del self.places[one]
            self._past, self._search_mono = {}, now.mono + SEARCH_S
        self._search_asked = self._search_begun
        return frozenset(self.places), dict(self._past)

    def told(self, event: Claimed) -> None:
        """What the claim under way says of the lists, if it was for all kinds: what is left there, and how far new contacts
        were looked through."""
        if self._asks_all:
            self.due_s, self.missing, self.empty = event.due_s, event.missing, not event.found
            self.searches = event.more and bool(event.past)
            if self._search_asked == self._search_begun:
                self._past = dict(event.past)

    def asks_anew(self) -> None:
        """A claim came to nothing: what it was to do besides is to be done by the next one."""
        anew, rules = self._asked_anew
        self._anew, self._rules_anew = self._anew or anew, self._rules_anew or rules

    def let_go(self, older_than_s: float = float("inf")) -> None:
        """Give contacts back that are not dialled: all, or those read before then."""
        for number, one in list(self.ready.items()):
            if one.read_s < older_than_s:
                self.drop(number)
                self._as_it_was(one)
                self.renews = True
        if older_than_s == float("inf"):
            self.renews = False

    def drop(self, contact: int) -> None:
        """No longer ready."""
        self._remove(contact)
        self.work.drop(contact)

    def given_back(self) -> tuple[list[tuple[int, float | None]], list[tuple[int, bool]]]:
        """Contacts given back (until when) and given up (whether done), since the last time."""
        found = self._releases, self._blocks
        self.returning = bool(self._releases)
        self._releases, self._blocks = [], []
        return found

    def held(self) -> set[int]:
        """Contacts claimed for it and not dialled: ready, or about to be given back or up."""
        return {*self.ready, *(one for one, _ in self._releases), *(one for one, _ in self._blocks)}

    def said_of_them(self) -> dict[int, Refused]:
        """What the gate said of those in `given_back`, since the last time."""
        found, self._refused = self._refused, {}
        return found

    def put_back(
        self,
        releases: list[tuple[int, float | None]],
        blocks: list[tuple[int, bool]],
        refused: Mapping[int, Refused] = MappingProxyType({}),
    ) -> None:
        """Say those again."""
        self._releases[:0], self._blocks[:0] = releases, blocks
        self._refused = {**refused, **self._refused}

    # -- the supply ------------------------------------------------------------------------------------------------------

    def part(self, offered: Mapping[str, str], *, able: bool) -> Part:
        """What it asks of shared agents. ``offered``: agent -> call that is on its way to him; ``able``: it has a way
        out."""
        bound = set(offered.values())
        work = self.dialable > 0 or self.renews
        wants = able and self.state is CampaignState.RUNNING and not self.removed and work
        lines = [one for one in self.flights.values() if one.may_need_agent and one.desk is None]
        open_ = [one for one in lines if one.call is None or one.call not in bound]
        held = sum(one.agent_held for one in open_)
        return Part(self.name, self.campaign.priority, self.campaign.weight, wants, len(open_), held)

    def supply_of(self, shared: Shared, offered: Mapping[str, str], most: int, now_s: float) -> Supply:
        """What the pacer sees. ``offered``: agent -> call that is on its way to him."""
        bound = set(offered.values())
        held = waiting = 0
        ringing: list[Line] = []
        for flight in self.flights.values():
            if not flight.may_need_agent or flight.desk is not None:
                continue
            rings, has_offer = flight.phase in RINGS, flight.call is not None and flight.call in bound
            if has_offer:
                continue
            if flight.needs_agent:
                held += 1
            elif rings:
                ringing.append(Line(flight.sent_s if flight.sent_s is not None else now_s, flight.segment))
            else:
                waiting += 1
        idle = sum(seat.stage == "idle" for seat in shared.seats)
        self.spare = idle - held - waiting - len(ringing)
        return Supply(
            idle=max(0, idle - held),
            waiting=waiting,
            talking=_busy(shared.seats, "talking"),
            wrapping=_busy(shared.seats, "wrapping"),
            ringing=tuple(ringing),
            most=max(0, min(most, self.dialable, MAX_LINES)),
            segment=self.segment,
        )

    # -- the gate --------------------------------------------------------------------------------------------------------

    def choose(
        self,
        trunk: TrunkState,
        slack: Slack,
        exceeded: float,
        recent: Recent,
        in_flight: Mapping[str, str],
        idle: frozenset[str],
        *,
        agent_held: bool,
        now: Instant,
    ) -> Chosen | None:
        """The next contact that may be dialled now, taken out; None when there is none. Whoever may not is dealt with.
        ``in_flight``: numbers (and ``contact:`` ids) that are being dialled; ``idle``: agents."""
        while True:
            piece = self.work.next(now.utc, idle.__contains__)
            if piece is None:
                return None
            ready = self._remove(piece.contact.contact)
            assert ready is not None
            facts = self._facts(ready, trunk, slack, exceeded, recent, in_flight, agent_held)
            holidays = public_holidays(piece.contact.country, piece.contact.region)
            said = permit(facts, self.terms, holidays, now.utc)
            if isinstance(said, Permit) and said.needs_agent and not agent_held:
                detail = "whoever was abandoned before is called with an agent held for it only, and none is free"
                said = Refusal(Reason.LEDGER, now.utc + 1.0, detail)
                self.refuse(said, now)
                self._releases.append((piece.contact.contact, now.utc + BUSY_S))
                continue
            if isinstance(said, Permit):
                self.refused_in_row = 0
                self.segment = piece.segment
                return Chosen(ready, said, facts)
            self.refuse(said, now)
            if said.reason in OF_CAMPAIGN:
                self._keep(ready)
                if said.reason is Reason.SHORT_CALLS and said.until_s is not None:
                    self.wait(said, said.until_s, now)
                return None
            self._turn_down(ready, said, now)
            self.refused_in_row += 1
            if said.reason in _BY_PLACE and len(self.places) < PLACES_MOST:
                contact, zones = ready.contact, zones_of(ready.contact, facts.number, facts.zones)
                until_s = said.until_s if said.until_s is not None else now.utc + NEVER_S
                self.places[Place(zones, contact.country, contact.region)] = now.utc, until_s
            if self.refused_in_row % REFUSED_AT_ONCE == 0:
                return None

    def ask(
        self, ready: Ready, trunk: TrunkState, slack: Slack, recent: Recent, in_flight: Mapping[str, str], now: Instant
    ) -> tuple[Permit | Refusal, Facts]:
        """What the gate says of dialling a contact now, with an agent held for it who is on the line."""
        facts = self._facts(ready, trunk, slack, 0.0, recent, in_flight, agent_held=True)
        holidays = public_holidays(ready.contact.country, ready.contact.region)
        said = permit(facts, self.terms, holidays, now.utc)
        if isinstance(said, Refusal):
            self.refuse(said, now)
        return said, facts

    def give_back(self, ready: Ready, said: Refusal | None, now: Instant, until_s: float | None = None) -> None:
        """A contact that an agent had is not dialled: because of what the gate said, or until then."""
        if said is not None and said.reason not in OF_CAMPAIGN:
            self._turn_down(ready, said, now)
        else:
            self._releases.append((ready.contact.contact, until_s))

    def met(self) -> None:
        """Somebody who answered has got an agent, or somebody starts it anew: its phones are believed in."""
        self.unmet = self.rests = 0
        self.silent = []

    def skipped(self, reason: str) -> None:
        """An agent does not have a contact dialled. Of many reasons, the later ones are told together."""
        word = reason.strip()[:80] or "no reason"
        self.skips[word if word in self.skips or len(self.skips) < SKIPS_MOST else "other"] += 1

    def still(self, facts: Facts, trunk: TrunkState, *, covered: bool, now: Instant) -> Refusal | None:
        """What stands against dialling a line that was permitted a while ago and is in flight since, if anything does.
        ``covered``: there are idle agents for all lines in flight."""
        exceeded, slack = 0.0, self.book.slack(now.utc)
        if not covered:
            if self.supply is None or self.campaign.mode is Mode.PROGRESSIVE:
                return Refusal(Reason.LEDGER, None, "the agents for whom it was to be dialled have other work now")
            exceeded = self.forecaster.forecast(self.supply, self.statistics, now.utc).exceeded(0, slack.fits)
        facts = replace(
            facts,
            state=self.state,
            in_progress=False,
            trunk=trunk,
            agent_held=covered,
            slack=slack,
            exceeded=exceeded,
        )
        said = permit(facts, self.terms, public_holidays(facts.contact.country, facts.contact.region), now.utc)
        if isinstance(said, Permit) and said.needs_agent and not covered:
            return Refusal(Reason.LEDGER, None, "an agent was to be held for it, and none is free now")
        return said if isinstance(said, Refusal) else None

    def wait(self, why: Refusal, until_s: float, now: Instant) -> None:
        """Dial nobody until then, and keep nobody ready."""
        self._waits_from_s, self._waits_until_s, self.waits_for = now.utc, until_s, why
        self.let_go()

    def wait_no_more(self) -> None:
        """Whatever it waited for."""
        self._waits_until_s, self.waits_for, self.shut, self.refused_in_row = float("-inf"), None, None, 0
        self.places, self._past, self.searches = {}, {}, False
        self._search_begun += 1

    def waits(self, now: Instant) -> Refusal | None:
        """What it waits for now, if it does."""
        return self.waits_for if self._waits_from_s - CLOCK_S <= now.utc < self._waits_until_s else None

    def rests_by(self, now: Instant) -> Refusal | None:
        """Why nobody is dialled now, whoever would be next: its own hours are over, or it waits."""
        return self.shut or self.waits(now)

    def keep_hours(self, now: Instant) -> None:
        """Whether its own hours are over, which are the campaign's, whatever those of the people on its lists: so before any
        of them is looked at."""
        if self._hours is None or self._hours.allows(now.utc):
            self.shut = None
            return
        if self.shut is None:
            opens_s = next_allowed([self._hours], now.utc)
            words = f"outside the hours of campaign {self.name}"
            self.shut = Refusal(
                Reason.SCHEDULE, opens_s, words if opens_s is not None else f"{words}; they never begin"
            )
            self.refuse(self.shut, now)
        if self.ready:
            self.let_go()

    def _set_hours(self) -> None:
        schedule = self.terms.schedule
        self._hours = None if schedule is None else Wall(schedule.time_zone, schedule_ranges(schedule))
        self.shut = None

    def _turn_down(self, ready: Ready, said: Refusal, now: Instant) -> None:
        contact = ready.contact.contact
        if said.reason in (Reason.IN_PROGRESS, Reason.CLOCK):
            # A clock that went back holds up everybody before anybody is asked about: this is one person's history
            self._releases.append((contact, now.utc + BUSY_S))
            return
        self._refused[contact] = Refused(said.reason.value, now.utc, ready.contact)
        if said.until_s is None and said.reason in _BY_CLOCK:
            # Not his fault, and hours can be edited
            self._releases.append((contact, now.utc + NEVER_S))
        elif said.until_s is None or said.reason in _OVER_FOR_GOOD:
            self._blocks.append((contact, said.reason in (Reason.EXHAUSTED, Reason.DONE)))
        else:
            self._releases.append((contact, said.until_s))

    def refuse(self, said: Refusal, now: Instant) -> None:
        """Count a refusal of the gate."""
        reason = said.reason.value
        self.refusals[reason] += 1
        self.last_refusal[reason] = said
        if said.reason in (Reason.TRUNK, Reason.LEDGER):
            return  # asked again at once; these are no people
        day = datetime.fromtimestamp(now.utc, ZoneInfo(self.campaign.zone)).date().isoformat()
        self.days.setdefault(day, Counter())[reason] += 1
        self.learnt = True
        while len(self.days) > DAYS_KEPT:
            del self.days[min(self.days)]

    def _facts(
        self,
        ready: Ready,
        trunk: TrunkState,
        slack: Slack,
        exceeded: float,
        recent: Recent,
        in_flight: Mapping[str, str],
        agent_held: bool,
    ) -> Facts:
        piece, contact = ready.piece, ready.contact
        number = next(one for one in contact.numbers if one.number == piece.number)
        known = (*ready.number_s, *ready.contact_s)
        since = [
            dialled
            for own in {one.number for one in contact.numbers}
            for dialled in recent.unseen(own, ready.read_s)
            if not dialled.among(known)
        ]
        again = [one for one in since if one.number == piece.number]
        # Nobody knows yet what these come to: to nothing, for all that is known
        uncounted = recent.noted_since(self.counted_s) if self.terms.rules.short_calls is not None else 0
        busy = piece.number in in_flight or f"contact:{contact.contact}" in in_flight
        busy = busy or any(one.number in in_flight for one in contact.numbers)
        return Facts(
            contact=contact,
            number=number,
            zones=ready.zones.get(piece.number, ()),
            state=self.state if not self.removed else CampaignState.STOPPED,
            number_s=(*ready.number_s, *(one.chosen_s for one in again)),
            contact_s=(*ready.contact_s, *(one.chosen_s for one in since)),
            number_attempts=ready.number_attempts + sum(one.campaign == self.name for one in again),
            contact_attempts=len(ready.tried),
            latest_s=ready.latest_s,
            do_not_call=ready.do_not_call,
            opted_out_s=recent.asked_not_to((one.number for one in contact.numbers), self.campaign.client),
            in_progress=busy,
            due_s=piece.due_s if piece.kind is not Kind.NEW else None,
            abandoned_s=_later(ready.abandoned_s, recent.abandoned.get(piece.number)),
            served_s=_later(ready.served_s, recent.served.get(piece.number)),
            trunk=trunk,
            agent_held=agent_held,
            slack=slack,
            exceeded=exceeded,
            calls_today=self.calls_today + uncounted,
            short_today=self.short_today + uncounted,
            others=self._others(ready, again),
        )

    def _others(self, ready: Ready, again: Sequence[Dialled]) -> Sequence[Other]:
        """What this campaign did at the number as other contacts, as far as it counts for this dial. ``again``: attempts at
        it since the contact was read."""
        if ready.piece.kind in (Kind.CALLBACK, Kind.QUEUE_CALLBACK):
            return ()  # A promise is kept
        if ready.wished:
            # Whenever the dialler would have: as the contact's own wait, none counts
            return [one for one in ready.others if isinstance(after_other(self.campaign, ready.contact, one), Over)]
        since = [Other(0, one.chosen_s, None) for one in again if one.campaign == self.name]
        return (*ready.others, *since) if since else ready.others

    # -- afterwards ------------------------------------------------------------------------------------------------------

    def after(self, flight: Flight, outcome: AttemptOutcome, ended_s: float) -> Again | Over:
        """When its contact is tried again."""
        if flight.contact is None:
            return Over.DONE
        return self._decide(flight.contact, flight.number, flight.tried, outcome, ended_s)

    def after_said(
        self, contact: Contact, number: str, tried: Sequence[Tried], said: Disposition, now_s: float
    ) -> Again | Over | None:
        """When it is tried again now that an agent says what the attempt at ``number`` came to; None: nothing follows.
        ``tried``: before it."""
        match said.effect:
            case Effect.MACHINE:
                return self._decide(contact, number, tried, AttemptOutcome.MACHINE, now_s)
            case Effect.WRONG_NUMBER:
                return self._decide(contact, number, tried, AttemptOutcome.INVALID, now_s)
            case Effect.AGAIN:
                earlier = [*tried, Tried(number, AttemptOutcome.ANSWERED)]
                return once_more(self.campaign, contact, _by_number(earlier), number, now_s + said.after_s)
            case Effect.DONE:
                return Over.DONE
            case Effect.OPT_OUT:
                # Blocked by what was heard
                return None

    def _decide(
        self, contact: Contact, number: str, tried: Sequence[Tried], outcome: AttemptOutcome, ended_s: float
    ) -> Again | Over:
        earlier = [*tried, Tried(number, outcome)]
        seen = sum(one.outcome is outcome for one in earlier)
        return decide(self.campaign, contact, _by_number(earlier), number, outcome, seen, ended_s)


def _by_number(tried: Sequence[Tried]) -> dict[str, NumberTried]:
    found: dict[str, NumberTried] = {}
    for one in tried:
        known = found.get(one.number, NumberTried())
        found[one.number] = NumberTried(known.attempts + 1, one.outcome)
    return found


def _busy(seats: list[Seat], stage: str) -> tuple[Busy, ...]:
    return tuple(Busy(seat.agent, seat.since_s) for seat in seats if seat.stage == stage)


def _later(one: float | None, other: float | None) -> float | None:
    return max((at for at in (one, other) if at is not None), default=None)


def _beside(saved: Mapping[str, Any]) -> list[Counted]:
    """Windows that are not kept, as they were saved; those that cannot be read count from nothing."""
    found = []
    for one in saved.get("beside", ()):
        with suppress(TypeError, ValueError, KeyError):
            figures = {key: float(one[key]) for key in ("answered", "abandoned", "misjudged", "unknown")}
            found.append(Counted(SPANS[SPANS.index(one["span"])], int(one["key"]), **figures, in_flight=0))
    return found
