"""Floors made from a number, and edits that turn one into another: every rule of routing comes up in some of them.

Floor 0 is the small one below; what a name means (queue, agent, phone, number) is the same in all of them. A later queue
never overflows to an earlier one, as every checked definition has it. Anything else may be combined, sensible or not.
"""

from __future__ import annotations

import random
from dataclasses import replace

from floorkit import define

from acd.domain.definition import Destination, FloorDefinition, HangUp, ToQueue

FLOOR = define(
    """
    queue sales ring=20 wrap=10 max=45 overflow=queue:help priority=2
    queue help ring=15 wrap=0
    queue tech ring=10 wrap=30 max=60 overflow=dialplan:voicemail,s needs=linux:50
    queue vip ring=20 wrap=5 max=30 overflow=hangup needs=linux:20,english:80 hold=ringback
    agent ann 101 sales,help english=90
    agent bob 102 sales,tech,vip linux=80 english=85
    agent cid 103 help,tech linux=40 phones=PJSIP/103,PJSIP/203
    agent dan 104 tech,vip linux=60 english=10 auto
    did 1 sales
    did 2 help priority=3
    did 3 tech
    did 4 vip
    fallback dialplan:operator,s
    """
)
QUEUES = ("vip", "tech", "sales", "help")
"""Overflow goes from left to right."""
AGENTS = {"ann": "101", "bob": "102", "cid": "103 phones=PJSIP/103,PJSIP/203", "dan": "104 auto"}
EXPRESSIONS = (
    "anyone",
    "linux >= 50",
    "english >= 20 and linux < 80",
    "not linux or english >= 90",
    "skill(call.language) >= 10",
    "call.tier == gold and linux >= 20 or call.tier != gold",
)
SELECTIONS = ("longest_idle", "least_occupied", "most_proficient", "least_skilled", "round_robin", "weighted")
NUMBERS = ("", "", "0201", "0202", "0203")
ATTRIBUTES = (
    {"language": "english"},
    {"language": "nl"},
    {"tier": "gold"},
    {"tier": "silver", "agent": "ann"},
    {"agent": "bob"},
    {"agent": "103"},
)
HOSTS = {"PJSIP/101": "10.0.0.1", "PJSIP/102": "10.0.0.1", "PJSIP/104": "10.0.0.1", "PJSIP/103": "10.0.0.2"}


def floor_of(seed: int) -> FloorDefinition:
    """The floor number ``seed``."""
    if seed == 0:
        return FLOOR
    return replace(define("\n".join(_lines(random.Random(seed)))), revision=f"rev{seed}")


def edited(old: FloorDefinition, seed: int, part: str) -> FloorDefinition:
    """``old`` with one ``part`` (``all``, ``rules``, or the name of a queue, an agent or a number) as in floor ``seed``."""
    other = floor_of(seed)
    if part == "all":
        return other
    queues, agents, entries = dict(old.queues), dict(old.agents), dict(old.entry_points)
    new = replace(old, revision=f"{old.revision}/{part}{seed}")
    if part == "rules":
        new = replace(new, call_selection=other.call_selection, ageing_s=other.ageing_s, breaker=other.breaker)
        new = replace(new, cool_down_s=other.cool_down_s, callers=other.callers)
    for mine, theirs in ((queues, other.queues), (agents, other.agents), (entries, other.entry_points)):
        if part in theirs:
            mine[part] = theirs[part]  # type: ignore[index, assignment]
        elif len(mine) > 1:
            mine.pop(part, None)  # type: ignore[attr-defined]
    return _sound(replace(new, queues=queues, agents=agents, entry_points=entries))


