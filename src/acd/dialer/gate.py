"""The gate: the one function through which every attempt passes, whoever asks for it and whatever the mode.

`permit` answers with a `Permit`, or with a `Refusal` that says why, in a word and in a sentence, and until when. The
checks have a fixed order, and the first that refuses speaks:

 1. ``campaign``       the campaign is not running
 2. ``clock``          the clock shows a time before something that has happened: it went back
 3. ``do_not_call``    the number stands on a list of those who are not to be called, plain or hashed, own or imported
 4. ``opted_out``      the person said so to this caller
 5. ``consent``        there is none, or it has ended, and the person is no customer
 6. ``in_progress``    the person is being called, or talks to an agent
 7. ``exhausted``      as many attempts as the campaign makes, at the contact or at the number
 8. ``done``           the campaign is done with the number, which it has dialled as another contact of its lists
 9. ``place_unknown``  nobody knows which clock hangs where the person is, or whose public holidays count there
10. ``hours``          outside the calling hours at a place where the person may be
11. ``holiday``        a public holiday there
12. ``schedule``       outside the campaign's own hours
13. ``number_day``, ``number_week``, ``contact_day``, ``contact_week``   so many attempts in 24 hours or in 7 days
14. ``retry``          the next attempt is not due yet, at the contact or, as another contact, at the number
15. ``cool_down``      the person was abandoned lately
16. ``short_calls``    too many of the day's calls were too short
17. ``caller_id``      no verified number to show, or not the one asked for; or its date has not come
18. ``trunk``          rests, has no line left, or has started as many calls as it may within a second
19. ``ledger``         no agent is held for the line, and the abandonments that leaves room for are used up

Those that no time lifts come before those that it does, so that ``until_s=None`` means: not unless somebody changes
something. Everything else may be asked again at ``until_s``, and may be refused for another reason then.

Pure: facts, terms, the holidays of the place and the time go in. Facts are what stands in the store, no counters of
this process, so a restart or a list imported anew permits nothing that was forbidden before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from acd.dialer.ledger import Slack
from acd.dialer.retry import Other, Over, after_other
from acd.dialer.windows import (
    DAY_S,
    Holidays,
    Wall,
    calling_ranges,
    closed_by,
    next_allowed,
    schedule_ranges,
)
from acd.domain.campaigns import CallerIds, Campaign, CampaignState, Contact, ContactNumber, Trunk
from acd.domain.dialrules import Rules
from acd.domain.hours import MINUTES_A_DAY, OpeningHours
from acd.domain.values import valueclass

WEEK_S: Final = 7 * DAY_S
SOON_S: Final = 1.0
"""When to ask again what only the next moments can tell: a line that comes free, a ledger that fills."""
UNTOLD_S: Final = 10.0
"""When to ask again about a number of which nobody knows yet what its last attempt came to."""
LEAST_LOCAL_DIGITS: Final = 3
"""A caller ID counts as local when it begins with as many digits of the called number."""


class Reason(StrEnum):
    """Why an attempt is refused."""

    CAMPAIGN = "campaign"
    CLOCK = "clock"
    DO_NOT_CALL = "do_not_call"
    OPTED_OUT = "opted_out"
    CONSENT = "consent"
    IN_PROGRESS = "in_progress"
    EXHAUSTED = "exhausted"
    DONE = "done"
    PLACE_UNKNOWN = "place_unknown"
    HOURS = "hours"
    HOLIDAY = "holiday"
    SCHEDULE = "schedule"
    NUMBER_DAY = "number_day"
    NUMBER_WEEK = "number_week"
    CONTACT_DAY = "contact_day"
    CONTACT_WEEK = "contact_week"
    RETRY = "retry"
    COOL_DOWN = "cool_down"
    SHORT_CALLS = "short_calls"
    CALLER_ID = "caller_id"
    TRUNK = "trunk"
    LEDGER = "ledger"


@valueclass(frozen=True, slots=True)
class Terms:
    """What holds for a campaign as a whole: its definition, the way out, the numbers it may show, its own hours if it has
    some."""

    campaign: Campaign
    trunk: Trunk
    caller_ids: CallerIds
    schedule: OpeningHours | None

    @property
    def rules(self) -> Rules:
        """The figures in force."""
        return self.campaign.rules


@valueclass(frozen=True, slots=True)
class TrunkState:
    """``lines``: in use. ``started_s``: when its last calls were started, ``calls_per_s`` of them or more, in order (an
    older one tells nothing). ``rests_until_s``: it has failed and is left alone until then."""

    lines: int = 0
    started_s: Sequence[float] = ()
    rests_until_s: float | None = None


@valueclass(frozen=True, slots=True)
class Facts:
    """What is known of one attempt that somebody wants to place, at one moment.

    ``zones``: names of the zones in which the number may be, by its prefix. ``state``: of the campaign. ``number_s``
    and ``contact_s``: when this number, and any number of this contact, was tried in the last 7 days at least, by
    whatever campaign, in any order. ``number_attempts``, ``contact_attempts``: attempts in this campaign. ``latest_s``:
    the latest time that anything known happened at. ``do_not_call``: names of the lists that hold the number.
    ``opted_out_s``: when the person asked not to be called. ``in_progress``: the contact or number is in a call.
    ``due_s``: when a retry or callback is due. ``abandoned_s``, ``served_s``: when the number was last abandoned, and
    last put through to an agent. ``calls_today``, ``short_today``: of the operator, by the campaign's zone.
    ``others``: attempts of this campaign at the number as other contacts of its lists, since this contact's own last one
    there, oldest first; without those that somebody's promise or wish sets aside.
    ``agent_held``: an agent is held for this very line. ``slack``: of the ledger's tightest window; ``exceeded``: the
    chance that more of the people in flight find no agent than fit into it, this line among them. ``caller_id``: what is
    to be shown, ``None``: the gate chooses.
    """

    contact: Contact
    number: ContactNumber
    zones: tuple[str, ...]
    state: CampaignState
    number_s: Sequence[float]
    contact_s: Sequence[float]
    number_attempts: int
    contact_attempts: int
    latest_s: float | None
    do_not_call: tuple[str, ...]
    opted_out_s: float | None
    in_progress: bool
    due_s: float | None
    abandoned_s: float | None
    served_s: float | None
    trunk: TrunkState
    agent_held: bool
    slack: Slack
    exceeded: float
    calls_today: int = 0
    short_today: int = 0
    caller_id: str | None = None
    others: Sequence[Other] = ()


@valueclass(frozen=True, slots=True)
class Permit:
    """The attempt may be placed now. ``caller_id``: the number to show. ``needs_agent``: only with an agent held for
    this very line until it has ended. ``zones``: whose clocks were looked at."""

    caller_id: str
    needs_agent: bool
    zones: tuple[str, ...]


@valueclass(frozen=True, slots=True)
class Refusal:
    """The attempt may not be placed. ``detail``: a sentence. ``until_s``: when it is worth asking again; ``None``: not
    before somebody changes something."""

    reason: Reason
    until_s: float | None
    detail: str


def permit(facts: Facts, terms: Terms, holidays: Holidays, now_s: float) -> Permit | Refusal:
    """Whether this attempt may be placed at UTC second ``now_s``. ``holidays``: of the place where the person is."""
    zones, unknown = _zones(facts.contact, facts.number, facts.zones)
    refused = (
        _state(facts, terms, now_s)
        or _person(facts, terms, now_s)
        or _spent(facts, terms, now_s)
        or _time(facts.contact, terms, zones, unknown, holidays, now_s)
        or _history(facts, terms, now_s)
    )
    if refused is not None:
        return refused
    needs_agent, cooling = _cooling(facts, terms.rules, now_s)
    refused = cooling or _short_calls(facts, terms, now_s)
    if refused is not None:
        return refused
    own = terms.caller_ids.verified_by(now_s)
    shown = facts.caller_id if facts.caller_id is not None else caller_id(own, facts.number.number)
    if shown is None or shown not in own.numbers:
        return _no_caller_id(terms.caller_ids, shown, now_s)
    refused = _trunk(facts.trunk, terms.trunk, now_s)
    if refused is not None:
        return refused
    if not (needs_agent or facts.agent_held or facts.slack.allows(facts.exceeded)):
        return Refusal(
            Reason.LEDGER,
            now_s + SOON_S,
            f"no agent is held for the line, and {facts.slack.slack:.1f} abandonments left in the {facts.slack.span} may "
            f"not be enough for what is in flight (the chance is {facts.exceeded:.2g}, allowed is {facts.slack.seldom:.2g})",
        )
    return Permit(shown, needs_agent, tuple(str(zone) for zone in zones))


def zones_of(contact: Contact, number: ContactNumber, by_prefix: Sequence[str]) -> tuple[str, ...]:
    """Names of the zones that count: the contact's own, else the number's, else all in which the number may be."""
    if contact.zone is not None:
        return (contact.zone,)
    if number.zone is not None:
        return (number.zone,)
    return tuple(by_prefix)


def caller_id(of: CallerIds, number: str) -> str | None:
    """The number to show to ``number``: with local presence the one that begins with most of the same digits
    (`LEAST_LOCAL_ DIGITS` at least; the first of equals), else the first; ``None`` when there is none."""
    if not of.numbers:
        return None
    if not of.local:
        return of.numbers[0]
    alike = [_alike(own, number) for own in of.numbers]
    best = max(alike)
    return of.numbers[alike.index(best)] if best >= LEAST_LOCAL_DIGITS else of.numbers[0]


def _alike(one: str, other: str) -> int:
    count = 0
    for a, b in zip(one.removeprefix("+"), other.removeprefix("+"), strict=False):
        if a != b:
            break
        count += 1
    return count


# -- the checks, in their order ----------------------------------------------------------------------------------------


def _state(facts: Facts, terms: Terms, now_s: float) -> Refusal | None:
    if facts.state is not CampaignState.RUNNING:
        return Refusal(Reason.CAMPAIGN, None, f"campaign {terms.campaign.name} is {facts.state}")
    known = [at for at in (facts.latest_s, facts.abandoned_s, facts.served_s, facts.opted_out_s) if at is not None]
    last_s = max((*known, *facts.number_s, *facts.contact_s), default=now_s)
    if not now_s >= last_s:
        return Refusal(
            Reason.CLOCK, last_s, f"the clock shows {_said(now_s)}, but something has happened at {_said(last_s)}"
        )
    return None


def _person(facts: Facts, terms: Terms, now_s: float) -> Refusal | None:
    if facts.do_not_call:
        return Refusal(Reason.DO_NOT_CALL, None, f"the number is on the do-not-call list of {_whose(facts)}")
    if facts.opted_out_s is not None:
        return Refusal(Reason.OPTED_OUT, None, f"asked not to be called at {_said(facts.opted_out_s)}")
    if terms.rules.consent and not _may_be_called(facts.contact, terms.rules, now_s):
        given, ends = facts.contact.consent_at, facts.contact.consent_until
        later = given is not None and given > now_s and (ends is None or ends > given)
        return Refusal(Reason.CONSENT, given if later else None, _no_consent(facts.contact, terms.rules, now_s))
    return None


def _whose(facts: Facts) -> str:
    """``all``, ``client acme``..."""
    return " and ".join("all callers" if one == "all" else one.replace(":", " ", 1) for one in facts.do_not_call)


def _spent(facts: Facts, terms: Terms, now_s: float) -> Refusal | None:
    if facts.in_progress:
        return Refusal(Reason.IN_PROGRESS, now_s + SOON_S, "the contact is being called or talks to an agent")
    campaign = terms.campaign
    if facts.contact_attempts >= campaign.attempts:
        return Refusal(
            Reason.EXHAUSTED, None, f"the contact was tried {facts.contact_attempts} times of {campaign.attempts}"
        )
    if facts.number_attempts >= campaign.number_attempts:
        return Refusal(
            Reason.EXHAUSTED, None, f"the number was tried {facts.number_attempts} times of {campaign.number_attempts}"
        )
    for other in facts.others:
        if isinstance(after_other(campaign, facts.contact, other), Over):
            detail = f"campaign {campaign.name} is done with the number: {_as_another(other)}"
            return Refusal(Reason.DONE, None, detail)
    return None


def _as_another(other: Other) -> str:
    """What it came to, for a sentence."""
    word = "" if other.outcome is None else other.outcome.replace("_", " ")
    who = f"contact {other.contact}" if other.contact else "another contact"
    return f"dialled as {who} it came to {word!r} at {_said(other.at_s)}"


def hours(
    contact: Contact, number: ContactNumber, by_prefix: Sequence[str], terms: Terms, holidays: Holidays, at_s: float
) -> Refusal | None:
    """What stands against calling somebody at UTC second ``at_s`` for the time of day alone. ``by_prefix``: as
    `zones_of`'s."""
    zones, unknown = _zones(contact, number, by_prefix)
    return _time(contact, terms, zones, unknown, holidays, at_s)


