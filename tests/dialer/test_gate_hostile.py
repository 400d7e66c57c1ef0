"""Histories made up to get a forbidden call through: random people, zones, clocks, restarts, lists imported again.

A world of stored facts is lived through: attempts are asked for at odd moments, and whatever the gate permits is dialled. An
obvious checker, which knows the profile's law by itself and looks at everything that ever happened, must find nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from gatekit import FACTS, NO_ROOM, ROOM, terms
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.dialer.gate import Permit, Refusal, Terms, TrunkState, permit
from acd.domain.campaigns import CampaignState, Contact, ContactNumber

ZONES = (
    "Europe/London",
    "Europe/Rome",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
)
NUMBERS = ("+4930555101", "+390655501", "+12125550199")
STARTS = [
    datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp(),
    datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp(),
    datetime(2026, 10, 24, 12, tzinfo=UTC).timestamp(),
]
PROFILE_NAMES = ("us", "uk", "it", "nl", "pl", "strict")
#: What each law says, written down apart from the profiles: opening and closing by weekday, on the wall.
OPEN = {
    "us": [(8, 21)] * 7,
    "uk": [(8, 21)] * 5 + [(9, 21)] * 2,
    "it": [(9, 20)] * 5 + [(10, 19), None],
    "nl": [(9, 22)] * 5 + [(10, 16), None],
    "pl": [(8, 20)] * 5 + [(9, 17), None],
    "strict": [(9, 20)] * 5 + [(10, 16), None],
}
NO_HOLIDAYS = ("it", "nl", "pl", "strict")
HOLIDAYS = {date(2026, 3, 30), date(2026, 6, 2), date(2026, 10, 26)}
A_DAY, A_WEEK = 86_400.0, 7 * 86_400.0


@dataclass
class Stored:
    """What survives everything: attempts as (time, contact, number), and what became of people."""

    attempts: list[tuple[float, int, str]] = field(default_factory=list)
    abandoned: dict[str, float] = field(default_factory=dict)
    served: dict[str, float] = field(default_factory=dict)
    do_not_call: set[str] = field(default_factory=set)
    opted_out: dict[int, float] = field(default_factory=dict)


@dataclass
class World:
    """A campaign that asks the gate. ``imported``: how often each list was, which gives contacts new record numbers."""

    profile: str
    terms: Terms
    people: list[Contact]
    zones: tuple[str, ...]
    stored: Stored = field(default_factory=Stored)
    state: CampaignState = CampaignState.RUNNING
    clock_off_s: float = 0.0

    def ask(self, person: Contact, number: str, true_s: float, agent: bool, room: bool, lines: int) -> None:
        stored, now_s = self.stored, true_s + self.clock_off_s
        mine = {known.contact for known in self.people if known.key == person.key}
        facts = replace(
            FACTS,
            contact=person,
            number=ContactNumber(number),
            zones=self.zones,
            state=self.state,
            number_s=[at for at, _, called in stored.attempts if called == number],
            contact_s=[at for at, who, _ in stored.attempts if who in mine],
            number_attempts=sum(called == number for _, _, called in stored.attempts),
            contact_attempts=sum(who in mine for _, who, _ in stored.attempts),
            latest_s=max((at for at, _, _ in stored.attempts), default=None),
            do_not_call=("own",) if number in stored.do_not_call else (),
            opted_out_s=stored.opted_out.get(int(person.key)),
            abandoned_s=stored.abandoned.get(number),
            served_s=stored.served.get(number),
            trunk=TrunkState(lines=lines),
            agent_held=agent,
            slack=ROOM if room else NO_ROOM,
        )
        answer = permit(facts, self.terms, HOLIDAYS.__contains__, now_s)
        wrong = forbidden(self, person, number, now_s, agent, room, lines)
        if isinstance(answer, Permit):
            assert not wrong, f"{wrong}, but permitted"
            if wants_agent(self, number, now_s):
                assert answer.needs_agent
            if answer.needs_agent and not agent:
                return
            stored.attempts.append((now_s, person.contact, number))
        else:
            assert wrong, f"nothing speaks against it, but refused: {answer}"
            self.until(facts, answer, now_s)

    def until(self, facts: object, answer: Refusal, now_s: float) -> None:
        """What is refused until a moment is refused for the same reason until then, and not from then on."""
        assert answer.until_s is None or answer.until_s > now_s
        if answer.until_s is None:
            return
        halfway = permit(facts, self.terms, HOLIDAYS.__contains__, (now_s + answer.until_s) / 2)  # type: ignore[arg-type]
        assert isinstance(halfway, Refusal) or answer.reason in ("trunk", "ledger", "in_progress")
        then = permit(facts, self.terms, HOLIDAYS.__contains__, answer.until_s)  # type: ignore[arg-type]
        if isinstance(then, Refusal) and answer.reason not in ("trunk", "ledger", "in_progress"):
            assert then.reason != answer.reason or then.until_s != answer.until_s


def forbidden(
    world: World, person: Contact, number: str, now_s: float, agent: bool, room: bool, lines: int
) -> list[str]:
    """Everything that the law, the operator or common sense has against it."""
    stored, law, found = world.stored, world.profile, []
    if world.state is not CampaignState.RUNNING:
        found.append("campaign")
    if any(at > now_s for at, _, _ in stored.attempts):
        found.append("clock")
    known = [stored.abandoned.get(number), stored.served.get(number), stored.opted_out.get(int(person.key))]
    if any(at is not None and at > now_s for at in known):
        found.append("clock")
    if law in NO_HOLIDAYS and person.country is None:
        found.append("holidays unknown")
    if number in stored.do_not_call or int(person.key) in stored.opted_out:
        found.append("unwanted")
    if law in ("nl", "pl", "strict"):
        begins, ends = person.consent_at, person.consent_until
        consents = begins is not None and begins <= now_s and not (ends is not None and ends <= now_s)
        customer = law == "nl" and person.customer_until is not None and now_s - person.customer_until < 1_095 * A_DAY
        if not consents and not customer:
            found.append("consent")
    for zone in [person.zone] if person.zone else world.zones:
        wall = datetime.fromtimestamp(now_s, ZoneInfo(zone))
        hours = OPEN[law][wall.weekday()]
        if hours is None or not hours[0] <= wall.hour < hours[1]:
            found.append("hours")
        if law in NO_HOLIDAYS and wall.date() in HOLIDAYS:
            found.append("holiday")
        tomorrow = date.fromordinal(wall.date().toordinal() + 1)
        if law in ("it", "strict") and tomorrow in HOLIDAYS and not 10 <= wall.hour < 19:
            found.append("eve")
    mine = {known.contact for known in world.people if known.key == person.key}
    most_day, most_week = (2, 5) if law == "strict" else (3, 7)
    of_number = [at for at, _, called in stored.attempts if called == number]
    of_contact = [at for at, who, _ in stored.attempts if who in mine]
    if any(
        sum(now_s - at < A_DAY for at in those) >= most_day or sum(now_s - at < A_WEEK for at in those) >= most_week
        for those in (of_number, of_contact)
    ):
        found.append("too often")
    if sum(who in mine for _, who, _ in stored.attempts) >= world.terms.campaign.attempts:
        found.append("exhausted")
    if sum(called == number for _, _, called in stored.attempts) >= world.terms.campaign.number_attempts:
        found.append("exhausted")
    abandoned = stored.abandoned.get(number)
    if abandoned is not None and law in ("it", "strict") and now_s - abandoned < 5 * A_DAY:
        found.append("cool-down")
    if lines >= 30:
        found.append("lines")
    if not room and not agent and not wants_agent(world, number, now_s):
        found.append("ledger")
    return found


def wants_agent(world: World, number: str, now_s: float) -> bool:
    """Abandoned within 72 hours in the United Kingdom; not served since in Italy."""
    abandoned, served = world.stored.abandoned.get(number), world.stored.served.get(number)
    if abandoned is None:
        return False
    if world.profile == "uk":
        return now_s - abandoned < 72 * 3_600
    return world.profile in ("it", "strict") and not (served is not None and served > abandoned)


@st.composite
def people(draw: st.DrawFn, start_s: float) -> list[Contact]:
    when = st.one_of(st.none(), st.sampled_from([start_s - A_WEEK, start_s + A_DAY, start_s + 3 * A_DAY]))
    long_ago = st.one_of(st.none(), st.sampled_from([start_s - 1_093 * A_DAY, start_s - 2_000 * A_DAY]))
    return [
        Contact(
            number + 1,
            "spring",
            str(number + 1),
            "Ida",
            tuple(ContactNumber(one) for one in NUMBERS),
            zone=draw(st.one_of(st.none(), st.sampled_from(ZONES))),
            country=draw(st.sampled_from(["IT", "IT", "IT", None])),
            consent_at=draw(when),
            consent_until=draw(when),
            customer_until=draw(long_ago),
        )
        for number in range(2)
    ]


STEPS = st.sampled_from(
    ["ask"] * 12 + ["abandon", "serve", "opt out", "list", "pause", "run", "reimport", "back", "forth", "settle"]
)


@settings(max_examples=250, deadline=None)
@given(st.data(), st.sampled_from(PROFILE_NAMES), st.sampled_from(STARTS))
def test_no_forbidden_call_gets_through(data: st.DataObject, profile: str, start_s: float) -> None:
    zones = tuple(data.draw(st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True)))
    most = data.draw(st.sampled_from([(6, 3), (30, 30)]))
    world = World(profile, terms(profile, attempts=most[0], number_attempts=most[1]), data.draw(people(start_s)), zones)
    true_s = start_s
    for step in data.draw(st.lists(STEPS, min_size=5, max_size=40)):
        true_s += data.draw(st.sampled_from([0.0, 1.0, 600.0, 1_800.0, 3_600.0, 5 * 3_600.0, A_DAY, 2.5 * A_DAY]))
        now_s = true_s + world.clock_off_s
        person = data.draw(st.sampled_from(world.people))
        number = data.draw(st.sampled_from(NUMBERS))
        if step == "ask":
            agent, room = data.draw(st.booleans()), data.draw(st.booleans())
            world.ask(person, number, true_s, agent, room, data.draw(st.sampled_from([0, 29, 30])))
        elif step == "abandon":
            world.stored.abandoned[number] = now_s
        elif step == "serve":
            world.stored.served[number] = now_s
        elif step == "opt out":
            world.stored.opted_out[int(person.key)] = now_s
        elif step == "list":
            world.stored.do_not_call.add(number)
        elif step == "pause":
            world.state = CampaignState.PAUSED
        elif step == "run":
            world.state = CampaignState.RUNNING
        elif step == "reimport":
            world.people += [replace(one, contact=one.contact + 100 * len(world.people)) for one in world.people[:2]]
        elif step == "back":
            world.clock_off_s -= data.draw(st.sampled_from([60.0, 3_600.0, 3 * A_DAY]))
        elif step == "forth":
            world.clock_off_s += data.draw(st.sampled_from([60.0, 3_600.0, 3 * A_DAY]))
        else:
            world.clock_off_s = 0.0
