"""What a campaign did in a stretch of time, counted by the database: the evidence that a regulator asks for.

Functions within the caller's transaction; they read only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

import sqlalchemy as sa

from acd.domain.campaigns import AttemptOutcome, GivenUp
from acd.store.outbound.bulk import seconds_between
from acd.store.outbound.detection import detected
from acd.store.outbound.differences import Reached, difference
from acd.store.outbound.optouts import HEARD_IN
from acd.store.outbound.tables import GIVEN_UP, attempts, campaign_ledgers, campaign_states, do_not_call

LEAST_RING_S = 15.0
"""Of a campaign whose rules are not known any more."""
_DAYS_30_S = 30 * 86_400.0


def evidence(
    connection: sa.Connection,
    campaign: str,
    since: float,
    until: float,
    least_ring_s: float = LEAST_RING_S,
    machine_words: Collection[str] = (),
    zone: tzinfo | None = None,
) -> dict[str, Any]:
    """Attempts committed from ``since`` to before ``until`` (UTC s), JSON-able::

        {"campaign", "since", "until", "attempts", "dialled", "unsettled", "outcomes": {outcome: n}, "people": n who
         answered, "abandoned", "abandonment": share or None, "messages": {"played", "cut", "none"} of those abandoned and
         who opted out of it,
         "on_machines": {"played", "cut"} of those left there, "opted_out": n in whose call a key was pressed or an agent
         said so, whatever that came to, "rings": {"unanswered": n that were left to ring, "mean_s", "least_s", "early": n
         given up before ``least_ring_s``, "early_by_stop", "early_by_agent", "early_begun_late": n of them by `stop --now`,
         because the agent who had them dialled was gone, and because Asterisk began them late}, "caller_ids": {number: n},
         "trunks": {name: n}, "windows": [{"window", "key",
         "label", "answered", "abandoned", "misjudged", "unknown", "charged", "share"}], "differences": [as
         `difference`, for each kind of window that counts otherwise than attempts do], "refusals": {reason: n},
         "dispositions": {word: n}, "detection": as `Detected.as_json`}

    ``windows``: those of the ledger that reach into the stretch, with all that was charged in them, also what was connected
    too late; their days and months are those of ``zone``, and so are the days of ``refusals``; where it is not known, a day
    more at each end. ``machine_words``: what agents call a machine.
    """
    mine = attempts.c.campaign == campaign, attempts.c.committed_at >= since, attempts.c.committed_at < until
    outcomes = _by(connection, attempts.c.outcome, mine)
    unsettled = outcomes.pop("", 0)
    abandoned = outcomes.get(AttemptOutcome.ABANDONED.value, 0)
    people = (
        outcomes.get(AttemptOutcome.ANSWERED.value, 0) + abandoned + outcomes.get(AttemptOutcome.OPTED_OUT.value, 0)
    )
    dialled = sa.select(sa.func.count()).where(*mine, attempts.c.dialled_at.is_not(None))
    # Who opts out of the message has heard it; who opted out before it wanted none
    asked = sa.and_(attempts.c.outcome == AttemptOutcome.OPTED_OUT.value, attempts.c.message != "")
    left_alone = (*mine, sa.or_(attempts.c.outcome == AttemptOutcome.ABANDONED.value, asked))
    messages = _by(connection, attempts.c.message, left_alone)
    on_machines = _by(connection, attempts.c.message, (*mine, attempts.c.outcome == AttemptOutcome.MACHINE.value))
    state = connection.execute(sa.select(campaign_states).where(campaign_states.c.campaign == campaign)).first()
    learnt: Mapping[str, Any] = {} if state is None else state.statistics
    said = learnt.get("began_s")
    began = said if isinstance(said, int | float) else None
    windows = _windows(connection, campaign, since, until, began, zone)
    return {
        "campaign": campaign,
        "since": since,
        "until": until,
        "attempts": sum(outcomes.values()) + unsettled,
        "dialled": connection.execute(dialled).scalar_one(),
        "unsettled": unsettled,
        "outcomes": dict(sorted(outcomes.items())),
        "people": people,
        "abandoned": abandoned,
        "abandonment": round(abandoned / people, 5) if people else None,
        "messages": {"played": messages.get("played", 0), "cut": messages.get("cut", 0), "none": messages.get("", 0)},
        "on_machines": {"played": on_machines.get("played", 0), "cut": on_machines.get("cut", 0)},
        "opted_out": _opted_out(connection, mine),
        "rings": _rings(connection, mine, least_ring_s),
        "caller_ids": _by(connection, attempts.c.caller_id, mine),
        "trunks": _by(connection, attempts.c.trunk, mine),
        "windows": windows,
        "differences": _differences(connection, mine, windows, since, until, began, zone or UTC),
        "refusals": _refusals(learnt.get("refusals", {}), since, until, zone),
        "dispositions": {word: many for word, many in _by(connection, attempts.c.said, mine).items() if word},
        "detection": detected(connection, campaign, since, until, machine_words).as_json(),
    }


def names(connection: sa.Connection) -> list[str]:
    """Every campaign that ever had a state or a ledger."""
    one = sa.select(campaign_states.c.campaign).union(sa.select(campaign_ledgers.c.campaign))
    return sorted(connection.execute(one).scalars())


def _by(connection: sa.Connection, column: sa.Column[Any], which: tuple[Any, ...]) -> dict[str, int]:
    query = sa.select(column, sa.func.count()).where(*which).group_by(column)
    return {"" if value is None else str(value): int(many) for value, many in connection.execute(query)}


def _opted_out(connection: sa.Connection, mine: tuple[Any, ...]) -> int:
    """Also in an attempt that was settled otherwise: one that nobody followed to its end after a crash, say."""
    source = do_not_call.c.source
    heard = sa.select(sa.func.substr(source, len(HEARD_IN) + 1)).where(source.startswith(HEARD_IN))
    said = sa.or_(attempts.c.outcome == AttemptOutcome.OPTED_OUT.value, attempts.c.attempt.in_(heard))
    return int(connection.execute(sa.select(sa.func.count()).where(*mine, said)).scalar_one())


def _rings(connection: sa.Connection, mine: tuple[Any, ...], least_s: float) -> dict[str, Any]:
    """Of lines that nobody took: how long they rang; those of which no ringing was heard, from when they were dialled."""
    since = sa.func.coalesce(attempts.c.rang_at, attempts.c.dialled_at)
    length = seconds_between(connection, since, attempts.c.ended_at)
    rang = attempts.c.outcome == AttemptOutcome.NO_ANSWER.value, attempts.c.dialled_at.is_not(None)
    too_short = length < least_s - 0.001
    # By the text: a row that is no JSON any more must not keep the evidence from being given
    facts = sa.cast(attempts.c.facts, sa.Text)
    why = (facts.like(f'%"{GIVEN_UP}":%"{why}"%') for why in (GivenUp.STOP, GivenUp.AGENT, GivenUp.LATE))
    early = [sa.func.sum(sa.case((sa.and_(too_short, one), 1), else_=0)) for one in (sa.true(), *why)]
    query = sa.select(sa.func.count(), sa.func.avg(length), sa.func.min(length), *early).where(*mine, *rang)
    many, mean, least, too_few, by_stop, by_agent, late = connection.execute(query).one()
    return {
        "unanswered": int(many),
        "mean_s": None if mean is None else round(float(mean), 2),
        "least_s": None if least is None else round(float(least), 2),
        "early": int(too_few or 0),
        "early_by_stop": int(by_stop or 0),
        "early_by_agent": int(by_agent or 0),
        "early_begun_late": int(late or 0),
    }


def _windows(
    connection: sa.Connection,
    campaign: str,
    since: float,
    until: float,
    began: float | None,
    zone: tzinfo | None,
) -> list[dict[str, Any]]:
    table = campaign_ledgers
    query = sa.select(table).where(table.c.campaign == campaign).order_by(table.c.window, table.c.key)
    found = []
    for row in connection.execute(query):
        if not _reaches(row.window, row.key, since, until, began, zone):
            continue
        charged = row.abandoned + row.misjudged + row.unknown
        found.append(
            {
                "window": row.window,
                "key": row.key,
                "label": label_of(row.window, row.key),
                "answered": round(row.answered, 3),
                "abandoned": round(row.abandoned, 3),
                "misjudged": round(row.misjudged, 3),
                "unknown": round(row.unknown, 3),
                "charged": round(charged, 3),
                "share": round(charged / row.answered, 5) if row.answered else None,
            }
        )
    return found


def _differences(
    connection: sa.Connection,
    mine: tuple[Any, ...],
    windows: list[dict[str, Any]],
    since: float,
    until: float,
    began: float | None,
    zone: tzinfo,
) -> list[dict[str, Any]]:
    """Kind by kind, for a kind of its own has counted everybody."""
    at, inside = attempts.c.committed_at, _reached(connection, mine)
    found = []
    for kind in dict.fromkeys(one["window"] for one in windows):
        those = [one for one in windows if one["window"] == kind]
        edges = [_edges(kind, one["key"], began, zone) for one in those]
        low = None if any(one is None for one in edges) else min(one[0] for one in edges if one is not None)
        high = None if any(one is None for one in edges) else max(one[1] for one in edges if one is not None)
        within = [] if low is None or high is None else [at >= low, at < high]
        beyond = sa.or_(at < since, at >= until)
        told = difference(kind, those, inside, _reached(connection, (mine[0], *within, beyond)))
        if told is not None:
            found.append(told)
    return found


def _reached(connection: sa.Connection, which: tuple[Any, ...]) -> Reached:
    outcome = attempts.c.outcome
    out = sa.and_(
        outcome == AttemptOutcome.OPTED_OUT.value, attempts.c.answered_at.is_not(None), attempts.c.agent.is_(None)
    )
    reached = outcome.in_(
        [AttemptOutcome.ANSWERED.value, AttemptOutcome.ABANDONED.value, AttemptOutcome.OPTED_OUT.value]
    )
    counts = [sa.func.sum(sa.case((one, 1), else_=0)) for one in (outcome == AttemptOutcome.ABANDONED.value, out)]
    many, abandoned, opted_out = connection.execute(sa.select(sa.func.count(), *counts).where(*which, reached)).one()
    in_call = sa.select(sa.func.count()).where(*which, outcome.is_(None), attempts.c.answered_at.is_not(None))
    talking = int(connection.execute(in_call).scalar_one())
    return Reached(int(many), int(abandoned or 0), int(opted_out or 0), talking)


def _edges(window: str, key: int, began: float | None, zone: tzinfo) -> tuple[float, float] | None:
    """When a window begins and ends (UTC s); None: it has no edges, or nobody knows them."""
    if window == "days30" and began is not None:
        return began + key * _DAYS_30_S, began + (key + 1) * _DAYS_30_S
    if window == "day":
        first = date.fromordinal(key)
        last = first + timedelta(days=1)
    elif window == "month":
        first = date((key - 1) // 12, (key - 1) % 12 + 1, 1)
        last = date(key // 12, key % 12 + 1, 1)
    else:
        return None
    low, high = (datetime(one.year, one.month, one.day, tzinfo=zone).timestamp() for one in (first, last))
    return low, high


def _reaches(window: str, key: int, since: float, until: float, began: float | None, zone: tzinfo | None) -> bool:
    """Where nobody knows by whose clock days and months are meant, a day more at each end."""
    edges = None if zone is None else _edges(window, key, began, zone)
    if edges is not None:
        return edges[0] < until and edges[1] > since
    low, high = _day(since).toordinal() - 1, _day(until).toordinal() + 1
    if window == "day":
        return low <= key <= high
    if window == "month":
        first, last = date.fromordinal(low), date.fromordinal(high)
        return first.year * 12 + first.month <= key <= last.year * 12 + last.month
    if window == "days30" and began is not None:
        return began + key * _DAYS_30_S < until and began + (key + 1) * _DAYS_30_S > since
    return True


def _day(at: float) -> date:
    return datetime.fromtimestamp(max(0.0, at), UTC).date()


def label_of(window: str, key: int) -> str:
    """A window in words."""
    if window == "day":
        return date.fromordinal(key).isoformat()
    if window == "month":
        return f"{(key - 1) // 12:04}-{(key - 1) % 12 + 1:02}"
    return f"30 days, no. {key + 1}" if window == "days30" else "whole campaign"


def _refusals(days: Mapping[str, Mapping[str, int]], since: float, until: float, zone: tzinfo | None) -> dict[str, int]:
    first, last = _day(since), _day(until)
    if zone is not None:
        first, last = (datetime.fromtimestamp(at, zone).date() for at in (since, max(since, until - 1e-3)))
    found: dict[str, int] = {}
    for day, counts in days.items():
        if first.isoformat() <= day <= last.isoformat():
            for reason, many in counts.items():
                found[reason] = found.get(reason, 0) + int(many)
    return dict(sorted(found.items()))