def _time(
    contact: Contact,
    terms: Terms,
    zones: tuple[tzinfo, ...],
    unknown: str | None,
    holidays: Holidays,
    now_s: float,
) -> Refusal | None:
    hours = terms.rules.hours
    by_holidays = hours.holiday is not None or hours.eve is not None
    if unknown is None and by_holidays and contact.country is None:
        unknown = "nobody knows in which country the person is, and so which days are public holidays"
    if unknown is not None:
        return Refusal(Reason.PLACE_UNKNOWN, None, unknown)
    ranges_of = calling_ranges(hours, holidays)
    walls = [Wall(zone, ranges_of) for zone in zones]
    own = None
    if terms.schedule is not None:
        own = Wall(terms.schedule.time_zone, schedule_ranges(terms.schedule))
    shut = [wall.zone for wall in walls if not wall.allows(now_s)]
    everything = walls if own is None else [*walls, own]
    if shut:
        kinds = [closed_by(hours, holidays, zone, now_s) for zone in shut]
        by_hours = "hours" in kinds
        where = shut[kinds.index("hours")] if by_hours else shut[0]
        clock = f"it is {datetime.fromtimestamp(now_s, where):%A %H:%M} in {where}"
        return Refusal(
            Reason.HOURS if by_hours else Reason.HOLIDAY,
            next_allowed(everything, now_s),
            f"{clock}, outside the calling hours" if by_hours else f"{clock}, a public holiday",
        )
    if own is not None and not own.allows(now_s):
        until_s = next_allowed(everything, now_s)
        return Refusal(Reason.SCHEDULE, until_s, f"outside the hours of campaign {terms.campaign.name}")
    return None


