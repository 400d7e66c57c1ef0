"""The facts of a call: sums over its segments, kept in its own row so that reports need not read the segments.

They are made from the database, once in the transaction that ends the call, and again in that of every batch that touches
one of its segments later (a wrap-up's end: its sum alone). A function of what is stored, so it does not matter in which
order, how often and in which batches that came. Whole microseconds throughout. A sum is null while one of its segments
lasts, and all of them are until the call has ended.
"""

from __future__ import annotations

from collections.abc import Iterable

from acd.domain.states import OfferOutcome, SegmentKind
from acd.store.operations import BY_NAME, Batch

_WAITING = (SegmentKind.ENTERED, SegmentKind.WAITED, SegmentKind.OFFERED, SegmentKind.RANG)
SUMS: dict[str, tuple[SegmentKind, ...]] = {
    "wait_us": _WAITING,
    "rewait_us": _WAITING,
    "talk_us": (SegmentKind.TALKED, SegmentKind.CONFERENCED),
    "hold_us": (SegmentKind.HELD, SegmentKind.CONSULTED),
    "after_us": (SegmentKind.AFTER,),
    "wrap_us": (SegmentKind.WRAPPED,),
}
"""Of which segments each sum is. All but WRAPPED lie end to end, so all sums but the last add up to the call's length.
Waiting counts as ``wait_us`` before the first conversation and as ``rewait_us`` after it (a call passed on)."""
_WHEN = {"wait_us": " AND fresh", "rewait_us": " AND NOT fresh"}
_FRESH = "serial < coalesce(min(serial) FILTER (WHERE kind = 'talked') OVER (), 2147483647) AS fresh"

_WRAPS = f"kind = '{SegmentKind.WRAPPED}'"

PASSED_ON = ("escalated", "transferred", "joined", "overflowed", "moved")
"""How a segment ends by which a call comes into another queue; where it rang before, or had just come, that is not said."""

FACTS = (*SUMS, "offers", "ronas", "talks", "passages")
"""The columns of ``calls``, in the order of the statements. ``offers``: distinct offers. ``ronas``: those that ended
unanswered, once for each agent the segments name. ``talks``: conversations; a hold does not begin a new one. ``passages``:
segments that were not in the queue the call was in last, or that ended by its being passed on; with none of them, and
without waiting again, a call was in one queue once."""

_ENDED_AT = {name: BY_NAME[name].columns.index("ended_at") for name in ("calls", "calls_patch")}


_SEGMENT_KIND = BY_NAME["segments"].columns.index("kind")
_SEGMENT_ENDED_AT = BY_NAME["segments"].columns.index("ended_at")
_WRAPS_MAX = 20_000


class Touched:
    """Which calls' facts may be others once batches are stored. Most of them have not ended; the statements pass over those.

    A wrap-up ends some time after its call, whose other sums have been made by then: where only wrap-ups are touched,
    only their sum is made anew. The rows that end one do not say what it is, so it is remembered from its beginning;
    where that is forgotten, all sums are made.
    """

    def __init__(self) -> None:
        self._wraps: dict[tuple[str, int], None] = {}

    def of(self, batches: Iterable[Batch]) -> tuple[list[str], list[str]]:
        """Calls of which all sums are to be made, and those of which only ``wrap_us``."""
        whole: dict[str, None] = {}
        wraps: dict[str, None] = {}
        for batch in batches:
            for row in batch.rows.get("segments", ()):
                whole[row[0]] = None
                if row[_SEGMENT_KIND] == SegmentKind.WRAPPED and row[_SEGMENT_ENDED_AT] is None:
                    self._wraps[row[0], row[1]] = None
            for row in batch.rows.get("segments_patch", ()):
                (whole if self._wraps.pop((row[0], row[1]), _UNKNOWN) is _UNKNOWN else wraps)[row[0]] = None
            for name, place in _ENDED_AT.items():
                whole.update((row[0], None) for row in batch.rows.get(name, ()) if row[place] is not None)
        while len(self._wraps) > _WRAPS_MAX:
            del self._wraps[next(iter(self._wraps))]
        return list(whole), [call for call in wraps if call not in whole]


_UNKNOWN = object()


def _listed(kinds: tuple[SegmentKind, ...]) -> str:
    return ", ".join(f"'{kind}'" for kind in kinds)


def _sums(total: str) -> list[str]:
    """A column each; ``total`` is the sum of lengths with a place for the condition, in whole microseconds."""
    made = []
    for name, kinds in SUMS.items():
        which = f"kind IN ({_listed(kinds)}){_WHEN.get(name, '')}"
        these, still = f"FILTER (WHERE {which})", f"count(*) FILTER (WHERE length IS NULL AND {which})"
        made.append(f"CASE WHEN {still} = 0 THEN coalesce({total.format(these)}, 0) END")
    return made


