"""Every report computed the slow and obvious way: a loop over all records, one at a time, and Python's own calendar."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from reportkit import SEALED, Row, World, us

MINUTES = {"15min": 15, "30min": 30, "hour": 60}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@lru_cache(maxsize=100_000)
def label(at: float, unit: str, zone: ZoneInfo) -> str:
    """The interval of a moment."""
    local = datetime.fromtimestamp(at, zone)
    if unit == "day":
        return f"{local.year:04}-{local.month:02}-{local.day:02}"
    if unit == "week":
        year, week, _ = local.isocalendar()
        return f"{year}-W{week:02}"
    if unit == "month":
        return f"{local.year:04}-{local.month:02}"
    if unit == "weekday":
        return DAYS[local.weekday()]
    if unit == "hour_of_day":
        return f"{local.hour:02}"
    length = MINUTES[unit]

    def same(moment: float) -> tuple[object, ...]:
        shown = datetime.fromtimestamp(moment, zone)
        return shown.date(), shown.hour, shown.minute // length, shown.utcoffset()

    # Back, minute by minute, for as long as the clock shows the same interval
    minute = at // 60 * 60
    while same(minute - 60) == same(at):
        minute -= 60
    return datetime.fromtimestamp(minute, zone).isoformat(timespec="minutes")


def labels_between(world: World, units: Sequence[str]) -> set[tuple[str, ...]]:
    """Every interval there is in the world's stretch: looked at every five minutes."""
    found, at = set(), world.from_s
    while at < world.to_s:
        found.add(tuple(label(at, unit, world.zone) for unit in units))
        at += 300
    return found


def entered(world: World, keep: Callable[[Row], bool] = lambda row: True) -> list[Row]:
    """The calls of the stretch."""
    return [row for row in world.calls if world.from_s <= row["entered_at"] < world.to_s and keep(row)]


def requirement(world: World, call: Row) -> str | None:
    """What the first decision that says it asked for."""
    mine = sorted((d for d in world.decisions if d["call"] == call["call"]), key=lambda d: d["serial"])
    return next((d["detail"]["requirement"] for d in mine if "requirement" in d["detail"]), None)


SKILLS = {
    None: [None], "anyone": ["anyone"], "billing >= 60": ["billing"],
    "billing >= 60 and english >= 50": ["billing", "english"], "german or english >= 80": ["german", "english"],
}  # fmt: skip