def _history(facts: Facts, terms: Terms, now_s: float) -> Refusal | None:
    rules = terms.rules
    for reason, times_s, most, span_s, words in (
        (Reason.NUMBER_DAY, facts.number_s, rules.number_day, DAY_S, "number was tried {} times in 24 hours"),
        (Reason.NUMBER_WEEK, facts.number_s, rules.number_week, WEEK_S, "number was tried {} times in 7 days"),
        (Reason.CONTACT_DAY, facts.contact_s, rules.contact_day, DAY_S, "contact was tried {} times in 24 hours"),
        (Reason.CONTACT_WEEK, facts.contact_s, rules.contact_week, WEEK_S, "contact was tried {} times in 7 days"),
    ):
        if most is None:
            continue
        within = sorted(at for at in times_s if at > now_s - span_s)
        if len(within) >= most:
            # The oldest of the last ones has to leave the window
            return Refusal(reason, within[-most] + span_s, f"the {words.format(len(within))}, {most} are allowed")
    if facts.due_s is not None and now_s < facts.due_s:
        return Refusal(Reason.RETRY, facts.due_s, f"the next attempt is due at {_said(facts.due_s)}")
    if not facts.others:
        return None
    other = facts.others[-1]
    due_s = after_other(terms.campaign, facts.contact, other)
    if due_s is None:
        detail = "the number was dialled as another contact a moment ago, and nobody knows yet what that came to"
        return Refusal(Reason.RETRY, now_s + UNTOLD_S, detail)
    if not isinstance(due_s, Over) and now_s < due_s:
        detail = f"{_as_another(other)}; the next attempt at the number is due at {_said(due_s)}"
        return Refusal(Reason.RETRY, due_s, detail)
    return None