def _sound(floor: FloorDefinition) -> FloorDefinition:
    """Without references to queues that are not there."""
    there = floor.queues.keys()

    def mend(to: Destination | None) -> Destination | None:
        return HangUp() if isinstance(to, ToQueue) and to.queue not in there else to

    queues = {
        name: replace(
            queue,
            overflow=mend(queue.overflow) or HangUp(),
            on_full=mend(queue.on_full),
            on_nobody=mend(queue.on_nobody),
            on_closed=mend(queue.on_closed),
            on_long_wait=mend(queue.on_long_wait),
            on_unsatisfiable=mend(queue.on_unsatisfiable),
            escalation=queue.escalation if queue.escalation in there else None,
        )
        for name, queue in floor.queues.items()
    }
    agents = {
        name: replace(agent, queues=tuple(queue for queue in agent.queues if queue in there))
        for name, agent in floor.agents.items()
    }
    entries = {did: entry for did, entry in floor.entry_points.items() if entry.queue in there}
    fallback = mend(floor.fallback)
    assert fallback is not None
    return replace(floor, queues=queues, agents=agents, entry_points=entries, fallback=fallback)


def _lines(r: random.Random) -> list[str]:
    names = [name for name in QUEUES if r.random() < 0.9] or ["help"]
    lines = [line for place, name in enumerate(names) for line in _queue(r, name, names[place + 1 :])]
    here = [name for name in AGENTS if r.random() < 0.9]
    for name in here:
        number, *rest = AGENTS[name].split()
        serves = [queue for queue in names if r.random() < 0.7] or names[:1]
        words = [f"{skill}={r.choice((0, 10, 40, 60, 90))}" for skill in ("linux", "english", "nl") if r.random() < 0.6]
        if r.random() < 0.2:
            words.append(f"linux=70 linux@{r.choice(('', '20', '60'))}..{r.choice(('', '90', '200'))}")
        if r.random() < 0.3:
            words.append(f"prefer-{r.choice(serves)}={r.choice((1, 5))}")
        lines.append(" ".join(["agent", name, number, ",".join(serves), *rest, *words]))
    for did in "1234":
        if r.random() < 0.9:
            attribute = r.choice(("", ".tier=gold", ".tier=silver .language=english", ".language=nl .agent=ann"))
            lines.append(f"did {did} {r.choice(names)} priority={r.choice((0, 0, 3))} {attribute}")
    lines.append(f"caller 0201 priority=2 owner={r.choice(tuple(AGENTS))} .tier=gold")
    lines.append("caller 0202 .language=nl")
    lines.append(f"calls {r.choice(('fcfs', 'priority', 'deadline', 'ratio', 'cmu'))} ageing={r.choice((10, 60))}")
    lines.append(f"fallback {r.choice(('dialplan:operator,s', f'queue:{names[-1]}'))}")
    lines.append(f"cooldown {r.choice((1, 10))}")
    lines.append("hours never mon-mon 1-2")
    lines.append(f"breaker {r.choice((2, 2, 3, 50))} within=30 probe={r.choice((3, 15))}")
    return lines


def _queue(r: random.Random, name: str, later: list[str]) -> list[str]:
    def to() -> str:
        ways = ["hangup", "dialplan:voicemail,s", "message:sorry", *[f"queue:{queue}" for queue in later]]
        return r.choice(ways)

    words = [f"ring={r.choice((10, 20))}", f"wrap={r.choice((0, 10))}", f"overflow={to()}"]
    words.append(f"select={r.choice(SELECTIONS)} rings={r.choice((1, 1, 2, 3))} priority={r.choice((0, 0, 2))}")
    for share, word in (
        (0.5, f"max={r.choice((5, 30, 60))}"),
        (0.2, f"length={r.choice((0, 1, 3))} full={to()}"),
        (0.2, f"nobody={to()}"),
        (0.3, f"never={to()}"),
        (0.1, f"estimate={r.choice((1, 400))} long={to()}"),
        (0.07, "closed"),
        (0.05, f"hours=never shut={to()}"),
        (0.5, f"escalation={r.choice((name, *later))}"),
        (0.3, f"weight={r.choice((2, 5))} ratio=0.2 cost=3"),
    ):
        if r.random() < share:
            words.append(word)
    lines = [" ".join(["queue", name, *words])]
    stages = (0, 5, 10)[: r.choice((0, 1, 2, 3))]
    lines += [f"stage {name} {after_s} {r.choice(EXPRESSIONS)}" for after_s in stages]
    for _ in range(r.choice((0, 0, 1, 2))):
        kind = r.choice(("last_agent", "owner", "named"))
        lines.append(f"prefer {name} {kind} {r.choice((5, 20))} {'agent' if kind == 'named' else ''}")
    return lines