def _counts(pair: str) -> list[str]:
    """``pair`` tells an offer to an agent from every other."""
    rang = f"outcome = '{OfferOutcome.NO_ANSWER}' AND kind IN ({_listed((SegmentKind.OFFERED, SegmentKind.RANG))})"
    return [
        "count(DISTINCT offer)",
        f"count(DISTINCT {pair}) FILTER (WHERE {rang})",
        f"count(DISTINCT {pair}) FILTER (WHERE kind = '{SegmentKind.TALKED}')",
        "count(*) FILTER (WHERE passed)",
    ]


def _passed(differs: str) -> str:
    """Whether a segment is a passage; ``differs``: whether it was in another queue than the call."""
    outcomes = ", ".join(f"'{outcome}'" for outcome in PASSED_ON)
    return f"({differs} OR coalesce(outcome IN ({outcomes}), false)) AS passed"


_POSTGRES_SUM = "(extract(epoch FROM sum(length) {}) * 1000000)::bigint"


def postgres_wraps() -> str:
    """$1: an array of calls, of which only ``wrap_us`` is made."""
    total = _POSTGRES_SUM.format("")
    return (
        "UPDATE calls AS t SET wrap_us = f.wrap_us "
        "FROM unnest($1::text[]) AS p (call) JOIN calls AS c ON c.call = p.call AND c.ended_at IS NOT NULL "
        f"CROSS JOIN LATERAL (SELECT CASE WHEN count(*) = count(length) THEN coalesce({total}, 0) END AS wrap_us "
        f"FROM (SELECT ended_at - started_at AS length FROM segments WHERE call = c.call AND {_WRAPS}) AS s) AS f "
        "WHERE t.call = c.call AND t.wrap_us IS DISTINCT FROM f.wrap_us"
    )


def postgres_statement() -> str:
    """$1: an array of calls."""
    columns = [
        *_sums(_POSTGRES_SUM),
        *_counts("(quote_nullable(offer) || quote_nullable(agent))"),
    ]
    facts = ", ".join(f"{column} AS {name}" for name, column in zip(FACTS, columns, strict=True))
    old, new = ", ".join(f"t.{name}" for name in FACTS), ", ".join(f"f.{name}" for name in FACTS)
    return (
        f"UPDATE calls AS t SET {', '.join(f'{name} = f.{name}' for name in FACTS)} "
        # Whether it has ended is asked before its segments are read
        "FROM unnest($1::text[]) AS p (call) JOIN calls AS c ON c.call = p.call AND c.ended_at IS NOT NULL "
        f"CROSS JOIN LATERAL (SELECT {facts} FROM (SELECT kind, agent, offer, outcome, ended_at - started_at AS length, "
        f"{_FRESH}, {_passed('queue IS DISTINCT FROM c.queue')} FROM segments WHERE segments.call = c.call) AS s) AS f "
        f"WHERE t.call = c.call AND ({old}) IS DISTINCT FROM ({new})"
    )


_SECOND = "strftime('%s', substr({0}, 1, 19)) * 1000000 + substr({0}, 21, 6)"
_SQLITE_LENGTH = f"({_SECOND.format('ended_at')}) - ({_SECOND.format('started_at')})"


def sqlite_wraps() -> str:
    """?1: a call, of which only ``wrap_us`` is made."""
    return (
        "UPDATE calls SET wrap_us = (SELECT CASE WHEN count(*) = count(ended_at) "
        f"THEN coalesce(sum({_SQLITE_LENGTH}), 0) END FROM segments WHERE call = ?1 AND {_WRAPS}) "
        "WHERE call = ?1 AND ended_at IS NOT NULL"
    )


def sqlite_statement() -> str:
    """?1: a call. Times are text; seconds and microseconds are whole numbers, apart from each other."""
    columns = [*_sums("sum(length) {}"), *_counts("quote(offer) || quote(agent)")]
    return (
        f"UPDATE calls SET ({', '.join(FACTS)}) = (SELECT {', '.join(columns)} FROM "
        # The limit keeps SQLite from working out the length anew for every column
        f"(SELECT kind, agent, offer, outcome, {_SQLITE_LENGTH} AS length, {_FRESH}, "
        f"{_passed('segments.queue IS NOT calls.queue')} "
        "FROM segments WHERE call = ?1 LIMIT -1)) WHERE call = ?1 AND ended_at IS NOT NULL"
    )