def _cooling(facts: Facts, rules: Rules, now_s: float) -> tuple[bool, Refusal | None]:
    """Whether an agent must be held, and whether not even that is enough."""
    if facts.abandoned_s is None:
        return False, None
    over_s = facts.abandoned_s + rules.cool_down_s
    if now_s < over_s:
        if rules.agent_lifts_cool_down:
            return True, None
        detail = f"abandoned at {_said(facts.abandoned_s)}; not to be called before {_said(over_s)}"
        return True, Refusal(Reason.COOL_DOWN, over_s, detail)
    served = facts.served_s is not None and facts.served_s > facts.abandoned_s
    return rules.agent_after_abandonment and not served, None


def _short_calls(facts: Facts, terms: Terms, now_s: float) -> Refusal | None:
    rule = terms.rules.short_calls
    if rule is None or facts.calls_today + 1 < rule.calls:
        return None
    if facts.short_today + 1 < rule.share * (facts.calls_today + 1):
        return None
    return Refusal(
        Reason.SHORT_CALLS,
        _next_midnight(terms.campaign.zone, now_s),
        f"{facts.short_today} of {facts.calls_today} calls today lasted no longer than {rule.short_s:g} s",
    )


def _no_caller_id(of: CallerIds, shown: str | None, now_s: float) -> Refusal:
    """``shown``: what was asked for, if anything."""
    asked = of.numbers if shown is None else (shown,) if shown in of.numbers else ()
    if asked:
        until_s = min(map(of.usable_s, asked))
        said = shown or f"any number of {of.name}"
        return Refusal(Reason.CALLER_ID, until_s, f"the day on which {said} is verified has not come")
    which = "is empty" if shown is None else f"does not hold {shown}"
    return Refusal(Reason.CALLER_ID, None, f"the set of verified numbers {of.name} {which}")


