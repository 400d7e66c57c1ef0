"""Profiles: what the rules of a country ask of outbound calls, as data, each figure with its source.

They are settings, not advice: the operator is responsible for the law that applies. A figure that no law names is good
practice, and its source says so. Operators change single figures for a campaign; `looser` names those that ask for less
than the profile. ``strict`` is at least as strict as every other profile in every figure, and what holds if none is
named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from acd.dialer.windows import both
from acd.domain.dialrules import CallingHours, Rule, Rules, ShortCalls
from acd.domain.hours import Range
from acd.domain.values import valueclass

_HOUR_S: Final = 3_600.0
_DAY_S: Final = 86_400.0
_ALL_DAY: Final[Range] = (0, 1440)
_PRACTICE: Final = "no law: good practice"

FIGURES: Final = (
    "caps",
    "hours",
    "connect_s",
    "ring_s",
    "number_day",
    "number_week",
    "contact_day",
    "contact_week",
    "cool_down_s",
    "agent_lifts_cool_down",
    "agent_after_abandonment",
    "consent",
    "customer_days",
    "short_calls",
    "message",
    "false_positives",
)
"""The fields of `Rules`."""


@valueclass(frozen=True, slots=True)
class Profile:
    """``place``: whose rules these are. ``sources``: figure -> where it comes from."""

    name: str
    place: str
    rules: Rules
    sources: Mapping[str, str]

    def source(self, figure: str) -> str:
        """Where a figure comes from."""
        return self.sources.get(figure, _PRACTICE)


def _day(from_hour: float, to_hour: float) -> tuple[Range, ...]:
    return ((round(from_hour * 60), round(to_hour * 60)),)


def _week(weekday: tuple[Range, ...], saturday: tuple[Range, ...], sunday: tuple[Range, ...]) -> CallingHours:
    return CallingHours((weekday,) * 5 + (saturday, sunday))


_US = Profile(
    "us",
    "United States",
    Rules(
        caps=(Rule("days30", 0.03),),
        hours=_week(_day(8, 21), _day(8, 21), _day(8, 21)),
        number_day=3,
        number_week=7,
        contact_day=3,
        contact_week=7,
    ),
    MappingProxyType(
        {
            "caps": "16 CFR 310.4(b)(4)(i): 3 % of calls answered by a person, over a campaign of less than 30 days or "
            "each successive 30 days of it",
            "connect_s": "16 CFR 310.4(b)(1)(iv): within 2 s of the person's completed greeting",
            "ring_s": "16 CFR 310.4(b)(4)(ii): 15 s or four rings",
            "message": "16 CFR 310.4(b)(4)(iii): name and number of the seller, at once",
            "hours": "16 CFR 310.4(c), 47 CFR 64.1200(c)(1): 8 a.m. to 9 p.m. at the called person's place; states may "
            "ask for less",
            "number_day": "federal law names none; Florida, Fla. Stat. 501.616(6)(b): 3 in 24 hours about one matter",
            "contact_day": "as number_day",
            "number_week": "for sales calls none; 12 CFR 1006.14(b)(2) for collection of debts: 7 in 7 days",
            "contact_week": "as number_week",
            "false_positives": "16 CFR 310.4(b)(4)(i): all calls answered by a person count",
        }
    ),
)

_UK = Profile(
    "uk",
    "United Kingdom",
    Rules(
        caps=(Rule("day", 0.03),),
        hours=_week(_day(8, 21), _day(9, 21), _day(9, 21)),
        number_day=3,
        number_week=7,
        contact_day=3,
        contact_week=7,
        cool_down_s=72 * _HOUR_S,
        agent_lifts_cool_down=True,
    ),
    MappingProxyType(
        {
            "caps": "Ofcom, statement on persistent misuse of 20 December 2016, in force from 1 March 2017: no share is "
            "safe any more, the rate is worked out per 24 hours; 3 % was the limit of 2010 and is kept as practice",
            "connect_s": "Ofcom, as caps: a message within 2 s of the greeting",
            "ring_s": "Ofcom, as caps: 15 s",
            "message": "Ofcom, as caps: who called, and a number to call back",
            "cool_down_s": "Ofcom, as caps: 72 hours, unless an agent is there for the call",
            "agent_lifts_cool_down": "as cool_down_s",
            "false_positives": "Ofcom, as caps: people taken for machines count",
            "hours": "no law; code of the Direct Marketing Association: not before 8 (at weekends 9), not after 21",
        }
    ),
)

_IT = Profile(
    "it",
    "Italy",
    Rules(
        caps=(Rule("campaign", 0.03),),
        hours=CallingHours((_day(9, 20),) * 5 + (_day(10, 19), ()), holiday=(), eve=_day(10, 19)),
        connect_s=3.0,
        number_day=3,
        number_week=7,
        contact_day=3,
        contact_week=7,
        cool_down_s=5 * _DAY_S,
        agent_after_abandonment=True,
    ),
    MappingProxyType(
        {
            "caps": "Garante per la protezione dei dati personali, 20 February 2014, no. 83: 3 silent calls in 100 put "
            "through, in each campaign",
            "connect_s": "Garante, no. 83: cut within 3 s of the answer",
            "cool_down_s": "Garante, no. 83: no call to that number for 5 days",
            "agent_after_abandonment": "Garante, no. 83: then with an agent made sure of before",
            "hours": "code of conduct for telemarketing, Gazzetta Ufficiale of 27 March 2024: working days 9 to 20, "
            "Saturdays and eves of holidays 10 to 19, never on Sundays and holidays (binding on those who joined it)",
            "message": "no law: Garante, no. 83 asks for background noise, so that nobody meets silence; good practice",
        }
    ),
)

_CA = Profile(
    "ca",
    "Canada",
    Rules(
        caps=(Rule("month", 0.05),),
        hours=_week(_day(9, 21.5), _day(10, 18), _day(10, 18)),
        number_day=3,
        number_week=7,
        contact_day=3,
        contact_week=7,
    ),
    MappingProxyType(
        {
            "caps": "CRTC, Unsolicited Telecommunications Rules, telemarketing: 5 % in a calendar month",
            "connect_s": "CRTC, as caps: within 2 s",
            "hours": "CRTC, as caps: 9:00 to 21:30, at weekends 10:00 to 18:00, where the person is",
        }
    ),
)

_NL = Profile(
    "nl",
    "Netherlands",
    Rules(
        caps=(Rule("day", 0.03),),
        hours=CallingHours(
            (_day(9, 22),) * 5 + (_day(10, 16), ()),
            holiday=(),
            special=MappingProxyType({day: _day(0, 18.5) for day in ("05-04", "12-05", "12-24")}),
        ),
        number_day=3,
        number_week=7,
        contact_day=3,
        contact_week=7,
        consent=True,
        customer_days=3 * 365,
    ),
    MappingProxyType(
        {
            "consent": "Telecommunicatiewet, art. 11.7, since 1 July 2021: natural persons, one-man businesses included",
            "customer_days": "Code Telemarketing, since 1 June 2020: customers up to 3 years after the last contract, for "
            "products of the same kind; 3 x 365 days, not a day more in leap years",
            "hours": "Code Telemarketing (art. 9 of that of 2012): working days 9 to 22, Saturdays 10 to 16; on 4 May, "
            "5 and 24 December until 18:30; no Sundays and holidays",
        }
    ),
)

_PL = Profile(
    "pl",
    "Poland",
    Rules(
        caps=(Rule("day", 0.03),),
        hours=CallingHours((_day(8, 20),) * 5 + (_day(9, 17), ()), holiday=()),
        number_day=3,
        number_week=7,
        contact_day=3,
        contact_week=7,
        consent=True,
    ),
    MappingProxyType(
        {"consent": "Prawo komunikacji elektronicznej, art. 398, since 10 November 2024; customers are not excepted"}
    ),
)

_BR = Profile(
    "br",
    "Brazil",
    Rules(
        caps=(Rule("day", 0.03),),
        hours=CallingHours((_day(9, 21),) * 5 + (_day(10, 16), ()), holiday=()),
        number_day=3,
        number_week=7,
        contact_day=3,
        contact_week=7,
        short_calls=ShortCalls(6.0, 0.85, 100_000),
    ),
    MappingProxyType(
        {
            "short_calls": "Anatel, Despacho Decisório 22/2024/RCTS/SRC: cut off who places 100,000 calls or more a day, "
            "85 % of them up to 6 s (or not completed, or to a mailbox)",
            "hours": "code of the telecommunications companies (SART), applied by courts to others: Monday to Friday "
            "9 to 21, Saturdays 10 to 16",
        }
    ),
)

_OTHERS: Final = (_US, _UK, _IT, _CA, _NL, _PL, _BR)


def _common(all_hours: list[CallingHours]) -> CallingHours:
    """The times that all allow, without holidays."""
    week: list[tuple[Range, ...]] = [(_ALL_DAY,)] * 7
    special: dict[str, tuple[Range, ...]] = {}
    eve: tuple[Range, ...] = (_ALL_DAY,)
    for hours in all_hours:
        week = [both(one, other) for one, other in zip(week, hours.week, strict=True)]
        for day, ranges in hours.special.items():
            special[day] = both(special.get(day, (_ALL_DAY,)), ranges)
        eve = both(eve, hours.eve if hours.eve is not None else (_ALL_DAY,))
    return CallingHours(tuple(week), holiday=(), eve=eve, special=MappingProxyType(special))


STRICT: Final = Profile(
    "strict",
    "anywhere",
    Rules(
        caps=(Rule("day", 0.03), Rule("days30", 0.03), Rule("month", 0.03), Rule("campaign", 0.03)),
        hours=_common([profile.rules.hours for profile in _OTHERS]),
        connect_s=min(profile.rules.connect_s for profile in _OTHERS),
        ring_s=max(profile.rules.ring_s for profile in _OTHERS),
        number_day=2,
        number_week=5,
        contact_day=2,
        contact_week=5,
        cool_down_s=max(profile.rules.cool_down_s for profile in _OTHERS),
        agent_after_abandonment=True,
        consent=True,
        short_calls=ShortCalls(6.0, 0.85, 100_000),
    ),
    MappingProxyType(dict.fromkeys(FIGURES, "the strictest of all profiles, or stricter")),
)

PROFILES: Final[Mapping[str, Profile]] = MappingProxyType({profile.name: profile for profile in (STRICT, *_OTHERS)})


def looser(than: Rules, rules: Rules) -> tuple[str, ...]:
    """The figures in which ``rules`` ask for less than ``than`` does, in the order of `FIGURES`."""
    asked = {
        "caps": not all(any(new.span == old.span and new.cap <= old.cap for new in rules.caps) for old in than.caps),
        "hours": not within(rules.hours, than.hours),
        "connect_s": rules.connect_s > than.connect_s,
        "ring_s": rules.ring_s < than.ring_s,
        "number_day": _more(rules.number_day, than.number_day),
        "number_week": _more(rules.number_week, than.number_week),
        "contact_day": _more(rules.contact_day, than.contact_day),
        "contact_week": _more(rules.contact_week, than.contact_week),
        "cool_down_s": rules.cool_down_s < than.cool_down_s,
        "agent_lifts_cool_down": rules.agent_lifts_cool_down
        and than.cool_down_s > 0
        and not than.agent_lifts_cool_down,
        "agent_after_abandonment": than.agent_after_abandonment and not rules.agent_after_abandonment,
        "consent": than.consent and not rules.consent,
        "customer_days": than.consent and _more_days(rules.customer_days, than.customer_days),
        "short_calls": than.short_calls is not None and not _covers(rules.short_calls, than.short_calls),
        "message": than.message and not rules.message,
        "false_positives": than.false_positives and not rules.false_positives,
    }
    return tuple(figure for figure in FIGURES if asked[figure])


def within(hours: CallingHours, limits: CallingHours) -> bool:
    """Whether no moment is allowed by ``hours`` that ``limits`` forbids."""
    week, open_ = hours.week, (_ALL_DAY,)
    if not all(_inside(day, limit) for day, limit in zip(week, limits.week, strict=True)):
        return False
    # Any date may be a holiday, its eve or a special day, so every day of the week has to fit
    holidays = week if hours.holiday is None else (hours.holiday,)
    allowed = limits.week if limits.holiday is None else (limits.holiday,)
    if (limits.holiday is not None or hours.holiday is not None) and not all(
        _inside(day, limit) for day in holidays for limit in allowed
    ):
        return False
    eve = open_ if hours.eve is None else hours.eve
    if limits.eve is not None and not all(_inside(both(day, eve), limits.eve) for day in week):
        return False
    return all(
        _inside(both(day, hours.special.get(date, open_)), limit)
        for date, limit in limits.special.items()
        for day in week
    )


def _inside(ranges: Sequence[Range], limit: Sequence[Range]) -> bool:
    joined = _joined(ranges)
    return both(joined, _joined(limit)) == joined


def _joined(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """With ranges that meet made one."""
    found: list[Range] = []
    for start, end in ranges:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)


def _more(most: int | None, than: int | None) -> bool:
    return than is not None and (most is None or most > than)


def _more_days(days: int | None, than: int | None) -> bool:
    """``None``: customers are not excepted, which is the strictest."""
    return days is not None and (than is None or days > than)


def _covers(rule: ShortCalls | None, than: ShortCalls) -> bool:
    return rule is not None and rule.short_s >= than.short_s and rule.share <= than.share and rule.calls <= than.calls