def keys_of(world: World, call: Row, by: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows of a report that a call counts in."""
    keys: list[tuple[Any, ...]] = [()]
    for name in by:
        if name == "tag":
            values: Iterable[Any] = call["tags"] or [None]
        elif name == "requirement":
            values = [requirement(world, call)]
        elif name == "skill":
            values = SKILLS[requirement(world, call)]
        elif name in call:
            values = [call[name]]
        else:
            values = [label(call["entered_at"], name, world.zone)]
        keys = [(*key, value) for key in keys for value in values]
    return keys


def _mean(values: Sequence[int]) -> float | None:
    return sum(values) / len(values) / 1_000_000 if values else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def percentile(values: Sequence[int], percent: int) -> float | None:
    """The smallest value that is not below ``percent`` percent of all."""
    ordered = sorted(values)
    return ordered[math.ceil(percent * len(ordered) / 100) - 1] / 1_000_000 if ordered else None


def was_own(world: World, call: Row) -> bool:
    """Whether it was an agent's own call, in whose place he joined his caller."""
    return call["outcome"] == "transferred" and line(world, call)[-1]["outcome"] == "joined"


def figures(of: Sequence[Row], thresholds_s: dict[str, float], threshold_s: float, short_s: float) -> dict[str, Any]:
    """All measures of some calls."""
    over = [c for c in of if c["ended_at"] is not None]
    answered = [c for c in over if c["answered_at"] is not None]
    unanswered = [c for c in over if c["answered_at"] is None]
    abandoned = [c for c in unanswered if c["outcome"] == "abandoned"]
    in_time = [c for c in answered if c["wait_us"] <= us(thresholds_s.get(c["queue"], threshold_s))]
    short = [c for c in abandoned if c["wait_us"] < us(short_s)]
    handled = [c for c in answered if c["wrap_us"] is not None]
    transferred = [c for c in answered if c["outcome"] == "transferred" and c.get("transferred", True)]
    waits = [c["wait_us"] for c in answered]
    n = len
    return {
        "offered": n(of),
        "answered": n(answered),
        "abandoned": n(abandoned),
        "short_abandoned": n(short),
        "overflowed": n([c for c in unanswered if c["outcome"] == "overflowed"]),
        "passed_on": n([c for c in unanswered if c["outcome"] == "transferred"]),
        "fallback": n([c for c in unanswered if c["outcome"] == "fallback"]),
        "lost_track": n([c for c in unanswered if c["outcome"] == "lost_track"]),
        "open": n(of) - n(over),
        "service_level": _ratio(n(in_time), n(answered) + n(abandoned)),
        "service_level_net": _ratio(n(in_time), n(answered) + n(abandoned) - n(short)),
        "service_level_gross": _ratio(n(in_time), n(over)),
        "answered_in_time": n(in_time),
        "answer_rate": _ratio(n(answered), n(over)),
        "abandon_rate": _ratio(n(abandoned), n(over)),
        "asa_s": _mean(waits),
        "abandon_wait_s": _mean([c["wait_us"] for c in abandoned]),
        "longest_wait_s": max((c["wait_us"] for c in over), default=None) and max(c["wait_us"] for c in over) / 1e6,
        **{f"wait_p{p}_s": percentile(waits, p) for p in (50, 80, 90, 95)},
        "aht_s": _mean([c["talk_us"] + c["hold_us"] + c["wrap_us"] for c in handled]),
        "talk_s": _mean([c["talk_us"] for c in handled]),
        "hold_s": _mean([c["hold_us"] for c in handled]),
        "wrap_s": _mean([c["wrap_us"] for c in handled]),
        "transferred": n(transferred),
        "transfer_rate": _ratio(n(transferred), n(answered)),
        "offers": sum(c["offers"] for c in over),
        "ronas": sum(c["ronas"] for c in over),
    }


def summary(
    world: World,
    by: Sequence[str],
    units: Sequence[str],
    keep: Callable[[Row], bool],
    of: Sequence[Row] | None = None,
    **rules: Any,
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Figures by key; intervals without a call are there when nothing else is asked for."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    if by and list(by) == list(units):
        for key in labels_between(world, units):
            groups[key] = []
    if of is None:
        # Whoever answered such a call passed nobody on
        own = {call["call"] for call in world.calls if call["answered_at"] is not None and was_own(world, call)}
        of = [call | {"transferred": call["call"] not in own} for call in entered(world)]
    for call in filter(keep, of):
        for key in keys_of(world, call, by):
            groups[key].append(call)
    if not by:
        groups.setdefault((), [])
    return {key: figures(rows, **rules) for key, rows in groups.items()}


WAITING = ("entered", "waited", "offered", "rang")
TALKING = ("talked", "held", "consulted", "conferenced")
BY_HAND = ("escalated", "transferred", "joined")


def line(world: World, call: Row) -> list[Row]:
    """A call's segments from its entry to its end."""
    mine = [s for s in world.segments if s["call"] == call["call"] and s["kind"] != "wrapped"]
    return sorted(mine, key=lambda s: s["serial"])


def cut_up(world: World, call: Row) -> list[list[Row]]:
    """A call's segments by stay: each begins with a wait in another queue, or after a conversation."""
    found: list[list[Row]] = []
    before = None
    for segment in line(world, call):
        comes = segment["kind"] in WAITING
        if before is None or (comes and (before["kind"] not in WAITING or before["queue"] != segment["queue"])):
            found.append([])
        found[-1].append(segment)
        before = segment
    return found


def length_us(of: Iterable[Row], kinds: Sequence[str]) -> int:
    return sum(us(s["ended_at"]) - us(s["started_at"]) for s in of if s["kind"] in kinds)


def _became(call: Row, stay: list[Row], *, followed: bool, first_talk: bool) -> str | None:
    """How a stay ended."""
    last = stay[-1]["outcome"]
    if any(s["kind"] in TALKING for s in stay):
        handed_on = any(s["kind"] not in WAITING and s["outcome"] in BY_HAND for s in (stay if followed else stay[:-1]))
        # The last stretch of an agent's own call, whose place his caller took
        return "transferred" if handed_on else "answered" if last == "joined" else call["outcome"]
    if followed:
        return "transferred" if last in BY_HAND else "overflowed"
    if first_talk or call["outcome"] == "lost_track":
        return "transferred" if (call["outcome"], call["ended_by"]) == ("overflowed", "agent") else call["outcome"]
    if last in BY_HAND:
        return "transferred"
    if last == "fallback":
        return "fallback"
    return "abandoned" if (call["outcome"], call["ended_by"]) == ("answered", "caller") else "overflowed"


def stays(world: World) -> list[Row]:
    """The stays that began in the stretch, each with what a call has."""
    found = []
    for call in world.calls:
        pieces = cut_up(world, call)
        for place, stay in enumerate(pieces):
            followed, talks = place + 1 < len(pieces), [s for s in stay if s["kind"] in TALKING]
            over = followed or call["ended_at"] is not None
            row = call | {
                "queue": stay[0]["queue"],
                "entered_at": stay[0]["started_at"],
                "answered_at": talks[0]["started_at"] if talks else None,
                "agent": talks[0]["agent"] if talks else None,
                "ended_at": stay[-1]["ended_at"] if followed else call["ended_at"],
                "wait_us": length_us(stay, WAITING) if over else None,
                "wrap_us": None, "offers": 0, "ronas": 0,
                "outcome": _became(call, stay, followed=followed, first_talk=call["answered_at"] is None),
            }  # fmt: skip
            if world.from_s <= row["entered_at"] < world.to_s:
                found.append(row)
    return found


def whole_days(world: World) -> list[datetime]:
    """The local midnights of the stretch."""
    day = datetime.fromtimestamp(world.from_s, world.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    days = []
    while day.timestamp() < world.to_s:
        days.append(day)
        day = (day + timedelta(days=1)).replace(hour=0)
    return days


# -- agents ------------------------------------------------------------------------------------------------------------


def _stretches(world: World, row: Row) -> tuple[int, int]:
    """What of a state lies in the stretch, in microseconds; ends before it begins if nothing does."""
    last = min(world.to_s, world.now)
    ended = last if row["ended_at"] is None else row["ended_at"]
    return us(max(row["started_at"], world.from_s)), us(min(ended, last))


def state_time(world: World, row: Row, units: Sequence[str]) -> dict[tuple[str, ...], int]:
    """Microseconds of a state by interval: cut at every minute of the clock."""
    begin, end = _stretches(world, row)
    found: dict[tuple[str, ...], int] = defaultdict(int)
    while begin < end:
        minute_end = min((begin // 60_000_000 + 1) * 60_000_000, end)
        found[tuple(label(begin / 1_000_000, unit, world.zone) for unit in units)] += minute_end - begin
        begin = minute_end
    return found


def agent_figures(
    world: World, by: Sequence[str], units: Sequence[str], keep: Sequence[str]
) -> dict[Any, dict[str, Any]]:
    """The report agents."""
    spent: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    spoke: dict[Any, list[Row]] = defaultdict(list)
    handed_on: dict[Any, int] = defaultdict(int)

    def key(labels: tuple[str, ...], agent: str) -> tuple[str, ...]:
        rest = iter(labels)
        return tuple(agent if name == "agent" else next(rest) for name in by)

    for row in world.states:
        if not keep or row["agent"] in keep:
            for labels, length in state_time(world, row, units).items():
                spent[key(labels, row["agent"])][row["state"]] += length
    known = {row["agent"] for row in world.states}
    for row in world.segments:
        if (
            row["agent"] in known
            and (not keep or row["agent"] in keep)
            and world.from_s <= row["started_at"] < world.to_s
        ):
            labels = tuple(label(row["started_at"], unit, world.zone) for unit in units)
            spoke[key(labels, row["agent"])].append(row)
    for agent, at in handovers(world):
        if agent in known and (not keep or agent in keep) and world.from_s <= at < world.to_s:
            handed_on[key(tuple(label(at, unit, world.zone) for unit in units), agent)] += 1
    keys = spent.keys() | spoke.keys()
    if "agent" not in by:
        keys |= labels_between(world, units) if units else set()
    return {key: _agent(world, spent[key], spoke[key]) | {"transfers": handed_on[key]} for key in keys}


def staffing(
    world: World,
    by: Sequence[str],
    units: Sequence[str],
    keep: Sequence[str],
    have: Mapping[str, Mapping[str, Sequence[str]]],
) -> dict[Any, dict[str, Any]]:
    """The report staffing: as many rows an agent as there are ways to name one of his queues and one of his skills."""
    spent: dict[Any, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in world.states:
        if keep and row["agent"] not in keep:
            continue
        queues = have["queue"].get(row["agent"]) or [None] if "queue" in by else ["-"]
        skills = have["skill"].get(row["agent"]) or [None] if "skill" in by else ["-"]
        for labels, length in state_time(world, row, units).items():
            for queue in queues:
                for skill in skills:
                    rest = iter(labels)
                    named = {"queue": queue, "skill": skill}
                    key = tuple(named[name] if name in named else next(rest) for name in by)
                    spent[key][row["state"]] += length
    keys = set(spent)
    if units and len(units) == len(by):
        keys |= labels_between(world, units)
    return {key: _agent(world, spent[key], []) for key in keys}


def handovers(world: World) -> list[tuple[str, float]]:
    """Who passed his caller on, in a conversation that began when."""
    found = []
    for call in world.calls:
        mine = line(world, call)
        for place, s in enumerate(mine):
            if s["kind"] in WAITING:
                continue
            then = mine[place + 1] if place + 1 < len(mine) else None
            if then is None:
                on = call["outcome"] == "transferred" and not was_own(world, call)
            else:
                on = s["outcome"] in BY_HAND and (then["kind"] in WAITING or s["outcome"] == "joined")
            if on:
                last = s if s["kind"] in TALKING else mine[place - 1]
                began = next(
                    t["started_at"] for t in mine
                    if (t["kind"], t["agent"], t["offer"]) == ("talked", last["agent"], last["offer"])
                )  # fmt: skip
                found.append((last["agent"], began))
    return found


def _agent(world: World, spent: dict[str, int], of: Sequence[Row]) -> dict[str, Any]:
    def length(*kinds: str) -> int:
        return sum(
            us(r["ended_at"]) - us(r["started_at"]) for r in of if r["kind"] in kinds and r["ended_at"] is not None
        )

    def first(row: Row) -> bool:
        return not any(
            (r["call"], r["kind"], r["agent"], r["offer"]) == (row["call"], "talked", row["agent"], row["offer"])
            and r["serial"] < row["serial"]
            for r in world.segments
        )

    talks = sum(1 for r in of if r["kind"] == "talked" and first(r))
    work = spent["PREVIEW"] + spent["RINGING"] + spent["TALKING"] + spent["WRAP_UP"]
    ready = work + spent["AVAILABLE"] + spent["RESERVED"]
    times = {
        "talk_s": length("talked", "conferenced"),
        "hold_s": length("held", "consulted"),
        "wrap_s": length("wrapped"),
    }
    return {
        "logged_in_s": (ready + spent["PAUSED"]) / 1_000_000,
        "available_s": spent["AVAILABLE"] / 1_000_000,
        "preview_s": spent["PREVIEW"] / 1_000_000,
        "reserved_s": spent["RESERVED"] / 1_000_000,
        "ringing_s": spent["RINGING"] / 1_000_000,
        "talking_s": spent["TALKING"] / 1_000_000,
        "wrap_up_s": spent["WRAP_UP"] / 1_000_000,
        "paused_s": spent["PAUSED"] / 1_000_000,
        "occupancy": _ratio(work, ready),
        "shrinkage": _ratio(spent["PAUSED"], ready + spent["PAUSED"]),
        "conversations": talks,
        "aht_s": sum(times.values()) / talks / 1_000_000 if talks else None,
        **{name: value / talks / 1_000_000 if talks else None for name, value in times.items()},
        "ronas": sum(r["outcome"] == "no_answer" for r in of),
        "declines": sum(r["outcome"] == "declined" for r in of),
    }


def states(world: World, by: Sequence[str], units: Sequence[str]) -> dict[Any, tuple[float, float | None]]:
    """The report states."""
    groups: dict[Any, int] = defaultdict(int)
    bases: dict[Any, int] = defaultdict(int)
    base_of = {}
    for row in world.states:
        if row["state"] == "LOGGED_OUT" and "state" not in by:
            continue
        for labels, length in state_time(world, row, units).items():
            rest = iter(labels)
            key = tuple(row[name] if name in row else next(rest) for name in by)
            base = (labels, row["agent"] if "agent" in by else None)
            groups[key] += length
            base_of[key] = base
            bases[base] += length if row["state"] != "LOGGED_OUT" else 0
    return {
        key: (length / 1_000_000, None if "LOGGED_OUT" in key else _ratio(length, bases[base_of[key]]))
        for key, length in groups.items()
    }


# -- callers -----------------------------------------------------------------------------------------------------------


def withheld(number: str) -> bool:
    return number == SEALED or number.lower() in (
        "",
        "anonymous",
        "unknown",
        "unavailable",
        "restricted",
        "private",
        "<unknown>",
    )


def gave_up_us(world: World, call: Row) -> int | None:
    """How long a caller waited in vain until he hung up; None if he did not."""
    if call["ended_at"] is None:
        return None
    if call["answered_at"] is None:
        return int(call["wait_us"]) if call["outcome"] == "abandoned" else None
    mine = line(world, call)
    talked = max(place for place, s in enumerate(mine) if s["kind"] in TALKING)
    waited = length_us(mine[talked + 1 :], WAITING)
    left = (call["outcome"], call["ended_by"]) == ("answered", "caller") and mine[-1]["kind"] in WAITING
    return waited if left and call["rewait_us"] > 0 else None


def abandoned(world: World, short_s: float) -> list[tuple[Any, ...]]:
    """(call, wait_s, short, after_talk, tries, reached, reached_at, by, after)"""
    found = []
    for c in sorted(entered(world), key=lambda c: (c["entered_at"], c["call"]), reverse=True):
        waited = gave_up_us(world, c)
        if waited is None:
            continue
        after = [
            d for d in world.calls
            if (d["caller_number"], d["client"]) == (c["caller_number"], c["client"]) and d["entered_at"] > c["entered_at"]
        ]  # fmt: skip
        good = sorted((d for d in after if d["answered_at"] is not None), key=lambda d: (d["answered_at"], d["call"]))
        row = (c["call"], waited / 1_000_000, waited < us(short_s), c["answered_at"] is not None)
        if withheld(c["caller_number"]):
            found.append((*row, None, None, None, None, None))
        elif good:
            gap = (us(good[0]["answered_at"]) - us(c["ended_at"])) / 1_000_000
            found.append((*row, len(after), True, good[0]["answered_at"], good[0]["agent"], gap))
        else:
            found.append((*row, len(after), False, None, None, None))
    return found


def repeat(
    world: World, by: Sequence[str], units: Sequence[str], days: int, keep: Callable[[Row], bool] = lambda row: True
) -> dict[Any, tuple[Any, ...]]:
    groups: dict[Any, list[tuple[bool, int | None]]] = defaultdict(list)
    if by and list(by) == list(units):
        groups |= {key: [] for key in labels_between(world, units)}
    for c in entered(world, keep):
        if c["ended_at"] is None or c["answered_at"] is None:
            continue
        gaps = [
            us(d["entered_at"]) - us(c["entered_at"]) for d in world.calls
            if (d["caller_number"], d["client"]) == (c["caller_number"], c["client"])
            and (d["entered_at"], d["call"]) > (c["entered_at"], c["call"])
        ]  # fmt: skip
        judged = not withheld(c["caller_number"]) and us(c["entered_at"]) <= us(world.now) - days * 86_400_000_000
        close = [gap for gap in gaps if gap <= days * 86_400_000_000]
        for key in keys_of(world, c, by):
            groups[key].append((judged, min(close) if judged and close else None))
    found = {}
    for key, of in groups.items():
        judged, again = sum(j for j, _ in of), [gap for _, gap in of if gap is not None]
        rate = _ratio(judged - len(again), judged)
        found[key] = (len(of), judged, len(again), rate, sum(again) / len(again) / 1e6 if again else None)
    return found


def passed_on(world: World) -> list[Row]:
    """Each time a call of the stretch was passed on: out of our hands, and between our queues."""
    out = {"transferred": "by the agent", "overflowed": "by the queue", "fallback": "fallback"}
    within = {
        "escalated": "escalated", "transferred": "transferred to a queue", "joined": "joined", "moved": "queue removed",
    }  # fmt: skip
    found = []
    for c in entered(world):
        if c["ended_at"] is not None and c["outcome"] in out and not was_own(world, c):
            by_hand = (c["outcome"], c["ended_by"]) == ("overflowed", "agent")
            mine = line(world, c)
            waits = mine[-1]["kind"] in WAITING
            how = out[c["outcome"]]
            if c["outcome"] == "transferred" and c["ended_by"] != "agent" and waits:
                how = "fallback" if mine[-1]["outcome"] == "fallback" else "by the queue"
            back = [d for d in world.calls if d["from_call"] == c["call"] and d["entered_at"] >= world.from_s]
            kind = "by the agent" if by_hand else how
            agent = None if waits else next((s["agent"] for s in reversed(mine) if s["kind"] in TALKING), None)
            answered = any(d["answered_at"] is not None for d in back)
            found.append(
                c
                | {
                    "kind": kind,
                    "agent": agent,
                    "back": bool(back),
                    "again": answered,
                    "wait_us": c["wait_us"] + c["rewait_us"],
                }
            )
        mine, begins = line(world, c), [stay[0]["serial"] for stay in cut_up(world, c)]
        for place, s in enumerate(mine[:-1]):
            then = mine[place + 1]
            if then["serial"] in begins or s["outcome"] == "joined":
                last = next((b for b in begins if b > then["serial"]), math.inf)
                talked = mine[place - 1] if s["kind"] == "after" else s
                found.append(c | {
                    "kind": within.get(s["outcome"], "overflow to a queue"), "queue": s["queue"],
                    "target": f"queue {then['queue']}", "agent": talked["agent"] if talked["kind"] in TALKING else None,
                    "talk_us": length_us(mine[: place + 1], ("talked", "conferenced")), "back": True,
                    "wait_us": length_us(mine[: place + 1], WAITING),
                    "again": any(t["kind"] in TALKING for t in mine[place + 1 :] if t["serial"] < last),
                })  # fmt: skip
    return found


def transfers(world: World, by: Sequence[str], keep: Callable[[Row], bool]) -> dict[Any, tuple[Any, ...]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in filter(keep, passed_on(world)):
        for key in keys_of(world, row, by):
            groups[key].append(row)
    return {
        key: (
            len(of), sum(row["back"] for row in of), sum(row["again"] for row in of),
            _mean([row["talk_us"] for row in of]), _mean([row["wait_us"] for row in of]),
        )
        for key, of in groups.items()
    }  # fmt: skip