def _trunk(state: TrunkState, trunk: Trunk, now_s: float) -> Refusal | None:
    if state.rests_until_s is not None and now_s < state.rests_until_s:
        return Refusal(Reason.TRUNK, state.rests_until_s, f"trunk {trunk.name} rests after failures")
    if state.lines >= trunk.lines:
        return Refusal(Reason.TRUNK, now_s + SOON_S, f"all {trunk.lines} lines of trunk {trunk.name} are in use")
    # Below one call a second: one in so many seconds
    most = max(1, int(trunk.calls_per_s))
    span_s = most / trunk.calls_per_s
    within = sorted(at for at in state.started_s if at > now_s - span_s)
    if len(within) >= most:
        return Refusal(
            Reason.TRUNK,
            within[-most] + span_s,
            f"trunk {trunk.name} starts {trunk.calls_per_s:g} calls a second at most",
        )
    return None


# -- particulars -------------------------------------------------------------------------------------------------------


def _zones(contact: Contact, number: ContactNumber, by_prefix: Sequence[str]) -> tuple[tuple[tzinfo, ...], str | None]:
    """The clocks to look at, and what is wrong with them."""
    names = zones_of(contact, number, by_prefix)
    if not names:
        return (), "nobody knows in which time zone the number is"
    found = []
    for name in names:
        try:
            found.append(ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return (), f"there is no time zone {name[:60]!r}"
    return tuple(found), None


def _may_be_called(contact: Contact, rules: Rules, now_s: float) -> bool:
    given, ends = contact.consent_at, contact.consent_until
    if given is not None and given <= now_s and (ends is None or now_s < ends):
        return True
    if rules.customer_days is None or contact.customer_until is None:
        return False
    return now_s < contact.customer_until + rules.customer_days * DAY_S


def _no_consent(contact: Contact, rules: Rules, now_s: float) -> str:
    if contact.consent_at is None:
        said = "has not consented to calls"
    elif contact.consent_at > now_s:
        said = f"consents from {_said(contact.consent_at)} on only"
    else:
        said = f"consented until {_said(contact.consent_until or now_s)} only"
    if rules.customer_days is not None and contact.customer_until is not None:
        return f"{said}, and was a customer until {_said(contact.customer_until)}"
    return said


def _next_midnight(zone: str, now_s: float) -> float:
    where = ZoneInfo(zone)
    today = datetime.fromtimestamp(now_s, where).date()
    # Where clocks are changed at midnight, a day may begin at one
    until_s = next_allowed([Wall(where, lambda day: ((0, MINUTES_A_DAY),) if day > today else ())], now_s)
    assert until_s is not None
    return until_s


def _said(at_s: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"second {at_s:g}"
